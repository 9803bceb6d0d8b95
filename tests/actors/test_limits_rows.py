"""The table of limits, row by row: reached it bites, one step below it does not, its reset frees, a restart changes nothing.

Each row is told to the actor that enforces it. Those of the terminal edge (quote_age_s_max, quote_age_others_s_max,
intent_expiry_s, requests.close_per_s) are in tests/adapters/test_terminal.py.
"""

import msgspec
import pytest
from limit_desk import (
    MINUTE_MS,
    MONDAY_UTC_MS,
    ChainDesk,
    Row,
    SymbolDesk,
    asked,
    asks,
    at_level,
    at_symbol,
    beside,
    bound,
    chain_stands,
    chained,
    closes_all,
    cooled,
    day_ends,
    days_at_limit,
    fails,
    fallen,
    fills,
    forgets,
    hears,
    keeps,
    loses,
    lost,
    lowers,
    next_refused,
    on_equity,
    opens,
    recovers,
    recovery_refused,
    refused,
    says,
    shared,
    shut,
    slots,
    stays_quiet,
    sure,
    then,
    trades,
    waits,
    wide,
)
from risk_builders import (
    DAY_MS,
    HOUR_MS,
    account,
    config,
    day_started,
)

from evenkeel.config.limits import (
    PERSONAL,
    LossTiersConfig,
    RejectsConfig,
    SlippageConfig,
)
from evenkeel.config.schema import EntryConfig, MaCrossConfig
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.operator import Mode, TradingRearmed
from evenkeel.messages.position import ReducePosition
from evenkeel.messages.recovery import FreeRecovery
from evenkeel.messages.risk_limit import LimitReached

ROWS = [
    on_equity("risk_per_trade_pct", risk_per_trade_pct=0.2),
    on_equity("loss_at_catastrophe_stop_pct", at_broker="on", loss_at_catastrophe_stop_pct=0.4),
    on_equity("order_notional_max", order_notional_max=1.1),
    Row(
        "volume_lots_max",
        config(volume_lots=None, risk_per_trade_pct=0.2, volume_lots_max=0.09),
        hears(account(1_000_000)),
        hears(account(900_000)),
        hears(account(900_000)),
        lambda desk: desk.ask().bound_by == "volume_lots_max",
    ),
    beside("symbol_notional_max", "EURUSD", symbol_notional_max=2.2),
    beside("total_notional_max", "GBPUSD", total_notional_max=2.2),
    beside("free_margin_after_pct", "GBPUSD", free_margin_after_pct=97.8),
    shared("correlated_risk_pct", "GBPUSD", correlated_risk_pct=0.4),
    shared("open_risk_pct", "GBPUSD", open_risk_pct=0.4),
    at_level("warn_pct", 200, says(LimitReached), stays_quiet),
    at_level("hold_pct", 150, refused(DenialReason.MARGIN_LEVEL)),
    at_level("halve_pct", 120, says(ReducePosition), refused(DenialReason.MARGIN_LEVEL)),
    at_level("flatten_pct", 100, lowers(Mode.FLATTEN), refused(DenialReason.MARGIN_LEVEL)),
    Row(
        "positions_max",
        config(positions_max=2),
        then(opens(("EURUSD", 200)), asks(1)),
        opens(("EURUSD", 200)),
        closes_all,
        refused(DenialReason.POSITIONS),
    ),
    slots("per_symbol_slots", 1, at_symbol()),
    slots("per_symbol_slots", 2, at_symbol(per_symbol_slots=2)),
    slots("strategy.slots", 3, msgspec.structs.replace(at_symbol(), strategy={"trend": MaCrossConfig(slots=3)})),
    Row(
        "trades_per_hour",
        config(trades_per_hour=2),
        trades(2),
        trades(1),
        waits(HOUR_MS),
        refused(DenialReason.TRADES_PER_HOUR),
    ),
    Row(
        "trades_per_day",
        config(trades_per_day=2),
        trades(2),
        trades(1),
        hears(day_started(2), after_ms=DAY_MS),
        refused(DenialReason.TRADES_PER_DAY),
    ),
    Row(
        "trades_limit_days_max",
        config(trades_per_day=1, trades_limit_days_max=3),
        days_at_limit(1, 3),
        days_at_limit(1, 2),
        then(forgets, hears(TradingRearmed("person", 1)), days_at_limit(4, 4)),
        lowers(Mode.CLOSE_ONLY),
        refused(DenialReason.TRADES_PER_DAY),
    ),
    Row(
        "day_loss_pct",
        config(day_loss_pct=3.0),
        hears(account(970_000)),
        hears(account(970_001)),
        hears(day_started(2), after_ms=DAY_MS),
        refused(DenialReason.DAY_LOSS),
    ),
    Row(
        "day_loss_soft_pct",
        config(day_loss_soft_pct=2.0),
        hears(account(980_000)),
        hears(account(980_001)),
        hears(day_started(2), after_ms=DAY_MS),
        bound("entry.volume_lots cut to 50 %"),
    ),
    Row(
        "week_loss_pct",
        config(week_loss_pct=6.0),
        then(hears(account(970_000), day_started(2)), hears(account(940_000))),
        then(hears(account(970_000), day_started(2)), hears(account(940_001))),
        hears(day_started(8), after_ms=7 * DAY_MS),
        refused(DenialReason.WEEK_LOSS),
    ),
    fallen("reduce_pct", 950_000, bound("entry.volume_lots cut to 75 %")),
    fallen("halve_pct", 920_000, bound("entry.volume_lots cut to 50 %")),
    fallen("close_only_pct", 880_000, lowers(Mode.CLOSE_ONLY), refused(DenialReason.DRAWDOWN)),
    fallen("flatten_pct", 850_000, lowers(Mode.FLATTEN), refused(DenialReason.DRAWDOWN)),
    lost("reduce_after", 3, trades(1), bound("entry.volume_lots cut to 75 %")),
    lost("hold_after", 4, waits(6 * HOUR_MS), refused(DenialReason.CONSECUTIVE_LOSSES)),
    lost(
        "close_only_after",
        7,
        then(forgets, hears(TradingRearmed("person", 1)), loses(1)),
        lowers(Mode.CLOSE_ONLY),
        refused(DenialReason.CONSECUTIVE_LOSSES),
    ),
    Row(
        "balance_floor_pct",
        config(balance_floor_pct=50.0),
        hears(account(600_000, balance_cents=500_000)),
        hears(account(500_001, balance_cents=600_000)),
        then(forgets, hears(TradingRearmed("person", 1), account(500_000, balance_cents=500_000))),
        lowers(Mode.FLATTEN),
        refused(DenialReason.BALANCE_FLOOR),
    ),
    Row("confidence_min", config(confidence_min=0.7), sure(0.69), sure(0.7), sure(0.7), refused(DenialReason.CONFIDENCE)),
    Row(
        "spread_points_max",
        at_symbol(EntryConfig(cooldown_minutes=0.0, spread_multiple_max=3.0)),
        wide(31),
        wide(30),
        wide(10),
        refused(DenialReason.SPREAD),
        desk=SymbolDesk,
    ),
    Row(
        "slippage.multiple_max",
        config(slippage=SlippageConfig()),
        fills(31, 31),
        fills(31, 30),
        waits(30 * MINUTE_MS),
        refused(DenialReason.SLIPPAGE),
    ),
    Row(
        "rejects.in_a_row_max",
        config(rejects=RejectsConfig()),
        fails(5),
        fails(4),
        waits(5 * MINUTE_MS),
        refused(DenialReason.REJECTS),
    ),
    cooled("open"),
    cooled("close"),
    asked("open_and_modify_per_s", 2, waits(1_000), DenialReason.REQUESTS_PER_SECOND),
    asked("open_and_modify_per_min", 3, waits(MINUTE_MS), DenialReason.REQUESTS_PER_MINUTE),
    asked("open_and_modify_per_day", 4, hears(day_started(2), after_ms=DAY_MS), DenialReason.REQUESTS_PER_DAY),
    shut("rollover_before_minutes", MONDAY_UTC_MS - 10 * MINUTE_MS, 10),
    shut("friday_before_close_minutes", MONDAY_UTC_MS - 72 * HOUR_MS - 60 * MINUTE_MS, 60),
    shut("rollover_after_minutes", MONDAY_UTC_MS, 20),
    shut("sunday_after_open_minutes", MONDAY_UTC_MS - 24 * HOUR_MS, 15),
    Row(
        "recovery_attempts",
        chained(recovery_attempts=10),
        recovers(*[0] * 10),
        recovers(*[0] * 9),
        day_ends,
        recovery_refused(DenialReason.RECOVERY_ATTEMPTS),
        desk=ChainDesk,
    ),
    Row(
        "recovery_losses",
        chained(recovery_losses=5),
        recovers(*[-1] * 5),
        recovers(0, *[-1] * 4),
        day_ends,
        recovery_refused(DenialReason.RECOVERY_LOSSES),
        desk=ChainDesk,
    ),
    Row(
        "recovery_concurrent",
        chained(recovery_concurrent=3),
        keeps(3),
        keeps(2),
        hears(FreeRecovery("k1/1")),
        recovery_refused(DenialReason.RECOVERY_CONCURRENT),
        desk=ChainDesk,
    ),
    Row(
        "recovery_pause_hours",
        chained(recovery_losses=1),
        then(waits(DAY_MS - HOUR_MS), recovers(-1), hears(day_started(2), after_ms=6 * HOUR_MS - 1)),
        then(waits(DAY_MS - HOUR_MS), recovers(-1), hears(day_started(2), after_ms=6 * HOUR_MS)),
        waits(1),
        recovery_refused(DenialReason.RECOVERY_LOSSES),
        desk=ChainDesk,
    ),
    Row(
        "profit_protection",
        chained(profit_protection=100.0),
        then(lambda desk: desk.trade(15_000), lambda desk: desk.trade(-5_000)),
        then(lambda desk: desk.trade(15_000), lambda desk: desk.trade(-5_001)),
        day_ends,
        recovery_refused(DenialReason.PROFIT_PROTECTION),
        desk=ChainDesk,
    ),
    Row(
        "chain_risk_budget_r",
        chained(chain_risk_budget_r=2.0),
        chain_stands(1, "tp_continuation"),
        chain_stands(0, "tp_continuation"),
        closes_all,
        next_refused(DenialReason.CHAIN_RISK_BUDGET),
        desk=ChainDesk,
    ),
    Row(
        "chain_risk_budget_hedged_r",
        chained(chain_risk_budget_r=2.0, chain_risk_budget_hedged_r=2.2),
        chain_stands(401, "shield_a"),
        chain_stands(400, "shield_a"),
        closes_all,
        next_refused(DenialReason.CHAIN_RISK_BUDGET),
        desk=ChainDesk,
    ),
    Row(
        "loss_tiers.day",
        chained(loss_tiers=LossTiersConfig()),
        lambda desk: [desk.trade(cents) for cents in (-10_000, 50_000, -10_000)],
        lambda desk: [desk.trade(cents) for cents in (-10_000, 50_000, -7_900)],
        day_ends,
        refused(DenialReason.LOSS_TIER_DAY),
        desk=ChainDesk,
    ),
    Row(
        "loss_tiers.lifetime",
        chained(loss_tiers=LossTiersConfig()),
        lambda desk: [(desk.hear(day_started(day)), desk.trade(-19_000)) for day in range(1, 7)],
        lambda desk: [(desk.hear(day_started(day)), desk.trade(-19_000)) for day in range(1, 6)],
        then(forgets, hears(day_started(7), TradingRearmed("person", 1))),
        lowers(Mode.CLOSE_ONLY),
        refused(DenialReason.LOSS_TIER_LIFETIME),
        desk=ChainDesk,
    ),
]
ELSEWHERE_TOLD = {"quote_age_s_max", "quote_age_others_s_max", "intent_expiry_s", "requests.close_per_s"}
SHAPES = {
    "slippage_points",
    "drawdown.reduce_to_ratio",
    "drawdown.halve_to_ratio",
    "consecutive_losses.reduce_to_ratio",
    "consecutive_losses.hold_hours",
    "loss_tiers.applies_to",
    "slippage.breaches_max",
    "slippage.within_minutes",
    "slippage.hold_minutes",
    "rejects.hold_minutes",
    "rejects.hold_minutes_max",
}
"""What a limit does when it is reached, and how much is set aside: no limits by themselves."""
each = pytest.mark.parametrize("row", ROWS, ids=[row.key for row in ROWS])


@each
def test_reached_it_bites(row: Row) -> None:
    desk = row.desk(row.knobs)
    row.reach(desk)
    assert row.bites(desk)


@each
def test_one_step_below_it_does_not(row: Row) -> None:
    desk = row.desk(row.knobs)
    row.below(desk)
    assert not row.bites(desk)


@each
def test_its_reset_frees(row: Row) -> None:
    desk = row.desk(row.knobs)
    row.reach(desk)
    row.reset(desk)
    assert not row.bites(desk)


@each
def test_a_restart_changes_nothing(row: Row) -> None:
    desk = row.desk(row.knobs)
    row.reach(desk)
    desk.restart()
    assert (row.stands or row.bites)(desk)


@each
def test_a_restart_on_the_way_changes_nothing(row: Row) -> None:
    """What was counted before it counts after it."""
    desk = row.desk(row.knobs)
    row.below(desk)
    desk.restart()
    assert not row.bites(desk)


def test_every_knob_of_the_limits_has_a_row() -> None:
    knobs = msgspec.to_builtins(PERSONAL)
    tables = {key: table for key, table in knobs.items() if isinstance(table, dict)}
    leaves = {key for key in knobs if key not in tables} | {f"{key}.{leaf}" for key, table in tables.items() for leaf in table}
    assert leaves - {row.key for row in ROWS} == ELSEWHERE_TOLD | SHAPES
