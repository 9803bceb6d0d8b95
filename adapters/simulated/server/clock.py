"""A broker's wall clock: what a server writes as if it were UTC."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_NEW_YORK_AHEAD_MS: Final = 7 * HOUR_MS


class ServerClock:
    """`zone`: "UTC", "UTC+3", "UTC-5:30"; "EET" with Europe's summer time; "NEW_YORK_CLOSE": midnight is 17:00 in New York."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._zone, self._ahead_ms = _parsed(zone)
        self._offset_in_quarter = lru_cache(maxsize=256)(self._offset_ms)

    def offset_ms(self, utc_ms: int) -> int:
        """Server time minus UTC, then. Zones change at whole quarters of an hour."""
        return self._offset_in_quarter(utc_ms // (HOUR_MS // 4))

    def server_ms(self, utc_ms: int) -> int:
        return utc_ms + self.offset_ms(utc_ms)

    def utc_ms(self, server_ms: int) -> int:
        """The instant that the server's clock showed so; of an hour that it showed twice, the first."""
        guess = server_ms - self.offset_ms(server_ms)
        return min(
            (one for one in (guess - HOUR_MS, guess, guess + HOUR_MS) if self.server_ms(one) == server_ms), default=guess
        )

    def day_end_utc_ms(self, utc_ms: int) -> int:
        """The server's next midnight."""
        return self.utc_ms((self.server_ms(utc_ms) // DAY_MS + 1) * DAY_MS)

    def week_minute(self, utc_ms: int) -> int:
        """Minutes since the server's Sunday began."""
        return (self.server_ms(utc_ms) // 60_000 + 4 * 1440) % 10_080  # 1 January 1970 was a Thursday

    def week_day(self, utc_ms: int) -> int:
        """0 is Sunday."""
        return self.week_minute(utc_ms) // 1440

    def _offset_ms(self, quarter: int) -> int:
        offset = datetime.fromtimestamp(quarter * 900, UTC).astimezone(self._zone).utcoffset()
        assert offset is not None
        return round(offset.total_seconds() * 1000) + self._ahead_ms


def _parsed(zone: str) -> tuple[tzinfo, int]:
    if zone == "EET":
        return ZoneInfo("Europe/Athens"), 0
    if zone == "NEW_YORK_CLOSE":
        return ZoneInfo("America/New_York"), _NEW_YORK_AHEAD_MS
    match = re.fullmatch(r"UTC(?:([+-])(\d{1,2})(?::(\d\d))?)?", zone)
    if match is None:
        raise ValueError(f"{zone!r} is no server zone: UTC, UTC+3, EET or NEW_YORK_CLOSE")
    sign, hours, minutes = match.groups()
    size = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    return timezone(-size if sign == "-" else size), 0
