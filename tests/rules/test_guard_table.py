import pytest

from evenkeel.messages.entry import DenialReason
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import HoldPlaced, Mode
from evenkeel.messages.shield import ShieldLowered, ShieldRaised, ShieldReason
from evenkeel.messages.system import ChildDown, MessageParked
from evenkeel.rules.entries import Refusal
from evenkeel.rules.guard_table import (
    GuardTable,
    end,
    entry_refusal,
    entry_refusals,
    hold_after,
    lower_shield,
    mark_down,
    mark_serving,
    place,
    raise_shield,
    rearm,
)


@pytest.fixture
def table() -> GuardTable:
    """Nothing stands against an entry."""
    return GuardTable(mode=Mode.RUN, agreed=True)


def hold(scope: str = "EURUSD", until_utc_ms: int = 0, who: str = "breaker") -> HoldPlaced:
    return HoldPlaced(who, scope, "wide", until_utc_ms)


def refused(table: GuardTable, symbol: str = "EURUSD", now_utc_ms: int = 0) -> DenialReason | None:
    refusal = entry_refusal(table, symbol, now_utc_ms)
    return None if refusal is None else refusal.reason


def test_a_new_table_lets_nothing_in():
    assert refused(GuardTable()) is DenialReason.MODE


def test_with_mode_agreement_and_guards_an_entry_may_go(table):
    assert refused(table) is None


@pytest.mark.parametrize("mode", [Mode.CLOSE_ONLY, Mode.FREEZE, Mode.FLATTEN])
def test_every_mode_but_run_refuses_and_names_itself(table, mode):
    table.mode = mode
    assert entry_refusal(table, "EURUSD", 0) == Refusal(DenialReason.MODE, detail=mode.value)


def test_without_agreement_with_the_broker_nothing_goes(table):
    table.agreed = False
    assert refused(table) is DenialReason.UNRECONCILED


def test_a_guard_that_is_down_refuses_until_it_serves(table):
    mark_down(table, "risk_limit")
    mark_down(table, "risk_limit")
    assert entry_refusal(table, "EURUSD", 0) == Refusal(DenialReason.GUARD_DOWN, detail="risk_limit")
    mark_serving(table, "risk_limit")
    assert refused(table) is None


def test_a_position_s_actor_that_is_down_refuses_its_own_symbol_only(table):
    mark_down(table, "position/EURUSD")
    assert refused(table) is DenialReason.GUARD_DOWN
    assert refused(table, "GBPUSD") is None


@pytest.mark.parametrize(
    "scope, symbol, stands", [("EURUSD", "EURUSD", True), ("EURUSD", "GBPUSD", False), ("account", "GBPUSD", True)]
)
def test_a_hold_counts_in_its_scope(table, scope, symbol, stands):
    place(table, hold(scope))
    assert (refused(table, symbol) is DenialReason.HOLD) == stands


def test_a_timed_hold_says_what_is_left_and_ends_by_itself(table):
    place(table, hold(until_utc_ms=1000))
    assert entry_refusal(table, "EURUSD", 400) == Refusal(DenialReason.HOLD, 600, 0, "ms", "breaker: wide")
    assert refused(table, now_utc_ms=1000) is None


def test_a_hold_of_the_same_who_and_scope_replaces_and_others_stand_beside_it(table):
    place(table, hold(until_utc_ms=1000))
    place(table, hold(until_utc_ms=500))
    assert refused(table, now_utc_ms=600) is None
    place(table, hold(who="risk_limit", until_utc_ms=900))
    assert refused(table, now_utc_ms=600) is DenialReason.HOLD


def test_who_placed_a_hold_may_end_it(table):
    place(table, hold())
    end(table, "risk_limit", "EURUSD")
    assert refused(table) is DenialReason.HOLD
    end(table, "breaker", "EURUSD")
    assert refused(table) is None


def test_a_rearm_ends_holds_without_an_end_and_no_others(table):
    place(table, hold())
    place(table, hold("GBPUSD", until_utc_ms=1000))
    rearm(table)
    assert refused(table, "EURUSD") is None
    assert refused(table, "GBPUSD") is DenialReason.HOLD


def test_the_second_crash_of_a_position_s_actor_holds_its_symbol():
    assert hold_after(ChildDown("position/EURUSD", 1, 1, "boom")) is None
    assert hold_after(ChildDown("position/EURUSD", 2, 2, "boom")) == HoldPlaced(
        "supervision", "EURUSD", "position/EURUSD crashed 2 times", 0
    )


def test_other_children_may_crash_without_a_hold():
    assert hold_after(ChildDown("risk_limit", 5, 5, "boom")) is None


@pytest.mark.parametrize(
    "child, scope", [("position/EURUSD", "EURUSD"), ("risk_limit", "account"), ("strategy/trend", "account")]
)
def test_a_parked_message_holds_the_symbol_or_the_account(child, scope):
    assert hold_after(MessageParked(child, 12, "TimerDue", "boom")) == HoldPlaced(
        "supervision", scope, f"{child} crashed twice on TimerDue 12", 0
    )


def test_all_that_stands_against_an_entry_is_told_the_gravest_first():
    table = GuardTable(mode=Mode.FREEZE, down=["risk_limit", "position/GBPUSD"])
    place(table, hold(until_utc_ms=5))
    assert [refusal.reason for refusal in entry_refusals(table, "EURUSD", 0)] == [
        DenialReason.MODE,
        DenialReason.UNRECONCILED,
        DenialReason.GUARD_DOWN,
        DenialReason.HOLD,
    ]


def test_a_hold_of_a_strategy_counts_for_that_strategy_alone(table):
    place(table, hold("strategy/trend"))
    held = entry_refusal(table, "EURUSD", 400, strategy="trend")
    assert held == Refusal(DenialReason.HOLD, 0, 0, "ms", "breaker: wide")
    assert [entry_refusal(table, "EURUSD", 400, strategy=other) for other in ("carry", "")] == [None, None]
    assert entry_refusal(table, "EURUSD", 400) is None


RAISED = ShieldRaised("EURUSD", Direction.BUY, ShieldReason.AWAY, 201, 200, 60_000, (7,))


def test_a_shield_refuses_its_direction_of_its_symbol_and_says_why(table):
    raise_shield(table, RAISED)
    refusal = Refusal(DenialReason.SHIELD, 59_000, 0, "ms", "away, 201 points against 200")
    assert entry_refusal(table, "EURUSD", 1_000, direction=Direction.BUY) == refusal
    assert entry_refusal(table, "EURUSD", 1_000, direction=Direction.SELL) is None
    assert entry_refusal(table, "GBPUSD", 1_000, direction=Direction.BUY) is None


def test_a_shield_stands_until_it_is_lowered_also_past_its_time_and_a_rearm(table):
    raise_shield(table, RAISED)
    rearm(table)
    assert entry_refusal(table, "EURUSD", 90_000, direction=Direction.BUY) == Refusal(
        DenialReason.SHIELD, 0, 0, "ms", "away, 201 points against 200"
    )
    lower_shield(table, ShieldLowered("EURUSD", Direction.BUY, "time"))
    assert entry_refusal(table, "EURUSD", 90_000, direction=Direction.BUY) is None
