"""The newest quote of each symbol, for whoever needs to know how old a price is. Survives incarnations of the feed.

Who needs every quote follows a symbol and takes what has come since.
"""

from collections import deque
from typing import Final, NamedTuple

from evenkeel.rules.spreads import Spreads, baseline_points

QUOTES_FOLLOWED_MAX: Final = 65_536
"""So many wait for a follower who is late; of more the oldest are lost to it."""

Tick = tuple[int, int, int]
"""Time (UTC milliseconds), bid and ask in points."""


class BoardQuote(NamedTuple):
    """`monotonic_ns` is when the feed served it: the age of a quote is real time, whatever the run's clock does."""

    time_utc_ms: int
    bid_points: int
    ask_points: int
    monotonic_ns: int


class QuoteBoard:
    """Written by the feed alone, read from any thread: a row is replaced as a whole."""

    def __init__(self) -> None:
        self.quotes = self.samples = 0
        """How many quotes a live feed has looked at, and how many samples it has said, over all of its incarnations."""
        self._newest: dict[str, tuple[int, int, int, int]] = {}
        self._held: dict[str, BoardQuote | None] = {}
        self._followers: dict[str, list[deque[Tick]]] = {}
        self._spreads: dict[str, tuple[Spreads, int]] = {}

    def put(self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int, monotonic_ns: int) -> None:
        """The newest quote. Kept bare: this runs for every quote, and a named tuple costs five times as much."""
        self._newest[symbol] = (time_utc_ms, bid_points, ask_points, monotonic_ns)
        if self._followers and symbol in self._followers:
            for queue in self._followers[symbol]:
                queue.append((time_utc_ms, bid_points, ask_points))

    def get(self, symbol: str) -> BoardQuote | None:
        newest = self._newest.get(symbol)
        return None if newest is None else BoardQuote(*newest)

    def served(self, symbol: str) -> BoardQuote | None:
        """The newest quote whose crossings are certainly published."""
        newest = self.get(symbol)
        return self._held.get(symbol, newest)

    def hold(self, symbol: str, served: BoardQuote | None) -> None:
        """What the newest quote crossed is not published yet: until `release` only `served` is."""
        self._held[symbol] = served

    def release(self) -> None:
        """Everything said so far is published."""
        self._held.clear()

    def follow(self, symbol: str) -> deque[Tick]:
        """Every quote of `symbol` from now on, for one reader, who takes from the left."""
        queue = deque[Tick](maxlen=QUOTES_FOLLOWED_MAX)
        self._followers.setdefault(symbol, []).append(queue)
        return queue

    def unfollow(self, symbol: str, queue: deque[Tick]) -> None:
        """The reader has gone."""
        self._followers[symbol] = [one for one in self._followers.get(symbol, []) if one is not queue]

    def keep_spreads(self, symbol: str, spreads: Spreads, typical_points: int) -> None:
        """The feed's own record of spreads, which it goes on writing; `typical_points` stands in while that is short."""
        self._spreads[symbol] = spreads, typical_points

    def usual_spread_points(self, symbol: str, utc_ms: int) -> int:
        """The usual spread at `utc_ms`. Raises KeyError before the feed has begun."""
        spreads, typical_points = self._spreads[symbol]
        return baseline_points(spreads, utc_ms, typical_points)
