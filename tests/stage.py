"""A stage for stories: a scene on the stepped host with a hand on its prices, its broker and its signals.

Signals come from a person's hand; a stop is 5 pips away, a target 10, the broker's stop 35; readings lie two seconds apart.
"""

from typing import Any

from builders import MONDAY_UTC_MS, Scene, config_of, scene, specs_of

from evenkeel.adapters.simulated.faults import Call, Fault, FaultKind, FaultScript
from evenkeel.messages.broker_gateway import CallTerminal, DealDone, DealEntry, ReadTerminal
from evenkeel.messages.entry import Lineage, SignalRaised
from evenkeel.messages.market import DailyRange, Direction

CONFIG = config_of(circuit_breaker__enabled=False, exit__time_stop_minutes="off", strategy={})
SPECS = specs_of(CONFIG, ("EURUSD", "GBPUSD"))
DAILY = {symbol: [DailyRange(110_700, 110_000, 110_350)] * 15 for symbol in SPECS}
READINGS_AT_START = 3
"""Of the positions, before anything is told; `Stage.tickets` is one more each time."""
BUY, SELL = Direction.BUY, Direction.SELL


class Stage:
    """A scene with a hand on it. Prices are bids; the ask is 10 points above."""

    def __init__(self, *faults: Fault, config: Any = CONFIG, **changes: Any) -> None:
        self.scene: Scene = scene(config, SPECS, daily=DAILY, faults=FaultScript(faults), **changes)
        self.now_utc_ms, self.row = MONDAY_UTC_MS, 0
        self.quote(110_000)
        self.quote(110_000, "GBPUSD")

    def quote(self, bid: int, symbol: str = "EURUSD", *, after_ms: int = 100) -> None:
        self.now_utc_ms, self.row = self.now_utc_ms + after_ms, self.row + 1
        self.scene.replay.serve([(self.row, symbol, self.now_utc_ms, bid, bid + 10)])
        self.scene.host.advance_to(self.now_utc_ms, inclusive=True)

    def wait(self, seconds: float) -> None:
        """Timers fire; no price moves."""
        self.now_utc_ms += round(seconds * 1000)
        self.scene.host.advance_to(self.now_utc_ms, inclusive=True)

    def tell(self, *messages: Any) -> None:
        self.scene.host.say("person", messages)

    def signal(self, direction: Direction = BUY, symbol: str = "EURUSD") -> None:
        quote = self.scene.terminal.quote(symbol)
        assert quote is not None
        self.tell(SignalRaised(symbol, SPECS[symbol].spec_id, direction, quote, 0, 10, Lineage("person", "")))

    def look(self) -> None:
        """Somebody wants a reading."""
        self.tell(ReadTerminal(99))

    def said(self, *kinds: Any) -> list[Any]:
        return self.scene.said(*kinds)

    def last(self, kind: Any) -> Any:
        return self.said(kind)[-1]

    def calls(self, kind: Any) -> list[CallTerminal]:
        return [call for call in self.said(CallTerminal) if isinstance(call.request, kind)]

    def bought(self) -> int:
        """How many positions were ever opened at the broker by us."""
        return sum(done.deal.entry is DealEntry.IN and done.deal.magic > 0 for done in self.said(DealDone))

    @property
    def tickets(self) -> list[int]:
        """What the broker holds."""
        return [position.ticket for position in self.scene.terminal.positions() or ()]

    @property
    def book(self) -> Any:
        return self.scene.host.child("broker_gateway").state.book


def held(*faults: Fault, **changes: Any) -> tuple[Stage, int]:
    """A stage with one long position, priced and agreed."""
    stage = Stage(*faults, **changes)
    stage.signal()
    (ticket,) = stage.tickets
    return stage, ticket


def blind(nth: int, count: int) -> list[Fault]:
    """Positions cannot be read, `count` times from the `nth` on."""
    return [fault(FaultKind.UNREADABLE, Call.POSITIONS, at) for at in range(nth, nth + count)]


def fault(kind: FaultKind, on: Call, nth: int = 1, **how: Any) -> Fault:
    return Fault(kind, on, nth, **how)
