from datetime import UTC, datetime

import pytest

from evenkeel.config.limits import PLAIN, SessionConfig
from evenkeel.rules.session import is_week_open, session_refusal


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    "instant, why",
    [
        ("2026-01-06T21:49:59.999", None),
        ("2026-01-06T21:50:00", "before the rollover"),
        ("2026-01-06T22:00:00", "after the rollover"),
        ("2026-01-06T22:19:59.999", "after the rollover"),
        ("2026-01-06T22:20:00", None),
        ("2026-07-07T20:50:00", "before the rollover"),  # summer: an hour earlier in UTC
        ("2026-07-07T21:50:00", None),
        ("2026-01-09T20:59:59.999", None),  # a Friday
        ("2026-01-09T21:00:00", "before the week's close"),
        ("2026-01-08T21:00:00", None),
        ("2026-01-11T22:14:59.999", "after the rollover"),  # a Sunday: longer than the week's open
        ("2026-03-08T21:05:00", "after the rollover"),  # clocks have gone forward that morning
    ],
)
def test_nothing_is_opened_round_the_rollover_nor_before_the_weeks_close(instant, why):
    refusal = session_refusal(SessionConfig(), utc_ms(instant))
    assert (refusal and refusal.detail) == why


@pytest.mark.parametrize("instant, is_refused", [("2026-01-11T22:14:59.999", True), ("2026-01-11T22:15:00", False)])
def test_the_week_opens_without_entries(instant, is_refused):
    config = SessionConfig(rollover_after_minutes="off")
    assert (session_refusal(config, utc_ms(instant)) is not None) is is_refused


def test_a_refusal_says_how_long_it_lasts():
    refusal = session_refusal(SessionConfig(), utc_ms("2026-01-06T22:05:00"))
    assert refusal is not None
    assert (refusal.measured, refusal.unit) == (15 * 60_000, "ms")


def test_every_minute_of_a_week_is_open_where_it_is_off():
    minutes = range(utc_ms("2026-01-04T00:00:00"), utc_ms("2026-01-11T00:00:00"), 60_000)
    assert all(session_refusal(PLAIN.session, now_utc_ms) is None for now_utc_ms in minutes)


@pytest.mark.parametrize(
    "instant, is_open",
    [
        ("2026-01-09T21:59:59.999", True),  # Friday, New York's 17:00 in winter
        ("2026-01-09T22:00:00", False),
        ("2026-01-11T21:59:59.999", False),
        ("2026-01-11T22:00:00", True),
        ("2026-07-10T21:00:00", False),  # summer: an hour earlier in UTC
    ],
)
def test_the_week_is_open_from_sunday_to_friday(instant, is_open):
    assert is_week_open(utc_ms(instant)) is is_open
