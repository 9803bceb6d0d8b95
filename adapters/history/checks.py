"""What a price file must hold, or one line says what it holds instead.

HistoryUnreadable      nothing of the file is used: one line that names file, row and value
"""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

ROWS_MAX: Final = 1_000_000_000
SCALE_RATIO_MAX: Final = 30
POINTS_MAX: Final = 10**12
OFF_GRID_POINTS_MAX: Final = 0.05
YEAR_1990_UTC_MS: Final = 631_152_000_000
YEAR_2100_UTC_MS: Final = 4_102_444_800_000
LINE_CHARACTERS_MAX: Final = 1_000
PARQUET_MAGIC: Final = b"PAR1"

_SHOWN_CHARACTERS_MAX: Final = 80

Numbers = NDArray[np.int64] | NDArray[np.float64]


class HistoryUnreadable(Exception):
    """The file cannot be used as it is. The text is one line; rows count from 0, after a CSV's header."""


def fingerprint(path: Path) -> str:
    """The file's SHA-256."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise HistoryUnreadable(f"{path}: {error.strerror or error}") from error


def is_parquet(path: Path) -> bool:
    """By its first bytes, whatever its name; a file that is empty or only named parquet is refused."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(PARQUET_MAGIC))
    except OSError as error:
        raise HistoryUnreadable(f"{path}: {error.strerror or error}") from error
    if magic == b"":
        raise HistoryUnreadable(f"{path}: is empty")
    if path.suffix == ".parquet" and magic != PARQUET_MAGIC:
        raise HistoryUnreadable(f"{path}: is not a parquet file, it begins with {magic!r}")
    return magic == PARQUET_MAGIC


def require_columns(path: Path, present: Sequence[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in present:
            raise HistoryUnreadable(f"{path}: no column {name}; there are {shown(', '.join(present))}")


def require_row_count(path: Path, count: int) -> None:
    if count > ROWS_MAX:
        raise HistoryUnreadable(f"{path}: has more than {ROWS_MAX} rows")


def shown(text: str) -> str:
    """One line of bounded length, whatever a strange file holds."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS_MAX else line[:_SHOWN_CHARACTERS_MAX] + "…"


class Checks:
    """The tests of one file, of `symbol` with so many digits. `typical` tells another scale or symbol; None: not tested."""

    def __init__(self, path: Path, symbol: str, digits: int, typical: Fraction | None) -> None:
        self._path, self._symbol, self._digits = path, symbol, digits
        self._lowest, self._highest = 0.0, POINTS_MAX / 10**digits
        self._typical = None if typical is None else float(typical)
        if self._typical is not None:
            self._lowest = self._typical / SCALE_RATIO_MAX
            self._highest = min(self._highest, self._typical * SCALE_RATIO_MAX)

    def times(self, name: str, times: NDArray[np.int64], first_row: int, before: int | None) -> None:
        """`before` is the time of the row before the first one."""
        implausible = (times < YEAR_1990_UTC_MS) | (times >= YEAR_2100_UTC_MS)
        self.refuse(name, times, implausible, "is not UTC milliseconds of 1990 to 2099; seconds or microseconds?", first_row)
        back = np.diff(times, prepend=times[0] if before is None else before) < 0
        self.refuse(name, times, back, "goes back behind the row before", first_row)

    def points(self, name: str, prices: NDArray[np.float64], first_row: int) -> NDArray[np.int64]:
        """The prices in points."""
        scaled = prices * 10**self._digits
        points: NDArray[np.float64] = np.rint(scaled)
        with np.errstate(invalid="ignore"):
            scaled -= points
            is_good = np.abs(scaled, out=scaled) <= OFF_GRID_POINTS_MAX  # false for what is not a number, too
        if not is_good.all() or not self._lowest <= prices.min() or not prices.max() <= self._highest or prices.min() <= 0:
            self._refuse_prices(name, prices, ~is_good, first_row)
        return points.astype(np.int64)

    def refuse(self, name: str, values: Numbers, is_bad: NDArray[np.bool_], complaint: str, first_row: int) -> None:
        """Raises HistoryUnreadable for the first bad value, if there is one."""
        row = int(is_bad.argmax())
        if is_bad[row]:
            raise HistoryUnreadable(f"{self._path}: row {first_row + row}: {name} {values[row]} {complaint}")

    def _refuse_prices(self, name: str, prices: NDArray[np.float64], is_off_grid: NDArray[np.bool_], first_row: int) -> None:
        self.refuse(name, prices, ~np.isfinite(prices), "is not a number", first_row)
        self.refuse(name, prices, prices <= 0, "is not above zero", first_row)
        if self._typical is not None:
            is_other = (prices > self._typical * SCALE_RATIO_MAX) | (prices < self._typical / SCALE_RATIO_MAX)
            usual = f"{self._symbol} is usually near {self._typical:g}"
            self.refuse(name, prices, is_other, f"is of another scale or symbol: {usual}", first_row)
        is_large = prices > POINTS_MAX / 10**self._digits
        self.refuse(name, prices, is_large, f"is too large for {self._digits} digits", first_row)
        complaint = f"has more decimals than the {self._digits} digits of {self._symbol}; say which with --digits"
        self.refuse(name, prices, is_off_grid, complaint, first_row)
