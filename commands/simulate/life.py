"""One life of the supervisor process in a world: from its start over what the store holds until it dies or is stopped."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec

from evenkeel.adapters.gate import Gate
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.client import HostedBroker, HostLink, LinkDown, ReplyLost
from evenkeel.adapters.terminal_host.service import TerminalService
from evenkeel.adapters.wall_clock import WallClock
from evenkeel.adapters.world import World
from evenkeel.commands.simulate.market import Row
from evenkeel.commands.simulate.store import TearingStore
from evenkeel.commands.simulate.troubles import HostDied, Troubles
from evenkeel.config.schema import Config
from evenkeel.messages.market import Quote, SymbolSpec
from evenkeel.messages.system import Message, RunStarted
from evenkeel.runtime.clock import ManualClock, SteadyClock
from evenkeel.runtime.fold import ledgers_of
from evenkeel.runtime.publisher import SUPERVISOR, Delivery, Publisher
from evenkeel.runtime.shell import ChildSpec, Kind
from evenkeel.runtime.stepped import SteppedHost
from evenkeel.supervisor import CODEC, children, route_table, standstill_hold_ms

FEED: Final = "market_feed"
TERMINAL: Final = "terminal"
CLOCK: Final = "clock"
WALL_CLOCK: Final = "wall_clock"
NOTIFIER: Final = "notifier"
READING_EVERY_MS: Final = 15_000
READING_WHEN_FLAT_EVERY_MS: Final = 45_000
WAITING_EVERY_MS: Final = 100
GIVEN_UP_MS: Final = (500, 120_000)
"""After so long a host that was frozen carries out what it found."""
_NEVER: Final = 2**62
_ORDERS: Final = (verbs.Open, verbs.Close, verbs.SetStops)


class Died(BaseException):
    """The supervisor process is gone. No `Exception`: no host may contain it as a child's crash."""


class WorldClock(ManualClock):
    """True time, and what the machine's clock shows of it: `skew_ms` more. Monotonic time is true."""

    skew_ms: int = 0

    def now_utc_ms(self) -> int:
        return self._now_utc_ms + self.skew_ms

    @property
    def true_utc_ms(self) -> int:
        return self._now_utc_ms


class Fuse:
    """One child raises at the `left`-th message from now that it hears."""

    def __init__(self) -> None:
        self.child, self.left, self.struck = "", 0, 0

    def light(self, child: str, left: int) -> None:
        self.child, self.left = child, left

    def burn(self) -> None:
        self.left -= 1
        if not self.left:
            self.child = ""
            self.struck += 1
            raise ChildStruck


class ChildStruck(Exception):
    """Raised on purpose in a child."""


class InProcessLink(HostLink):
    """To the terminal host of the same world: orders go through the bytes of the real channel, readings do without.

    `step` is told before and after each order: a supervisor that dies at a call dies there.
    """

    def __init__(
        self, host: Callable[[], TerminalService], troubles: Troubles, step: Callable[[], None], on_death: Callable[[], None]
    ) -> None:
        self.timeout_s = 30.0
        self._host, self._troubles, self._step, self._on_death = host, troubles, step, on_death

    def ask(self, asked: verbs.Verb, timeout_s: float | None = None) -> verbs.Reply:
        is_order = isinstance(asked, _ORDERS)
        if is_order:
            self._step()
        if self._troubles.lasts("F54") and self._troubles.random.random() < 0.5:
            self._troubles.count("F54")
            if self._troubles.random.random() < 0.5:
                raise LinkDown("the link is down")
            self._reply(asked)
            raise ReplyLost("the link went down")
        if is_order and self._troubles.strikes("F39"):
            self._troubles.later(self._troubles.between(GIVEN_UP_MS), lambda: self._carried_out_late(asked))
            raise ReplyLost("no answer in time")
        replied = self._reply(asked)
        if is_order:
            self._step()
        return replied

    def close(self) -> None:
        """Nothing is connected."""

    def _carried_out_late(self, asked: verbs.Verb) -> None:
        with suppress(ReplyLost):  # the host died at it, and nobody waits for the answer
            self._reply(asked)

    def _reply(self, asked: verbs.Verb) -> verbs.Reply:
        host = self._host()
        try:
            if isinstance(asked, _ORDERS):
                return verbs.reply(host.reply(verbs.encode(asked)))
            return host.answer(asked)
        except HostDied:
            self._on_death()
            raise ReplyLost("the terminal host died") from None


class Around(NamedTuple):
    """What a life begins with and leaves behind: it belongs to the world."""

    config: Config
    specs: dict[str, SymbolSpec]
    store: TearingStore
    clock: WorldClock
    link: InProcessLink
    history: Callable[[str, int], Sequence[Quote] | None]
    kill_epoch: Callable[[], int]
    heard: Callable[[Sequence[Delivery]], None]
    fuse: Fuse
    stand_in: Callable[[ChildSpec, World], ChildSpec]
    gate: Callable[[], Gate]
    more_edges: Mapping[str, Callable[[], Any]] = {}


class Life:
    """Booted when it is made; Died may come out of every method. `journal_failed` says why nothing is kept any more."""

    def __init__(self, around: Around, started: RunStarted) -> None:
        self._around = around
        store, config = around.store, around.config
        self.clock = clock = SteadyClock(around.clock, not_before_utc_ms=store.last_utc_ms)
        self.gate = around.gate()
        self.broker = HostedBroker(around.link, around.link, beat=self._beat)
        self.journal_failed: str | None = None
        self._source = _OneQuote()
        world = World(
            config=config,
            specs=around.specs,
            broker=self.broker,
            clock=clock,
            board=QuoteBoard(),
            gate=self.gate,
            history=around.history,
            kill_epoch=around.kill_epoch,
            source=self._source,
            journal=store,
            reading_every_ms=READING_EVERY_MS,
            chain_store=store.chain_store,
        )
        specs = [
            _fragile(self._rare_looks(around.stand_in(spec, world)), around.fuse) for spec in children(world, around.more_edges)
        ]
        self.specs = specs
        ledgers = ledgers_of(store.read, store.snapshots, specs, CODEC, tolerant=not started.continued)
        publisher = Publisher(
            routes=route_table(specs),
            codec=CODEC,
            clock=clock,
            journal=store,
            last_seq=store.durable_seq,
            last_utc_ms=store.last_utc_ms,
            on_journal_failed=self._lose_journal,
        )
        self.host = SteppedHost(specs, publisher=publisher, clock=around.clock, ledgers=ledgers)
        into_queue = self.host.queue.extend

        def deliver(deliveries: Sequence[Delivery]) -> None:
            around.heard(deliveries)
            into_queue(deliveries)

        publisher.connect(deliver)
        self.next_poll_utc_ms = around.clock.true_utc_ms
        self.timers_utc_ms = self.notifier_utc_ms = _NEVER
        self._told_utc_ms = around.clock.true_utc_ms
        publisher.publish(SUPERVISOR, 0, [started])
        self.host.boot()
        self.host.snapshot_all()
        self.settle()

    def say(self, messages: Sequence[Message]) -> None:
        """A person or the world speaks; then everything that follows is finished and committed."""
        self.host.say("person", messages)
        self.settle()

    def tell(self, edge: str, messages: Sequence[Message]) -> None:
        """An edge says it."""
        self.host.poke(edge, _already(messages))
        self.settle()

    def serve(self, row: Row) -> bool:
        """Show a quote to the feed; whether anybody said anything."""
        self._source.row = row
        feed = self.host.child(FEED)
        said = feed.poll(self.clock.now_utc_ms())
        if not said:
            return False
        self.host.poke(FEED, _already(said))
        self.settle()
        return True

    def look(self) -> None:
        """What is due by now: timers, the terminal edge's own look at the broker, a feed that has become quiet."""
        clock, host = self.clock, self.host
        while (due := host.child(CLOCK).next_due_utc_ms()) is not None and due <= clock.now_utc_ms():
            host.poke(CLOCK, _due_at(due))
        if self._around.clock.true_utc_ms >= self.next_poll_utc_ms:
            for name in (FEED, WALL_CLOCK):
                seen = host.child(name).poll(clock.now_utc_ms())
                if seen:
                    host.poke(name, _already(seen))
            self._poll_terminal()
        if self._around.clock.true_utc_ms >= self.notifier_utc_ms:
            self._told_utc_ms = self._around.clock.true_utc_ms
            host.poke(NOTIFIER, lambda edge: edge.poll(clock.now_utc_ms()))
        self.settle()

    def settle(self) -> None:
        """Commit what was said; what waited for that goes, until nothing waits for anything but time."""
        store, host = self._around.store, self.host
        while store.is_behind and store.refusal is None:
            store.commit()
            if self._is_waiting():
                self._poll_terminal()
        true_utc_ms = self._around.clock.true_utc_ms
        if self._is_waiting():
            self.next_poll_utc_ms = min(self.next_poll_utc_ms, true_utc_ms + WAITING_EVERY_MS)
        due = host.child(CLOCK).next_due_utc_ms()
        self.timers_utc_ms = _NEVER if due is None else true_utc_ms + max(1, due - self.clock.now_utc_ms())
        if self._around.more_edges:
            self.notifier_utc_ms = self._told_utc_ms + round(host.child(NOTIFIER).poll_s * 1000)

    def snapshot_all(self) -> None:
        self.host.snapshot_all()
        self.settle()

    def _poll_terminal(self) -> None:
        self.host.poke(TERMINAL, lambda edge: edge.poll(self.clock.now_utc_ms()))
        self.next_poll_utc_ms = self._around.clock.true_utc_ms + self._poll_every_ms()

    def _rare_looks(self, spec: ChildSpec) -> ChildSpec:
        """The wall clock is looked at as seldom as the broker: that is no standstill yet."""
        if spec.name != WALL_CLOCK:
            return spec
        hold_ms, clock = standstill_hold_ms(self._around.config), self.clock
        usual_ms = 2 * READING_WHEN_FLAT_EVERY_MS
        return msgspec.structs.replace(spec, make=lambda: WallClock(clock, standstill_hold_ms=hold_ms, standstill_ms=usual_ms))

    def _poll_every_ms(self) -> int:
        if self._is_waiting():
            return WAITING_EVERY_MS
        state = self.host.child(TERMINAL).state
        return READING_EVERY_MS if state.positions or state.calls or state.unknown else READING_WHEN_FLAT_EVERY_MS

    def _is_waiting(self) -> bool:
        poll_s: float = self.host.child(TERMINAL).poll_s
        return poll_s * 1000 < WAITING_EVERY_MS

    def _beat(self) -> verbs.Beat:
        unresolved = tuple(sorted(self.gate.unresolved))
        return verbs.Beat(self.gate.mode, self._around.kill_epoch(), self.broker.answered_intent_id, unresolved)

    def _lose_journal(self, reason: str) -> None:
        self.journal_failed = reason


class _OneQuote:
    """The feed's source: one row at a time."""

    row: Row | None = None

    def take(self) -> tuple[str, Quote] | None:
        row, self.row = self.row, None
        return None if row is None else (row[1], Quote(row[4] or row[0], row[2], row[3]))

    def wait_s(self) -> float:
        return 0.0


def _already(said: Sequence[Message]) -> Callable[[Any], Sequence[Message]]:
    """What an edge has found by looking, for it to say."""
    return lambda _: said


def _due_at(utc_ms: int) -> Callable[[Any], Sequence[Message]]:
    return lambda timers: timers.due(utc_ms)


class _FragileActor:
    def __init__(self, actor: Any, name: str, fuse: Fuse) -> None:
        self._actor, self._name, self._fuse = actor, name, fuse

    @property
    def state(self) -> Any:
        return self._actor.state

    @state.setter
    def state(self, state: Any) -> None:
        self._actor.state = state

    def handle(self, message: Message, now_utc_ms: int) -> Sequence[Message]:
        if self._fuse.child == self._name:
            self._fuse.burn()
        said: Sequence[Message] = self._actor.handle(message, now_utc_ms)
        return said


class _FragileEdge:
    """Raises before it acts."""

    def __init__(self, edge: Any, name: str, fuse: Fuse) -> None:
        object.__setattr__(self, "_edge", edge)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_fuse", fuse)
        object.__setattr__(self, "remember", edge.remember)
        object.__setattr__(self, "poll", edge.poll)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._edge, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._edge, name, value)

    def act(self, message: Message, at: Any) -> Sequence[Message]:
        if self._fuse.child == self._name:
            self._fuse.burn()
        said: Sequence[Message] = self._edge.act(message, at)
        return said


def _fragile(spec: ChildSpec, fuse: Fuse) -> ChildSpec:
    wrap = _FragileEdge if spec.kind is Kind.EDGE else _FragileActor
    return msgspec.structs.replace(spec, make=lambda: wrap(spec.make(), spec.name, fuse))
