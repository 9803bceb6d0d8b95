"""Flattening: everything of ours is closed, again and again, until the broker shows none of it twice. Nobody ends before."""

import pytest
from stage import BUY, CONFIG, READINGS_AT_START, SELL, Stage, fault, held, mined

from evenkeel.adapters.simulated.faults import Call, FaultKind
from evenkeel.messages.broker_gateway import CloseRequest, OpenRequest
from evenkeel.messages.operator import (
    FlattenProgressed,
    KillTrading,
    LowerMode,
    Mode,
    ModeChanged,
    RearmTrading,
    RestrictTrading,
    ScopeFlattened,
)
from evenkeel.messages.position import ExitReason, PositionClosed
from evenkeel.rules.magic import magic_for

MARKET_CLOSED = 10018
FLATTEN = RestrictTrading("f", "me", Mode.FLATTEN)
KILL = KillTrading("k", "me", 1, flatten=True)


def two_held(*faults: object) -> tuple[Stage, int, int]:
    """Long in EURUSD, short in GBPUSD."""
    stage, first = held(*faults)  # type: ignore[arg-type]
    stage.signal(SELL, "GBPUSD")
    (second,) = [ticket for ticket in stage.tickets if ticket != first]
    return stage, first, second


@pytest.mark.parametrize("why", [FLATTEN, KILL, LowerMode(Mode.FLATTEN, "risk_limit", "drawdown")])
def test_everything_of_ours_is_closed_and_flat_is_said_when_two_readings_show_it(why: object) -> None:
    stage, first, second = two_held()
    stage.tell(why)
    assert stage.said(FlattenProgressed)[0].tickets == (first, second)
    assert stage.tickets == []
    stage.wait(3)
    assert not stage.said(ScopeFlattened)
    stage.wait(2)
    assert stage.said(ScopeFlattened) == [ScopeFlattened("account", ())]
    assert stage.last(ModeChanged).mode is Mode.FLATTEN


def test_a_venue_that_refuses_for_a_minute_is_asked_again_with_patience_until_it_takes_the_close() -> None:
    refusals = [fault(FaultKind.REJECT, Call.CLOSE, nth, code=MARKET_CLOSED) for nth in range(1, 7)]
    stage, ticket = held(*refusals)
    stage.tell(KILL)
    stage.wait(60)
    assert stage.tickets == [ticket]
    assert len(stage.calls(CloseRequest)) == 6
    assert stage.last(FlattenProgressed).tickets == (ticket,)
    stage.wait(30)
    assert (stage.tickets, stage.last(ScopeFlattened)) == ([], ScopeFlattened("account", ()))


def test_what_is_left_is_said_again_while_nothing_changes() -> None:
    stage, ticket = held(*[fault(FaultKind.REJECT, Call.CLOSE, nth) for nth in range(1, 20)])
    stage.tell(KILL)
    stage.wait(200)
    assert [said.tickets for said in stage.said(FlattenProgressed)] == [(ticket,)] * 4


def test_foreign_positions_are_listed_and_stay() -> None:
    stage, _ = held()
    foreign = stage.scene.terminal.person_opens("GBPUSD", BUY, 5)
    stage.tell(KILL)
    stage.wait(5)
    assert stage.last(ScopeFlattened) == ScopeFlattened("account", (foreign,))
    assert stage.tickets == [foreign]


def test_one_empty_reading_is_not_flat() -> None:
    refusals = [fault(FaultKind.REJECT, Call.CLOSE, nth) for nth in (1, 2, 3)]
    empty = [fault(FaultKind.EMPTY, Call.POSITIONS, READINGS_AT_START + 3)]  # after those of an open's and of a close's
    stage, ticket = held(*refusals, *empty)
    stage.tell(KILL)
    stage.wait(3)
    assert stage.tickets == [ticket]
    assert not stage.said(ScopeFlattened)
    stage.wait(60)
    assert (stage.tickets, len(stage.said(ScopeFlattened))) == ([], 1)


def test_what_is_filled_after_it_was_flat_is_closed_too_and_flat_is_said_again() -> None:
    stage = Stage(fault(FaultKind.LATE, Call.OPEN, after_quotes=1))
    stage.signal()
    stage.tell(KILL)
    stage.wait(10)
    assert len(stage.said(ScopeFlattened)) == 1
    stage.quote(110_001)
    stage.look()
    stage.wait(10)
    assert (stage.bought(), stage.tickets) == (1, [])
    assert len(stage.said(ScopeFlattened)) == 2


def test_a_position_of_ours_that_nobody_remembers_is_adopted_and_closed() -> None:
    stage = Stage()
    stage.tell(KILL)
    request = OpenRequest("EURUSD", 1, BUY, 5, 110_010, 20, 0, 0, 0)
    stage.scene.terminal.open_position(request, magic_for(7, 900))
    stage.look()
    stage.wait(10)
    assert stage.tickets == []
    assert stage.last(PositionClosed).reason is ExitReason.FLATTEN


def test_a_process_that_dies_in_the_middle_goes_on_flattening() -> None:
    refusals = [fault(FaultKind.REJECT, Call.CLOSE, nth) for nth in (1, 2, 3)]
    stage, ticket = held(*refusals)
    stage.tell(KILL)
    stage.restart()
    assert stage.tickets == [ticket]
    stage.wait(30)
    assert (stage.tickets, stage.last(ScopeFlattened)) == ([], ScopeFlattened("account", ()))


def test_a_process_that_dies_in_the_middle_goes_on_flattening_a_symbol() -> None:
    refusals = [fault(FaultKind.REJECT, Call.CLOSE, nth) for nth in (1, 2, 3)]
    stage, _, other = two_held(*refusals)
    stage.tell(RestrictTrading("f", "me", Mode.FLATTEN, "EURUSD"))
    stage.restart()
    stage.wait(30)
    assert (stage.tickets, stage.last(ScopeFlattened)) == ([other], ScopeFlattened("EURUSD", ()))


def test_a_rearm_ends_it_and_new_positions_stay() -> None:
    stage, _ = held()
    stage.tell(KILL)
    stage.wait(5)
    stage.tell(RearmTrading("a", "me"))
    stage.scene.terminal.open_position(OpenRequest("GBPUSD", 2, BUY, 5, 110_010, 20, 109_000, 0, 0), magic_for(7, 900))
    stage.look()
    stage.wait(10)
    assert len(stage.tickets) == 1


def test_a_symbol_whose_actor_dies_of_the_flattening_is_flattened_too() -> None:
    dies = mined("position/EURUSD", lambda message: isinstance(message, ModeChanged) and message.mode is Mode.FLATTEN, {1, 2})
    stage, _ = held(sabotage=dies)
    stage.tell(KILL)
    stage.wait(5)
    assert (stage.tickets, stage.last(PositionClosed).reason) == ([], ExitReason.FLATTEN)


# A scope


@pytest.mark.parametrize(
    "command", [RestrictTrading("f", "me", Mode.FLATTEN, "EURUSD"), KillTrading("f", "me", 0, flatten=True, scope="EURUSD")]
)
def test_a_symbol_is_flattened_alone_and_held(command: object) -> None:
    stage, first, second = two_held()
    stage.tell(command)
    stage.wait(5)
    assert stage.tickets == [second]
    assert [(closed.ticket, closed.reason) for closed in stage.said(PositionClosed)] == [(first, ExitReason.FLATTEN)]
    assert stage.last(ScopeFlattened) == ScopeFlattened("EURUSD", ())
    stage.signal()
    assert stage.tickets == [second]


def test_a_strategy_is_flattened_alone() -> None:
    stage = Stage(config=CONFIG)
    stage.signal(strategy="trend")
    stage.signal(SELL, "GBPUSD", strategy="other")
    (_, other) = stage.tickets
    stage.tell(RestrictTrading("f", "me", Mode.FLATTEN, "strategy/trend"))
    stage.wait(5)
    assert (stage.tickets, stage.last(ScopeFlattened)) == ([other], ScopeFlattened("strategy/trend", ()))


def test_what_is_filled_late_in_a_symbol_that_is_being_flattened_is_closed_too() -> None:
    stage = Stage(fault(FaultKind.LATE, Call.OPEN, after_quotes=1))
    stage.signal()
    stage.tell(RestrictTrading("f", "me", Mode.FLATTEN, "EURUSD"))
    stage.quote(110_001)
    stage.wait(10)
    assert (stage.bought(), stage.tickets) == (1, [])
