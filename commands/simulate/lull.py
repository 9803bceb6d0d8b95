"""A lull: quotes that wake nobody, taken in together as a replay does that jumps."""

from collections.abc import Callable

from evenkeel.adapters.market_feed import MarketFeed
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.commands.simulate.market import Row
from evenkeel.rules.bands import SHUT
from evenkeel.rules.bars import OpenMinute


class _Quiet:
    """One symbol's part of it: inside the band and before the minute's end a quote is one of `bids` and `asks`."""

    __slots__ = ("asks", "band", "bids", "ends_utc_ms", "newest_utc_ms")

    def __init__(self, feed: MarketFeed, terminal: SimulatedTerminal, symbol: str) -> None:
        ends_utc_ms = feed.minute_ends_utc_ms(symbol)
        is_awaited = ends_utc_ms is None or feed.state.symbols[symbol].is_stale
        self.band = SHUT if is_awaited else terminal.band(symbol).within(feed.band(symbol))
        self.ends_utc_ms = ends_utc_ms or 0
        self.newest_utc_ms = 0
        self.bids: list[int] = []
        self.asks: list[int] = []


class Lull:
    """From now until `until_utc_ms` at most, as long as `feed` and `terminal` are not touched otherwise.

    `at` moves the world's time: what was taken in bears the time at which it came.
    """

    def __init__(self, feed: MarketFeed, terminal: SimulatedTerminal, until_utc_ms: int, at: Callable[[int], None]) -> None:
        self._feed, self._terminal, self._until_utc_ms, self._at = feed, terminal, until_utc_ms, at
        self._symbols: dict[str, _Quiet] = {}

    def takes(self, row: Row) -> bool:
        """Whether this quote wakes nobody; then it is taken in."""
        utc_ms, symbol, bid_points, ask_points, lies = row
        if utc_ms >= self._until_utc_ms or lies:
            return False
        quiet = self._symbols.get(symbol)
        if quiet is None:
            quiet = self._symbols[symbol] = _Quiet(self._feed, self._terminal, symbol)
        band = quiet.band
        if utc_ms >= quiet.ends_utc_ms or not (band[0] < bid_points < band[1] and band[2] < ask_points < band[3]):
            return False
        quiet.bids.append(bid_points)
        quiet.asks.append(ask_points)
        quiet.newest_utc_ms = utc_ms
        return True

    def end(self) -> None:
        """Feed and terminal have seen every quote that it took."""
        taken = [(quiet.newest_utc_ms, symbol, quiet) for symbol, quiet in self._symbols.items() if quiet.bids]
        for utc_ms, symbol, quiet in sorted(taken, key=lambda one: one[0]):
            self._at(utc_ms)
            open_utc_ms = quiet.ends_utc_ms - 60_000
            newest = utc_ms, quiet.bids[-1], quiet.asks[-1]
            minute = OpenMinute(open_utc_ms, quiet.ends_utc_ms, quiet.bids, quiet.asks)
            self._feed.pass_over(symbol, None, minute, newest)
            self._terminal.pass_over(symbol, *newest)
