from datetime import UTC, datetime

import pytest

from evenkeel.rules.trading_calendar import day_end, day_start, trading_day, week_end

NEW_YORK = ("17:00", "America/New_York")


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    "instant, day",
    [
        ("2014-05-05T20:59:59", "2014-05-04"),
        ("2014-05-05T21:00:00", "2014-05-05"),
        ("2014-05-06T20:59:59", "2014-05-05"),
        ("2014-01-06T21:59:59", "2014-01-05"),  # winter: the boundary is an hour later in UTC
        ("2014-01-06T22:00:00", "2014-01-06"),
    ],
)
def test_a_trading_day_bears_the_date_on_which_it_starts(instant, day):
    assert trading_day(utc_ms(instant), *NEW_YORK) == day


@pytest.mark.parametrize(
    "instant, start, end",
    [
        ("2014-05-05T23:00:00", "2014-05-05T21:00:00", "2014-05-06T21:00:00"),
        ("2014-03-09T03:00:00", "2014-03-08T22:00:00", "2014-03-09T21:00:00"),  # clocks go forward: 23 hours
        ("2014-11-02T03:00:00", "2014-11-01T21:00:00", "2014-11-02T22:00:00"),  # and back: 25 hours
    ],
)
def test_a_trading_day_follows_the_wall_clock_over_both_changes(instant, start, end):
    assert day_start(utc_ms(instant), *NEW_YORK) == utc_ms(start)
    assert day_end(utc_ms(instant), *NEW_YORK) == utc_ms(end)


def test_an_instant_at_the_boundary_has_a_whole_day_before_it():
    end = day_end(utc_ms("2014-05-05T12:00:00"), *NEW_YORK)
    assert day_end(end, *NEW_YORK) == end + 24 * 3_600_000


def test_a_boundary_that_the_clock_shows_twice_starts_one_day():
    half_past_one = ("01:30", "America/New_York")
    first, between = utc_ms("2014-11-02T05:30:00"), utc_ms("2014-11-02T06:10:00")
    assert trading_day(first - 1000, *half_past_one) == "2014-11-01"
    assert trading_day(first, *half_past_one) == trading_day(between, *half_past_one) == "2014-11-02"


def test_a_boundary_that_the_clock_leaves_out_still_starts_a_day():
    left_out = ("02:30", "America/New_York")
    start = day_start(utc_ms("2014-03-09T12:00:00"), *left_out)
    assert trading_day(start - 1, *left_out) == "2014-03-08"
    assert trading_day(start, *left_out) == "2014-03-09"


@pytest.mark.parametrize(
    "instant, boundary, zone, end",
    [
        ("2014-05-05T12:00:00", *NEW_YORK, "2014-05-11T21:00:00"),
        ("2014-05-11T20:59:59", *NEW_YORK, "2014-05-11T21:00:00"),  # Sunday, before the market opens
        ("2014-05-11T21:00:00", *NEW_YORK, "2014-05-18T21:00:00"),
        ("2014-11-01T12:00:00", *NEW_YORK, "2014-11-02T22:00:00"),  # clocks go back
        ("2014-05-10T23:59:59", "00:00", "UTC", "2014-05-11T00:00:00"),
        ("2014-05-11T00:00:00", "00:00", "UTC", "2014-05-18T00:00:00"),
    ],
)
def test_a_week_ends_with_the_trading_day_before_sundays(instant, boundary, zone, end):
    assert week_end(utc_ms(instant), boundary, zone) == utc_ms(end)
