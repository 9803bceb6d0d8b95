"""`evenkeel data import`: exports become what replays read."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from evenkeel.adapters.exports import PriceFile, write_prices
from evenkeel.adapters.history import HistoryUnreadable
from evenkeel.commands import exit_codes
from evenkeel.commands.data.cleaning import Clean
from evenkeel.commands.data.reading import (
    Terms,
    Unusable,
    checked,
    clock_told,
    clocked,
    files_of,
    require_output,
    terms_of,
    time_told,
)
from evenkeel.rules.price_checks import BARS, QUOTES, SIDE, SPREAD_BARS, Checked, PriceRows, joined
from evenkeel.rules.server_zone import Confidence, Zone

INFORMATIVE: Final = "the times are of a clock that nobody names"


class Imported(msgspec.Struct, frozen=True):
    """What `--json` prints. `zone` is the clock that the files were read by, `zone_by` who said so: "format", "hand" or
    "estimate". `left_out` are bad lines by kind, `unmatched` bars of one side that the other lacks."""

    written: str
    kind: str
    rows: int
    first_utc_ms: int | None
    last_utc_ms: int | None
    zone: str
    zone_by: str
    left_out: dict[str, int]
    left_out_shown: tuple[str, ...]
    unmatched: int
    findings: dict[str, int]
    v: int = 1


def run(arguments: argparse.Namespace) -> int:
    """Raises what reading and writing raise; then nothing was written."""
    terms, out = terms_of(arguments), arguments.to
    files = files_of(arguments.files, terms)
    asks = files_of([arguments.ask], terms) if arguments.ask is not None else []
    require_output(out, [*files, *asks])
    names = _names_of(files, asks, arguments.spread)
    zone, zone_by, said = _zone_of(files, terms)
    clean = Clean(QUOTES if names == QUOTES else BARS, terms, arguments.bad_lines_max)
    matched = _Matched()
    if asks:
        named = [(files[0].path, matched.blocks(clocked(files, zone), clocked(asks, zone)))]
    elif names in (QUOTES, BARS):
        named = [(file.path, clocked([file], zone)) for file in files]
    else:
        named = [(file.path, _with_spread(clocked([file], zone), names, arguments.spread)) for file in files]
    passed = clean.passed(named, [*files, *asks])
    rows = write_prices(out, QUOTES if names == QUOTES else BARS, terms.digits, passed)
    found = clean.checks.found(terms.gap_minutes)
    done = Imported(
        written=str(out),
        kind="ticks" if names == QUOTES else "bars",
        rows=rows,
        first_utc_ms=found.first_ms,
        last_utc_ms=found.last_ms,
        zone=str(zone or files[0].zone),
        zone_by=zone_by,
        left_out=clean.left_out([*files, *asks]),
        left_out_shown=tuple(
            line for faults in (*(file.faults for file in [*files, *asks]), clean.faults) for line in faults.shown
        )[:5],
        unmatched=matched.left_out,
        findings={finding.flaw.value: finding.count for finding in found.findings},
    )
    print(msgspec.json.encode(done).decode() if arguments.json else _told(done, said, found))
    return exit_codes.OK


def _names_of(files: Sequence[PriceFile], asks: Sequence[PriceFile], spread: int | None) -> tuple[str, ...]:
    names = files[0].names
    for file in (*files, *asks):
        if file.names != (SIDE if file in asks else names):
            raise Unusable(f"{file.path}: {file.format}, which does not go together with {files[0].format}")
    if names == SIDE and not asks and spread is None:
        raise Unusable(f"{files[0].path}: bars of one side: give --ask FILE with those of the ask, or --spread POINTS")
    if asks and names != SIDE:
        raise Unusable(f"--ask {asks[0].path}: {files[0].path} are no bars of one side")
    if asks and spread is not None:
        raise Unusable("--ask and --spread: one of them says what the ask was")
    if spread is not None and names in (QUOTES, BARS):
        raise Unusable(f"--spread {spread}: {files[0].path} has a bid and an ask already")
    return names


def _zone_of(files: Sequence[PriceFile], terms: Terms) -> tuple[Zone | None, str, str]:
    """By hand, by the format, or else by what the week ends tell, and in words. Raises Unusable."""
    if terms.zone is not None:
        return terms.zone, "hand", f"clock: {terms.zone}, as you said"
    if all(file.zone is not None for file in files):
        return None, "format", f"clock: {files[0].zone}, as the format has it"
    _, clock = checked(files, terms, None)
    if clock is None or clock.confidence is Confidence.LOW:
        raise Unusable(
            f"{files[0].path}: {INFORMATIVE}, and the week ends do not tell it; say --server-zone or --utc-offset"
            + ("" if clock is None else f" ({clock_told(clock)})")
        )
    return clock.zone, "estimate", f"{clock_told(clock)} (--server-zone wins over it)"


def _with_spread(blocks: Iterator[PriceRows], names: tuple[str, ...], spread: int | None) -> Iterator[PriceRows]:
    """Bars of bids get asks: so much above, at each price alike."""
    for rows in blocks:
        bids = rows.prices[: len(SIDE)]
        above = rows.prices[-1] if names == SPREAD_BARS and spread is None else spread
        assert above is not None, "bars of one side come with --spread"
        yield PriceRows(rows.time_ms, (*bids, *(column + above for column in bids)), rows.place)


class _Matched:
    """Bars of bid and ask that open together; the others are counted. All of both are in memory."""

    def __init__(self) -> None:
        self.left_out = 0

    def blocks(self, bids: Iterator[PriceRows], asks: Iterator[PriceRows]) -> Iterator[PriceRows]:
        bid, ask = _whole(bids), _whole(asks)
        if bid is None or ask is None:
            raise HistoryUnreadable("one of the two files has no rows")
        _, of_bid, of_ask = np.intersect1d(bid.time_ms, ask.time_ms, return_indices=True)
        of_bid.sort()
        of_ask.sort()
        self.left_out = len(bid.time_ms) + len(ask.time_ms) - 2 * len(of_bid)
        if len(of_bid):
            prices = (*(column[of_bid] for column in bid.prices), *(column[of_ask] for column in ask.prices))
            yield PriceRows(bid.time_ms[of_bid], prices, bid.place[of_bid])


def _whole(blocks: Iterator[PriceRows]) -> PriceRows | None:
    whole: PriceRows | None = None
    for rows in blocks:
        whole = rows if whole is None else joined(whole, rows)
    return whole


def _told(done: Imported, said: str, found: Checked) -> str:
    lines = [
        f"{done.written}: {done.rows:,} {done.kind}, {time_told(done.first_utc_ms)} to {time_told(done.last_utc_ms)} UTC",
        f"  {said}",
    ]
    lines += [f"  left out, {kind}: {count:,}" for kind, count in done.left_out.items()]
    lines += [f"    {shown}" for shown in done.left_out_shown]
    if done.unmatched:
        lines.append(f"  left out: {done.unmatched:,} bars that only one side has")
    lines += [f"  found in it, {finding.flaw.value}: {finding.count:,}" for finding in found.findings]
    return "\n".join(lines)
