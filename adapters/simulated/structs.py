"""The struct types of MetaTrader 5's Python package: names, order of fields and behaviour of CPython's struct sequences.

They are tuples with named fields, `n_fields`, `n_sequence_fields`, `n_unnamed_fields` and a shallow `_asdict()`; no `_fields`,
`_make` or `_replace`, and they cannot be pickled: they claim to come from `builtins` (metatrader5.md 1.7).
"""

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any, ClassVar, Final


class StructSequence(tuple[Any, ...]):
    """Base of the types below; made from all of its fields in order."""

    __slots__ = ()
    n_fields: ClassVar[int]
    n_sequence_fields: ClassVar[int]
    n_unnamed_fields: ClassVar[int] = 0
    __match_args__: ClassVar[tuple[str, ...]]

    def __new__(cls, values: Iterable[Any]) -> "StructSequence":
        row = tuple(values)
        if len(row) != cls.n_fields:
            raise TypeError(f"{cls.__name__}() takes a {cls.n_fields}-sequence ({len(row)}-sequence given)")
        return super().__new__(cls, row)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__}: builtins has no such type")

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self.__match_args__, self, strict=True))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _type(name: str, names: str) -> type[StructSequence]:
    fields = tuple(names.split())
    body: Mapping[str, Any] = {
        "__slots__": (),
        "__module__": "builtins",
        "__match_args__": fields,
        "n_fields": len(fields),
        "n_sequence_fields": len(fields),
        **{field: property(itemgetter(at)) for at, field in enumerate(fields)},
    }
    return type(name, (StructSequence,), dict(body))


TradePosition: Final = _type(
    "TradePosition",
    "ticket time time_msc time_update time_update_msc type magic identifier reason volume price_open sl tp price_current swap"
    " profit symbol comment external_id",
)
TradeOrder: Final = _type(
    "TradeOrder",
    "ticket time_setup time_setup_msc time_done time_done_msc time_expiration type type_time type_filling state magic"
    " position_id position_by_id reason volume_initial volume_current price_open sl tp price_current price_stoplimit symbol"
    " comment external_id",
)
TradeDeal: Final = _type(
    "TradeDeal",
    "ticket order time time_msc type entry magic position_id reason volume price commission swap profit fee symbol comment"
    " external_id",
)
TradeRequest: Final = _type(
    "TradeRequest",
    "action magic order symbol volume price stoplimit sl tp deviation type type_filling type_time expiration comment position"
    " position_by",
)
OrderSendResult: Final = _type(
    "OrderSendResult", "retcode deal order volume price bid ask comment request_id retcode_external request"
)
OrderCheckResult: Final = _type(
    "OrderCheckResult", "retcode balance equity profit margin margin_free margin_level comment request"
)
Tick: Final = _type("Tick", "time bid ask last volume time_msc flags volume_real")
BookInfo: Final = _type("BookInfo", "type price volume volume_dbl")
TerminalInfo: Final = _type(
    "TerminalInfo",
    "community_account community_connection connected dlls_allowed trade_allowed tradeapi_disabled email_enabled ftp_enabled"
    " notifications_enabled mqid build maxbars codepage ping_last community_balance retransmission company name language path"
    " data_path commondata_path",
)
AccountInfo: Final = _type(
    "AccountInfo",
    "login trade_mode leverage limit_orders margin_so_mode trade_allowed trade_expert margin_mode currency_digits fifo_close"
    " balance credit profit equity margin margin_free margin_level margin_so_call margin_so_so margin_initial"
    " margin_maintenance assets liabilities commission_blocked name server currency company",
)
SymbolInfo: Final = _type(
    "SymbolInfo",
    "custom chart_mode select visible session_deals session_buy_orders session_sell_orders volume volumehigh volumelow time"
    " digits spread spread_float ticks_bookdepth trade_calc_mode trade_mode start_time expiration_time trade_stops_level"
    " trade_freeze_level trade_exemode swap_mode swap_rollover3days margin_hedged_use_leg expiration_mode filling_mode"
    " order_mode order_gtc_mode option_mode option_right bid bidhigh bidlow ask askhigh asklow last lasthigh lastlow"
    " volume_real volumehigh_real volumelow_real option_strike point trade_tick_value trade_tick_value_profit"
    " trade_tick_value_loss trade_tick_size trade_contract_size trade_accrued_interest trade_face_value trade_liquidity_rate"
    " volume_min volume_max volume_step volume_limit swap_long swap_short margin_initial margin_maintenance session_volume"
    " session_turnover session_interest session_buy_orders_volume session_sell_orders_volume session_open session_close"
    " session_aw session_price_settlement session_price_limit_min session_price_limit_max margin_hedged price_change"
    " price_volatility price_theoretical price_greeks_delta price_greeks_theta price_greeks_gamma price_greeks_vega"
    " price_greeks_rho price_greeks_omega price_sensitivity basis category currency_base currency_profit currency_margin bank"
    " description exchange formula isin name page path",
)
STRUCTS: Final = (
    TradePosition,
    TradeOrder,
    TradeDeal,
    TradeRequest,
    OrderSendResult,
    OrderCheckResult,
    Tick,
    TerminalInfo,
    SymbolInfo,
    AccountInfo,
    BookInfo,
)
