"""Recorded ticks: a parquet or CSV file with the columns `time_msc` (UTC milliseconds), `bid`, `ask`."""

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from evenkeel.adapters.history.checks import Checks, HistoryUnreadable, fingerprint
from evenkeel.adapters.history.columns import read_rows
from evenkeel.adapters.history.quotes import Column, Counts, Quotes
from evenkeel.messages.market import SymbolSpec

BLOCK_ROWS: Final = 65_536
"""What is read at once is larger, for reading is slow in small pieces; many files together are served in small ones."""
KEPT_ROWS_MAX: Final = 1_200_000
"""A file of so many rows is kept in memory once it was read; a larger one is read from disk each time."""

_Raw = tuple[Column, Column, Column]


class TickFile:
    """The quotes of `path` with `from_utc_ms` <= time < `to_utc_ms`; the whole file is checked, whatever the window.

    A repeat is a row equal, in points, to the row just before it in the file, also when either is crossed or that one lies
    before the window; it is dropped first, then what is crossed (bid above ask). `typical` tells a file of another scale or
    symbol; None skips that test.
    """

    def __init__(
        self,
        path: Path,
        symbol: str,
        spec: SymbolSpec,
        typical: Fraction | None,
        *,
        from_utc_ms: int | None = None,
        to_utc_ms: int | None = None,
    ) -> None:
        self.symbol, self.counts = symbol, Counts()
        self._path, self._from_utc_ms, self._to_utc_ms = path, from_utc_ms, to_utc_ms
        self._checks = Checks(path, symbol, spec.digits, typical)
        self._kept: list[Quotes] | None = None
        self._is_large = False

    @cached_property
    def sha256(self) -> str:
        return fingerprint(self._path)

    def blocks(self) -> Iterator[Quotes]:
        """Raises HistoryUnreadable; also when nothing is left."""
        return iter(self._kept) if self._kept is not None else self._read()

    def _read(self) -> Iterator[Quotes]:
        counts, kept, rows = Counts(), list[Quotes](), 0
        before: tuple[int, int, int] | None = None
        first_utc_ms = last_utc_ms = None
        for times, bids, asks in self._raw():
            block = self._cleaned((times, bids, asks), before, rows, counts)
            before = int(times[-1]), int(bids[-1]), int(asks[-1])
            first_utc_ms, last_utc_ms = first_utc_ms or int(times[0]), int(times[-1])
            rows += len(times)
            self._is_large = self._is_large or rows > KEPT_ROWS_MAX
            kept = [] if self._is_large else [*kept, block]
            yield from _cut(block)
        self.counts = counts
        self._require_something(first_utc_ms, last_utc_ms)
        if not self._is_large:
            self._kept = [part for block in kept for part in _cut(block)]

    def _raw(self) -> Iterator[_Raw]:
        """All rows, checked, in points."""
        row, last_utc_ms = 0, None
        for times, prices in read_rows(self._path, "time_msc", ("bid", "ask")):
            self._checks.times("time_msc", times, row, last_utc_ms)
            bids, asks = (self._checks.points(name, one, row) for name, one in zip(("bid", "ask"), prices, strict=True))
            row, last_utc_ms = row + len(times), int(times[-1])
            prices.clear()  # while the quotes wait to be served
            yield times, bids, asks

    def _cleaned(self, raw: _Raw, before: tuple[int, int, int] | None, first_row: int, counts: Counts) -> Quotes:
        """What is left of rows from number `first_row` on; `before` is the row before them."""
        times, bids, asks = raw
        start = 0 if self._from_utc_ms is None else int(times.searchsorted(self._from_utc_ms))
        end = len(times) if self._to_utc_ms is None else int(times.searchsorted(self._to_utc_ms))
        end = max(start, end)
        is_dropped = np.zeros(len(times), np.bool_)
        is_dropped[0] = before == (times[0], bids[0], asks[0])
        is_dropped[1:] = (times[1:] == times[:-1]) & (bids[1:] == bids[:-1]) & (asks[1:] == asks[:-1])
        repeats = int(np.count_nonzero(is_dropped[start:end]))
        is_dropped |= bids > asks
        dropped = int(np.count_nonzero(is_dropped[start:end]))
        counts.rows_read += end - start
        counts.repeats_dropped += repeats
        counts.crossed_dropped += dropped - repeats
        if not dropped:
            return Quotes(times, bids, asks, np.arange(first_row, first_row + len(times))).cut(start, end)
        left = np.flatnonzero(~is_dropped[start:end]) + start
        return Quotes(times[left], bids[left], asks[left], left + first_row)

    def _require_something(self, first_utc_ms: int | None, last_utc_ms: int | None) -> None:
        counts = self.counts
        if first_utc_ms is None:
            raise HistoryUnreadable(f"{self._path}: has no rows")
        if not counts.rows_read:
            runs = f"the file runs from {first_utc_ms} to {last_utc_ms} (UTC ms)"
            raise HistoryUnreadable(f"{self._path}: no row in the stretch asked for; {runs}")
        if counts.rows_read == counts.crossed_dropped + counts.repeats_dropped:
            raise HistoryUnreadable(f"{self._path}: all {counts.rows_read} rows are crossed, bid above ask")


def _cut(block: Quotes) -> Iterator[Quotes]:
    """In parts of at most BLOCK_ROWS, without a copy."""
    for start in range(0, len(block.row), BLOCK_ROWS):
        yield block.cut(start, start + BLOCK_ROWS)
