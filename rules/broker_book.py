"""The book: orders on their way and positions that the broker holds, and what fills and deals do to them.

Each function changes the book and returns what is to be said about it.
"""

from typing import Final

import msgspec

from evenkeel.messages.broker_gateway import (
    BrokerPosition,
    Deal,
    DealReason,
    ForeignPositionGone,
    ForeignPositionSeen,
)
from evenkeel.messages.entry import Lineage
from evenkeel.messages.position import PositionClosed, PositionOpened, PositionPriced, PositionReduced
from evenkeel.messages.system import Message
from evenkeel.rules.exits import sign
from evenkeel.rules.magic import is_ours, number_of
from evenkeel.rules.order_intents import CloseIntent, Life, OpenIntent, StopIntent, request_for
from evenkeel.rules.reconciliation import Believed, cause_of_close

LAPSED_KEPT: Final = 64
CLOSED_KEPT: Final = 256


class BrokerBook(msgspec.Struct):
    """Intents by number, positions by ticket. `lapsed` are opens that were rejected or concluded not to exist, newest last:
    a fill that still comes is recognised by its magic. `foreign_unseen` are foreign tickets that the last reading lacked.
    `closed` are tickets whose deals have closed them, newest last: a reading may show them a while longer (PM16)."""

    opens: dict[int, OpenIntent] = {}
    closes: dict[int, CloseIntent] = {}
    stops: dict[int, StopIntent] = {}
    lapsed: list[OpenIntent] = []
    positions: dict[int, Believed] = {}
    foreign: dict[int, BrokerPosition] = {}
    foreign_unseen: list[int] = []
    closed: list[int] = []


def fill(
    book: BrokerBook, intent: OpenIntent, *, ticket: int, price_points: int, volume_steps: int, opened_utc_ms: int
) -> list[Message]:
    """The broker has what `intent` asked for, however we learned it. Late: it was unknown, or concluded not to exist."""
    late = book.opens.pop(number_of(intent.magic), None) is None or intent.life is Life.UNKNOWN
    book.lapsed = [lapsed for lapsed in book.lapsed if lapsed.magic != intent.magic]
    if ticket in book.positions:
        return []
    order, s = intent.order, sign(intent.order.direction)
    target = price_points + s * order.target_distance_points if order.target_distance_points else 0
    position = Believed(
        ticket=ticket,
        symbol=order.symbol,
        spec_id=order.spec_id,
        direction=order.direction,
        volume_steps=volume_steps,
        volume_left_steps=volume_steps,
        entry_points=price_points,
        stop_points=price_points - s * order.stop_distance_points,
        target_points=target,
        broker_stop_points=request_for(order).stop_points,
        reserved_cents=order.reserved_cents,
        opened_utc_ms=opened_utc_ms,
        lineage=order.lineage,
    )
    book.positions[ticket] = position
    return [_opened(position, adopted=False, late=late)]


def is_news(book: BrokerBook, seen: BrokerPosition) -> bool:
    """A position that we did not know, or a foreign one with another volume than we knew. What deals have closed is none."""
    if seen.ticket in book.positions or seen.ticket in book.closed:
        return False
    known = book.foreign.get(seen.ticket)
    return known is None or known.volume_steps != seen.volume_steps


def appear(book: BrokerBook, seen: BrokerPosition, installation: int) -> list[Message]:
    """A position that we did not know: an order of ours that was filled, one of ours without an order, or a foreign one."""
    by_magic = [intent for intent in (*book.opens.values(), *book.lapsed) if intent.magic == seen.magic]
    if by_magic:
        return fill(
            book,
            by_magic[0],
            ticket=seen.ticket,
            price_points=seen.open_points,
            volume_steps=seen.volume_steps,
            opened_utc_ms=seen.opened_utc_ms,
        )
    if not is_ours(seen.magic, installation):
        book.foreign[seen.ticket] = seen
        return [
            ForeignPositionSeen(seen.ticket, seen.symbol, seen.spec_id, seen.direction, seen.volume_steps, seen.open_points)
        ]
    position = book.positions[seen.ticket] = Believed(
        ticket=seen.ticket,
        symbol=seen.symbol,
        spec_id=seen.spec_id,
        direction=seen.direction,
        volume_steps=seen.volume_steps,
        volume_left_steps=seen.volume_steps,
        entry_points=seen.open_points,
        stop_points=0,
        target_points=0,
        broker_stop_points=seen.stop_points,
        reserved_cents=0,
        opened_utc_ms=seen.opened_utc_ms,
        lineage=Lineage(origin="adopted", strategy=""),
    )
    return [_opened(position, adopted=True, late=False)]


def deal_in(book: BrokerBook, deal: Deal, installation: int) -> list[Message]:
    """An opening deal, the only one of its order or one of several: it may be the first that we hear of the position, and
    always brings price, volume and commission. The price of several is their mean by volume, to the nearest point."""
    said: list[Message] = []
    if deal.position_ticket not in book.positions and deal.position_ticket not in book.foreign:
        said = appear(book, _position_of(deal), installation)
    position = book.positions.get(deal.position_ticket)
    if position is None:
        return said
    position.priced_steps += deal.volume_steps
    position.priced_point_steps += deal.price_points * deal.volume_steps
    price_points = (2 * position.priced_point_steps + position.priced_steps) // (2 * position.priced_steps)
    moved = price_points - position.entry_points
    position.entry_points = price_points
    position.stop_points += moved if position.stop_points else 0
    position.target_points += moved if position.target_points else 0
    position.volume_left_steps += position.priced_steps - position.volume_steps
    position.volume_steps = position.priced_steps
    position.commission_cents += deal.commission_cents
    left, commission_cents = position.volume_left_steps, position.commission_cents
    return [*said, PositionPriced(position.ticket, position.symbol, position.spec_id, price_points, left, commission_cents)]


def deal_out(book: BrokerBook, deal: Deal, trading_day: str) -> list[Message]:
    """A closing deal, of ours or of a foreign position; the cause is the deal's."""
    position = book.positions.get(deal.position_ticket)
    if position is None:
        return _foreign_deal_out(book, deal)
    answered = next((close for close in book.closes.values() if close.magic == deal.magic), None)
    reason, by = cause_of_close(deal, position, answered.order.reason if answered is not None else position.asked)
    position.volume_left_steps -= deal.volume_steps
    position.profit_cents += deal.profit_cents
    position.commission_cents += deal.commission_cents
    position.swap_cents += deal.swap_cents
    _forget_closes(book, position)
    if position.volume_left_steps > 0:
        left, price = position.volume_left_steps, deal.price_points
        return [PositionReduced(position.ticket, position.symbol, position.spec_id, left, price, deal.profit_cents, reason)]
    del book.positions[position.ticket]
    book.closed = [*book.closed, position.ticket][-CLOSED_KEPT:]
    return [
        PositionClosed(
            ticket=position.ticket,
            symbol=position.symbol,
            spec_id=position.spec_id,
            direction=position.direction,
            volume_steps=position.volume_steps,
            entry_points=position.entry_points,
            close_points=deal.price_points,
            first_stop_points=position.stop_points,
            target_points=position.target_points,
            opened_utc_ms=position.opened_utc_ms,
            closed_utc_ms=deal.time_utc_ms,
            reason=reason,
            by=by,
            profit_cents=position.profit_cents,
            commission_cents=position.commission_cents,
            swap_cents=position.swap_cents,
            net_cents=position.profit_cents + position.commission_cents + position.swap_cents,
            reserved_cents=position.reserved_cents,
            trading_day=trading_day,
            lineage=position.lineage,
        )
    ]


def lapse(book: BrokerBook, intent_id: int) -> OpenIntent:
    """Conclude that an open does not exist, and remember it in case that is wrong."""
    intent = book.opens.pop(intent_id)
    book.lapsed = [*book.lapsed, intent][-LAPSED_KEPT:]
    return intent


def foreign_gone(book: BrokerBook, seen: set[int]) -> list[Message]:
    """Foreign positions that two complete readings in a row do not show: `seen` is the second one's."""
    unseen = [ticket for ticket in book.foreign if ticket not in seen]
    gone = [book.foreign.pop(ticket) for ticket in unseen if ticket in book.foreign_unseen]
    book.foreign_unseen = [ticket for ticket in unseen if ticket in book.foreign]
    return [ForeignPositionGone(position.ticket, position.symbol) for position in gone]


def _foreign_deal_out(book: BrokerBook, deal: Deal) -> list[Message]:
    held = book.foreign.get(deal.position_ticket)
    if held is None:
        return []
    if deal.volume_steps < held.volume_steps:
        left = held.volume_steps - deal.volume_steps
        held = book.foreign[held.ticket] = msgspec.structs.replace(held, volume_steps=left)
        return [
            ForeignPositionSeen(held.ticket, held.symbol, held.spec_id, held.direction, held.volume_steps, held.open_points)
        ]
    del book.foreign[held.ticket]
    return [ForeignPositionGone(held.ticket, held.symbol)]


def _forget_closes(book: BrokerBook, position: Believed) -> None:
    """Close intents that the volume left fulfils have ended, and with the last of them the reason that we asked for."""
    left = position.volume_left_steps
    book.closes = {
        intent_id: close
        for intent_id, close in book.closes.items()
        if close.order.ticket != position.ticket or close.order.remaining_steps < left
    }
    if not any(close.order.ticket == position.ticket for close in book.closes.values()):
        position.asked = None


def _opened(position: Believed, *, adopted: bool, late: bool) -> PositionOpened:
    return PositionOpened(
        ticket=position.ticket,
        symbol=position.symbol,
        spec_id=position.spec_id,
        direction=position.direction,
        volume_steps=position.volume_steps,
        entry_points=position.entry_points,
        stop_points=position.stop_points,
        target_points=position.target_points,
        broker_stop_points=position.broker_stop_points,
        reserved_cents=position.reserved_cents,
        opened_utc_ms=position.opened_utc_ms,
        lineage=position.lineage,
        adopted=adopted,
        late=late,
    )


def _position_of(deal: Deal) -> BrokerPosition:
    """The position that an opening deal makes, as a reading would show it but for its stops."""
    magic = deal.magic if deal.reason is DealReason.EXPERT else 0
    return BrokerPosition(
        ticket=deal.position_ticket,
        symbol=deal.symbol,
        spec_id=deal.spec_id,
        direction=deal.direction,
        volume_steps=deal.volume_steps,
        open_points=deal.price_points,
        stop_points=0,
        target_points=0,
        magic=magic,
        opened_utc_ms=deal.time_utc_ms,
    )
