"""`evenkeel data convert`: evenkeel's own files into another suffix, or into longer bars."""

import argparse
from collections.abc import Iterator

import msgspec
import numpy as np

from evenkeel.adapters.exports import write_prices
from evenkeel.commands import exit_codes
from evenkeel.commands.data.cleaning import Clean
from evenkeel.commands.data.reading import Unusable, clocked, files_of, require_output, terms_of, time_told
from evenkeel.rules.bars import PERIOD_MS
from evenkeel.rules.price_bars import bars_of
from evenkeel.rules.price_checks import BARS, QUOTES, PriceRows


class Converted(msgspec.Struct, frozen=True):
    """What `--json` prints. `crossed` rows are left out of bars."""

    written: str
    kind: str
    rows: int
    first_utc_ms: int | None
    last_utc_ms: int | None
    crossed: int
    v: int = 1


def run(arguments: argparse.Namespace) -> int:
    """Raises what reading and writing raise; then nothing was written."""
    terms, out = terms_of(arguments), arguments.to
    [file] = files_of(arguments.files, terms)
    if file.format not in ("ticks", "bars"):
        raise Unusable(f"{file.path}: {file.format}; evenkeel data import reads it")
    require_output(out, [file])
    clean = Clean(file.names, terms, bad_lines_max=0)
    rows = clean.passed([(file.path, clocked([file], None))], [file])
    uncrossed = _Uncrossed(file.names)
    names = file.names
    if arguments.timeframe is not None:
        rows, names = bars_of(uncrossed.passed(rows), file.names, PERIOD_MS[arguments.timeframe]), BARS
        rows = _not_shorter(rows, clean, file.names, arguments.timeframe, terms.gap_minutes)
    count = write_prices(out, names, terms.digits, rows)
    found = clean.checks.found(terms.gap_minutes)
    kind = "ticks" if names == QUOTES else f"{arguments.timeframe or ''} bars".strip()
    done = Converted(str(out), kind, count, found.first_ms, found.last_ms, uncrossed.left_out)
    if arguments.json:
        print(msgspec.json.encode(done).decode())
    else:
        crossed = f"; {done.crossed:,} crossed rows left out" if done.crossed else ""
        print(f"{out}: {count:,} {kind}, {time_told(found.first_ms)} to {time_told(found.last_ms)} UTC{crossed}")
    return exit_codes.OK


class _Uncrossed:
    def __init__(self, names: tuple[str, ...]) -> None:
        self.left_out = 0
        self._half = len(names) // 2

    def passed(self, blocks: Iterator[PriceRows]) -> Iterator[PriceRows]:
        """Rows whose bids are nowhere above their asks."""
        for rows in blocks:
            pairs = zip(rows.prices[: self._half], rows.prices[self._half :], strict=True)
            left = np.flatnonzero(~np.logical_or.reduce([bid > ask for bid, ask in pairs]))
            self.left_out += len(rows.time_ms) - len(left)
            if len(left):
                yield PriceRows(rows.time_ms[left], tuple(column[left] for column in rows.prices), rows.place[left])


def _not_shorter(
    rows: Iterator[PriceRows], clean: Clean, names: tuple[str, ...], timeframe: str, gap_minutes: float
) -> Iterator[PriceRows]:
    """The bars; at their end it is known whether what they were made of was shorter. Raises Unusable."""
    yield from rows
    period_ms = clean.checks.found(gap_minutes).period_ms if names == BARS else None
    if period_ms is not None and period_ms > PERIOD_MS[timeframe]:
        raise Unusable(f"--timeframe {timeframe}: the bars of the file are longer")
