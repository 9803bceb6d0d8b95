"""What a limit counts and what it does not: the cases between the rows of test_limits_rows.py."""

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from risk_builders import (
    DAY_MS,
    EURUSD,
    HOUR_MS,
    account,
    actor,
    bar,
    closed,
    config,
    day_started,
    denial_of,
    foreign,
    opened,
    order_of,
    proposal,
    restarted,
    trade,
)

from evenkeel.config.limits import ConsecutiveLossesConfig, MarginLevelConfig, RejectsConfig, RequestsConfig, SlippageConfig
from evenkeel.messages.broker_gateway import OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.entry import DenialReason, OpenPosition, OrderDenied
from evenkeel.messages.market import BarClosed, Direction, SymbolSpecified
from evenkeel.messages.operator import HoldPlaced, LowerMode, TradingRearmed
from evenkeel.messages.position import CloseFailed, CloseFailure, PositionPriced, ReducePosition
from evenkeel.messages.risk_limit import LimitReached


def failed(kind: type, order: OpenPosition) -> Any:
    """The broker refused it, or nobody knows."""
    if kind is OrderRejected:
        return OrderRejected(order.proposal_id, "EURUSD", Direction.BUY, 1, 10006, "", order.lineage)
    return OrderOutcomeUnknown(order.proposal_id, "EURUSD", Direction.BUY, 1, "", order.lineage)


def kept_back(order: OpenPosition) -> OrderDenied:
    return OrderDenied(order.proposal_id, "EURUSD", Direction.BUY, "gate", DenialReason.EXPIRED, 0, 0, "", order.lineage)


# Week, losses in a row, floor


def test_a_new_day_does_not_end_the_week():
    risk_limit = actor(config(week_loss_pct=6.0), account(), account(940_000))
    risk_limit.handle(day_started(2), DAY_MS)
    assert denial_of(risk_limit.handle(proposal(), DAY_MS)).reason is DenialReason.WEEK_LOSS


def test_losses_in_a_row_are_counted_over_days_and_a_win_begins_anew():
    risk_limit = actor(config(consecutive_losses=ConsecutiveLossesConfig()))
    for day, net_cents in enumerate((-1, -1, 0, -1, -1, -1), start=1):
        risk_limit.handle(day_started(day), day * DAY_MS)
        trade(risk_limit, day, day * DAY_MS, net_cents=net_cents)
        risk_limit = restarted(risk_limit)
    assert risk_limit.state.losses_in_a_row == 3
    assert order_of(risk_limit.handle(proposal(9), 9 * DAY_MS)).volume_steps == 7


def test_a_position_told_of_twice_loses_once():
    risk_limit = actor(config(consecutive_losses=ConsecutiveLossesConfig()))
    position = opened(order_of(risk_limit.handle(proposal(), 0)))
    for _ in range(5):
        risk_limit.handle(position, 0)
    for _ in range(5):
        risk_limit.handle(closed(position, -1), 0)
    assert risk_limit.state.losses_in_a_row == 1


def test_a_rearm_after_the_floor_measures_from_the_balance_of_then_and_one_before_it_does_not():
    risk_limit = actor(config(balance_floor_pct=90.0), account(), account(950_000, balance_cents=950_000))
    risk_limit.handle(TradingRearmed("person", 1), 0)
    assert risk_limit.handle(account(900_001, balance_cents=900_001), 0) == []
    [flatten] = risk_limit.handle(account(900_000, balance_cents=900_000), 0)
    assert isinstance(flatten, LowerMode)
    risk_limit.handle(TradingRearmed("person", 2), 0)
    assert risk_limit.handle(account(810_001, balance_cents=810_001), 0) == []
    assert risk_limit.handle(account(810_000, balance_cents=810_000), 0) != []


# Margin


def test_a_margin_level_that_is_reached_halves_what_is_ours_down_to_nothing_where_half_is_too_little():
    knobs = config(margin_level=MarginLevelConfig())
    risk_limit = actor(knobs, account(), foreign(99))
    for ticket, volume_steps in ((1, 10), (2, 3), (3, 1)):
        risk_limit.handle(opened(order_of(risk_limit.handle(proposal(ticket), 0)), ticket, volume_steps=volume_steps), 0)
    said = risk_limit.handle(account(600_000, margin_cents=500_000), 0)
    halved = [(one.ticket, one.remaining_steps) for one in said if isinstance(one, ReducePosition)]
    assert halved == [(1, 5), (2, 1), (3, 0)]
    assert risk_limit.handle(account(590_000, margin_cents=500_000), 0) == []


def test_margin_is_the_brokers_until_something_changes_and_then_by_leverage():
    risk_limit = actor(config(margin_level=MarginLevelConfig()), account(1_000_000, margin_cents=700_000))
    denied = denial_of(risk_limit.handle(proposal(), 0))
    assert (denied.reason, denied.measured, denied.limit) == (DenialReason.MARGIN_LEVEL, 1_428_571, 1_500_000)
    risk_limit.handle(foreign(99), 0)
    order_of(risk_limit.handle(proposal(2), 0))


def test_a_position_that_brings_the_level_down_is_answered_at_once():
    knobs = config(margin_level=MarginLevelConfig())
    risk_limit = actor(knobs, msgspec.structs.replace(account(1_000_000), leverage=1))
    [reached] = risk_limit.handle(foreign(99, volume_steps=5), 0)  # worth $5,500 of $10,000
    assert isinstance(reached, LimitReached)
    assert (reached.measured, reached.bound, reached.effect) == (1_818_181, 2_000_000, "warned")


def test_orders_on_their_way_use_margin():
    risk_limit = actor(config(free_margin_after_pct=97.8), account())
    order_of(risk_limit.handle(proposal(1), 0))
    order_of(risk_limit.handle(proposal(2), 0))
    denied = denial_of(risk_limit.handle(proposal(3), 0))
    assert (denied.reason, denied.detail) == (DenialReason.VOLUME_BELOW_MINIMUM, "bound by free_margin_after_pct")


# The broker's refusals and requests


@pytest.mark.parametrize("kind", [OrderRejected, OrderOutcomeUnknown])
def test_orders_that_fail_in_a_row_hold_and_one_that_opens_begins_anew(kind):
    risk_limit = actor(config(rejects=RejectsConfig(in_a_row_max=2)))
    orders = [order_of(risk_limit.handle(proposal(number), 0)) for number in range(1, 5)]
    ends = [failed(kind, orders[0]), opened(orders[1]), failed(kind, orders[2]), failed(kind, orders[3])]
    assert [risk_limit.handle(end, 0) != [] for end in ends] == [False, False, False, True]


def test_a_close_that_the_broker_refuses_counts_and_one_that_is_still_open_does_not():
    risk_limit = actor(config(rejects=RejectsConfig(in_a_row_max=1)))
    assert risk_limit.handle(CloseFailed(7, "EURUSD", 1, CloseFailure.STILL_OPEN, ""), 0) == []
    [hold] = risk_limit.handle(CloseFailed(7, "EURUSD", 1, CloseFailure.REJECTED, "10018"), 0)
    assert isinstance(hold, HoldPlaced)


def test_the_hold_for_rejects_doubles_when_the_next_one_follows_it():
    risk_limit, now_utc_ms, minutes = actor(config(rejects=RejectsConfig(in_a_row_max=1))), 0, []
    for _ in range(6):
        [hold] = risk_limit.handle(CloseFailed(7, "EURUSD", 1, CloseFailure.REJECTED, ""), now_utc_ms)
        minutes.append((hold.until_utc_ms - now_utc_ms) // 60_000)
        now_utc_ms = hold.until_utc_ms
    assert minutes == [5, 10, 20, 40, 60, 60]


def test_an_order_that_one_of_us_kept_back_was_no_request():
    knobs = config(requests=RequestsConfig(open_and_modify_per_day=1))
    risk_limit = actor(knobs)
    risk_limit.handle(kept_back(order_of(risk_limit.handle(proposal(1), 0))), 0)
    order_of(risk_limit.handle(proposal(2), 0))
    assert denial_of(risk_limit.handle(proposal(3), 5_000)).reason is DenialReason.REQUESTS_PER_DAY


def test_a_better_fill_is_no_slippage():
    risk_limit = actor(config(slippage=SlippageConfig(breaches_max=1)))
    for ticket, entry_points in ((1, 110_010 - 500), (2, 110_010 + 30)):
        risk_limit.handle(opened(order_of(risk_limit.handle(proposal(ticket), 0)), ticket), 0)
        assert risk_limit.handle(PositionPriced(ticket, "EURUSD", 1, entry_points, 10, 0), 0) == []


# Correlation


def hours(symbol: str, moves: Sequence[int]) -> list[BarClosed]:
    """The last M1 bar of each hour."""
    closes = itertools.accumulate(moves, initial=110_000)
    bars = [msgspec.structs.replace(bar(close), symbol=symbol) for close in closes]
    return [msgspec.structs.replace(one, open_utc_ms=hour * HOUR_MS + 59 * 60_000) for hour, one in enumerate(bars)]


@pytest.mark.parametrize(
    "mirror, direction, volume_steps",
    [(1, Direction.BUY, 9), (1, Direction.SELL, 10), (-1, Direction.SELL, 9), (-1, Direction.BUY, 10)],
)
def test_a_bet_shares_its_budget_with_what_would_lose_together(mirror, direction, volume_steps):
    moves = [(-1) ** (hour // 3) * (10 + hour % 7) for hour in range(40)]
    other = msgspec.structs.replace(EURUSD, symbol="GBPUSD")
    bars = [*hours("EURUSD", moves), *hours("GBPUSD", [mirror * move for move in moves])]
    risk_limit = actor(config(correlated_risk_pct=0.38), SymbolSpecified(other), account(), *bars)
    risk_limit.handle(opened(order_of(risk_limit.handle(proposal(1), 0))), 0)
    order = order_of(restarted(risk_limit).handle(proposal(2, symbol="GBPUSD", direction=direction), 0))
    assert order.volume_steps == volume_steps


def test_hours_in_other_points_are_forgotten():
    risk_limit = actor(config(correlated_risk_pct=0.38), account(), *hours("EURUSD", [1, 2]))
    risk_limit.handle(SymbolSpecified(msgspec.structs.replace(EURUSD, digits=4)), 0)
    assert risk_limit.state.hours == {}
