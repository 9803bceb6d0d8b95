"""The real children on the stepped host: a replay of the saw, and what its actors alone would take."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

import msgspec

from evenkeel.adapters.replay.every_tick import EveryTick, RecordedQuote
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.commands.bench.account import (
    QUOTES_A_BAR,
    START_UTC_MS,
    STARTED,
    SYMBOLS,
    Onlooker,
    all_children,
    saw,
    terminal,
    world_of,
)
from evenkeel.commands.bench.figures import Figure, monotonic_ns, rates, rounds_ns
from evenkeel.commands.bench.hosts import SENDER
from evenkeel.messages.operator import StartTrading
from evenkeel.messages.system import Message
from evenkeel.runtime.clock import ManualClock
from evenkeel.runtime.journal import DigestJournal, Journal
from evenkeel.runtime.publisher import SUPERVISOR, Publisher
from evenkeel.runtime.shell import ChildSpec, Kind
from evenkeel.runtime.stepped import SteppedHost
from evenkeel.supervisor import CODEC, route_table

QUOTES_A_ROUND: Final = 2 * QUOTES_A_BAR * len(SYMBOLS)
"""Two bars of each symbol: two entries, two exits."""

Heard = tuple[str, Message, int]
"""An actor, what it heard, and when."""


def replayed(seconds: float) -> Iterator[Figure]:
    """`seconds` for each journal, none and a digest."""
    journals: dict[str, Journal | None] = {"no journal": None, "digest journal": DigestJournal()}
    for kept, journal in journals.items():
        host, prepared = _replay(journal)
        prepared()()
        before = host.deliveries
        found_ns = rounds_ns(prepared, seconds)
        count = round((host.deliveries - before) / (len(found_ns) + 1))
        values = rates(count, found_ns)
        values["quotes_per_s"] = values["median_per_s"] * QUOTES_A_ROUND / count
        values["actors_alone_ratio"] = _actors_alone_ns() / sorted(found_ns)[len(found_ns) // 2]
        what = f"deliveries, real children, {len(SYMBOLS)} symbols, stepped host, {kept}"
        yield Figure(f"deliveries.real_children.stepped.{kept.replace(' ', '_')}", what, len(found_ns), values)


def _replay(
    journal: Journal | None, dress: Callable[[ChildSpec], ChildSpec] = lambda spec: spec
) -> tuple[SteppedHost, Callable[[], Callable[[], None]]]:
    """A booted account, and what prepares to serve it one more round of quotes."""
    clock, broker = ManualClock(START_UTC_MS), terminal(SimulatedTerminal)
    specs = [dress(spec) for spec in all_children(world_of(broker, clock), {"reporter": Onlooker})]
    publisher = Publisher(routes=route_table(specs), codec=CODEC, clock=clock, journal=journal)
    host = SteppedHost(specs, publisher=publisher, clock=clock)
    publisher.publish(SUPERVISOR, 0, [STARTED])
    host.boot()
    host.say(SENDER, [StartTrading("start", SENDER)])
    replay, quotes = EveryTick(host, broker), _recorded()
    return host, lambda: partial(replay.serve, list(islice(quotes, QUOTES_A_ROUND)))


def _recorded() -> Iterator[RecordedQuote]:
    return ((number, symbol, *msgspec.structs.astuple(quote)) for number, symbol, quote in saw())


def _actors_alone_ns() -> int:
    """What the handlers of the actors take for a round: the same messages in a bare loop, over actors of their own."""
    heard: list[Heard] = []
    made: dict[str, Callable[[], Any]] = {}

    def recorded(spec: ChildSpec) -> ChildSpec:
        if spec.kind is Kind.EDGE:
            return spec
        made[spec.name] = spec.make
        return msgspec.structs.replace(spec, make=lambda: _Recorded(spec.name, spec.make(), heard))

    _, prepared = _replay(None, recorded)
    prepared()()
    warm_up = len(heard)
    prepared()()
    actors = {name: make() for name, make in made.items()}
    _handle(actors, heard[:warm_up])
    began_ns = monotonic_ns()
    _handle(actors, heard[warm_up:])
    return monotonic_ns() - began_ns


def _handle(actors: dict[str, Any], heard: Sequence[Heard]) -> None:
    for name, message, now_utc_ms in heard:
        actors[name].handle(message, now_utc_ms)


class _Recorded:
    """An actor that keeps what it hears."""

    def __init__(self, name: str, actor: Any, heard: list[Heard]) -> None:
        self._name = name
        self._actor = actor
        self._heard = heard

    @property
    def state(self) -> Any:
        return self._actor.state

    @state.setter
    def state(self, state: Any) -> None:
        self._actor.state = state

    def handle(self, message: Message, now_utc_ms: int, /) -> Sequence[Message]:
        self._heard.append((self._name, message, now_utc_ms))
        said: Sequence[Message] = self._actor.handle(message, now_utc_ms)
        return said
