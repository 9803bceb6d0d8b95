"""Dukascopy's hours of ticks: LZMA, records of 20 bytes, big-endian: milliseconds of the hour, ask, bid, two volumes."""

import lzma
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from evenkeel.adapters.exports.lines import Fault, Faults
from evenkeel.adapters.history.checks import POINTS_MAX, HistoryUnreadable, shown
from evenkeel.rules.bar_columns import Column
from evenkeel.rules.price_checks import QUOTES, Flags, PriceRows
from evenkeel.rules.server_zone import ZONE_UTC, Zone

HOUR_MS: Final = 3_600_000
FILE_BYTES_MAX: Final = 64 * 2**20
HOUR_BYTES_MAX: Final = 256 * 2**20
"""Of an hour unpacked: 13 million ticks."""
_PATH: Final = re.compile(r"(?:.*/)?([A-Z0-9.]+)/([0-9]{4})/([0-9]{2})/([0-9]{2})/([0-9]{2})h_ticks\.bi5", re.ASCII)
_RECORD: Final = np.dtype([("ms", ">u4"), ("ask", ">u4"), ("bid", ">u4"), ("ask_volume", ">f4"), ("bid_volume", ">f4")])
_THREE_DIGITS: Final = ("XAU", "XAG", "JPY", "HUF", "RUB")


def is_bi5(path: Path) -> bool:
    return path.suffix == ".bi5"


def hour_utc_ms(path: Path) -> int:
    """The hour that a file holds is in its path, with months from 00. Raises HistoryUnreadable."""
    found = _PATH.fullmatch(path.absolute().as_posix())
    try:
        if found is None:
            raise ValueError
        _, year, month, day, hour = found.groups()
        return int(datetime(int(year), int(month) + 1, int(day), int(hour), tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        layout = "SYMBOL/YEAR/MONTH FROM 00/DAY/HOURh_ticks.bi5"
        raise HistoryUnreadable(f"{path}: which hour it holds is in its path, {layout}, as it was downloaded") from None


class Bi5File:
    """Prices are thousandths for metals, yen, forint and rouble, else hundred-thousandths; of a `symbol` that is no pair (and
    of None) they are taken for points of `digits`. An empty file is an hour without ticks."""

    format = "dukascopy-bi5"
    names: tuple[str, ...] = QUOTES
    zone: Zone | None = ZONE_UTC

    def __init__(self, path: Path, symbol: str | None, digits: int) -> None:
        self.path, self.faults = path, Faults()
        self._hour_utc_ms = hour_utc_ms(path)
        self._digits, self._their_digits = digits, _their_digits(symbol, digits)

    def blocks(self) -> Iterator[PriceRows]:
        self.faults = Faults()
        data = self._unpacked()
        whole = len(data) // _RECORD.itemsize
        if len(data) % _RECORD.itemsize:
            text = f"the last {len(data) % _RECORD.itemsize} bytes are no record"
            self.faults.add(f"{self.path}: record {whole}", Fault.RECORD, text)
        records = np.frombuffer(data, _RECORD, whole)
        times = records["ms"].astype(np.int64)
        bids, asks = (self._points(records[name].astype(np.int64)) for name in QUOTES)
        is_good = times < HOUR_MS
        self._add(Fault.TIME, ~is_good, "is not within the hour")
        for points in (bids, asks):
            is_price = (points > 0) & (points <= POINTS_MAX)
            self._add(Fault.PRICE, is_good & ~is_price, f"has a price that is zero, or has more decimals than {self._digits}")
            is_good &= is_price
        left = np.flatnonzero(is_good)
        if len(left):
            yield PriceRows(times[left] + self._hour_utc_ms, (bids[left], asks[left]), left)

    def _points(self, raw: Column) -> Column:
        """0 where it is no whole point."""
        if self._digits >= self._their_digits:
            return raw * int(10 ** (self._digits - self._their_digits))
        size = 10 ** (self._their_digits - self._digits)
        return np.where(raw % size == 0, raw // size, 0)

    def _add(self, fault: Fault, is_wrong: Flags, text: str) -> None:
        numbers = np.flatnonzero(is_wrong)
        if len(numbers):
            self.faults.add(f"{self.path}: record {numbers[0]}", fault, text, len(numbers))

    def _unpacked(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                packed = file.read(FILE_BYTES_MAX + 1)
            if len(packed) > FILE_BYTES_MAX:
                raise HistoryUnreadable(f"{self.path}: is larger than {FILE_BYTES_MAX // 2**20} MB, no hour of ticks")
            if not packed:
                return b""
            unpacker = lzma.LZMADecompressor(memlimit=HOUR_BYTES_MAX)
            data = unpacker.decompress(packed, HOUR_BYTES_MAX)
        except OSError as error:
            raise HistoryUnreadable(f"{self.path}: {error.strerror or error}") from error
        except lzma.LZMAError as error:
            raise HistoryUnreadable(f"{self.path}: is not LZMA: {shown(str(error))}") from error
        if not unpacker.eof:
            why = f"holds more than {HOUR_BYTES_MAX // 2**20} MB" if len(data) == HOUR_BYTES_MAX else "is cut short"
            raise HistoryUnreadable(f"{self.path}: {why}")
        return data


def _their_digits(symbol: str | None, digits: int) -> int:
    if symbol is None or len(symbol) != 6 or not symbol.isalpha():
        return digits
    return 3 if symbol[:3] in _THREE_DIGITS or symbol[3:] in _THREE_DIGITS else 5
