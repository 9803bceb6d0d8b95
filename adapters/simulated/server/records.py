"""What a trade server keeps: orders, positions, deals; and what it is asked and answers. Prices in points, volumes in steps."""

from typing import NamedTuple

import msgspec

from evenkeel.adapters.mt5 import constants as mt5


class Request(NamedTuple):
    """A trade request, parsed. `volume_steps` and prices are None where the number was no whole step or point."""

    action: int
    symbol: str = ""
    volume_steps: int | None = 0
    price_points: int | None = 0
    stoplimit_points: int | None = 0
    sl_points: int | None = 0
    tp_points: int | None = 0
    deviation: int = 0
    type: int = 0
    type_filling: int = 0
    type_time: int = 0
    expiration_server_s: int = 0
    magic: int = 0
    order: int = 0
    position: int = 0
    position_by: int = 0
    comment: str = ""
    reason: int = mt5.ORDER_REASON_EXPERT


class Result(NamedTuple):
    """The answer. Prices are those of the answer, 0 where a server says none; `detail` is for people."""

    retcode: int
    deal: int = 0
    order: int = 0
    volume_steps: int = 0
    price_points: int = 0
    bid_points: int = 0
    ask_points: int = 0
    detail: str = ""

    @property
    def is_done(self) -> bool:
        return self.retcode in (mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_DONE_PARTIAL, mt5.TRADE_RETCODE_PLACED)


class Position(msgspec.Struct, array_like=True, gc=False):
    """`open_cost / open_parts` is the price: on a netting account an average is no whole point.

    `margin_rate` is what one unit of the margin currency was worth in the account's at the opening, as a ratio.
    """

    ticket: int
    identifier: int
    symbol: str
    type: int
    volume_steps: int
    open_cost: int
    open_parts: int
    sl_points: int
    tp_points: int
    magic: int
    reason: int
    comment: str
    time_utc_ms: int
    update_utc_ms: int
    margin_rate: tuple[int, int] = (1, 1)
    swap_cents: int = 0

    @property
    def is_buy(self) -> bool:
        return self.type == mt5.POSITION_TYPE_BUY

    @property
    def sign(self) -> int:
        return 1 if self.type == mt5.POSITION_TYPE_BUY else -1


class Order(msgspec.Struct, array_like=True, gc=False):
    """`triggered`: a stop-limit whose stop was reached: now a limit. `on_the_way`: accepted, not yet carried out."""

    ticket: int
    symbol: str
    type: int
    volume_steps: int
    volume_left_steps: int
    price_points: int
    stoplimit_points: int
    sl_points: int
    tp_points: int
    type_filling: int
    type_time: int
    expiration_utc_ms: int
    magic: int
    reason: int
    comment: str
    setup_utc_ms: int
    state: int = mt5.ORDER_STATE_PLACED
    done_utc_ms: int = 0
    position_id: int = 0
    position_by_id: int = 0
    triggered: bool = False
    on_the_way: bool = False

    @property
    def is_buy(self) -> bool:
        return self.type % 2 == 0


class Deal(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`price_cost / price_parts` is the price. Operations on the balance have no symbol."""

    ticket: int
    order: int
    symbol: str
    type: int
    entry: int
    position_id: int
    reason: int
    volume_steps: int
    price_cost: int
    price_parts: int
    profit_cents: int
    commission_cents: int
    swap_cents: int
    magic: int
    comment: str
    time_utc_ms: int

    @property
    def net_cents(self) -> int:
        return self.profit_cents + self.commission_cents + self.swap_cents


class Books(msgspec.Struct):
    """Everything that outlives a process. Histories are without a hole, their newest part."""

    balance_cents: int
    credit_cents: int = 0
    positions: dict[int, Position] = {}
    orders: dict[int, Order] = {}
    deals: list[Deal] = []
    done_orders: list[Order] = []
    quotes: dict[str, tuple[int, int, int]] = {}
    last_order_ticket: int = 1000
    last_deal_ticket: int = 5000
    day_end_utc_ms: int = 0


class AccountState(NamedTuple):
    """In cents; `level_pct` is 0 without margin."""

    balance_cents: int
    credit_cents: int
    profit_cents: int
    equity_cents: int
    margin_cents: int
    free_cents: int
    level_pct: float
