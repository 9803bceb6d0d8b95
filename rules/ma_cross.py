"""Two moving averages of bid closes, and the bar on which the fast one crosses the slow one."""

from collections import deque
from typing import TYPE_CHECKING

from evenkeel.rules.bars import Bar

if TYPE_CHECKING:  # arrays are for replays and checks: a live run does without numpy
    import numpy as np
    from numpy.typing import NDArray

    from evenkeel.rules.bar_columns import Bars


class MaCross:
    """Buys when d(i) > 0 and d(i-1) <= 0, sells when d(i) < 0 and d(i-1) >= 0.

    d(i) = sign(mean of the last `fast` closes - mean of the last `slow`), compared in integers. Needs 1 <= fast < slow, and
    `slow` closes at both bars.
    """

    def __init__(self, fast: int, slow: int) -> None:
        assert 1 <= fast < slow, f"fast {fast} must be at least 1 and less than slow {slow}"
        self.window_bars = slow + 1
        self._fast, self._slow = fast, slow
        self._closes = deque[int](maxlen=slow)
        self._fast_sum = self._slow_sum = 0
        self._sign: int | None = None

    def on_bar(self, bar: Bar) -> int:
        closes, close_points, before = self._closes, bar.close_points, self._sign
        count = len(closes)
        self._fast_sum += close_points - (closes[-self._fast] if count >= self._fast else 0)
        self._slow_sum += close_points - (closes[0] if count == self._slow else 0)
        closes.append(close_points)
        if count + 1 < self._slow:
            return 0
        excess = self._fast_sum * self._slow - self._slow_sum * self._fast
        sign = self._sign = (excess > 0) - (excess < 0)
        if before is None or sign == before or sign == 0:
            return 0
        return sign

    def signals(self, bars: "Bars") -> "NDArray[np.int8]":
        import numpy as np

        answers = np.zeros(bars.size, np.int8)
        if bars.size <= self._slow:
            return answers
        sums = np.concatenate([[0], np.cumsum(bars.close_points)])
        end = np.arange(self._slow, bars.size + 1)
        fast_sum, slow_sum = sums[end] - sums[end - self._fast], sums[end] - sums[end - self._slow]
        sign = np.sign(fast_sum * self._slow - slow_sum * self._fast)
        answers[self._slow :] = np.where(sign[1:] != sign[:-1], sign[1:], 0)
        return answers
