"""Profit-booking chains (pyramids): their orders and where each stands."""

from enum import StrEnum

import msgspec

from evenkeel.messages.market import Direction


class PyramidState(StrEnum):
    """SL_HUNT: at least one order of the level is being recovered. STALE: an order is gone and no deal says why."""

    ACTIVE = "active"
    SL_HUNT = "sl_hunt"
    STOPPED = "stopped"
    COMPLETED = "completed"
    STALE = "stale"


class OrderStatus(StrEnum):
    """An order of a level. WAITING: its recovery waits for the price; BOOKED, RECOVERED, LOST are final."""

    PLACING = "placing"
    OPEN = "open"
    WAITING = "waiting"
    RECOVERING = "recovering"
    BOOKED = "booked"
    RECOVERED = "recovered"
    LOST = "lost"
    REFUSED = "refused"


class PyramidOrder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`number` counts the orders of the chain, from 1. Ticket 0 while there is none; a recovery's replaces the lost one.

    `parent_ticket` is the trade whose end called for it, `recoveries` counts the recoveries that were opened. Of money
    `commission_cents` and `swap_cents` are the present trade's so far (signed; an estimate until its deal), `banked_cents` what
    parts of it that were closed have brought, and `net_cents` what the order's ended trades did.
    """

    number: int
    level: int
    status: OrderStatus
    ticket: int = 0
    entry_points: int = 0
    stop_distance_points: int = 0
    volume_steps: int = 0
    commission_cents: int = 0
    swap_cents: int = 0
    tries: int = 0
    stopped_utc_ms: int = 0
    close_points: int = 0
    net_cents: int = 0
    parent_ticket: int = 0
    recoveries: int = 0
    banked_cents: int = 0


class Pyramid(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A profit-booking chain, whole (trading_rules 1.9). Levels count from 0; `orders` are those of the present level."""

    chain_id: str
    plugin: str
    symbol: str
    spec_id: int
    direction: Direction
    state: PyramidState
    version: int
    level: int
    level_max: int
    volume_steps: int
    created_utc_ms: int
    updated_utc_ms: int
    orders: tuple[PyramidOrder, ...] = ()
    booked_cents: int = 0
    lost_cents: int = 0
    is_short: bool = False
    reason: str = ""
    ended_utc_ms: int = 0
