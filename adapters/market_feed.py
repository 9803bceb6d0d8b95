"""The market as the house hears it: quotes become crossed levels, closed bars and samples.

One quote is served in three steps, in this order (DESIGN 6): `samples_before` its time, `reached`, `closed_bars`. On the
threaded host `poll` takes all three; a replay takes them itself, because there each has its consequences before the next.
The steps change the state as they answer, and `remember` of what they said then finds nothing left to do: so a fold of what
was published brings the same state back, and what was not published is found again by `resume`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, assert_never

from evenkeel.adapters.asked_signal import signal_asked
from evenkeel.adapters.market_feed_state import (
    FeedState,
    QuoteSource,
    SampleAfter,
    Sampling,
    SymbolFeed,
    clean,
    every_multiple,
    longer_than_m1,
    quote_of,
)
from evenkeel.adapters.quote_board import BoardQuote, QuoteBoard, Tick
from evenkeel.messages.entry import SignalRaised
from evenkeel.messages.market import (
    ArmWatches,
    BarClosed,
    DisarmWatches,
    FeedGap,
    PricesReached,
    Quote,
    QuotesResumed,
    QuotesStale,
    SampleDue,
    SymbolSpec,
    SymbolSpecified,
    WantSamples,
)
from evenkeel.messages.operator import CommandDone, CommandRefused, RaiseSignal
from evenkeel.messages.system import Message
from evenkeel.rules.bands import Band
from evenkeel.rules.bars import (
    NEVER_UTC_MS,
    PERIOD_MS,
    OpenMinute,
    bar_of,
    closed,
    multiple_after,
    opened_by,
    period_start_utc_ms,
    with_minute,
    with_minutes,
)
from evenkeel.rules.spreads import baseline_points, record, record_all
from evenkeel.rules.watches import arm, band_of, crossed, disarm, disarm_reached
from evenkeel.runtime.edge import At

if TYPE_CHECKING:  # arrays are for replays: a live run does without numpy
    from evenkeel.rules.bar_columns import Minutes

Heard = SymbolSpecified | ArmWatches | DisarmWatches | WantSamples | RaiseSignal
OfSignals = SignalRaised | CommandDone | CommandRefused
Said = PricesReached | BarClosed | SampleDue | QuotesStale | QuotesResumed | FeedGap | OfSignals

LATE_AFTER_MS: Final = 2_000
"""A bar that a missed quote closed is late when that quote is so old by the run's clock: nobody trades on it any more."""
_OLD_MINUTE_MS: Final = 2 * PERIOD_MS["M1"]
_NS_PER_MS: Final = 1_000_000


class MarketFeed:
    """Serves the symbols of `specs` with M1 bars and the longer `timeframes` of each.

    `history(symbol, from_utc_ms)` answers the quotes from that time on, in order; None when it cannot. Without a `source`
    nothing is polled, and the age of a sample is market time. Quotes of a symbol that `quote_age_ms_max` does not name never
    become stale. A replay that knows which samples matter says so by `sample_after`.
    """

    def __init__(
        self,
        specs: Mapping[str, SymbolSpec],
        timeframes: Mapping[str, tuple[str, ...]],
        *,
        board: QuoteBoard,
        history: Callable[[str, int], Sequence[Quote] | None],
        monotonic_ns: Callable[[], int],
        source: QuoteSource | None = None,
        quote_age_ms_max: Mapping[str, int] = {},
        sample_after: SampleAfter = every_multiple,
    ) -> None:
        self.state = FeedState({symbol: SymbolFeed(spec) for symbol, spec in specs.items()})
        self.next_sample_utc_ms = NEVER_UTC_MS
        self._specs = specs
        self._longer = {symbol: longer_than_m1(names) for symbol, names in timeframes.items()}
        self._board = board
        self._history = history
        self._source = source
        self._monotonic_ns = monotonic_ns
        self._quote_age_ms_max = quote_age_ms_max
        self._sample_after = sample_after
        self._minutes: dict[str, OpenMinute] = {}
        self._old_minutes: set[str] = set()
        self._rows: dict[str, Quote] = {}

    @property
    def poll_s(self) -> float | None:
        return None if self._source is None else self._source.wait_s()

    def samples_before(self, utc_ms: int) -> list[SampleDue]:
        """Samples due strictly before `utc_ms` by their times, each on the last quote; none of a symbol without a quote.

        `next_sample_utc_ms` says when it is worth asking. In a replay a sample's own time is its quote's time plus its age;
        live, samples that were missed are not made up for: only the last is said.
        """
        if utc_ms <= self.next_sample_utc_ms:
            return []
        due = [row for symbol in self.state.symbols for row in self._samples(symbol, utc_ms)]
        self._board.samples += len(due)
        self._plan_samples()
        return [sample for _, sample in sorted(due, key=lambda row: row[0])]

    def reached(self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> list[PricesReached]:
        """The watches that this quote crosses, one message an owner, in the order of arming."""
        feed = self.state.symbols[symbol]
        found = crossed(feed.watches, bid_points, ask_points)
        if not found:
            return []
        quote = Quote(time_utc_ms, bid_points, ask_points)
        return [PricesReached(owner, symbol, feed.spec.spec_id, quote, tuple(names)) for owner, names in found.items()]

    def closed_bars(self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> list[BarClosed]:
        """The bars that this quote closes, shorter first; then the quote is part of the open ones, and served."""
        closed_now = self._fold(symbol, time_utc_ms, bid_points, ask_points)
        self._put(symbol, time_utc_ms, bid_points, ask_points)
        return closed_now

    def minute_ends_utc_ms(self, symbol: str) -> int | None:
        """The end of the open M1 bar: the first quote from then on closes it. None before the first quote."""
        minute = self._minutes.get(symbol)
        return None if minute is None else minute.ends_utc_ms

    def band(self, symbol: str) -> Band:
        """Strictly inside which a quote of `symbol` crosses no watch."""
        return band_of(self.state.symbols[symbol].watches)

    def pass_over(self, symbol: str, minutes: "Minutes | None", minute: OpenMinute, newest: Tick) -> int:
        """Take in quotes that cross nothing and close no bar that anybody wants, all at once: for a replay that jumps.

        `minutes` has all M1 bars of the replay, `minute` what they add to the one that stays open; None: the open one is the
        same as before. Never the first quote.
        Returns how many of `minutes` have closed by now; 0 when none did by these quotes.
        """
        feed, open_minute = self.state.symbols[symbol], self._minutes[symbol]
        if open_minute.open_utc_ms == minute.open_utc_ms:
            open_minute.bids += minute.bids
            open_minute.asks += minute.asks
            closed_now = 0, 0
        else:
            assert minutes is not None, "another minute is open now"
            closed_now = minutes.between(open_minute.open_utc_ms, minute.open_utc_ms)
            self._minutes[symbol] = minute
            feed.minute_utc_ms = minute.open_utc_ms
            record_all(feed.spreads, *minutes.spreads(*closed_now))
            for timeframe in self._longer.get(symbol, ()):
                bar = with_minutes(feed.bars.pop(timeframe, None), minutes.cut(*closed_now), timeframe, minute.open_utc_ms)
                if bar is not None:
                    feed.bars[timeframe] = bar
        self._put(symbol, *newest)
        return closed_now[1]

    def remember(self, message: Heard | Said) -> None:
        match message:
            case SymbolSpecified(spec=spec):
                self.state.symbols.setdefault(spec.symbol, SymbolFeed(spec)).spec = spec
            case ArmWatches():
                arm(self._feed(message.symbol).watches, message.owner, message.watches)
            case DisarmWatches():
                disarm(self._feed(message.symbol).watches, message.owner, message.names)
            case WantSamples():
                self._want_samples(message)
            case PricesReached():
                disarm_reached(self.state.symbols[message.symbol].watches, message.owner, message.names, message.quote)
            case BarClosed():
                self._remember_bar(message)
            case SampleDue():
                self._remember_sample(message)
            case QuotesStale():
                self.state.symbols[message.symbol].is_stale = True
            case QuotesResumed():
                self.state.symbols[message.symbol].is_stale = False
            case FeedGap() | RaiseSignal() | SignalRaised() | CommandDone() | CommandRefused():
                pass  # nothing that lasts
            case _:
                assert_never(message)
        if isinstance(message, PricesReached | BarClosed | SampleDue):
            self.state.symbols[message.symbol].quote = message.quote

    def act(self, message: Heard, at: At) -> Sequence[Message]:
        """A person's signal is raised at the newest price. The shell publishes before it goes on: what was said until now is
        served."""
        self._board.release()
        if not isinstance(message, RaiseSignal):
            return ()
        return signal_asked(message, self.state.symbols.get(message.symbol), self._board.get(message.symbol))

    def resume(self, now_utc_ms: int) -> Sequence[Message]:
        """Serve what was missed since the last quote that is known to be served; a first start has missed nothing.

        Watches are tested on each missed quote. Bars that closed meanwhile are late. A confirmation in progress starts again.
        """
        for symbol, spec in self._specs.items():
            feed = self.state.symbols.setdefault(symbol, SymbolFeed(spec))
            self._board.keep_spreads(symbol, feed.spreads, spec.typical_spread_points)
        said = [message for symbol in self.state.symbols for message in self._catch_up(symbol, now_utc_ms)]
        self._plan_samples()
        return said

    def poll(self, now_utc_ms: int) -> Sequence[Message]:
        """Serve one quote. When none is due: the samples that are, and symbols whose quotes have become stale."""
        assert self._source is not None, "a feed without a source is not polled"
        self._board.release()
        taken = self._source.take()
        if taken is None:
            return [*self._gone_stale(), *self.samples_before(now_utc_ms)]
        symbol, quote = taken
        return self._serve(symbol, quote) if self._is_admitted(symbol, quote) else []

    def close(self) -> None:
        """Nothing to let go of: the source and the board outlive the feed."""

    def _put(self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> None:
        """On the board. A replay has no other time than the quotes'."""
        monotonic_ns = time_utc_ms * _NS_PER_MS if self._source is None else self._monotonic_ns()
        self._board.put(symbol, time_utc_ms, bid_points, ask_points, monotonic_ns)

    def _serve(self, symbol: str, quote: Quote) -> list[Message]:
        served = self._board.served(symbol)
        self._board.quotes += 1
        price = (symbol, quote.time_utc_ms, quote.bid_points, quote.ask_points)
        said: list[Message] = []
        if self.state.symbols[symbol].is_stale:
            self.state.symbols[symbol].is_stale = False
            said.append(QuotesResumed(symbol))
        said += self.samples_before(quote.time_utc_ms)
        reached = self.reached(*price)
        said += reached
        said += self.closed_bars(*price)
        if reached:
            self._board.hold(symbol, served)
        return said

    def _is_admitted(self, symbol: str, quote: Quote) -> bool:
        """A repeat is one of the row just before it, crossed or not."""
        feed, newest = self.state.symbols[symbol], self._board.get(symbol)
        before = self._rows.get(symbol)
        self._rows[symbol] = quote
        if quote == before:
            feed.repeats_dropped += 1
        elif quote.bid_points > quote.ask_points:
            feed.crossed_dropped += 1
        elif newest is not None and quote.time_utc_ms < newest.time_utc_ms:
            feed.backwards_dropped += 1
        else:
            return True
        return False

    def _gone_stale(self) -> list[QuotesStale]:
        said: list[QuotesStale] = []
        for symbol, age_ms_max in self._quote_age_ms_max.items():
            feed, newest = self.state.symbols[symbol], self._board.get(symbol)
            if newest is None or feed.is_stale:
                continue
            age_ms = self._age_ms(newest)
            if age_ms > age_ms_max:
                feed.is_stale = True
                said.append(QuotesStale(symbol, age_ms))
        return said

    def _age_ms(self, newest: BoardQuote) -> int:
        return (self._monotonic_ns() - newest.monotonic_ns) // _NS_PER_MS

    def _fold(
        self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int, *, is_late: bool = False
    ) -> list[BarClosed]:
        minute = self._minutes.get(symbol)
        if minute is not None and time_utc_ms < minute.ends_utc_ms:
            minute.bids.append(bid_points)
            minute.asks.append(ask_points)
            return []
        quote = Quote(time_utc_ms, bid_points, ask_points)
        self._minutes[symbol] = opened_by(quote)
        if minute is None:
            return []
        late = is_late or symbol in self._old_minutes
        self._old_minutes.discard(symbol)
        return self._close(symbol, minute, quote, late=late)

    def _close(self, symbol: str, minute: OpenMinute, quote: Quote, *, late: bool) -> list[BarClosed]:
        """The baseline in what is said is that of the bars before: a wide bar does not hide behind itself."""
        feed = self.state.symbols[symbol]
        usual_points = baseline_points(feed.spreads, quote.time_utc_ms, feed.spec.typical_spread_points)
        said = [closed(bar_of(minute), "M1", feed.spec, spread_median_points=usual_points, quote=quote, late=late)]
        self._remember_bar(said[0])
        for timeframe in self._longer.get(symbol, ()):
            bar = feed.bars.get(timeframe)
            if bar is not None and quote.time_utc_ms >= bar.ends_utc_ms:
                del feed.bars[timeframe]
                said.append(closed(bar, timeframe, feed.spec, spread_median_points=usual_points, quote=quote, late=late))
        return said

    def _remember_bar(self, bar: BarClosed) -> None:
        """A bar that is remembered already changes nothing."""
        feed = self.state.symbols[bar.symbol]
        if bar.timeframe != "M1":
            open_bar = feed.bars.get(bar.timeframe)
            if open_bar is not None and open_bar.open_utc_ms == bar.open_utc_ms:
                del feed.bars[bar.timeframe]
        elif feed.minute_utc_ms is None or bar.open_utc_ms >= feed.minute_utc_ms:
            feed.minute_utc_ms = period_start_utc_ms(bar.quote.time_utc_ms, "M1")
            record(feed.spreads, bar.open_utc_ms, bar.spread_points)
            for timeframe in self._longer.get(bar.symbol, ()):
                feed.bars[timeframe] = with_minute(feed.bars.get(timeframe), bar, timeframe)

    def _feed(self, symbol: str) -> SymbolFeed:
        """Others may want something of a symbol that is new in the configuration before a fold has come to its terms."""
        return self.state.symbols.get(symbol) or self.state.symbols.setdefault(symbol, SymbolFeed(self._specs[symbol]))

    def _want_samples(self, message: WantSamples) -> None:
        samples = self._feed(message.symbol).samples
        if message.every_ms:
            samples[message.owner] = Sampling(message.every_ms)
        else:
            samples.pop(message.owner, None)
        self._plan_samples()

    def _samples(self, symbol: str, utc_ms: int) -> Iterator[tuple[int, SampleDue]]:
        feed, newest = self.state.symbols[symbol], self._board.get(symbol)
        for owner, sampling in feed.samples.items():
            if newest is None:
                sampling.due_utc_ms = multiple_after(utc_ms - 1, sampling.every_ms)
                continue
            for due_utc_ms in self._due_before(utc_ms, owner, symbol, newest):
                yield (
                    due_utc_ms,
                    SampleDue(
                        owner=owner,
                        symbol=symbol,
                        spec_id=feed.spec.spec_id,
                        quote=quote_of(newest),
                        age_ms=due_utc_ms - newest.time_utc_ms if self._source is None else self._age_ms(newest),
                        spread_median_points=baseline_points(feed.spreads, due_utc_ms, feed.spec.typical_spread_points),
                    ),
                )

    def _due_before(self, utc_ms: int, owner: str, symbol: str, newest: BoardQuote) -> Sequence[int]:
        """The times to sample at; the owner is then due after them."""
        sampling = self.state.symbols[symbol].samples[owner]
        due_utc_ms = sampling.due_utc_ms or self._sample_after(owner, symbol, newest.time_utc_ms, sampling.every_ms)
        if self._source is not None:
            sampling.due_utc_ms = max(due_utc_ms, multiple_after(utc_ms - 1, sampling.every_ms))
            return range(due_utc_ms, utc_ms, sampling.every_ms)[-1:]
        times_utc_ms = []
        while due_utc_ms < utc_ms:
            times_utc_ms.append(due_utc_ms)
            due_utc_ms = self._sample_after(owner, symbol, due_utc_ms, sampling.every_ms)
        sampling.due_utc_ms = due_utc_ms
        return times_utc_ms

    def _remember_sample(self, sample: SampleDue) -> None:
        sampling = self.state.symbols[sample.symbol].samples.get(sample.owner)
        if sampling is not None:
            said_utc_ms = sample.quote.time_utc_ms + sample.age_ms
            sampling.due_utc_ms = max(sampling.due_utc_ms, multiple_after(said_utc_ms, sampling.every_ms))

    def _plan_samples(self) -> None:
        wanted = [sampling.due_utc_ms for feed in self.state.symbols.values() for sampling in feed.samples.values()]
        self.next_sample_utc_ms = min(wanted, default=NEVER_UTC_MS)

    def _catch_up(self, symbol: str, now_utc_ms: int) -> list[Message]:
        feed, on_board = self.state.symbols[symbol], self._board.served(symbol)
        served = feed.quote if on_board is None else quote_of(on_board)
        if served is None:
            return []
        minute_utc_ms = feed.minute_utc_ms
        if minute_utc_ms is None:
            minute_utc_ms = period_start_utc_ms(served.time_utc_ms, "M1")
        quotes = list(clean(self._history(symbol, minute_utc_ms) or ()))
        said: list[Message] = []
        if feed.watches.armed and (not quotes or quotes[0].time_utc_ms > served.time_utc_ms):
            known_utc_ms = quotes[0].time_utc_ms if quotes else now_utc_ms
            said.append(FeedGap(symbol, feed.spec.spec_id, served.time_utc_ms, known_utc_ms, 0, 0))
        said += self._serve_missed(symbol, quotes, served, now_utc_ms)
        if quotes:
            self._put_old(symbol, quotes[-1], now_utc_ms)
        return said

    def _serve_missed(self, symbol: str, quotes: Sequence[Quote], served: Quote, now_utc_ms: int) -> list[Message]:
        """Fold `quotes` into the bars and test those after `served`: where it stands twice, rather once more than never."""
        said: list[Message] = []
        is_missed = False
        for quote in quotes:
            price = (symbol, quote.time_utc_ms, quote.bid_points, quote.ask_points)
            is_missed = is_missed or quote.time_utc_ms > served.time_utc_ms
            if is_missed:
                said += self.reached(*price)
            said += self._fold(*price, is_late=now_utc_ms - quote.time_utc_ms > LATE_AFTER_MS)
            is_missed = is_missed or quote == served
        return said

    def _put_old(self, symbol: str, quote: Quote, now_utc_ms: int) -> None:
        """On the board, as old as the run's clock says; not yet served, because nothing of it is published."""
        self._rows[symbol] = quote
        age_ms = now_utc_ms - quote.time_utc_ms
        if age_ms >= _OLD_MINUTE_MS:
            self._old_minutes.add(symbol)
        newest, served = self._board.get(symbol), self._board.served(symbol)
        if newest is None or quote.time_utc_ms > newest.time_utc_ms:
            monotonic_ns = self._monotonic_ns() - max(0, age_ms) * _NS_PER_MS
            self._board.put(symbol, quote.time_utc_ms, quote.bid_points, quote.ask_points, monotonic_ns)
            self._board.hold(symbol, served)
