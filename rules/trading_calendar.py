"""The trading day: the date of (UTC - boundary in its zone), so it bears the date on which it starts (DESIGN 6)."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def trading_day(utc_ms: int, boundary: str, zone: str) -> str:
    """ISO date of the trading day of an instant. `boundary` is HH:MM of the zone's wall clock and belongs to the new day."""
    return _day(utc_ms, boundary, zone).isoformat()


def day_start(utc_ms: int, boundary: str, zone: str) -> int:
    """UTC milliseconds of the boundary at or before the instant."""
    return _starts_utc_ms(_day(utc_ms, boundary, zone), boundary, zone)


def day_end(utc_ms: int, boundary: str, zone: str) -> int:
    """UTC milliseconds of the next boundary, later than the instant; 23 or 25 hours after the last where clocks change."""
    return _starts_utc_ms(_day(utc_ms, boundary, zone) + timedelta(days=1), boundary, zone)


def week_end(utc_ms: int, boundary: str, zone: str) -> int:
    """UTC milliseconds of the boundary at which the week of the instant's trading day ends.

    A week begins with the trading day that starts on a Sunday: with a boundary at 17:00 in New York when the currency
    market opens, with one at midnight before that.
    """
    day = _day(utc_ms, boundary, zone)
    return _starts_utc_ms(day + timedelta(days=7 - day.isoweekday() % 7), boundary, zone)


def _day(utc_ms: int, boundary: str, zone: str) -> date:
    local = datetime.fromtimestamp(utc_ms // 1000, UTC).astimezone(ZoneInfo(zone)).date()
    # Compared as instants: a wall clock that is put back shows the boundary twice, the day begins at the first.
    return local if utc_ms >= _starts_utc_ms(local, boundary, zone) else local - timedelta(days=1)


def _starts_utc_ms(day: date, boundary: str, zone: str) -> int:
    local = datetime.combine(day, time.fromisoformat(boundary), tzinfo=ZoneInfo(zone))
    return int(local.timestamp()) * 1000
