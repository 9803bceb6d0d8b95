"""Bars as columns: the same bars as rules/bars.py makes of single quotes, made of arrays, many at once.

Prices are points, times UTC milliseconds, every column one int64 array of the same length.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evenkeel.rules.bars import PERIOD_MS

Column = NDArray[np.int64]
Signals = NDArray[np.int8]
"""What a strategy answers, -1, 0 or +1, at each bar."""


class Bars(NamedTuple):
    """Closed bars of one symbol and timeframe, oldest first; a period without quotes has none."""

    open_utc_ms: Column
    open_points: Column
    high_points: Column
    low_points: Column
    close_points: Column
    close_ask_points: Column
    spread_points: Column
    quotes: Column

    @property
    def size(self) -> int:
        return len(self.open_utc_ms)

    def cut(self, start: int, end: int) -> "Bars":
        """The bars `start` to `end`, without a copy."""
        return Bars(*(column[start:end] for column in self))


class Minutes:
    """All M1 bars of a replay, of which some are taken at a time."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars

    def between(self, from_utc_ms: int, to_utc_ms: int) -> tuple[int, int]:
        """The numbers of the first bar that opens at or after each of the two times."""
        first, end = self._bars.open_utc_ms.searchsorted((from_utc_ms, to_utc_ms)).tolist()
        return first, end

    def spreads(self, start: int, end: int) -> tuple[list[int], list[int]]:
        """Opens and spreads of bars `start` to `end`."""
        return self._bars.open_utc_ms[start:end].tolist(), self._bars.spread_points[start:end].tolist()

    def cut(self, start: int, end: int) -> Bars:
        return self._bars.cut(start, end)


def minutes_of(time_utc_ms: Column, bid_points: Column, ask_points: Column) -> Bars:
    """The M1 bars of quotes in order; the last minute, which may go on, is among them."""
    minute = time_utc_ms // PERIOD_MS["M1"]
    first, end = _runs(minute)
    return Bars(
        open_utc_ms=minute[first] * PERIOD_MS["M1"],
        open_points=bid_points[first],
        high_points=np.maximum.reduceat(bid_points, first) if len(first) else bid_points[first],
        low_points=np.minimum.reduceat(bid_points, first) if len(first) else bid_points[first],
        close_points=bid_points[end - 1],
        close_ask_points=ask_points[end - 1],
        spread_points=_lower_medians(ask_points - bid_points, first, end),
        quotes=end - first,
    )


def minutes_of_blocks(blocks: Iterable[tuple[Column, Column, Column]]) -> Bars:
    """The M1 bars of quotes that come in blocks of time, bid and ask; a minute may lie across their borders."""
    parts: list[Bars] = []
    carried: tuple[Column, ...] = ()
    for block in blocks:
        quotes = block if not carried else tuple(np.concatenate(pair) for pair in zip(carried, block, strict=True))
        last_utc_ms = quotes[0][-1] // PERIOD_MS["M1"] * PERIOD_MS["M1"]
        cut = int(quotes[0].searchsorted(last_utc_ms))
        parts.append(minutes_of(*(column[:cut] for column in quotes)))
        carried = tuple(column[cut:] for column in quotes)
    return joined([*parts, minutes_of(*carried)])


def longer(minutes: Bars, timeframe: str) -> Bars:
    """The bars of `timeframe` that whole minutes make; the last period, which may go on, is among them."""
    if timeframe == "M1":
        return minutes
    period = minutes.open_utc_ms // PERIOD_MS[timeframe]
    first, end = _runs(period)
    if not len(first):
        return minutes
    return Bars(
        open_utc_ms=period[first] * PERIOD_MS[timeframe],
        open_points=minutes.open_points[first],
        high_points=np.maximum.reduceat(minutes.high_points, first),
        low_points=np.minimum.reduceat(minutes.low_points, first),
        close_points=minutes.close_points[end - 1],
        close_ask_points=minutes.close_ask_points[end - 1],
        spread_points=_lower_medians(minutes.spread_points, first, end),
        quotes=np.add.reduceat(minutes.quotes, first),
    )


def joined(parts: Sequence[Bars]) -> Bars:
    """One after another. Nothing is merged: a period must not be in two of them."""
    return Bars(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _runs(group: Column) -> tuple[Column, Column]:
    """Where each run of equal numbers begins, and where it ends."""
    is_start = np.empty(len(group), np.bool_)
    is_start[:1] = True
    np.not_equal(group[1:], group[:-1], out=is_start[1:])
    first = np.flatnonzero(is_start)
    return first, np.append(first, len(group))[1:]


def _lower_medians(values: Column, first: Column, end: Column) -> Column:
    """The lower median of each group, by one sort: a value's group leads its key.

    `values` must not be negative; group number times value must stay below 2**63, which spreads and rows of a file do.
    """
    if not len(first):
        return values
    width = int(values.max()) + 1
    assert len(first) * width < 2**63, "spreads too wide for so many bars"
    base = np.arange(len(first), dtype=np.int64) * width
    keys = values + np.repeat(base, end - first)
    keys.sort()
    medians: Column = keys[(first + end - 1) // 2] - base
    return medians
