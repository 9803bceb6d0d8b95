"""A run of bars against a direction, and the swing that it breaks (trading_rules 1.12 A, iii).

The run is the last `count` closed bars, the swing the extreme of the `swing_bars` bars before the run: were bars of the run
among them, a run that falls from its first bar on would have its own lows to break.
"""

from typing import Final

from evenkeel.messages.market import Direction
from evenkeel.rules.indicators.window import WINDOW_BARS, Candle, Window

SWING_BARS: Final = 10
"""The most, and what is meant where nothing else is said."""
RUN_BARS_MAX: Final = WINDOW_BARS - SWING_BARS


def swing_low_points(window: Window, count: int = 0, swing_bars: int = SWING_BARS) -> int | None:
    """The lowest low of the `swing_bars` bars before the last `count`; None while there are fewer."""
    before = _before(window, count, swing_bars)
    return min(candle.low_points for candle in before) if before else None


def swing_high_points(window: Window, count: int = 0, swing_bars: int = SWING_BARS) -> int | None:
    """The highest high of the `swing_bars` bars before the last `count`; None while there are fewer."""
    before = _before(window, count, swing_bars)
    return max(candle.high_points for candle in before) if before else None


def range_against_points(window: Window, direction: Direction, count: int) -> int | None:
    """From the highest high to the lowest low of the last `count` bars, if each of them closed against `direction`.

    None if one did not, or there are fewer. A bar closes against a buy when its close is below its own open; one that closes
    where it opened is against nobody.
    """
    run = _run(window, count)
    if len(run) < count or not all(_is_against(candle, direction) for candle in run):
        return None
    return max(candle.high_points for candle in run) - min(candle.low_points for candle in run)


def is_beyond_swing(window: Window, direction: Direction, count: int, swing_bars: int = SWING_BARS) -> bool:
    """Whether the last close is beyond the swing before the last `count` bars, against `direction`; unknown is not beyond."""
    match direction:
        case Direction.BUY:
            low_points = swing_low_points(window, count, swing_bars)
            return low_points is not None and window.candles[-1].close_points < low_points
        case Direction.SELL:
            high_points = swing_high_points(window, count, swing_bars)
            return high_points is not None and window.candles[-1].close_points > high_points


def _is_against(candle: Candle, direction: Direction) -> bool:
    match direction:
        case Direction.BUY:
            return candle.close_points < candle.open_points
        case Direction.SELL:
            return candle.close_points > candle.open_points


def _run(window: Window, count: int) -> tuple[Candle, ...]:
    assert 1 <= count <= RUN_BARS_MAX, f"a run of {count} bars is not one of 1 to {RUN_BARS_MAX}"
    return window.candles[-count:]


def _before(window: Window, count: int, swing_bars: int) -> tuple[Candle, ...]:
    """The `swing_bars` bars before the last `count`; empty while there are fewer."""
    assert 0 <= count <= RUN_BARS_MAX, f"{count} bars are more than {RUN_BARS_MAX}"
    assert 1 <= swing_bars <= SWING_BARS, f"a swing of {swing_bars} bars is not one of 1 to {SWING_BARS}"
    end = len(window.candles) - count
    return window.candles[end - swing_bars : end] if end >= swing_bars else ()
