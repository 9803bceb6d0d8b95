"""Every knob: its unit, its range, its default. Units are in the names; `"off"` is how a limit is switched off by name.

Frozen structs, one per table of the TOML file. Values are in a person's words (lots, pips, percent, minutes); rules convert.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Off = Literal["off"]
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z][A-Za-z0-9_.#-]{0,31}\Z")]
Pct = Annotated[float, Meta(gt=0, le=100)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Multiple = Annotated[float, Meta(gt=0, le=1000)]
Minutes = Annotated[float, Meta(ge=0, le=100_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Pips = Annotated[float, Meta(gt=0, le=100_000)]
Lots = Annotated[float, Meta(gt=0, le=10_000)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Slots = Annotated[int, Meta(ge=1, le=16)]
Requests = Annotated[int, Meta(ge=1, le=10_000)]
Points = Annotated[int, Meta(ge=0, le=1_000_000_000)]
MoneyDecimal = Annotated[float, Meta(gt=0, le=1e12)]
Timeframe = Literal["M1", "M5", "M15", "M30", "H1", "H4", "D1"]
Profile = Literal["plain", "personal", "prop", "demo"]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class AccountConfig(_Table, frozen=True):
    """The account. `name` labels state folder, lock and journal."""

    name: Name = "simulated"
    currency: Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")] = "USD"
    currency_digits: Annotated[int, Meta(ge=0, le=3)] = 2
    start_balance: MoneyDecimal = 10_000.0
    leverage: Annotated[int, Meta(ge=1, le=5000)] = 100


class TradingConfig(_Table, frozen=True):
    """Off until this says so and a person starts it."""

    enabled: bool = False


class EntryConfig(_Table, frozen=True):
    """What position/SYMBOL proposes. Without `volume_lots` the volume follows from `risk_per_trade_pct`.

    `points_per_pip` absent: 10 for symbols of 3 and 5 digits, 1 for others.
    """

    stop_pips: Pips = 20.0
    target_pips: Pips | Off = 40.0
    volume_lots: Lots | None = None
    cooldown_minutes: Minutes = 15.0
    cooldown_from: Literal["open", "close"] = "open"
    spread_multiple_max: Multiple | Off = 3.0
    spread_points_floor: Points = 5
    points_per_pip: Annotated[int, Meta(ge=1, le=1000)] | None = None


class ExitConfig(_Table, frozen=True):
    """The exit hierarchy. `emergency_r` is negative, in R of the risk frozen at entry."""

    emergency_r: Annotated[float, Meta(ge=-100, lt=0)] | Off = -1.5
    time_stop_minutes: Annotated[float, Meta(gt=0, le=100_000)] | Off = 2160.0
    retry_min_s: Seconds = 1.0
    retry_max_s: Seconds = 30.0


class CatastropheStopConfig(_Table, frozen=True):
    """The wide stop that every position carries at the broker (DESIGN 10)."""

    at_broker: Literal["on", "off"] = "on"
    app_stop_multiple: Multiple = 2.0
    app_stop_multiple_min: Multiple = 1.25
    daily_atr_ratio: Multiple = 0.5
    daily_atr_days: Annotated[int, Meta(ge=1, le=100)] = 14


class DrawdownConfig(_Table, frozen=True):
    """Percent below the peak equity sample, and what happens there; each "off" by name."""

    reduce_pct: Pct | Off = 5.0
    reduce_to_ratio: Ratio = 0.75
    halve_pct: Pct | Off = 8.0
    halve_to_ratio: Ratio = 0.5
    close_only_pct: Pct | Off = 12.0
    flatten_pct: Pct | Off = 15.0


class MarginLevelConfig(_Table, frozen=True):
    """Equity in percent of the margin in use, and what happens there; each "off" by name. No margin in use is no level."""

    warn_pct: Multiple | Off = 200.0
    hold_pct: Multiple | Off = 150.0
    halve_pct: Multiple | Off = 120.0
    flatten_pct: Multiple | Off = 100.0


class ConsecutiveLossesConfig(_Table, frozen=True):
    """Closed trades in a row that lost net, and what happens there; each "off" by name."""

    reduce_after: Count | Off = 3
    reduce_to_ratio: Ratio = 0.75
    hold_after: Count | Off = 4
    hold_hours: Annotated[float, Meta(gt=0, le=10_000)] = 6.0
    close_only_after: Count | Off = 7


class SlippageConfig(_Table, frozen=True):
    """Fills worse than `multiple_max` times the median spread and `entry.spread_points_floor`: so many in so long hold."""

    multiple_max: Multiple | Off = 3.0
    breaches_max: Annotated[int, Meta(ge=1, le=100)] = 2
    within_minutes: Minutes = 5.0
    hold_minutes: Minutes = 30.0


class RejectsConfig(_Table, frozen=True):
    """Requests in a row that the broker refused or left without an answer; the hold doubles with each one after it."""

    in_a_row_max: Count | Off = 5
    hold_minutes: Minutes = 5.0
    hold_minutes_max: Minutes = 60.0


class RequestsConfig(_Table, frozen=True):
    """Requests to the broker. Those that open or modify are refused beyond their limits, closes and stops only spaced."""

    open_and_modify_per_s: Requests | Off = 2
    open_and_modify_per_min: Requests | Off = 30
    open_and_modify_per_day: Requests | Off = 500
    close_per_s: Requests | Off = 10


class SessionConfig(_Table, frozen=True):
    """No entry round the rollover (17:00 New York), before the week's last one and after its first; each "off" by name."""

    rollover_before_minutes: Minutes | Off = 10.0
    rollover_after_minutes: Minutes | Off = 20.0
    friday_before_close_minutes: Minutes | Off = 60.0
    sunday_after_open_minutes: Minutes | Off = 15.0


class LimitsConfig(_Table, frozen=True):
    """Hard limits; a key that the file leaves out comes from the profile (`PROFILES`). Percent are of equity."""

    risk_per_trade_pct: Pct | Off
    loss_at_catastrophe_stop_pct: Pct | Off
    volume_lots_max: Lots
    order_notional_max: Multiple | Off
    symbol_notional_max: Multiple | Off
    total_notional_max: Multiple | Off
    correlated_risk_pct: Pct | Off
    open_risk_pct: Pct | Off
    free_margin_after_pct: Pct | Off
    margin_level: MarginLevelConfig
    positions_max: Count | Off
    per_symbol_slots: Slots
    trades_per_day: Count | Off
    trades_per_hour: Count | Off
    trades_limit_days_max: Count | Off
    day_loss_pct: Pct | Off
    day_loss_soft_pct: Pct | Off
    week_loss_pct: Pct | Off
    drawdown: DrawdownConfig
    consecutive_losses: ConsecutiveLossesConfig
    balance_floor_pct: Pct | Off
    confidence_min: Ratio
    quote_age_s_max: Seconds | Off
    quote_age_others_s_max: Seconds | Off
    intent_expiry_s: Seconds | Off
    slippage_points: Points
    slippage: SlippageConfig
    rejects: RejectsConfig
    requests: RequestsConfig
    session: SessionConfig


class AttendanceConfig(_Table, frozen=True):
    """Whether a person still looks after it: any command of theirs counts, also a repeated `start`."""

    absent_hours_max: Annotated[float, Meta(gt=0, le=8760)] | Off = "off"


class TradingCalendarConfig(_Table, frozen=True):
    """The trading day ends at `day_boundary` (HH:MM) in `zone`."""

    day_boundary: Annotated[str, Meta(pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z")] = "17:00"
    zone: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_+/-]{1,64}\Z")] = "America/New_York"


class CircuitBreakerConfig(_Table, frozen=True):
    """Spread against its median and ATR against its own: reaching either holds the symbol until it stays quiet."""

    enabled: bool = True
    spread_ratio: Multiple = 3.0
    atr_ratio: Multiple = 2.0
    atr_bars: Annotated[int, Meta(ge=2, le=1000)] = 14
    baseline_bars: Annotated[int, Meta(ge=10, le=100_000)] = 120
    hold_minutes: Annotated[float, Meta(gt=0, le=100_000)] = 15.0
    sample_s: Seconds = 5.0


class ProtectionConfig(_Table, frozen=True):
    """What watches over open positions. A close without an end is asked for again after `close_answer_s`."""

    grace_s: Seconds = 5.0
    close_answer_s: Seconds = 60.0


class BrokerGatewayConfig(_Table, frozen=True):
    """Reconciliation. `reading_gap_s` lies between two readings that must agree; after `unreadable_s` without one entries
    wait for two again; `late_fill` says what becomes of an order that was filled after it was given up."""

    reconcile_s: Seconds = 5.0
    reading_gap_s: Annotated[float, Meta(ge=0, le=3600)] = 2.0
    unreadable_s: Seconds = 10.0
    late_fill: Literal["close", "keep"] = "close"


class JournalConfig(_Table, frozen=True):
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


class StrategyConfig(_Table, frozen=True, tag_field="kind"):
    """Fields that every strategy has. `slots`: positions that it may have in a symbol at once, if more than the limit's."""

    symbols: tuple[Name, ...] = ()
    timeframe: Timeframe = "M1"
    confidence: Ratio = 1.0
    slots: Slots = 1


class MaCrossConfig(StrategyConfig, frozen=True, tag="ma_cross", tag_field="kind"):
    fast: Annotated[int, Meta(ge=1, le=10_000)] = 10
    slow: Annotated[int, Meta(ge=2, le=10_000)] = 20


class PythonConfig(StrategyConfig, frozen=True, tag="python", tag_field="kind"):
    """A strategy of the user's own: the dotted name of its class, which is called with the symbol's terms and `parameters`."""

    object: Annotated[str, Meta(pattern=r"\A([A-Za-z_]\w*(\.[A-Za-z_]\w*)+)?\Z", max_length=200)] = ""
    parameters: dict[str, int | float | str | bool] = {}


SomeStrategyConfig = MaCrossConfig | PythonConfig


class SymbolConfig(_Table, frozen=True):
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


class TerminalConfig(_Table, frozen=True):
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


class WatchdogConfig(_Table, frozen=True):
    """`evenkeel watchdog`: when it starts the supervisor again, and what it does for the account when that does not help."""

    silent_s: Annotated[float, Meta(ge=1, le=3600)] = 5.0
    start_s: Seconds = 300.0
    restarts_max: Annotated[int, Meta(ge=0, le=100)] = 3
    restarts_minutes: Annotated[float, Meta(gt=0, le=1440)] = 10.0
    close_unprotected: Literal["on", "off"] = "on"
    flatten_after_minutes: Annotated[float, Meta(gt=0, le=10_080)] | Off = "off"


class SimulatedConfig(_Table, frozen=True):
    """The simulated terminal and the synthetic market of `evenkeel run` and `demo`. `speed` is market time over real time."""

    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 1
    speed: Annotated[float, Meta(gt=0, le=100_000)] = 1.0
    quote_every_s: Seconds = 1.0


class Config(_Table, frozen=True):
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
    protection: ProtectionConfig = ProtectionConfig()
    broker_gateway: BrokerGatewayConfig = BrokerGatewayConfig()
    journal: JournalConfig = JournalConfig()
    strategy: dict[Name, SomeStrategyConfig] = {}
    symbols: dict[Name, SymbolConfig] = {}
    terminal: TerminalConfig = TerminalConfig()
    watchdog: WatchdogConfig = WatchdogConfig()
    simulated: SimulatedConfig = SimulatedConfig()


_DRAWDOWN_OFF = DrawdownConfig(reduce_pct="off", halve_pct="off", close_only_pct="off", flatten_pct="off")
_MARGIN_LEVEL_OFF = MarginLevelConfig(warn_pct="off", hold_pct="off", halve_pct="off", flatten_pct="off")
_LOSSES_OFF = ConsecutiveLossesConfig(reduce_after="off", hold_after="off", close_only_after="off")
_REQUESTS_OFF = RequestsConfig(
    open_and_modify_per_s="off", open_and_modify_per_min="off", open_and_modify_per_day="off", close_per_s="off"
)
_SESSION_OFF = SessionConfig(
    rollover_before_minutes="off",
    rollover_after_minutes="off",
    friday_before_close_minutes="off",
    sunday_after_open_minutes="off",
)

PLAIN = LimitsConfig(
    risk_per_trade_pct="off",
    loss_at_catastrophe_stop_pct="off",
    volume_lots_max=100.0,
    order_notional_max="off",
    symbol_notional_max="off",
    total_notional_max="off",
    correlated_risk_pct="off",
    open_risk_pct="off",
    free_margin_after_pct="off",
    margin_level=_MARGIN_LEVEL_OFF,
    positions_max="off",
    per_symbol_slots=1,
    trades_per_day="off",
    trades_per_hour="off",
    trades_limit_days_max="off",
    day_loss_pct="off",
    day_loss_soft_pct="off",
    week_loss_pct="off",
    drawdown=_DRAWDOWN_OFF,
    consecutive_losses=_LOSSES_OFF,
    balance_floor_pct="off",
    confidence_min=0.0,
    quote_age_s_max="off",
    quote_age_others_s_max="off",
    intent_expiry_s="off",
    slippage_points=0,
    slippage=SlippageConfig(multiple_max="off"),
    rejects=RejectsConfig(in_a_row_max="off"),
    requests=_REQUESTS_OFF,
    session=_SESSION_OFF,
)
PERSONAL = LimitsConfig(
    risk_per_trade_pct=0.5,
    loss_at_catastrophe_stop_pct=2.0,
    volume_lots_max=1.0,
    order_notional_max=3.0,
    symbol_notional_max=5.0,
    total_notional_max=8.0,
    correlated_risk_pct=1.5,
    open_risk_pct=3.0,
    free_margin_after_pct=50.0,
    margin_level=MarginLevelConfig(),
    positions_max=5,
    per_symbol_slots=1,
    trades_per_day=20,
    trades_per_hour=5,
    trades_limit_days_max=3,
    day_loss_pct=3.0,
    day_loss_soft_pct=2.0,
    week_loss_pct=6.0,
    drawdown=DrawdownConfig(),
    consecutive_losses=ConsecutiveLossesConfig(),
    balance_floor_pct=50.0,
    confidence_min=0.70,
    quote_age_s_max=5.0,
    quote_age_others_s_max=15.0,
    intent_expiry_s=3.0,
    slippage_points=20,
    slippage=SlippageConfig(),
    rejects=RejectsConfig(),
    requests=RequestsConfig(),
    session=SessionConfig(),
)
PROP = msgspec.structs.replace(
    PERSONAL,
    risk_per_trade_pct=0.25,
    loss_at_catastrophe_stop_pct=1.0,
    symbol_notional_max=4.0,
    total_notional_max=6.0,
    correlated_risk_pct=0.75,
    open_risk_pct=1.5,
    free_margin_after_pct=60.0,
    positions_max=3,
    trades_per_day=10,
    trades_per_hour=3,
    day_loss_pct=2.0,
    day_loss_soft_pct=1.0,
    week_loss_pct=4.0,
    drawdown=DrawdownConfig(reduce_pct=3.0, halve_pct=4.0, close_only_pct=6.0, flatten_pct=8.0),
    consecutive_losses=ConsecutiveLossesConfig(hold_after=3, close_only_after=5),
    balance_floor_pct=90.0,
    confidence_min=0.75,
    slippage=SlippageConfig(multiple_max=2.0),
)
DEMO = msgspec.structs.replace(
    PERSONAL,
    trades_per_day="off",
    trades_per_hour="off",
    trades_limit_days_max="off",
    consecutive_losses=_LOSSES_OFF,
    confidence_min=0.0,
    session=_SESSION_OFF,
)
PROFILES: dict[Profile, LimitsConfig] = {"plain": PLAIN, "personal": PERSONAL, "prop": PROP, "demo": DEMO}
