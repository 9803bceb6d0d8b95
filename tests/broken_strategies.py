"""Strategies with the faults that a check must find, and one without."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.bars import Bar


class Rising:
    """Buys on the third higher close in a row: both forms alike."""

    window_bars = 4

    def __init__(self, spec: Any = None) -> None:
        self._closes: list[int] = []

    def on_bar(self, bar: Bar) -> int:
        self._closes = [*self._closes[-3:], bar.close_points]
        return int(len(self._closes) == 4 and all(b > a for a, b in zip(self._closes, self._closes[1:], strict=False)))

    def signals(self, bars: Bars) -> NDArray[np.int8]:
        rises = np.diff(bars.close_points, prepend=bars.close_points[:1]) > 0
        answers = np.zeros(bars.size, np.int8)
        answers[3:] = rises[3:] & rises[2:-1] & rises[1:-2] if bars.size > 3 else 0
        return answers


class LooksAhead(Rising):
    """Buys when the next close is higher."""

    def signals(self, bars: Bars) -> NDArray[np.int8]:
        answers = super().signals(bars)
        answers[:-1] &= bars.close_points[1:] > bars.close_points[:-1]
        return answers


class TooShort(Rising):
    """Needs four bars and asks for three."""

    window_bars = 3


class TwoForms(Rising):
    """Its array form also sells, once."""

    def signals(self, bars: Bars) -> NDArray[np.int8]:
        answers = super().signals(bars)
        answers[bars.close_points % 97 == 0] = -1
        answers[:3] = 0
        return answers


class BarByBar:
    """One form: buys on every tenth bar since it was made, which no window holds."""

    window_bars = 2

    def __init__(self, spec: Any = None) -> None:
        self._count = 0

    def on_bar(self, bar: Bar) -> int:
        self._count += 1
        return int(self._count % 10 == 0)


class Shouts:
    """Answers what is no answer."""

    window_bars = 1

    def __init__(self, spec: Any = None) -> None:
        pass

    def on_bar(self, bar: Bar) -> int:
        return 2
