import pytest
from builders import config_of, specs_of

from evenkeel.adapters.asked_signal import signal_asked
from evenkeel.adapters.market_feed_state import SymbolFeed
from evenkeel.adapters.quote_board import BoardQuote
from evenkeel.messages.entry import SignalRaised
from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.operator import CommandDone, CommandRefused, RaiseSignal

ASKED = RaiseSignal("s-1", "me", "EURUSD", Direction.SELL, "trend", 0.8)
FEED = SymbolFeed(specs_of(config_of(), ("EURUSD",))["EURUSD"])
NEWEST = BoardQuote(60_000, 110_000, 110_012, 1)


def test_the_signal_carries_price_spread_and_who_wanted_it() -> None:
    signal, done = signal_asked(ASKED, FEED, NEWEST)
    assert isinstance(signal, SignalRaised)
    assert (signal.quote, signal.bar_utc_ms) == (Quote(60_000, 110_000, 110_012), 60_000)
    assert signal.spread_median_points == FEED.spec.typical_spread_points
    lineage = signal.lineage
    assert (lineage.origin, lineage.strategy, lineage.confidence) == ("operator", "trend", 0.8)
    assert done == CommandDone("s-1", "signal to sell EURUSD raised at bid 1.10000, ask 1.10012")


@pytest.mark.parametrize(
    "feed, newest, why",
    [
        (None, NEWEST, "EURUSD is not traded here"),
        (FEED, None, "there is no quote of EURUSD yet"),
        (SymbolFeed(FEED.spec, is_stale=True), NEWEST, "quotes of EURUSD have stopped coming"),
    ],
)
def test_without_a_price_there_is_no_signal(feed: SymbolFeed | None, newest: BoardQuote | None, why: str) -> None:
    assert signal_asked(ASKED, feed, newest) == [CommandRefused("s-1", why)]
