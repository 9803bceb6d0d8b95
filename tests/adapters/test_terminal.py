"""The terminal edge over a broker that does as it is told, a journal that may stand still, and a clock moved by hand."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from orders import INSTALLATION, SPEC, deal_in, order, seen

from evenkeel.adapters.broker import Answer
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.terminal import TerminalEdge
from evenkeel.messages.broker_gateway import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    CallTerminal,
    Cash,
    CashKind,
    CashMoved,
    CloseRequest,
    Deal,
    DealDone,
    IntentSettled,
    OpenRequest,
    OrderOutcomeResolved,
    Outcome,
    PositionsRead,
    ReadTerminal,
    StopRequest,
    TerminalAnswered,
    TerminalReadable,
    TerminalUnreadable,
)
from evenkeel.messages.market import DailyBarsRead, DailyRange, Direction, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import CommandDone, Mode, ModeChanged
from evenkeel.messages.system import Message
from evenkeel.rules.magic import magic_for
from evenkeel.rules.order_intents import request_for
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.edge import At

REQUEST = request_for(order())
CLOSE = CloseRequest("EURUSD", 1001, Direction.BUY, 0)
ACCOUNT = AccountRead(1_000_000, 1_000_000, 0, "USD", 2, 100)
FILLED = Answer(Outcome.ACCEPTED, 1001, 110_010, 10, 10009, "request executed")
WAITING = BrokerOrder(3003, "EURUSD", 1, Direction.BUY, 5, 109_000, 0, "")
LOST = Answer(Outcome.UNKNOWN, detail="the reply was lost")


class ObedientBroker:
    """Answers with what lies in it and keeps what it was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.answer = FILLED
        self.held: Sequence[BrokerPosition] | None = ()
        self.waiting: Sequence[BrokerOrder] | None = ()
        self.history: list[Deal] | None = []
        self.lines: list[Cash] = []
        self.meanwhile: list[Deal] = []
        self.spec: SymbolSpec | None = SPEC
        self.money: AccountRead | None = ACCOUNT

    def open_position(
        self, request: OpenRequest, magic: int, *, intent_id: int = 0, epoch: int = 0, within_ms: int = 0
    ) -> Answer:
        self.sent.append((request, magic))
        return self.answer

    def close_position(self, request: CloseRequest, volume_steps: int, magic: int) -> Answer:
        self.sent.append((request, volume_steps))
        return self.answer

    def set_stops(self, request: StopRequest) -> Answer:
        self.sent.append((request,))
        return self.answer

    def positions(self) -> Sequence[BrokerPosition] | None:
        return self.held

    def orders(self) -> Sequence[BrokerOrder] | None:
        return self.waiting

    def cash(self, after_ticket: int) -> Sequence[Cash] | None:
        return [line for line in self.lines if line.deal_ticket > after_ticket]

    def deals(self, after_ticket: int) -> Sequence[Deal] | None:
        return None if self.history is None else [deal for deal in self.history if deal.deal_ticket > after_ticket]

    def account(self) -> AccountRead | None:
        """What happens while it is read is in it, and the history shows it afterwards."""
        if self.history is not None:
            self.history += self.meanwhile
        self.meanwhile = []
        return self.money

    def symbol(self, name: str) -> SymbolSpec | None:
        return self.spec

    def quote(self, symbol: str) -> Quote | None:
        return Quote(0, 110_020, 110_030)

    def ticks(self, symbol: str, from_utc_ms: int) -> Sequence[Quote] | None:
        return None

    def daily_ranges(self, symbol: str, count: int) -> Sequence[DailyRange] | None:
        return [DailyRange(110_700, 110_000, 110_350)]


class StandingJournal:
    """Durable up to where a test says; `flush` notes how long it was asked to wait."""

    def __init__(self) -> None:
        self.durable_seq = 100
        self.flushed_s: list[float] = []
        self.flushes_to = 0

    def flush(self, timeout_s: float) -> bool:
        self.flushed_s.append(timeout_s)
        self.durable_seq = max(self.durable_seq, self.flushes_to)
        return False


class Room:
    """One edge after another over the same broker, journal, gate and board, as a host would run it."""

    def __init__(self) -> None:
        self.broker, self.journal, self.gate, self.board = ObedientBroker(), StandingJournal(), Gate(), QuoteBoard()
        self.now_ns, self.kill_epoch, self.now_utc_ms = 0, 3, 10_000
        self.edge = self.make()
        self.resume()
        self.quote()
        self.hear(ModeChanged(Mode.RUN, 3, "me", "start"))

    def make(self) -> TerminalEdge:
        return TerminalEdge(
            self.broker,
            ("EURUSD",),
            gate=self.gate,
            board=self.board,
            journal=self.journal,
            kill_epoch=lambda: self.kill_epoch,
            monotonic_ns=lambda: self.now_ns,
            quote_age_ms_max={"EURUSD": 5_000},
            closes_per_s=2,
            reading_every_ms=5_000,
            unreadable_ms=10_000,
        )

    def quote(self) -> None:
        self.board.put("EURUSD", 0, 110_000, 110_010, self.now_ns)

    def hear(self, message: Any, seq: int = 50, at_utc_ms: int | None = None) -> list[Any]:
        self.edge.remember(message)
        return self.remembered(self.edge.act(message, At(seq, self.now_utc_ms if at_utc_ms is None else at_utc_ms)))

    def poll(self, after_ms: int = 0) -> list[Any]:
        self.now_ns += after_ms * 1_000_000
        return self.remembered(self.edge.poll(self.now_utc_ms))

    def resume(self) -> list[Any]:
        return self.remembered(self.edge.resume(self.now_utc_ms))

    def remembered(self, said: Sequence[Message]) -> list[Any]:
        for message in said:
            self.edge.remember(message)
        return list(said)


@pytest.fixture
def room() -> Room:
    return Room()


def open_call(intent_id: int = 1, *, epoch: int = 3, expires_utc_ms: int = 13_000) -> CallTerminal:
    return CallTerminal(intent_id, magic_for(INSTALLATION, intent_id), epoch, expires_utc_ms, REQUEST)


def close_call(intent_id: int = 2, request: Any = CLOSE) -> CallTerminal:
    return CallTerminal(intent_id, magic_for(INSTALLATION, intent_id), 3, 0, request)


def outcomes(said: list[Any]) -> list[tuple[Outcome, str]]:
    return [(message.outcome, message.detail) for message in said if isinstance(message, TerminalAnswered)]


# Opens


def test_an_open_whose_intent_is_durable_is_sent_once_and_answered(room):
    assert room.hear(open_call()) == [TerminalAnswered(1, Outcome.ACCEPTED, 1001, 110_010, 10, 10009, "request executed")]
    assert room.broker.sent == [(REQUEST, magic_for(INSTALLATION, 1))]


def test_the_deal_of_an_open_comes_with_its_answer(room):
    room.broker.history = [deal_in()]
    assert room.hear(open_call())[1:] == [DealDone(deal_in())]
    assert room.hear(ReadTerminal(1)) == [PositionsRead(1, (), 5001)]


def test_the_deal_of_an_open_that_had_to_wait_is_told_once_although_a_reading_is_due(room):
    room.hear(open_call(expires_utc_ms=20_000), seq=101)
    room.broker.history = [deal_in()]
    room.journal.durable_seq = 101
    said = room.poll(after_ms=5_000) + room.poll()
    assert [message for message in said if isinstance(message, DealDone)] == [DealDone(deal_in())]


def test_what_came_of_one_open_is_told_before_the_next_one_leaves(room):
    room.hear(open_call(), seq=101)
    room.hear(CallTerminal(2, magic_for(INSTALLATION, 2), 3, 13_000, msgspec.structs.replace(REQUEST, slot=1)), seq=102)
    room.broker.history, room.journal.durable_seq = [deal_in()], 102
    assert [type(message) for message in room.poll()] == [TerminalAnswered, DealDone]
    assert len(room.broker.sent) == 1
    assert [type(message) for message in room.poll()] == [TerminalAnswered]


def test_an_open_waits_until_the_journal_covers_it(room):
    assert room.hear(open_call(), seq=101) == []
    assert room.poll(after_ms=100) == []
    room.journal.durable_seq = 101
    assert outcomes(room.poll()) == [(Outcome.ACCEPTED, "request executed")]
    assert room.journal.flushed_s == []


def test_an_open_that_does_not_become_durable_in_time_is_void(room):
    room.hear(open_call(), seq=101)
    assert room.poll(after_ms=2_999) == []
    room.quote()
    assert outcomes(room.poll(after_ms=1)) == [(Outcome.VOID, "not_durable")]
    assert room.broker.sent == []


def test_an_open_waits_for_a_fresh_quote_and_goes_with_the_next_one(room):
    room.now_ns = 5_001_000_000
    assert room.hear(open_call()) == []
    room.quote()
    assert outcomes(room.poll()) == [(Outcome.ACCEPTED, "request executed")]


def test_an_open_without_a_fresh_quote_in_time_is_void(room):
    room.now_ns = 5_001_000_000
    room.hear(open_call())
    assert outcomes(room.poll(after_ms=3_000)) == [(Outcome.VOID, "quote_age")]


def test_an_open_that_comes_too_late_is_void(room):
    assert outcomes(room.hear(open_call(), at_utc_ms=13_000)) == [(Outcome.VOID, "expired")]


def test_what_waited_while_the_quotes_stood_still_is_void_and_nothing_bursts_out_when_they_are_back(room):
    room.now_ns += 6_000_000_000
    for intent_id in (1, 2, 3):
        assert room.hear(open_call(intent_id)) == []
    assert outcomes(room.poll(after_ms=60_000)) == [(Outcome.VOID, "quote_age")] * 3
    room.quote()
    assert outcomes(room.poll(after_ms=100)) == []
    assert room.broker.sent == []


def test_what_waited_while_the_machine_was_suspended_is_void(room):
    assert room.hear(open_call(), seq=101) == []
    room.journal.durable_seq = 101
    assert outcomes(room.poll(after_ms=7_200_000)) == [(Outcome.VOID, "quote_age")]
    assert room.broker.sent == []


def test_an_open_without_expiry_waits_as_long_as_it_takes(room):
    room.hear(open_call(expires_utc_ms=0), seq=101)
    assert outcomes(room.poll(after_ms=3_600_000)) == []


def test_a_kill_on_disk_makes_void_what_was_decided_before_it(room):
    room.kill_epoch = 4
    assert outcomes(room.hear(open_call())) == [(Outcome.VOID, "epoch")]


def test_a_kill_while_an_open_waits_makes_it_void(room):
    room.hear(open_call(), seq=101)
    room.kill_epoch, room.journal.durable_seq = 4, 101
    assert outcomes(room.poll()) == [(Outcome.VOID, "epoch")]


def test_a_mode_that_was_heard_of_shuts_the_gate(room):
    room.hear(ModeChanged(Mode.CLOSE_ONLY, 3, "me", "pause"))
    assert outcomes(room.hear(open_call())) == [(Outcome.VOID, "mode")]


def test_a_shut_gate_opens_again_when_its_command_has_ended(room):
    room.gate.shut("pause-1")
    assert outcomes(room.hear(open_call())) == [(Outcome.VOID, "mode")]
    room.hear(CommandDone("pause-1", ""))
    assert outcomes(room.hear(open_call(2)))[0][0] is Outcome.ACCEPTED


def test_what_waits_while_a_command_shuts_the_gate_does_not_leave_after_its_end(room):
    room.hear(open_call(), seq=101)
    room.gate.shut("pause-1")
    assert outcomes(room.hear(CommandDone("pause-1", ""))) == [(Outcome.VOID, "mode")]
    room.journal.durable_seq = 101
    assert room.poll() == []


def test_what_waits_is_not_touched_by_the_end_of_another_command(room):
    room.hear(open_call(), seq=101)
    assert room.hear(CommandDone("close-1", "")) == []
    room.journal.durable_seq = 101
    assert outcomes(room.poll()) == [(Outcome.ACCEPTED, "request executed")]


def test_the_same_intent_twice_is_sent_once(room):
    room.hear(open_call())
    assert outcomes(room.hear(open_call())) == [(Outcome.VOID, "repeated")]
    assert len(room.broker.sent) == 1


def test_an_accepted_open_without_a_ticket_is_not_known_yet(room):
    room.broker.answer = Answer(Outcome.ACCEPTED, code=10009)
    assert outcomes(room.hear(open_call()))[0][0] is Outcome.PENDING
    assert outcomes(room.hear(open_call(2))) == [(Outcome.VOID, "slot_locked")]


# Unknown answers


@pytest.fixture
def unknown(room: Room) -> Room:
    """Open 1 left and its reply was lost."""
    room.broker.answer = LOST
    room.hear(open_call())
    room.broker.answer = FILLED
    return room


def is_locked(room: Room, intent_id: int = 3) -> bool:
    return outcomes(room.hear(open_call(intent_id))) == [(Outcome.VOID, "slot_locked")]


def test_an_unknown_answer_keeps_the_slot_at_the_gate(unknown):
    assert is_locked(unknown)


def test_a_repeat_that_is_refused_settles_nothing(unknown):
    assert outcomes(unknown.hear(open_call())) == [(Outcome.VOID, "repeated")]
    assert is_locked(unknown)


@pytest.mark.parametrize(
    "settling",
    [
        PositionsRead(1, (seen(),), 0),
        DealDone(deal_in()),
        OrderOutcomeResolved("EURUSD-1", "EURUSD", Direction.BUY, 1, order().lineage),
        IntentSettled(1),
    ],
)
def test_a_reading_a_deal_or_the_gateway_s_conclusion_frees_it(unknown, settling):
    unknown.edge.remember(settling)
    assert outcomes(unknown.hear(open_call(3)))[0][0] is Outcome.ACCEPTED


def test_a_reading_without_it_frees_nothing(unknown):
    unknown.hear(ReadTerminal(1))
    assert is_locked(unknown)


def test_a_new_process_keeps_the_slot_locked(unknown):
    state = snapshot_of(unknown.edge)
    unknown.gate = Gate()
    unknown.edge = unknown.make()
    restore(unknown.edge, state)
    unknown.resume()
    unknown.hear(ModeChanged(Mode.RUN, 3, "me", "start"))
    assert is_locked(unknown)


# Restarts


def test_a_call_without_an_answer_is_unknown_to_the_next_incarnation_and_not_sent_again(room):
    room.hear(open_call(), seq=101)
    state = snapshot_of(room.edge)
    room.edge = room.make()
    restore(room.edge, state)
    room.journal.durable_seq = 101
    assert outcomes(room.resume()) == [(Outcome.UNKNOWN, "the answer was lost")]
    assert (room.poll(), room.broker.sent) == ([], [])


def test_an_open_that_waited_for_the_next_incarnation_is_too_late_and_a_close_is_not(room):
    room.now_utc_ms = 11_000
    room.edge = room.make()
    room.resume()
    assert outcomes(room.hear(open_call(), at_utc_ms=10_999)) == [(Outcome.VOID, "expired")]
    room.broker.held = [seen()]
    assert outcomes(room.hear(close_call(), at_utc_ms=10_999))[0][0] is Outcome.ACCEPTED


# Closes and stops


@pytest.fixture
def holding(room: Room) -> Room:
    room.broker.held = [seen()]
    return room


@pytest.mark.parametrize("remaining_steps, asked_steps", [(0, 10), (4, 6)])
def test_a_close_asks_only_for_what_is_there_beyond_what_shall_remain(holding, remaining_steps, asked_steps):
    request = msgspec.structs.replace(CLOSE, remaining_steps=remaining_steps)
    holding.hear(close_call(request=request))
    assert holding.broker.sent == [(request, asked_steps)]


@pytest.mark.parametrize(
    "held, remaining_steps, outcome, code",
    [
        ([seen(volume_steps=4)], 4, Outcome.ACCEPTED, 0),
        ([], 0, Outcome.REJECTED, 10036),
        (None, 0, Outcome.UNKNOWN, 0),
    ],
)
def test_a_close_that_has_nothing_to_take_or_cannot_look_sends_nothing(room, held, remaining_steps, outcome, code):
    room.broker.held = held
    (said,) = room.hear(close_call(request=msgspec.structs.replace(CLOSE, remaining_steps=remaining_steps)))
    assert (said.outcome, said.code, room.broker.sent) == (outcome, code, [])


def test_nothing_that_limits_entries_stands_in_the_way_of_a_close_or_a_stop(holding):
    holding.gate.shut("kill-1")
    holding.gate.mode, holding.kill_epoch, holding.now_ns = Mode.FREEZE, 2**62, 10**12
    holding.broker.answer = LOST
    holding.hear(open_call())
    assert outcomes(holding.hear(close_call()))[0][0] is Outcome.UNKNOWN
    assert outcomes(holding.hear(close_call(3, StopRequest("EURUSD", 1001, 109_660, 0))))[0][0] is Outcome.UNKNOWN
    assert len(holding.broker.sent) == 2


def test_a_close_waits_a_quarter_of_a_second_for_the_journal_then_goes_and_is_marked(holding):
    (said,) = holding.hear(close_call(), seq=101)
    assert (holding.journal.flushed_s, said.undurable, said.outcome) == ([0.25], True, Outcome.ACCEPTED)


def test_a_close_that_becomes_durable_in_time_is_not_marked(holding):
    holding.journal.flushes_to = 101
    (said,) = holding.hear(close_call(), seq=101)
    assert said.undurable is False


def test_a_close_does_not_wait_behind_an_open_that_waits(holding):
    holding.hear(open_call(), seq=101)
    assert outcomes(holding.hear(close_call()))[0][0] is Outcome.ACCEPTED


def test_closes_and_stops_beyond_so_many_a_second_wait_for_their_turn_and_none_is_refused(holding):
    said = [holding.hear(close_call(number)) for number in (1, 2, 3, 4)]
    assert [len(one) for one in said] == [1, 1, 0, 0]
    assert (holding.poll(after_ms=999), len(holding.broker.sent)) == ([], 2)
    assert [outcomes(holding.poll(after_ms=after_ms))[0][0] for after_ms in (1, 0)] == [Outcome.ACCEPTED] * 2


def test_a_close_that_waits_for_its_turn_is_unknown_to_the_next_incarnation(holding):
    for number in (1, 2, 3):
        holding.hear(close_call(number))
    before, holding.edge = holding.edge, holding.make()
    holding.edge.state = before.state
    [lost] = [message for message in holding.resume() if isinstance(message, TerminalAnswered)]
    assert (lost.intent_id, lost.outcome) == (3, Outcome.UNKNOWN)
    assert (holding.poll(after_ms=2_000), len(holding.broker.sent)) == ([], 2)


def test_an_unknown_close_locks_no_entry(holding):
    holding.broker.answer = LOST
    holding.hear(close_call())
    holding.broker.answer = FILLED
    assert outcomes(holding.hear(open_call(3)))[0][0] is Outcome.ACCEPTED


# Readings


def test_a_reading_that_was_asked_for_is_said_also_when_nothing_has_changed(room):
    assert room.hear(ReadTerminal(1)) == [PositionsRead(1, (), 0)]
    assert room.hear(ReadTerminal(2)) == [PositionsRead(2, (), 0)]


def test_deals_come_before_the_positions_that_they_explain(room):
    room.broker.history, room.broker.held = [deal_in()], [seen()]
    assert room.hear(ReadTerminal(1)) == [DealDone(deal_in()), PositionsRead(1, (seen(),), 5001)]


@pytest.mark.parametrize("unreadable", ["held", "history", "waiting"])
def test_what_cannot_be_read_says_nothing_at_all(room, unreadable):
    room.broker.history, room.broker.held = [deal_in()], [seen()]
    setattr(room.broker, unreadable, None)
    assert room.hear(ReadTerminal(1)) == []


def test_a_deal_that_the_history_shows_late_is_told_by_the_next_reading_once(room):
    room.broker.history = [deal_in(deal_ticket=5009)]
    room.hear(ReadTerminal(1))
    late = deal_in(deal_ticket=5007)
    room.broker.history = [late, *room.broker.history]
    assert room.hear(ReadTerminal(2)) == [DealDone(late), PositionsRead(2, (), 5009)]
    assert room.hear(ReadTerminal(3)) == [PositionsRead(3, (), 5009)]


def test_what_is_no_trade_is_told_as_cash_in_the_order_of_the_history(room):
    charge = Cash(5004, CashKind.CHARGE, -20_00, "data feed", 0)
    room.broker.history, room.broker.lines = [deal_in(deal_ticket=5003), deal_in(deal_ticket=5005)], [charge]
    said = room.hear(ReadTerminal(1))
    assert [type(message) for message in said] == [DealDone, CashMoved, DealDone, PositionsRead]
    assert said[1] == CashMoved(charge)


def test_a_reading_tells_of_orders_that_wait_at_the_broker(room):
    room.broker.waiting = [WAITING]
    assert room.poll(after_ms=5_000) == [PositionsRead(0, (), 0, (WAITING,))]
    assert room.poll(after_ms=5_000) == []


def test_a_reading_that_shows_nothing_new_is_said_once_a_minute_all_the_same(room):
    assert [room.poll(after_ms=5_000) for _ in range(12)] == [[]] * 11 + [[PositionsRead(0, (), 0)]]


def test_a_short_silence_of_the_terminal_is_nothing_to_say(room):
    room.broker.held = None
    assert room.poll(after_ms=5_000) + room.poll(after_ms=5_000) == []
    room.broker.held = ()
    assert room.poll(after_ms=5_000) == []


def test_a_long_silence_of_the_terminal_is_said_once_and_its_end_before_the_first_reading(room):
    room.broker.held = None
    assert [room.poll(after_ms=5_000) for _ in range(5)] == [[], [], [TerminalUnreadable(10_000)], [], []]
    room.broker.held = [seen()]
    assert room.poll(after_ms=5_000) == [TerminalReadable(25_000), PositionsRead(0, (seen(),), 0)]
    assert room.poll(after_ms=5_000) == []


def test_the_account_is_told_with_a_reading_when_it_is_asked_for(room):
    assert room.hear(ReadTerminal(1, with_account=True)) == [PositionsRead(1, (), 0), ACCOUNT]


def test_the_account_is_told_again_after_each_line_of_the_history(room):
    room.broker.lines = [Cash(5004, CashKind.CREDIT, 100, "", 0)]
    assert room.poll(after_ms=5_000) == [CashMoved(room.broker.lines[0]), ACCOUNT]
    assert room.poll(after_ms=5_000) == []


@pytest.mark.parametrize("code, has_quote", [(10004, True), (10020, True), (10021, True), (10006, False), (10018, False)])
def test_an_open_that_was_refused_for_its_price_comes_back_with_the_price_of_now(room, code, has_quote):
    room.broker.answer = Answer(Outcome.REJECTED, code=code)
    (answered,) = room.hear(open_call())
    assert answered.quote == (Quote(0, 110_020, 110_030) if has_quote else None)


def test_it_looks_by_itself_every_five_seconds_and_says_only_changes(room):
    assert room.poll(after_ms=4_999) == []
    room.broker.held = [seen()]
    assert room.poll(after_ms=1) == [PositionsRead(0, (seen(),), 0)]
    assert room.poll(after_ms=5_000) == []
    room.broker.held = [seen(stop_points=0)]
    assert room.poll(after_ms=5_000) == [PositionsRead(0, (seen(stop_points=0),), 0)]


def test_the_account_is_read_only_when_no_deal_came_in_between(room):
    room.broker.meanwhile, room.broker.money = [deal_in()], msgspec.structs.replace(ACCOUNT, balance_cents=999_965)
    assert room.poll(after_ms=5_000) == []
    assert room.poll(after_ms=5_000) == [DealDone(deal_in()), room.broker.money]
    assert room.poll(after_ms=5_000) == []


def test_terms_that_change_are_said_within_a_minute_also_of_a_symbol_in_which_something_is_open(room):
    room.broker.held = [seen()]
    room.poll(after_ms=5_000)
    room.broker.spec = msgspec.structs.replace(SPEC, spec_id=2, stops_level_points=30)
    said = [message for _ in range(12) for message in room.poll(after_ms=5_000)]
    assert [message for message in said if isinstance(message, SymbolSpecified)] == [SymbolSpecified(room.broker.spec)]


def test_terms_are_said_at_the_start_and_asked_for_again_while_there_are_none(room):
    room.broker.spec, room.edge = None, room.make()
    assert SymbolSpecified not in [type(message) for message in room.resume()]
    room.broker.spec = SPEC
    assert [type(message) for message in room.poll(after_ms=5_000)] == [SymbolSpecified, DailyBarsRead]
    assert room.poll(after_ms=5_000) == []
