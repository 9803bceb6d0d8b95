"""An account to measure with: 20 symbols whose prices go up and down like a saw, and a strategy that enters at each bar.

Every bar of a symbol sees a position opened and, some quotes later, closed by a crossed level: buys at their target, sells
at their stop. Nothing else in it is made for the measurement: the children are those of a run.
"""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from evenkeel.adapters.gate import Gate
from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.adapters.market_feed_state import QuoteSource
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.world import World
from evenkeel.commands.bench.hosts import SENDER, threaded_host
from evenkeel.config.load import load
from evenkeel.config.schema import Config
from evenkeel.config.units import Off
from evenkeel.messages.broker_gateway import BrokerAgreed
from evenkeel.messages.entry import Lineage, SignalRaised
from evenkeel.messages.market import BarClosed, Direction, PointWorth, Quote, SymbolSpec
from evenkeel.messages.operator import Mode, ModeChanged, StartTrading
from evenkeel.messages.system import Message, RunStarted
from evenkeel.runtime.clock import Clock
from evenkeel.runtime.edge import At
from evenkeel.runtime.publisher import Publisher
from evenkeel.runtime.shell import ChildSpec, Kind
from evenkeel.runtime.threaded import ThreadedHost
from evenkeel.supervisor import CODEC, children, route_table

SYMBOLS: Final = tuple(f"S{number:02}" for number in range(20))
QUOTES_A_BAR: Final = 40
MINUTE_MS: Final = 60_000
QUOTE_EVERY_MS: Final = MINUTE_MS // QUOTES_A_BAR
STAGGER_MS: Final = MINUTE_MS // len(SYMBOLS)
"""Each symbol's minutes are shifted against those of the one before, so that bars close one after another."""
START_UTC_MS: Final = 1_767_614_400_000
"""2026-01-05 12:00 UTC, a Monday."""
LOW_POINTS: Final = 110_000
STEP_POINTS: Final = 10
SPREAD_POINTS: Final = 10
DISTANCE_PIPS: Final = 10.0
QUOTE_AGE_S_MAX: Final = 5.0
READING_EVERY_MS: Final = 5_000
Terminal = TypeVar("Terminal", bound=SimulatedTerminal)
STARTED: Final = RunStarted("bench", "bench", "bench", 1, continued=False, crashed=False)


def saw() -> Iterator[tuple[int, str, Quote]]:
    """The market without end, one symbol after another: the number of each quote, its symbol, and the quote."""
    for row in itertools.count():
        for at, symbol in enumerate(SYMBOLS):
            time_utc_ms = START_UTC_MS + row * QUOTE_EVERY_MS + at * STAGGER_MS
            phase = time_utc_ms // QUOTE_EVERY_MS % QUOTES_A_BAR
            bid_points = LOW_POINTS + STEP_POINTS * min(phase, QUOTES_A_BAR - phase)
            yield row * len(SYMBOLS) + at, symbol, Quote(time_utc_ms, bid_points, bid_points + SPREAD_POINTS)


def number_of(symbol: str, quote: Quote) -> int:
    """Which quote of the market it is."""
    at = SYMBOLS.index(symbol)
    return (quote.time_utc_ms - START_UTC_MS - at * STAGGER_MS) // QUOTE_EVERY_MS * len(SYMBOLS) + at


class Nothing(msgspec.Struct):
    """The state of an edge that has none."""


class Onlooker:
    """An edge that hears and never looks at the world."""

    poll_s: float | None = None

    def __init__(self) -> None:
        self.state = Nothing()

    def remember(self, message: Message, /) -> None:
        """It keeps nothing."""

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        return ()

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        return ()

    def close(self) -> None:
        """It holds nothing."""


class Saw(Onlooker):
    """The strategy: wants to enter whenever a bar closes, long in one half of the symbols, short in the other."""

    def act(self, message: Message, at: At, /) -> Sequence[Message]:
        if not isinstance(message, BarClosed):
            return ()
        direction = Direction.BUY if message.spec_id % 2 else Direction.SELL
        closed_utc_ms = message.quote.time_utc_ms
        lineage = Lineage("strategy", "saw")
        return [SignalRaised(message.symbol, message.spec_id, direction, message.quote, closed_utc_ms, SPREAD_POINTS, lineage)]


class Watcher(Onlooker):
    """In the reporter's seat: sets `ready` when new risk may be taken."""

    def __init__(self, ready: threading.Event) -> None:
        super().__init__()
        self._ready = ready
        self._awaited: set[type[Message]] = {BrokerAgreed, ModeChanged}

    def act(self, message: Message, at: At, /) -> Sequence[Message]:
        if isinstance(message, BrokerAgreed) or (isinstance(message, ModeChanged) and message.mode is Mode.RUN):
            self._awaited.discard(type(message))
        if not self._awaited:
            self._ready.set()
        return ()


@contextlib.contextmanager
def live(
    world: World, journal: LmdbJournal, dress: Callable[[ChildSpec], ChildSpec] = lambda spec: spec
) -> Iterator[tuple[ThreadedHost, threading.Event]]:
    """The account on the threaded host, told to trade, and an event that is set when it does. `dress` may change a child."""
    ready = threading.Event()
    specs = [dress(spec) for spec in all_children(world, {"reporter": lambda: Watcher(ready)})]
    publisher = Publisher(routes=route_table(specs), codec=CODEC, clock=world.clock, journal=journal)
    with threaded_host(specs, publisher, first_words=[STARTED]) as host:
        journal.on_durable(lambda: host.wake("terminal"))
        host.say(SENDER, [StartTrading("start", SENDER)])
        yield host, ready


def all_children(world: World, more_edges: Mapping[str, Callable[[], Any]]) -> list[ChildSpec]:
    return [*children(world, more_edges), ChildSpec("strategy/saw", Kind.EDGE, Saw, essential=False)]


def world_of(
    broker: SimulatedTerminal,
    clock: Clock,
    *,
    gate: Gate | None = None,
    kill_epoch: Callable[[], int] = lambda: 0,
    source: QuoteSource | None = None,
    journal: LmdbJournal | None = None,
) -> World:
    return World(
        config=config("off" if source is None else QUOTE_AGE_S_MAX),
        specs=specs(),
        broker=broker,
        clock=clock,
        board=QuoteBoard(),
        gate=gate or Gate(),
        history=broker.ticks,
        kill_epoch=kill_epoch,
        source=source,
        journal=journal,
        reading_every_ms=None if source is None else READING_EVERY_MS,
    )


def config(quote_age_s_max: float | Off) -> Config:
    """No limit refuses what the strategy wants; the broker is read as soon as that may be."""
    return load(
        None,
        overrides={
            "profile": "plain",
            "limits.quote_age_s_max": quote_age_s_max,
            "limits.slippage_points": 1_000,
            "trading.enabled": True,
            "entry.volume_lots": 0.1,
            "entry.stop_pips": DISTANCE_PIPS,
            "entry.target_pips": DISTANCE_PIPS,
            "entry.cooldown_minutes": 0.0,
            "exit.time_stop_minutes": "off",
            "catastrophe_stop.at_broker": "off",
            "circuit_breaker.enabled": False,
            "broker_gateway.reading_gap_s": 0.0,
        },
    )


def specs() -> dict[str, SymbolSpec]:
    return {symbol: _spec(number, symbol) for number, symbol in enumerate(SYMBOLS, start=1)}


def _spec(spec_id: int, symbol: str) -> SymbolSpec:
    return SymbolSpec(
        spec_id=spec_id,
        symbol=symbol,
        digits=5,
        contract_size=100_000,
        steps_per_lot=100,
        volume_min_steps=1,
        volume_max_steps=10_000,
        stops_level_points=0,
        worth=PointWorth(100, 1),
        notional_cents_per_lot=11_000_000,
        typical_spread_points=SPREAD_POINTS,
    )


def terminal(kind: type[Terminal]) -> Terminal:
    """With more money than it can lose."""
    return kind(
        specs(),
        start_balance_cents=10**12,
        currency="USD",
        currency_digits=2,
        leverage=100,
        profit_cents=lambda spec, points, volume_steps, close_points: points * volume_steps,
    )
