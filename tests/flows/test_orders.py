"""What becomes of an order, told on the stepped host over a broker that fails by script."""

import msgspec
import pytest
from stage import BUY, CONFIG, READINGS_AT_START, SELL, Stage, blind, denial, fault, held, mined

from evenkeel.adapters.simulated.faults import Call, Fault, FaultKind
from evenkeel.commands.raise_signal import OF_A_SIGNAL, orders_of
from evenkeel.commands.why.records import decoded
from evenkeel.messages.broker_gateway import (
    BrokerAgreed,
    BrokerDisagreed,
    CloseRequest,
    DealDone,
    DealEntry,
    ForeignPositionGone,
    ForeignPositionSeen,
    OpenRequest,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
    PositionsRead,
    StopRequest,
)
from evenkeel.messages.entry import DenialReason, EntryProposed
from evenkeel.messages.operator import (
    CloseTicket,
    CommandDone,
    CommandRefused,
    HoldPlaced,
    KillTrading,
    LowerMode,
    Mode,
    PauseTrading,
    RaiseSignal,
    RearmTrading,
    ResumeTrading,
    StartTrading,
)
from evenkeel.messages.position import (
    ClosedBy,
    CloseFailed,
    CloseFailure,
    ClosePosition,
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionReduced,
    ReducePosition,
)
from evenkeel.messages.system import ChildDown, ChildServing, MessageParked, TimerDue

# One order


def test_a_signal_becomes_a_position_with_a_stop_at_the_broker_that_ends_at_its_own_stop() -> None:
    stage, ticket = held()
    (position,) = stage.scene.terminal.positions() or ()
    assert position.stop_points == 110_010 - 350
    stage.quote(109_961)
    assert stage.tickets == [ticket]
    stage.quote(109_950)
    closed = stage.last(PositionClosed)
    assert (closed.reason, closed.by, closed.close_points) == (ExitReason.STOP, ClosedBy.APP, 109_950)
    assert closed.net_cents == -60 * closed.volume_steps


def test_a_rejected_order_frees_the_slot_and_is_not_sent_again() -> None:
    stage = Stage(fault(FaultKind.REJECT, Call.OPEN))
    stage.signal()
    assert stage.last(OrderRejected).code == 10006
    assert (len(stage.calls(OpenRequest)), stage.tickets) == (1, [])
    stage.signal(SELL)
    assert len(stage.tickets) == 1


def test_a_requoted_order_is_tried_anew_as_another_intent_that_lives_no_longer_than_the_first() -> None:
    stage = Stage(fault(FaultKind.REQUOTE, Call.OPEN))
    stage.signal()
    first, second = stage.calls(OpenRequest)
    assert (stage.last(OrderRejected).code, stage.bought()) == (10004, 1)
    assert first.magic != second.magic
    assert first.expires_utc_ms == second.expires_utc_ms > 0


@pytest.mark.parametrize("requotes", [1, 2, 3])
def test_a_person_whose_signal_is_requoted_is_told_what_came_of_the_last_try(requotes: int) -> None:
    unhurried = msgspec.structs.replace(CONFIG.limits.requests, open_and_modify_per_s=3)
    limits = msgspec.structs.replace(CONFIG.limits, requests=unhurried)
    stage = Stage(*thrice_requoted()[:requotes], config=msgspec.structs.replace(CONFIG, limits=limits))
    stage.tell(RaiseSignal("mine", "me", "EURUSD", BUY))
    records = [decoded(record) for record in stage.scene.journal.read(1)]
    orders = orders_of([said for said in records if isinstance(said.message, OF_A_SIGNAL)], "mine")
    assert orders.are_over
    assert [type(said.message) for said in orders.ends] == [PositionOpened if requotes < 3 else OrderRejected]
    first = next(at for at, said in enumerate(records) if isinstance(said.message, OrderRejected))
    told = orders_of([said for said in records[: first + 1] if isinstance(said.message, OF_A_SIGNAL)], "mine")
    assert not told.are_over, "what follows a requote is not known yet"


def thrice_requoted() -> list[Fault]:
    return [fault(FaultKind.REQUOTE, Call.OPEN, nth) for nth in (1, 2, 3)]


def test_an_order_is_tried_three_times_at_most() -> None:
    unhurried = msgspec.structs.replace(CONFIG.limits.requests, open_and_modify_per_s=3)
    limits = msgspec.structs.replace(CONFIG.limits, requests=unhurried)
    stage = Stage(*thrice_requoted(), config=msgspec.structs.replace(CONFIG, limits=limits))
    stage.signal()
    stage.wait(30)
    assert (len(stage.calls(OpenRequest)), stage.bought()) == (3, 0)
    assert stage.scene.host.child("risk_limit").state.book.reservations == {}
    stage.signal()
    assert stage.bought() == 1


def test_a_further_try_counts_as_a_request_and_is_refused_beyond_their_limit() -> None:
    stage = Stage(*thrice_requoted())
    stage.signal()
    assert (len(stage.calls(OpenRequest)), denial(stage)[0]) == (2, DenialReason.REQUESTS_PER_SECOND)
    assert stage.scene.host.child("risk_limit").state.book.reservations == {}
    stage.wait(1)
    stage.signal()
    stage.wait(1)
    stage.signal()
    assert (len(stage.calls(OpenRequest)), stage.bought()) == (4, 1)


def test_an_order_that_was_refused_for_another_reason_is_not_tried_anew() -> None:
    stage = Stage(fault(FaultKind.REJECT, Call.OPEN, code=10018))
    stage.signal()
    assert len(stage.calls(OpenRequest)) == 1


# A lost reply


def test_an_order_whose_reply_was_lost_before_it_was_executed_is_resolved_and_never_sent_again() -> None:
    stage = Stage(fault(FaultKind.LOST_BEFORE, Call.OPEN))
    stage.signal()
    proposal_id = stage.last(OrderOutcomeUnknown).proposal_id
    reservations = stage.scene.host.child("risk_limit").state.book.reservations
    assert proposal_id in reservations
    stage.signal()
    assert denial(stage)[0] is DenialReason.SLOT_TAKEN
    stage.wait(1.9)
    assert not stage.said(OrderOutcomeResolved)
    stage.wait(4)
    assert stage.last(OrderOutcomeResolved).proposal_id == proposal_id
    assert proposal_id not in reservations
    stage.wait(60)
    assert (len(stage.calls(OpenRequest)), stage.bought()) == (1, 0)
    stage.signal()
    assert stage.bought() == 1


def test_an_order_whose_reply_was_lost_after_it_was_executed_is_adopted_as_late_and_closed() -> None:
    stage = Stage(fault(FaultKind.LOST_AFTER, Call.OPEN))
    stage.signal()
    assert stage.said(OrderOutcomeUnknown)
    assert (stage.last(PositionOpened).late, stage.last(PositionOpened).adopted) == (True, False)
    assert stage.last(PositionClosed).reason is ExitReason.LATE_FILL
    assert (stage.bought(), stage.tickets) == (1, [])


def test_an_order_that_is_filled_after_it_was_given_up_is_adopted_as_late_and_closed() -> None:
    stage = Stage(fault(FaultKind.LATE, Call.OPEN, after_quotes=2))
    stage.signal()
    stage.wait(10)
    assert stage.said(OrderOutcomeResolved)
    stage.signal(SELL)
    stage.quote(110_001)
    stage.quote(110_002)
    late = next(opened for opened in stage.said(PositionOpened) if opened.late)
    assert late.lineage.proposal_id == stage.said(OrderOutcomeResolved)[0].proposal_id
    assert [(closed.ticket, closed.reason) for closed in stage.said(PositionClosed)] == [(late.ticket, ExitReason.LATE_FILL)]
    assert len(stage.tickets) == 1


def test_an_unknown_order_locks_its_slot_also_when_a_person_rearms() -> None:
    stage = Stage(fault(FaultKind.LOST_BEFORE, Call.OPEN), *blind(READINGS_AT_START + 1, 50))
    stage.signal()
    stage.tell(KillTrading("k", "me", 1, False), RearmTrading("r", "me"), StartTrading("s", "me"))
    stage.signal(SELL)
    assert denial(stage)[0] is DenialReason.SLOT_TAKEN
    assert len(stage.calls(OpenRequest)) == 1


# Readings that fail


def test_readings_that_cannot_be_had_conclude_nothing() -> None:
    stage = Stage(fault(FaultKind.LOST_BEFORE, Call.OPEN), *blind(READINGS_AT_START + 1, 10))
    stage.signal()
    stage.wait(18)
    assert (stage.said(OrderOutcomeResolved), list(stage.book.opens)) == ([], [1])
    stage.wait(6)
    assert stage.said(OrderOutcomeResolved)


def test_one_empty_reading_ends_no_position_and_closes_entries() -> None:
    stage, ticket = held(fault(FaultKind.EMPTY, Call.POSITIONS, READINGS_AT_START + 2))
    stage.wait(5)
    stage.look()
    assert stage.last(BrokerDisagreed).detail == f"position {ticket} is not at the broker"
    assert not stage.said(PositionClosed)
    stage.signal(symbol="GBPUSD")
    assert denial(stage)[0] is DenialReason.UNRECONCILED
    stage.wait(10)
    stage.signal(symbol="GBPUSD")
    assert len(stage.tickets) == 2


def test_money_waits_for_a_history_that_comes_late() -> None:
    stage, ticket = held(fault(FaultKind.DELAYED_HISTORY, Call.CLOSE, after_quotes=3))
    stage.quote(109_950)
    stage.wait(60)
    assert (stage.tickets, stage.said(PositionClosed)) == ([], [])
    for _ in range(3):
        stage.quote(109_950)
    stage.wait(10)
    assert [(closed.ticket, closed.reason) for closed in stage.said(PositionClosed)] == [(ticket, ExitReason.STOP)]
    assert stage.said(BrokerAgreed)[-1] == BrokerAgreed(0)


def test_a_position_that_history_does_not_show_yet_is_managed_from_the_answer_on() -> None:
    stage, _ = held(fault(FaultKind.DELAYED_HISTORY, Call.OPEN, after_quotes=50))
    assert stage.bought() == 0
    stage.quote(109_950)
    assert (stage.last(ClosePosition).reason, stage.tickets) == (ExitReason.STOP, [])


# Closes


def test_a_refused_close_is_asked_for_again_until_it_is_accepted_and_confirmed_once() -> None:
    stage, ticket = held(fault(FaultKind.REJECT, Call.CLOSE, 1), fault(FaultKind.REJECT, Call.CLOSE, 2))
    stage.quote(109_950)
    assert [failed.failure for failed in stage.said(CloseFailed)] == [CloseFailure.REJECTED]
    stage.wait(0.9)
    assert len(stage.calls(CloseRequest)) == 1
    stage.wait(0.1)
    assert len(stage.calls(CloseRequest)) == 2
    stage.wait(10)
    assert len(stage.calls(CloseRequest)) == 3
    assert [closed.ticket for closed in stage.said(PositionClosed)] == [ticket]


@pytest.mark.parametrize("kind, asks", [(FaultKind.LOST_BEFORE, 2), (FaultKind.LOST_AFTER, 1)])
def test_a_lost_close_is_asked_for_again_only_when_readings_show_the_position(kind: FaultKind, asks: int) -> None:
    stage, ticket = held(fault(kind, Call.CLOSE))
    stage.quote(109_950)
    stage.wait(30)
    assert len(stage.calls(CloseRequest)) == asks
    assert [(closed.ticket, closed.reason) for closed in stage.said(PositionClosed)] == [(ticket, ExitReason.STOP)]


def test_a_close_that_comes_late_after_another_was_asked_for_takes_nothing_twice() -> None:
    stage, _ = held(fault(FaultKind.LATE, Call.CLOSE, after_quotes=2), fault(FaultKind.REJECT, Call.CLOSE, 2))
    stage.quote(109_950)
    stage.wait(4.5)
    stage.quote(109_950)
    stage.quote(109_950)
    stage.wait(30)
    deals = [done.deal for done in stage.said(DealDone) if done.deal.entry is DealEntry.OUT]
    assert len(deals) == 1
    (closed,) = stage.said(PositionClosed)
    assert (closed.reason, closed.by) == (ExitReason.STOP, ClosedBy.APP)


def test_a_partial_close_leaves_what_was_asked_and_the_rest_ends_at_its_stop() -> None:
    stage, ticket = held()
    volume = stage.last(PositionOpened).volume_steps
    stage.tell(ReducePosition(ticket, "EURUSD", 4, ExitReason.OPERATOR))
    assert (stage.last(PositionReduced).volume_steps, stage.said(PositionClosed)) == (4, [])
    stage.quote(109_950)
    (closed,) = stage.said(PositionClosed)
    assert (closed.volume_steps, closed.profit_cents) == (volume, -10 * (volume - 4) - 60 * 4)


def test_a_partial_close_whose_reply_was_lost_takes_nothing_twice() -> None:
    stage, ticket = held(fault(FaultKind.LOST_AFTER, Call.CLOSE))
    stage.tell(ReducePosition(ticket, "EURUSD", 4, ExitReason.OPERATOR))
    stage.wait(30)
    (position,) = stage.scene.terminal.positions() or ()
    assert position.volume_steps == 4


def test_a_stop_that_is_reached_while_a_partial_close_is_unknown_closes_everything() -> None:
    stage, ticket = held(fault(FaultKind.LOST_BEFORE, Call.CLOSE))
    stage.tell(ReducePosition(ticket, "EURUSD", 4, ExitReason.OPERATOR))
    stage.quote(109_950)
    assert (stage.tickets, stage.last(PositionClosed).reason) == ([], ExitReason.STOP)


def test_a_price_that_comes_back_during_a_refused_close_does_not_save_the_position() -> None:
    stage, _ = held(fault(FaultKind.REJECT, Call.CLOSE))
    stage.quote(109_950)
    stage.quote(110_050)
    stage.wait(1)
    assert stage.last(PositionClosed).reason is ExitReason.STOP


# What others do


def test_a_foreign_position_counts_blocks_the_opposite_direction_only_and_is_never_touched() -> None:
    stage = Stage()
    foreign = stage.scene.terminal.person_opens("EURUSD", BUY, 5)
    stage.look()
    stage.wait(10)
    assert stage.last(ForeignPositionSeen).ticket == foreign
    stage.signal(SELL)
    assert denial(stage)[0] is DenialReason.FOREIGN_OPPOSITE
    stage.signal(BUY)
    assert len(stage.tickets) == 2
    stage.tell(KillTrading("k", "me", 1, flatten=True))
    assert stage.tickets == [foreign]
    assert {call.request.ticket for call in stage.calls(CloseRequest)} == {stage.last(PositionOpened).ticket}


def test_a_foreign_position_that_is_gone_frees_the_direction() -> None:
    stage = Stage()
    foreign = stage.scene.terminal.person_opens("EURUSD", BUY, 5)
    stage.look()
    stage.wait(10)
    stage.scene.terminal.person_closes(foreign)
    stage.look()
    assert stage.last(ForeignPositionGone).ticket == foreign
    stage.signal(SELL)
    assert len(stage.tickets) == 1


def test_an_empty_reading_does_not_free_what_a_foreign_position_locks() -> None:
    stage = Stage(fault(FaultKind.EMPTY, Call.POSITIONS, READINGS_AT_START + 2))
    stage.scene.terminal.person_opens("EURUSD", BUY, 5)
    stage.look()
    stage.wait(10)
    stage.look()
    assert stage.last(PositionsRead).positions == ()
    stage.signal(SELL)
    assert denial(stage)[0] is DenialReason.FOREIGN_OPPOSITE


def test_a_person_who_closes_ours_is_the_reason_of_its_end() -> None:
    stage, ticket = held()
    stage.scene.terminal.person_closes(ticket)
    stage.look()
    assert (stage.last(PositionClosed).reason, stage.last(PositionClosed).by) == (ExitReason.PERSON, ClosedBy.PERSON)
    assert stage.book.positions == {}


def test_a_gap_beyond_both_stops_is_filled_by_the_broker_at_the_quote_and_is_a_catastrophe() -> None:
    stage, _ = held()
    stage.quote(109_000)
    (closed,) = stage.said(PositionClosed)
    assert (closed.reason, closed.by, closed.close_points) == (ExitReason.CATASTROPHE, ClosedBy.BROKER, 109_000)
    assert (stage.tickets, stage.calls(CloseRequest)) == ([], [])


# The stop at the broker


def move_stop(stage: Stage, ticket: int, stop_points: int) -> None:
    """Somebody else does it."""
    stage.scene.terminal.set_stops(StopRequest("EURUSD", ticket, stop_points, 0))


@pytest.mark.parametrize("stop_points", [0, 109_000])
def test_a_stop_at_the_broker_that_was_removed_or_moved_is_set_again(stop_points: int) -> None:
    stage, ticket = held()
    move_stop(stage, ticket, stop_points)
    stage.look()
    (position,) = stage.scene.terminal.positions() or ()
    assert position.stop_points == 109_660


def test_a_position_whose_stop_cannot_be_set_twice_is_closed_as_unprotected() -> None:
    stage, ticket = held(fault(FaultKind.REJECT, Call.SET_STOPS, 2), fault(FaultKind.REJECT, Call.SET_STOPS, 3))
    move_stop(stage, ticket, 0)
    stage.look()
    assert stage.tickets == [ticket]
    stage.wait(2)
    assert (stage.tickets, stage.last(PositionClosed).reason) == ([], ExitReason.UNPROTECTED)


# Modes


def test_a_pause_denies_entries_and_serves_exits_until_the_resume() -> None:
    stage, _ = held()
    stage.tell(PauseTrading("p", "me"))
    stage.signal(symbol="GBPUSD")
    assert denial(stage) == (DenialReason.MODE, "close_only")
    stage.quote(109_950)
    assert stage.last(PositionClosed).reason is ExitReason.STOP
    stage.tell(ResumeTrading("r", "me"))
    stage.signal(symbol="GBPUSD")
    assert len(stage.tickets) == 1


def test_a_kill_stands_over_resume_and_start_until_a_rearm() -> None:
    stage, ticket = held()
    stage.tell(KillTrading("k", "me", 1, flatten=False))
    assert stage.tickets == [ticket]
    stage.tell(ResumeTrading("r", "me"), StartTrading("s", "me"))
    assert [refused.command_id for refused in stage.said(CommandRefused)] == ["r", "s"]
    stage.tell(RearmTrading("a", "me"), StartTrading("s2", "me"))
    stage.signal(symbol="GBPUSD")
    assert len(stage.tickets) == 2


def test_flatten_is_retried_until_the_broker_holds_none_of_ours_and_the_house_stays_alive() -> None:
    refusals = [fault(FaultKind.REJECT, Call.CLOSE, nth) for nth in (1, 2, 3)]
    stage, _ = held(*refusals, fault(FaultKind.LOST_BEFORE, Call.CLOSE, 5))
    stage.signal(SELL, "GBPUSD")
    stage.tell(KillTrading("k", "me", 1, flatten=True))
    assert len(stage.tickets) == 2
    stage.wait(60)
    assert stage.tickets == []
    assert {closed.reason for closed in stage.said(PositionClosed)} == {ExitReason.FLATTEN}
    stage.signal()
    assert denial(stage) == (DenialReason.MODE, "flatten")


def test_what_is_filled_late_under_flatten_is_closed_too() -> None:
    stage = Stage(fault(FaultKind.LATE, Call.OPEN, after_quotes=1))
    stage.signal()
    stage.tell(KillTrading("k", "me", 1, flatten=True))
    stage.quote(110_001)
    assert (stage.bought(), stage.tickets) == (1, [])


def test_a_limit_s_demand_during_a_pause_outlives_the_pause() -> None:
    stage = Stage()
    stage.tell(PauseTrading("p", "me"), LowerMode(Mode.CLOSE_ONLY, "risk_limit", "drawdown"), ResumeTrading("r", "me"))
    assert stage.last(CommandRefused).reason == "drawdown"


def test_a_person_closes_one_position_and_hears_of_its_end() -> None:
    stage, ticket = held(fault(FaultKind.REJECT, Call.CLOSE))
    stage.tell(CloseTicket("c", "me", ticket))
    assert CommandDone("c", "closed, operator") not in stage.said()
    stage.tell(CloseTicket("c2", "me", ticket))
    assert stage.said(CommandDone)[-2:] == [CommandDone("c", "closed, operator"), CommandDone("c2", "closed, operator")]


# Guards


def test_a_guard_that_is_down_denies_entries_and_no_exit() -> None:
    stage, _ = held()
    stage.tell(ChildDown("risk_limit", 1, 1, "boom"))
    stage.signal(symbol="GBPUSD")
    assert denial(stage) == (DenialReason.GUARD_DOWN, "risk_limit")
    stage.quote(109_950)
    assert stage.last(PositionClosed).reason is ExitReason.STOP
    stage.tell(ChildServing("risk_limit", 2))
    stage.signal(symbol="GBPUSD")
    assert len(stage.tickets) == 1


def test_the_second_crash_of_a_position_s_actor_holds_its_symbol_until_a_rearm() -> None:
    stage = Stage(sabotage=mined("position/EURUSD", lambda message: isinstance(message, TimerDue), {1, 3}))
    for _ in range(2):
        stage.tell(TimerDue("position/EURUSD", "time/1", 0))
    assert [down.crashes for down in stage.said(ChildDown)] == [1, 2]
    assert stage.last(HoldPlaced).scope == "EURUSD"
    stage.signal(symbol="GBPUSD")
    stage.signal()
    assert denial(stage) == (DenialReason.HOLD, "supervision: position/EURUSD crashed 2 times")
    stage.tell(PauseTrading("p", "me"), ResumeTrading("r", "me"))
    stage.signal()
    assert denial(stage)[0] is DenialReason.HOLD
    stage.tell(RearmTrading("a", "me"), StartTrading("s", "me"))
    stage.signal()
    assert len(stage.tickets) == 2


def test_a_parked_message_of_another_child_holds_the_account_and_lets_exits_go() -> None:
    stage, _ = held(sabotage=mined("risk_limit", lambda m: isinstance(m, EntryProposed) and m.symbol == "GBPUSD", {1, 2}))
    stage.signal(symbol="GBPUSD")
    assert [parked.child for parked in stage.said(MessageParked)] == ["risk_limit"]
    assert stage.last(HoldPlaced).scope == "account"
    stage.quote(109_950)
    assert stage.last(PositionClosed).reason is ExitReason.STOP
    stage.signal()
    assert denial(stage)[0] is DenialReason.HOLD
