"""Every hard limit and what it is in each profile (limits.md). A limit is switched off by name, with "off"."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from evenkeel.config.units import (
    Count,
    Hours,
    Lots,
    Minutes,
    MoneyDecimal,
    Multiple,
    Off,
    Pct,
    Points,
    Ratio,
    Requests,
    Seconds,
    Slots,
    Table,
)

Profile = Literal["plain", "personal", "prop", "demo"]


class DrawdownConfig(Table, frozen=True):
    """Percent below the peak equity sample, and what happens there; each "off" by name."""

    reduce_pct: Pct | Off = 5.0
    reduce_to_ratio: Ratio = 0.75
    halve_pct: Pct | Off = 8.0
    halve_to_ratio: Ratio = 0.5
    close_only_pct: Pct | Off = 12.0
    flatten_pct: Pct | Off = 15.0


class MarginLevelConfig(Table, frozen=True):
    """Equity in percent of the margin in use, and what happens there; each "off" by name. No margin in use is no level."""

    warn_pct: Multiple | Off = 200.0
    hold_pct: Multiple | Off = 150.0
    halve_pct: Multiple | Off = 120.0
    flatten_pct: Multiple | Off = 100.0


class ConsecutiveLossesConfig(Table, frozen=True):
    """Closed trades in a row that lost net, and what happens there; each "off" by name."""

    reduce_after: Count | Off = 3
    reduce_to_ratio: Ratio = 0.75
    hold_after: Count | Off = 4
    hold_hours: Hours = 6.0
    close_only_after: Count | Off = 7


class SlippageConfig(Table, frozen=True):
    """Fills worse than `multiple_max` times the median spread and `entry.spread_points_floor`: so many in so long hold."""

    multiple_max: Multiple | Off = 3.0
    breaches_max: Annotated[int, Meta(ge=1, le=100)] = 2
    within_minutes: Minutes = 5.0
    hold_minutes: Minutes = 30.0


class RejectsConfig(Table, frozen=True):
    """Requests in a row that the broker refused or left without an answer; the hold doubles with each one after it."""

    in_a_row_max: Count | Off = 5
    hold_minutes: Minutes = 5.0
    hold_minutes_max: Minutes = 60.0


class RequestsConfig(Table, frozen=True):
    """Requests to the broker. Those that open or modify are refused beyond their limits, closes and stops only spaced."""

    open_and_modify_per_s: Requests | Off = 2
    open_and_modify_per_min: Requests | Off = 30
    open_and_modify_per_day: Requests | Off = 500
    close_per_s: Requests | Off = 10


class SessionConfig(Table, frozen=True):
    """No entry round the rollover (17:00 New York), before the week's last one and after its first; each "off" by name."""

    rollover_before_minutes: Minutes | Off = 10.0
    rollover_after_minutes: Minutes | Off = 20.0
    friday_before_close_minutes: Minutes | Off = 60.0
    sunday_after_open_minutes: Minutes | Off = 15.0


class LossTiersConfig(Table, frozen=True):
    """Gross closed losses by the tier of the balance (trading_rules 1.11), from 5,000 to 100,000 of the account's currency.

    Of all trades, or of those of strategies with chains; `day` and `lifetime` are the most that each tier may lose.
    """

    applies_to: Literal["off", "chains", "all"] = "chains"
    day: Annotated[tuple[MoneyDecimal, ...], Meta(min_length=5, max_length=5)] = (100.0, 200.0, 500.0, 1000.0, 2000.0)
    lifetime: Annotated[tuple[MoneyDecimal, ...], Meta(min_length=5, max_length=5)] = (500.0, 1000.0, 2500.0, 5000.0, 10000.0)


class LimitsConfig(Table, frozen=True):
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
    recovery_attempts: Count | Off
    recovery_losses: Count | Off
    recovery_concurrent: Count | Off
    recovery_pause_hours: Hours
    profit_protection: MoneyDecimal | Off
    chain_risk_budget_r: Multiple | Off
    chain_risk_budget_hedged_r: Multiple | Off
    loss_tiers: LossTiersConfig


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
    recovery_attempts="off",
    recovery_losses="off",
    recovery_concurrent="off",
    recovery_pause_hours=6.0,
    profit_protection="off",
    chain_risk_budget_r="off",
    chain_risk_budget_hedged_r="off",
    loss_tiers=LossTiersConfig(applies_to="off"),
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
    recovery_attempts=10,
    recovery_losses=5,
    recovery_concurrent=3,
    recovery_pause_hours=6.0,
    profit_protection=100.0,
    chain_risk_budget_r=2.0,
    chain_risk_budget_hedged_r=2.2,
    loss_tiers=LossTiersConfig(),
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
    recovery_attempts=4,
    recovery_losses=2,
    recovery_concurrent=1,
    profit_protection=50.0,
    chain_risk_budget_r=1.5,
    loss_tiers=LossTiersConfig(applies_to="off"),
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
