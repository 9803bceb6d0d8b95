"""What the flags of `evenkeel data` mean: a symbol's digits and usual price, a clock, and files.

Unusable   flags or files cannot be used as they are, one line or several; nothing was written
"""

import argparse
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.exports import SUFFIXES, PriceFile, opened
from evenkeel.config.load import load
from evenkeel.rules.price_checks import BARS, QUOTES, Checked, Example, Finding, PriceChecks, PriceRows
from evenkeel.rules.price_flaws import Flaw
from evenkeel.rules.server_zone import (
    ZONE_UTC,
    Confidence,
    Estimate,
    UnknownZone,
    Zone,
    estimated,
    offset_minutes,
    to_utc,
    zone_of,
)
from evenkeel.rules.symbols import digits_of, typical_price

DIGITS_MAX: Final = 6
"""What prices are read with where nothing says their digits."""
COLUMNS: Final = {QUOTES: "quotes", BARS: "bars of bid and ask"}


class Unusable(Exception):
    """In words."""


class Clock(msgspec.Struct, frozen=True):
    """What the week ends tell: "high", "medium" or "low", and other clocks that would say the same."""

    zone: str
    confidence: str
    fitting: int
    marks: int
    also: tuple[str, ...]


class Terms(NamedTuple):
    """`typical` None: not known, or no symbol given. `zone` None: not given."""

    symbol: str | None
    digits: int
    typical: Fraction | None
    zone: Zone | None
    gap_minutes: float


def terms_of(arguments: argparse.Namespace) -> Terms:
    """Raises ConfigInvalid, UnknownSymbol, Unusable."""
    config, symbol, digits = load(arguments.config, flags=arguments.flags), arguments.symbol, arguments.digits
    if digits is None:
        digits = DIGITS_MAX if symbol is None else digits_of(symbol, config)
    typical = None if symbol is None else typical_price(symbol, config)
    return Terms(symbol, digits, typical, _given_zone(arguments), arguments.gap_minutes)


def files_of(paths: Sequence[Path], terms: Terms) -> list[PriceFile]:
    """Of a folder all its .bi5, which are put in the order of their hours. Raises HistoryUnreadable, Unusable."""
    from evenkeel.adapters.exports.bi5 import hour_utc_ms, is_bi5

    listed = [file for path in paths for file in (sorted(path.rglob("*h_ticks.bi5")) if path.is_dir() else [path])]
    if not listed:
        raise Unusable(f"{paths[0]}: there is no .bi5 in it or below")
    if all(map(is_bi5, listed)):
        listed.sort(key=hour_utc_ms)
    return [opened(path, terms.symbol, terms.digits) for path in listed]


def clocked(files: Sequence[PriceFile], zone: Zone | None) -> Iterator[PriceRows]:
    """All rows: in UTC where `zone` or the file's own clock says how, else as they are. Raises HistoryUnreadable."""
    for file in files:
        clock = zone or file.zone
        for rows in file.blocks():
            yield rows if clock is None or clock == ZONE_UTC else rows._replace(time_ms=to_utc(clock, rows.time_ms))


def checked(files: Sequence[PriceFile], terms: Terms, zone: Zone | None) -> tuple[Checked, Estimate | None]:
    """All of the files as if they were one, and the clock that their week ends tell.

    Times that are meant to be UTC and do not fit are a finding.
    """
    checks = PriceChecks(files[0].names, terms.digits, terms.typical)
    for rows in clocked(files, zone):
        checks.take(rows)
    found = checks.found(terms.gap_minutes)
    edges_ms = [ms for ms in (found.first_ms, found.last_ms) if ms is not None]
    clock = estimated(found.week_ends, found.period_ms or 0, edges_ms)
    if clock is None or (zone is None and any(file.zone is None for file in files)):
        return found, clock
    if clock.confidence is not Confidence.LOW and ZONE_UTC not in (clock.zone, *clock.also):
        first = found.week_ends[0]
        text = f"they fit {clock.zone} ({clock.fitting} of {clock.marks}, confidence {clock.confidence.value}), not UTC"
        finding = Finding(Flaw.CLOCK, len(found.week_ends), (Example(0, first.last_ms, first.first_ms),), text)
        return found._replace(findings=[*found.findings, finding]), clock
    return found, clock


def require_output(out: Path, files: Sequence[PriceFile]) -> None:
    """Raises Unusable where `out` cannot be written, before anything is read."""
    if out.suffix not in SUFFIXES:
        raise Unusable(f"--to {out}: ends neither in {' nor in '.join(SUFFIXES)}")
    if not out.absolute().parent.is_dir() or (out.exists() and not out.is_file()):
        raise Unusable(f"--to {out}: is no file in a folder that is there")
    for file in files:
        if out.exists() and out.samefile(file.path):
            raise Unusable(f"--to {out}: is what is read")


def clock_told(clock: Estimate | Clock | None) -> str:
    """In words."""
    if clock is None:
        return "clock: no week end tells it"
    also = f"; as well {', '.join(map(str, clock.also))}" if clock.also else ""
    fits = f"{clock.fitting} of {clock.marks} week ends and beginnings fit"
    return f"clock: {clock.zone}, confidence {clock.confidence}: {fits}{also}"


def time_told(utc_ms: int | None) -> str:
    if utc_ms is None:
        return "-"
    return datetime.fromtimestamp(utc_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _given_zone(arguments: argparse.Namespace) -> Zone | None:
    server_zone, utc_offset = getattr(arguments, "server_zone", None), getattr(arguments, "utc_offset", None)
    try:
        if server_zone is not None:
            return zone_of(server_zone)
        return None if utc_offset is None else Zone("UTC", offset_minutes(utc_offset))
    except UnknownZone as error:
        raise Unusable(f"{'--server-zone' if server_zone is not None else '--utc-offset'} {error}") from None
