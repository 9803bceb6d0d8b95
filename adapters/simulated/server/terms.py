"""What a simulated server is told of its account and symbols, and the assumptions about a real one that nobody could verify."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from evenkeel.adapters.mt5 import constants as mt5

NOT_NEGATIVE = Meta(ge=0, le=2**53)
Whole = Annotated[int, NOT_NEGATIVE]
Minute = Annotated[int, Meta(ge=0, le=10_080)]

ALL_FILLINGS: Final = mt5.SYMBOL_FILLING_FOK | mt5.SYMBOL_FILLING_IOC
ALL_ORDERS: Final = 127
ALL_EXPIRATIONS: Final = 15
WEEK_MINUTES: Final = 10_080


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Assumptions(_Table, frozen=True):
    """Every fact of a real server that is unverified (`[U]`) and that something here depends on, with the default taken.

    `evenkeel doctor --measure` compares them with a demo account. Codes are return codes, lags milliseconds of server time.
    """

    server_zone: Annotated[str, Meta(pattern=r"\A(UTC([+-]\d{1,2}(:\d\d)?)?|EET|NEW_YORK_CLOSE)\Z")] = "UTC"
    unknown_ticket_code: Literal[10013, 10035] = mt5.TRADE_RETCODE_INVALID
    position_gone_code: Literal[10013, 10036] = mt5.TRADE_RETCODE_POSITION_CLOSED
    same_side_close_code: Literal[10013, 10035] = mt5.TRADE_RETCODE_INVALID
    wrong_symbol_code: Literal[10013, 10035] = mt5.TRADE_RETCODE_INVALID
    fok_unfilled_code: Literal[10006, 10007] = mt5.TRADE_RETCODE_REJECT
    close_by_refused_code: Literal[10013, 10035] = mt5.TRADE_RETCODE_INVALID
    instant_allows_ioc: bool = True
    check_asks_the_market: bool = True
    pending_filling: Literal["return", "mask", "any"] = "any"
    stop_limit_rule: Literal["limit_below_stop", "limit_above_stop"] = "limit_below_stop"
    stops_allowed_on_open: bool = True
    pending_margin_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.0
    hedged_margin: Literal["uncovered", "larger_leg", "full"] = "uncovered"
    close_keeps_magic: bool = False
    comment_of_exits: bool = True
    comment_characters_kept: Annotated[int, Meta(ge=0, le=29)] = 29
    result_has_deal: bool = True
    visible_lag_ms: Whole = 0
    history_lag_ms: Whole = 0
    requests_per_minute_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class SymbolTerms(_Table, frozen=True):
    """A symbol in integers: prices in points, volumes in steps, numbers of enumerations as MetaTrader's.

    `sessions` are (from, to) in minutes of the server's week, which begins on Sunday; none: always open. The commission
    is that of one deal; `swap_long` and `swap_short` are in the unit of `swap_mode`. `liquidity_steps` 0: unlimited. Points and
    steps are how numbers are kept, and stay; what a broker changes is `volume_step_steps`, `tick_size_points`, `shown_digits`.
    """

    name: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._#&-]{1,29}\Z")]
    digits: Annotated[int, Meta(ge=0, le=8)] = 5
    contract_size: Annotated[int, Meta(ge=1, le=10_000_000)] = 100_000
    tick_size_points: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    tick_value: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    steps_per_lot: Annotated[int, Meta(ge=1, le=100_000)] = 100
    volume_min_steps: Annotated[int, Meta(ge=1, le=10**9)] = 1
    volume_max_steps: Annotated[int, Meta(ge=1, le=10**9)] = 10_000
    volume_step_steps: Annotated[int, Meta(ge=1, le=10**6)] = 1
    volume_limit_steps: Whole = 0
    liquidity_steps: Whole = 0
    stops_level_points: Whole = 0
    freeze_level_points: Whole = 0
    calc_mode: Annotated[int, Meta(ge=0, le=64)] = mt5.SYMBOL_CALC_MODE_FOREX
    trade_mode: Annotated[int, Meta(ge=0, le=4)] = mt5.SYMBOL_TRADE_MODE_FULL
    execution: Annotated[int, Meta(ge=0, le=3)] = mt5.SYMBOL_TRADE_EXECUTION_MARKET
    filling_mask: Annotated[int, Meta(ge=0, le=7)] = ALL_FILLINGS
    order_mask: Annotated[int, Meta(ge=0, le=127)] = ALL_ORDERS
    expiration_mask: Annotated[int, Meta(ge=0, le=15)] = ALL_EXPIRATIONS
    gtc_mode: Annotated[int, Meta(ge=0, le=2)] = mt5.SYMBOL_ORDERS_GTC
    currency_base: str = "EUR"
    currency_profit: str = "USD"
    currency_margin: str = "EUR"
    margin_initial: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    margin_ratio: Annotated[float, Meta(ge=0, le=1000)] = 1.0
    margin_hedged: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    liquidity_rate: Annotated[float, Meta(ge=0, le=1)] = 0.0
    swap_mode: Annotated[int, Meta(ge=0, le=8)] = mt5.SYMBOL_SWAP_MODE_DISABLED
    swap_long: Annotated[float, Meta(ge=-1e6, le=1e6)] = 0.0
    swap_short: Annotated[float, Meta(ge=-1e6, le=1e6)] = 0.0
    swap_triple_day: Annotated[int, Meta(ge=0, le=6)] = mt5.DAY_OF_WEEK_WEDNESDAY
    commission_cents_per_lot: Whole = 0
    commission_on: Literal["in", "out", "both"] = "both"
    sessions: tuple[tuple[Minute, Minute], ...] = ()
    shown_digits: Annotated[int, Meta(ge=0, le=8)] | None = None
    shown_tick_value: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    path: str = "Forex"
    description: str = ""
    typical_price_points: Annotated[int, Meta(ge=1, le=2**40)] = 110_000
    typical_spread_points: Annotated[int, Meta(ge=0, le=10**6)] = 10

    @property
    def points_per_shown(self) -> int:
        """Points in one point as the terminal counts them."""
        return 1 if self.shown_digits is None else int(10 ** max(0, self.digits - self.shown_digits))


class AccountTerms(_Table, frozen=True):
    """An account. Money in cents, its smallest unit by `currency_digits`."""

    login: Annotated[int, Meta(ge=1, le=2**63 - 1)] = 5_000_001
    name: str = "Demo"
    server: str = "Evenkeel-Simulated"
    company: str = "evenkeel"
    currency: Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")] = "USD"
    currency_digits: Annotated[int, Meta(ge=0, le=3)] = 2
    start_balance_cents: Whole = 10_000_00
    leverage: Annotated[int, Meta(ge=1, le=5000)] = 100
    trade_mode: Annotated[int, Meta(ge=0, le=2)] = mt5.ACCOUNT_TRADE_MODE_DEMO
    margin_mode: Annotated[int, Meta(ge=0, le=2)] = mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
    trade_allowed: bool = True
    trade_expert: bool = True
    fifo_close: bool = False
    hedging_prohibited: bool = False
    orders_max: Whole = 200
    positions_max: Whole = 0
    stop_out_in_money: bool = False
    margin_call: Annotated[float, Meta(ge=0, le=1e12)] = 100.0
    stop_out: Annotated[float, Meta(ge=0, le=1e12)] = 50.0

    @property
    def is_hedging(self) -> bool:
        return self.margin_mode == mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
