"""Chains for tests, of a plugin and with what is told."""

from typing import Any

import msgspec

from evenkeel.messages.market import Direction, SymbolSpec
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed
from evenkeel.messages.profit_booking import OrderStatus, Pyramid, PyramidOrder, PyramidState
from evenkeel.messages.recovery import Chain, ChainState

BEGAN_UTC_MS = 1_767_571_200_000
"""2026-01-05 00:00 UTC, a Monday."""


def chain(chain_id: str = "EURUSD-a-1", plugin: str = "alpha", **told: Any) -> Chain:
    """A buy of EURUSD at 1.10000 with 20 pips of stop, its first trade open."""
    made = Chain(
        chain_id,
        plugin,
        "EURUSD",
        1,
        Direction.BUY,
        ChainState.ACTIVE,
        version=1,
        level=1,
        level_max=5,
        volume_steps=10,
        first_ticket=7,
        first_entry_points=110_000,
        first_stop_distance_points=200,
        last_entry_points=110_000,
        last_stop_distance_points=200,
        created_utc_ms=BEGAN_UTC_MS,
        updated_utc_ms=BEGAN_UTC_MS,
        tickets=(7,),
    )
    return msgspec.structs.replace(made, **told)


def pyramid(chain_id: str = "EURUSD-a-1/b", plugin: str = "alpha", **told: Any) -> Pyramid:
    """Its first order open, at level 0."""
    order = PyramidOrder(1, 0, OrderStatus.OPEN, 8, 110_000, 100, 10)
    made = Pyramid(
        chain_id,
        plugin,
        "EURUSD",
        1,
        Direction.BUY,
        PyramidState.ACTIVE,
        version=1,
        level=0,
        level_max=4,
        volume_steps=10,
        created_utc_ms=BEGAN_UTC_MS,
        updated_utc_ms=BEGAN_UTC_MS,
        orders=(order,),
    )
    return msgspec.structs.replace(made, **told)


def next_of(row: Any, **told: Any) -> Any:
    """Its next version."""
    return msgspec.structs.replace(row, version=row.version + 1, updated_utc_ms=row.updated_utc_ms + 1000, **told)


def closed_by_app(
    spec: SymbolSpec, ticket: int, *, at: int, net_cents: int, reason: ExitReason, utc_ms: int, **told: Any
) -> PositionClosed:
    """The deals of a trade say that it is gone; all of its money came with its price."""
    parts = {
        "direction": Direction.BUY,
        "volume_steps": 1,
        "entry_points": at,
        "first_stop_points": 0,
        "target_points": 0,
        "opened_utc_ms": 0,
        "by": ClosedBy.APP,
        "profit_cents": net_cents,
        "commission_cents": 0,
        "swap_cents": 0,
        "reserved_cents": 0,
        "trading_day": "2026-01-05",
    }
    where: Any = {"ticket": ticket, "symbol": spec.symbol, "spec_id": spec.spec_id, "close_points": at}
    how: Any = {"closed_utc_ms": utc_ms, "reason": reason, "net_cents": net_cents}
    return PositionClosed(**(parts | where | how | told))
