"""Recorded quotes through the stepped host, in the order of one instant (DESIGN 6).

Timers due before a quote, then its samples; the broker serves its own stops; crossed levels (exits); closed bars (entries)
and what strategies say that look at every quote; timers due exactly now. Everything that one of these causes is finished
before the next.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from evenkeel.adapters.market_feed import MarketFeed
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.terminal import TerminalEdge
from evenkeel.messages.system import Message
from evenkeel.runtime.clock import ManualClock

FEED: Final = "market_feed"
TERMINAL: Final = "terminal"
CLOCK: Final = "clock"
_NEVER: Final = 2**62

RecordedQuote = tuple[int, str, int, int, int]
"""Row of the input, symbol, time (UTC milliseconds), bid and ask in points."""


class Host(Protocol):
    """What a replay needs of the stepped host."""

    clock: ManualClock

    def child(self, name: str) -> Any: ...

    def hearers(self, kind: type[Message]) -> Sequence[str]: ...

    def poke(self, name: str, look: Callable[[Any], Sequence[Message]], *, row: int, derived: bool) -> None: ...

    def advance_to(self, utc_ms: int, *, inclusive: bool = False) -> None: ...


class EveryTick:
    """`tick_strategies` are the children that look at every quote. `wake_utc_ms` is when the next timer or sample is due, or
    something at the broker: the first quote from then on has more to do than its price says.
    """

    def __init__(self, host: Host, terminal: SimulatedTerminal, *, tick_strategies: Sequence[str] = ()) -> None:
        self._host, self._terminal, self._tick_strategies = host, terminal, tick_strategies
        self.wake_utc_ms = self._next_wake_utc_ms()

    def serve(self, quotes: Iterable[RecordedQuote]) -> None:
        """Serve every quote, in the order given. The quiet path touches terminal and feed alone.

        A feed that was restarted while the quote had its consequences has read the quote again from the terminal's history.
        """
        host, on_quote = self._host, self._terminal.on_quote
        feed: MarketFeed = host.child(FEED)
        self.wake_utc_ms = wake_utc_ms = self._next_wake_utc_ms()
        for row, symbol, time_utc_ms, bid_points, ask_points in quotes:
            happened = time_utc_ms >= wake_utc_ms
            if happened:
                self._fire(time_utc_ms, row)
                feed = host.child(FEED)
            if on_quote(symbol, time_utc_ms, bid_points, ask_points):
                self._say(TERMINAL, time_utc_ms, row, TerminalEdge.news, derived=False)
                happened = True
            if not happened or host.child(FEED) is feed:
                reached = feed.reached(symbol, time_utc_ms, bid_points, ask_points)
                if reached:
                    self._say(FEED, time_utc_ms, row, _already(reached), derived=True)
                    happened = True
            if not happened or host.child(FEED) is feed:
                bars = feed.closed_bars(symbol, time_utc_ms, bid_points, ask_points)
                if bars:
                    self._say(FEED, time_utc_ms, row, _already(bars), derived=True)
                    happened = True
            for name in self._tick_strategies:
                signals = host.child(name).ticked(row, symbol, time_utc_ms, bid_points, ask_points)
                if signals:
                    self._say(name, time_utc_ms, row, _already(signals), derived=False)
                    happened = True
            if happened:
                host.advance_to(time_utc_ms, inclusive=True)
                feed = host.child(FEED)
                self.wake_utc_ms = wake_utc_ms = self._next_wake_utc_ms()

    def _next_wake_utc_ms(self) -> int:
        timer: int | None = self._host.child(CLOCK).next_due_utc_ms()
        sample: int = self._host.child(FEED).next_sample_utc_ms
        return min(_NEVER if timer is None else timer, sample, self._terminal.due_utc_ms)

    def _fire(self, time_utc_ms: int, row: int) -> None:
        self._host.advance_to(time_utc_ms)
        self._host.poke(FEED, lambda feed: feed.samples_before(time_utc_ms), row=row, derived=True)

    def _say(self, name: str, time_utc_ms: int, row: int, look: Callable[[Any], Sequence[Message]], *, derived: bool) -> None:
        self._host.clock.advance_to(time_utc_ms)
        self._host.poke(name, look, row=row, derived=derived)


def _already(said: Sequence[Message]) -> Callable[[Any], Sequence[Message]]:
    """What the feed has found by looking at the quote, for it to say."""
    return lambda _: said
