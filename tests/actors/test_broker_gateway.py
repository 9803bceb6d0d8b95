"""broker_gateway by itself: readings that conclude something lie two seconds apart."""

from typing import Any

import msgspec
import pytest
from builders import config_of
from orders import INSTALLATION, SPEC, deal_in, deal_out, opened, order, seen

from evenkeel.actors.broker_gateway import BrokerGateway
from evenkeel.messages.broker_gateway import (
    AccountRead,
    AdoptPosition,
    BrokerAgreed,
    BrokerDisagreed,
    BrokerOrder,
    CallTerminal,
    Cash,
    CashKind,
    CashMoved,
    CloseRequest,
    DealDone,
    DealReason,
    ForeignOrderGone,
    ForeignOrderSeen,
    ForeignPositionGone,
    ForeignPositionSeen,
    IntentSettled,
    LevelsMoved,
    MoneyAgreed,
    MoneyDisagreed,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
    Outcome,
    PositionsRead,
    ReadTerminal,
    StopRequest,
    TerminalAnswered,
    TerminalReadable,
    TerminalUnreadable,
    WitnessesDisagree,
)
from evenkeel.messages.entry import DenialReason, Lineage, OrderDenied
from evenkeel.messages.market import DailyBarsRead, DailyRange, Direction, SymbolSpecified
from evenkeel.messages.operator import CommandDone, CommandRefused, HoldEnded, HoldPlaced, Mode, ModeChanged, TradingRearmed
from evenkeel.messages.position import (
    ClosedBy,
    CloseFailed,
    CloseFailure,
    ClosePosition,
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
    ReducePosition,
)
from evenkeel.messages.protection import SetStops, StopsRefused, StopsSet
from evenkeel.messages.system import ChildDown, ChildServing, MessageParked, RunStarted, SetTimer, TimerDue
from evenkeel.rules.magic import NUMBER_MAX, OPENS_NUMBER_MAX, RESTORED_JUMP, comment_for, magic_for
from evenkeel.runtime.actor import restore, snapshot_of

GUARDS = ("risk_limit", "operator", "position/EURUSD")
GAP_MS = 2_000
STARTED = RunStarted("build", "configuration", "test", INSTALLATION, continued=True, crashed=False)


class Desk:
    """The gateway, and a clock that moves by hand."""

    def __init__(self) -> None:
        self.gateway = BrokerGateway(config_of(), GUARDS)
        self.now_utc_ms = 1_000_000

    def hear(self, message: Any, after_ms: int = 0) -> list[Any]:
        self.now_utc_ms += after_ms
        return list(self.gateway.handle(message, self.now_utc_ms))

    def read(self, *positions: Any, after_ms: int = GAP_MS, orders: tuple[BrokerOrder, ...] = ()) -> list[Any]:
        """What a complete reading leads to, but for the looks that are planned."""
        said = self.hear(PositionsRead(1, positions, 0, orders), after_ms)
        return [message for message in said if not isinstance(message, SetTimer)]

    def answer(self, outcome: Outcome, intent_id: int = 1, **told: Any) -> list[Any]:
        answered = TerminalAnswered(intent_id, outcome, 0, 0, 0, 0, "")
        said = self.hear(msgspec.structs.replace(answered, **told))
        return [message for message in said if not isinstance(message, SetTimer)]

    def fill(self, **told: Any) -> list[Any]:
        return self.answer(Outcome.ACCEPTED, **{"ticket": 1001, "price_points": 110_010, "volume_steps": 10, **told})

    def close(self, reason: ExitReason = ExitReason.STOP, *, remaining_steps: int = 0, generation: int = 1) -> list[Any]:
        return self.hear(ClosePosition(1001, "EURUSD", remaining_steps, reason, generation))


@pytest.fixture
def desk() -> Desk:
    """Running and agreed with an empty broker."""
    desk = Desk()
    desk.hear(STARTED)
    desk.hear(ModeChanged(Mode.RUN, 3, "me", "start"))
    desk.read()
    desk.read()
    return desk


@pytest.fixture
def sent(desk: Desk) -> Desk:
    """Intent 1 is on its way."""
    desk.hear(order())
    return desk


@pytest.fixture
def held(sent: Desk) -> Desk:
    """Position 1001 is open and priced."""
    sent.fill()
    sent.hear(DealDone(deal_in()))
    sent.read(seen())
    return sent


def kinds(said: list[Any]) -> list[type]:
    return [type(message) for message in said]


def denial(said: list[Any]) -> tuple[DenialReason, str]:
    (denied,) = said
    assert isinstance(denied, OrderDenied)
    return denied.reason, denied.detail


# Opens


def test_an_order_becomes_one_intent_with_a_magic_of_its_own(desk):
    (call,) = desk.hear(order())
    assert isinstance(call, CallTerminal)
    assert (call.intent_id, call.magic, call.epoch) == (1, magic_for(INSTALLATION, 1), 3)


def test_a_second_order_for_the_slot_is_refused_while_the_first_has_no_outcome(sent):
    (denied,) = sent.hear(order(proposal_id="EURUSD-2"))
    assert (denied.reason, denied.measured, denied.limit, denied.unit) == (DenialReason.SLOT_LOCKED, 1, 1, "count")
    assert denied.detail == "EURUSD-1 is sent"


def test_a_fill_opens_the_position(sent):
    assert sent.fill() == [opened(opened_utc_ms=sent.now_utc_ms)]


def test_a_fill_without_a_price_takes_that_of_the_order_until_the_deal_comes(sent):
    (said,) = sent.fill(price_points=0, volume_steps=0)
    assert (said.entry_points, said.stop_points, said.volume_steps) == (110_010, 109_960, 10)
    assert sent.hear(DealDone(deal_in(price_points=110_013))) == [PositionPriced(1001, "EURUSD", 1, 110_013, 10, 0)]


def test_a_rejection_ends_the_intent_and_the_next_one_has_another_magic(sent):
    (said,) = sent.answer(Outcome.REJECTED, code=10006, detail="no")
    assert isinstance(said, OrderRejected)
    assert (said.code, said.detail) == (10006, "no")
    (again,) = sent.hear(order(proposal_id="EURUSD-2"))
    assert again.magic == magic_for(INSTALLATION, 2)


def test_a_rejected_order_that_was_filled_after_all_is_late_and_keeps_its_lineage(sent):
    sent.answer(Outcome.REJECTED, code=10006)
    assert sent.read(seen())[0] == opened(late=True)


def test_what_the_last_gate_did_not_send_is_denied_by_it(sent):
    (denied,) = sent.answer(Outcome.VOID, detail="quote_age")
    assert (denied.by, denied.reason) == ("gate", DenialReason.QUOTE_AGE)
    assert kinds(sent.hear(order())) == [CallTerminal]


def test_a_repeat_that_the_gate_refused_does_not_free_an_order_that_left_once(sent):
    sent.answer(Outcome.UNKNOWN)
    assert sent.answer(Outcome.VOID, detail="repeated") == []
    assert denial(sent.hear(order()))[0] is DenialReason.SLOT_LOCKED


def test_an_answer_to_an_intent_that_is_settled_says_nothing(held):
    assert held.fill() == []
    assert held.answer(Outcome.UNKNOWN) == []


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.PENDING])
def test_an_outcome_that_nobody_knows_is_said_and_looked_for_at_once(sent, outcome):
    assert kinds(sent.answer(outcome, detail="lost")) == [OrderOutcomeUnknown, ReadTerminal]


# Unknown outcomes


@pytest.fixture
def unknown(sent: Desk) -> Desk:
    sent.answer(Outcome.UNKNOWN)
    return sent


def test_an_unknown_order_locks_its_slot_and_the_opposite_direction_of_the_symbol(unknown):
    elsewhere = order(Direction.SELL, lineage=Lineage("strategy", "trend", slot=1))
    assert denial(unknown.hear(order())) == (DenialReason.SLOT_LOCKED, "EURUSD-1 is unknown")
    assert denial(unknown.hear(elsewhere)) == (DenialReason.DIRECTION_LOCKED, "EURUSD-1 is unknown")


@pytest.mark.parametrize(
    ("outcome", "detail"), [(Outcome.VOID, "epoch"), (Outcome.VOID, "expired"), (Outcome.REJECTED, "no money")]
)
def test_a_refusal_after_nobody_knew_settles_nothing_because_it_may_be_a_repeat_s(unknown, outcome, detail):
    assert unknown.answer(outcome, detail=detail) == []
    assert denial(unknown.hear(order())) == (DenialReason.SLOT_LOCKED, "EURUSD-1 is unknown")


def test_two_readings_apart_that_do_not_show_it_free_the_slot(unknown):
    assert unknown.read() == []
    assert unknown.read() == [OrderOutcomeResolved("EURUSD-1", "EURUSD", Direction.BUY, 1, order().lineage)]
    assert kinds(unknown.hear(order())) == [CallTerminal]


def test_readings_close_together_count_as_one(unknown):
    assert unknown.read() == []
    assert unknown.read(after_ms=GAP_MS - 1) == []
    assert kinds(unknown.read(after_ms=1)) == [OrderOutcomeResolved]


def test_readings_close_together_count_as_one_also_while_the_broker_disagrees(unknown):
    assert BrokerDisagreed in kinds(unknown.read(seen(2002, magic=magic_for(INSTALLATION, 9))))
    assert unknown.read(after_ms=1) == []
    assert OrderOutcomeResolved in kinds(unknown.read(after_ms=GAP_MS - 1))


def test_a_reading_that_shows_it_opens_the_position_as_late(unknown):
    said = unknown.read(seen())
    assert said[0] == opened(late=True)
    assert unknown.gateway.state.book.opens == {}


def test_a_deal_that_shows_it_opens_the_position_as_late(unknown):
    assert unknown.hear(DealDone(deal_in())) == [opened(late=True), PositionPriced(1001, "EURUSD", 1, 110_010, 10, 0)]


def test_a_fill_after_it_was_given_up_is_late_too(unknown):
    unknown.read()
    unknown.read()
    assert unknown.hear(DealDone(deal_in()))[0] == opened(late=True)


def test_it_is_looked_for_until_it_is_settled(unknown):
    due = TimerDue("broker_gateway", "reading", 0)
    assert kinds(unknown.hear(due)) == [ReadTerminal, SetTimer]
    assert kinds(unknown.hear(due)) == [ReadTerminal, SetTimer]
    unknown.hear(DealDone(deal_in()))
    assert unknown.hear(due) == []


def test_an_unknown_order_does_not_keep_others_from_being_sent(unknown):
    assert unknown.gateway.state.guards.agreed
    assert kinds(unknown.hear(order(symbol="GBPUSD"))) == [CallTerminal]


def test_an_order_that_waits_at_the_broker_is_not_absent(unknown):
    waiting = waiting_order(magic=magic_for(INSTALLATION, 1))
    assert [unknown.read(orders=(waiting,)) for _ in range(5)] == [[]] * 5
    assert unknown.read() == []
    assert kinds(unknown.read()) == [OrderOutcomeResolved]


def test_an_order_that_the_broker_took_on_and_fills_in_time_is_not_late(sent):
    sent.answer(Outcome.PENDING, code=10008)
    assert sent.read(seen())[0] == opened()


def test_an_order_that_the_broker_took_on_and_fills_minutes_after_it_expired_is_late(desk):
    desk.hear(order(expires_utc_ms=desk.now_utc_ms + 3_000))
    desk.answer(Outcome.PENDING, code=10008)
    said = desk.read(seen(opened_utc_ms=desk.now_utc_ms + 60_000))
    assert said[0].late


# Whose position it is


def test_a_fill_without_magic_is_known_by_its_comment_and_its_slot_is_free_at_the_gate(unknown):
    said = unknown.read(seen(magic=0, comment=comment_for(magic_for(INSTALLATION, 1))))
    assert said[:2] == [opened(late=True), IntentSettled(1)]


def test_a_fill_without_magic_and_comment_is_known_by_its_shape_and_time(unknown):
    said = unknown.read(seen(magic=0, comment="[sl]", opened_utc_ms=unknown.now_utc_ms))
    assert [(one.ticket, one.late) for one in said[:1]] == [(1001, True)]


@pytest.fixture
def disputed(unknown: Desk) -> Desk:
    """Position 1001 carries the magic of intent 1, and is on the other side."""
    said = unknown.read(seen(direction=Direction.SELL))
    detail = "a sell, but order 1 asked to buy"
    assert said[:3] == [
        ForeignPositionSeen(1001, "EURUSD", 1, Direction.SELL, 10, 110_010),
        WitnessesDisagree(1001, "EURUSD", (1,), detail),
        HoldPlaced("witnesses", "EURUSD", f"nobody knows whose position 1001 is: {detail}", 0),
    ]
    return unknown


def test_while_witnesses_disagree_the_order_stays_unknown_and_its_symbol_is_held(disputed):
    mine = seen(direction=Direction.SELL)
    assert OrderOutcomeResolved not in kinds([one for _ in range(5) for one in disputed.read(mine)])
    other_slot = order(lineage=Lineage("strategy", "trend", slot=1))
    assert denial(disputed.hear(other_slot)) == (
        DenialReason.HOLD,
        "witnesses: nobody knows whose position 1001 is: a sell, but order 1 asked to buy",
    )
    assert kinds(disputed.hear(order(symbol="GBPUSD"))) == [CallTerminal]


def test_a_position_whose_witnesses_disagree_is_never_touched(disputed):
    assert CallTerminal not in kinds(disputed.read(seen(direction=Direction.SELL, stop_points=0)))
    assert disputed.close()[0].detail == "not known here"


def test_when_it_is_gone_the_hold_ends_and_the_order_is_resolved_by_two_more_readings(disputed):
    disputed.read()
    said = disputed.read()
    assert said[:2] == [ForeignPositionGone(1001, "EURUSD"), HoldEnded("witnesses", "EURUSD")]
    assert OrderOutcomeResolved in kinds([*said, *disputed.read(), *disputed.read()])
    assert kinds(disputed.hear(order())) == [CallTerminal]


def test_an_answer_that_names_its_ticket_ends_the_doubt(sent):
    sent.read(seen(direction=Direction.SELL))
    said = sent.fill()
    assert (kinds(said), said[1]) == ([PositionOpened, HoldEnded], HoldEnded("witnesses", "EURUSD"))
    assert list(sent.gateway.state.book.foreign) == []


# Closes


def test_a_close_states_what_shall_remain_and_is_never_asked_about_modes_or_guards(held):
    held.hear(ModeChanged(Mode.FREEZE, 9, "me", ""))
    held.hear(ChildDown("risk_limit", 1, 1, "boom"))
    held.hear(HoldPlaced("supervision", "account", "trouble", 0))
    held.hear(MessageParked("position/EURUSD", 5, "TimerDue", "boom"))
    (call,) = held.close(remaining_steps=4)
    assert (call.request, call.expires_utc_ms) == (CloseRequest("EURUSD", 1001, Direction.BUY, 4), 0)


def test_a_close_of_what_is_not_here_fails(desk):
    assert desk.close() == [CloseFailed(1001, "EURUSD", 1, CloseFailure.REJECTED, "not known here")]


def test_a_refused_close_goes_back_to_the_position_s_owner(held):
    held.close(generation=4)
    assert held.answer(Outcome.REJECTED, 2, code=10018, detail="market closed") == [
        CloseFailed(1001, "EURUSD", 4, CloseFailure.REJECTED, "10018 market closed")
    ]


def test_a_deal_that_is_told_of_twice_counts_once(held):
    assert held.hear(DealDone(deal_in())) == []
    held.read(seen())
    assert held.gateway.state.book.positions[1001].volume_left_steps == 10


def test_an_accepted_close_waits_for_its_deal_which_has_its_reason(held):
    (call,) = held.close(ExitReason.TARGET)
    assert held.answer(Outcome.ACCEPTED, 2, ticket=1001) == []
    (said,) = held.hear(DealDone(deal_out(magic=call.magic)))
    assert isinstance(said, PositionClosed)
    assert (said.reason, said.by) == (ExitReason.TARGET, ClosedBy.APP)


@pytest.mark.parametrize("late_ms, day", [(-1, "2026-01-04"), (0, "2026-01-05")])
def test_a_deal_belongs_to_the_trading_day_of_its_own_time_whenever_it_is_heard_of(held, late_ms, day):
    """17:00 in New York is 22:00 UTC in winter; a deal of the time while nobody ran is heard of the day after."""
    monday_22_utc_ms = 1_767_650_400_000
    held.now_utc_ms = monday_22_utc_ms + 86_400_000
    (said,) = held.hear(DealDone(deal_out(time_utc_ms=monday_22_utc_ms + late_ms)))
    assert said.trading_day == day


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.UNKNOWN])
def test_a_close_whose_position_two_readings_show_has_not_happened(held, outcome):
    held.close()
    held.answer(outcome, 2)
    assert held.read(seen()) == []
    assert held.read(seen()) == [CloseFailed(1001, "EURUSD", 1, CloseFailure.STILL_OPEN, "two readings show it")]
    assert held.gateway.state.book.closes == {}


def test_a_close_waits_for_its_deal_however_often_readings_do_not_show_the_position(held):
    held.close()
    held.answer(Outcome.ACCEPTED, 2)
    assert kinds([message for _ in range(5) for message in held.read()]) == [BrokerDisagreed]
    (said,) = held.hear(DealDone(deal_out()))
    assert isinstance(said, PositionClosed)


def test_a_position_that_is_gone_when_it_is_to_be_closed_waits_for_the_deal_that_says_why(held):
    held.close()
    assert kinds(held.answer(Outcome.REJECTED, 2, code=10036)) == [ReadTerminal]
    (said,) = held.hear(DealDone(deal_out(reason=DealReason.STOP, magic=0)))
    assert said.reason is ExitReason.CATASTROPHE


def test_a_partial_close_that_left_what_was_asked_has_happened(held):
    held.close(ExitReason.OPERATOR, remaining_steps=4)
    held.answer(Outcome.ACCEPTED, 2)
    assert kinds(held.hear(DealDone(deal_out(volume_steps=6)))) == [PositionReduced]
    assert held.gateway.state.book.closes == {}


def test_what_the_broker_or_a_person_does_by_themselves_has_their_reason(held):
    (said,) = held.hear(DealDone(deal_out(reason=DealReason.CLIENT, magic=0)))
    assert (said.reason, said.by) == (ExitReason.PERSON, ClosedBy.PERSON)


# Readings


def test_entries_stay_closed_until_two_readings_apart_agree():
    desk = Desk()
    assert kinds(desk.hear(STARTED)) == [ReadTerminal, SetTimer]
    desk.hear(ModeChanged(Mode.RUN, 3, "me", "start"))
    assert desk.read() == []
    assert desk.read(after_ms=1) == []
    assert denial(desk.hear(order()))[0] is DenialReason.UNRECONCILED
    assert desk.read(after_ms=GAP_MS - 1) == [BrokerAgreed(0)]


def test_every_start_of_the_process_closes_entries_again(held):
    held.hear(STARTED)
    assert denial(held.hear(order()))[0] is DenialReason.UNRECONCILED
    assert held.read(seen()) == []
    assert held.read(seen()) == [BrokerAgreed(1)]


def test_one_empty_reading_closes_entries_and_ends_nothing(held):
    assert held.read() == [BrokerDisagreed("position 1001 is not at the broker")]
    assert list(held.gateway.state.book.positions) == [1001]
    assert held.read(seen()) == []
    assert held.read(seen()) == [BrokerAgreed(1)]


def test_a_disagreement_is_said_once_and_anew_when_it_changes(held):
    held.read()
    assert held.read() == []
    assert held.read(seen(volume_steps=4)) == [BrokerDisagreed("position 1001 has 4 steps at the broker, 10 here")]


def test_a_disagreement_at_the_start_is_said_too():
    desk = Desk()
    desk.hear(STARTED)
    assert BrokerDisagreed("position 1001 is unknown here") in desk.read(seen())


def test_a_position_in_a_symbol_without_an_actor_keeps_entries_closed(desk):
    lost = seen(symbol="GBPUSD")
    desk.read(lost)
    assert desk.read(lost) == [BrokerDisagreed("position 1001 in GBPUSD has nobody who manages it")]
    assert desk.read(lost) == []
    assert denial(desk.hear(order()))[0] is DenialReason.UNRECONCILED


def test_a_foreign_position_locks_its_opposite_until_two_readings_lack_it(desk):
    desk.read(seen(2002, magic=0))
    desk.read(seen(2002, magic=0))
    desk.read(seen(2002, magic=0))
    assert denial(desk.hear(order(Direction.SELL)))[0] is DenialReason.FOREIGN_OPPOSITE
    assert desk.read() == []
    assert denial(desk.hear(order(Direction.SELL)))[0] is DenialReason.FOREIGN_OPPOSITE
    assert kinds(desk.hear(TimerDue("broker_gateway", "reading", 0))) == [ReadTerminal, SetTimer]
    assert desk.read() == [ForeignPositionGone(2002, "EURUSD")]
    assert kinds(desk.hear(order(Direction.SELL))) == [CallTerminal]


def test_a_foreign_position_is_never_touched(desk):
    desk.read(seen(2002, magic=0, stop_points=0))
    assert desk.hear(ClosePosition(2002, "EURUSD", 0, ExitReason.FLATTEN, 1))[0].detail == "not known here"


def test_after_a_stretch_without_readings_agreement_is_earned_anew(held):
    disagreed, _ = held.hear(TerminalUnreadable(10_000))
    assert disagreed == BrokerDisagreed("the terminal cannot be read")
    assert denial(held.hear(order(symbol="GBPUSD")))[0] is DenialReason.UNRECONCILED
    assert kinds(held.hear(TerminalReadable(60_000))) == [ReadTerminal, SetTimer]
    assert held.read(seen()) == []
    assert held.read(seen(), after_ms=1) == []
    assert held.read(seen(), after_ms=GAP_MS - 1) == [BrokerAgreed(1)]
    assert kinds(held.hear(order(symbol="GBPUSD"))) == [CallTerminal]


def waiting_order(**changed: Any) -> BrokerOrder:
    return msgspec.structs.replace(BrokerOrder(3003, "EURUSD", 1, Direction.BUY, 5, 109_000, 0, ""), **changed)


def test_an_order_of_somebody_else_is_noticed_once_and_gone_when_two_readings_lack_it(desk):
    stranger = waiting_order()
    assert desk.read(orders=(stranger,)) == [ForeignOrderSeen(3003, "EURUSD", 1, Direction.BUY, 5, 109_000)]
    assert desk.read(orders=(stranger,)) == []
    assert desk.read() == []
    assert desk.read(orders=(stranger,)) == []
    assert desk.read() == []
    assert desk.read() == [ForeignOrderGone(3003, "EURUSD")]


def test_an_order_of_somebody_else_locks_nothing_until_it_is_a_position(desk):
    desk.read(orders=(waiting_order(),))
    assert kinds(desk.hear(order(Direction.SELL))) == [CallTerminal]


# Money


def account(balance_cents: int) -> AccountRead:
    return AccountRead(balance_cents, balance_cents, 0, "USD", 2, 100)


def test_a_balance_that_the_deals_do_not_make_closes_entries_until_they_do(held):
    held.hear(account(1_000_000))
    assert kinds(held.hear(account(1_000_500))) == [SetTimer]
    look, _ = held.hear(TimerDue("broker_gateway", "reading", 0), GAP_MS)
    assert look.with_account
    disagreed, hold = held.hear(account(1_000_500))
    assert disagreed == MoneyDisagreed(1_000_000, 1_000_500)
    assert denial(held.hear(order(symbol="GBPUSD"))) == (DenialReason.HOLD, f"money: {hold.reason}")
    assert kinds(held.close()) == [CallTerminal]
    held.hear(CashMoved(Cash(5009, CashKind.BALANCE, 500, "deposit", 0)))
    assert held.hear(account(1_000_500)) == [MoneyAgreed(1_000_500), HoldEnded("money", "account")]
    assert kinds(held.hear(order(symbol="GBPUSD"))) == [CallTerminal]


def test_a_person_who_rearms_accepts_the_balance(held):
    held.hear(account(1_000_000))
    held.hear(account(1_000_500))
    held.hear(account(1_000_500), GAP_MS)
    held.hear(TradingRearmed("me", 3))
    assert kinds(held.hear(order(symbol="GBPUSD"))) == [CallTerminal]
    assert held.hear(account(1_000_500), GAP_MS) == []


def test_a_deal_that_the_history_shows_late_counts_although_a_newer_one_came_before(held):
    held.hear(account(1_000_000))
    held.hear(CashMoved(Cash(5009, CashKind.CHARGE, -100, "", 0)))
    assert kinds(held.hear(DealDone(deal_out(deal_ticket=5007)))) == [PositionClosed]
    assert held.hear(DealDone(deal_out(deal_ticket=5007))) == []
    assert held.hear(account(1_000_000 - 100 - 500)) == []


# Adoption


@pytest.fixture
def stranger(desk: Desk) -> Desk:
    """Position 2002 is a person's, without a stop."""
    desk.hear(SymbolSpecified(SPEC))
    desk.hear(DailyBarsRead("EURUSD", 1, (DailyRange(110_700, 110_000, 110_350),) * 15))
    for _ in range(3):
        desk.read(seen(2002, magic=0, stop_points=0))
    return desk


def test_a_person_s_word_makes_a_foreign_position_ours_with_a_plan_and_a_stop_at_the_broker(stranger):
    taken, look, _, done = stranger.hear(AdoptPosition("a", "me", 2002))
    assert (taken.ticket, taken.adopted, taken.stop_points, taken.broker_stop_points) == (2002, True, 109_960, 109_660)
    assert isinstance(look, ReadTerminal)
    assert done == CommandDone("a", "position 2002 in EURUSD is ours now")
    (call,) = stranger.read(seen(2002, magic=0, stop_points=0))
    assert call.request == StopRequest("EURUSD", 2002, 109_660, 0)
    assert kinds(stranger.hear(ClosePosition(2002, "EURUSD", 0, ExitReason.OPERATOR, 1))) == [CallTerminal]
    assert kinds(stranger.hear(order(Direction.SELL))) == [CallTerminal]


def test_an_adopted_position_keeps_a_stop_that_is_nearer_than_ours(stranger):
    near = seen(2002, magic=0, stop_points=109_900)
    stranger.hear(AdoptPosition("a", "me", 2002))
    assert stranger.read(near) == [LevelsMoved(2002, "EURUSD", 1, 109_900, 0, kept=True)]
    assert stranger.read(near) == []


def test_a_position_of_ours_without_an_order_gets_a_plan_and_a_stop_at_the_broker_too(stranger):
    said = stranger.read(seen(2003, magic=magic_for(INSTALLATION, 1), stop_points=0))
    (taken,) = [one for one in said if isinstance(one, PositionOpened)]
    assert (taken.adopted, taken.stop_points, taken.broker_stop_points) == (True, 109_960, 109_660)
    (call,) = [one for one in said if isinstance(one, CallTerminal)]
    assert call.request == StopRequest("EURUSD", 2003, 109_660, 0)


def test_what_the_broker_does_not_show_cannot_be_adopted(stranger):
    assert stranger.hear(AdoptPosition("a", "me", 4711)) == [CommandRefused("a", "the broker shows no position 4711")]


def test_a_disputed_position_that_a_person_adopts_is_ours_and_its_symbol_is_free(disputed):
    disputed.hear(SymbolSpecified(SPEC))
    said = disputed.hear(AdoptPosition("a", "me", 1001))
    assert HoldEnded("witnesses", "EURUSD") in said
    mine = seen(direction=Direction.SELL, stop_points=110_100)
    assert OrderOutcomeResolved in kinds([*disputed.read(mine), *disputed.read(mine), *disputed.read(mine)])


# Numbers


def test_a_journal_out_of_a_backup_uses_no_number_that_may_have_been_used_after_it(held):
    before = held.gateway.state.intents
    held.hear(msgspec.structs.replace(STARTED, restored=True))
    held.read(seen())
    held.read(seen())
    (call,) = held.hear(order(symbol="GBPUSD"))
    assert call.magic == magic_for(INSTALLATION, before + RESTORED_JUMP + 1)


@pytest.mark.parametrize(
    "shown",
    [
        PositionsRead(1, (seen(2002, magic=magic_for(INSTALLATION, 500)),), 0),
        PositionsRead(1, (seen(2002, magic=0, comment=comment_for(magic_for(INSTALLATION, 500))),), 0),
        PositionsRead(1, (), 0, (BrokerOrder(3, "EURUSD", 1, Direction.BUY, 1, 0, magic_for(INSTALLATION, 500), ""),)),
        DealDone(deal_in(2002, magic=magic_for(INSTALLATION, 500))),
    ],
)
def test_a_number_of_ours_that_the_broker_shows_is_not_used_again(desk, shown):
    desk.hear(shown)
    (call,) = desk.hear(order(symbol="GBPUSD"))
    assert call.magic == magic_for(INSTALLATION, 501)


def test_a_number_of_somebody_else_changes_nothing(desk):
    for _ in range(3):
        desk.read(seen(2002, magic=magic_for(INSTALLATION + 1, 500)))
    (call,) = desk.hear(order(symbol="GBPUSD"))
    assert call.magic == magic_for(INSTALLATION, 1)


def test_when_no_number_is_left_opens_are_refused_and_closes_go_on(held):
    held.gateway.state.intents = OPENS_NUMBER_MAX - 1
    (last,) = held.hear(order(symbol="GBPUSD"))
    assert last.magic == magic_for(INSTALLATION, OPENS_NUMBER_MAX)
    (denied,) = held.hear(order(symbol="USDJPY"))
    assert (denied.reason, denied.measured, denied.limit) == (
        DenialReason.MAGIC_EXHAUSTED,
        OPENS_NUMBER_MAX,
        OPENS_NUMBER_MAX,
    )
    for generation in (1, 2):
        (call,) = held.close(generation=generation)
        assert call.magic == magic_for(INSTALLATION, NUMBER_MAX)
    assert held.gateway.state.intents == NUMBER_MAX + 1


# The stop at the broker


@pytest.mark.parametrize("stop_points", [0, 109_000])
def test_a_stop_that_was_removed_or_moved_is_set_again_with_the_person_s_target(held, stop_points):
    moved, call = held.read(seen(stop_points=stop_points, target_points=110_500))
    assert moved == LevelsMoved(1001, "EURUSD", 1, stop_points, 110_500, kept=False)
    assert call.request == StopRequest("EURUSD", 1001, 109_660, 110_500)
    assert held.read(seen(stop_points=stop_points)) == []  # one at a time


def fail_stop(held: Desk, intent_id: int, outcome: Outcome = Outcome.REJECTED) -> list[Any]:
    """What is said besides that somebody took it away, where that is news, and that it is not set."""
    is_news = held.gateway.state.book.positions[1001].held_stop_points != 0
    assert kinds(held.read(seen(stop_points=0))) == [*[LevelsMoved] * is_news, CallTerminal]
    refused, *more = held.answer(outcome, intent_id, code=10016)
    assert refused == StopsRefused(1001, "EURUSD", outcome, 10016, "")
    return more


def test_a_stop_that_could_not_be_set_is_looked_after_although_nothing_changes_at_the_broker(held):
    assert fail_stop(held, 2) == []
    assert kinds(held.hear(TimerDue("broker_gateway", "reading", 0))) == [ReadTerminal, SetTimer]


def test_a_stop_that_failed_twice_closes_the_position_as_unprotected(held):
    fail_stop(held, 2)
    assert fail_stop(held, 3, Outcome.UNKNOWN) == [ReducePosition(1001, "EURUSD", 0, ExitReason.UNPROTECTED)]


def test_a_stop_that_a_reading_shows_in_its_place_has_not_failed(held):
    fail_stop(held, 2, Outcome.UNKNOWN)
    held.read(seen())
    assert fail_stop(held, 3, Outcome.UNKNOWN) == []


def test_stops_that_somebody_wants_set_are_sent_kept_and_answered(held):
    (call,) = held.hear(SetStops(1001, "EURUSD", 1, 109_960, 110_110))
    assert call.request == StopRequest("EURUSD", 1001, 109_960, 110_110)
    assert held.answer(Outcome.ACCEPTED, call.intent_id) == [StopsSet(1001, "EURUSD", 1, 109_960, 110_110)]
    assert held.read(seen(stop_points=109_960, target_points=110_110)) == []
    moved, again = held.read(seen())
    assert moved == LevelsMoved(1001, "EURUSD", 1, 109_660, 0, kept=False)
    assert again.request == StopRequest("EURUSD", 1001, 109_960, 0), "the target is the person's own affair"


def test_stops_of_which_nobody_knows_whether_they_were_set_are_ours_when_a_reading_shows_them(held):
    (call,) = held.hear(SetStops(1001, "EURUSD", 1, 109_960, 110_110))
    assert kinds(held.answer(Outcome.UNKNOWN, call.intent_id)) == [StopsRefused]
    assert held.read(seen()) == []
    assert held.read(seen(stop_points=109_960, target_points=110_110)) == []
    (closed,) = held.hear(DealDone(deal_out(reason=DealReason.STOP, magic=0, price_points=109_960)))
    assert (closed.reason, closed.by) == (ExitReason.STOP, ClosedBy.BROKER)


def test_stops_that_somebody_wants_set_leave_a_person_s_nearer_stop_and_target(held):
    held.read(seen(stop_points=109_980, target_points=110_060))
    (call,) = held.hear(SetStops(1001, "EURUSD", 1, 109_960, 110_110))
    assert call.request == StopRequest("EURUSD", 1001, 109_980, 110_060)
    assert held.answer(Outcome.ACCEPTED, call.intent_id) == [StopsSet(1001, "EURUSD", 1, 109_980, 110_060)]
    (call,) = held.read(seen(stop_points=0, target_points=110_060))[1:]
    assert call.request.stop_points == 109_960


def test_stops_that_the_broker_does_not_take_leave_those_that_belonged_there(held):
    (call,) = held.hear(SetStops(1001, "EURUSD", 1, 109_960, 110_110))
    (refused,) = held.answer(Outcome.REJECTED, call.intent_id, code=10018)
    assert refused == StopsRefused(1001, "EURUSD", Outcome.REJECTED, 10018, "")
    assert held.read(seen()) == []


def test_stops_of_what_is_not_ours_are_not_touched(desk):
    (refused,) = desk.hear(SetStops(1001, "EURUSD", 1, 109_960, 0))
    assert isinstance(refused, StopsRefused)


def test_a_position_without_a_stop_at_the_broker_by_name_is_left_alone(sent):
    sent.gateway.state.book.opens[1].order = order(catastrophe_distance_points=0)
    sent.fill()
    assert CallTerminal not in kinds(sent.read(seen(stop_points=109_000)))


# Guards


def test_a_hold_that_carries_out_a_command_answers_it_when_it_stands(desk):
    (done,) = desk.hear(HoldPlaced("person", "EURUSD", "paused by me", 0, "p-1"))
    assert done == CommandDone("p-1", "no new risk in EURUSD: paused by me")
    assert denial(desk.hear(order()))[0] is DenialReason.HOLD


def test_a_hold_of_a_strategy_stops_its_orders_alone(desk):
    desk.hear(HoldPlaced("person", "strategy/trend", "paused by me", 0))
    assert denial(desk.hear(order()))[0] is DenialReason.HOLD
    other = msgspec.structs.replace(order().lineage, strategy="other")
    assert kinds(desk.hear(order(lineage=other))) == [CallTerminal]


def test_a_guard_that_is_down_refuses_until_it_serves(desk):
    desk.hear(ChildDown("risk_limit", 1, 1, "boom"))
    assert denial(desk.hear(order())) == (DenialReason.GUARD_DOWN, "risk_limit")
    desk.hear(ChildServing("risk_limit", 2))
    assert kinds(desk.hear(order())) == [CallTerminal]


def test_a_child_that_is_no_guard_may_be_down(desk):
    desk.hear(ChildDown("reporter", 1, 1, "boom"))
    assert kinds(desk.hear(order())) == [CallTerminal]


def test_the_second_crash_of_a_position_s_actor_holds_its_symbol_in_the_same_instant(desk):
    (placed,) = desk.hear(ChildDown("position/EURUSD", 2, 2, "boom"))
    assert isinstance(placed, HoldPlaced)
    desk.hear(ChildServing("position/EURUSD", 3))
    assert denial(desk.hear(order())) == (DenialReason.HOLD, "supervision: position/EURUSD crashed 2 times")
    assert kinds(desk.hear(order(symbol="GBPUSD"))) == [CallTerminal]


def test_a_parked_message_holds_until_a_person_rearms(desk):
    desk.hear(MessageParked("risk_limit", 9, "BarClosed", "boom"))
    assert denial(desk.hear(order()))[0] is DenialReason.HOLD
    desk.hear(ModeChanged(Mode.CLOSE_ONLY, 3, "me", "rearm"))
    desk.hear(TradingRearmed("me", 3))
    desk.hear(ModeChanged(Mode.RUN, 3, "me", "start"))
    assert kinds(desk.hear(order())) == [CallTerminal]


def test_holds_stand_over_a_restart_of_the_process(desk):
    desk.hear(MessageParked("risk_limit", 9, "BarClosed", "boom"))
    desk.hear(STARTED)
    desk.read()
    desk.read()
    assert denial(desk.hear(order()))[0] is DenialReason.HOLD


def test_a_hold_that_is_ended_is_over(desk):
    desk.hear(HoldPlaced("circuit_breaker", "EURUSD", "wide", 0))
    assert denial(desk.hear(order()))[0] is DenialReason.HOLD
    desk.hear(HoldEnded("circuit_breaker", "EURUSD"))
    assert kinds(desk.hear(order())) == [CallTerminal]


def test_a_snapshot_forgets_no_lock_and_uses_no_magic_twice(unknown):
    again = Desk()
    restore(again.gateway, snapshot_of(unknown.gateway))
    assert again.gateway.state == unknown.gateway.state
    assert denial(again.hear(order()))[0] is DenialReason.SLOT_LOCKED
    (call,) = again.hear(order(symbol="GBPUSD"))
    assert call.magic == magic_for(INSTALLATION, 2)
