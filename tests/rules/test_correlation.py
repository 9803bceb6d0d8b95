import itertools
from statistics import correlation

import pytest

from evenkeel.messages.market import Direction
from evenkeel.rules.correlation import (
    HOUR_MS,
    HOURS_KEPT,
    RETURNS_MIN,
    HourCloses,
    correlation_ppm,
    group_of,
    lose_together,
    minute_closed,
)
from evenkeel.rules.sizing import Leg

BUY, SELL = Direction.BUY, Direction.SELL
UP_AND_DOWN = [100 + (hour * 7 % 5) for hour in range(50)]
OTHERWISE = [100 + (hour // 5) % 2 for hour in range(50)]


def closes(points, first_hour=0) -> HourCloses:
    kept = HourCloses()
    for hour, close_points in enumerate(points, start=first_hour):
        minute_closed(kept, hour * HOUR_MS, close_points)
    return kept


def mirrored(points):
    return [1000 - point for point in points]


def test_an_hour_closes_where_its_last_minute_did():
    kept = HourCloses()
    for minute, close_points in ((0, 5), (59, 6), (60, 7)):
        minute_closed(kept, minute * 60_000, close_points)
    assert (kept.hours, kept.close_points) == ([0, 1], [6, 7])


def test_a_minute_of_an_hour_that_is_over_changes_nothing():
    kept = closes([5, 6])
    minute_closed(kept, 0, 9)
    assert kept.close_points == [5, 6]


def test_no_more_hours_are_kept_than_are_looked_at():
    kept = closes(range(500))
    assert (len(kept.hours), len(kept.close_points), kept.hours[-1]) == (HOURS_KEPT, HOURS_KEPT, 499)


@pytest.mark.parametrize(
    "other, expected",
    [(UP_AND_DOWN, 1_000_000), ([3 * point for point in UP_AND_DOWN], 1_000_000), (mirrored(UP_AND_DOWN), -1_000_000)],
)
def test_twins_move_alike_and_mirrors_against_each_other(other, expected):
    assert correlation_ppm(closes(UP_AND_DOWN), closes(other)) == expected


def test_it_is_the_correlation_of_the_moves():
    """The same as statistics.correlation, in millionths."""
    other = [point + 3 * (hour % 3) for hour, point in enumerate(UP_AND_DOWN)]
    moves = [[b - a for a, b in itertools.pairwise(points[:-1])] for points in (UP_AND_DOWN, other)]
    assert correlation_ppm(closes(UP_AND_DOWN), closes(other)) == int(1e6 * correlation(*moves))


def test_hours_that_only_one_of_them_has_are_passed_over():
    gappy = closes(UP_AND_DOWN)
    del gappy.hours[10:15], gappy.close_points[10:15]
    assert correlation_ppm(gappy, closes(UP_AND_DOWN)) == 1_000_000


@pytest.mark.parametrize(
    "one, other",
    [
        ([], UP_AND_DOWN),
        (UP_AND_DOWN[: RETURNS_MIN + 1], UP_AND_DOWN[: RETURNS_MIN + 1]),  # the last hour is not over
        ([100] * 50, UP_AND_DOWN),
    ],
)
def test_too_few_hours_or_a_price_that_never_moved_tell_nothing(one, other):
    assert correlation_ppm(closes(one), closes(other)) is None


@pytest.mark.parametrize(
    "other, direction, together",
    [
        (UP_AND_DOWN, BUY, True),
        (UP_AND_DOWN, SELL, False),
        (mirrored(UP_AND_DOWN), BUY, False),
        (mirrored(UP_AND_DOWN), SELL, True),
        (OTHERWISE, BUY, False),
        ([], BUY, True),
        ([], SELL, True),
    ],
)
def test_bets_that_would_lose_together(other, direction, together):
    hours = {"A": closes(UP_AND_DOWN), "B": closes(other)}
    assert lose_together(Leg("A", BUY), Leg("B", direction), hours) is together


def test_a_hedge_in_one_symbol_does_not_lose_together():
    assert not lose_together(Leg("A", BUY), Leg("A", SELL), {})
    assert lose_together(Leg("A", BUY), Leg("A", BUY), {})


def test_a_group_is_tied_by_a_chain_of_pairs():
    hours = {"A": closes(UP_AND_DOWN), "B": closes(UP_AND_DOWN), "C": closes(OTHERWISE), "D": closes(OTHERWISE)}
    a, b, c, d = (Leg(symbol, BUY) for symbol in "ABCD")
    assert group_of(a, [d, c, b, a], hours) == [a, b]
    assert group_of(c, [d, b, a], hours) == [c, d]
    unknown = Leg("E", BUY)
    assert set(group_of(a, [b, c, d, unknown], hours)) == {a, b, c, d, unknown}
