"""The relative strength index of closes (Wilder 1978): how much of the recent movement was upward.

Shares are millionths: an index that others print as 70 is 700,000 here.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import msgspec

from evenkeel.rules.indicators.atr import smoothed
from evenkeel.rules.sizing import PPM

if TYPE_CHECKING:  # arrays are for replays and checks: a live run does without numpy
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.int64]

NANO: Final = 1_000_000_000
"""So fine that hours without a move leave the share right to a millionth."""
INT64_POINTS_MAX: Final = 2**62 // (1000 * NANO)
"""So much movement, in a period's largest moves together, can be reckoned in 64 bits."""


class Rsi(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """On its way: the last close, and averages of the moves times the period. `moves` counts up to the period."""

    moves: int = 0
    close_points: int | None = None
    up_nanopoints: int = 0
    down_nanopoints: int = 0


def rsi_after(rsi: Rsi, period: int, close_points: int) -> Rsi:
    """Takes in one closed bar; `period` is 1 at least and stays the same. The first `period` moves give a plain mean."""
    if rsi.close_points is None:
        return Rsi(0, close_points)
    move, is_full = close_points - rsi.close_points, rsi.moves >= period
    return Rsi(
        moves=min(rsi.moves + 1, period),
        close_points=close_points,
        up_nanopoints=smoothed(rsi.up_nanopoints, period, max(move, 0) * NANO, is_full=is_full),
        down_nanopoints=smoothed(rsi.down_nanopoints, period, max(-move, 0) * NANO, is_full=is_full),
    )


def rsi_ppm(rsi: Rsi, period: int) -> int | None:
    """PPM for a climb without a step back. None until `period` + 1 bars were taken in, and while prices have not moved."""
    moved = rsi.up_nanopoints + rsi.down_nanopoints
    if rsi.moves < period or moved == 0:
        return None
    return rsi.up_nanopoints * PPM // moved


def rsi_of_window(closes_points: Sequence[int], period: int) -> int | None:
    """What `rsi_ppm` says after exactly these closes."""
    up = down = 0
    for number, (before, after) in enumerate(pairwise(closes_points)):
        move, is_full = (after - before) * NANO, number >= period
        up = smoothed(up, period, max(0, move), is_full=is_full)
        down = smoothed(down, period, 0 if move > 0 else -move, is_full=is_full)
    return rsi_ppm(Rsi(min(len(closes_points) - 1, period), closes_points[-1], up, down), period)


def rsi_of_windows(closes_points: "Column", period: int, size: int) -> "Column":
    """`rsi_of_window` of each `size` closes in a row, -1 for None; needs `size` > `period`, empty with fewer closes."""
    import numpy as np

    assert size > period, f"{size} closes are too few for the period {period}"
    moves = np.diff(closes_points)
    count = len(closes_points) - size + 1
    if count < 1:
        return np.empty(0, np.int64)
    is_small = int(np.abs(moves).max()) * period < INT64_POINTS_MAX
    kind = np.int64 if is_small else object  # Python's own integers where moves are huge
    ups, downs = (np.maximum(side, 0).astype(kind) * NANO for side in (moves, -moves))
    up, down = (np.zeros(count, kind) for _ in range(2))
    smooth: Any = smoothed  # the same arithmetic for all windows at once
    for number in range(size - 1):
        entering, is_full = slice(number, number + count), number >= period
        up = smooth(up, period, ups[entering], is_full=is_full)
        down = smooth(down, period, downs[entering], is_full=is_full)
    moved = np.where(up + down == 0, 1, up + down)
    thousandths, rest = up * 1000 // moved, up * 1000 % moved  # in two steps, which stay within 64 bits
    shares: Column = np.where(up + down == 0, -1, thousandths * 1000 + rest * 1000 // moved).astype(np.int64)
    return shares
