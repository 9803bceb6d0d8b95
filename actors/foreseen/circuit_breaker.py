"""The circuit breaker in a replay that jumps: what trips it follows from prices alone, so it is found beforehand."""

from bisect import bisect_left
from collections.abc import Mapping

from evenkeel.actors.circuit_breaker import CircuitBreaker
from evenkeel.config.schema import CircuitBreakerConfig
from evenkeel.messages.market import BarClosed
from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.bars import NEVER_UTC_MS, PERIOD_MS
from evenkeel.rules.foresight import atr_trips


class ForeseenBreaker(CircuitBreaker):
    """Hears only the bars that trip. `minutes` are the M1 bars of the whole replay, by symbol, the last one open."""

    def __init__(self, config: CircuitBreakerConfig, minutes: Mapping[str, Bars]) -> None:
        super().__init__(config, tuple(minutes))
        self._reasons = {symbol: atr_trips(config, bars.cut(0, max(0, bars.size - 1))) for symbol, bars in minutes.items()}
        self._ends_utc_ms = {
            symbol: [open_utc_ms + PERIOD_MS["M1"] for open_utc_ms in reasons] for symbol, reasons in self._reasons.items()
        }

    def reason_after(self, bar: BarClosed) -> str | None:
        return self._reasons[bar.symbol].get(bar.open_utc_ms)

    def next_bar_utc_ms(self, symbol: str, from_utc_ms: int) -> int:
        """The end of the first bar, ending then or later, that trips."""
        ends_utc_ms = self._ends_utc_ms[symbol]
        place = bisect_left(ends_utc_ms, from_utc_ms)
        return ends_utc_ms[place] if place < len(ends_utc_ms) else NEVER_UTC_MS

    def pass_over(self, symbol: str, open_utc_ms: int) -> None:
        """Bars that opened before that time have closed unheard: nothing of them is kept."""
