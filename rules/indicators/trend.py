"""Which way the last bars lead, as a score of three votes (trading_rules 1.5.6). Unknown and neutral are never aligned."""

from enum import StrEnum
from typing import Final

from evenkeel.messages.market import Direction
from evenkeel.rules.indicators.window import WINDOW_BARS, Window

FAST_BARS: Final = 7
SLOW_BARS: Final = 14
BREAK_BARS: Final = 4
"""Whose extremes the last bar is held against."""
TREND_SCORE_MIN: Final = 2


class Trend(StrEnum):
    BULLISH = "bullish"
    BEARISH = "bearish"
    NEUTRAL = "neutral"


def trend_score(window: Window) -> int | None:
    """-3 to 3: one vote each of averages, closes and extremes; None until there are WINDOW_BARS bars.

    Equal averages or closes have no vote. A last bar that reaches both the high and the low of the bars before it votes for
    both sides, which is for neither. An extreme is reached by touching it.
    """
    candles = window.candles
    if len(candles) < WINDOW_BARS:
        return None
    closes = [candle.close_points for candle in candles[-SLOW_BARS:]]
    last, before = candles[-1], candles[-1 - BREAK_BARS : -1]
    averages = _sign(sum(closes[-FAST_BARS:]) * SLOW_BARS - sum(closes) * FAST_BARS)
    is_new_high = last.high_points >= max(candle.high_points for candle in before)
    is_new_low = last.low_points <= min(candle.low_points for candle in before)
    return averages + _sign(closes[-1] - closes[-2]) + is_new_high - is_new_low


def trend_of(score: int | None) -> Trend | None:
    """None for no score."""
    if score is None:
        return None
    if score >= TREND_SCORE_MIN:
        return Trend.BULLISH
    return Trend.BEARISH if score <= -TREND_SCORE_MIN else Trend.NEUTRAL


def trend_in(window: Window) -> Trend | None:
    """None while too few bars are known."""
    return trend_of(trend_score(window))


def is_aligned(direction: Direction, trend: Trend | None) -> bool:
    """Whether the trend is known and leads the way of a position; a neutral one leads nowhere."""
    match direction:
        case Direction.BUY:
            return trend is Trend.BULLISH
        case Direction.SELL:
            return trend is Trend.BEARISH


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
