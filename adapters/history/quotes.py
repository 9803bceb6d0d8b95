"""Recorded quotes of one symbol, in blocks: what every kind of input becomes."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.int64]


class Quotes(NamedTuple):
    """In the order of the input: times (UTC milliseconds) never go back, bid <= ask, no row repeats the one before it.

    `row` is each quote's row in the input.
    """

    time_utc_ms: Column
    bid_points: Column
    ask_points: Column
    row: Column

    def cut(self, start: int, end: int) -> "Quotes":
        """The quotes `start` to `end`, without a copy."""
        return Quotes(*(column[start:end] for column in self))


class Counts(msgspec.Struct):
    """Rows read in the window that was asked for, and how many of them are left out."""

    rows_read: int = 0
    crossed_dropped: int = 0
    repeats_dropped: int = 0


class Recorded(Protocol):
    """`counts` are final when all blocks were read once. `sha256` is of the input as it lies on disk."""

    symbol: str
    counts: Counts

    @property
    def sha256(self) -> str: ...

    def blocks(self) -> Iterator[Quotes]:
        """None empty; the same each time. Raises HistoryUnreadable."""
        ...


def joined(blocks: "list[Quotes]") -> Quotes:
    return blocks[0] if len(blocks) == 1 else Quotes(*(np.concatenate(columns) for columns in zip(*blocks, strict=True)))
