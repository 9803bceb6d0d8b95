"""Orders, positions and deals of EURUSD for tests: 5 digits, a cent a point and step, 100 steps a lot."""

from typing import Any

import msgspec

from evenkeel.messages.broker_gateway import BrokerPosition, Deal, DealEntry, DealReason
from evenkeel.messages.entry import Lineage, OpenPosition
from evenkeel.messages.market import Direction, PointWorth, Quote, SymbolSpec
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed, PositionOpened
from evenkeel.rules.magic import magic_for

INSTALLATION = 7
SPEC = SymbolSpec(
    spec_id=1,
    symbol="EURUSD",
    digits=5,
    contract_size=100_000,
    steps_per_lot=100,
    volume_min_steps=1,
    volume_max_steps=10_000,
    stops_level_points=0,
    worth=PointWorth(100, 1),
    notional_cents_per_lot=11_000_000,
    typical_spread_points=10,
)
QUOTE = Quote(1_000, 110_000, 110_010)


def order(direction: Direction = Direction.BUY, **changed: Any) -> OpenPosition:
    """10 steps at 110010/110000: stop 50 points, target 100, stop at the broker 350."""
    proposal_id = changed.get("proposal_id", "EURUSD-1")
    asked = OpenPosition(
        proposal_id=proposal_id,
        symbol="EURUSD",
        spec_id=1,
        direction=direction,
        quote=QUOTE,
        volume_steps=10,
        stop_distance_points=50,
        target_distance_points=100,
        catastrophe_distance_points=350,
        deviation_points=20,
        reserved_cents=700,
        expires_utc_ms=0,
        lineage=Lineage("strategy", "trend", proposal_id=proposal_id, chain_id=proposal_id),
    )
    return msgspec.structs.replace(asked, **changed)


def seen(ticket: int = 1001, **changed: Any) -> BrokerPosition:
    """What a reading shows of that order, filled; its number is 1."""
    position = BrokerPosition(
        ticket=ticket,
        symbol="EURUSD",
        spec_id=1,
        direction=Direction.BUY,
        volume_steps=10,
        open_points=110_010,
        stop_points=109_660,
        target_points=0,
        magic=magic_for(INSTALLATION, 1),
        opened_utc_ms=1_000,
    )
    return msgspec.structs.replace(position, **changed)


def deal_in(ticket: int = 1001, **changed: Any) -> Deal:
    deal = Deal(
        deal_ticket=5001,
        position_ticket=ticket,
        symbol="EURUSD",
        spec_id=1,
        direction=Direction.BUY,
        entry=DealEntry.IN,
        volume_steps=10,
        price_points=110_010,
        profit_cents=0,
        commission_cents=0,
        swap_cents=0,
        magic=magic_for(INSTALLATION, 1),
        reason=DealReason.EXPERT,
        time_utc_ms=1_000,
    )
    return msgspec.structs.replace(deal, **changed)


def deal_out(ticket: int = 1001, **changed: Any) -> Deal:
    closing = {"deal_ticket": 5002, "entry": DealEntry.OUT, "direction": Direction.SELL, "price_points": 109_960}
    return msgspec.structs.replace(deal_in(ticket), **{**closing, "profit_cents": -500, "time_utc_ms": 2_000, **changed})


def opened(ticket: int = 1001, **changed: Any) -> PositionOpened:
    """What is said when that order is filled."""
    position = PositionOpened(
        ticket=ticket,
        symbol="EURUSD",
        spec_id=1,
        direction=Direction.BUY,
        volume_steps=10,
        entry_points=110_010,
        stop_points=109_960,
        target_points=110_110,
        broker_stop_points=109_660,
        reserved_cents=700,
        opened_utc_ms=1_000,
        lineage=order().lineage,
    )
    return msgspec.structs.replace(position, **changed)


def closed(ticket: int = 1001, **changed: Any) -> PositionClosed:
    """What is said when that position has ended at its stop."""
    position = PositionClosed(
        ticket=ticket,
        symbol="EURUSD",
        spec_id=1,
        direction=Direction.BUY,
        volume_steps=10,
        entry_points=110_010,
        close_points=109_960,
        first_stop_points=109_960,
        target_points=110_110,
        opened_utc_ms=1_000,
        closed_utc_ms=2_000,
        reason=ExitReason.STOP,
        by=ClosedBy.APP,
        profit_cents=-500,
        commission_cents=0,
        swap_cents=0,
        net_cents=-500,
        reserved_cents=700,
        trading_day="2026-01-05",
        lineage=order().lineage,
    )
    return msgspec.structs.replace(position, **changed)
