"""What the market feed keeps, where its quotes come from, and when it samples."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from evenkeel.adapters.quote_board import BoardQuote
from evenkeel.messages.market import Quote, SymbolSpec
from evenkeel.rules.bars import PERIOD_MS, OpenBar, multiple_after
from evenkeel.rules.spreads import Spreads
from evenkeel.rules.watches import Watches

SampleAfter = Callable[[str, str, int, int], int]
"""Of an owner, a symbol and `every_ms`: the first time to sample at after the given one (owner, symbol, time, every)."""


def every_multiple(owner: str, symbol: str, utc_ms: int, every_ms: int) -> int:
    return multiple_after(utc_ms, every_ms)


class QuoteSource(Protocol):
    """Where quotes come from on the threaded host. In market time it moves the run's clock to each quote it gives."""

    def take(self) -> tuple[str, Quote] | None:
        """The next quote that is due, with its symbol; None when none is. Each symbol's quotes in order, each once."""
        ...

    def wait_s(self) -> float:
        """How long until a quote may be due; 0.0 when one may be due at once."""
        ...


class Sampling(msgspec.Struct):
    """One owner's samples: at the multiples of `every_ms`. `due_utc_ms` 0: the first quote decides where to begin."""

    every_ms: int
    due_utc_ms: int = 0


class SymbolFeed(msgspec.Struct):
    """What is kept of one symbol; the open M1 bar is not here, it is read again from the history.

    `bars` are the open longer bars, of closed minutes. `minute_utc_ms` is the start of the minute after the last closed M1
    bar, `quote` the newest quote that was said; None before the first.
    """

    spec: SymbolSpec
    watches: Watches = msgspec.field(default_factory=Watches)
    samples: dict[str, Sampling] = {}
    bars: dict[str, OpenBar] = {}
    spreads: Spreads = msgspec.field(default_factory=Spreads)
    minute_utc_ms: int | None = None
    quote: Quote | None = None
    is_stale: bool = False
    crossed_dropped: int = 0
    repeats_dropped: int = 0
    backwards_dropped: int = 0


class FeedState(msgspec.Struct):
    symbols: dict[str, SymbolFeed]


def quote_of(row: BoardQuote) -> Quote:
    return Quote(row.time_utc_ms, row.bid_points, row.ask_points)


def longer_than_m1(timeframes: Sequence[str]) -> list[str]:
    return sorted((name for name in set(timeframes) if name != "M1"), key=PERIOD_MS.__getitem__)


def clean(quotes: Sequence[Quote]) -> Iterator[Quote]:
    """Without repeats of the row before and without crossed quotes, as they were served the first time."""
    before = None
    for quote in quotes:
        if quote != before and quote.bid_points <= quote.ask_points:
            yield quote
        before = quote
