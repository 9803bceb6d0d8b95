"""Recorded quotes, straight to the next one that matters.

Between two quotes that can wake a child nothing happens, so they are passed over together: feed and terminal take in what
they would have kept of each. A quote matters when it is a symbol's first, leaves the band in which no watch and no level of
the broker's lies, closes a bar that somebody wants, is one on which a strategy that looks at every quote says something, or
is the first after a timer or sample was due. It is then served as tick by tick, by the same code. Where the two forms
differ, tick by tick is right.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Final

from evenkeel.adapters.history.merged import Stretch
from evenkeel.adapters.market_feed import MarketFeed
from evenkeel.adapters.replay.bar_foresight import BarForesight, EveryBar
from evenkeel.adapters.replay.every_tick import FEED, EveryTick, Host, RecordedQuote
from evenkeel.adapters.replay.foreseen_samples import ForeseenSamples
from evenkeel.adapters.replay.lane import Lane
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.strategy.foreseen import Answers
from evenkeel.messages.market import BarClosed
from evenkeel.rules.bar_columns import Bars, Minutes
from evenkeel.rules.bars import PERIOD_MS, OpenMinute, period_start_utc_ms

_MINUTE_MS: Final = PERIOD_MS["M1"]


class Jump:
    """`minutes` are the M1 bars of all quotes that will be served, by symbol; `foresights` belong to children that hear bars,
    by name: one without hears every bar. `tick_answers` are those of children that look at every quote, `samples` knows when
    the circuit breaker is to be sampled: both look at a whole stretch beforehand.
    """

    def __init__(
        self,
        host: Host,
        terminal: SimulatedTerminal,
        minutes: Mapping[str, Bars],
        *,
        foresights: Mapping[str, BarForesight],
        tick_answers: Mapping[str, Answers],
        samples: ForeseenSamples | None = None,
    ) -> None:
        self._samples = samples
        self._host, self._terminal, self._tick_answers = host, terminal, tick_answers
        self._minutes = {symbol: Minutes(bars) for symbol, bars in minutes.items()}
        self._one_by_one = EveryTick(host, terminal, tick_strategies=list(tick_answers))
        self._foresights = [(name, foresights.get(name, EveryBar())) for name in host.hearers(BarClosed)]

    def serve(self, stretch: Stretch) -> None:
        """Serve every quote of `stretch`; stretches in their order, none left out."""
        lanes = list(map(Lane, stretch.symbols, stretch.quotes, stretch.position, repeat(stretch.size)))
        for lane in lanes:
            lane.expect([answers.foresee(lane.symbol, lane.quotes) for answers in self._tick_answers.values()])
            if self._samples is not None:
                self._samples.look(lane.symbol, lane.quotes, int(stretch.time_utc_ms[-1]))
        self._one_by_one.serve(self._that_matter(stretch, lanes))

    def _that_matter(self, stretch: Stretch, lanes: Sequence[Lane]) -> Iterator[RecordedQuote]:
        """Each is asked for when everything that the one before caused is finished."""
        at = 0
        while at < stretch.size:
            there, lane = self._next(stretch, lanes, at)
            self._pass_over(lanes, there)
            if lane is not None:
                yield lane.take()
            at = there + 1

    def _next(self, stretch: Stretch, lanes: Sequence[Lane], at: int) -> tuple[int, Lane | None]:
        """The place in the stretch, from `at` on, of the next quote that matters, and whose it is; its count when none does."""
        woken = max(at, int(stretch.time_utc_ms.searchsorted(self._one_by_one.wake_utc_ms)))
        there, nearest = stretch.size, None
        feed: MarketFeed = self._host.child(FEED)
        for lane in lanes:
            index = min(self._next_of(lane, feed), lane.first_at(woken))
            if index < lane.count and lane.place(index) < there:
                there, nearest = lane.place(index), lane
        return there, nearest

    def _next_of(self, lane: Lane, feed: MarketFeed) -> int:
        minute_ends_utc_ms = feed.minute_ends_utc_ms(lane.symbol)
        if minute_ends_utc_ms is None:
            return lane.done
        outside = lane.first_outside(self._terminal.band(lane.symbol), feed.band(lane.symbol))
        child = self._host.child
        wanted = [one.next_bar_utc_ms(child(name), lane.symbol, minute_ends_utc_ms) for name, one in self._foresights]
        return min(outside, lane.first_from(min(wanted)), lane.first_expected())

    def _pass_over(self, lanes: Sequence[Lane], there: int) -> None:
        feed: MarketFeed = self._host.child(FEED)
        for lane in lanes:
            end = lane.first_at(there)
            if end > lane.done:
                newest = lane.quote(end - 1)
                open_utc_ms = period_start_utc_ms(newest[0], "M1")
                bids, asks = lane.prices(max(lane.done, lane.first_from(open_utc_ms)), end)
                minute = OpenMinute(open_utc_ms, open_utc_ms + _MINUTE_MS, bids, asks)
                closed_now = feed.pass_over(lane.symbol, self._minutes[lane.symbol], minute, newest)
                self._terminal.pass_over(lane.symbol, *newest)
                lane.done = end
                if closed_now:
                    for name, foresight in self._foresights:
                        foresight.pass_over(self._host.child(name), lane.symbol, closed_now)
