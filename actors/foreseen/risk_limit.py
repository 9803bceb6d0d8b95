"""The account's limits in a replay that jumps: bars that change nothing but equity are taken in when something else happens."""

from bisect import bisect_left
from collections.abc import Mapping

from evenkeel.actors.risk_limit import RiskLimit
from evenkeel.config.schema import Config
from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.bars import NEVER_UTC_MS, PERIOD_MS
from evenkeel.rules.price_search import PriceSearch
from evenkeel.rules.quiet_equity import quiet_closes
from evenkeel.rules.risk_limit import needs_equity


class ForeseenRiskLimit(RiskLimit):
    """Hears only the bars at which a limit may trip or recover, or the peak rises. `minutes`: as for ForeseenBreaker."""

    def __init__(self, config: Config, minutes: Mapping[str, Bars]) -> None:
        super().__init__(config)
        self._samples_equity = needs_equity(config.limits)
        self._minutes = minutes
        self._opens_utc_ms: dict[str, list[int]] = {symbol: bars.open_utc_ms.tolist() for symbol, bars in minutes.items()}
        self._closes = {symbol: PriceSearch(bars.close_points, bars.close_ask_points) for symbol, bars in minutes.items()}

    def next_bar_utc_ms(self, symbol: str, from_utc_ms: int) -> int:
        """The end of the first bar, ending then or later, that it must hear."""
        if not self._samples_equity or not self._is_exposed(symbol):
            return NEVER_UTC_MS
        opens_utc_ms = self._opens_utc_ms[symbol]
        first = bisect_left(opens_utc_ms, from_utc_ms - PERIOD_MS["M1"])
        bar = self._closes[symbol].first_outside(first, quiet_closes(self.config.limits, self.state, symbol))
        return opens_utc_ms[bar] + PERIOD_MS["M1"] if bar < len(opens_utc_ms) else NEVER_UTC_MS

    def pass_over(self, symbol: str, open_utc_ms: int) -> None:
        """Bars that opened before that time have closed unheard: only the last one leaves a trace."""
        if self._samples_equity and self._is_exposed(symbol):
            bar, minutes = bisect_left(self._opens_utc_ms[symbol], open_utc_ms) - 1, self._minutes[symbol]
            said = self.mark(symbol, int(minutes.close_points[bar]), int(minutes.close_ask_points[bar]))
            assert not said, f"{symbol}: a bar that was passed over would have said {said}"

    def _is_exposed(self, symbol: str) -> bool:
        return any(held.symbol == symbol for held in self.state.book.holdings.values())
