"""What a strategy is: it looks at closed bars (or at each quote) of one symbol and says buy, sell or nothing.

A strategy's answer at a bar is defined as what a new one answers after exactly the last `window_bars` bars, that bar
included. So it may be started anew anywhere, and a whole history may be answered at once.
"""

from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from evenkeel.rules.bar_columns import Bar, Bars

BUY: Final = 1
SELL: Final = -1
NOTHING: Final = 0

Signals = NDArray[np.int8]
"""One of -1, 0, +1 a bar."""


@runtime_checkable
class BarStrategy(Protocol):
    """`on_bar` hears every bar of one symbol once, oldest first, and answers -1 (sell), 0 or +1 (buy)."""

    window_bars: int

    def on_bar(self, bar: Bar, /) -> int: ...


@runtime_checkable
class VectorisedStrategy(BarStrategy, Protocol):
    """`signals` answers for all bars at once; it must not change the strategy, and says 0 where the window is not full."""

    def signals(self, bars: Bars, /) -> Signals: ...


@runtime_checkable
class TickStrategy(Protocol):
    """`on_tick` hears every quote (UTC milliseconds, bid and ask in points) once, in order; it has no window."""

    def on_tick(self, time_utc_ms: int, bid_points: int, ask_points: int, /) -> int: ...
