"""Between MetaTrader's floats and our integers, and between its return codes and what became of a call. Pure.

Prices are rounded to the symbol's points, volumes to its steps, money to the account's cents; a number that is none of them,
or not finite, raises Untranslatable and never becomes an order or a belief.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final, NamedTuple

from evenkeel.adapters.hidden import HIDDEN
from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.messages.broker_gateway import (
    BrokerOrder,
    BrokerPosition,
    Cash,
    CashKind,
    CloseRequest,
    Deal,
    DealEntry,
    DealReason,
    OpenRequest,
    Outcome,
    StopRequest,
)
from evenkeel.messages.market import Direction, PointWorth, SymbolSpec
from evenkeel.rules.magic import comment_for

RATIO_PART_MAX: Final = 2**53 - 1
_OFF_GRID: Final = 1e-4
"""A price may be so far from a whole point, in points: floats, not prices between."""

ACCEPTED: Final = frozenset({mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_DONE_PARTIAL, mt5.TRADE_RETCODE_NO_CHANGES})
REJECTED: Final = frozenset(
    {
        mt5.TRADE_RETCODE_REQUOTE,
        mt5.TRADE_RETCODE_REJECT,
        mt5.TRADE_RETCODE_CANCEL,
        mt5.TRADE_RETCODE_INVALID,
        mt5.TRADE_RETCODE_INVALID_VOLUME,
        mt5.TRADE_RETCODE_INVALID_PRICE,
        mt5.TRADE_RETCODE_INVALID_STOPS,
        mt5.TRADE_RETCODE_TRADE_DISABLED,
        mt5.TRADE_RETCODE_MARKET_CLOSED,
        mt5.TRADE_RETCODE_NO_MONEY,
        mt5.TRADE_RETCODE_PRICE_CHANGED,
        mt5.TRADE_RETCODE_PRICE_OFF,
        mt5.TRADE_RETCODE_INVALID_EXPIRATION,
        mt5.TRADE_RETCODE_TOO_MANY_REQUESTS,
        mt5.TRADE_RETCODE_SERVER_DISABLES_AT,
        mt5.TRADE_RETCODE_CLIENT_DISABLES_AT,
        mt5.TRADE_RETCODE_FROZEN,
        mt5.TRADE_RETCODE_INVALID_FILL,
        mt5.TRADE_RETCODE_ONLY_REAL,
        mt5.TRADE_RETCODE_LIMIT_ORDERS,
        mt5.TRADE_RETCODE_LIMIT_VOLUME,
        mt5.TRADE_RETCODE_INVALID_ORDER,
        mt5.TRADE_RETCODE_POSITION_CLOSED,
        mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME,
        mt5.TRADE_RETCODE_LIMIT_POSITIONS,
        mt5.TRADE_RETCODE_LONG_ONLY,
        mt5.TRADE_RETCODE_SHORT_ONLY,
        mt5.TRADE_RETCODE_CLOSE_ONLY,
        mt5.TRADE_RETCODE_FIFO_CLOSE,
        mt5.TRADE_RETCODE_HEDGE_PROHIBITED,
    }
)
"""Definite: certainly not executed (reliability.md 5.1). Whatever is in none of these sets is UNKNOWN."""
REFUSED_BEFORE_SENDING: Final = frozenset({mt5.RES_E_INVALID_PARAMS, mt5.RES_E_AUTO_TRADING_DISABLED})
"""Last errors of an order_send without a result that say that nothing left: definite as well. Every other is UNKNOWN."""

REASONS: Final = {
    mt5.DEAL_REASON_CLIENT: DealReason.CLIENT,
    mt5.DEAL_REASON_MOBILE: DealReason.CLIENT,
    mt5.DEAL_REASON_WEB: DealReason.CLIENT,
    mt5.DEAL_REASON_EXPERT: DealReason.EXPERT,
    mt5.DEAL_REASON_SL: DealReason.STOP,
    mt5.DEAL_REASON_TP: DealReason.TARGET,
    mt5.DEAL_REASON_SO: DealReason.STOP_OUT,
}
CASH_KINDS: Final = {
    mt5.DEAL_TYPE_BALANCE: CashKind.BALANCE,
    mt5.DEAL_TYPE_CREDIT: CashKind.CREDIT,
    mt5.DEAL_TYPE_CHARGE: CashKind.CHARGE,
    mt5.DEAL_TYPE_CORRECTION: CashKind.CORRECTION,
    mt5.DEAL_TYPE_BONUS: CashKind.BONUS,
    mt5.DEAL_TYPE_COMMISSION: CashKind.COMMISSION,
    mt5.DEAL_TYPE_COMMISSION_DAILY: CashKind.COMMISSION,
    mt5.DEAL_TYPE_COMMISSION_MONTHLY: CashKind.COMMISSION,
    mt5.DEAL_TYPE_COMMISSION_AGENT_DAILY: CashKind.COMMISSION,
    mt5.DEAL_TYPE_COMMISSION_AGENT_MONTHLY: CashKind.COMMISSION,
    mt5.DEAL_TYPE_INTEREST: CashKind.INTEREST,
    mt5.DEAL_TYPE_BUY_CANCELED: CashKind.CANCELED,
    mt5.DEAL_TYPE_SELL_CANCELED: CashKind.CANCELED,
    mt5.DEAL_DIVIDEND: CashKind.DIVIDEND,
    mt5.DEAL_DIVIDEND_FRANKED: CashKind.DIVIDEND,
    mt5.DEAL_TAX: CashKind.TAX,
}
DIRECTIONS: Final = {mt5.DEAL_TYPE_BUY: Direction.BUY, mt5.DEAL_TYPE_SELL: Direction.SELL}
SIDES: Final = {Direction.BUY: mt5.ORDER_TYPE_BUY, Direction.SELL: mt5.ORDER_TYPE_SELL}


class Untranslatable(ValueError):
    """What the terminal said fits none of our units. One line that names what and the number."""


class Trading(NamedTuple):
    """How a symbol wants its orders."""

    execution: int
    filling_mask: int


def points(price: float, digits: int, what: str = "price") -> int:
    """Whole points; raises Untranslatable for what lies between two of them."""
    exact = _finite(price, what) * float(10**digits)
    nearest = round(exact)
    if abs(exact - nearest) > max(_OFF_GRID, abs(exact) * 1e-12):
        raise Untranslatable(f"{what} {price!r} is no whole point of {digits} digits")
    return nearest


def near_points(price: float, digits: int, what: str = "price") -> int:
    """The nearest point, of an average that need not be whole."""
    return round(_finite(price, what) * float(10**digits))


def price(points: int, digits: int) -> float:
    """The float that stands for so many points: the one that the decimal number has."""
    return float(round(points / 10**digits, digits))


def steps(lots: float, steps_per_lot: int, what: str = "volume") -> int:
    exact = _finite(lots, what) * steps_per_lot
    nearest = round(exact)
    if abs(exact - nearest) > 1e-6 * max(1.0, abs(exact)):
        raise Untranslatable(f"{what} {lots!r} is no whole step of 1/{steps_per_lot} lot")
    return nearest


def lots(volume_steps: int, steps_per_lot: int) -> float:
    return float(Fraction(volume_steps, steps_per_lot))


def cents(money: float, currency_digits: int, what: str = "money") -> int:
    return round(_finite(money, what) * float(10**currency_digits))


def outcome_of(retcode: int) -> Outcome:
    if retcode in ACCEPTED:
        return Outcome.ACCEPTED
    if retcode == mt5.TRADE_RETCODE_PLACED:
        return Outcome.PENDING
    return Outcome.REJECTED if retcode in REJECTED else Outcome.UNKNOWN


def outcome_of_error(last_error: int) -> Outcome:
    """Of an order_send that returned nothing."""
    return Outcome.REJECTED if last_error in REFUSED_BEFORE_SENDING else Outcome.UNKNOWN


def filling_of(trading: Trading) -> int:
    """For a market order: FOK where it is certain, else IOC, else what Exchange execution always takes (metatrader5.md 2.6).

    Mask bits are not order values. Raises Untranslatable where nothing is allowed.
    """
    if trading.execution in (mt5.SYMBOL_TRADE_EXECUTION_REQUEST, mt5.SYMBOL_TRADE_EXECUTION_INSTANT):
        return mt5.ORDER_FILLING_FOK
    if trading.filling_mask & mt5.SYMBOL_FILLING_FOK:
        return mt5.ORDER_FILLING_FOK
    if trading.filling_mask & mt5.SYMBOL_FILLING_IOC:
        return mt5.ORDER_FILLING_IOC
    if trading.execution == mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE:
        return mt5.ORDER_FILLING_RETURN
    raise Untranslatable(f"filling mode {trading.filling_mask} allows no market order")


def _filling_to_get_out(trading: Trading) -> int:
    """A close is sent with something in any case: the broker may still take it."""
    try:
        return filling_of(trading)
    except Untranslatable:
        return mt5.ORDER_FILLING_RETURN


def spec_of(info: Any, *, spec_id: int, currency_digits: int, commission_cents_per_lot: int) -> SymbolSpec:
    """The terms of a symbol. `worth` is that of a losing point, the dearer of the two; raises Untranslatable without one."""
    digits, tick_points = info.digits, points(info.trade_tick_size, info.digits, "trade_tick_size")
    tick_value = max(_finite(info.trade_tick_value_loss, "trade_tick_value_loss"), info.trade_tick_value)
    if tick_value <= 0 or tick_points <= 0:
        raise Untranslatable(
            f"{info.name}: a tick of {info.trade_tick_size} is worth {tick_value}: nothing can be sized by that"
        )
    per_lot = Fraction(1) / Fraction(str(info.volume_step))
    if per_lot.denominator != 1:
        raise Untranslatable(f"{info.name}: a lot is not a whole number of steps of {info.volume_step}")
    steps_per_lot = per_lot.numerator
    worth = Fraction(str(round(tick_value, 8))) * 10**currency_digits / tick_points
    worth = worth.limit_denominator(RATIO_PART_MAX // (int(worth) + 1))
    now_points = near_points(info.ask or info.bid, digits)
    return SymbolSpec(
        spec_id=spec_id,
        symbol=info.name,
        digits=digits,
        contract_size=round(_finite(info.trade_contract_size, "trade_contract_size")),
        steps_per_lot=steps_per_lot,
        volume_min_steps=math.ceil(Fraction(str(info.volume_min)) * steps_per_lot),
        volume_max_steps=math.floor(Fraction(str(info.volume_max)) * steps_per_lot),
        stops_level_points=info.trade_stops_level,
        worth=PointWorth(worth.numerator, worth.denominator),
        notional_cents_per_lot=math.ceil(worth * now_points),
        typical_spread_points=max(1, info.spread),
        commission_cents_per_lot=commission_cents_per_lot,
    )


def position_of(row: Any, spec: SymbolSpec, *, opened_utc_ms: int) -> BrokerPosition:
    """Named by its identifier, which never changes; its ticket may (metatrader5.md 3.3)."""
    return BrokerPosition(
        ticket=row.identifier,
        symbol=row.symbol,
        spec_id=spec.spec_id,
        direction=DIRECTIONS[row.type],
        volume_steps=steps(row.volume, spec.steps_per_lot),
        open_points=near_points(row.price_open, spec.digits),
        stop_points=near_points(row.sl, spec.digits, "sl"),
        target_points=near_points(row.tp, spec.digits, "tp"),
        magic=row.magic,
        opened_utc_ms=opened_utc_ms,
        comment=HIDDEN.shown(row.comment),
        reason=REASONS.get(row.reason, DealReason.OTHER),
    )


def order_of(row: Any, spec: SymbolSpec) -> BrokerOrder:
    """Buy types are even, sell types odd (metatrader5.md 2.3)."""
    return BrokerOrder(
        ticket=row.ticket,
        symbol=row.symbol,
        spec_id=spec.spec_id,
        direction=Direction.SELL if row.type % 2 else Direction.BUY,
        volume_steps=steps(row.volume_current, spec.steps_per_lot),
        price_points=near_points(row.price_open, spec.digits),
        magic=row.magic,
        comment=HIDDEN.shown(row.comment),
    )


def is_trade(row: Any) -> bool:
    """A deal that bought or sold; every other line of the history is cash."""
    return bool(row.symbol) and row.type in DIRECTIONS


def cash_of(row: Any, *, currency_digits: int, time_utc_ms: int) -> Cash:
    """A line that is no trade, or a trade in a symbol without terms: its money alone."""
    kind = CashKind.UNKNOWN_SYMBOL if is_trade(row) else CASH_KINDS.get(row.type, CashKind.OTHER)
    amount_cents = sum(cents(part, currency_digits) for part in (row.profit, row.commission, row.swap, row.fee))
    return Cash(row.ticket, kind, amount_cents, HIDDEN.shown(row.comment), time_utc_ms)


def deal_of(row: Any, spec: SymbolSpec, *, currency_digits: int, time_utc_ms: int) -> Deal:
    """Of a trade. A fee counts as commission."""
    return Deal(
        deal_ticket=row.ticket,
        position_ticket=row.position_id,
        symbol=row.symbol,
        spec_id=spec.spec_id,
        direction=DIRECTIONS[row.type],
        entry=DealEntry.IN if row.entry == mt5.DEAL_ENTRY_IN else DealEntry.OUT,
        volume_steps=steps(row.volume, spec.steps_per_lot),
        price_points=near_points(row.price, spec.digits),
        profit_cents=cents(row.profit, currency_digits),
        commission_cents=cents(row.commission, currency_digits) + cents(row.fee, currency_digits),
        swap_cents=cents(row.swap, currency_digits),
        magic=row.magic,
        reason=REASONS.get(row.reason, DealReason.OTHER),
        time_utc_ms=time_utc_ms,
        comment=HIDDEN.shown(row.comment),
    )


def open_request(request: OpenRequest, magic: int, spec: SymbolSpec, trading: Trading) -> Mapping[str, Any]:
    """What order_send takes: floats for prices and volumes, plain ints, a short comment of ASCII letters."""
    return {
        "action": mt5.TRADE_ACTION_DEAL,
        "symbol": request.symbol,
        "volume": lots(request.volume_steps, spec.steps_per_lot),
        "type": SIDES[request.direction],
        "price": price(request.price_points, spec.digits),
        "deviation": int(request.deviation_points),
        "sl": price(request.stop_points, spec.digits),
        "tp": price(request.target_points, spec.digits),
        "magic": int(magic),
        "comment": comment_for(magic),
        "type_filling": filling_of(trading),
        "type_time": mt5.ORDER_TIME_GTC,
    }


def close_request(
    request: CloseRequest,
    volume_steps: int,
    magic: int,
    spec: SymbolSpec,
    trading: Trading,
    *,
    ticket: int,
    is_buy: bool,
    price_points: int,
    deviation_points: int,
) -> Mapping[str, Any]:
    """The opposite side with the position's ticket: without it a hedging account would open another position."""
    return {
        "action": mt5.TRADE_ACTION_DEAL,
        "symbol": request.symbol,
        "volume": lots(volume_steps, spec.steps_per_lot),
        "type": mt5.ORDER_TYPE_SELL if is_buy else mt5.ORDER_TYPE_BUY,
        "position": int(ticket),
        "price": price(price_points, spec.digits),
        "deviation": int(deviation_points),
        "magic": int(magic),
        "comment": comment_for(magic),
        "type_filling": _filling_to_get_out(trading),
        "type_time": mt5.ORDER_TIME_GTC,
    }


def stop_request(request: StopRequest, spec: SymbolSpec, *, ticket: int) -> Mapping[str, Any]:
    """Both levels, always: what is left out would be removed."""
    return {
        "action": mt5.TRADE_ACTION_SLTP,
        "symbol": request.symbol,
        "position": int(ticket),
        "sl": price(request.stop_points, spec.digits),
        "tp": price(request.target_points, spec.digits),
    }


def _finite(number: float, what: str) -> float:
    if not math.isfinite(number):
        raise Untranslatable(f"{what} {number!r} is no number")
    return number
