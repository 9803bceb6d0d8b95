"""The first quote at or beyond a level, found in arrays: block minima and maxima first, then inside one block.

A search looks at `BLOCK` prices at a time only where the block's extremes say that one of them is there, so a year without
a crossing costs a few comparisons of short arrays.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from evenkeel.rules.bands import FAR_POINTS, Band

BLOCK: Final = 256

Column = NDArray[np.int64]


class PriceSearch:
    """Over the bids and asks of some quotes of one symbol."""

    def __init__(self, bid_points: Column, ask_points: Column) -> None:
        self._bids, self._asks = _Searched(bid_points), _Searched(ask_points)
        self._count = len(bid_points)

    def first_outside(self, start: int, band: Band) -> int:
        """The index of the first quote from `start` on that is not inside the band; the number of quotes when all are."""
        end = self._bids.first_outside(start, self._count, band.bid_floor, band.bid_ceiling)
        return self._asks.first_outside(start, end, band.ask_floor, band.ask_ceiling)


class _Searched:
    def __init__(self, points: Column) -> None:
        self._points = points
        starts = np.arange(0, len(points), BLOCK)
        self._lowest = np.minimum.reduceat(points, starts) if len(points) else points
        self._highest = np.maximum.reduceat(points, starts) if len(points) else points
        self._min = int(self._lowest.min(initial=FAR_POINTS))
        self._max = int(self._highest.max(initial=-FAR_POINTS))

    def first_outside(self, start: int, end: int, floor: int, ceiling: int) -> int:
        """`end` when the prices `start` to `end` are all strictly between floor and ceiling."""
        if floor < self._min and self._max < ceiling:
            return end
        block = -(-start // BLOCK)
        found = self._inside(start, min(end, block * BLOCK), floor, ceiling)
        if found is not None:
            return found
        reach = 4
        while block * BLOCK < end:
            last = min(block + reach, -(-end // BLOCK))
            outside = (self._lowest[block:last] <= floor) | (self._highest[block:last] >= ceiling)
            nearest = int(outside.argmax())
            if outside[nearest]:
                first = (block + nearest) * BLOCK
                found = self._inside(first, min(end, first + BLOCK), floor, ceiling)
                return end if found is None else found
            block, reach = last, reach * 8
        return end

    def _inside(self, start: int, end: int, floor: int, ceiling: int) -> int | None:
        if start >= end:
            return None
        points = self._points[start:end]
        outside = (points <= floor) | (points >= ceiling)
        nearest = int(outside.argmax())
        return start + nearest if outside[nearest] else None
