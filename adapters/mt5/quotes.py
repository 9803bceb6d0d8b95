"""Every quote of the symbols that matter, once: the feed's source over a broker that must be asked.

A terminal pushes nothing, and starts a copy of ticks at a whole second; so what came before is told apart by its time and its
place among those of the same millisecond.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from evenkeel.adapters.broker import Broker
from evenkeel.messages.market import Quote

POLL_S: Final = 0.05
BACKWARDS_MS: Final = 5 * 60_000
"""Quotes that lie so far back are of a clock that was put right, not late."""


class Seen(NamedTuple):
    """The newest time that was taken, and how many quotes of that millisecond."""

    time_utc_ms: int
    quotes: int


def unseen(quotes: Sequence[Quote], seen: Seen) -> tuple[list[Quote], Seen]:
    """Those of `quotes` (from `seen.time_utc_ms` on, in order) that have not been taken yet."""
    new: list[Quote] = []
    newest, count, at_start = seen.time_utc_ms, seen.quotes, 0
    for quote in quotes:
        if quote.time_utc_ms < seen.time_utc_ms:
            continue
        if quote.time_utc_ms == seen.time_utc_ms:
            at_start += 1
            if at_start <= seen.quotes:
                continue
        new.append(quote)
        if quote.time_utc_ms > newest:
            newest, count = quote.time_utc_ms, 1
        elif quote.time_utc_ms == newest:
            count += 1
    return new, Seen(newest, count)


class PolledSource:
    """Implements the feed's QuoteSource; used by one thread. Begins with the newest quote: what was before is history's."""

    def __init__(self, broker: Broker, symbols: Sequence[str], monotonic_s: Callable[[], float]) -> None:
        self._broker, self._symbols, self._monotonic_s = broker, symbols, monotonic_s
        self._seen: dict[str, Seen] = {}
        self._taken: deque[tuple[str, Quote]] = deque()
        self._asked_s: float | None = None

    @property
    def ended(self) -> bool:
        return False

    def take(self) -> tuple[str, Quote] | None:
        if not self._taken and self.wait_s() <= 0:
            self._ask()
        return self._taken.popleft() if self._taken else None

    def wait_s(self) -> float:
        if self._taken or self._asked_s is None:
            return 0.0
        return max(0.0, self._asked_s + POLL_S - self._monotonic_s())

    def _ask(self) -> None:
        found: list[tuple[str, Quote]] = []
        for symbol in self._symbols:
            newest = self._broker.quote(symbol)
            seen = self._seen.get(symbol)
            if newest is None:
                continue
            if seen is not None and newest.time_utc_ms < seen.time_utc_ms:
                if newest.time_utc_ms > seen.time_utc_ms - BACKWARDS_MS:
                    continue
                seen = None  # the broker's clock is understood otherwise now: begin anew
            if seen is None:
                self._seen[symbol] = Seen(newest.time_utc_ms, 0)
                quotes: Sequence[Quote] | None = self._broker.ticks(symbol, newest.time_utc_ms)
                new, self._seen[symbol] = unseen(quotes or [newest], self._seen[symbol])
            else:
                quotes = self._broker.ticks(symbol, seen.time_utc_ms)
                if quotes is None:
                    continue
                new, self._seen[symbol] = unseen(quotes, seen)
            found += [(symbol, quote) for quote in new]
        self._taken.extend(sorted(found, key=lambda one: one[1].time_utc_ms))
        self._asked_s = self._monotonic_s()
