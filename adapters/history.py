"""Recorded ticks: a parquet or CSV file with the columns `time_msc` (UTC milliseconds), `bid`, `ask`.

HistoryUnreadable      nothing of the file is used: one line that names file, row and value
"""

import csv
import hashlib
import operator
from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evenkeel.messages.market import SymbolSpec

COLUMNS: Final = ("time_msc", "bid", "ask")
ROWS_MAX: Final = 50_000_000
SCALE_RATIO_MAX: Final = 30
POINTS_MAX: Final = 10**12
OFF_GRID_POINTS_MAX: Final = 0.05
YEAR_1990_UTC_MS: Final = 631_152_000_000
YEAR_2100_UTC_MS: Final = 4_102_444_800_000

_PARQUET_MAGIC: Final = b"PAR1"
_SHOWN_CHARACTERS_MAX: Final = 80


class HistoryUnreadable(Exception):
    """The file cannot be used as it is. The text is one line; rows count from 0, after a CSV's header."""


class Ticks(NamedTuple):
    """Quotes in file order, equal times included; times never go back and bid <= ask.

    `row` is each quote's row in the file. `rows_read` and the counts of what was dropped are of the window asked for;
    `sha256` is of the whole file.
    """

    time_utc_ms: NDArray[np.int64]
    bid_points: NDArray[np.int64]
    ask_points: NDArray[np.int64]
    row: NDArray[np.int64]
    rows_read: int
    crossed_dropped: int
    repeats_dropped: int
    sha256: str


class _Rows(NamedTuple):
    times: NDArray[np.int64]
    bids: NDArray[np.float64]
    asks: NDArray[np.float64]


def read_ticks(
    path: Path,
    symbol: str,
    spec: SymbolSpec,
    typical: Fraction | None,
    *,
    from_utc_ms: int | None = None,
    to_utc_ms: int | None = None,
) -> Ticks:
    """The quotes of `path` with `from_utc_ms` <= time < `to_utc_ms`. Raises HistoryUnreadable.

    The whole file is checked, whatever the window. A repeat is a row equal, in points, to the row just before it in the
    file, also when either is crossed or that one lies before the window; it is dropped first, then what is crossed (bid
    above ask). `typical` tells a file of another scale or symbol; None skips that test.
    """
    try:
        magic, sha256 = _fingerprint(path)
        if magic == b"":
            raise HistoryUnreadable(f"{path}: is empty")
        if path.suffix == ".parquet" and magic != _PARQUET_MAGIC:
            raise HistoryUnreadable(f"{path}: is not a parquet file, it begins with {magic!r}")
        rows = _read_parquet(path) if magic == _PARQUET_MAGIC else _read_csv(path)
    except OSError as error:
        raise HistoryUnreadable(f"{path}: {error.strerror or error}") from error
    if not len(rows.times):
        raise HistoryUnreadable(f"{path}: has no rows")
    _check_times(path, rows.times)
    for name, prices in (("bid", rows.bids), ("ask", rows.asks)):
        _check_prices(path, name, prices, symbol=symbol, digits=spec.digits, typical=typical)
    ticks = _cleaned(rows, spec.digits, _window(path, rows.times, from_utc_ms, to_utc_ms), sha256)
    if not len(ticks.row):
        raise HistoryUnreadable(f"{path}: all {ticks.rows_read} rows are crossed, bid above ask")
    return ticks


def _fingerprint(path: Path) -> tuple[bytes, str]:
    with path.open("rb") as file:
        magic = file.read(len(_PARQUET_MAGIC))
        file.seek(0)
        return magic, hashlib.file_digest(file, "sha256").hexdigest()


def _read_parquet(path: Path) -> _Rows:
    try:
        import polars as pl
    except ImportError as error:
        raise HistoryUnreadable(f'{path}: reading parquet needs polars: pip install "evenkeel[data]"') from error
    try:
        file = pl.scan_parquet(path, glob=False)
        schema = file.collect_schema()
        _require_columns(path, schema.names())
        for name in COLUMNS:
            if not (schema[name].is_integer() if name == "time_msc" else schema[name].is_numeric()):
                wanted = "whole UTC milliseconds" if name == "time_msc" else "numbers"
                raise HistoryUnreadable(f"{path}: column {name} holds {schema[name]}, not {wanted}")
        _require_row_count(path, file.select(pl.len()).collect().item())
        frame = file.select(pl.col("time_msc").cast(pl.Int64), pl.col("bid", "ask").cast(pl.Float64)).collect()
    except pl.exceptions.PolarsError as error:
        raise HistoryUnreadable(f"{path}: is not a readable parquet file: {_shown(str(error))}") from error
    for name in COLUMNS:
        if frame[name].null_count():
            raise HistoryUnreadable(f"{path}: row {frame[name].is_null().arg_max()}: {name} is null")
    return _Rows(*(frame[name].to_numpy() for name in COLUMNS))


def _read_csv(path: Path) -> _Rows:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _csv_rows(path, csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise HistoryUnreadable(f"{path}: is neither parquet nor CSV text: {_shown(str(error))}") from error


def _csv_rows(path: Path, lines: Iterator[list[str]]) -> _Rows:
    header = [name.strip() for name in next(lines, [])]
    _require_columns(path, header)
    three_cells = operator.itemgetter(*map(header.index, COLUMNS))
    times, bids, asks = array("q"), array("d"), array("d")
    for row, cells in enumerate(filter(None, lines)):
        try:
            time, bid, ask = three_cells(cells)
            times.append(int(time))
            bids.append(float(bid))
            asks.append(float(ask))
        except (IndexError, ValueError, OverflowError) as error:
            complaint = f"{_shown(','.join(cells))!r} does not hold a whole time_msc and numbers for bid and ask"
            raise HistoryUnreadable(f"{path}: row {row}: {complaint}") from error
        _require_row_count(path, row + 1)
    return _Rows(np.asarray(times, np.int64), np.asarray(bids, np.float64), np.asarray(asks, np.float64))


def _require_columns(path: Path, present: Sequence[str]) -> None:
    for name in COLUMNS:
        if name not in present:
            raise HistoryUnreadable(f"{path}: no column {name}; there are {_shown(', '.join(present))}")


def _require_row_count(path: Path, count: int) -> None:
    if count > ROWS_MAX:
        raise HistoryUnreadable(f"{path}: has more than {ROWS_MAX} rows")


def _shown(text: str) -> str:
    """One line of bounded length, whatever a strange file holds."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS_MAX else line[:_SHOWN_CHARACTERS_MAX] + "…"


def _check_times(path: Path, times: NDArray[np.int64]) -> None:
    implausible = (times < YEAR_1990_UTC_MS) | (times >= YEAR_2100_UTC_MS)
    _refuse(path, "time_msc", times, implausible, "is not UTC milliseconds of 1990 to 2099; seconds or microseconds?")
    _refuse(path, "time_msc", times, np.diff(times, prepend=times[0]) < 0, "goes back behind the row before")


def _check_prices(
    path: Path, name: str, prices: NDArray[np.float64], *, symbol: str, digits: int, typical: Fraction | None
) -> None:
    _refuse(path, name, prices, ~np.isfinite(prices), "is not a number")
    _refuse(path, name, prices, prices <= 0, "is not above zero")
    if typical is not None:
        usual = float(typical)
        other_scale = (prices > usual * SCALE_RATIO_MAX) | (prices < usual / SCALE_RATIO_MAX)
        _refuse(path, name, prices, other_scale, f"is of another scale or symbol: {symbol} is usually near {usual:g}")
    _refuse(path, name, prices, prices > POINTS_MAX / 10**digits, f"is too large for {digits} digits")
    points = prices * 10**digits
    off_grid = np.abs(points - np.rint(points)) > OFF_GRID_POINTS_MAX
    _refuse(path, name, prices, off_grid, f"has more decimals than the {digits} digits of {symbol}; say which with --digits")


def _refuse(
    path: Path, name: str, values: NDArray[np.int64] | NDArray[np.float64], is_bad: NDArray[np.bool_], complaint: str
) -> None:
    row = int(is_bad.argmax())
    if is_bad[row]:
        raise HistoryUnreadable(f"{path}: row {row}: {name} {values[row]} {complaint}")


def _window(path: Path, times: NDArray[np.int64], from_utc_ms: int | None, to_utc_ms: int | None) -> slice:
    first = 0 if from_utc_ms is None else int(np.searchsorted(times, from_utc_ms))
    end = len(times) if to_utc_ms is None else int(np.searchsorted(times, to_utc_ms))
    if first >= end:
        raise HistoryUnreadable(
            f"{path}: no row in the stretch asked for; the file runs from {times[0]} to {times[-1]} (UTC ms)"
        )
    return slice(first, end)


def _cleaned(rows: _Rows, digits: int, window: slice, sha256: str) -> Ticks:
    times, bids, asks = rows.times, _points(rows.bids, digits), _points(rows.asks, digits)
    is_repeat = np.zeros(len(times), np.bool_)
    is_repeat[1:] = (times[1:] == times[:-1]) & (bids[1:] == bids[:-1]) & (asks[1:] == asks[:-1])
    is_repeat = is_repeat[window]
    is_crossed = (bids > asks)[window] & ~is_repeat
    row = np.flatnonzero(~is_repeat & ~is_crossed) + window.start
    return Ticks(
        time_utc_ms=times[row],
        bid_points=bids[row],
        ask_points=asks[row],
        row=row,
        rows_read=len(is_repeat),
        crossed_dropped=int(is_crossed.sum()),
        repeats_dropped=int(is_repeat.sum()),
        sha256=sha256,
    )


def _points(prices: NDArray[np.float64], digits: int) -> NDArray[np.int64]:
    points: NDArray[np.float64] = np.rint(prices * 10**digits)
    return points.astype(np.int64)
