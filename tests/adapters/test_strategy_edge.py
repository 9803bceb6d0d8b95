from collections.abc import Callable

import pytest

from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.strategy.edge import StrategyEdge
from evenkeel.adapters.strategy.making import make_strategy
from evenkeel.config.schema import MaCrossConfig
from evenkeel.messages.entry import Lineage, SignalRaised
from evenkeel.messages.market import BarClosed, Direction, PointWorth, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.system import Message
from evenkeel.rules.spreads import Spreads
from evenkeel.rules.strategy import Strategy, StrategyBroken
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.edge import At

CONFIG = MaCrossConfig(symbols=("EURUSD",), timeframe="M5", confidence=0.8, fast=1, slow=2)
NEXT_QUOTE = Quote(900_001, 1234, 1244)


def edge(board: QuoteBoard | None = None, make: Callable[[SymbolSpec], Strategy] | None = None) -> StrategyEdge:
    return StrategyEdge("crossing", CONFIG, make or (lambda spec: make_strategy(CONFIG, spec)), board or QuoteBoard())


def specified_edge() -> StrategyEdge:
    made = edge()
    made.remember(specified(5))
    return made


@pytest.fixture
def strategy() -> StrategyEdge:
    return specified_edge()


def bar(close_points: int, *, symbol: str = "EURUSD", timeframe: str = "M5", late: bool = False) -> BarClosed:
    return BarClosed(
        symbol=symbol,
        spec_id=3,
        timeframe=timeframe,
        open_utc_ms=600_000,
        open_points=1,
        high_points=1,
        low_points=1,
        close_points=close_points,
        close_ask_points=1,
        spread_points=11,
        spread_median_points=12,
        quotes=1,
        quote=NEXT_QUOTE,
        late=late,
    )


def specified(digits: int) -> SymbolSpecified:
    return SymbolSpecified(SymbolSpec(3, "EURUSD", digits, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 1, 10))


def heard(strategy: StrategyEdge, *messages: BarClosed | SymbolSpecified) -> list[Message]:
    """What it says to the last of `messages`."""
    said: list[Message] = []
    for message in messages:
        strategy.remember(message)
        said = list(strategy.act(message, At(0, 0)))
    return said


def test_a_crossing_raises_a_signal_on_the_quote_that_closed_the_bar(strategy):
    assert heard(strategy, bar(100), bar(100), bar(101)) == [
        SignalRaised(
            symbol="EURUSD",
            spec_id=3,
            direction=Direction.BUY,
            quote=NEXT_QUOTE,
            bar_utc_ms=900_000,
            spread_median_points=12,
            lineage=Lineage(origin="strategy", strategy="crossing", confidence=0.8),
        )
    ]


def test_the_other_way_it_sells(strategy):
    (signal,) = heard(strategy, bar(100), bar(100), bar(99))
    assert signal.direction is Direction.SELL


def test_a_bar_without_a_crossing_says_nothing(strategy):
    assert heard(strategy, bar(100), bar(100), bar(101), bar(102)) == []


@pytest.mark.parametrize("other", [bar(101, symbol="USDJPY"), bar(101, timeframe="M1")])
def test_bars_of_others_are_ignored(strategy, other):
    assert heard(strategy, bar(100), bar(100), other) == []
    assert len(heard(strategy, bar(101))) == 1


def test_a_late_bar_counts_and_is_not_traded_on(strategy):
    assert heard(strategy, bar(100), bar(100), bar(101, late=True)) == []
    assert heard(strategy, bar(102)) == []


def test_closes_in_other_digits_are_forgotten(strategy):
    assert heard(strategy, bar(100), bar(100), specified(4), bar(101)) == []
    assert heard(strategy, bar(101), specified(4), bar(102)) != []


def test_a_restored_state_goes_on_where_it_was(strategy):
    heard(strategy, bar(100), bar(100))
    again = edge()
    restore(again, snapshot_of(strategy))
    assert heard(again, bar(101)) == heard(strategy, bar(101)) != []


def test_only_the_window_is_kept(strategy):
    heard(strategy, *(bar(close) for close in range(100, 150)))
    assert len(strategy.state.windows["EURUSD"]) == 3


class Rising:
    """Buys on a quote above the one before."""

    def __init__(self, spec):
        self.before = 10**9

    def on_tick(self, time_utc_ms, bid_points, ask_points):
        is_higher, self.before = bid_points > self.before, bid_points
        return int(is_higher)


def test_a_strategy_that_looks_at_quotes_is_shown_those_that_come_after_it_has_begun():
    board = QuoteBoard()
    board.keep_spreads("EURUSD", Spreads(), 13)
    board.put("EURUSD", 1, 100, 110, 0)
    follower = edge(board, Rising)
    assert follower.poll_s is None
    heard(follower, specified(5))
    board.put("EURUSD", 2, 90, 100, 0)
    board.put("EURUSD", 3, 95, 105, 0)
    board.put("USDJPY", 4, 95, 105, 0)
    assert follower.poll_s is not None
    assert follower.poll(4) == [
        SignalRaised(
            symbol="EURUSD",
            spec_id=3,
            direction=Direction.BUY,
            quote=Quote(3, 95, 105),
            bar_utc_ms=3,
            spread_median_points=13,
            lineage=Lineage(origin="strategy", strategy="crossing", confidence=0.8),
        )
    ]
    assert follower.poll(5) == []


def test_a_strategy_that_has_ended_follows_nothing():
    board = QuoteBoard()
    follower = edge(board, Rising)
    heard(follower, specified(5))
    follower.close()
    board.put("EURUSD", 2, 90, 100, 0)
    assert follower.poll(3) == []
    assert follower.poll_s is None


def test_an_answer_that_is_none_crashes_the_edge_with_the_bar_named():
    class Shouts:
        window_bars = 1

        def on_bar(self, bar):
            return 5

    shouting = edge(make=lambda spec: Shouts())
    shouting.remember(specified(5))
    with pytest.raises(StrategyBroken, match=r"crossing on the bar of EURUSD at 600000 .*answered 5"):
        shouting.remember(bar(100))
