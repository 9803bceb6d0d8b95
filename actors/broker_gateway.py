"""broker_gateway: keeps the intents, the guard table and what we believe the broker holds. It only decides.

Every open is checked against the guard table and becomes a `CallTerminal`, once. An outcome that nobody knows keeps its
locks until the broker's records resolve it. Positions exist because the broker shows them; money comes from deals alone.
"""

from collections.abc import Iterator, Sequence
from typing import Final, assert_never

import msgspec

from evenkeel.config.schema import BrokerGatewayConfig
from evenkeel.messages.broker_gateway import (
    BrokerAgreed,
    BrokerDisagreed,
    BrokerPosition,
    CallTerminal,
    CloseRequest,
    DealDone,
    DealEntry,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
    Outcome,
    PositionsRead,
    ReadTerminal,
    StopRequest,
    TerminalAnswered,
)
from evenkeel.messages.entry import DenialReason, OpenPosition, OrderDenied
from evenkeel.messages.operator import CommandDone, HoldEnded, HoldPlaced, ModeChanged, TradingRearmed
from evenkeel.messages.position import CloseFailed, CloseFailure, ClosePosition, ExitReason, ReducePosition
from evenkeel.messages.protection import SetStops, StopsRefused, StopsSet
from evenkeel.messages.system import ChildDown, ChildServing, Message, MessageParked, RunStarted, SetTimer, TimerDue
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules import broker_book, guard_table
from evenkeel.rules.broker_book import BrokerBook
from evenkeel.rules.entries import Refusal
from evenkeel.rules.guard_table import GuardTable
from evenkeel.rules.magic import magic_for
from evenkeel.rules.order_intents import (
    POSITION_GONE,
    CloseIntent,
    Life,
    OpenIntent,
    StopIntent,
    lock_refusals,
    request_for,
)
from evenkeel.rules.reconciliation import differences

NAME: Final = "broker_gateway"
READING_TIMER: Final = "reading"
READINGS_TO_CONCLUDE: Final = 2
STOP_FAILURES_MAX: Final = 2


class BrokerGatewayState(msgspec.Struct):
    """`intents` counts what was ever sent, so that no magic is used twice. `equal_readings` counts readings that match
    what we believe, `disagreement` is what does not; `read_utc_ms` is when the last one was counted. `deal_ticket` is the
    newest deal that was counted."""

    installation: int = 0
    intents: int = 0
    readings: int = 0
    guards: GuardTable = msgspec.field(default_factory=GuardTable)
    book: BrokerBook = msgspec.field(default_factory=BrokerBook)
    trading_day: str = ""
    equal_readings: int = 0
    disagreement: str = ""
    read_utc_ms: int | None = None
    deal_ticket: int = 0


Heard = (
    RunStarted
    | OpenPosition
    | ClosePosition
    | SetStops
    | TerminalAnswered
    | DealDone
    | PositionsRead
    | TimerDue
    | ModeChanged
    | TradingRearmed
    | HoldPlaced
    | HoldEnded
    | ChildDown
    | ChildServing
    | MessageParked
    | TradingDayStarted
)


class BrokerGateway:
    """`guards` are the children without which nothing may be opened."""

    def __init__(self, config: BrokerGatewayConfig, guards: Sequence[str]) -> None:
        self.state = BrokerGatewayState()
        self._config = config
        self._guards = frozenset(guards)

    def handle(self, message: Heard, now_utc_ms: int, /) -> Sequence[Message]:
        match message:
            case OpenPosition():
                return self._open(message, now_utc_ms)
            case ClosePosition():
                return self._close(message)
            case SetStops():
                return self._set_stops(message)
            case TerminalAnswered():
                return self._answered(message, now_utc_ms)
            case DealDone():
                return self._deal(message)
            case PositionsRead():
                return self._read(message, now_utc_ms)
            case TimerDue():
                return self._read_now(now_utc_ms) if self._must_read() else ()
            case RunStarted():
                return self._run_started(message, now_utc_ms)
            case TradingDayStarted():
                self.state.trading_day = message.day
                return ()
            case _:
                return self._guard(message)

    # -- guards ---------------------------------------------------------------------------------------------------------

    def _guard(
        self, message: ModeChanged | TradingRearmed | HoldPlaced | HoldEnded | ChildDown | ChildServing | MessageParked
    ) -> Sequence[Message]:
        guards = self.state.guards
        match message:
            case ModeChanged():
                guards.mode, guards.epoch = message.mode, message.epoch
            case TradingRearmed():
                guard_table.rearm(guards)
                guards.epoch = message.epoch
            case HoldPlaced():
                guard_table.place(guards, message)
                if message.command_id:
                    detail = f"no new risk in {message.scope}: {message.reason}"
                    return [CommandDone(message.command_id, detail)]
            case HoldEnded():
                guard_table.end(guards, message.who, message.scope)
            case ChildServing():
                guard_table.mark_serving(guards, message.child)
            case ChildDown() | MessageParked():
                if isinstance(message, ChildDown) and message.child in self._guards:
                    guard_table.mark_down(guards, message.child)
                hold = guard_table.hold_after(message)
                if hold is not None:
                    guard_table.place(guards, hold)  # now: an order may be on its way already
                    return [hold]
            case _:
                assert_never(message)
        return ()

    def _run_started(self, started: RunStarted, now_utc_ms: int) -> Sequence[Message]:
        """Whatever was believed before, entries are closed until two readings agree."""
        self.state.installation = started.installation
        self.state.guards.agreed = False
        self.state.guards.down = []
        self.state.equal_readings = 0
        return self._read_now(now_utc_ms)

    # -- orders ---------------------------------------------------------------------------------------------------------

    def _open(self, order: OpenPosition, now_utc_ms: int) -> Sequence[Message]:
        refusal = next(self.refusals(order, now_utc_ms), None)
        if refusal is not None:
            return [_denied(order, NAME, refusal)]
        intent_id, magic = self._next_intent()
        self.state.book.opens[intent_id] = OpenIntent(order, magic)
        return [CallTerminal(intent_id, magic, self.state.guards.epoch, order.expires_utc_ms, request_for(order))]

    def refusals(self, order: OpenPosition, now_utc_ms: int) -> Iterator[Refusal]:
        """All that stands against `order` now, the one that is answered with first. Changes nothing."""
        book = self.state.book
        yield from guard_table.entry_refusals(self.state.guards, order.symbol, now_utc_ms, strategy=order.lineage.strategy)
        yield from lock_refusals(order, book.opens.values(), book.foreign.values(), now_utc_ms)

    def _close(self, order: ClosePosition) -> Sequence[Message]:
        position = self.state.book.positions.get(order.ticket)
        if position is None:
            return [CloseFailed(order.ticket, order.symbol, order.generation, CloseFailure.REJECTED, "not known here")]
        intent_id, magic = self._next_intent()
        self.state.book.closes[intent_id] = CloseIntent(order, magic)
        position.asked = order.reason
        request = CloseRequest(order.symbol, order.ticket, position.direction, order.remaining_steps)
        return [CallTerminal(intent_id, magic, self.state.guards.epoch, 0, request)]

    def _set_stops(self, order: SetStops) -> Sequence[Message]:
        """Once the broker has taken them, these are the levels that belong there."""
        if order.ticket not in self.state.book.positions:
            return [StopsRefused(order.ticket, order.symbol, Outcome.VOID, 0, "not known here")]
        levels = order.stop_points, order.target_points
        return [self._call_stops(StopIntent(order.ticket, order.symbol, order.spec_id, *levels, is_asked=True))]

    def _call_stops(self, intent: StopIntent) -> CallTerminal:
        intent_id, magic = self._next_intent()
        self.state.book.stops[intent_id] = intent
        request = StopRequest(intent.symbol, intent.ticket, intent.stop_points, intent.target_points)
        return CallTerminal(intent_id, magic, self.state.guards.epoch, 0, request)

    def _next_intent(self) -> tuple[int, int]:
        self.state.intents += 1
        return self.state.intents, magic_for(self.state.installation, self.state.intents)

    def _answered(self, answer: TerminalAnswered, now_utc_ms: int) -> Sequence[Message]:
        """An answer to an intent that a deal or a reading resolved before says nothing new."""
        book, intent_id = self.state.book, answer.intent_id
        if intent_id in book.opens:
            return self._open_answered(book.opens[intent_id], answer, now_utc_ms)
        if intent_id in book.closes:
            return self._close_answered(book.closes[intent_id], answer, now_utc_ms)
        if intent_id in book.stops:
            return self._stop_answered(book.stops.pop(intent_id), answer, now_utc_ms)
        return ()

    def _open_answered(self, intent: OpenIntent, answer: TerminalAnswered, now_utc_ms: int) -> Sequence[Message]:
        order, book = intent.order, self.state.book
        match answer.outcome:
            case Outcome.ACCEPTED:
                return broker_book.fill(
                    book,
                    intent,
                    ticket=answer.ticket,
                    price_points=answer.price_points or request_for(order).price_points,
                    volume_steps=answer.volume_steps or order.volume_steps,
                    opened_utc_ms=now_utc_ms,
                )
            case Outcome.REJECTED | Outcome.VOID if intent.life is Life.UNKNOWN:
                return ()  # it may be a repeat that was refused: only the broker's records tell what became of the first
            case Outcome.REJECTED:
                broker_book.lapse(book, answer.intent_id)
                told = answer.intent_id, answer.code, answer.detail
                return [OrderRejected(order.proposal_id, order.symbol, order.direction, *told, order.lineage)]
            case Outcome.VOID:
                del book.opens[answer.intent_id]
                return [_denied(order, "gate", Refusal(DenialReason(answer.detail)))]
            case Outcome.UNKNOWN | Outcome.PENDING:
                intent.life = Life.UNKNOWN
                unknown = OrderOutcomeUnknown(
                    order.proposal_id, order.symbol, order.direction, answer.intent_id, answer.detail, order.lineage
                )
                return [unknown, *self._read_now(now_utc_ms)]

    def _close_answered(self, intent: CloseIntent, answer: TerminalAnswered, now_utc_ms: int) -> Sequence[Message]:
        """An accepted close waits for its deal; a refused one goes back to the position's owner, unless the position is
        gone already and the deal will tell why."""
        order = intent.order
        match answer.outcome:
            case Outcome.ACCEPTED | Outcome.PENDING:
                intent.life = Life.ACCEPTED
                return [self._look_again(now_utc_ms)]
            case Outcome.REJECTED | Outcome.VOID if answer.code != POSITION_GONE:
                del self.state.book.closes[answer.intent_id]
                detail = f"{answer.code} {answer.detail}"
                return [CloseFailed(order.ticket, order.symbol, order.generation, CloseFailure.REJECTED, detail)]
            case Outcome.REJECTED | Outcome.VOID | Outcome.UNKNOWN:
                intent.life = Life.UNKNOWN
                return self._read_now(now_utc_ms)

    def _stop_answered(self, intent: StopIntent, answer: TerminalAnswered, now_utc_ms: int) -> Sequence[Message]:
        """A repair that failed is made again by the next reading; twice in a row, the position is closed. Who asked for other
        levels decides for himself."""
        position, named = self.state.book.positions.get(intent.ticket), (intent.ticket, intent.symbol)
        if position is None:
            return ()
        if answer.outcome is Outcome.ACCEPTED:
            position.stop_failures, position.broker_stop_points = 0, intent.stop_points
            return [StopsSet(*named, intent.spec_id, intent.stop_points, intent.target_points)]
        refused = StopsRefused(*named, answer.outcome, answer.code, answer.detail)
        if intent.is_asked:
            return [refused]
        position.stop_failures += 1
        said: list[Message] = [refused, self._look_again(now_utc_ms)]
        if position.stop_failures >= STOP_FAILURES_MAX:
            said.append(ReducePosition(intent.ticket, intent.symbol, 0, ExitReason.UNPROTECTED))
        return said

    def _deal(self, done: DealDone) -> Sequence[Message]:
        """Each deal counts once, in the order of its ticket: a replaced terminal edge may tell of one again."""
        if done.deal.deal_ticket <= self.state.deal_ticket:
            return ()
        self.state.deal_ticket = done.deal.deal_ticket
        match done.deal.entry:
            case DealEntry.IN:
                return broker_book.deal_in(self.state.book, done.deal, self.state.installation)
            case DealEntry.OUT:
                return broker_book.deal_out(self.state.book, done.deal, self.state.trading_day)

    # -- readings -------------------------------------------------------------------------------------------------------

    def _must_read(self) -> bool:
        """Something is open that only the broker's records can settle, a stop is not where it belongs, or we have not
        agreed yet."""
        book = self.state.book
        lives = [intent.life for intent in book.opens.values()] + [intent.life for intent in book.closes.values()]
        unsettled = bool(book.foreign_unseen) or any(life is not Life.SENT for life in lives)
        unprotected = any(position.stop_failures for position in book.positions.values())
        return not self.state.guards.agreed or unsettled or unprotected

    def _read_now(self, now_utc_ms: int) -> list[Message]:
        self.state.readings += 1
        return [ReadTerminal(self.state.readings), self._look_again(now_utc_ms)]

    def _look_again(self, now_utc_ms: int) -> SetTimer:
        """Readings that conclude something lie apart; and one that the terminal did not answer is asked for again."""
        return SetTimer(NAME, READING_TIMER, now_utc_ms + max(1, round(self._config.reading_gap_s * 1000)))

    def _read(self, reading: PositionsRead, now_utc_ms: int) -> Sequence[Message]:
        """A complete reading. What it shows is believed at once; what it does not show, only when it is shown twice."""
        state, book = self.state, self.state.book
        before = differences(book.positions, book.foreign, reading.positions)
        said: list[Message] = []
        for seen in reading.positions:
            if broker_book.is_news(book, seen):
                said += broker_book.appear(book, seen, state.installation)
            said += self._protect(seen)
        gap_ms = round(self._config.reading_gap_s * 1000)
        if state.read_utc_ms is None or now_utc_ms - state.read_utc_ms >= gap_ms:
            state.read_utc_ms = now_utc_ms
            said += self._conclude({position.ticket: position for position in reading.positions})
            said += self._agree([*before, *self._unmanaged()], len(reading.positions))
        if self._must_read():
            said.append(self._look_again(now_utc_ms))
        return said

    def _protect(self, seen: BrokerPosition) -> list[Message]:
        """Set the broker's stop of a position of ours again when it is missing or somebody moved it."""
        book = self.state.book
        position = book.positions.get(seen.ticket)
        if position is None or not position.broker_stop_points:
            return []
        if seen.stop_points == position.broker_stop_points:
            position.stop_failures = 0
            return []
        if any(stop.ticket == seen.ticket for stop in book.stops.values()):
            return []
        levels = position.broker_stop_points, seen.target_points
        return [self._call_stops(StopIntent(seen.ticket, seen.symbol, seen.spec_id, *levels))]

    def _conclude(self, seen: dict[int, BrokerPosition]) -> list[Message]:
        """Unknown opens and foreign positions that two readings do not show do not exist; closes whose position two
        readings show have failed."""
        book = self.state.book
        said = broker_book.foreign_gone(book, set(seen))
        for intent_id, opened in list(book.opens.items()):
            if opened.life is Life.UNKNOWN:
                opened.absent_readings += 1
                if opened.absent_readings >= READINGS_TO_CONCLUDE:
                    order = broker_book.lapse(book, intent_id).order
                    said.append(
                        OrderOutcomeResolved(order.proposal_id, order.symbol, order.direction, intent_id, order.lineage)
                    )
        for intent_id, close in list(book.closes.items()):
            order_, position = close.order, seen.get(close.order.ticket)
            if close.life is Life.SENT or position is None or position.volume_steps <= order_.remaining_steps:
                continue
            close.present_readings += 1
            if close.present_readings >= READINGS_TO_CONCLUDE:
                del book.closes[intent_id]
                failure = CloseFailure.STILL_OPEN
                said.append(CloseFailed(order_.ticket, order_.symbol, order_.generation, failure, "two readings show it"))
        return said

    def _unmanaged(self) -> list[str]:
        """Positions of ours in symbols that have no actor any more: their stop at the broker is all that they have."""
        positions = self.state.book.positions.values()
        left = [position for position in positions if f"position/{position.symbol}" not in self._guards]
        return [f"position {position.ticket} in {position.symbol} has nobody who manages it" for position in left]

    def _agree(self, found: list[str], positions: int) -> list[Message]:
        """Count readings in a row that match; an unknown order is no mismatch, its own locks hold."""
        state = self.state
        before, state.disagreement = state.disagreement, "; ".join(found[:5])
        if found:
            state.equal_readings, state.guards.agreed = 0, False
            return [BrokerDisagreed(state.disagreement)] if state.disagreement != before else []
        state.equal_readings += 1
        if state.guards.agreed or state.equal_readings < READINGS_TO_CONCLUDE:
            return []
        state.guards.agreed = True
        return [BrokerAgreed(positions)]


def _denied(order: OpenPosition, by: str, refusal: Refusal) -> OrderDenied:
    return OrderDenied(order.proposal_id, order.symbol, order.direction, by, *refusal[:4], order.lineage, refusal.detail)
