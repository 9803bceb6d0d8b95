"""One symbol's quotes in a stretch of a replay, and how far it has come."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evenkeel.adapters.history.quotes import Quotes
from evenkeel.rules.bands import SHUT, Band
from evenkeel.rules.bars import NEVER_UTC_MS
from evenkeel.rules.price_search import PriceSearch

Indexes = NDArray[np.int64]
_NO_INDEXES: Final[Indexes] = np.empty(0, np.int64)


class Lane:
    """Quotes before `done` are served or passed over. `position` is where each stands among the `size` of all symbols."""

    def __init__(self, symbol: str, quotes: Quotes, position: Indexes, size: int) -> None:
        self.symbol, self.quotes, self.position = symbol, quotes, position
        self.count, self.done = len(quotes.row), 0
        self._is_alone = self.count == size
        self._search = PriceSearch(quotes.bid_points, quotes.ask_points)
        self._bands, self._found = (SHUT, SHUT), 0
        self._expected = _NO_INDEXES

    def expect(self, indexes: Sequence[Indexes]) -> None:
        """Quotes on which somebody will say something, by each who will."""
        self._expected = np.unique(np.concatenate([_NO_INDEXES, *indexes]))

    def place(self, index: int) -> int:
        """Where that quote stands among those of all symbols."""
        return index if self._is_alone else int(self.position[index])

    def first_at(self, place: int) -> int:
        """The first of its quotes at that place or after it; the count when there is none."""
        return place if self._is_alone else int(self.position.searchsorted(place))

    def take(self) -> tuple[int, str, int, int, int]:
        """The next quote, which is then done: row, symbol, time, bid and ask."""
        row, quote = int(self.quotes.row[self.done]), self.quote(self.done)
        self.done += 1
        return row, self.symbol, *quote

    def quote(self, index: int) -> tuple[int, int, int]:
        """Time, bid and ask."""
        quotes = self.quotes
        return int(quotes.time_utc_ms[index]), int(quotes.bid_points[index]), int(quotes.ask_points[index])

    def prices(self, start: int, end: int) -> tuple[list[int], list[int]]:
        """The bids and the asks of quotes `start` to `end`."""
        return self.quotes.bid_points[start:end].tolist(), self.quotes.ask_points[start:end].tolist()

    def first_outside(self, one: Band, other: Band) -> int:
        """The first quote to come that is not inside both bands; the count when all are. Searched once for each pair."""
        if (one, other) != self._bands or self._found < self.done:
            self._bands, self._found = (one, other), self._search.first_outside(self.done, one.within(other))
        return self._found

    def first_from(self, utc_ms: int) -> int:
        """The first quote to come at or after that time."""
        if utc_ms >= NEVER_UTC_MS:
            return self.count
        return max(self.done, int(self.quotes.time_utc_ms.searchsorted(utc_ms)))

    def first_expected(self) -> int:
        """The first quote to come on which somebody will say something."""
        if not len(self._expected):
            return self.count
        place = int(self._expected.searchsorted(self.done))
        return int(self._expected[place]) if place < len(self._expected) else self.count
