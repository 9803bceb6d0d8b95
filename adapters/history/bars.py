"""Recorded bars with bid and ask, which become quotes: a parquet or CSV file with `time`, `bid_open` … `ask_close`."""

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
from evenkeel.rules.bars import PERIOD_MS

STAGES: Final = ("open", "high", "low", "close")
PRICES: Final = tuple(f"{side}_{stage}" for side in ("bid", "ask") for stage in STAGES)
QUOTES_A_BAR: Final = 4
BLOCK_BARS: Final = 32_768

_Bars = tuple[Column, dict[str, Column], int, int]
"""Times, prices by name, the period in milliseconds, and the row of the first."""


class BarFile:
    """Four quotes a bar, at its open and 1/4, 1/2 and 3/4 of its period later: open; then low and high where bid_close >=
    bid_open, else high and low; then close. Bid and ask of a quote are of the same stage; where they are crossed it is
    dropped and counted. A quote's row is four times the bar's, plus 0 to 3.

    `time` is the bar's open, UTC milliseconds. Bars of `from_utc_ms` <= time < `to_utc_ms`; the whole file is checked.
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
        self._bars: _Bars | None = None

    @cached_property
    def sha256(self) -> str:
        return fingerprint(self._path)

    def blocks(self) -> Iterator[Quotes]:
        """Raises HistoryUnreadable; also when nothing is left. The bars are kept in memory, their quotes are not."""
        if self._bars is None:
            self._bars = self._read()
        times, prices, period_ms, first_row = self._bars
        counts = Counts()
        for start in range(0, len(times), BLOCK_BARS):
            some = slice(start, start + BLOCK_BARS)
            part = {name: column[some] for name, column in prices.items()}
            quotes = _quotes(times[some], part, period_ms, QUOTES_A_BAR * (first_row + start))
            left = np.flatnonzero(quotes.bid_points <= quotes.ask_points)
            counts.rows_read += len(quotes.row)
            counts.crossed_dropped += len(quotes.row) - len(left)
            if len(left):
                yield quotes if len(left) == len(quotes.row) else Quotes(*(column[left] for column in quotes))
        self.counts = counts
        if counts.crossed_dropped == counts.rows_read:
            raise HistoryUnreadable(f"{self._path}: all {counts.rows_read} quotes are crossed, bid above ask")

    def _read(self) -> "_Bars":
        parts: list[tuple[Column, ...]] = []
        row, last_utc_ms = 0, None
        for times, prices in read_rows(self._path, "time", PRICES):
            self._checks.times("time", times, row, last_utc_ms)
            parts.append((times, *(self._checks.points(name, one, row) for name, one in zip(PRICES, prices, strict=True))))
            row, last_utc_ms = row + len(times), int(times[-1])
        if not parts:
            raise HistoryUnreadable(f"{self._path}: has no rows")
        times, *columns = (np.concatenate(column) for column in zip(*parts, strict=True))
        points = dict(zip(PRICES, columns, strict=True))
        period_ms = self._period_ms(times)
        for side in ("bid", "ask"):
            self._check_extremes(side, points)
        first = 0 if self._from_utc_ms is None else int(times.searchsorted(self._from_utc_ms))
        end = len(times) if self._to_utc_ms is None else int(times.searchsorted(self._to_utc_ms))
        if first >= end:
            runs = f"the file runs from {times[0]} to {times[-1]} (UTC ms)"
            raise HistoryUnreadable(f"{self._path}: no row in the stretch asked for; {runs}")
        return times[first:end], {name: column[first:end] for name, column in points.items()}, period_ms, first

    def _period_ms(self, times: Column) -> int:
        steps = np.diff(times)
        if not len(steps):
            raise HistoryUnreadable(f"{self._path}: has one row, which does not tell its period")
        self._checks.refuse("time", times[1:], steps == 0, "is that of the row before", 1)
        period_ms = int(steps.min())
        if period_ms not in PERIOD_MS.values():
            row = int(steps.argmin()) + 1
            raise HistoryUnreadable(
                f"{self._path}: row {row}: time {times[row]} is {period_ms} ms after the row before, the period of no timeframe"
            )
        self._checks.refuse("time", times, times % period_ms != 0, f"is no start of a period of {period_ms} ms", 0)
        return period_ms

    def _check_extremes(self, side: str, prices: dict[str, Column]) -> None:
        low, high = prices[f"{side}_low"], prices[f"{side}_high"]
        for stage in ("open", "close"):
            name = f"{side}_{stage}"
            outside = (prices[name] < low) | (prices[name] > high)
            self._checks.refuse(f"{name} (points)", prices[name], outside, "is not between the bar's low and high", 0)


def _quotes(times: Column, prices: dict[str, Column], period_ms: int, first_row: int) -> Quotes:
    is_rising = prices["bid_close"] >= prices["bid_open"]

    def of(side: str) -> Column:
        low, high = prices[f"{side}_low"], prices[f"{side}_high"]
        second, third = np.where(is_rising, low, high), np.where(is_rising, high, low)
        return np.column_stack([prices[f"{side}_open"], second, third, prices[f"{side}_close"]]).ravel()

    steps_ms = np.arange(QUOTES_A_BAR) * (period_ms // QUOTES_A_BAR)
    rows = np.arange(first_row, first_row + QUOTES_A_BAR * len(times))
    return Quotes((times[:, None] + steps_ms).ravel(), of("bid"), of("ask"), rows)
