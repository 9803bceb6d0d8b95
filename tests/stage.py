"""A scene with a hand on it: signals come from a person, prices are told, the broker fails by script.

A stop is 5 pips away, a target 10, the broker's stop 35; readings lie two seconds apart.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from builders import MONDAY_UTC_MS, Killed, Scene, config_of, scene, specs_of

from evenkeel.adapters.simulated.faults import Call, Fault, FaultKind, FaultScript
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.messages.broker_gateway import CallTerminal, DealDone, DealEntry, ReadTerminal
from evenkeel.messages.entry import DenialReason, Lineage, OrderDenied, SignalRaised
from evenkeel.messages.market import DailyRange, Direction
from evenkeel.runtime.shell import ChildSpec

CONFIG = config_of(circuit_breaker__enabled=False, exit__time_stop_minutes="off", strategy={})
SPECS = specs_of(CONFIG, ("EURUSD", "GBPUSD"))
DAILY = {symbol: [DailyRange(110_700, 110_000, 110_350)] * 15 for symbol in SPECS}
READINGS_AT_START = 3
"""Of the positions, before anything is told; `Stage.tickets` is one more each time."""
BUY, SELL = Direction.BUY, Direction.SELL


class Stage:
    """A scene with a hand on it. Prices are bids; the ask is 10 points above."""

    def __init__(self, *faults: Fault, config: Any = CONFIG, **changes: Any) -> None:
        self.config = config
        self.scene: Scene = scene(config, SPECS, daily=DAILY, faults=FaultScript(faults), **changes)
        self.now_utc_ms, self.row = MONDAY_UTC_MS, 0
        self.quote(110_000)
        self.quote(110_000, "GBPUSD")

    def restart(self) -> None:
        """The process dies; the next one goes on where the journal ends."""
        self.scene = scene(self.config, SPECS, start=False, after=self.scene)

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

    def signal(self, direction: Direction = BUY, symbol: str = "EURUSD", strategy: str = "") -> None:
        quote = self.scene.terminal.quote(symbol)
        assert quote is not None
        self.tell(SignalRaised(symbol, SPECS[symbol].spec_id, direction, quote, 0, 10, Lineage("person", strategy)))

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
    def terminal(self) -> SimulatedTerminal:
        return self.scene.terminal

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


class Mined:
    """A child that raises at some of the times, counted from 1 over all incarnations, that it handles (an edge: remembers) such
    a message."""

    def __init__(self, actor: Any, is_such: Callable[[Any], bool], times: set[int], count: Iterator[int]) -> None:
        self.__dict__.update(actor=actor, is_such=is_such, times=times, count=count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.actor, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.actor, name, value)

    def handle(self, message: Any, now_utc_ms: int) -> Sequence[Any]:
        if self.is_such(message) and next(self.count) in self.times:
            raise Killed(type(message).__name__)
        said: Sequence[Any] = self.actor.handle(message, now_utc_ms)
        return said

    def remember(self, message: Any) -> None:
        if self.is_such(message) and next(self.count) in self.times:
            raise Killed(type(message).__name__)
        self.actor.remember(message)


def mined(name: str, is_such: Callable[[Any], bool], times: set[int]) -> Callable[[ChildSpec], ChildSpec]:
    count = itertools.count(1)

    def lay(spec: ChildSpec) -> ChildSpec:
        if spec.name != name:
            return spec
        return msgspec.structs.replace(spec, make=lambda: Mined(spec.make(), is_such, times, count))

    return lay


def denial(stage: Stage) -> tuple[DenialReason, str]:
    denied = stage.last(OrderDenied)
    return denied.reason, denied.detail
