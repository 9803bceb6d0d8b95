"""Where the wide stop at the broker stands (DESIGN 10): far enough that only a catastrophe reaches it."""

import itertools
from collections.abc import Sequence
from typing import Final

from evenkeel.config.schema import CatastropheStopConfig
from evenkeel.messages.market import DailyRange, SymbolSpec
from evenkeel.rules.indicators.atr import true_range
from evenkeel.rules.sizing import PPM, ppm_of

WORST_SPREAD_MULTIPLE: Final = 3  # the widest spread at which an entry is still allowed by default


def catastrophe_distance_points(
    config: CatastropheStopConfig,
    spec: SymbolSpec,
    *,
    stop_distance_points: int,
    spread_median_points: int,
    daily_atr_points: int,
) -> int:
    """Distance from the fill: the widest of app stop, broker's stops level plus usual worst spread, and daily range."""
    worst_spread_points = max(WORST_SPREAD_MULTIPLE * spread_median_points, spec.typical_spread_points)
    return max(
        app_stop_multiple_points(config, stop_distance_points),
        spec.stops_level_points + worst_spread_points,
        _times_up(daily_atr_points, config.daily_atr_ratio),
    )


def catastrophe_distance_points_min(config: CatastropheStopConfig, stop_distance_points: int) -> int:
    """Nearer than this the broker would take the exits out of our hands."""
    return _times_up(stop_distance_points, config.app_stop_multiple_min)


def app_stop_multiple_points(config: CatastropheStopConfig, stop_distance_points: int) -> int:
    """What the app's stop alone demands, where neither spread nor daily range is at hand."""
    return _times_up(stop_distance_points, config.app_stop_multiple)


def daily_atr_points(days: Sequence[DailyRange], count: int) -> int | None:
    """Mean true range of the last `count` days, rounded up; None with fewer than `count` + 1 days (the first needs a close)."""
    if len(days) <= count:
        return None
    ranges = (
        true_range(day.high_points, day.low_points, before.close_points)
        for before, day in itertools.pairwise(days[-count - 1 :])
    )
    return -(-sum(ranges) // count)


def _times_up(points: int, multiple: float) -> int:
    return -(-points * ppm_of(multiple) // PPM)
