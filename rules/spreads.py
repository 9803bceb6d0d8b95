"""What spread is usual: the median inside a bar, and the baseline that limits compare with (limits.md, spread_points_max)."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

HOUR_BARS_MIN: Final = 60
HOUR_BARS_MAX: Final = 240
RECENT_BARS_MIN: Final = 10
RECENT_BARS_MAX: Final = 60

_HOUR_MS: Final = 3_600_000
_HOURS_PER_WEEK: Final = 168


class Spreads(msgspec.Struct):
    """Median spreads of one symbol's closed M1 bars, oldest first: the last by UTC hour of the week, and the last of all."""

    by_hour: dict[int, list[int]] = {}
    recent: list[int] = []


def lower_median(values: Collection[int]) -> int:
    """The middle value, of two the lower; `values` must not be empty."""
    return sorted(values)[(len(values) - 1) // 2]


def record(spreads: Spreads, open_utc_ms: int, spread_points: int) -> None:
    """Keep the median spread of an M1 bar that opened at `open_utc_ms`."""
    _keep(spreads.by_hour.setdefault(_hour_of_week(open_utc_ms), []), spread_points, HOUR_BARS_MAX)
    _keep(spreads.recent, spread_points, RECENT_BARS_MAX)


def record_all(spreads: Spreads, open_utc_ms: Sequence[int], spread_points: Sequence[int]) -> None:
    """Keep the median spreads of consecutive M1 bars: the same as `record` of each in turn."""
    start = 0
    while start < len(open_utc_ms):
        hour_end_utc_ms = (open_utc_ms[start] // _HOUR_MS + 1) * _HOUR_MS
        end = bisect_left(open_utc_ms, hour_end_utc_ms, lo=start)
        same_hour = spreads.by_hour.setdefault(_hour_of_week(open_utc_ms[start]), [])
        _keep_all(same_hour, spread_points[start:end], HOUR_BARS_MAX)
        start = end
    _keep_all(spreads.recent, spread_points[-RECENT_BARS_MAX:], RECENT_BARS_MAX)


def baseline_points(spreads: Spreads, utc_ms: int, typical_points: int) -> int:
    """The usual spread at `utc_ms`: of its hour of the week, else of the last bars, else what the broker calls typical."""
    same_hour = spreads.by_hour.get(_hour_of_week(utc_ms), [])
    if len(same_hour) >= HOUR_BARS_MIN:
        return lower_median(same_hour)
    if len(spreads.recent) >= RECENT_BARS_MIN:
        return lower_median(spreads.recent)
    return typical_points


def _hour_of_week(utc_ms: int) -> int:
    return utc_ms // _HOUR_MS % _HOURS_PER_WEEK


def _keep(values: list[int], value: int, count_max: int) -> None:
    values.append(value)
    if len(values) > count_max:
        del values[0]


def _keep_all(values: list[int], more: Sequence[int], count_max: int) -> None:
    values += more
    del values[: max(0, len(values) - count_max)]
