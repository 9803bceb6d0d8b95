"""The columns of a parquet or CSV file, some rows at a time."""

import csv
import operator
from array import array
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray

from evenkeel.adapters.history.checks import (
    LINE_CHARACTERS_MAX,
    HistoryUnreadable,
    is_parquet,
    require_columns,
    require_row_count,
    shown,
)

ROWS_AT_ONCE: Final = 262_144

Rows = tuple[NDArray[np.int64], list[NDArray[np.float64]]]
"""Times, and the other columns in the order asked for."""


def read_rows(path: Path, time_name: str, names: Sequence[str]) -> Iterator[Rows]:
    """At most ROWS_AT_ONCE rows each, none empty. `time_name` holds whole numbers, the others numbers. Raises
    HistoryUnreadable."""
    return _parquet_rows(path, time_name, names) if is_parquet(path) else _csv_rows(path, time_name, names)


def parquet_columns(path: Path) -> list[str]:
    """Their names. Raises HistoryUnreadable."""
    pl = _polars(path)
    try:
        return list(pl.scan_parquet(path, glob=False).collect_schema().names())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise HistoryUnreadable(f"{path}: is not a readable parquet file: {shown(str(error))}") from error


def _polars(path: Path) -> Any:
    try:
        import polars
    except ImportError as error:
        raise HistoryUnreadable(f'{path}: reading parquet needs polars: pip install "evenkeel[data]"') from error
    return polars


def _parquet_rows(path: Path, time_name: str, names: Sequence[str]) -> Iterator[Rows]:
    pl = _polars(path)
    try:
        file = pl.scan_parquet(path, glob=False)
        schema = file.collect_schema()
        _require_kinds(path, schema, time_name, names)
        total = file.select(pl.len()).collect().item()
        require_row_count(path, total)
        wanted = file.select(pl.col(time_name).cast(pl.Int64), pl.col(*names).cast(pl.Float64))
        for first in range(0, total, ROWS_AT_ONCE):
            yield _numbers(path, first, wanted.slice(first, ROWS_AT_ONCE).collect(), time_name, names)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise HistoryUnreadable(f"{path}: is not a readable parquet file: {shown(str(error))}") from error


def _numbers(path: Path, first: int, frame: Any, time_name: str, names: Sequence[str]) -> Rows:
    """The columns of rows from number `first` on. The frame goes: what waits to be served holds only what is served."""
    for name in frame.columns:
        null = frame[name].is_null().arg_max() if frame[name].null_count() else None
        if null is not None:
            raise HistoryUnreadable(f"{path}: row {first + null}: {name} is null")
    return frame[time_name].to_numpy(), [frame[name].to_numpy() for name in names]


def _require_kinds(path: Path, schema: Any, time_name: str, names: Sequence[str]) -> None:
    require_columns(path, schema.names(), [time_name, *names])
    for name in (time_name, *names):
        if not (schema[name].is_integer() if name == time_name else schema[name].is_numeric()):
            wanted = "whole UTC milliseconds" if name == time_name else "numbers"
            raise HistoryUnreadable(f"{path}: column {name} holds {schema[name]}, not {wanted}")


def _csv_rows(path: Path, time_name: str, names: Sequence[str]) -> Iterator[Rows]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from _parsed(path, csv.reader(_lines(path, file)), time_name, names)
    except (UnicodeDecodeError, csv.Error) as error:
        raise HistoryUnreadable(f"{path}: is neither parquet nor CSV text: {shown(str(error))}") from error


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    """Never more than a line of bounded length is in memory."""
    for number in count(1):
        line = file.readline(LINE_CHARACTERS_MAX + 1)
        if len(line) > LINE_CHARACTERS_MAX:
            raise HistoryUnreadable(f"{path}: line {number} is longer than {LINE_CHARACTERS_MAX} characters")
        if not line:
            return
        yield line


def _parsed(path: Path, lines: Iterator[list[str]], time_name: str, names: Sequence[str]) -> Iterator[Rows]:
    header = [name.strip() for name in next(lines, [])]
    require_columns(path, header, [time_name, *names])
    wanted = operator.itemgetter(*map(header.index, [time_name, *names]))
    times, others = array("q"), [array("d") for _ in names]
    for row, cells in enumerate(filter(None, lines)):
        try:
            time, *values = wanted(cells)
            times.append(int(time))
            for column, value in zip(others, values, strict=True):
                column.append(float(value))
        except (IndexError, ValueError, OverflowError) as error:
            complaint = f"{shown(','.join(cells))!r} does not hold a whole {time_name} and numbers for {_listed(names)}"
            raise HistoryUnreadable(f"{path}: row {row}: {complaint}") from error
        require_row_count(path, row + 1)
        if len(times) == ROWS_AT_ONCE:
            yield _arrays(times, others)
            times, others = array("q"), [array("d") for _ in names]
    if times:
        yield _arrays(times, others)


def _arrays(times: "array[int]", others: "list[array[float]]") -> Rows:
    return np.asarray(times, np.int64), [np.asarray(column, np.float64) for column in others]


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
