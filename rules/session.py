"""Hours in which nothing is opened: round the rollover, before the week's last close, after its first open (limits.md).

The clock is New York's, whose 17:00 ends the currency market's day; its week ends there on Friday and starts on Sunday.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from evenkeel.config.limits import SessionConfig
from evenkeel.config.units import Off
from evenkeel.messages.entry import DenialReason
from evenkeel.rules.entries import Refusal
from evenkeel.rules.trading_calendar import day_end, day_start

ROLLOVER: Final = "17:00"
ZONE: Final = "America/New_York"
FRIDAY: Final = 4
SATURDAY: Final = 5
SUNDAY: Final = 6


def session_refusal(config: SessionConfig, now_utc_ms: int) -> Refusal | None:
    """The window that the instant is in, its first millisecond included and its last excluded, with what is left of it."""
    if _is_off(config):
        return None
    last_utc_ms, next_utc_ms = day_start(now_utc_ms, ROLLOVER, ZONE), day_end(now_utc_ms, ROLLOVER, ZONE)
    after = [("after the rollover", config.rollover_after_minutes)]
    if _weekday(last_utc_ms) == SUNDAY:
        after.append(("after the week's open", config.sunday_after_open_minutes))
    before = [("before the rollover", config.rollover_before_minutes)]
    if _weekday(next_utc_ms) == FRIDAY:
        before.append(("before the week's close", config.friday_before_close_minutes))
    ends = [(last_utc_ms + _ms(minutes), name) for name, minutes in after if now_utc_ms < last_utc_ms + _ms(minutes)]
    ends += [(next_utc_ms, name) for name, minutes in before if now_utc_ms >= next_utc_ms - _ms(minutes)]
    if not ends:
        return None
    end_utc_ms, name = max(ends)
    return Refusal(DenialReason.SESSION, end_utc_ms - now_utc_ms, 0, "ms", name)


def is_week_open(now_utc_ms: int) -> bool:
    """Between the week's first open and its last close. Holidays are not known."""
    return closed_since_utc_ms(now_utc_ms) is None


def closed_since_utc_ms(now_utc_ms: int) -> int | None:
    """The week's last close, while it is closed."""
    start_utc_ms = day_start(now_utc_ms, ROLLOVER, ZONE)
    if _weekday(start_utc_ms) == SATURDAY:
        return day_start(start_utc_ms - 1, ROLLOVER, ZONE)
    return start_utc_ms if _weekday(start_utc_ms) == FRIDAY else None


def _is_off(config: SessionConfig) -> bool:
    windows = (
        config.rollover_before_minutes,
        config.rollover_after_minutes,
        config.friday_before_close_minutes,
        config.sunday_after_open_minutes,
    )
    return all(window == "off" for window in windows)


def _ms(minutes: float | Off) -> int:
    return 0 if minutes == "off" else round(minutes * 60_000)


def _weekday(utc_ms: int) -> int:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=utc_ms)
    return at.astimezone(ZoneInfo(ZONE)).weekday()
