"""The shield in a whole system: a trade is bought at 110010 with a risk of 50 points."""

from typing import Any

import pytest
from builders import LiveLikeHost, config_of
from stage import BUY, SELL, SPECS, Stage, denial, fault, held, mined

from evenkeel.adapters.simulated.faults import Call, FaultKind
from evenkeel.messages.broker_gateway import OpenRequest
from evenkeel.messages.entry import DenialReason, Lineage, OrderKind, ReentryRaised, SignalRaised
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import RearmTrading, StartTrading
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.recovery import ChainEnded, ChainStatus, ChainStepped
from evenkeel.messages.shield import HedgeEnd, HedgeEnded, LowerShield, ShieldLowered, ShieldRaised, ShieldReason

CHAINS = config_of(
    circuit_breaker__enabled=False,
    exit__time_stop_minutes="off",
    limits__per_symbol_slots=3,
    strategy={"trend": {"kind": "ma_cross", "symbols": ["EURUSD", "GBPUSD"], "fast": 2, "slow": 3, "orders": "trend"}},
)


def bought(*faults: Any, **changes: Any) -> Stage:
    stage, _ = held(*faults, config=CHAINS, **changes)
    return stage


def reentry_of(stage: Stage, ticket: int, kind: OrderKind) -> ReentryRaised:
    """What a chain asks for; it is that of no strategy, so it has no budget of its own."""
    quote = stage.terminal.quote("EURUSD")
    assert quote is not None
    lineage = Lineage("recovery", "", "EURUSD-x-1", ticket, level=1, order_kind=kind.value)
    signal = SignalRaised("EURUSD", SPECS["EURUSD"].spec_id, BUY, quote, 0, 10, lineage)
    return ReentryRaised("EURUSD", signal, 25, 50, 1)


def test_prices_of_a_symbol_whose_only_trade_was_stopped_keep_flowing():
    stage = bought()
    stage.quote(109_960)
    assert stage.tickets == []
    stage.quote(109_910)
    assert stage.said(ShieldRaised) == []
    stage.quote(109_909)
    assert [(one.direction, one.reason) for one in stage.said(ShieldRaised)] == [(BUY, ShieldReason.AWAY)]


@pytest.mark.parametrize("kind", [OrderKind.TP_CONTINUATION, OrderKind.EXIT_CONTINUATION, OrderKind.SHIELD_A])
def test_no_chain_reenters_a_blocked_direction(kind):
    stage = bought()
    [ticket] = stage.tickets
    stage.quote(109_900)
    stage.tell(reentry_of(stage, ticket, kind))
    assert denial(stage)[0] is DenialReason.SHIELD
    assert len(stage.calls(OpenRequest)) == 1


def test_a_recovery_that_waits_is_over_when_its_direction_is_blocked():
    stage = Stage(config=CHAINS)
    stage.signal(strategy="trend")
    stage.quote(109_960, after_ms=2_000)
    assert stage.last(ChainStepped).after == "recovery_mode"
    stage.quote(109_909)
    [ended] = stage.said(ChainEnded)
    assert (ended.status, "shield" in ended.reason) == (ChainStatus.STOPPED, True)


def test_the_other_direction_stays_open():
    stage = bought()
    stage.quote(109_900)
    stage.signal(BUY)
    assert denial(stage)[0] is DenialReason.SHIELD
    stage.signal(SELL)
    assert len(stage.tickets) == 1


def test_a_rearm_does_not_lower_it_and_a_person_does():
    stage = bought()
    stage.quote(109_900)
    stage.tell(RearmTrading("rearm-1", "me"), StartTrading("start-2", "me"))
    stage.signal(BUY)
    assert denial(stage)[0] is DenialReason.SHIELD
    stage.tell(LowerShield("lower-1", "me", "EURUSD", BUY))
    stage.signal(BUY)
    assert len(stage.tickets) == 1


def test_it_is_lowered_after_an_hour_in_which_no_price_moves():
    stage = bought()
    stage.quote(109_900)
    stage.wait(3_599)
    assert stage.said(ShieldLowered) == []
    stage.wait(1)
    assert [one.by for one in stage.said(ShieldLowered)] == ["time"]


def test_a_first_close_that_is_rejected_is_retried_until_nothing_of_the_direction_is_open():
    stage = bought(*(fault(FaultKind.REJECT, Call.CLOSE, nth) for nth in range(1, 5)))
    stage.signal()
    assert len(stage.tickets) == 2
    stage.quote(109_900)
    assert stage.said(ShieldRaised)[0].tickets == tuple(stage.tickets)
    stage.wait(60)
    assert stage.tickets == []
    assert denied_after(stage)


def test_all_of_the_direction_is_closed_for_the_shield_also_what_is_far_from_its_own_stop():
    """A trade from lower down has its stop lower still."""
    stage = bought()
    stage.quote(109_961)
    stage.signal()
    stage.quote(109_930)
    assert [closed.reason for closed in stage.said(PositionClosed)] == [ExitReason.EMERGENCY, ExitReason.SHIELD]


@pytest.mark.parametrize("child", ["position/EURUSD", "shield"])
def test_trouble_with_one_symbol_leaves_the_shield_and_the_exits_of_another_alone(child):
    def is_of_it(message: Any) -> bool:
        return isinstance(message, ShieldRaised if child != "shield" else PositionClosed) and message.symbol == "EURUSD"

    stage = bought(sabotage=mined(child, is_of_it, {1, 2}))
    stage.signal(symbol="GBPUSD")
    stage.quote(109_900)
    stage.wait(5)
    stage.quote(109_900, "GBPUSD")
    assert [one.symbol for one in stage.said(ShieldRaised)] == ["EURUSD", "GBPUSD"]
    stage.wait(60)
    assert stage.tickets == []


def test_after_the_process_died_the_direction_is_still_blocked_and_its_time_goes_on():
    stage = bought(host_of=LiveLikeHost)
    stage.quote(109_900)
    stage.restart()
    stage.wait(10)
    assert denied_after(stage)
    stage.wait(3_600)
    assert len(stage.said(ShieldLowered)) == 1


def denied_after(stage: Stage) -> bool:
    stage.signal(BUY)
    return denial(stage)[0] is DenialReason.SHIELD


# -- the hedge: a trade of a strategy, stopped 50 points below its entry ------------------------------------------------------

HEDGED = config_of(
    circuit_breaker__enabled=False,
    exit__time_stop_minutes="off",
    limits__per_symbol_slots=3,
    entry__volume_lots=0.1,
    strategy={"trend": {"kind": "ma_cross", "symbols": ["EURUSD"], "fast": 2, "slow": 3, "orders": "trend"}},
    shield__hedge={"enabled": True},
)


def hedged(*faults: Any) -> Stage:
    """A trade bought at 110010 and stopped at 109960; its chain asks for the hedge at the next quote."""
    stage = Stage(*faults, config=HEDGED)
    stage.signal(strategy="trend")
    stage.quote(109_960, after_ms=2_000)
    stage.quote(109_960)
    return stage


def legs(stage: Stage) -> list[tuple[str, Direction, int]]:
    return [(one.lineage.order_kind, one.direction, one.volume_steps) for one in stage.said(PositionOpened)[1:]]


def test_a_stopped_trade_is_hedged_by_two_halves_until_price_is_back():
    stage = hedged()
    assert legs(stage) == [("shield_a", SELL, 5), ("shield_b", SELL, 5)]
    stage.quote(109_994)
    assert stage.said(HedgeEnded) == []
    stage.quote(109_995)
    assert stage.tickets == []
    assert [(one.end, one.net_cents < 0) for one in stage.said(HedgeEnded)] == [(HedgeEnd.KILLED, True)]
    assert stage.last(ChainStepped).after == "recovery_mode"


def test_leg_a_is_closed_when_leg_b_is_rejected():
    stage = hedged(fault(FaultKind.REJECT, Call.OPEN, 3))
    assert legs(stage) == [("shield_a", SELL, 5)]
    stage.wait(5)
    assert stage.tickets == []
    assert [one.end for one in stage.said(HedgeEnded)] == [HedgeEnd.REFUSED]
    assert stage.last(ChainStepped).after == "recovery_mode"


def test_no_leg_outlives_the_window():
    stage = hedged()
    stage.wait(1_801)
    assert stage.tickets == []
    assert [one.end for one in stage.said(HedgeEnded)] == [HedgeEnd.EXPIRED]


def test_a_leg_whose_fill_was_heard_of_too_late_leaves_the_other_not_alone():
    stage = hedged(fault(FaultKind.LOST_AFTER, Call.OPEN, 3))
    stage.wait(60)
    assert stage.tickets == []
    assert [one.end for one in stage.said(HedgeEnded)] == [HedgeEnd.REFUSED]
