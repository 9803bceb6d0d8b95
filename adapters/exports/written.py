"""Prices in the form that replays read, written as a whole or not at all.

PricesUnwritten   one line that names the file; what was there before is there still
"""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from evenkeel.adapters.history.checks import shown
from evenkeel.adapters.os import sync_file
from evenkeel.rules.price_checks import QUOTES, PriceRows

SUFFIXES: Final = (".parquet", ".csv")


class PricesUnwritten(Exception):
    """One line."""


def write_prices(out: Path, names: tuple[str, ...], digits: int, blocks: Iterable[PriceRows]) -> int:
    """`out` ends in one of SUFFIXES; it holds the blocks, one after another, when this returns their number of rows. What
    `blocks` raises goes through. Raises PricesUnwritten. Never more than a block is in memory."""
    header = ("time_msc" if names == QUOTES else "time", *names)
    polars = _polars(out) if out.suffix == ".parquet" else None
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent, ignore_cleanup_errors=True) as folder:
            whole = Path(folder) / "whole"
            if polars is None:
                count = _write_csv(whole, header, digits, blocks)
            else:
                count = _write_parquet(polars, whole, header, digits, blocks)
            if count:
                whole.replace(out)
                sync_file(out)
    except OSError as error:
        raise PricesUnwritten(f"{out}: could not be written: {error.strerror or shown(str(error))}") from error
    if not count:
        raise PricesUnwritten(f"{out}: nothing is left to write")
    return count


def _polars(out: Path) -> Any:
    try:
        import polars
    except ImportError as error:
        raise PricesUnwritten(f'{out}: writing parquet needs polars: pip install "evenkeel[data]"; a .csv does not') from error
    return polars


def _write_parquet(polars: Any, whole: Path, header: tuple[str, ...], digits: int, blocks: Iterable[PriceRows]) -> int:
    """Each block is a file of its own first, for a parquet file cannot be added to."""
    count, parts = 0, list[Path]()
    for block in blocks:
        prices = [column / 10**digits for column in block.prices]
        frame = polars.DataFrame(dict(zip(header, (block.time_ms, *prices), strict=True)))
        parts.append(whole.with_name(f"part{len(parts)}"))
        with _as_os_error(polars):
            frame.write_parquet(parts[-1], compression="uncompressed")
        count += len(frame)
    if parts:
        with _as_os_error(polars):
            polars.scan_parquet(parts, glob=False).sink_parquet(whole, compression="zstd")
    return count


@contextlib.contextmanager
def _as_os_error(polars: Any) -> Iterator[None]:
    """Of a full disk polars has words of its own."""
    try:
        yield
    except polars.exceptions.PolarsError as error:
        raise OSError(str(error)) from error


def _write_csv(whole: Path, header: tuple[str, ...], digits: int, blocks: Iterable[PriceRows]) -> int:
    """Prices with all their digits."""
    count = 0
    with whole.open("w", encoding="ascii", newline="\n") as file:
        file.write(",".join(header) + "\n")
        for block in blocks:
            columns = np.column_stack([block.time_ms, *block.prices]).tolist()
            file.writelines(f"{time},{','.join(_decimal(points, digits) for points in prices)}\n" for time, *prices in columns)
            count += len(columns)
    return count


def _decimal(points: int, digits: int) -> str:
    text = str(points).rjust(digits + 1, "0")
    return f"{text[:-digits]}.{text[-digits:]}" if digits else text
