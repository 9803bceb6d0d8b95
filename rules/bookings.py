"""What the profit_booking actor knows of each pyramid beside the pyramid itself, and how it is written down.

Every change of a pyramid is written to the store of its plugin, one write at a time; an order is asked for only when the
pyramid that holds it has been written.
"""

from enum import StrEnum
from typing import Final

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.chain_store import SaveChain
from evenkeel.messages.entry import Lineage, OrderKind, ReentryRaised, SignalRaised
from evenkeel.messages.market import Quote, SymbolSpec, Watch
from evenkeel.messages.profit_booking import Pyramid, PyramidOrder
from evenkeel.messages.recovery import ChainEnded, ChainStepped
from evenkeel.messages.system import Message
from evenkeel.rules.booking_level import hunt_stop_points
from evenkeel.rules.chain_writes import Writing, next_write
from evenkeel.rules.fixed_stop import fixed_stop_cents, fixed_stop_points
from evenkeel.rules.indicators.window import Window
from evenkeel.rules.profit_booking import HELD, LIVE, is_hunt, order_numbered, public_status

NAME: Final = "profit_booking"
TIMEFRAME: Final = "M15"
"""Of the bars that tell the trend (trading_rules 1.5.6)."""


class Step(StrEnum):
    """What an order without a position, and not at its end, waits for.

    WRITE: the store. QUOTE: any price at all. SENT: what becomes of the order. REQUOTED: whether the symbol's actor proposes it
    again at the price of now, which is part of the same try. PAUSE: the next try. RESERVE: a recovery of the limits. PRICE: the
    level of its recovery. BAR: a closed bar, which may turn the trend. SPREAD: a narrower one.
    """

    WRITE = "write"
    QUOTE = "quote"
    SENT = "sent"
    REQUOTED = "requoted"
    PAUSE = "pause"
    RESERVE = "reserve"
    PRICE = "price"
    BAR = "bar"
    SPREAD = "spread"


ON_ITS_WAY: Final = (Step.SENT, Step.REQUOTED)
"""Somebody may still open it."""


class Market(msgspec.Struct):
    """A symbol: its terms, its last M15 bars, the usual spread at the last of them (0: not known), and how often a next quote
    was waited for; `is_asked` while one is."""

    spec: SymbolSpec | None = None
    window: Window = Window()
    spread_median_points: int = 0
    asked: int = 0
    is_asked: bool = False


class Booking(msgspec.Struct):
    """A pyramid on its way. `lineage` is its first order's, `last_ticket` the trade that ended last.

    By order number: `steps`, `watches` (the one that is armed for it), `quotes` (at which it is to be asked for; none: at the
    next). `armed` counts the watches.
    """

    pyramid: Pyramid
    lineage: Lineage
    last_ticket: int
    steps: dict[int, Step] = {}
    watches: dict[int, Watch] = {}
    quotes: dict[int, Quote] = {}
    armed: int = 0
    writing: Writing = msgspec.field(default_factory=Writing)


class ProfitBookingState(msgspec.Struct):
    """Markets by symbol, bookings by chain."""

    markets: dict[str, Market] = {}
    bookings: dict[str, Booking] = {}


Found = tuple[Booking, PyramidOrder]


def bookings_of(state: ProfitBookingState, symbol: str) -> list[Booking]:
    """In the order in which their chains began."""
    return [booking for booking in state.bookings.values() if booking.pyramid.symbol == symbol]


def waiting_at(state: ProfitBookingState, symbol: str, step: Step) -> list[Found]:
    """The orders of a symbol that wait at `step`, in the order in which their chains began."""
    return [
        (booking, order)
        for booking in bookings_of(state, symbol)
        for order in booking.pyramid.orders
        if booking.steps.get(order.number) is step
    ]


def holding(state: ProfitBookingState, ticket: int) -> Found | None:
    """Whose position it is."""
    return next(
        (
            (booking, order)
            for booking in state.bookings.values()
            for order in booking.pyramid.orders
            if order.ticket == ticket and order.status in HELD
        ),
        None,
    )


def numbered(state: ProfitBookingState, chain_id: str, number: int) -> Found | None:
    booking = state.bookings.get(chain_id)
    order = None if booking is None else order_numbered(booking.pyramid, number)
    return None if booking is None or order is None else (booking, order)


def recovery_id(pyramid: Pyramid, lost_ticket: int) -> str:
    return f"{pyramid.chain_id}/{lost_ticket}"


def hunt_timer(order: PyramidOrder) -> str:
    """The end of the window in which a stopped order may be recovered; of its lost trade."""
    return f"window/{order.parent_ticket}"


def try_timer(pyramid: Pyramid, number: int) -> str:
    return f"try/{number}/{pyramid.chain_id}"


def spread_timer(pyramid: Pyramid, number: int) -> str:
    return f"spread/{number}/{pyramid.chain_id}"


def write_timer(pyramid: Pyramid) -> str:
    return f"write/0/{pyramid.chain_id}"


def is_drained(booking: Booking) -> bool:
    """The chain has ended, nothing of it is open, and nothing can come to be."""
    if booking.pyramid.state in LIVE:
        return False
    is_held = any(order.status in HELD for order in booking.pyramid.orders)
    return not is_held and not any(step in ON_ITS_WAY for step in booking.steps.values())


def write(booking: Booking, now_utc_ms: int) -> list[Message]:
    """Give the pyramid to its store, if there is something new to write and no write is on its way."""
    pyramid = next_write(booking.writing, booking.pyramid, now_utc_ms)
    if pyramid is None:
        return []
    booking.pyramid = pyramid
    return [SaveChain(NAME, pyramid.plugin, pyramid)]


def stepped(booking: Booking, before: str, event: str, ticket: int = 0, detail: str = "") -> ChainStepped:
    pyramid = booking.pyramid
    return ChainStepped(
        owner=NAME,
        plugin=pyramid.plugin,
        chain_id=pyramid.chain_id,
        symbol=pyramid.symbol,
        before=before,
        after=pyramid.state.value,
        event=event,
        level=pyramid.level,
        ticket=ticket,
        detail=detail,
    )


def chain_ended(booking: Booking) -> ChainEnded:
    pyramid = booking.pyramid
    net_cents = pyramid.booked_cents - pyramid.lost_cents
    status = public_status(pyramid.state)
    return ChainEnded(pyramid.plugin, pyramid.chain_id, pyramid.symbol, status, pyramid.reason, net_cents)


def stop_money_cents(config: Config, pyramid: Pyramid) -> int:
    """What an order of the pyramid's level risks at its stop."""
    strategy = config.strategy.get(pyramid.plugin)
    logic = "off" if strategy is None else strategy.logic
    return fixed_stop_cents(config.profit_booking, logic, pyramid.level, config.account.currency_digits)


def reentry_of(
    config: Config, booking: Booking, order: PyramidOrder, market: Market, quote: Quote, now_utc_ms: int
) -> ReentryRaised | None:
    """The order as the symbol's actor is asked for it; None where one point of its volume is worth more than its stop."""
    pyramid, spec = booking.pyramid, market.spec
    assert spec is not None, "nothing is asked for before the terms are known"
    if is_hunt(order):
        kind, distance = OrderKind.PROFIT_RECOVERY, hunt_stop_points(order, config.profit_booking.sl_hunt.stop_ratio)
    else:
        kind, distance = (
            OrderKind.PROFIT_TRAIL,
            fixed_stop_points(stop_money_cents(config, pyramid), order.volume_steps, spec),
        )
    if distance < 1:
        return None
    lineage = msgspec.structs.replace(
        booking.lineage,
        origin=NAME,
        chain_id=pyramid.chain_id,
        parent_ticket=order.parent_ticket,
        level=pyramid.level,
        order_kind=kind.value,
        proposal_id="",
        number=order.number,
    )
    signal = SignalRaised(
        symbol=pyramid.symbol,
        spec_id=spec.spec_id,
        direction=pyramid.direction,
        quote=quote,
        bar_utc_ms=now_utc_ms,
        spread_median_points=market.spread_median_points,
        lineage=lineage,
    )
    return ReentryRaised(pyramid.symbol, signal, distance, 0, order.volume_steps)
