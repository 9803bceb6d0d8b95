"""What becomes of our positions when somebody else has a hand in the account, told on the stepped host.

The rules are those of docs/design/interference.md. The stage has a long position from 110010 with its stop at
109960, its target at 110110 and the broker's stop at 109660.
"""

from typing import Any

import pytest
from builders import Scene, messages_of, sabotaged
from stage import BUY, CONFIG, READINGS_AT_START, SELL, Stage, blind, fault, held

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.faults import Call, FaultKind
from evenkeel.adapters.simulated.server import records
from evenkeel.messages.broker_gateway import (
    AdoptPosition,
    BrokerAgreed,
    BrokerDisagreed,
    CallTerminal,
    CashMoved,
    CloseRequest,
    ForeignOrderGone,
    ForeignOrderSeen,
    ForeignPositionSeen,
    IntentSettled,
    LevelsMoved,
    MoneyAgreed,
    MoneyDisagreed,
    OrderOutcomeUnknown,
    ReadTerminal,
    StopRequest,
    TerminalReadable,
    TerminalUnreadable,
)
from evenkeel.messages.entry import DenialReason, OrderDenied
from evenkeel.messages.operator import (
    CloseTicket,
    CommandDone,
    CommandRefused,
    HoldPlaced,
    LowerMode,
    RearmTrading,
    StartTrading,
)
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed, PositionOpened, PositionReduced
from evenkeel.rules.sizing import open_risk_cents


def look_at_all(stage: Stage) -> None:
    """Positions, history and account, as the terminal edge reads them by itself in a live run."""
    stage.tell(ReadTerminal(99, with_account=True))
    stage.tell(ReadTerminal(99, with_account=True))


def touched(stage: Stage, ticket: int) -> bool:
    """Did we ever ask the broker for anything about this ticket?"""
    requests = [call.request for call in stage.said(CallTerminal)]
    return any(request.ticket == ticket for request in requests if isinstance(request, CloseRequest | StopRequest))


# Positions of ours


def test_a_position_that_a_person_closes_in_part_is_managed_as_what_is_left() -> None:
    stage, ticket = held()
    volume = stage.last(PositionOpened).volume_steps
    stage.scene.terminal.person_closes(ticket, 4)
    stage.look()
    reduced = stage.last(PositionReduced)
    assert (reduced.volume_steps, reduced.reason) == (volume - 4, ExitReason.PERSON)
    stage.wait(10)
    assert stage.last(BrokerAgreed)
    stage.quote(109_950)
    closed = stage.last(PositionClosed)
    assert (closed.reason, closed.profit_cents) == (ExitReason.STOP, -10 * 4 - 60 * (volume - 4))


def test_a_stop_that_a_person_drags_nearer_is_kept_and_ends_the_position_in_that_person_s_name() -> None:
    stage, ticket = held()
    stage.scene.terminal.person_sets_levels(ticket, 109_980)
    stage.look()
    assert stage.said(LevelsMoved) == [LevelsMoved(ticket, "EURUSD", 1, 109_980, 0, kept=True)]
    stage.look()
    stage.wait(10)
    assert len(stage.said(LevelsMoved)) == 1
    assert stage.calls(StopRequest) == []
    stage.quote(109_975)
    closed = stage.last(PositionClosed)
    assert (closed.reason, closed.by, closed.close_points) == (ExitReason.PERSON, ClosedBy.PERSON, 109_975)


@pytest.mark.parametrize("to", [0, 109_000], ids=["removed", "dragged away"])
def test_a_stop_that_a_person_takes_away_is_set_again(to: int) -> None:
    stage, ticket = held()
    stage.scene.terminal.person_sets_levels(ticket, to, 110_900)
    stage.look()
    assert stage.said(LevelsMoved) == [LevelsMoved(ticket, "EURUSD", 1, to, 110_900, kept=False)]
    (position,) = stage.scene.terminal.positions() or ()
    assert (position.stop_points, position.target_points) == (109_660, 110_900)


def test_a_target_that_a_person_sets_at_the_broker_is_kept_and_ours_is_served_as_ever() -> None:
    stage, ticket = held()
    stage.scene.terminal.person_sets_levels(ticket, 109_660, 110_060)
    stage.look()
    assert stage.said(LevelsMoved) == [LevelsMoved(ticket, "EURUSD", 1, 109_660, 110_060, kept=True)]
    stage.quote(110_065)
    closed = stage.last(PositionClosed)
    assert (closed.reason, closed.by) == (ExitReason.TARGET, ClosedBy.BROKER)


# Positions and orders of others


def pending(price_points: int = 109_900) -> records.Request:
    return records.Request(mt5.TRADE_ACTION_PENDING, "EURUSD", 5, price_points, type=mt5.ORDER_TYPE_BUY_LIMIT)


def test_an_order_of_a_stranger_is_noticed_counted_and_never_touched() -> None:
    stage = Stage()
    order = stage.scene.terminal.person_places(pending())
    stage.look()
    assert stage.last(ForeignOrderSeen) == ForeignOrderSeen(order, "EURUSD", 1, BUY, 5, 109_900)
    reservations = stage.scene.host.child("risk_limit").state.book.reservations
    assert [one.volume_steps for one in reservations.values()] == [5]
    stage.signal(SELL)
    assert stage.bought() == 1
    stage.quote(109_880)
    stage.look()
    stage.wait(10)
    assert stage.last(ForeignPositionSeen).ticket == order
    assert stage.said(ForeignOrderGone) == [ForeignOrderGone(order, "EURUSD")]
    assert reservations == {}
    assert not touched(stage, order)


def test_a_foreign_position_is_never_touched_whatever_its_owner_does_with_it() -> None:
    stage = Stage()
    ticket = stage.scene.terminal.person_opens("EURUSD", BUY, 5)
    stage.look()
    for levels in ((109_000, 0), (0, 111_000)):
        stage.scene.terminal.person_sets_levels(ticket, *levels)
        stage.look()
        stage.wait(10)
    stage.scene.terminal.person_closes(ticket, 2)
    stage.look()
    assert stage.last(ForeignPositionSeen).volume_steps == 3
    assert (stage.said(LevelsMoved), touched(stage, ticket)) == ([], False)


# Adoption


def test_an_adopted_position_is_protected_managed_and_counted() -> None:
    stage = Stage()
    ticket = stage.scene.terminal.person_opens("EURUSD", BUY, 5)
    stage.look()
    stage.tell(AdoptPosition("a", "me", ticket))
    assert stage.last(CommandDone) == CommandDone("a", f"position {ticket} in EURUSD is ours now")
    (position,) = stage.scene.terminal.positions() or ()
    assert position.stop_points == 109_660
    book = stage.scene.host.child("risk_limit").state.book
    assert open_risk_cents(book, CONFIG.limits.slippage_points) == 5 * (50 + CONFIG.limits.slippage_points)
    stage.quote(109_955)
    closed = stage.last(PositionClosed)
    assert (closed.ticket, closed.reason, closed.by) == (ticket, ExitReason.STOP, ClosedBy.APP)


def test_an_adopted_position_is_closed_on_a_person_s_word() -> None:
    stage = Stage()
    ticket = stage.scene.terminal.person_opens("EURUSD", SELL, 5)
    stage.look()
    stage.tell(AdoptPosition("a", "me", ticket))
    stage.tell(CloseTicket("c", "me", ticket))
    assert (stage.tickets, stage.last(CommandDone)) == ([], CommandDone("c", "closed, operator"))


def test_what_is_not_there_cannot_be_adopted() -> None:
    stage = Stage()
    stage.tell(AdoptPosition("a", "me", 4711))
    assert stage.last(CommandRefused) == CommandRefused("a", "the broker shows no position 4711")


# Money


def test_a_deposit_is_no_profit_and_a_withdrawal_is_no_loss() -> None:
    stage, _ = held()
    marks = stage.scene.host.child("risk_limit").state.marks
    for cents in (500_000, -800_000):
        stage.scene.terminal.person_moves_cash(mt5.DEAL_TYPE_BALANCE, cents)
        look_at_all(stage)
        stage.wait(10)
    after = stage.scene.host.child("risk_limit").state.marks
    assert (after.day_base_cents, after.peak_cents) == (marks.day_base_cents - 300_000, marks.peak_cents - 300_000)
    assert [moved.cash.amount_cents for moved in stage.said(CashMoved)] == [500_000, -800_000]
    assert stage.said(LowerMode, HoldPlaced, MoneyDisagreed) == []


def test_credit_moves_equity_and_is_neither_balance_nor_profit() -> None:
    stage, _ = held()
    stage.scene.terminal.person_moves_cash(mt5.DEAL_TYPE_CREDIT, 300_000)
    look_at_all(stage)
    stage.wait(10)
    stage.scene.terminal.person_moves_cash(mt5.DEAL_TYPE_CREDIT, -300_000)
    look_at_all(stage)
    stage.wait(10)
    assert stage.said(LowerMode, HoldPlaced, MoneyDisagreed) == []


def test_a_charge_is_a_loss_of_the_day() -> None:
    stage = Stage()
    stage.scene.terminal.person_moves_cash(mt5.DEAL_TYPE_CHARGE, -40_000, "data feed")
    look_at_all(stage)
    assert stage.last(HoldPlaced).reason.startswith("day_loss_pct")


def test_money_that_nobody_can_explain_closes_entries_until_a_person_rearms() -> None:
    stage, ticket = held()
    stage.scene.terminal.books.balance_cents += 7
    look_at_all(stage)
    assert stage.said(MoneyDisagreed) == []
    stage.wait(10)
    assert stage.said(MoneyDisagreed) == [MoneyDisagreed(1_000_000, 1_000_007)]
    stage.signal(symbol="GBPUSD")
    denied = stage.last(OrderDenied)
    assert (denied.reason, denied.detail.partition(":")[0]) == (DenialReason.HOLD, "money")
    stage.quote(109_950)
    assert stage.last(PositionClosed).ticket == ticket
    stage.tell(RearmTrading("r", "me"), StartTrading("s", "me"))
    look_at_all(stage)
    stage.wait(10)
    stage.signal(symbol="GBPUSD")
    assert (stage.bought(), len(stage.said(MoneyDisagreed))) == (2, 1)


def test_money_whose_line_of_the_history_comes_later_closes_entries_only_until_then() -> None:
    stage = Stage()
    stage.scene.terminal.books.balance_cents += 700
    look_at_all(stage)
    stage.wait(10)
    assert stage.said(MoneyDisagreed)
    stage.scene.terminal.books.balance_cents -= 700
    stage.scene.terminal.person_moves_cash(mt5.DEAL_DIVIDEND, 700)
    look_at_all(stage)
    assert stage.said(MoneyAgreed) == [MoneyAgreed(1_000_700)]
    stage.signal()
    assert stage.bought() == 1


# A broker that loses what marks our orders


@pytest.mark.parametrize("keeps_magic, keeps_comment", [(True, False), (False, True), (False, False)])
def test_a_position_whose_marks_are_lost_is_ours_by_its_ticket(keeps_magic: bool, keeps_comment: bool) -> None:
    stage = Stage()
    stage.scene.terminal.keeps_magic, stage.scene.terminal.keeps_comment = keeps_magic, keeps_comment
    stage.signal()
    stage.look()
    stage.wait(10)
    stage.quote(109_950)
    closed = stage.last(PositionClosed)
    assert (closed.reason, closed.by) == (ExitReason.STOP, ClosedBy.APP)
    assert (stage.said(ForeignPositionSeen), stage.tickets) == ([], [])


@pytest.mark.parametrize("keeps_magic, keeps_comment", [(True, False), (False, True), (False, False)])
def test_a_lost_reply_and_lost_marks_leave_one_position_that_is_ours(keeps_magic: bool, keeps_comment: bool) -> None:
    stage = Stage(fault(FaultKind.LOST_AFTER, Call.OPEN))
    stage.scene.terminal.keeps_magic, stage.scene.terminal.keeps_comment = keeps_magic, keeps_comment
    stage.signal()
    assert stage.said(OrderOutcomeUnknown)
    assert stage.last(PositionOpened).late
    assert (stage.last(PositionClosed).reason, stage.tickets) == (ExitReason.LATE_FILL, [])
    assert len(stage.said(IntentSettled)) == (0 if keeps_magic else 1)
    stage.wait(60)
    stage.signal()
    assert (len(stage.tickets), stage.said(ForeignPositionSeen)) == (1, [])


# A terminal that nobody can read


def test_after_a_stretch_without_readings_entries_wait_for_two_that_agree() -> None:
    stage = Stage(*blind(READINGS_AT_START + 1, 8))
    stage.look()
    stage.wait(11)
    stage.look()
    assert stage.last(TerminalUnreadable).for_ms >= 10_000
    assert stage.last(BrokerDisagreed) == BrokerDisagreed("the terminal cannot be read")
    stage.signal()
    assert stage.last(OrderDenied).reason is DenialReason.UNRECONCILED
    agreed = len(stage.said(BrokerAgreed))
    stage.wait(30)
    assert stage.said(TerminalReadable)
    assert len(stage.said(BrokerAgreed)) == agreed + 1
    stage.signal()
    assert stage.bought() == 1


def test_a_person_s_trade_in_the_dark_is_seen_before_anything_is_opened() -> None:
    stage = Stage(*blind(READINGS_AT_START + 1, 8))
    stage.look()
    stage.wait(11)
    stage.look()
    stage.scene.terminal.person_opens("EURUSD", BUY, 5)
    stage.wait(40)
    stage.signal(SELL)
    assert stage.last(OrderDenied).reason is DenialReason.FOREIGN_OPPOSITE


# Restarts


def interfered(**changes: Any) -> Scene:
    """A person trades, orders, adopts, drags and deposits; a reply and the marks of an order are lost; nobody can look."""
    stage = Stage(fault(FaultKind.LOST_AFTER, Call.OPEN), *blind(READINGS_AT_START + 4, 7), **changes)
    terminal = stage.scene.terminal
    ticket = terminal.person_opens("EURUSD", BUY, 5)
    terminal.person_places(pending())
    terminal.person_moves_cash(mt5.DEAL_TYPE_BALANCE, 100)
    look_at_all(stage)
    stage.tell(AdoptPosition("a", "me", ticket))
    terminal.person_sets_levels(ticket, 109_980)
    stage.look()
    stage.wait(12)
    stage.look()
    stage.wait(30)
    terminal.keeps_magic = terminal.keeps_comment = False
    stage.quote(110_000, "GBPUSD")
    stage.signal(symbol="GBPUSD")
    terminal.books.balance_cents += 7
    look_at_all(stage)
    stage.wait(10)
    stage.quote(109_880)
    stage.look()
    stage.wait(10)
    return stage.scene


def test_the_story_of_these_restarts_has_what_it_promises() -> None:
    said = interfered().said()
    wanted = {CashMoved, ForeignOrderSeen, LevelsMoved, TerminalUnreadable, TerminalReadable, IntentSettled, MoneyDisagreed}
    assert wanted <= {type(message) for message in said}


@pytest.mark.parametrize("name", ["broker_gateway", "risk_limit"])
def test_an_actor_killed_at_any_message_of_it_changes_no_decision(name: str) -> None:
    expected = interfered().decisions()
    for nth in range(1, messages_of(name, interfered) + 1):
        assert interfered(sabotage=sabotaged(name, nth, after=True)).decisions() == expected, f"message {nth}"
