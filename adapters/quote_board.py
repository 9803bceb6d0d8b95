"""The newest quote of each symbol, for whoever needs to know how old a price is. Survives incarnations of the feed."""

from typing import NamedTuple


class BoardQuote(NamedTuple):
    """`monotonic_ns` is when the feed served it: the age of a quote is real time, whatever the run's clock does."""

    time_utc_ms: int
    bid_points: int
    ask_points: int
    monotonic_ns: int


class QuoteBoard:
    """Written by the feed alone, read from any thread: a row is replaced as a whole."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[int, int, int, int]] = {}
        self._held: dict[str, BoardQuote | None] = {}

    def put(self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int, monotonic_ns: int) -> None:
        """The newest quote. Kept bare: this runs for every quote, and a named tuple costs five times as much."""
        self._newest[symbol] = (time_utc_ms, bid_points, ask_points, monotonic_ns)

    def get(self, symbol: str) -> BoardQuote | None:
        newest = self._newest.get(symbol)
        return None if newest is None else BoardQuote(*newest)

    def served(self, symbol: str) -> BoardQuote | None:
        """The newest quote whose crossings are certainly published."""
        return self._held[symbol] if symbol in self._held else self.get(symbol)

    def hold(self, symbol: str, served: BoardQuote | None) -> None:
        """What the newest quote crossed is not published yet: until `release` only `served` is."""
        self._held[symbol] = served

    def release(self) -> None:
        """Everything said so far is published."""
        self._held.clear()
