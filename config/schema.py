"""Every knob: its unit, its range, its default. Units are in the names; `"off"` is how a limit is switched off by name.

Frozen structs, one per table of the TOML file. Values are in a person's words (lots, pips, percent, minutes); rules convert.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from evenkeel.config.chains import ChainType, DualOrdersConfig, Logic, Orders, ProfitBookingConfig, RecoveryConfig, ShieldConfig
from evenkeel.config.circuit_breaker import CircuitBreakerConfig
from evenkeel.config.limits import LimitsConfig, Profile
from evenkeel.config.units import (
    Address,
    Count,
    HostName,
    Lots,
    Minutes,
    MoneyDecimal,
    Multiple,
    Name,
    Off,
    Pct,
    Pips,
    Points,
    Ratio,
    RsiLevel,
    Seconds,
    SecretName,
    Slots,
    Table,
    Ticker,
    Timeframe,
)


class AccountConfig(Table, frozen=True):
    """The account. `name` labels state folder, lock and journal."""

    name: Name = "simulated"
    currency: Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")] = "USD"
    currency_digits: Annotated[int, Meta(ge=0, le=3)] = 2
    start_balance: MoneyDecimal = 10_000.0
    leverage: Annotated[int, Meta(ge=1, le=5000)] = 100


class TradingConfig(Table, frozen=True):
    """Off until this says so and a person starts it."""

    enabled: bool = False


class EntryConfig(Table, frozen=True):
    """What position/SYMBOL proposes. Without `volume_lots` the volume follows from `risk_per_trade_pct`.

    `stop_system` "sl_1" or "sl_2" takes the stop from the tables of rules/stop_systems.py, by symbol and balance; a symbol
    that is not there has `stop_pips`. `volume_lots` "by_tier" is the table's volume for the balance.

    `points_per_pip` absent: 10 for symbols of 3 and 5 digits, 1 for others.
    """

    stop_system: Literal["pips", "sl_1", "sl_2"] = "pips"
    stop_pips: Pips = 20.0
    target_pips: Pips | Off = 40.0
    volume_lots: Lots | Literal["by_tier"] | None = None
    cooldown_minutes: Minutes = 15.0
    cooldown_from: Literal["open", "close"] = "open"
    spread_multiple_max: Multiple | Off = 3.0
    spread_points_floor: Points = 5
    points_per_pip: Annotated[int, Meta(ge=1, le=1000)] | None = None


class ExitConfig(Table, frozen=True):
    """The exit hierarchy. `emergency_r` is negative, in R of the risk frozen at entry."""

    emergency_r: Annotated[float, Meta(ge=-100, lt=0)] | Off = -1.5
    time_stop_minutes: Annotated[float, Meta(gt=0, le=100_000)] | Off = 2160.0
    retry_min_s: Seconds = 1.0
    retry_max_s: Seconds = 30.0


class CatastropheStopConfig(Table, frozen=True):
    """The wide stop that every position carries at the broker (DESIGN 10)."""

    at_broker: Literal["on", "off"] = "on"
    app_stop_multiple: Multiple = 2.0
    app_stop_multiple_min: Multiple = 1.25
    daily_atr_ratio: Multiple = 0.5
    daily_atr_days: Annotated[int, Meta(ge=1, le=100)] = 14


class AttendanceConfig(Table, frozen=True):
    """Whether a person still looks after it: any command of theirs counts, also a repeated `start`."""

    absent_hours_max: Annotated[float, Meta(gt=0, le=8760)] | Off = "off"


class TradingCalendarConfig(Table, frozen=True):
    """The trading day ends at `day_boundary` (HH:MM) in `zone`."""

    day_boundary: Annotated[str, Meta(pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z")] = "17:00"
    zone: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_+/-]{1,64}\Z")] = "America/New_York"


class ProtectionConfig(Table, frozen=True):
    """What watches over open positions. A close without an end is asked for again after `close_answer_s`."""

    grace_s: Seconds = 5.0
    close_answer_s: Seconds = 60.0


class BrokerGatewayConfig(Table, frozen=True):
    """Reconciliation. `reading_gap_s` lies between two readings that must agree; after `unreadable_s` without one entries
    wait for two again; `late_fill` says what becomes of an order that was filled after it was given up."""

    reconcile_s: Seconds = 5.0
    reading_gap_s: Annotated[float, Meta(ge=0, le=3600)] = 2.0
    unreadable_s: Seconds = 10.0
    late_fill: Literal["close", "keep"] = "close"


class JournalConfig(Table, frozen=True):
    """The journal's disk and its copies. `map_mb` is what one trading day may take. "" lies in the state folder."""

    map_mb: Annotated[int, Meta(ge=16, le=65_536)] = 1024
    map_warn_pct: Pct = 60.0
    map_stop_pct: Pct = 80.0
    disk_warn_mb: Annotated[int, Meta(ge=1, le=1_000_000)] | Off = 1024
    disk_stop_mb: Annotated[int, Meta(ge=1, le=1_000_000)] | Off = 256
    backup_every_h: Annotated[float, Meta(gt=0, le=168)] | Off = 1.0
    backup_folder: Annotated[str, Meta(max_length=500)] = ""
    backups_hourly: Count = 24
    backups_daily: Count = 30


class StrategyConfig(Table, frozen=True, tag_field="kind"):
    """Fields that every strategy has. `slots`: trades that it may have in a symbol at once, if more than the limit's.
    Both orders of a signal, and what is derived from them, are one trade.

    `orders`, `chain_type`, `logic`: see config/chains.py.
    """

    symbols: tuple[Name, ...] = ()
    timeframe: Timeframe = "M1"
    confidence: Ratio = 1.0
    slots: Slots = 1
    orders: Orders = "single"
    chain_type: ChainType = "v3"
    logic: Logic = "off"


class MaCrossConfig(StrategyConfig, frozen=True, tag="ma_cross", tag_field="kind"):
    fast: Annotated[int, Meta(ge=1, le=10_000)] = 10
    slow: Annotated[int, Meta(ge=2, le=10_000)] = 20


class RsiConfig(StrategyConfig, frozen=True, tag="rsi", tag_field="kind"):
    period: Annotated[int, Meta(ge=2, le=200)] = 14
    low: RsiLevel = 30.0
    high: RsiLevel = 70.0


class BreakoutConfig(StrategyConfig, frozen=True, tag="breakout", tag_field="kind"):
    lookback: Annotated[int, Meta(ge=1, le=1000)] = 20


class PythonConfig(StrategyConfig, frozen=True, tag="python", tag_field="kind"):
    """A strategy of one's own, `kind` python. `object`: dotted name of its class, called with symbol terms and `parameters`."""

    object: Annotated[str, Meta(pattern=r"\A([A-Za-z_]\w*(\.[A-Za-z_]\w*)+)?\Z", max_length=200)] = ""
    parameters: dict[str, int | float | str | bool] = msgspec.field(default_factory=dict)


SomeStrategyConfig = MaCrossConfig | RsiConfig | BreakoutConfig | PythonConfig


class SymbolConfig(Table, frozen=True):
    """What a terminal would tell of a symbol, for back-tests and the simulated terminal. Absent: derived from its currencies.

    `daily_atr_points` stands in where no terminal has daily bars. `account_per_quote` is the worth of one unit of the quote
    currency in the account's, needed only when neither side of the symbol is the account's currency.
    """

    digits: Annotated[int, Meta(ge=0, le=8)] | None = None
    contract_size: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    volume_step_lots: Lots = 0.01
    volume_min_lots: Lots = 0.01
    volume_max_lots: Lots = 100.0
    stops_level_points: Points = 0
    typical_price: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    typical_spread_points: Points = 20
    account_per_quote: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    commission_per_lot: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    daily_atr_points: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None


class TerminalConfig(Table, frozen=True):
    """The terminal host. `kind` "simulated" needs no broker; "mt5" is the official package, on Windows or under Wine.

    Of "mt5": `path` is the terminal's program, `login` and `server` must match what it says; a real account is refused unless
    its number stands in `real_login`. `address` "HOST:PORT" is a host on another machine, with certificates pinned on both
    sides (files). `account_file` and `play` are of the simulated one.
    """

    kind: Literal["simulated", "mt5"] = "simulated"
    path: Annotated[str, Meta(max_length=250)] = ""
    login: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    server: Annotated[str, Meta(max_length=250)] | None = None
    real_login: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    call_timeout_s: Annotated[float, Meta(gt=0, le=600)] = 30.0
    supervisor_silent_s: Seconds = 5.0
    requests_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 120
    requests_for_closes_ratio: Ratio = 0.5
    address: Annotated[str, Meta(pattern=r"\A([A-Za-z0-9.:_-]{1,200}:[0-9]{1,5})?\Z")] = ""
    certificate: Annotated[str, Meta(max_length=500)] = ""
    private_key: Annotated[str, Meta(max_length=500)] = ""
    peer_certificate: Annotated[str, Meta(max_length=500)] = ""
    key_file: Annotated[str, Meta(max_length=500)] = ""
    account_file: Annotated[str, Meta(max_length=500)] = ""
    play: Annotated[str, Meta(max_length=64)] = ""


class WatchdogConfig(Table, frozen=True):
    """`evenkeel watchdog`: when it starts the supervisor again, and what it does for the account when that does not help."""

    silent_s: Annotated[float, Meta(ge=1, le=3600)] = 5.0
    start_s: Seconds = 300.0
    restarts_max: Annotated[int, Meta(ge=0, le=100)] = 3
    restarts_minutes: Annotated[float, Meta(gt=0, le=1440)] = 10.0
    close_unprotected: Literal["on", "off"] = "on"
    flatten_after_minutes: Annotated[float, Meta(gt=0, le=10_080)] | Off = "off"


class WebhooksConfig(Table, frozen=True):
    """`evenkeel webhooks`: who may raise which signals over HTTP. `symbols` is ticker = our symbol; no other is taken.

    With `strategies` a signal must name one of them, without it none. `token` names a secret; absent: one is made at the first
    start. `hosts` are the names by which it is asked, besides those of this machine. `age_s_max` is how long ago a signal may
    have been sent.
    """

    listen: Address = "127.0.0.1:8090"
    token: SecretName | None = None
    hosts: tuple[HostName, ...] = ()
    strategies: tuple[Name, ...] = ()
    symbols: dict[Ticker, Name] = msgspec.field(default_factory=dict)
    confidence_max: Ratio = 1.0
    age_s_max: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    signals_per_minute: Annotated[int, Meta(ge=1, le=600)] = 30


class SimulatedConfig(Table, frozen=True):
    """The simulated terminal and the synthetic market of `evenkeel run` and `demo`. `speed` is market time over real time."""

    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 1
    speed: Annotated[float, Meta(gt=0, le=100_000)] = 1.0
    quote_every_s: Seconds = 1.0


class Config(Table, frozen=True):
    profile: Profile
    limits: LimitsConfig
    account: AccountConfig = AccountConfig()
    trading: TradingConfig = TradingConfig()
    entry: EntryConfig = EntryConfig()
    exit: ExitConfig = ExitConfig()
    catastrophe_stop: CatastropheStopConfig = CatastropheStopConfig()
    attendance: AttendanceConfig = AttendanceConfig()
    trading_calendar: TradingCalendarConfig = TradingCalendarConfig()
    circuit_breaker: CircuitBreakerConfig = CircuitBreakerConfig()
    recovery: RecoveryConfig = RecoveryConfig()
    dual_orders: DualOrdersConfig = DualOrdersConfig()
    profit_booking: ProfitBookingConfig = ProfitBookingConfig()
    shield: ShieldConfig = ShieldConfig()
    protection: ProtectionConfig = ProtectionConfig()
    broker_gateway: BrokerGatewayConfig = BrokerGatewayConfig()
    journal: JournalConfig = JournalConfig()
    strategy: dict[Name, SomeStrategyConfig] = msgspec.field(default_factory=dict)
    symbols: dict[Name, SymbolConfig] = msgspec.field(default_factory=dict)
    terminal: TerminalConfig = TerminalConfig()
    watchdog: WatchdogConfig = WatchdogConfig()
    webhooks: WebhooksConfig = msgspec.field(default_factory=WebhooksConfig)
    simulated: SimulatedConfig = SimulatedConfig()
