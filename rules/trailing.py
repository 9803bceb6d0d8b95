"""Order A's trailing stop (trading_rules 1.4): at a profit of `start` times its own stop distance the stop goes to the entry,
and follows by `step` times that distance for each further such step.

A profit or *gain* is points from the entry in the trade's favour, at the price at which it would be closed.
"""

from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from evenkeel.config.chains import RecoveryConfig
from evenkeel.rules.exits import exactly


class Trail(NamedTuple):
    """Both in points, not rounded."""

    start: Fraction
    step: Fraction


def trail_of(config: RecoveryConfig, stop_distance_points: int) -> Trail | None:
    if config.trailing_start_ratio == "off":
        return None
    start, step = exactly(config.trailing_start_ratio), exactly(config.trailing_step_ratio)
    return Trail(start * stop_distance_points, step * stop_distance_points)


def stop_gain_at(trail: Trail, gain_points: int) -> int | None:
    """Where the stop belongs at this gain, as a gain itself: 0 is the entry; None below the first step.

    Rounded down, so that no less than `start` ever lies between price and stop.
    """
    steps = floor((gain_points - trail.start) / trail.step)
    return None if steps < 0 else floor(steps * trail.step)


def next_gain(trail: Trail, stop_gain_points: int) -> int:
    """The gain at which a stop that stands at `stop_gain_points` (negative: beyond the entry) moves next."""
    steps = 0 if stop_gain_points < 0 else ceil((stop_gain_points + 1) / trail.step)
    return ceil(trail.start + steps * trail.step)
