"""The median of the last values, kept sorted so that none is sorted twice."""

from bisect import bisect_left, insort

import msgspec


class RunningMedian(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last values, oldest first, and the same in rising order."""

    values: tuple[int, ...] = ()
    rising: tuple[int, ...] = ()


def running_median_after(median: RunningMedian, count_max: int, value: int) -> RunningMedian:
    """Takes in one value and lets go of the oldest when there are more than `count_max`, which stays the same."""
    values, rising = (*median.values, value), list(median.rising)
    insort(rising, value)
    if len(values) > count_max:
        del rising[bisect_left(rising, values[0])]
        values = values[1:]
    return RunningMedian(values, tuple(rising))


def running_median(median: RunningMedian, count_min: int = 1) -> int | None:
    """The middle value, of two the lower, as `lower_median` of rules/spreads.py; None with fewer than `count_min` values."""
    count = len(median.rising)
    return median.rising[(count - 1) // 2] if count >= max(count_min, 1) else None
