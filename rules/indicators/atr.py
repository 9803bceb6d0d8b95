"""The average true range of closed bars (Wilder 1978)."""

import msgspec


class Atr(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Wilder's average true range on its way: `total_millipoints` is the average times the period."""

    bars: int = 0
    close_points: int | None = None
    total_millipoints: int = 0


def true_range(high_points: int, low_points: int, previous_close_points: int | None) -> int:
    """Wilder 1978: the bar's range, stretched to the close before it; the first bar has only its own range."""
    if previous_close_points is None:
        return high_points - low_points
    return max(high_points, previous_close_points) - min(low_points, previous_close_points)


def atr_after(atr: Atr, period: int, *, high_points: int, low_points: int, close_points: int) -> Atr:
    """Takes in one closed bar. The first `period` bars give a plain mean, each later one moves it by 1 / `period`."""
    entering = true_range(high_points, low_points, atr.close_points) * 1000
    is_full = atr.bars >= period
    return Atr(
        bars=min(atr.bars + 1, period),
        close_points=close_points,
        total_millipoints=smoothed(atr.total_millipoints, period, entering, is_full=is_full),
    )


def atr_millipoints(atr: Atr, period: int) -> int | None:
    """The average in thousandths of a point; None until `period` bars were taken in."""
    return atr.total_millipoints // period if atr.bars >= period else None


def smoothed(total: int, period: int, entering: int, *, is_full: bool) -> int:
    """Wilder's running total, an average times `period`: takes in a value and, once full, lets go of one part in `period`."""
    return total - (total // period if is_full else 0) + entering
