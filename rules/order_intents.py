"""An order is an intent with a life: which ones are open, what they lock, what a definite answer of the broker is."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final

import msgspec

from evenkeel.messages.broker_gateway import BrokerPosition, OpenRequest
from evenkeel.messages.entry import DenialReason, OpenPosition, OrderDenied
from evenkeel.messages.market import Direction
from evenkeel.messages.position import ClosePosition
from evenkeel.rules.entries import Refusal
from evenkeel.rules.exits import sign

INVALID_STOPS: Final = 10016
"""Return code of levels that the broker does not take: beyond the price, or too near to it."""
POSITION_GONE: Final = 10036
"""Return code of a close whose position does not exist any more (metatrader5 2.5): the deal will tell who closed it."""


class Life(StrEnum):
    """SENT waits for an answer; ACCEPTED (a close) waits for its deal; PENDING was taken on and is not done yet; UNKNOWN
    waits for the broker's records."""

    SENT = "sent"
    ACCEPTED = "accepted"
    PENDING = "pending"
    UNKNOWN = "unknown"


class OpenIntent(msgspec.Struct):
    order: OpenPosition
    magic: int
    life: Life = Life.SENT
    absent_readings: int = 0
    asked_utc_ms: int = 0


class CloseIntent(msgspec.Struct):
    order: ClosePosition
    magic: int
    life: Life = Life.SENT
    present_readings: int = 0


class StopIntent(msgspec.Struct):
    """The levels that the broker is to hold; `is_asked` by somebody who hears what came of it, else a repair of our own.

    `own_stop_points` and `own_target_points` are where ours belong: a person's may be kept in their place.
    """

    ticket: int
    symbol: str
    spec_id: int = 0
    stop_points: int = 0
    target_points: int = 0
    is_asked: bool = False
    own_stop_points: int = 0
    own_target_points: int = 0


def lock_refusal(
    order: OpenPosition, opens: Iterable[OpenIntent], foreign: Iterable[BrokerPosition], now_utc_ms: int
) -> Refusal | None:
    """One unresolved open intent per symbol and slot; an unknown one locks the opposite direction too; so does a foreign
    position; an expired order is not sent."""
    return next(lock_refusals(order, opens, foreign, now_utc_ms), None)


def lock_refusals(
    order: OpenPosition, opens: Iterable[OpenIntent], foreign: Iterable[BrokerPosition], now_utc_ms: int
) -> Iterator[Refusal]:
    """All that keeps `order` from being sent; see `lock_refusal`."""
    if order.expires_utc_ms and now_utc_ms >= order.expires_utc_ms:
        yield Refusal(DenialReason.EXPIRED, now_utc_ms - order.expires_utc_ms, 0, "ms")
    for intent in opens:
        held = intent.order
        if held.symbol == order.symbol and held.lineage.slot == order.lineage.slot:
            yield Refusal(DenialReason.SLOT_LOCKED, 1, 1, "count", f"{held.proposal_id} is {intent.life.value}")
            continue
        is_unsettled = intent.life in (Life.UNKNOWN, Life.PENDING)
        if held.symbol == order.symbol and is_unsettled and held.direction is not order.direction:
            yield Refusal(DenialReason.DIRECTION_LOCKED, 1, 0, "count", f"{held.proposal_id} is {intent.life.value}")
    for position in foreign:
        if position.symbol == order.symbol and position.direction is not order.direction:
            yield Refusal(DenialReason.FOREIGN_OPPOSITE, 1, 0, "count", f"position {position.ticket}")


def request_for(order: OpenPosition) -> OpenRequest:
    """A market order at the price of the order's quote, with the levels at the broker in the same request."""
    price, s = order.quote.ask_points if order.direction is Direction.BUY else order.quote.bid_points, sign(order.direction)
    stop = price - s * order.catastrophe_distance_points if order.catastrophe_distance_points else 0
    target = price + s * order.broker_target_distance_points if order.broker_target_distance_points else 0
    return OpenRequest(
        symbol=order.symbol,
        spec_id=order.spec_id,
        direction=order.direction,
        volume_steps=order.volume_steps,
        price_points=price,
        deviation_points=order.deviation_points,
        stop_points=stop,
        target_points=target,
        slot=order.lineage.slot,
    )


def denied(order: OpenPosition, by: str, refusal: Refusal) -> OrderDenied:
    return OrderDenied(order.proposal_id, order.symbol, order.direction, by, *refusal[:4], order.lineage, refusal.detail)
