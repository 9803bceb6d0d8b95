"""The last bars themselves, for readings that need them one by one: trend.py and swings.py."""

from typing import Final

import msgspec

WINDOW_BARS: Final = 20
"""What the trend score looks at (trading_rules 1.5.6); a run of up to ten bars and the swing before it need no more."""


class Candle(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The prices of one closed bar of bids."""

    open_points: int
    high_points: int
    low_points: int
    close_points: int


class Window(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """At most WINDOW_BARS candles of one symbol and timeframe, oldest first."""

    candles: tuple[Candle, ...] = ()


def window_after(window: Window, *, open_points: int, high_points: int, low_points: int, close_points: int) -> Window:
    """Takes in one closed bar and lets go of the oldest when there are too many."""
    kept = window.candles[1 - WINDOW_BARS :]
    return Window((*kept, Candle(open_points, high_points, low_points, close_points)))
