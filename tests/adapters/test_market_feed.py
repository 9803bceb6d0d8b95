from collections.abc import Sequence

import pytest
from builders import MONDAY_UTC_MS, config_of, specs_of, terminal_of, world_of

from evenkeel.adapters.market_feed import MarketFeed
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.world import market_feed
from evenkeel.messages.market import (
    ArmWatches,
    BarClosed,
    DisarmWatches,
    FeedGap,
    PointWorth,
    PricesReached,
    Quote,
    QuotesResumed,
    QuotesStale,
    SampleDue,
    Side,
    SymbolSpec,
    SymbolSpecified,
    WantSamples,
    Watch,
)
from evenkeel.messages.system import Message
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.clock import ManualClock
from evenkeel.runtime.edge import At

OWNER = "position/EURUSD"
MINUTE_MS = 60_000
STOP = Watch("stop", Side.BID, rising=False, level_points=900)
TARGET = Watch("target", Side.BID, rising=True, level_points=1100)


def spec(symbol: str = "EURUSD", spec_id: int = 3) -> SymbolSpec:
    return SymbolSpec(
        spec_id=spec_id,
        symbol=symbol,
        digits=5,
        contract_size=100_000,
        steps_per_lot=100,
        volume_min_steps=1,
        volume_max_steps=10_000,
        stops_level_points=0,
        worth=PointWorth(100, 1),
        notional_cents_per_lot=11_000_000,
        typical_spread_points=10,
    )


def quote(time_utc_ms: int, bid_points: int, spread_points: int = 10) -> Quote:
    return Quote(time_utc_ms, bid_points, bid_points + spread_points)


def arming(*watches: Watch, owner: str = OWNER) -> ArmWatches:
    return ArmWatches(owner, "EURUSD", 3, watches)


class World:
    """What outlives an incarnation of the feed: the terminal's quotes, the board, and what the shell folds."""

    def __init__(self, *timeframes: str, live: bool = True) -> None:
        self.clock, self.board = ManualClock(), QuoteBoard()
        self.ticks: list[Quote] | None = []
        self.waiting: list[tuple[str, Quote]] = []
        self.folded: list[Message] = []
        self.timeframes, self.live = timeframes, live
        self.start()

    def start(self) -> None:
        self.feed = MarketFeed(
            {symbol: spec(symbol) for symbol in ("EURUSD", "USDJPY")},
            {"EURUSD": self.timeframes},
            board=self.board,
            history=lambda symbol, from_utc_ms: self.ticks and [tick for tick in self.ticks if tick.time_utc_ms >= from_utc_ms],
            source=self if self.live else None,
            monotonic_ns=self.clock.monotonic_ns,
            quote_age_ms_max={"EURUSD": 5_000, "USDJPY": 5_000},
        )

    def take(self) -> tuple[str, Quote] | None:
        return self.waiting.pop(0) if self.waiting else None

    def wait_s(self) -> float:
        return 0.0 if self.waiting else 0.25

    def restart(self, now_utc_ms: int) -> list[Message]:
        """The shell's way: a new incarnation, the fold, then a look at the world."""
        self.start()
        for message in self.folded:
            self.feed.remember(message)
        return self.said(self.feed.resume(now_utc_ms))

    def hear(self, *messages: Message) -> None:
        for message in messages:
            self.folded.append(message)
            self.feed.remember(message)
            assert not self.feed.act(message, At(0, 0))

    def said(self, messages: Sequence[Message]) -> list[Message]:
        for message in messages:
            self.folded.append(message)
            self.feed.remember(message)
        return list(messages)

    def poll(self, *quotes: Quote, now_utc_ms: int = 0) -> list[Message]:
        """Everything said while the source gives `quotes`; without any, what an idle look says."""
        said: list[Message] = []
        for each in quotes:
            self.clock.advance_to(each.time_utc_ms)
            self.ticks = [*(self.ticks or []), each]
            self.waiting.append(("EURUSD", each))
            said += self.said(self.feed.poll(each.time_utc_ms))
        return said if quotes else self.said(self.feed.poll(now_utc_ms))

    def replay(self, each: Quote) -> list[Message]:
        price = ("EURUSD", each.time_utc_ms, each.bid_points, each.ask_points)
        return [
            *self.said(self.feed.samples_before(each.time_utc_ms)),
            *self.said(self.feed.reached(*price)),
            *self.said(self.feed.closed_bars(*price)),
        ]


@pytest.fixture
def world() -> World:
    world = World()
    world.feed.resume(0)
    return world


def reached(each: Quote, *names: str, owner: str = OWNER) -> PricesReached:
    return PricesReached(owner, "EURUSD", 3, each, names)


# Watches


def test_a_quote_that_crosses_wakes_the_owner_once(world):
    world.hear(arming(STOP, TARGET))
    assert world.poll(quote(1, 901)) == []
    assert world.poll(quote(2, 900)) == [reached(quote(2, 900), "stop")]
    assert world.poll(quote(3, 899)) == []


def test_all_watches_of_an_owner_come_together_and_owners_in_the_order_of_arming(world):
    soft = Watch("soft", Side.BID, rising=False, level_points=950)
    world.hear(arming(soft, owner="shield"), arming(STOP, soft))
    gap = quote(1, 800)
    assert world.poll(gap) == [reached(gap, "soft", owner="shield"), reached(gap, "stop", "soft")]


def test_a_watch_counts_from_the_quote_after_the_one_being_served(world):
    world.poll(quote(1, 900))
    world.hear(arming(STOP))
    assert world.poll(now_utc_ms=2) == []
    assert world.poll(quote(1, 899)) == [reached(quote(1, 899), "stop")]


def test_a_disarmed_watch_stays_silent(world):
    world.hear(arming(STOP), DisarmWatches(OWNER, "EURUSD", ("stop", "unknown")))
    assert world.poll(quote(1, 800)) == []


def test_what_is_said_names_the_newest_spec(world):
    world.hear(SymbolSpecified(spec(spec_id=4)), arming(STOP))
    (said,) = world.poll(quote(1, 800))
    assert said.spec_id == 4


# Bars


def test_a_bar_is_closed_by_the_first_quote_of_a_later_period(world):
    assert world.poll(quote(1, 1000), quote(59_999, 1003)) == []
    closing = quote(5 * MINUTE_MS, 990)
    (bar,) = world.poll(closing)
    assert (bar.timeframe, bar.open_utc_ms, bar.open_points, bar.close_points) == ("M1", 0, 1000, 1003)
    assert (bar.quotes, bar.quote, bar.late, bar.spread_median_points) == (2, closing, False, 10)


def test_the_shorter_bar_is_closed_first():
    world = World("H1", "M5", "M1")
    world.feed.resume(0)
    world.poll(quote(1, 1000), quote(MINUTE_MS, 1010), quote(4 * MINUTE_MS, 990))
    said = world.poll(quote(60 * MINUTE_MS, 1))
    assert [(bar.timeframe, bar.high_points, bar.quotes) for bar in said] == [("M1", 990, 1), ("M5", 1010, 3), ("H1", 1010, 3)]


def test_a_quote_crosses_levels_before_it_closes_bars(world):
    world.hear(arming(STOP))
    world.poll(quote(1, 1000))
    said = world.poll(quote(MINUTE_MS, 800))
    assert [type(message) for message in said] == [PricesReached, BarClosed]


def test_a_wide_bar_does_not_raise_its_own_baseline(world):
    bars = world.poll(*(quote(minute * MINUTE_MS, 1000, 20 if minute < 11 else 90) for minute in range(13)))
    assert [bar.spread_median_points for bar in bars[-2:]] == [20, 20]
    assert (bars[-1].spread_points, bars[0].spread_median_points) == (90, 10)


# Samples


def test_in_a_replay_each_sample_comes_at_its_own_time_on_the_last_quote():
    world = World(live=False)
    world.feed.resume(0)
    world.hear(WantSamples("circuit_breaker", "EURUSD", 1_000))
    assert world.replay(quote(1_500, 1000)) == []
    said = world.replay(quote(4_000, 1010))
    assert [(sample.age_ms, sample.quote) for sample in said] == [(500, quote(1_500, 1000)), (1_500, quote(1_500, 1000))]
    assert world.replay(quote(4_001, 1010))[0].quote == quote(4_000, 1010)


def test_the_feed_tells_when_the_next_sample_is_due():
    world = World(live=False)
    world.feed.resume(0)
    world.hear(WantSamples("circuit_breaker", "EURUSD", 1_000))
    world.replay(quote(1_500, 1000))
    assert world.feed.next_sample_utc_ms == 2_000


def test_live_a_sample_comes_without_a_quote_and_missed_ones_are_not_made_up_for(world):
    world.hear(WantSamples("circuit_breaker", "EURUSD", 1_000))
    world.poll(quote(500, 1000))
    world.clock.advance_to(4_600)
    (sample,) = world.poll(now_utc_ms=4_600)
    assert sample == SampleDue("circuit_breaker", "EURUSD", 3, quote(500, 1000), age_ms=4_100, spread_median_points=10)
    assert world.poll(now_utc_ms=5_000) == []


def test_samples_end_when_nobody_wants_them(world):
    world.hear(WantSamples("circuit_breaker", "EURUSD", 1_000), WantSamples("circuit_breaker", "EURUSD", 0))
    assert world.poll(quote(500, 1000), quote(9_500, 1000)) == []


# Quotes that are old or wrong


def test_a_symbol_without_quotes_becomes_stale_once_and_resumes(world):
    world.poll(quote(1_000, 1000))
    world.clock.advance_to(6_001)
    assert world.poll(now_utc_ms=6_001) == [QuotesStale("EURUSD", 5_001)]
    assert world.poll(now_utc_ms=6_002) == []
    assert world.poll(quote(7_000, 1000)) == [QuotesResumed("EURUSD")]


def test_wrong_quotes_are_dropped_and_counted(world):
    world.hear(arming(STOP))
    good, crossed, backwards = quote(1_000, 1000), quote(1_001, 800, spread_points=-1), quote(999, 800)
    assert world.poll(good, good, crossed, crossed, backwards) == []
    dropped = world.feed.state.symbols["EURUSD"]
    assert (dropped.repeats_dropped, dropped.crossed_dropped, dropped.backwards_dropped) == (2, 1, 1)


def test_the_shell_polls_again_at_once_while_quotes_wait(world):
    assert world.feed.poll_s == 0.25
    world.waiting.append(("EURUSD", quote(1, 1000)))
    assert world.feed.poll_s == 0.0
    assert World(live=False).feed.poll_s is None


def test_the_board_shows_the_newest_quote(world):
    world.poll(quote(1_000, 1000), quote(2_000, 1001))
    assert world.board.get("EURUSD") == (2_000, 1001, 1011, 2_000_000_000)
    assert world.board.get("USDJPY") is None


# After a crash


def test_a_first_start_says_nothing_whatever_the_terminal_remembers(world):
    world.ticks = [quote(1, 1000), quote(MINUTE_MS, 1000)]
    assert world.restart(2 * MINUTE_MS) == []


def test_a_level_crossed_while_the_feed_was_down_is_found(world):
    world.hear(arming(STOP, TARGET))
    world.poll(quote(1_000, 1000))
    spike = quote(2_000, 899)
    world.ticks += [spike, quote(3_000, 1000)]
    assert world.restart(3_500) == [reached(spike, "stop")]
    assert world.poll(quote(4_000, 1100)) == [reached(quote(4_000, 1100), "target")]


def test_a_crossing_that_was_never_published_is_found_again(world):
    world.hear(arming(STOP))
    world.poll(quote(1_000, 1000))
    spike = quote(2_000, 899)
    world.ticks.append(spike)
    world.waiting.append(("EURUSD", spike))
    assert world.feed.poll(2_000) == [reached(spike, "stop")]
    assert world.restart(2_000) == [reached(spike, "stop")]


def test_a_watch_is_not_tested_on_the_quote_before_it_was_armed(world):
    world.hear(arming(TARGET))
    world.poll(quote(1_000, 1100))
    world.hear(arming(STOP, Watch("trail", Side.BID, rising=True, level_points=1090)))
    assert world.restart(1_000) == []


def test_a_restart_goes_on_with_the_open_bars():
    calm, crashing = World("M5"), World("M5")
    quotes = [quote(second * 1_000, 1000 + second * 7 % 50) for second in range(0, 700, 13)]
    for world in (calm, crashing):
        world.feed.resume(0)
        world.poll(*quotes[:40])
    assert crashing.restart(quotes[39].time_utc_ms) == []
    assert crashing.poll(*quotes[40:]) == calm.poll(*quotes[40:])


def test_a_bar_that_closed_while_the_feed_was_down_is_late(world):
    world.poll(quote(1_000, 1000), quote(MINUTE_MS, 1001))
    world.ticks += [quote(MINUTE_MS + 1, 1002), quote(2 * MINUTE_MS, 1003), quote(2 * MINUTE_MS + 5, 1004)]
    (missed,) = world.restart(2 * MINUTE_MS + 3_000)
    assert (missed.open_utc_ms, missed.quotes, missed.late) == (MINUTE_MS, 2, True)
    (next_bar,) = world.poll(quote(3 * MINUTE_MS, 1005))
    assert (next_bar.open_utc_ms, next_bar.quotes, next_bar.late) == (2 * MINUTE_MS, 2, False)


def test_a_bar_that_was_open_long_ago_is_late_too(world):
    world.poll(quote(1_000, 1000))
    assert world.restart(10 * MINUTE_MS) == []
    (bar,) = world.poll(quote(10 * MINUTE_MS, 1001))
    assert bar.late


def test_a_missed_quote_is_on_the_board_as_old_as_it_is(world):
    world.poll(quote(1_000, 1000))
    world.ticks.append(quote(2_000, 1001))
    world.clock.advance_to(9_000)
    world.restart(9_000)
    assert world.board.get("EURUSD") == (2_000, 1001, 1011, 2_000_000_000)


def test_quotes_that_cannot_be_read_again_are_a_gap_for_whoever_waits_for_a_level(world):
    world.poll(quote(1_000, 1000))
    world.ticks = None
    assert world.restart(5_000) == []
    world.hear(arming(STOP))
    assert world.restart(5_000) == [FeedGap("EURUSD", 3, 1_000, 5_000, 0, 0)]


def test_a_history_that_begins_too_late_is_a_gap_and_is_tested(world):
    world.hear(arming(STOP))
    world.poll(quote(1_000, 1000))
    world.ticks = [quote(4_000, 880)]
    assert world.restart(5_000) == [FeedGap("EURUSD", 3, 1_000, 4_000, 0, 0), reached(quote(4_000, 880), "stop")]


def test_after_a_new_process_the_last_quote_that_was_said_is_where_it_goes_on(world):
    world.poll(quote(1_000, 1000), quote(MINUTE_MS, 1001))
    world.hear(arming(STOP))
    world.board = QuoteBoard()
    world.ticks.append(quote(MINUTE_MS + 7, 850))
    assert world.restart(MINUTE_MS + 10) == [reached(quote(MINUTE_MS + 7, 850), "stop")]


def test_the_state_survives_a_snapshot(world):
    world.hear(arming(STOP), WantSamples("circuit_breaker", "EURUSD", 1_000))
    world.poll(quote(1_000, 1000), quote(MINUTE_MS, 1001))
    snapshot, before = snapshot_of(world.feed), world.feed.state
    world.start()
    restore(world.feed, snapshot)
    assert world.feed.state == before


def test_a_fold_of_what_was_heard_and_said_brings_the_state_back():
    world = World("M5", live=False)
    world.feed.resume(0)
    world.hear(arming(STOP, TARGET), WantSamples("circuit_breaker", "EURUSD", 7_000))
    for second in range(0, 1_000, 11):
        world.replay(quote(second * 1_000, 1000 - second // 5))
    before = world.feed.state
    world.start()
    for message in world.folded:
        world.feed.remember(message)
    assert world.feed.state == before


def test_a_strategy_with_chains_has_the_bars_of_trend_and_shield_beside_its_own() -> None:
    kinds = {"trend": {"symbols": ["EURUSD"], "orders": "trend"}, "plain": {"symbols": ["GBPUSD"]}}
    config = config_of(strategy={name: {"kind": "ma_cross", "timeframe": "M5", **more} for name, more in kinds.items()})
    specs = specs_of(config, ("EURUSD", "GBPUSD"))
    feed = market_feed(world_of(config, specs, terminal_of(config, specs), ManualClock(MONDAY_UTC_MS)))
    closed_now: dict[str, list[str]] = {}
    for symbol in specs:
        feed.closed_bars(symbol, MONDAY_UTC_MS, 110_000, 110_010)
        closed_now[symbol] = [bar.timeframe for bar in feed.closed_bars(symbol, MONDAY_UTC_MS + 900_000, 110_000, 110_010)]
    assert closed_now == {"EURUSD": ["M1", "M5", "M15"], "GBPUSD": ["M1", "M5"]}


def test_a_symbol_that_the_newest_snapshot_does_not_know_yet_is_folded_too(world: World) -> None:
    """A restart soon after a symbol came into the configuration."""
    older = MarketFeed(
        {"EURUSD": spec()}, {}, board=QuoteBoard(), history=lambda symbol, utc_ms: [], monotonic_ns=world.clock.monotonic_ns
    )
    restore(world.feed, snapshot_of(older))
    world.feed.remember(WantSamples("circuit_breaker", "USDJPY", 5_000))
    assert "circuit_breaker" in world.feed.state.symbols["USDJPY"].samples
