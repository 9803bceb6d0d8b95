"""One field of a line becomes a number, or BadField says why not."""

import re
from datetime import date
from functools import lru_cache
from typing import Final

from evenkeel.adapters.exports.lines import BadField, Fault
from evenkeel.adapters.history.checks import POINTS_MAX, YEAR_1990_UTC_MS, YEAR_2100_UTC_MS, shown

DAY_MS: Final = 86_400_000
KEPT_MAX: Final = 16_384
"""Answers that are kept: the same prices come again and again, and seconds too."""
SPREAD_POINTS_MAX: Final = 1_000_000
_EPOCH: Final = date(1970, 1, 1).toordinal()
_PRICE: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,15}))?")
_DAYS: Final = (
    re.compile(r"(?P<y>[0-9]{4})[.-](?P<m>[0-9]{2})[.-](?P<d>[0-9]{2})"),
    re.compile(r"(?P<d>[0-9]{2})\.(?P<m>[0-9]{2})\.(?P<y>[0-9]{4})"),
    re.compile(r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})"),
)
_CLOCK: Final = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")


@lru_cache(maxsize=KEPT_MAX)
def points_of(name: str, text: str, digits: int) -> int:
    """A price, exactly; zeros may stand behind the digits."""
    found = _PRICE.fullmatch(text)
    if found is None:
        raise BadField(Fault.PRICE, f"{name} {shown(text)!r} is not a price")
    whole, decimals = found[1], found[2] or ""
    if decimals[digits:].strip("0"):
        raise BadField(Fault.DECIMALS, f"{name} {text} has more decimals than {digits}; say how many with --digits")
    points = int(whole + decimals[:digits].ljust(digits, "0"))
    if not 0 < points <= POINTS_MAX:
        raise BadField(Fault.PRICE, f"{name} {text} is {'not above zero' if points == 0 else 'too large'}")
    return points


def spread_of(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 8 and int(text) <= SPREAD_POINTS_MAX):
        raise BadField(Fault.SPREAD, f"spread {shown(text)!r} is not points up to {SPREAD_POINTS_MAX}")
    return int(text)


@lru_cache(maxsize=64)
def day_ms(text: str) -> int:
    """Of 2020.01.31, 2020-01-31, 31.01.2020 or 20200131."""
    found = next((match for pattern in _DAYS if (match := pattern.fullmatch(text))), None)
    try:
        if found is None:
            raise ValueError
        day = date(int(found["y"]), int(found["m"]), int(found["d"]))
    except ValueError:
        raise BadField(Fault.TIME, f"date {shown(text)!r} is no day") from None
    ms = (day.toordinal() - _EPOCH) * DAY_MS
    if not YEAR_1990_UTC_MS <= ms < YEAR_2100_UTC_MS:
        raise BadField(Fault.TIME, f"date {text} is not of 1990 to 2099")
    return ms


def epoch_ms(text: str) -> int:
    """Of UTC milliseconds since 1970."""
    if not (text.isascii() and text.isdecimal() and len(text) == 13 and YEAR_1990_UTC_MS <= int(text) < YEAR_2100_UTC_MS):
        raise BadField(Fault.TIME, f"{shown(text)!r} is not UTC milliseconds of 2001 to 2099; seconds?")
    return int(text)


def clock_ms(text: str) -> int:
    """Of 23:59, 23:59:58 or 23:59:58.123."""
    clock, dot, thousandths = text.partition(".")
    return _clock_ms(clock) + (_thousandths(thousandths, text) if dot else 0)


def plain_clock_ms(text: str) -> int:
    """Of 235958 or 235958123."""
    if len(text) not in (6, 9):
        raise BadField(Fault.TIME, f"time {shown(text)!r} is no time of day")
    return _clock_ms(f"{text[:2]}:{text[2:4]}:{text[4:6]}") + (_thousandths(text[6:], text) if len(text) > 6 else 0)


@lru_cache(maxsize=KEPT_MAX)
def _clock_ms(clock: str) -> int:
    found = _CLOCK.fullmatch(clock)
    hours, minutes, seconds = (24, 0, 0) if found is None else map(int, found.groups("0"))
    if hours > 23 or minutes > 59 or seconds > 59:
        raise BadField(Fault.TIME, f"time {shown(clock)!r} is no time of day")
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


def _thousandths(decimals: str, text: str) -> int:
    if not (decimals.isdecimal() and decimals.isascii() and len(decimals) <= 3):
        raise BadField(Fault.TIME, f"time {shown(text)!r} is no time of day")
    return int(decimals.ljust(3, "0"))
