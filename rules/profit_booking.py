"""The pyramid of order B: levels of orders, each booked by itself, and what becomes of the chain (trading_rules 1.9).

Levels count from 0, orders from 1 through the whole chain. A pyramid is a value: each function answers with the next one.
"""

from enum import Enum, auto
from fractions import Fraction
from math import ceil
from typing import Final, NamedTuple, assert_never

import msgspec

from evenkeel.config.chains import ProfitBookingConfig
from evenkeel.messages.entry import OrderKind
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.profit_booking import OrderStatus, Pyramid, PyramidOrder, PyramidState
from evenkeel.messages.recovery import ChainStatus
from evenkeel.rules.exits import sign

WON: Final = (OrderStatus.BOOKED, OrderStatus.RECOVERED)
TERMINAL: Final = (*WON, OrderStatus.LOST, OrderStatus.REFUSED)
HELD: Final = (OrderStatus.OPEN, OrderStatus.RECOVERING)
"""The broker holds a position for it."""
LIVE: Final = (PyramidState.ACTIVE, PyramidState.SL_HUNT)


class Meaning(Enum):
    """What the end of one of its trades is to an order: its target, its stop, the end of the chain, or nobody knows."""

    WON = auto()
    STOPPED = auto()
    ENDS = auto()
    UNKNOWN = auto()


class Verdict(NamedTuple):
    """What becomes of a chain whose level is complete. `state` None: the next level is opened."""

    state: PyramidState | None
    reason: str


def is_pyramid(chain_id: str) -> bool:
    """Whether a chain of this id would be a pyramid: "X/b" beside the re-entry chain X, or that of a shield."""
    return "/" in chain_id


def begun(config: ProfitBookingConfig, opened: PositionOpened, spec_commission_cents: int) -> Pyramid:
    """The pyramid of an order B that was filled; its volume is that of every order to come.

    One that a shield opened has no level but its own: more were in no worst case that was checked beforehand.
    """
    is_shield = opened.lineage.order_kind == OrderKind.SHIELD_B.value
    return Pyramid(
        chain_id=opened.lineage.chain_id,
        plugin=opened.lineage.strategy,
        symbol=opened.symbol,
        spec_id=opened.spec_id,
        direction=opened.direction,
        state=PyramidState.ACTIVE,
        version=0,
        level=0,
        level_max=0 if is_shield else len(config.multipliers) - 1,
        volume_steps=opened.volume_steps,
        created_utc_ms=opened.opened_utc_ms,
        updated_utc_ms=opened.opened_utc_ms,
        orders=(filled(PyramidOrder(1, 0, OrderStatus.OPEN), opened, spec_commission_cents),),
    )


def filled(order: PyramidOrder, opened: PositionOpened, spec_commission_cents: int) -> PyramidOrder:
    """The broker has it. The commission is an estimate until its deal."""
    is_hunt = order.ticket != 0
    return msgspec.structs.replace(
        order,
        status=OrderStatus.RECOVERING if is_hunt else OrderStatus.OPEN,
        ticket=opened.ticket,
        entry_points=opened.entry_points,
        stop_distance_points=sign(opened.direction) * (opened.entry_points - opened.stop_points),
        volume_steps=opened.volume_steps,
        commission_cents=-spec_commission_cents,
        swap_cents=0,
        banked_cents=0,
        recoveries=order.recoveries + is_hunt,
    )


def ended_trade(order: PyramidOrder, closed: PositionClosed) -> PyramidOrder:
    """Its trade is over: money as the deals say."""
    return msgspec.structs.replace(
        order,
        commission_cents=closed.commission_cents,
        swap_cents=closed.swap_cents,
        close_points=closed.close_points,
        stopped_utc_ms=closed.closed_utc_ms,
        net_cents=order.net_cents + closed.net_cents,
    )


def with_order(pyramid: Pyramid, order: PyramidOrder) -> Pyramid:
    """`order` in the place of the one with its number."""
    orders = tuple(order if order.number == old.number else old for old in pyramid.orders)
    return with_orders(pyramid, orders)


def with_orders(pyramid: Pyramid, orders: tuple[PyramidOrder, ...]) -> Pyramid:
    """SL_HUNT while one of them is being recovered; an ended chain stays what it is."""
    state = pyramid.state
    if state in LIVE:
        state = PyramidState.SL_HUNT if any(is_hunt(order) for order in orders) else PyramidState.ACTIVE
    return msgspec.structs.replace(pyramid, orders=orders, state=state)


def with_money(pyramid: Pyramid, net_cents: int) -> Pyramid:
    """What one of its trades has brought; a loss counts as a positive number of its own."""
    booked_cents = pyramid.booked_cents + max(0, net_cents)
    return msgspec.structs.replace(pyramid, booked_cents=booked_cents, lost_cents=pyramid.lost_cents + max(0, -net_cents))


def order_numbered(pyramid: Pyramid, number: int) -> PyramidOrder | None:
    return next((order for order in pyramid.orders if order.number == number), None)


def is_hunt(order: PyramidOrder) -> bool:
    """It was stopped and is being recovered: the recovery waits, is on its way, or is open."""
    is_on_its_way = order.status is OrderStatus.PLACING and order.ticket != 0
    return is_on_its_way or order.status in (OrderStatus.WAITING, OrderStatus.RECOVERING)


def may_hunt(config: ProfitBookingConfig, order: PyramidOrder, kind: str) -> bool:
    """Whether a stopped order is recovered: never a shield's, each of the others so often as is configured, and only one
    whose stop had not been moved to its entry or beyond: that leaves no gap to come back."""
    hunt = config.sl_hunt
    is_eligible = kind != OrderKind.SHIELD_B.value and order.stop_distance_points > 0
    return hunt.enabled and is_eligible and order.recoveries < hunt.attempts_max


def target_cents(config: ProfitBookingConfig, level: int, currency_digits: int) -> int:
    """Net, of each order of the level; rounded up, so that never less than what was wanted is booked."""
    by_level = config.min_profit_by_level
    wanted = by_level[level] if level < len(by_level) else config.min_profit
    unit: int = 10**currency_digits
    return ceil(Fraction(str(wanted)) * unit)


def meaning_of(reason: ExitReason) -> Meaning:
    """By the cause of the closing deal, never by the sign of its profit.

    A target at the broker lies beyond ours, so what it closed has won.
    """
    match reason:
        case ExitReason.BOOKED | ExitReason.TARGET:
            return Meaning.WON
        case ExitReason.STOP:
            return Meaning.STOPPED
        case ExitReason.UNEXPLAINED | ExitReason.NEVER_OPENED:
            return Meaning.UNKNOWN
        case (
            ExitReason.EMERGENCY
            | ExitReason.TIME
            | ExitReason.OPERATOR
            | ExitReason.FLATTEN
            | ExitReason.LATE_FILL
            | ExitReason.UNPROTECTED
            | ExitReason.CATASTROPHE
            | ExitReason.STOP_OUT
            | ExitReason.PERSON
            | ExitReason.MARGIN
            | ExitReason.SIGNAL
            | ExitReason.REVERSAL
            | ExitReason.SHIELD
            | ExitReason.BREAKER
            | ExitReason.CHAIN
        ):
            return Meaning.ENDS
        case _:
            assert_never(reason)


def is_complete(pyramid: Pyramid) -> bool:
    return all(order.status in TERMINAL for order in pyramid.orders)


def verdict(config: ProfitBookingConfig, pyramid: Pyramid) -> Verdict | None:
    """After the last order of a level; None while one of them is not terminal.

    Strict: any lost order stops the chain. Partial: the won share of those that were opened must reach `partial_ratio`.
    The last level completes the chain; one that is not enabled stops it, and what was booked is kept.
    """
    if not is_complete(pyramid):
        return None
    opened = [order for order in pyramid.orders if order.status is not OrderStatus.REFUSED]
    won = sum(order.status in WON for order in opened)
    if not opened:
        return Verdict(PyramidState.STOPPED, "none of the level's orders was opened")
    if won < len(opened) and not config.allow_partial:
        return Verdict(PyramidState.STOPPED, f"unrecovered loss: {won} of {len(opened)} orders won")
    if won < Fraction(str(config.partial_ratio)) * len(opened):
        return Verdict(PyramidState.STOPPED, f"{won} of {len(opened)} orders won, {config.partial_ratio:g} of them must")
    if pyramid.level >= pyramid.level_max:
        return Verdict(PyramidState.COMPLETED, f"level {pyramid.level} was the last")
    if pyramid.level + 1 not in config.levels_enabled:
        return Verdict(PyramidState.STOPPED, f"level {pyramid.level + 1} is not enabled")
    return Verdict(None, "")


def next_level(config: ProfitBookingConfig, pyramid: Pyramid, parent_ticket: int) -> Pyramid:
    """One level up, with all of its orders to be placed."""
    level, first = pyramid.level + 1, pyramid.orders[-1].number + 1
    orders = tuple(
        PyramidOrder(number, level, OrderStatus.PLACING, volume_steps=pyramid.volume_steps, parent_ticket=parent_ticket)
        for number in range(first, first + config.multipliers[level])
    )
    return with_orders(msgspec.structs.replace(pyramid, level=level, is_short=False), orders)


def given_up(pyramid: Pyramid, order: PyramidOrder) -> Pyramid:
    """It will not be placed: a recovery is lost, an order of the level is refused, and the level goes on short of it."""
    if is_hunt(order):
        return with_order(pyramid, msgspec.structs.replace(order, status=OrderStatus.LOST))
    refused = with_order(pyramid, msgspec.structs.replace(order, status=OrderStatus.REFUSED))
    return msgspec.structs.replace(refused, is_short=True)


def public_status(state: PyramidState) -> ChainStatus:
    match state:
        case PyramidState.ACTIVE:
            return ChainStatus.ACTIVE
        case PyramidState.SL_HUNT:
            return ChainStatus.RECOVERY_MODE
        case PyramidState.STOPPED:
            return ChainStatus.STOPPED
        case PyramidState.COMPLETED:
            return ChainStatus.COMPLETED
        case PyramidState.STALE:
            return ChainStatus.STALE
        case _:
            assert_never(state)


def hunt_loss_cents(config: ProfitBookingConfig, stop_cents: int) -> int:
    """About what the recovery of an order may lose: the same share of the money at its stop; rounded up."""
    return ceil(stop_cents * Fraction(str(config.sl_hunt.stop_ratio)))
