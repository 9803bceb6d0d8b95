"""Worlds for tests: a small account on the simulated terminal, on the deterministic host."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from evenkeel.adapters.gate import Gate
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.replay.every_tick import EveryTick, RecordedQuote
from evenkeel.adapters.simulated.faults import FaultScript
from evenkeel.adapters.simulated.market import SyntheticMarket
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.world import World
from evenkeel.config.load import load
from evenkeel.config.schema import Config
from evenkeel.messages.market import SymbolSpec
from evenkeel.messages.operator import StartTrading
from evenkeel.messages.system import ChildDown, ChildServing, Message, MessageParked, RunStarted
from evenkeel.rules.symbols import profit_rule, spec_for, typical_price
from evenkeel.runtime.clock import Clock, ManualClock
from evenkeel.runtime.fold import ledgers_from
from evenkeel.runtime.journal import MemoryJournal, Record, decode_record
from evenkeel.runtime.publisher import NO_ROW, SUPERVISOR, Publisher
from evenkeel.runtime.shell import ChildSpec, Kind
from evenkeel.runtime.stepped import SteppedHost
from evenkeel.supervisor import CODEC, children, route_table

MONDAY_UTC_MS = 1_767_571_200_000
"""2026-01-05 00:00 UTC, a Monday."""
STARTED = RunStarted("build", "configuration", "test", 7, continued=False, crashed=False)
AT_ANY_HOUR = {
    f"limits.session.{window}_minutes": "off"
    for window in ("rollover_before", "rollover_after", "friday_before_close", "sunday_after_open")
}
"""For what goes by the real clock: a test is run round the rollover and before the weekend, too."""
SUPERVISION = (ChildDown, ChildServing, MessageParked)


def config_of(**overrides: object) -> Config:
    """The personal profile with quick trades: crossings of 2 and 3 one-minute bars, stops of 5 pips."""
    quick: dict[str, object] = {
        "trading.enabled": True,
        "entry.stop_pips": 5.0,
        "entry.target_pips": 10.0,
        "entry.cooldown_minutes": 0.0,
        "limits.quote_age_s_max": "off",
        "limits.trades_per_hour": "off",
        "limits.trades_per_day": "off",
        "limits.trades_limit_days_max": "off",
        "limits.consecutive_losses.reduce_after": "off",
        "limits.consecutive_losses.hold_after": "off",
        "limits.consecutive_losses.close_only_after": "off",
        "strategy": {"ma_cross": {"kind": "ma_cross", "symbols": ["EURUSD", "GBPUSD"], "fast": 2, "slow": 3}},
    }
    return load(None, overrides=quick | {key.replace("__", "."): value for key, value in overrides.items()})


class Scene(NamedTuple):
    """A booted system and everything that one may look at."""

    host: SteppedHost
    terminal: SimulatedTerminal
    journal: MemoryJournal
    replay: EveryTick

    def records(self) -> list[Record]:
        return [decode_record(body) for body in self.journal.bodies]

    def said(self, *kinds: type[Message]) -> list[Any]:
        """Every message published so far, of `kinds` where some are named."""
        messages = [CODEC.decode(bytes(record.body)) for record in self.records()]
        return [message for message in messages if not kinds or isinstance(message, kinds)]

    def decisions(self) -> list[tuple[str, Message]]:
        """Who said what, in order, without what supervision says of crashes."""
        said = [(record.sender, CODEC.decode(bytes(record.body))) for record in self.records()]
        return [(sender, message) for sender, message in said if not isinstance(message, SUPERVISION)]


def specs_of(config: Config, symbols: Iterable[str]) -> dict[str, SymbolSpec]:
    return {symbol: spec_for(symbol, config, spec_id=number) for number, symbol in enumerate(symbols, start=1)}


def market_of(config: Config, specs: dict[str, SymbolSpec], *, seed: int, every_ms: int) -> SyntheticMarket:
    typical = {symbol: round((typical_price(symbol, config) or 1) * 10**spec.digits) for symbol, spec in specs.items()}
    return SyntheticMarket(specs, seed=seed, start_utc_ms=MONDAY_UTC_MS, quote_every_ms=every_ms, typical_price_points=typical)


def recorded(market: SyntheticMarket, count: int) -> list[RecordedQuote]:
    quotes = [next(market) for _ in range(count)]
    return [(row, symbol, q.time_utc_ms, q.bid_points, q.ask_points) for row, (symbol, q) in enumerate(quotes)]


def scene(
    config: Config,
    specs: dict[str, SymbolSpec],
    *,
    daily: Any = None,
    faults: FaultScript | None = None,
    sabotage: Callable[[ChildSpec], ChildSpec] = lambda spec: spec,
    start: bool = True,
    after: Scene | None = None,
    host_of: type[SteppedHost] = SteppedHost,
    restart_after_ms: int | None = None,
    more_edges: Callable[[World, Callable[[], SteppedHost]], Mapping[str, Callable[[], Any]]] = lambda world, host: {},
) -> Scene:
    """Boot every child over an empty account, or over that of a scene whose process has died, where its journal ends;
    `sabotage` may replace how a child is made, `more_edges` are what supervisor.children says; the host is there later."""
    clock = after.host.clock if after else ManualClock(MONDAY_UTC_MS - 60_000)
    terminal = after.terminal if after else terminal_of(config, specs, faults=faults, daily=daily)
    world = world_of(config, specs, terminal, clock)
    hosts: list[SteppedHost] = []
    childs = [sabotage(spec) for spec in children(world, more_edges(world, lambda: hosts[0]))]
    journal = after.journal if after else MemoryJournal()
    last_seq = len(journal.bodies)
    publisher = Publisher(routes=route_table(childs), codec=CODEC, clock=clock, journal=journal, last_seq=last_seq)
    ledgers = ledgers_from(after.records(), {}, childs, CODEC) if after else None
    host = host_of(childs, publisher=publisher, clock=clock, ledgers=ledgers, restart_after_ms=restart_after_ms)
    hosts.append(host)
    again = msgspec.structs.replace(STARTED, continued=True, crashed=True)
    publisher.publish(SUPERVISOR, 0, [again if after else STARTED])
    host.boot()
    if start:
        host.say("person", [StartTrading("start-1", "test")])
    return Scene(host, terminal, journal, EveryTick(host, terminal))


def terminal_of(
    config: Config, specs: dict[str, SymbolSpec], *, faults: FaultScript | None = None, daily: Any = None
) -> SimulatedTerminal:
    """An account of 10,000.00 USD at 1:100."""
    rules = {symbol: profit_rule(symbol, config) for symbol in specs}
    return SimulatedTerminal(
        specs,
        start_balance_cents=1_000_000,
        currency="USD",
        currency_digits=2,
        leverage=100,
        profit_cents=lambda spec, points, steps, close: rules[spec.symbol](spec, points, steps, close),
        faults=faults,
        daily=daily or {},
    )


def world_of(config: Config, specs: dict[str, SymbolSpec], terminal: SimulatedTerminal, clock: Clock) -> World:
    return World(config, specs, terminal, clock, QuoteBoard(), Gate(), terminal.ticks, lambda: 0)


class LiveLikeHost(SteppedHost):
    """Writes down what follows from the quotes too, as a live run does, so that its journal can be decided again."""

    def poke(self, name: str, look: Callable[[Any], Sequence[Message]], *, row: int = NO_ROW, derived: bool = False) -> None:
        super().poke(name, look, row=row, derived=False)


class Killed(Exception):
    """Raised on purpose."""


class Saboteur:
    """Makes children that raise once, before or after they handle the `nth` message (1-based, over all incarnations)."""

    def __init__(self, make: Callable[[], Any], kind: Kind, nth: int, *, after: bool) -> None:
        self.heard: list[str] = []
        """The kind of each message, in order."""
        self._make = make
        self._nth = nth
        self._after = after
        self._wrap = SabotagedEdge if kind is Kind.EDGE else SabotagedActor
        self._struck = False

    def __call__(self) -> "SabotagedActor | SabotagedEdge":
        return self._wrap(self._make(), self)

    def strike(self, message: Message, *, after: bool) -> None:
        """Told at both ends of each message; raises Killed where the blow falls."""
        if not after:
            self.heard.append(type(message).__name__)
        if len(self.heard) == self._nth and after == self._after and not self._struck:
            self._struck = True
            raise Killed(f"{'after' if after else 'before'} the handler of message {self._nth}")


class SabotagedActor:
    def __init__(self, actor: Any, saboteur: Saboteur) -> None:
        self._actor = actor
        self._saboteur = saboteur

    @property
    def state(self) -> Any:
        return self._actor.state

    @state.setter
    def state(self, state: Any) -> None:
        self._actor.state = state

    def handle(self, message: Message, now_utc_ms: int) -> Sequence[Message]:
        self._saboteur.strike(message, after=False)
        said: Sequence[Message] = self._actor.handle(message, now_utc_ms)
        self._saboteur.strike(message, after=True)
        return said


def messages_of(name: str, tell: Callable[..., Scene]) -> int:
    """How many messages the child `name` hears in a story."""
    return len(heard_by(name, tell))


def heard_by(name: str, tell: Callable[..., Scene]) -> Sequence[str]:
    """The kind of each message that the child `name` hears in a story."""
    saboteurs: list[Saboteur] = []

    def count(spec: ChildSpec) -> ChildSpec:
        if spec.name != name:
            return spec
        saboteurs.append(Saboteur(spec.make, spec.kind, 0, after=False))
        return msgspec.structs.replace(spec, make=saboteurs[0])

    tell(sabotage=count)
    return saboteurs[0].heard


def sabotaged(name: str, nth: int, *, after: bool) -> Callable[[ChildSpec], ChildSpec]:
    """Wrap the child `name`; the others are left as they are."""
    return lambda spec: (
        msgspec.structs.replace(spec, make=Saboteur(spec.make, spec.kind, nth, after=after)) if spec.name == name else spec
    )


def shared_data(name: str) -> Path:
    """A file of real market data beside the project; it may be absent."""
    return Path(__file__).parents[2] / "shared" / "data" / name


class SabotagedEdge:
    """An edge that raises when it hears something: before it remembers it, or after it acted, when the answer is lost."""

    def __init__(self, edge: Any, saboteur: Saboteur) -> None:
        self._edge = edge
        self._saboteur = saboteur

    def __getattr__(self, name: str) -> Any:
        return getattr(self._edge, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_edge", "_saboteur"):
            object.__setattr__(self, name, value)
        else:
            setattr(self._edge, name, value)

    def act(self, message: Message, at: Any) -> Sequence[Message]:
        self._saboteur.strike(message, after=False)
        said: Sequence[Message] = self._edge.act(message, at)
        self._saboteur.strike(message, after=True)
        return said
