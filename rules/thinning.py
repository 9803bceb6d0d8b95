"""A long series in a stated number of stretches of equal time, with what a picture of it must not lose: its extremes."""

import msgspec
import numpy as np

from evenkeel.rules.bar_columns import Column


class Stretch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a series did in one stretch of time: the time of its last sample, and its lowest, highest and last value."""

    utc_ms: int
    low: int
    high: int
    last: int


def thinned(utc_ms: Column, low: Column, high: Column, last: Column, *, stretches_max: int) -> list[Stretch]:
    """At most `stretches_max`, oldest first, of columns of one length in order of time. Empty stretches are left out."""
    if not len(utc_ms):
        return []
    span_ms = int(utc_ms[-1] - utc_ms[0]) + 1
    number = (utc_ms - utc_ms[0]) * stretches_max // span_ms
    first = np.append(0, np.flatnonzero(np.diff(number)) + 1)
    end = np.append(first[1:], len(utc_ms)) - 1
    columns = (utc_ms[end], np.minimum.reduceat(low, first), np.maximum.reduceat(high, first), last[end])
    return [Stretch(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
