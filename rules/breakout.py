"""A channel of the last highs and lows, and the bar that closes outside it."""

from collections import deque
from typing import TYPE_CHECKING

from evenkeel.rules.bars import Bar

if TYPE_CHECKING:  # arrays are for replays and checks: a live run does without numpy
    import numpy as np
    from numpy.typing import NDArray

    from evenkeel.rules.bar_columns import Bars


class Breakout:
    """Buys when side(i) = 1 and side(i-1) < 1, sells when side(i) = -1 and side(i-1) > -1.

    side(i) is 1 where the close is above the highest high of the `lookback` bars before it, -1 where it is below their lowest
    low, 0 in between; a close that touches is in between. Needs lookback >= 1.
    """

    def __init__(self, lookback: int) -> None:
        assert lookback >= 1, f"lookback {lookback} must be at least 1"
        self.window_bars = lookback + 2
        self._highs, self._lows = deque[int](maxlen=lookback), deque[int](maxlen=lookback)
        self._lookback = lookback
        self._side: int | None = None

    def on_bar(self, bar: Bar) -> int:
        before = self._side
        if len(self._highs) == self._lookback:
            self._side = (bar.close_points > max(self._highs)) - (bar.close_points < min(self._lows))
        self._highs.append(bar.high_points)
        self._lows.append(bar.low_points)
        if before is None or self._side is None or self._side == before:
            return 0
        return self._side

    def signals(self, bars: "Bars") -> "NDArray[np.int8]":
        import numpy as np

        answers = np.zeros(bars.size, np.int8)
        if bars.size < self.window_bars:
            return answers
        highest = np.lib.stride_tricks.sliding_window_view(bars.high_points[:-1], self._lookback).max(axis=1)
        lowest = np.lib.stride_tricks.sliding_window_view(bars.low_points[:-1], self._lookback).min(axis=1)
        close_points = bars.close_points[self._lookback :]
        side = (close_points > highest).astype(np.int8) - (close_points < lowest).astype(np.int8)
        answers[self._lookback + 1 :] = np.where(side[1:] != side[:-1], side[1:], 0)
        return answers
