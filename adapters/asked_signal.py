"""A signal from outside: raised by the market feed, which alone has the price and the spread that a signal carries."""

from evenkeel.adapters.market_feed_state import SymbolFeed, quote_of
from evenkeel.adapters.quote_board import BoardQuote
from evenkeel.messages.entry import Lineage, SignalRaised
from evenkeel.messages.operator import CommandDone, CommandRefused, RaiseSignal
from evenkeel.messages.system import Message
from evenkeel.rules.spreads import baseline_points
from evenkeel.rules.view import decimal_of


def signal_asked(asked: RaiseSignal, feed: SymbolFeed | None, newest: BoardQuote | None) -> list[Message]:
    """The signal at `newest`, or the refusal that says why there is no price to enter at. No limit is looked at here."""
    if feed is None:
        return [CommandRefused(asked.command_id, f"{asked.symbol} is not traded here")]
    if newest is None:
        return [CommandRefused(asked.command_id, f"there is no quote of {asked.symbol} yet")]
    if feed.is_stale:
        return [CommandRefused(asked.command_id, f"quotes of {asked.symbol} have stopped coming")]
    quote = quote_of(newest)
    signal = SignalRaised(
        symbol=asked.symbol,
        spec_id=feed.spec.spec_id,
        direction=asked.direction,
        quote=quote,
        bar_utc_ms=quote.time_utc_ms,
        spread_median_points=baseline_points(feed.spreads, quote.time_utc_ms, feed.spec.typical_spread_points),
        lineage=Lineage(asked.origin, asked.strategy, confidence=asked.confidence),
    )
    bid, ask = (decimal_of(points, feed.spec.digits) for points in (quote.bid_points, quote.ask_points))
    words = f"signal to {asked.direction.value} {asked.symbol} raised at bid {bid}, ask {ask}"
    return [signal, CommandDone(asked.command_id, words)]
