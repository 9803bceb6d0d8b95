"""What the trade server has written down, in the words of the Broker port."""

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.mt5.translate import CASH_KINDS, DIRECTIONS, REASONS
from evenkeel.adapters.simulated.server import records
from evenkeel.messages.broker_gateway import BrokerOrder, BrokerPosition, Cash, CashKind, Deal, DealEntry, DealReason
from evenkeel.messages.market import Direction, SymbolSpec


def position_of(position: records.Position, spec: SymbolSpec) -> BrokerPosition:
    return BrokerPosition(
        ticket=position.ticket,
        symbol=position.symbol,
        spec_id=spec.spec_id,
        direction=DIRECTIONS[position.type],
        volume_steps=position.volume_steps,
        open_points=position.open_cost,
        stop_points=position.sl_points,
        target_points=position.tp_points,
        magic=position.magic,
        opened_utc_ms=position.time_utc_ms,
        comment=position.comment,
        reason=REASONS.get(position.reason, DealReason.OTHER),
    )


def order_of(order: records.Order, spec: SymbolSpec) -> BrokerOrder:
    return BrokerOrder(
        ticket=order.ticket,
        symbol=order.symbol,
        spec_id=spec.spec_id,
        direction=Direction.BUY if order.is_buy else Direction.SELL,
        volume_steps=order.volume_left_steps,
        price_points=order.price_points,
        magic=order.magic,
        comment=order.comment,
    )


def deal_of(deal: records.Deal, spec: SymbolSpec) -> Deal:
    return Deal(
        deal_ticket=deal.ticket,
        position_ticket=deal.position_id,
        symbol=deal.symbol,
        spec_id=spec.spec_id,
        direction=DIRECTIONS[deal.type],
        entry=DealEntry.IN if deal.entry == mt5.DEAL_ENTRY_IN else DealEntry.OUT,
        volume_steps=deal.volume_steps,
        price_points=deal.price_cost,
        profit_cents=deal.profit_cents,
        commission_cents=deal.commission_cents,
        swap_cents=deal.swap_cents,
        magic=deal.magic,
        reason=REASONS.get(deal.reason, DealReason.OTHER),
        time_utc_ms=deal.time_utc_ms,
        comment=deal.comment,
    )


def cash_of(line: records.Deal) -> Cash:
    """A line without a symbol."""
    kind = CASH_KINDS.get(line.type, CashKind.OTHER)
    return Cash(line.ticket, kind, line.net_cents, line.comment, line.time_utc_ms)
