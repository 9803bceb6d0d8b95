"""Which exposures would lose together, by the hourly closes of their symbols (limits.md, correlated_risk_pct).

Hours are UTC hours counted from 1970, closes those of their last closed M1 bar. What is not known counts as correlated.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import msgspec

from evenkeel.rules.exits import sign
from evenkeel.rules.indicators.pearson import Moments, pearson_ppm
from evenkeel.rules.sizing import Leg

CORRELATED_FROM_PPM: Final = 700_000
RETURNS_MIN: Final = 30
RETURNS_MAX: Final = 60
HOURS_KEPT: Final = RETURNS_MAX + 2
"""One close more than returns, and the hour that is not over."""
HOUR_MS: Final = 3_600_000


class HourCloses(msgspec.Struct, gc=False):
    """A symbol's last hours, oldest first, and the close of each; the last one may go on."""

    hours: list[int] = []
    close_points: list[int] = []


def minute_closed(closes: HourCloses, open_utc_ms: int, close_points: int) -> None:
    """Take in a closed M1 bar; one of an hour that is over already changes nothing."""
    hour = open_utc_ms // HOUR_MS
    if closes.hours and hour < closes.hours[-1]:
        return
    if closes.hours and hour == closes.hours[-1]:
        closes.close_points[-1] = close_points
        return
    closes.hours.append(hour)
    closes.close_points.append(close_points)
    if len(closes.hours) > HOURS_KEPT:
        del closes.hours[0], closes.close_points[0]


def correlation_ppm(one: HourCloses, other: HourCloses) -> int | None:
    """Of the moves between hours that both have, at most RETURNS_MAX; None when they are too few or one never moved.

    The hour that is not over takes no part. Moves are differences in points: within days a share of the price is the same.
    """
    if not one.hours or not other.hours:
        return None
    newest = max(one.hours[-1], other.hours[-1])
    others = dict(zip(other.hours, other.close_points, strict=True))
    pairs = [
        (close, others[hour])
        for hour, close in zip(one.hours, one.close_points, strict=True)
        if hour in others and hour < newest
    ]
    moves = [(x - x_before, y - y_before) for (x_before, y_before), (x, y) in pairwise(pairs)][-RETURNS_MAX:]
    if len(moves) < RETURNS_MIN:
        return None
    moments = Moments()
    for x, y in moves:
        moments = moments.plus(x, y)
    return pearson_ppm(moments)


def lose_together(one: Leg, other: Leg, hours: Mapping[str, HourCloses]) -> bool:
    """Opposite bets on symbols that move alike do not, opposite bets on symbols that mirror each other do."""
    sides = sign(one.direction) * sign(other.direction)
    if one.symbol == other.symbol:
        return sides > 0
    nothing = HourCloses()
    correlation = correlation_ppm(hours.get(one.symbol, nothing), hours.get(other.symbol, nothing))
    return correlation is None or correlation * sides >= CORRELATED_FROM_PPM


def group_of(start: Leg, others: list[Leg], hours: Mapping[str, HourCloses]) -> list[Leg]:
    """`start` and all that a chain of pairs ties to it."""
    group, waiting = [start], [leg for leg in dict.fromkeys(others) if leg != start]
    for member in group:  # grows while it is walked
        tied = [leg for leg in waiting if lose_together(member, leg, hours)]
        waiting = [leg for leg in waiting if leg not in tied]
        group += tied
    return group
