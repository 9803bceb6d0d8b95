from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from evenkeel.rules.server_zone import (
    HOUR_MS,
    ZONE_UTC,
    Confidence,
    UnknownZone,
    WeekEnd,
    Zone,
    estimated,
    offset_minutes,
    to_utc,
    week_ends,
    zone_of,
)

NEW_YORK = ZoneInfo("America/New_York")
FRIDAY = datetime(2024, 1, 5, 17, tzinfo=NEW_YORK)
EPOCH = datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))
ATHENS, SERVER = Zone("Europe/Athens"), Zone("America/New_York", 420)


def shown(zone: Zone, time: datetime) -> int:
    """What the clock of `zone` shows at that time, as milliseconds."""
    local = time.astimezone(ZoneInfo(zone.follows)).replace(tzinfo=EPOCH.tzinfo) + timedelta(minutes=zone.ahead_minutes)
    return (local - EPOCH) // timedelta(milliseconds=1)


def weeks(zone: Zone, count: int, *, period_ms: int = 0) -> list[WeekEnd]:
    """Fridays 17:00 to Sundays 17:00 in New York; the last row is a bar's open or a quote seconds before."""
    found = []
    for number in range(count):
        friday = FRIDAY + timedelta(weeks=number)
        sunday = FRIDAY + timedelta(weeks=number, days=2)
        last_ms, first_ms = shown(zone, friday) - 7_000, shown(zone, sunday) + 9_000
        if period_ms:
            last_ms, first_ms = last_ms // period_ms * period_ms, first_ms // period_ms * period_ms
        found.append(WeekEnd(last_ms, first_ms))
    return found


@pytest.mark.parametrize("period_ms", [0, 60_000, HOUR_MS])
@pytest.mark.parametrize(
    "zone",
    [ZONE_UTC, ATHENS, SERVER, Zone("UTC", -300), Zone("Europe/London"), Zone("UTC", 180), Zone("America/New_York")],
    ids=str,
)
def test_a_year_tells_the_clock_and_how_it_is_changed(zone: Zone, period_ms: int) -> None:
    clock = estimated(weeks(zone, 52, period_ms=period_ms), period_ms)
    assert clock is not None
    assert (clock.zone, clock.confidence, clock.fitting, clock.also) == (zone, Confidence.HIGH, 104, ())


def test_four_winter_weeks_tell_the_offset_but_not_how_the_clock_is_changed() -> None:
    clock = estimated(weeks(ATHENS, 4))
    assert clock is not None
    assert clock.confidence is Confidence.HIGH
    assert {ATHENS, SERVER, Zone("UTC", 120)} <= {clock.zone, *clock.also}


def test_clocks_that_differ_outside_of_the_week_ends_are_not_told_apart() -> None:
    winter, june_ms = weeks(ATHENS, 4), shown(ATHENS, datetime(2024, 6, 3, tzinfo=NEW_YORK))
    clock = estimated(winter, edges_ms=(winter[0].last_ms, june_ms))
    assert clock is not None
    assert clock.confidence is Confidence.LOW


def test_one_week_end_is_worth_less() -> None:
    clock = estimated(weeks(ATHENS, 1))
    assert clock is not None
    assert clock.confidence is Confidence.MEDIUM


def test_metals_open_an_hour_later() -> None:
    late = [end._replace(first_ms=end.first_ms + HOUR_MS) for end in weeks(ATHENS, 52)]
    clock = estimated(late)
    assert clock is not None
    assert (clock.zone, clock.confidence) == (ATHENS, Confidence.HIGH)


def test_week_ends_that_fit_no_clock_have_low_confidence() -> None:
    scattered = [WeekEnd(end.last_ms - 1_700_000 * i, end.first_ms) for i, end in enumerate(weeks(ZONE_UTC, 8))]
    clock = estimated(scattered)
    assert clock is not None
    assert clock.confidence is Confidence.LOW


def test_without_a_week_end_nothing_is_told() -> None:
    assert estimated([]) is None
    [end] = weeks(ZONE_UTC, 1)
    assert week_ends([end, WeekEnd(end.last_ms + 48 * HOUR_MS, end.first_ms + 48 * HOUR_MS), WeekEnd(0, HOUR_MS)]) == [end]


@pytest.mark.parametrize(
    "text, zone",
    [("Europe/Athens", ATHENS), ("America/New_York+7", SERVER), ("UTC", ZONE_UTC), ("UTC-5:30", Zone("UTC", -330))],
)
def test_a_clock_is_named_as_it_is_told(text: str, zone: Zone) -> None:
    assert zone_of(text) == zone
    assert str(zone) == text


@pytest.mark.parametrize("text", ["Athens/Europe", "", "UTC+15", "UTC+2:17", "+2", "../../etc/passwd", "Europe", "UTC++2"])
def test_what_names_no_clock_is_refused(text: str) -> None:
    with pytest.raises(UnknownZone, match="is no time zone like"):
        zone_of(text)


@pytest.mark.parametrize("text, minutes", [("+2", 120), ("-5", -300), ("+5:45", 345), ("+0", 0)])
def test_hours_ahead_of_utc(text: str, minutes: int) -> None:
    assert offset_minutes(text) == minutes


def test_the_hour_that_is_shown_twice_is_the_first_one() -> None:
    times = [datetime(2024, 10, 27, hour, 30, tzinfo=EPOCH.tzinfo) for hour in (1, 2, 3, 4)]
    local_ms = np.array([(time - EPOCH) // timedelta(milliseconds=1) for time in times])
    assert ((local_ms - to_utc(ATHENS, local_ms)) // HOUR_MS).tolist() == [3, 3, 3, 2]
