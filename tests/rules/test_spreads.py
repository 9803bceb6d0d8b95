import pytest

from evenkeel.rules.spreads import Spreads, baseline_points, lower_median, record

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
WEEK_MS = 168 * HOUR_MS


def recorded(*rows: tuple[int, int]) -> Spreads:
    spreads = Spreads()
    for open_utc_ms, spread_points in rows:
        record(spreads, open_utc_ms, spread_points)
    return spreads


@pytest.mark.parametrize("values, median", [([7], 7), ([9, 1], 1), ([3, 1, 2], 2), ([4, 1, 3, 2], 2)])
def test_of_two_middle_values_the_lower_is_the_median(values, median):
    assert lower_median(values) == median


def test_with_fewer_than_ten_bars_the_typical_spread_is_the_baseline():
    nine = recorded(*((minute * MINUTE_MS, 30) for minute in range(9)))
    assert baseline_points(nine, 9 * MINUTE_MS, typical_points=12) == 12


def test_from_ten_bars_on_it_is_the_median_of_the_last_sixty():
    spreads = recorded(*((minute * MINUTE_MS, 30) for minute in range(10)))
    assert baseline_points(spreads, HOUR_MS, typical_points=12) == 30
    for minute in range(10, 65):
        record(spreads, HOUR_MS + minute * MINUTE_MS, 50)
    assert baseline_points(spreads, 5 * HOUR_MS, typical_points=12) == 50


def test_an_hour_of_the_week_with_sixty_bars_has_its_own_baseline():
    rollover = recorded(*((minute * MINUTE_MS, 90) for minute in range(60)))
    for minute in range(60):
        record(rollover, HOUR_MS + minute * MINUTE_MS, 10)
    assert baseline_points(rollover, WEEK_MS + HOUR_MS - 1, typical_points=12) == 90
    assert baseline_points(rollover, WEEK_MS + HOUR_MS, typical_points=12) == 10


def test_an_hour_of_the_week_forgets_all_but_its_last_240_bars():
    weeks = recorded(*((week * WEEK_MS + minute * MINUTE_MS, week) for week in range(9) for minute in range(60)))
    assert sum(len(values) for values in weeks.by_hour.values()) == 240
    assert baseline_points(weeks, 9 * WEEK_MS, typical_points=0) == 6
