"""Which closed bars the actors must hear in a replay that jumps, and what becomes of those that they do not.

The actors are those of a live run. An actor that hears bars has a foresight beside it, which knows all prices and reads the
actor's state: it says which bar the actor must hear next, and brings the state up to date with the bars that nobody said.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Protocol

from evenkeel.config.circuit_breaker import CircuitBreakerConfig
from evenkeel.config.limits import LimitsConfig
from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.bars import NEVER_UTC_MS, PERIOD_MS
from evenkeel.rules.circuit_breaker import known_pairs
from evenkeel.rules.foresight import HourCourse, MarketCourse, first_of_hours
from evenkeel.rules.price_search import PriceSearch
from evenkeel.rules.quiet_equity import quiet_closes
from evenkeel.rules.risk_limit import needs_equity


class BarForesight(Protocol):
    def next_bar_utc_ms(self, child: Any, symbol: str, from_utc_ms: int) -> int:
        """The end of the first bar, ending then or later, that the child must hear."""
        ...

    def pass_over(self, child: Any, symbol: str, count: int) -> None:
        """The first `count` M1 bars of the symbol have closed, the newest of them unheard."""
        ...


class EveryBar:
    """Of a child about which nothing is known: it must hear each bar."""

    def next_bar_utc_ms(self, child: Any, symbol: str, from_utc_ms: int) -> int:
        return from_utc_ms

    def pass_over(self, child: Any, symbol: str, count: int) -> None:
        raise AssertionError(f"{symbol}: bars were passed over that had to be heard")


class EveryBarOf:
    """Of a child to which only the bars of one timeframe longer than M1 are anything: it must hear each of those."""

    def __init__(self, timeframe: str) -> None:
        self._period_ms = PERIOD_MS[timeframe]

    def next_bar_utc_ms(self, child: Any, symbol: str, from_utc_ms: int) -> int:
        return -(-from_utc_ms // self._period_ms) * self._period_ms

    def pass_over(self, child: Any, symbol: str, count: int) -> None:
        """Those of M1 leave no trace."""


class RiskForesight:
    """The account's limits must hear the bars at which one may trip or recover, or the peak of equity rises."""

    def __init__(self, limits: LimitsConfig, minutes: Mapping[str, Bars]) -> None:
        self._limits, self._samples_equity, self._minutes = limits, needs_equity(limits), minutes
        self._hours: dict[str, HourCourse] = {}
        if limits.correlated_risk_pct != "off":
            self._hours = {symbol: HourCourse(bars) for symbol, bars in minutes.items()}
        self._closes: dict[str, PriceSearch] = {}
        if self._samples_equity:
            self._closes = {symbol: PriceSearch(bars.close_points, bars.close_ask_points) for symbol, bars in minutes.items()}

    def next_bar_utc_ms(self, child: Any, symbol: str, from_utc_ms: int) -> int:
        if not self._samples_equity or not _is_exposed(child, symbol):
            return NEVER_UTC_MS
        opens_utc_ms = self._minutes[symbol].open_utc_ms
        first = int(opens_utc_ms.searchsorted(from_utc_ms - PERIOD_MS["M1"]))
        bar = self._closes[symbol].first_outside(first, quiet_closes(self._limits, child.state, symbol))
        return int(opens_utc_ms[bar]) + PERIOD_MS["M1"] if bar < len(opens_utc_ms) else NEVER_UTC_MS

    def pass_over(self, child: Any, symbol: str, count: int) -> None:
        """Of equity only the last bar leaves a trace."""
        if symbol in self._hours:
            child.state.hours[symbol] = self._hours[symbol].after(count)
        if self._samples_equity and _is_exposed(child, symbol):
            minutes = self._minutes[symbol]
            said = child.mark(symbol, int(minutes.close_points[count - 1]), int(minutes.close_ask_points[count - 1]))
            assert not said, f"{symbol}: a bar that was passed over would have said {said}"


class BreakerForesight:
    """The circuit breaker must hear the bars that show a level, and of pairs the first bar of each hour."""

    def __init__(self, config: CircuitBreakerConfig, minutes: Mapping[str, Bars]) -> None:
        self._courses = {symbol: MarketCourse(config, bars) for symbol, bars in minutes.items()}
        paired = {symbol for pair in known_pairs(config, tuple(minutes)).values() for symbol in pair}
        self._hours = {symbol: HourCourse(bars) for symbol, bars in minutes.items() if symbol in paired}
        self._ends_utc_ms: dict[str, list[int]] = {}
        for symbol, bars in minutes.items():
            wanted = {*self._courses[symbol].trips, *(first_of_hours(bars) if symbol in paired else ())}
            self._ends_utc_ms[symbol] = [int(bars.open_utc_ms[number]) + PERIOD_MS["M1"] for number in sorted(wanted)]

    def next_bar_utc_ms(self, child: Any, symbol: str, from_utc_ms: int) -> int:
        ends_utc_ms = self._ends_utc_ms[symbol]
        place = bisect_left(ends_utc_ms, from_utc_ms)
        return ends_utc_ms[place] if place < len(ends_utc_ms) else NEVER_UTC_MS

    def pass_over(self, child: Any, symbol: str, count: int) -> None:
        child.state.markets[symbol] = self._courses[symbol].market_after(count)
        if symbol in self._hours:
            child.state.hours[symbol] = self._hours[symbol].after(count)


def _is_exposed(risk_limit: Any, symbol: str) -> bool:
    return any(held.symbol == symbol for held in risk_limit.state.book.holdings.values())
