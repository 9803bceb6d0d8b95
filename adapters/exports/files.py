"""A price file of any known form, as blocks of rows in points."""

import csv
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from evenkeel.adapters.exports.bi5 import Bi5File, is_bi5
from evenkeel.adapters.exports.formats import Format, recognised
from evenkeel.adapters.exports.lines import BadField, Fault, Faults, text_lines
from evenkeel.adapters.history.checks import (
    OFF_GRID_POINTS_MAX,
    POINTS_MAX,
    ROWS_MAX,
    YEAR_1990_UTC_MS,
    YEAR_2100_UTC_MS,
    HistoryUnreadable,
    Numbers,
    is_parquet,
    shown,
)
from evenkeel.adapters.history.columns import ROWS_AT_ONCE, parquet_columns, read_rows
from evenkeel.rules.price_checks import BARS, QUOTES, SIDE, Flags, PriceRows
from evenkeel.rules.server_zone import ZONE_UTC, Zone

_OWN: Final = {"ticks": ("time_msc", QUOTES), "bars": ("time", BARS), "side": ("time", SIDE)}


class PriceFile(Protocol):
    """`names` are its columns of prices, `zone` its clock, None where nobody knows. Bad lines are left out and counted in
    `faults`, which is of the newest reading."""

    path: Path
    format: str
    names: tuple[str, ...]
    zone: Zone | None
    faults: Faults

    def blocks(self) -> Iterator[PriceRows]:
        """None empty; the same each time. Raises HistoryUnreadable."""
        ...


def opened(path: Path, symbol: str | None, digits: int) -> PriceFile:
    """The file, whose form is told from how it begins. Raises HistoryUnreadable."""
    if is_bi5(path):
        return Bi5File(path, symbol, digits)
    if is_parquet(path):
        return _OwnFile(path, _own_form(path, parquet_columns(path)), digits)
    first = next(text_lines(path), (0, None))[1]
    if first is None:
        raise HistoryUnreadable(f"{path}: does not begin with a line of text")
    try:
        found = recognised(first, symbol, digits)
    except BadField as bad:
        raise HistoryUnreadable(f"{path}: {bad}") from None
    if found is not None:
        return _TextFile(path, found, symbol, digits)
    return _OwnFile(path, _own_form(path, [cell.strip() for cell in next(csv.reader([first]), [])]), digits)


class _TextFile:
    def __init__(self, path: Path, form: Format, symbol: str | None, digits: int) -> None:
        self.path, self.format, self.names, self.zone = path, form.name, form.names, form.zone
        self.faults = Faults()
        self._symbol, self._digits = symbol, digits

    def blocks(self) -> Iterator[PriceRows]:
        self.faults = Faults()
        columns = [array("q") for _ in range(len(self.names) + 2)]
        lines = text_lines(self.path)
        _, first = next(lines)
        form = recognised(first or "", self._symbol, self._digits)  # it may remember a reading: each begins anew
        assert form is not None, "the file is not what it was when it was opened"
        if not form.has_header:
            lines = text_lines(self.path)
        for number, line in lines:
            row = self._row(form, number, line)
            if row is None:
                continue
            for column, value in zip(columns, (*row, number), strict=True):
                column.append(value)
            if len(columns[0]) == ROWS_AT_ONCE:
                yield _rows(columns)
                columns = [array("q") for _ in columns]
        if columns[0]:
            yield _rows(columns)

    def _row(self, form: Format, number: int, line: str | None) -> tuple[int, ...] | None:
        try:
            if number > ROWS_MAX:
                raise HistoryUnreadable(f"{self.path}: has more than {ROWS_MAX} lines")
            if line is None:
                raise BadField(Fault.LENGTH, "is longer than a line may be")
            return form.decode(line)
        except BadField as bad:
            self.faults.add(f"{self.path}: line {number}", bad.fault, str(bad))
            return None


class _OwnFile:
    def __init__(self, path: Path, form: str, digits: int) -> None:
        self.path, self.format = path, form
        self.zone: Zone | None = ZONE_UTC
        self.names: tuple[str, ...] = _OWN[form][1]
        self.faults = Faults()
        self._digits = digits

    def blocks(self) -> Iterator[PriceRows]:
        self.faults, first_row = Faults(), 0
        for times, prices in read_rows(self.path, _OWN[self.format][0], self.names):
            is_good = np.ones(len(times), np.bool_)
            self._leave_out(is_good, (times < YEAR_1990_UTC_MS) | (times >= YEAR_2100_UTC_MS), first_row, times, _TIME_FAULT)
            points = []
            with np.errstate(invalid="ignore", over="ignore"):
                for name, column in zip(self.names, prices, strict=True):
                    scaled = column * 10**self._digits
                    is_wrong = ~(np.isfinite(scaled) & (scaled >= 0.5) & (scaled <= POINTS_MAX))
                    self._leave_out(is_good, is_wrong, first_row, column, (Fault.PRICE, f"{name} {{}} is no price"))
                    scaled[is_wrong] = 0
                    rounded = np.rint(scaled)
                    complaint = Fault.DECIMALS, f"{name} {{}} has more decimals than {self._digits}; say how many with --digits"
                    self._leave_out(is_good, np.abs(scaled - rounded) > OFF_GRID_POINTS_MAX, first_row, column, complaint)
                    points.append(rounded.astype(np.int64))
            left = np.flatnonzero(is_good)
            if len(left):
                yield PriceRows(times[left], tuple(column[left] for column in points), left + first_row)
            first_row += len(times)

    def _leave_out(
        self,
        is_good: Flags,
        is_wrong: Flags,
        first_row: int,
        values: Numbers,
        complaint: tuple[Fault, str],
    ) -> None:
        """Each row is counted once, for the first thing that is wrong with it."""
        numbers = np.flatnonzero(is_wrong & is_good)
        if len(numbers):
            fault, text = complaint
            first = int(numbers[0])
            self.faults.add(f"{self.path}: row {first_row + first}", fault, text.format(values[first]), len(numbers))
            is_good[numbers] = False


_TIME_FAULT: Final = (Fault.TIME, "{} is not UTC milliseconds of 1990 to 2099; seconds or microseconds?")


def _own_form(path: Path, columns: Sequence[str]) -> str:
    for form, (time_name, names) in _OWN.items():
        if {time_name, *names} <= set(columns):
            return form
    raise HistoryUnreadable(
        f"{path}: no known form; it begins with {shown(', '.join(columns))!r}. The forms: evenkeel data import --help"
    )


def _rows(columns: "list[array[int]]") -> PriceRows:
    times, *prices, place = (np.frombuffer(column, np.int64) for column in columns)
    return PriceRows(times, tuple(prices), place)
