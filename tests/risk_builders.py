"""Proposals, orders, deals and bars as the account's limits hear them, one symbol of a USD account of $10,000."""

from typing import Any

import msgspec

from evenkeel.actors.risk_limit import RiskLimit
from evenkeel.config.limits import PLAIN, LimitsConfig
from evenkeel.config.schema import CatastropheStopConfig, Config, EntryConfig
from evenkeel.messages.broker_gateway import (
    AccountRead,
    Deal,
    DealDone,
    DealEntry,
    DealReason,
    ForeignPositionSeen,
)
from evenkeel.messages.entry import EntryProposed, Lineage, OpenPosition, OrderDenied
from evenkeel.messages.market import (
    BarClosed,
    DailyRange,
    Direction,
    PointWorth,
    Quote,
    SymbolSpec,
    SymbolSpecified,
)
from evenkeel.messages.position import (
    ClosedBy,
    ExitReason,
    PositionClosed,
    PositionOpened,
)
from evenkeel.messages.system import Message
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.runtime.actor import restore, snapshot_of

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EURUSD = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 11_000_000, 10)
DAILY = tuple(DailyRange(110_700, 110_000, 110_350) for _ in range(15))
DRAWDOWN_OFF = PLAIN.drawdown


def config(limits: LimitsConfig = PLAIN, *, volume_lots: float | None = 0.10, at_broker: Any = "off", **on: Any) -> Config:
    """The limits with some changed; at $10,000 and 200 points of stop, 0.10 lot risks $20 and is worth $11,000."""
    return Config(
        profile="plain",
        limits=msgspec.structs.replace(limits, **on),
        entry=EntryConfig(volume_lots=volume_lots),
        catastrophe_stop=CatastropheStopConfig(at_broker=at_broker),
    )


def proposal(
    number: int = 1, *, confidence: float = 1.0, level: int = 0, stop_distance_points: int = 200, **changed: Any
) -> EntryProposed:
    proposal_id = f"p{number}"
    return msgspec.structs.replace(
        EntryProposed(
            proposal_id=proposal_id,
            symbol="EURUSD",
            spec_id=1,
            direction=Direction.BUY,
            quote=Quote(0, 110_000, 110_010),
            stop_distance_points=stop_distance_points,
            target_distance_points=400,
            spread_median_points=10,
            lineage=Lineage("strategy", "ma_cross", level=level, proposal_id=proposal_id, confidence=confidence),
        ),
        **changed,
    )


def account(equity_cents: int = 1_000_000, balance_cents: int = 1_000_000, margin_cents: int = 0) -> AccountRead:
    return AccountRead(balance_cents, equity_cents, margin_cents, "USD", 2, 100)


def day_started(number: int = 1) -> TradingDayStarted:
    """Seven of them are a week."""
    week_ends_utc_ms = ((number - 1) // 7 + 1) * 7 * DAY_MS
    return TradingDayStarted(f"day {number}", (number - 1) * DAY_MS, number * DAY_MS, week_ends_utc_ms)


def opened(order: OpenPosition, ticket: int = 7, *, entry_points: int = 110_010, **changed: Any) -> PositionOpened:
    return msgspec.structs.replace(
        PositionOpened(
            ticket=ticket,
            symbol=order.symbol,
            spec_id=order.spec_id,
            direction=order.direction,
            volume_steps=order.volume_steps,
            entry_points=entry_points,
            stop_points=entry_points - order.stop_distance_points,
            target_points=0,
            broker_stop_points=0,
            reserved_cents=order.reserved_cents,
            opened_utc_ms=0,
            lineage=order.lineage,
        ),
        **changed,
    )


def closed(position: PositionOpened, net_cents: int = 0) -> PositionClosed:
    return PositionClosed(
        ticket=position.ticket,
        symbol=position.symbol,
        spec_id=1,
        direction=position.direction,
        volume_steps=position.volume_steps,
        entry_points=position.entry_points,
        close_points=109_810,
        first_stop_points=position.stop_points,
        target_points=0,
        opened_utc_ms=0,
        closed_utc_ms=0,
        reason=ExitReason.STOP,
        by=ClosedBy.APP,
        profit_cents=0,
        commission_cents=0,
        swap_cents=0,
        net_cents=net_cents,
        reserved_cents=position.reserved_cents,
        trading_day="",
        lineage=position.lineage,
    )


def deal_out(profit_cents: int, volume_steps: int = 10, ticket: int = 7, deal_ticket: int = 1) -> DealDone:
    return DealDone(
        Deal(
            deal_ticket=deal_ticket,
            position_ticket=ticket,
            symbol="EURUSD",
            spec_id=1,
            direction=Direction.SELL,
            entry=DealEntry.OUT,
            volume_steps=volume_steps,
            price_points=109_810,
            profit_cents=profit_cents,
            commission_cents=0,
            swap_cents=0,
            magic=0,
            reason=DealReason.EXPERT,
            time_utc_ms=0,
        )
    )


def bar(close_points: int, *, timeframe: str = "M1", late: bool = False) -> BarClosed:
    quote = Quote(0, close_points, close_points + 10)
    prices = (close_points,) * 4
    return BarClosed("EURUSD", 1, timeframe, 0, *prices, close_points + 10, 10, 10, 5, quote, late=late)


def foreign(ticket: int = 99, volume_steps: int = 10, symbol: str = "EURUSD") -> ForeignPositionSeen:
    return ForeignPositionSeen(ticket, symbol, 1, Direction.BUY, volume_steps, 110_000)


def actor(knobs: Config, *heard: Any, now_utc_ms: int = 0) -> RiskLimit:
    """The limits on the first trading day, after what they heard."""
    risk_limit = RiskLimit(knobs)
    for message in (SymbolSpecified(EURUSD), day_started(), *heard):
        risk_limit.handle(message, now_utc_ms)
    return risk_limit


def restarted(before: RiskLimit) -> RiskLimit:
    after = RiskLimit(before.config)
    restore(after, snapshot_of(before))
    return after


def order_of(said: list[Message]) -> OpenPosition:
    [order] = said
    assert isinstance(order, OpenPosition), order
    return order


def denial_of(said: list[Message]) -> OrderDenied:
    [denied] = said
    assert isinstance(denied, OrderDenied), denied
    return denied


def trade(risk_limit: RiskLimit, number: int, now_utc_ms: int = 0, *, net_cents: int = 0) -> list[Message]:
    """Opens and closes one; what the opening made it say."""
    position = opened(order_of(risk_limit.handle(proposal(number), now_utc_ms)), ticket=number)
    said = risk_limit.handle(position, now_utc_ms)
    risk_limit.handle(closed(position, net_cents), now_utc_ms)
    return said
