import pytest
from builders import config_of, specs_of
from stage import Stage

from evenkeel.adapters.asked_signal import signal_asked
from evenkeel.adapters.market_feed_state import SymbolFeed
from evenkeel.adapters.quote_board import BoardQuote
from evenkeel.messages.entry import DenialReason, OrderDenied, SignalRaised
from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.operator import CommandDone, CommandRefused, PauseTrading, RaiseSignal
from evenkeel.messages.position import PositionOpened

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


def test_a_signal_by_hand_becomes_a_position_once_also_over_a_restart() -> None:
    stage = Stage()
    stage.tell(RaiseSignal("s-1", "me", "EURUSD", Direction.BUY))
    (opened,) = stage.said(PositionOpened)
    assert (opened.lineage.origin, opened.lineage.strategy, opened.direction) == ("operator", "", Direction.BUY)
    stage.restart()
    stage.quote(110_001)
    assert (stage.bought(), stage.tickets) == (1, [opened.ticket])


def test_a_signal_of_a_webhook_is_one_to_the_end_of_its_trade() -> None:
    stage = Stage()
    stage.tell(RaiseSignal("s-1", "me@webhooks", "EURUSD", Direction.BUY, origin="webhook", source_id="alert 7"))
    (opened,) = stage.said(PositionOpened)
    assert opened.lineage.origin == "webhook"


def test_a_signal_by_hand_is_refused_where_a_strategys_would_be() -> None:
    stage = Stage()
    stage.tell(PauseTrading("p-1", "me"))
    stage.tell(RaiseSignal("s-1", "me", "EURUSD", Direction.BUY))
    assert stage.last(OrderDenied).reason is DenialReason.MODE
    assert stage.bought() == 0
