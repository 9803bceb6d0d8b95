"""What a re-entry chain looks at beside the price: a symbol's terms and its closed M15 bars (trading_rules 1.5.6, 1.6.5)."""

from typing import Final

import msgspec

from evenkeel.config.chains import SlHuntConfig
from evenkeel.messages.market import BarClosed, Direction, SymbolSpec
from evenkeel.rules.exits import exactly
from evenkeel.rules.indicators.atr import Atr, atr_after, atr_millipoints
from evenkeel.rules.indicators.running_median import RunningMedian, running_median, running_median_after
from evenkeel.rules.indicators.trend import Trend, is_aligned, trend_in
from evenkeel.rules.indicators.window import Window, window_after

TIMEFRAME: Final = "M15"
ATR_BARS: Final = 14
USUAL_BARS: Final = 96
"""A day of M15 bars: whose median ATR is the usual one."""
USUAL_BARS_MIN: Final = 14


class Market(msgspec.Struct):
    """One symbol. `spread_median_points` is the usual spread at its last bar, 0 while there was none."""

    spec: SymbolSpec | None = None
    window: Window = Window()
    atr: Atr = Atr()
    usual_atr: RunningMedian = RunningMedian()
    spread_median_points: int = 0


def take_terms(market: Market, spec: SymbolSpec) -> bool:
    """Whether prices or volumes count differently now: then what was learned from bars is of no use any more."""
    before, market.spec = market.spec, spec
    if before is None or (before.digits, before.steps_per_lot) == (spec.digits, spec.steps_per_lot):
        return False
    market.window, market.atr, market.usual_atr, market.spread_median_points = Window(), Atr(), RunningMedian(), 0
    return True


def take_bar(market: Market, bar: BarClosed) -> None:
    """Late bars too: what they warm up is right, and nothing else is done with them."""
    prices = {"high_points": bar.high_points, "low_points": bar.low_points, "close_points": bar.close_points}
    market.window = window_after(market.window, open_points=bar.open_points, **prices)
    market.atr = atr_after(market.atr, ATR_BARS, **prices)
    atr = atr_millipoints(market.atr, ATR_BARS)
    if atr is not None:
        market.usual_atr = running_median_after(market.usual_atr, USUAL_BARS, atr)
    market.spread_median_points = bar.spread_median_points


def is_against(direction: Direction, trend: Trend | None) -> bool:
    """A clear trend the other way; a neutral or unknown one is against nobody."""
    return trend is (Trend.BEARISH if direction is Direction.BUY else Trend.BULLISH)


def usual_spread_points(market: Market) -> int:
    """Of the last bar, else what the broker calls typical; 0: not known."""
    return market.spread_median_points or (0 if market.spec is None else market.spec.typical_spread_points)


def stands_against(config: SlHuntConfig, market: Market, direction: Direction, *, is_recovery: bool) -> str | None:
    """What a closed bar may change and is not as it must be; None: nothing. Unknown is never as it must be."""
    trend = trend_in(market.window)
    if not is_aligned(direction, trend):
        return f"the trend is {'unknown' if trend is None else trend.value}"
    return _volatility(config, market) if is_recovery else None


def is_too_wide(config: SlHuntConfig, market: Market, spread_points: int) -> bool:
    """For a recovery; where the usual spread is unknown, any is."""
    usual_points = usual_spread_points(market)
    multiple = config.spread_multiple_max
    return multiple != "off" and (usual_points == 0 or spread_points > exactly(multiple) * usual_points)


def _volatility(config: SlHuntConfig, market: Market) -> str | None:
    """The ATR against its own median of a day."""
    least, most = config.atr_ratio_min, config.atr_ratio_max
    if least == "off" and most == "off":
        return None
    atr, usual = atr_millipoints(market.atr, ATR_BARS), running_median(market.usual_atr, USUAL_BARS_MIN)
    if atr is None or not usual:
        return "the usual ATR is unknown"
    is_dull = least != "off" and atr < exactly(least) * usual
    is_wild = most != "off" and atr > exactly(most) * usual
    return f"the ATR is {atr} of usually {usual} thousandths of a point" if is_dull or is_wild else None
