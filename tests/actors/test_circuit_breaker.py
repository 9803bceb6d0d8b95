from collections.abc import Sequence
from typing import Any

import pytest

from evenkeel.actors.circuit_breaker import CircuitBreaker
from evenkeel.config.circuit_breaker import CircuitBreakerConfig
from evenkeel.messages.broker_gateway import OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import BarClosed, Direction, Quote, QuotesResumed, QuotesStale, SampleDue, WantSamples
from evenkeel.messages.operator import ACCOUNT, HoldEnded, HoldPlaced, LowerMode, Mode, TradingRearmed
from evenkeel.messages.position import CloseFailed, CloseFailure
from evenkeel.messages.system import ChildDown, Message, RunStarted, SetTimer, TimerDue
from evenkeel.runtime.actor import restore, snapshot_of

MINUTE_MS = 60_000
MONDAY_UTC_MS = 1_767_571_200_000
SATURDAY_UTC_MS = MONDAY_UTC_MS - 36 * 60 * MINUTE_MS
CONFIG = CircuitBreakerConfig(atr_bars=2)
STARTED = RunStarted("build", "configuration", "account", 1, True, False)
QUOTE = Quote(0, 110_000, 110_010)
REJECTED = OrderRejected("p-1", "EURUSD", Direction.BUY, 7, 10_006, "rejected", Lineage("signal", "trend"))
UNKNOWN = OrderOutcomeUnknown("p-1", "EURUSD", Direction.BUY, 7, "no answer", Lineage("signal", "trend"))
CRASHED = ChildDown("position/EURUSD", 1, 1, "error")
CLOSE_REJECTED = CloseFailed(1001, "EURUSD", 1, CloseFailure.REJECTED, "requote")


class Told:
    """A breaker with its time: what it is told, what it says, and timers that fire when `wait` passes them."""

    def __init__(self, config: CircuitBreakerConfig = CONFIG, symbols: tuple[str, ...] = ("EURUSD", "GBPUSD")) -> None:
        self.actor, self.now_utc_ms = CircuitBreaker(config, symbols), MONDAY_UTC_MS
        self.said: list[Message] = []
        self.timers: dict[str, int] = {}

    def tell(self, *messages: Any) -> list[Message]:
        """What follows of them, timers left out."""
        said = [one for message in messages for one in self.actor.handle(message, self.now_utc_ms)]
        self.timers |= {one.name: one.due_utc_ms for one in said if isinstance(one, SetTimer)}
        told = [one for one in said if not isinstance(one, SetTimer)]
        self.said += told
        return told

    def wait(self, minutes: float) -> list[Message]:
        """Timers fire at their time."""
        until_utc_ms, before = self.now_utc_ms + round(minutes * MINUTE_MS), len(self.said)
        while due := [name for name, due_utc_ms in self.timers.items() if due_utc_ms <= until_utc_ms]:
            name = min(due, key=self.timers.__getitem__)
            due_utc_ms = self.timers.pop(name)
            self.now_utc_ms = max(self.now_utc_ms, due_utc_ms)
            self.tell(TimerDue("circuit_breaker", name, due_utc_ms))
        self.now_utc_ms = until_utc_ms
        return self.said[before:]

    def restart(self) -> None:
        """The process dies: what is left is the state."""
        before = self.actor
        self.actor, self.timers = CircuitBreaker(before.config, before.symbols), {}
        restore(self.actor, snapshot_of(before))
        self.tell(STARTED)

    def level(self, scope: str = "EURUSD") -> str:
        found = self.actor.state.scopes.get(scope)
        return "normal" if found is None else found.standing.level.value


def sample(spread_points: int, symbol: str = "EURUSD") -> SampleDue:
    return SampleDue("circuit_breaker", symbol, 1, Quote(0, 110_000, 110_000 + spread_points), 0, 10)


def bar(number: int, reach: int, *, timeframe: str = "M1", late: bool = False, symbol: str = "EURUSD") -> BarClosed:
    """The minute of that number, flat but for its reach."""
    at = MONDAY_UTC_MS + number * MINUTE_MS
    quote = Quote(at + MINUTE_MS, 110_000, 110_010)
    high = 110_000 + reach
    return BarClosed(symbol, 1, timeframe, at, 110_000, high, 110_000, 110_000, 110_010, 10, 10, 5, quote, late=late)


def calm(told: Told, count: int = 15 * 14) -> Told:
    assert told.tell(*(bar(number, 20) for number in range(count))) == []
    return told


def levels(said: Sequence[Message]) -> list[tuple[str, int]]:
    return [(change.level.value, change.phase) for change in said if isinstance(change, BreakerChanged)]


def holds(said: Sequence[Message]) -> list[Message]:
    return [one for one in said if isinstance(one, HoldPlaced | HoldEnded)]


def test_it_asks_for_samples_of_each_symbol() -> None:
    assert Told().tell(STARTED) == [WantSamples("circuit_breaker", name, 5_000) for name in ("EURUSD", "GBPUSD")]
    assert Told(CircuitBreakerConfig(spread_ratio="off")).tell(STARTED)[0] == WantSamples("circuit_breaker", "EURUSD", 0)


@pytest.mark.parametrize("spread_points, level, size_ppm", [(30, "yellow", 500_000), (50, "orange", 250_000)])
def test_a_wide_spread_makes_orders_of_its_symbol_smaller(spread_points: int, level: str, size_ppm: int) -> None:
    told = Told()
    reason = f"spread of {spread_points} points is {spread_points / 10:g} times its median 10 or more"
    [change] = told.tell(sample(spread_points))
    assert change == BreakerChanged("EURUSD", BreakerLevel(level), 0, size_ppm, 0, reason, sample(spread_points).quote)
    assert told.level("GBPUSD") == "normal"


def test_a_level_is_said_once_and_left_after_a_quiet_period() -> None:
    told = Told()
    told.tell(sample(50))
    assert told.tell(sample(50), sample(40), sample(50)) == []
    assert levels(told.wait(15)) == [("yellow", 0)]
    assert levels(told.wait(14.9)) == []
    assert levels(told.wait(0.1)) == [("normal", 0)]
    assert told.actor.state.scopes == {}


def test_a_level_that_goes_on_is_not_left() -> None:
    told = Told()
    for _ in range(10):
        told.tell(sample(50))
        told.wait(10)
    assert levels(told.said) == [("orange", 0)]


def test_red_halts_entries_until_the_restart_lets_them_in_small() -> None:
    told = Told()
    start_utc_ms = told.now_utc_ms
    red, hold = told.tell(sample(100))
    assert isinstance(red, BreakerChanged)
    assert isinstance(hold, HoldPlaced)
    assert (red.size_ppm, red.phase) == (250_000, 1)
    assert (hold.who, hold.scope, hold.until_utc_ms) == ("circuit_breaker", "EURUSD", start_utc_ms + 45 * MINUTE_MS)
    assert levels(told.wait(44)) == [("orange", 1), ("yellow", 2)]
    said = told.wait(1)
    assert HoldEnded("circuit_breaker", "EURUSD") in said
    assert [change.size_ppm for change in said if isinstance(change, BreakerChanged)] == [250_000]
    assert levels(told.wait(1_000)) == [("normal", 4), ("normal", 0)]


def test_a_hold_is_prolonged_before_it_ends_and_not_at_each_measure() -> None:
    told = Told()
    for _ in range(120):
        told.tell(sample(100))
        told.wait(0.5)
    placed = [hold for hold in holds(told.said) if isinstance(hold, HoldPlaced)]
    assert len(placed) <= 5
    assert placed[-1].until_utc_ms > told.now_utc_ms
    assert not [hold for hold in holds(told.said) if isinstance(hold, HoldEnded)]


def test_a_move_at_red_asks_for_nearer_stops_with_the_price_that_it_has() -> None:
    told = calm(Told())
    red, _ = told.tell(bar(210, 200))
    assert isinstance(red, BreakerChanged)
    assert (red.level, red.atr_points, red.quote) == (BreakerLevel.RED, 200, bar(210, 200).quote)


def test_a_move_after_a_spread_at_red_asks_for_nearer_stops_too() -> None:
    told = calm(Told())
    told.tell(sample(100))
    [again] = told.tell(bar(210, 200))
    assert isinstance(again, BreakerChanged)
    assert (again.level, again.atr_points) == (BreakerLevel.RED, 200)
    assert told.tell(bar(211, 220)) == []


@pytest.mark.parametrize("reach, level", [(80, "yellow"), (120, "orange"), (200, "red"), (33_000, "black")])
def test_every_level_is_reached_by_prices_and_left_by_time_alone(reach: int, level: str) -> None:
    told = calm(Told())
    told.tell(bar(210, reach))
    assert told.level() == level
    for number in range(211, 216):  # it came back at once, and moves no more
        told.tell(bar(number, 20))
    assert told.level() == level
    told.tell(TradingRearmed("person", 1))
    told.wait(1_000)
    assert told.level() == "normal"


def test_volatility_is_measured_when_a_quarter_of_an_hour_closes() -> None:
    told = calm(Told(CircuitBreakerConfig(atr_bars=2, move_atr="off")))
    assert told.tell(*(bar(210 + number, 60) for number in range(14))) == []
    [change] = told.tell(bar(224, 60))
    assert isinstance(change, BreakerChanged)
    assert change.reason == "ATR of 40 points is 2 times its median 20 or more"


def test_black_holds_without_an_end_until_a_person_rearms() -> None:
    told = Told()
    black, hold = told.tell(bar(0, 33_000))
    assert isinstance(black, BreakerChanged)
    assert isinstance(hold, HoldPlaced)
    assert (black.level, hold.until_utc_ms) == (BreakerLevel.BLACK, 0)
    assert not holds(told.wait(5_000))
    assert told.level() == "normal"
    [placed] = holds(told.tell(TradingRearmed("person", 1)))
    assert isinstance(placed, HoldPlaced)
    assert placed.until_utc_ms > 0
    assert [type(hold) for hold in holds(told.wait(100))] == [HoldPlaced, HoldEnded]


def test_black_of_the_account_flattens_it() -> None:
    told = Told(CircuitBreakerConfig(errors_per_hour=(1, 2, 3, 4)))
    told.tell(REJECTED, UNKNOWN, CRASHED)
    assert told.level(ACCOUNT) == "red"
    black, mode, _ = told.tell(CLOSE_REJECTED)
    assert isinstance(black, BreakerChanged)
    assert (black.scope, black.level) == (ACCOUNT, BreakerLevel.BLACK)
    assert mode == LowerMode(Mode.FLATTEN, "circuit_breaker", "4 errors in an hour, 4 or more")


@pytest.mark.parametrize("error", [REJECTED, UNKNOWN, CRASHED, CLOSE_REJECTED])
def test_errors_count_for_the_account(error: Message) -> None:
    told = Told()
    assert told.tell(*[error] * 4) == []
    assert levels(told.tell(*[error] * 16)) == [("yellow", 0), ("orange", 0), ("red", 1)]
    assert [told.level(scope) for scope in (ACCOUNT, "EURUSD")] == ["red", "normal"]


def test_a_close_that_is_only_late_is_no_error() -> None:
    late = CloseFailed(1001, "EURUSD", 1, CloseFailure.STILL_OPEN, "still there")
    assert Told().tell(*[late] * 50) == []


def test_errors_of_the_last_hour_keep_their_level() -> None:
    told = Told()
    told.tell(*[REJECTED] * 5)
    told.wait(59)
    assert told.level(ACCOUNT) == "yellow"
    told.wait(30)
    assert told.level(ACCOUNT) == "normal"


def test_silence_grows_from_level_to_level_by_timers_and_is_not_taken_for_quiet() -> None:
    told = Told()
    assert told.tell(QuotesStale("EURUSD", 5_000)) == []
    assert levels(told.wait(0.9)) == []
    assert levels(told.wait(0.1)) == [("yellow", 0)]
    assert levels(told.wait(60)) == [("orange", 0)]
    told.tell(QuotesResumed("EURUSD"))
    assert levels(told.wait(60)) == [("yellow", 0), ("normal", 0)]


def test_nobody_expects_quotes_at_the_weekend() -> None:
    told = Told()
    told.now_utc_ms = SATURDAY_UTC_MS
    told.tell(QuotesStale("EURUSD", 5_000))
    assert told.wait(600) == []


def test_a_weekend_is_no_quiet_period() -> None:
    told = Told()
    told.now_utc_ms = SATURDAY_UTC_MS - 6 * 60 * MINUTE_MS  # Friday
    told.tell(QuotesStale("EURUSD", 5_000), sample(30))
    assert levels(told.wait(600)) == []


def test_quotes_that_came_back_in_time_are_no_silence() -> None:
    told = Told()
    told.tell(QuotesStale("EURUSD", 5_000), QuotesResumed("EURUSD"))
    assert told.wait(60) == []


def pair_of_bars(told: Told, hours: range, sign: int) -> None:
    for hour in hours:
        for symbol, direction in (("EURUSD", 1), ("GBPUSD", sign)):
            close = 110_000 + direction * (hour * 7919 % 101)
            at = MONDAY_UTC_MS + hour * 60 * MINUTE_MS
            quote = Quote(at + 60 * MINUTE_MS, close, close + 10)
            told.tell(BarClosed(symbol, 1, "M1", at, close, close, close, close, close + 10, 10, 10, 5, quote))


def test_a_pair_that_stops_moving_together_concerns_both() -> None:
    off = dict.fromkeys(("atr_ratio", "move_atr", "gap_atr"), "off")
    told = Told(CircuitBreakerConfig(correlation_pairs=(("EURUSD", "GBPUSD"),), **off))  # type: ignore[arg-type]
    pair_of_bars(told, range(80), 1)
    assert told.said == []
    pair_of_bars(told, range(80, 180), -1)
    assert {change.scope for change in told.said if isinstance(change, BreakerChanged)} == {"EURUSD", "GBPUSD"}
    assert told.level() == told.level("GBPUSD") == "red"


def test_a_late_bar_belongs_to_the_baseline_but_shows_nothing() -> None:
    told = calm(Told())
    assert told.tell(bar(210, 900, late=True)) == []
    assert told.level() == "normal"
    assert levels(told.tell(bar(211, 20)))[0][0] == "red"  # the five minutes still hold it


def test_longer_bars_are_nothing_to_it() -> None:
    told = calm(Told())
    before = snapshot_of(told.actor)
    assert told.tell(bar(210, 500, timeframe="H1")) == []
    assert snapshot_of(told.actor) == before


def test_a_restart_goes_on_in_the_same_phase_with_its_timers() -> None:
    told = calm(Told())
    told.tell(sample(100))
    told.wait(20)
    told.restart()
    assert levels(told.wait(30)) == [("yellow", 2), ("normal", 3)]
    told.restart()
    assert levels(told.wait(1_000)) == [("normal", 4), ("normal", 0)]


def test_its_state_is_small() -> None:
    told = Told()
    told.tell(*(bar(number, 20 + number % 7) for number in range(60 * 24 * 21)))
    assert len(snapshot_of(told.actor)) < 5_000
