"""When the circuit breaker is sampled in a replay that jumps: at the times at which it may trip, not at all the others."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Final

from evenkeel.adapters.history.quotes import Quotes
from evenkeel.config.circuit_breaker import CircuitBreakerConfig
from evenkeel.messages.market import SymbolSpec
from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.bars import multiple_after
from evenkeel.rules.foresight import usual_spreads, wide_samples

BREAKER: Final = "circuit_breaker"


class ForeseenSamples:
    """`minutes` are the M1 bars of the whole replay, by symbol. Other owners are sampled as they ask."""

    def __init__(self, config: CircuitBreakerConfig, minutes: Mapping[str, Bars], specs: Mapping[str, SymbolSpec]) -> None:
        self._config, self._minutes = config, minutes
        self._every_ms = max(1, round(config.sample_s * 1000))
        self._usual = {symbol: usual_spreads(bars, specs[symbol].typical_spread_points) for symbol, bars in minutes.items()}
        self._times_utc_ms: dict[str, list[int]] = {symbol: [] for symbol in minutes}
        self._ends_utc_ms: dict[str, int] = {}

    def look(self, symbol: str, quotes: Quotes, end_utc_ms: int) -> None:
        """Look at the symbol's quotes of a stretch that ends at that time; what comes later is not known yet."""
        still = self._times_utc_ms[symbol]
        still = still[bisect_left(still, self._ends_utc_ms.get(symbol, 0)) :]  # no quote has come since that would sample then
        found: list[int] = []
        if len(quotes.row):
            spread_points = quotes.ask_points - quotes.bid_points
            found = wide_samples(
                self._config, self._every_ms, quotes.time_utc_ms, spread_points, self._minutes[symbol], self._usual[symbol]
            )
        self._times_utc_ms[symbol] = sorted({*still, *found, multiple_after(end_utc_ms, self._every_ms)})
        self._ends_utc_ms[symbol] = end_utc_ms

    def after(self, owner: str, symbol: str, utc_ms: int, every_ms: int) -> int:
        """For the feed: the next time after `utc_ms` at which `owner` is sampled."""
        if owner != BREAKER:
            return multiple_after(utc_ms, every_ms)
        times_utc_ms = self._times_utc_ms[symbol]
        place = bisect_right(times_utc_ms, utc_ms)
        return times_utc_ms[place] if place < len(times_utc_ms) else multiple_after(utc_ms, every_ms)
