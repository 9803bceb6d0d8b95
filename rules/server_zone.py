"""Which clock a file of prices was written by, told from when its weeks end and begin.

Currencies and metals close on Friday at 17:00 in New York and open again on Sunday. Where a file's weeks end and begin, and
how that moves when New York or Europe change their clocks, tells its clock. What trades without a pause tells nothing.

UnknownZone   a text names no clock
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from evenkeel.rules.bar_columns import Column

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
STEP_MS: Final = 15 * MINUTE_MS
"""Clocks are changed at its multiples, and differ from UTC by one."""
AHEAD_MINUTES_MAX: Final = 14 * 60
WEEK_END_MS_MIN: Final = 36 * HOUR_MS
WEEK_END_MS_MAX: Final = 62 * HOUR_MS
"""A longer one has a holiday at its side."""
EARLY_MS: Final = 20 * MINUTE_MS
"""The last quote may be so long before the close, the first so long after the opening."""
LATE_MS: Final = 5 * MINUTE_MS
COARSE_MS: Final = 15 * MINUTE_MS
"""Bars of this period and longer do hold the last minute of the week."""
LAGS_MINUTES: Final = (0, 60, -60, -120)
"""How long after 17:00 the opening may be: metals open later, some brokers earlier."""
HIGH_WEEK_ENDS_MIN: Final = 4
HIGH_RATIO_MIN: Final = 0.9
MEDIUM_RATIO_MIN: Final = 0.75

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEW_YORK: Final = ZoneInfo("America/New_York")


class UnknownZone(ValueError):
    """One line."""


class Zone(NamedTuple):
    """A clock that is `ahead_minutes` ahead of that of `follows` (an IANA name, "UTC" for one that is never changed)."""

    follows: str
    ahead_minutes: int = 0

    def __str__(self) -> str:
        hours, minutes = divmod(abs(self.ahead_minutes), 60)
        sign = "-" if self.ahead_minutes < 0 else "+"
        ahead = f"{sign}{hours}" + (f":{minutes:02}" if minutes else "") if self.ahead_minutes else ""
        return f"{self.follows}{ahead}"


ZONE_UTC: Final = Zone("UTC")


class Confidence(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class WeekEnd(NamedTuple):
    """The times of the last row before a pause and of the first one after it, by the file's own clock."""

    last_ms: int
    first_ms: int


class Estimate(NamedTuple):
    """The clock that fits best. Of `marks` (an end and a beginning for each week end) `fitting` are where it says.

    `also` are other clocks that say the same of all of them, so that nothing in the file tells them apart. The confidence is
    low where few fit, and where another clock fits as well and says something else.
    """

    zone: Zone
    confidence: Confidence
    fitting: int
    marks: int
    also: tuple[Zone, ...]


def zone_of(text: str) -> Zone:
    """Of "Europe/Athens", "UTC+2" or "America/New_York+7" (a clock seven hours ahead of New York's). Raises UnknownZone."""
    for sign in ("", "+", "-"):
        name, found, ahead = text.rpartition(sign) if sign else (text, "", "")
        if sign and not found:
            continue
        try:
            ZoneInfo(name)
            minutes = offset_minutes(f"{sign}{ahead}") if sign else 0
        except (ZoneInfoNotFoundError, ValueError, OSError):  # no such name, a path, a folder of zones
            continue
        return Zone(name, minutes)
    raise UnknownZone(f"{text!r} is no time zone like Europe/Athens, UTC+2 or America/New_York+7")


def offset_minutes(text: str) -> int:
    """Of "+2", "-5" or "+5:30". Raises UnknownZone."""
    hours, _, minutes = text.lstrip("+-").partition(":")
    if (
        text[:1] in ("+", "-")
        and hours.isdecimal()
        and len(hours) <= 2
        and (not minutes or minutes in ("15", "30", "45", "00"))
    ):
        ahead = int(hours) * 60 + int(minutes or 0)
        if ahead <= AHEAD_MINUTES_MAX:
            return -ahead if text[0] == "-" else ahead
    raise UnknownZone(f"{text!r} is no difference to UTC like +2, -5 or +5:30")


def to_utc(zone: Zone, local_ms: "Column") -> "Column":
    """UTC milliseconds. An hour that the clock shows twice is taken for the first one; one that it never shows as if it did."""
    import numpy as np

    if zone.follows == "UTC":
        return local_ms - zone.ahead_minutes * MINUTE_MS
    steps, place = np.unique(local_ms // STEP_MS, return_inverse=True)
    behind = np.array([_behind_ms(zone, int(step) * STEP_MS) for step in steps], np.int64)
    return local_ms + behind[place] if len(steps) else local_ms


def week_ends(pauses: Iterable[WeekEnd]) -> list[WeekEnd]:
    """Those pauses that are a week end, whatever clock the file has."""
    return [pause for pause in pauses if _is_week_end(pause)]


def estimated(ends: Sequence[WeekEnd], period_ms: int = 0, edges_ms: Sequence[int] = ()) -> Estimate | None:
    """The clock of a file of bars of `period_ms`, or of quotes (0); None without a week end, or where a bar is a day.

    `edges_ms` are the times of its first and last row: what fits as well must say the same there, too.
    """
    if not ends or period_ms >= 24 * HOUR_MS:
        return None
    known = [(end, *_close_and_open(end)) for end in ends]
    found: list[tuple[int, int, Zone]] = []
    for zone in _candidates(period_ms):
        closes = sum(_ends_at(end, _local_ms(zone, close), period_ms) for end, close, _ in known)
        for rank, lag in enumerate(LAGS_MINUTES):
            opens = sum(_begins_at(end, _local_ms(zone, open_ + lag * MINUTE_MS), period_ms) for end, _, open_ in known)
            found.append((closes + opens, -rank, zone))
    best = max(found, key=lambda one: one[:2])
    rivals = [zone for *score, zone in found if score == [*best[:2]] and zone != best[2]]
    times_ms = [*edges_ms, *(ms for end in ends for ms in end)]
    says = _said_of(best[2], times_ms)
    also = tuple(zone for zone in rivals if _said_of(zone, times_ms) == says)
    confidence = _confidence(best[0], 2 * len(ends)) if len(also) == len(rivals) else Confidence.LOW
    return Estimate(best[2], confidence, best[0], 2 * len(ends), also)


def _confidence(fitting: int, marks: int) -> Confidence:
    if marks >= 2 * HIGH_WEEK_ENDS_MIN and fitting >= HIGH_RATIO_MIN * marks:
        return Confidence.HIGH
    return Confidence.MEDIUM if fitting >= MEDIUM_RATIO_MIN * marks else Confidence.LOW


def _candidates(period_ms: int) -> list[Zone]:
    """The likely ones first."""
    european = [Zone("Europe/London", 60 * hours) for hours in range(4)]
    likely = [
        ZONE_UTC,
        Zone("America/New_York", 420),
        Zone("Europe/Athens"),
        *european[:2],
        european[3],
        Zone("America/New_York"),
    ]
    step = 60 if period_ms >= HOUR_MS else 30
    fixed = [Zone("UTC", minutes) for minutes in range(-8 * 60, AHEAD_MINUTES_MAX + 1, step) if minutes]
    return [*likely, *fixed]


def _is_week_end(pause: WeekEnd) -> bool:
    """Its middle is Saturday 17:00 in New York, give or take what openings differ by: on every clock a certain day long."""
    middle_ms = (pause.last_ms + pause.first_ms) // 2 - 12 * HOUR_MS - 45 * MINUTE_MS
    is_saturday = (middle_ms // (24 * HOUR_MS) + 3) % 7 == 5
    return is_saturday and WEEK_END_MS_MIN <= pause.first_ms - pause.last_ms <= WEEK_END_MS_MAX


def _close_and_open(end: WeekEnd) -> tuple[int, int]:
    """When New York closed and opened, UTC."""
    saturday = _EPOCH + timedelta(milliseconds=(end.last_ms + end.first_ms) // 2 - 12 * HOUR_MS - 45 * MINUTE_MS)
    friday, sunday = (saturday.date() + timedelta(days=days) for days in (-1, 1))
    close, open_ = (datetime(day.year, day.month, day.day, 17, tzinfo=_NEW_YORK) for day in (friday, sunday))
    return _utc_ms(close), _utc_ms(open_)


def _ends_at(end: WeekEnd, close_ms: int, period_ms: int) -> bool:
    if period_ms >= COARSE_MS:
        return end.last_ms <= close_ms - MINUTE_MS < end.last_ms + period_ms
    return -LATE_MS <= close_ms - end.last_ms - period_ms <= EARLY_MS


def _begins_at(end: WeekEnd, open_ms: int, period_ms: int) -> bool:
    if period_ms >= COARSE_MS:
        return end.first_ms <= open_ms + MINUTE_MS < end.first_ms + period_ms
    return -LATE_MS <= end.first_ms - open_ms <= EARLY_MS


def _said_of(zone: Zone, times_ms: Sequence[int]) -> list[int]:
    return [_behind_ms(zone, ms) for ms in times_ms]


def _local_ms(zone: Zone, utc_ms: int) -> int:
    """What the clock shows, as milliseconds."""
    if zone.follows == "UTC":
        return utc_ms + zone.ahead_minutes * MINUTE_MS
    shown = (_EPOCH + timedelta(milliseconds=utc_ms)).astimezone(_zone_info(zone)).utcoffset()
    assert shown is not None, "an aware time has an offset"
    return utc_ms + shown // timedelta(milliseconds=1) + zone.ahead_minutes * MINUTE_MS


def _behind_ms(zone: Zone, local_ms: int) -> int:
    """What UTC is behind the clock that shows `local_ms`, negative where the clock is ahead."""
    ahead_ms = zone.ahead_minutes * MINUTE_MS
    shown = (_EPOCH + timedelta(milliseconds=local_ms - ahead_ms)).replace(tzinfo=_zone_info(zone)).utcoffset()
    assert shown is not None, "an aware time has an offset"
    return -(shown // timedelta(milliseconds=1)) - ahead_ms


def _zone_info(zone: Zone) -> ZoneInfo:
    return ZoneInfo(zone.follows)


def _utc_ms(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)
