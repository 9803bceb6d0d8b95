"""What two complete readings of the broker's positions, apart in time, prove: who is gone, which order was never filled, which
close has not happened. One reading proves only what it shows."""

from collections.abc import Mapping
from typing import Final

from evenkeel.messages.broker_gateway import BrokerPosition, OrderOutcomeResolved, PositionsRead
from evenkeel.messages.position import CloseFailed, CloseFailure
from evenkeel.messages.system import Message
from evenkeel.rules import broker_book
from evenkeel.rules.broker_book import BrokerBook
from evenkeel.rules.order_intents import Life

READINGS_TO_CONCLUDE: Final = 2
READINGS_TO_DISBELIEVE: Final = 90
"""A position that the terminal called opened and that neither a reading nor a deal has ever shown: with readings two seconds
apart this is longer than histories lag (F4, F57)."""


def concluded(book: BrokerBook, reading: PositionsRead, trading_day: str, now_utc_ms: int) -> list[Message]:
    """Call it with readings that lie apart. Changes the book."""
    seen = {position.ticket: position for position in reading.positions}
    said = broker_book.foreign_gone(book, set(seen))
    said += broker_book.foreign_orders_gone(book, {order.ticket for order in reading.orders})
    waiting = {order.magic for order in reading.orders}
    said += _never_opened(book, seen, trading_day, now_utc_ms)
    return [*said, *_opens_absent(book, waiting), *_closes_failed(book, seen)]


def is_unsettled(book: BrokerBook) -> bool:
    """Something that only another reading can settle: an order or a close without an end, somebody else's position or order
    that was missing once, a stop that is not where it belongs."""
    lives = [intent.life for intent in book.opens.values()] + [intent.life for intent in book.closes.values()]
    if any(life is not Life.SENT for life in lives) or book.foreign_unseen or book.orders_unseen:
        return True
    return any(position.stop_failures for position in book.positions.values())


def lacks_others(book: BrokerBook, reading: PositionsRead) -> bool:
    """A position or order of somebody else that we know of is not in it."""
    gone = book.foreign.keys() - {position.ticket for position in reading.positions}
    return bool(gone or book.foreign_orders.keys() - {order.ticket for order in reading.orders})


def _opens_absent(book: BrokerBook, waiting: set[int]) -> list[Message]:
    """An unknown open whose order waits at the broker, or whose position is disputed, is not absent."""
    said: list[Message] = []
    disputed = {intent_id for intent_ids in book.disputed.values() for intent_id in intent_ids}
    for intent_id, opened in list(book.opens.items()):
        if opened.life is Life.SENT:
            continue
        if opened.magic in waiting or intent_id in disputed:
            opened.absent_readings = 0
            continue
        opened.absent_readings += 1
        if opened.absent_readings >= READINGS_TO_CONCLUDE:
            order = broker_book.lapse(book, intent_id).order
            said.append(OrderOutcomeResolved(order.proposal_id, order.symbol, order.direction, intent_id, order.lineage))
    return said


def _never_opened(book: BrokerBook, seen: Mapping[int, BrokerPosition], trading_day: str, now_utc_ms: int) -> list[Message]:
    """The broker is the truth for what exists, also against its own answer."""
    said: list[Message] = []
    for ticket, position in list(book.positions.items()):
        if ticket in seen or position.held_stop_points is not None or position.priced_steps:
            continue
        position.absent_readings += 1
        if position.absent_readings >= READINGS_TO_DISBELIEVE:
            said += broker_book.never_opened(book, ticket, trading_day, now_utc_ms)
    return said


def _closes_failed(book: BrokerBook, seen: Mapping[int, BrokerPosition]) -> list[Message]:
    said: list[Message] = []
    for intent_id, close in list(book.closes.items()):
        order, position = close.order, seen.get(close.order.ticket)
        if close.life is Life.SENT or position is None or position.volume_steps <= order.remaining_steps:
            continue
        close.present_readings += 1
        if close.present_readings >= READINGS_TO_CONCLUDE:
            del book.closes[intent_id]
            failure = CloseFailure.STILL_OPEN
            said.append(CloseFailed(order.ticket, order.symbol, order.generation, failure, "two readings show it"))
    return said
