import pytest

from evenkeel.adapters.strategy.ma_cross import MaCross
from evenkeel.config.schema import MaCrossConfig
from evenkeel.messages.entry import Lineage, SignalRaised
from evenkeel.messages.market import BarClosed, Direction, PointWorth, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.system import Message
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.edge import At

CONFIG = MaCrossConfig(symbols=("EURUSD",), timeframe="M5", confidence=0.8, fast=1, slow=2)
NEXT_QUOTE = Quote(900_001, 1234, 1244)


@pytest.fixture
def strategy() -> MaCross:
    return MaCross("crossing", CONFIG)


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


def heard(strategy: MaCross, *messages: BarClosed | SymbolSpecified) -> list[Message]:
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
    assert heard(strategy, specified(5), bar(100), bar(100), specified(4), bar(101)) == []
    assert heard(strategy, bar(101), specified(4), bar(102)) != []


def test_a_restored_state_goes_on_where_it_was(strategy):
    heard(strategy, bar(100), bar(100))
    again = MaCross("crossing", CONFIG)
    restore(again, snapshot_of(strategy))
    assert heard(again, bar(101)) == heard(strategy, bar(101)) != []
