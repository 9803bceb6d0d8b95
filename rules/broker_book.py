"""The book: orders on their way and positions that the broker holds, and what fills and deals do to them.

Each function changes the book and returns what is to be said about it.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from evenkeel.messages.broker_gateway import (
    BrokerOrder,
    BrokerPosition,
    Deal,
    DealReason,
    ForeignOrderGone,
    ForeignOrderSeen,
    ForeignPositionGone,
    ForeignPositionSeen,
    IntentSettled,
    WitnessesDisagree,
)
from evenkeel.messages.entry import Lineage
from evenkeel.messages.operator import HoldEnded, HoldPlaced
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed, PositionOpened, PositionPriced, PositionReduced
from evenkeel.messages.system import Message
from evenkeel.rules.adoption import Plan
from evenkeel.rules.exits import sign
from evenkeel.rules.magic import is_ours, number_of
from evenkeel.rules.order_intents import CloseIntent, Life, OpenIntent, StopIntent, request_for
from evenkeel.rules.reconciliation import Believed, cause_of_close
from evenkeel.rules.witnesses import Verdict, verdict

LAPSED_KEPT: Final = 64
CLOSED_KEPT: Final = 256
WITNESSES: Final = "witnesses"
"""Who holds a symbol while nobody knows whose a position in it is."""
PENDING_FILL_MS_MAX: Final = 10_000
"""An order that the broker took on may be filled so long after it expired here; later it is a late fill."""


class BrokerBook(msgspec.Struct):
    """Intents by number, positions by ticket. `lapsed` are opens that were rejected or concluded not to exist, newest last:
    a fill that still comes is recognised. `foreign_unseen` and `orders_unseen` are foreign tickets that the last reading
    lacked. `disputed` are those of the foreign positions whose witnesses disagree, with the intents that may be meant.
    `closed` are tickets whose deals have closed them, newest last: a reading may show them a while longer (PM16)."""

    opens: dict[int, OpenIntent] = {}
    closes: dict[int, CloseIntent] = {}
    stops: dict[int, StopIntent] = {}
    lapsed: list[OpenIntent] = []
    positions: dict[int, Believed] = {}
    foreign: dict[int, BrokerPosition] = {}
    foreign_unseen: list[int] = []
    closed: list[int] = []
    foreign_orders: dict[int, BrokerOrder] = {}
    orders_unseen: list[int] = []
    disputed: dict[int, list[int]] = {}


def fill(
    book: BrokerBook, intent: OpenIntent, *, ticket: int, price_points: int, volume_steps: int, opened_utc_ms: int
) -> list[Message]:
    """The broker has what `intent` asked for, however we learned it. Late: it was unknown, or concluded not to exist."""
    order, s = intent.order, sign(intent.order.direction)
    late = book.opens.pop(number_of(intent.magic), None) is None or intent.life is Life.UNKNOWN
    if intent.life is Life.PENDING and order.expires_utc_ms:
        late = late or opened_utc_ms > order.expires_utc_ms + PENDING_FILL_MS_MAX
    book.lapsed = [lapsed for lapsed in book.lapsed if lapsed.magic != intent.magic]
    if ticket in book.positions:
        return []
    ended = _forget_foreign(book, ticket)
    target = price_points + s * order.target_distance_points if order.target_distance_points else 0
    request = request_for(order)
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
        broker_stop_points=request.stop_points,
        reserved_cents=order.reserved_cents,
        opened_utc_ms=opened_utc_ms,
        lineage=order.lineage,
        broker_target_points=request.target_points,
        own_target_points=request.target_points,
    )
    book.positions[ticket] = position
    return [_opened(position, adopted=False, late=late), *ended]


def is_news(book: BrokerBook, seen: BrokerPosition) -> bool:
    """A position that we did not know, or a foreign one with another volume than we knew. What deals have closed is none."""
    if seen.ticket in book.positions or seen.ticket in book.closed:
        return False
    known = book.foreign.get(seen.ticket)
    return known is None or known.volume_steps != seen.volume_steps


def appear(book: BrokerBook, seen: BrokerPosition, installation: int, plan: Callable[[BrokerPosition], Plan]) -> list[Message]:
    """A position that we did not know: an order of ours that was filled, one of ours without an order, or a foreign one.

    `plan` says which levels one of ours without an order gets.
    """
    if seen.ticket in book.foreign:
        return [_foreign_seen(book, seen)]
    found = verdict(seen, (*book.opens.values(), *book.lapsed), installation)
    if found.disputed:
        return [_foreign_seen(book, seen), *_dispute(book, seen, found)]
    if found.intent is not None:
        said = fill(
            book,
            found.intent,
            ticket=seen.ticket,
            price_points=seen.open_points,
            volume_steps=seen.volume_steps,
            opened_utc_ms=seen.opened_utc_ms,
        )
        settled = [IntentSettled(number_of(found.intent.magic))] if seen.magic != found.intent.magic else []
        return [*said, *settled]
    return adopt(book, seen, plan(seen)) if found.ours else [_foreign_seen(book, seen)]


def adopt(book: BrokerBook, seen: BrokerPosition, plan: Plan) -> list[Message]:
    """A position without an order of ours becomes ours; of its past only what is there now is known."""
    ended = _forget_foreign(book, seen.ticket)
    position = book.positions[seen.ticket] = Believed(
        ticket=seen.ticket,
        symbol=seen.symbol,
        spec_id=seen.spec_id,
        direction=seen.direction,
        volume_steps=seen.volume_steps,
        volume_left_steps=seen.volume_steps,
        entry_points=seen.open_points,
        stop_points=plan.stop_points,
        target_points=0,
        broker_stop_points=plan.broker_stop_points or seen.stop_points,
        reserved_cents=0,
        opened_utc_ms=seen.opened_utc_ms,
        lineage=Lineage(origin="adopted", strategy=""),
        held_stop_points=seen.stop_points,
        broker_target_points=seen.target_points,
    )
    return [_opened(position, adopted=True, late=False), *ended]


def deal_in(book: BrokerBook, deal: Deal, installation: int, plan: Callable[[BrokerPosition], Plan]) -> list[Message]:
    """An opening deal, the only one of its order or one of several: it may be the first that we hear of the position, and
    always brings price, volume and commission. The price of several is their mean by volume, to the nearest point."""
    said: list[Message] = []
    if deal.position_ticket not in book.positions and deal.position_ticket not in book.foreign:
        said = appear(book, _position_of(deal), installation, plan)
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
    return [_closed(position, deal.price_points, deal.time_utc_ms, reason, by, trading_day)]


def never_opened(book: BrokerBook, ticket: int, trading_day: str, now_utc_ms: int) -> list[Message]:
    """The terminal said that it opened this position, and it does not exist: no money moved. Should it appear after all, it is
    one of ours without an order."""
    position = book.positions.pop(ticket)
    book.closes = {intent_id: close for intent_id, close in book.closes.items() if close.order.ticket != ticket}
    reason, by = ExitReason.NEVER_OPENED, ClosedBy.BROKER
    return [_closed(position, position.entry_points, now_utc_ms, reason, by, trading_day)]


def _closed(
    position: Believed, close_points: int, closed_utc_ms: int, reason: ExitReason, by: ClosedBy, trading_day: str
) -> PositionClosed:
    return PositionClosed(
        ticket=position.ticket,
        symbol=position.symbol,
        spec_id=position.spec_id,
        direction=position.direction,
        volume_steps=position.volume_steps,
        entry_points=position.entry_points,
        close_points=close_points,
        first_stop_points=position.stop_points,
        target_points=position.target_points,
        opened_utc_ms=position.opened_utc_ms,
        closed_utc_ms=closed_utc_ms,
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


def lapse(book: BrokerBook, intent_id: int) -> OpenIntent:
    """Conclude that an open does not exist, and remember it in case that is wrong."""
    intent = book.opens.pop(intent_id)
    book.lapsed = [*book.lapsed, intent][-LAPSED_KEPT:]
    return intent


def foreign_gone(book: BrokerBook, seen: set[int]) -> list[Message]:
    """Foreign positions that two complete readings in a row do not show: `seen` is the second one's."""
    unseen = [ticket for ticket in book.foreign if ticket not in seen]
    gone = [book.foreign[ticket] for ticket in unseen if ticket in book.foreign_unseen]
    said: list[Message] = [ForeignPositionGone(position.ticket, position.symbol) for position in gone]
    said += [ended for position in gone for ended in _forget_foreign(book, position.ticket)]
    book.foreign_unseen = [ticket for ticket in unseen if ticket in book.foreign]
    return said


def orders_seen(book: BrokerBook, orders: Iterable[BrokerOrder], installation: int) -> list[Message]:
    """Waiting orders of others that we did not know, or with another volume or price than we knew."""
    said: list[Message] = []
    for order in orders:
        if not is_ours(order.magic, installation) and book.foreign_orders.get(order.ticket) != order:
            book.foreign_orders[order.ticket] = order
            said.append(
                ForeignOrderSeen(
                    order.ticket, order.symbol, order.spec_id, order.direction, order.volume_steps, order.price_points
                )
            )
    return said


def foreign_orders_gone(book: BrokerBook, seen: set[int]) -> list[Message]:
    """Filled, cancelled or expired: two complete readings in a row do not show them."""
    unseen = [ticket for ticket in book.foreign_orders if ticket not in seen]
    gone = [book.foreign_orders.pop(ticket) for ticket in unseen if ticket in book.orders_unseen]
    book.orders_unseen = [ticket for ticket in unseen if ticket in book.foreign_orders]
    return [ForeignOrderGone(order.ticket, order.symbol) for order in gone]


def _foreign_deal_out(book: BrokerBook, deal: Deal) -> list[Message]:
    held = book.foreign.get(deal.position_ticket)
    if held is None:
        return []
    if deal.volume_steps < held.volume_steps:
        left = held.volume_steps - deal.volume_steps
        return [_foreign_seen(book, msgspec.structs.replace(held, volume_steps=left))]
    return [ForeignPositionGone(held.ticket, held.symbol), *_forget_foreign(book, held.ticket)]


def _foreign_seen(book: BrokerBook, seen: BrokerPosition) -> ForeignPositionSeen:
    book.foreign[seen.ticket] = seen
    return ForeignPositionSeen(seen.ticket, seen.symbol, seen.spec_id, seen.direction, seen.volume_steps, seen.open_points)


def _dispute(book: BrokerBook, seen: BrokerPosition, found: Verdict) -> list[Message]:
    """Nobody knows whose it is: a person looks, and nothing new is opened in its symbol until then."""
    book.disputed[seen.ticket] = list(found.intent_ids)
    told = f"nobody knows whose position {seen.ticket} is: {found.disputed}"
    return [
        WitnessesDisagree(seen.ticket, seen.symbol, found.intent_ids, found.disputed),
        HoldPlaced(WITNESSES, seen.symbol, told, 0),
    ]


def _forget_foreign(book: BrokerBook, ticket: int) -> list[Message]:
    """It is gone or ours now: the last dispute in a symbol ends its hold."""
    held = book.foreign.pop(ticket, None)
    if book.disputed.pop(ticket, None) is None or held is None:
        return []
    if any(book.foreign[other].symbol == held.symbol for other in book.disputed):
        return []
    return [HoldEnded(WITNESSES, held.symbol)]


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
    """The position that an opening deal makes, as a reading would show it but for its stops. What a person dealt by hand is
    no order of ours, whatever its marks."""
    by_hand = deal.reason is DealReason.CLIENT
    return BrokerPosition(
        ticket=deal.position_ticket,
        symbol=deal.symbol,
        spec_id=deal.spec_id,
        direction=deal.direction,
        volume_steps=deal.volume_steps,
        open_points=deal.price_points,
        stop_points=0,
        target_points=0,
        magic=0 if by_hand else deal.magic,
        opened_utc_ms=deal.time_utc_ms,
        comment="" if by_hand else deal.comment,
        reason=deal.reason,
    )
