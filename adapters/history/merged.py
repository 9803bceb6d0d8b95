"""Several symbols' recorded quotes in one order of time, a stretch at a time."""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Final, NamedTuple

import numpy as np

from evenkeel.adapters.history.quotes import Column, Quotes, Recorded, joined

QUOTES_AT_ONCE: Final = 50_000
"""So many at a time become Python numbers, which take ten times the room that they take in the arrays."""


class Stretch(NamedTuple):
    """Quotes of one stretch of time: of each symbol, perhaps none, and where each of them stands among those of all.

    `size` quotes together; `time_utc_ms` is of all, in the common order.
    """

    symbols: tuple[str, ...]
    quotes: tuple[Quotes, ...]
    position: tuple[Column, ...]
    size: int
    time_utc_ms: Column

    def in_order(self) -> Iterator[tuple[int, str, int, int, int]]:
        """Row, symbol, time, bid and ask of each."""
        if len(self.symbols) == 1:
            yield from _one(self.symbols[0], self.quotes[0])
            return
        together = joined(list(self.quotes))
        source = np.repeat(np.arange(len(self.symbols)), [len(quotes.row) for quotes in self.quotes])
        order = np.empty(self.size, np.int64)
        order[np.concatenate(self.position)] = np.arange(self.size)
        for first in range(0, self.size, QUOTES_AT_ONCE):
            some = order[first : first + QUOTES_AT_ONCE]
            symbols = [self.symbols[index] for index in source[some].tolist()]
            times, bids, asks, rows = (column[some].tolist() for column in together)
            yield from zip(rows, symbols, times, bids, asks, strict=True)


def merged(sources: Sequence[Recorded]) -> Iterator[Stretch]:
    """In the order of time; quotes of one time in the order of `sources`, within one source in its own.

    Of several sources no time is divided between two stretches. Holds about a block of each in memory. Raises
    HistoryUnreadable.
    """
    symbols = tuple(source.symbol for source in sources)
    if len(sources) == 1:
        for quotes in sources[0].blocks():
            yield Stretch(symbols, (quotes,), (np.arange(len(quotes.row)),), len(quotes.row), quotes.time_utc_ms)
        return
    waiting = [_Waiting(source) for source in sources]
    while any(one.quotes is not None for one in waiting):
        until_utc_ms = min((one.last_utc_ms for one in waiting if one.may_grow), default=None)
        parts = tuple(one.take(until_utc_ms) for one in waiting)
        if any(len(part.row) for part in parts):
            yield _stretch(symbols, parts)
        for one in waiting:
            one.fill()


class _Waiting:
    """What was read of a source and is not in a stretch yet; None when the source has ended."""

    def __init__(self, source: Recorded) -> None:
        self._blocks = source.blocks()
        self.quotes: Quotes | None = next(self._blocks, None)
        self.may_grow = self.quotes is not None
        self._is_short = False

    @property
    def last_utc_ms(self) -> int:
        assert self.quotes is not None, "a source that has ended is not asked"
        return int(self.quotes.time_utc_ms[-1])

    def take(self, until_utc_ms: int | None) -> Quotes:
        """What lies before that time, None: all of it."""
        if self.quotes is None:
            return _NONE
        count = len(self.quotes.row)
        end = count if until_utc_ms is None else int(self.quotes.time_utc_ms.searchsorted(until_utc_ms))
        taken, rest = self.quotes.cut(0, end), self.quotes.cut(end, count)
        self._is_short = until_utc_ms is not None and self.may_grow and self.last_utc_ms == until_utc_ms
        self.quotes = rest if len(rest.row) else None
        return taken

    def fill(self) -> None:
        """Read on where the end of what is here held the others up."""
        if not self._is_short or not self.may_grow:
            return
        more = next(self._blocks, None)
        if more is None:
            self.may_grow = False
        else:
            self.quotes = more if self.quotes is None else joined([self.quotes, more])


_NONE: Final = Quotes(*(np.empty(0, np.int64) for _ in range(4)))


def _stretch(symbols: tuple[str, ...], parts: tuple[Quotes, ...]) -> Stretch:
    times = np.concatenate([part.time_utc_ms for part in parts])
    order = np.argsort(times, kind="stable")
    position = np.empty(len(times), np.int64)
    position[order] = np.arange(len(times))
    borders = np.cumsum([len(part.row) for part in parts])[:-1]
    return Stretch(symbols, parts, tuple(np.split(position, borders)), len(times), times[order])


def _one(symbol: str, quotes: Quotes) -> Iterator[tuple[int, str, int, int, int]]:
    for first in range(0, len(quotes.row), QUOTES_AT_ONCE):
        times, bids, asks, rows = (column[first : first + QUOTES_AT_ONCE].tolist() for column in quotes)
        yield from zip(rows, repeat(symbol), times, bids, asks)
