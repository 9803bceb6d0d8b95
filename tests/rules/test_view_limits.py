"""What each limit of a view has used of what it allows."""

from typing import Any

import msgspec
import pytest
from orders import closed

from evenkeel.config.limits import PERSONAL, LimitsConfig, LossTiersConfig
from evenkeel.config.schema import Config, MaCrossConfig
from evenkeel.messages.broker_gateway import AccountRead, Cash, CashKind, CashMoved, ForeignPositionSeen
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction, PointWorth, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import Mode, ModeChanged, TradingRearmed
from evenkeel.messages.position import PositionOpened
from evenkeel.messages.risk_limit import LimitReached
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.view_limits import limit_views
from evenkeel.rules.view_state import ViewState, fold

EURUSD = SymbolSpecified(SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 11_000_000, 5))
"""A lot is worth 110,000.00."""


def account(equity: int, margin: int = 0) -> AccountRead:
    return AccountRead(equity, equity, margin, "USD", 2, 100)


def opened(ticket: int, steps: int = 10, at_utc_ms: int = 0) -> PositionOpened:
    lineage = Lineage("strategy", "trend", proposal_id=f"EURUSD-{ticket}")
    return PositionOpened(ticket, "EURUSD", 1, Direction.BUY, steps, 110_000, 109_900, 0, 0, 0, at_utc_ms, lineage)


def day(name: str) -> TradingDayStarted:
    return TradingDayStarted(name, 0, 1, 1)


def row(name: str, *messages: Any, limits: LimitsConfig = PERSONAL, **strategy: Any) -> tuple[int, int]:
    """Used, and what it may be."""
    state = ViewState()
    for message in messages:
        fold(state, message)
    config = Config(profile="personal", limits=limits, strategy={"trend": MaCrossConfig(**strategy)})
    return next((one.used, one.limit) for one in limit_views(state, config, 0) if one.name == name)


@pytest.mark.parametrize(
    ("equity", "ahead"),
    [(1_000_000, 500_000), (700_000, 350_000), (390_000, 260_000), (290_000, 241_666), (239_000, 239_000), (100, 100)],
)
def test_the_margin_in_use_is_measured_against_that_of_the_next_step(equity: int, ahead: int) -> None:
    assert row("margin_level", account(equity, 200_000)) == (200_000, ahead)


def test_the_margin_that_is_free_is_a_share_of_equity() -> None:
    assert row("free_margin_after_pct", account(1_000_000, 120_000)) == (120_000, 500_000)


def test_worth_counts_by_the_fullest_symbol_and_in_all_with_what_is_foreign() -> None:
    foreign = ForeignPositionSeen(9, "EURUSD", 1, Direction.SELL, 5, 110_000)
    told = (EURUSD, account(1_000_000), opened(1), foreign)
    assert row("symbol_notional_max", *told) == (1_650_000, 5_000_000)
    assert row("total_notional_max", *told) == (1_650_000, 8_000_000)


def test_the_floor_is_measured_from_the_first_balance_and_money_that_comes_lifts_both() -> None:
    deposit = CashMoved(Cash(1, CashKind.BALANCE, 200_000, "", 0))
    assert row("balance_floor_pct", account(1_000_000), account(900_000)) == (100_000, 500_000)
    assert row("balance_floor_pct", account(1_000_000), deposit, account(1_100_000)) == (100_000, 600_000)


def test_a_rearm_after_the_floor_begins_at_the_balance_of_now() -> None:
    reached = ModeChanged(Mode.FLATTEN, 1, "risk_limit", "balance_floor_pct: 1 cents left, the floor is 2")
    told = (account(1_000_000), account(400_000), reached, TradingRearmed("test", 1))
    assert row("balance_floor_pct", *told) == (0, 200_000)
    assert row("balance_floor_pct", account(1_000_000), account(400_000), TradingRearmed("test", 1)) == (600_000, 500_000)


def test_the_soft_day_loss_has_a_row_of_its_own() -> None:
    assert row("day_loss_soft_pct", account(1_000_000), account(985_000)) == (15_000, 20_000)


def test_days_at_the_limit_of_trades_count_in_a_row_and_days_without_any_do_not_matter() -> None:
    def full(of: int) -> list[PositionOpened]:
        return [opened(of * 100 + at) for at in range(20)]

    told = (*full(1), day("2026-01-06"), *full(2), day("2026-01-07"), day("2026-01-08"))
    assert row("trades_limit_days_max", *told) == (2, 3)
    assert row("trades_limit_days_max", *told, opened(5), day("2026-01-09")) == (0, 3)
    assert row("trades_limit_days_max", *told, TradingRearmed("test", 1)) == (0, 3)


def test_gross_losses_count_by_the_strategies_that_the_tiers_are_for() -> None:
    trend, other = Lineage("strategy", "trend"), Lineage("strategy", "other")
    told = [day("2026-01-05"), account(1_000_000)]
    told += [closed(net_cents=-300, lineage=trend), closed(net_cents=700, lineage=trend), closed(net_cents=-50, lineage=other)]
    assert row("loss_tiers.day", *told, orders="trend") == (300, 20_000)
    assert row("loss_tiers.lifetime", *told, day("2026-01-06"), orders="trend") == (300, 100_000)
    assert row("loss_tiers.day", *told, day("2026-01-06"), orders="trend") == (0, 20_000)
    reached = LimitReached("loss_tiers.lifetime", 1, 1, "cents", "")
    assert row("loss_tiers.lifetime", *told, reached, TradingRearmed("test", 1), orders="trend") == (0, 100_000)
    whole = msgspec.structs.replace(PERSONAL, loss_tiers=LossTiersConfig(applies_to="all"))
    assert row("loss_tiers.day", *told, limits=whole) == (350, 20_000)
