"""Wilder's relative strength index, and the bar on which it leaves what is thought oversold or overbought."""

from collections import deque
from typing import TYPE_CHECKING, Final

from evenkeel.rules.bars import Bar
from evenkeel.rules.indicators.rsi import rsi_of_window, rsi_of_windows

if TYPE_CHECKING:  # arrays are for replays and checks: a live run does without numpy
    import numpy as np
    from numpy.typing import NDArray

    from evenkeel.rules.bar_columns import Bars

WINDOW_PERIODS: Final = 10
"""Wilder's average never forgets. Begun so many periods ago, what came before would weigh less than a part in 20,000."""


class Rsi:
    """Buys when r(i) >= low and r(i-1) < low, sells when r(i) <= high and r(i-1) > high.

    r(i) is the index (in millionths) of the last WINDOW_PERIODS * `period` moves, taken from their first one on: so that a
    strategy that is started anew answers as one that was never stopped. Where prices do not move there is no r(i) and no
    signal. Needs low < high.
    """

    def __init__(self, period: int, *, low_ppm: int, high_ppm: int) -> None:
        assert period >= 1, f"period {period} must be at least 1"
        assert low_ppm < high_ppm, f"low {low_ppm} must be less than high {high_ppm}"
        self._period, self._low_ppm, self._high_ppm = period, low_ppm, high_ppm
        self._size = WINDOW_PERIODS * period + 1
        self.window_bars = self._size + 1
        self._closes = deque[int](maxlen=self._size)
        self._before: int | None = None

    def on_bar(self, bar: Bar) -> int:
        self._closes.append(bar.close_points)
        if len(self._closes) < self._size:
            return 0
        before, self._before = self._before, rsi_of_window(tuple(self._closes), self._period)
        now = self._before
        if before is None or now is None:
            return 0
        return int(before < self._low_ppm <= now) - int(before > self._high_ppm >= now)

    def signals(self, bars: "Bars") -> "NDArray[np.int8]":
        import numpy as np

        answers = np.zeros(bars.size, np.int8)
        index = rsi_of_windows(bars.close_points, self._period, self._size)
        if len(index) < 2:
            return answers
        before, now = index[:-1], index[1:]
        is_low = (before < self._low_ppm) & (now >= self._low_ppm)
        is_high = (before > self._high_ppm) & (now <= self._high_ppm)
        is_known = (before >= 0) & (now >= 0)
        answers[self._size :] = np.where(is_known, is_low.astype(np.int8) - is_high.astype(np.int8), 0)
        return answers
