"""broker_gateway: keeps the intents, the guard table and what we believe the broker holds. It only decides.

Every open is checked against the guard table and becomes a `CallTerminal`, once. An outcome that nobody knows keeps its
locks until the broker's records resolve it. Positions exist because the broker shows them; money comes from deals alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import (
    AccountRead,
    AdoptPosition,
    BrokerAgreed,
    BrokerDisagreed,
    BrokerPosition,
    CallTerminal,
    CashMoved,
    CloseRequest,
    DealDone,
    DealEntry,
    Outcome,
    PositionsRead,
    ReadTerminal,
    StopRequest,
    TerminalAnswered,
    TerminalReadable,
    TerminalUnreadable,
)
from evenkeel.messages.entry import DenialReason, OpenPosition
from evenkeel.messages.market import DailyBarsRead, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import CommandDone, CommandRefused, HoldEnded, HoldPlaced, ModeChanged, TradingRearmed
from evenkeel.messages.position import CloseFailed, CloseFailure, ClosePosition, StopTightened
from evenkeel.messages.protection import SetStops, StopsRefused
from evenkeel.messages.shield import ShieldLowered, ShieldRaised
from evenkeel.messages.system import ChildDown, ChildServing, Message, MessageParked, RunStarted, SetTimer, TimerDue
from evenkeel.rules import broker_book, broker_levels, guard_table, money, seen_deals
from evenkeel.rules.adoption import Plan, adoption_refusal, plan_for
from evenkeel.rules.answers import answered
from evenkeel.rules.broker_book import BrokerBook
from evenkeel.rules.catastrophe_stop import daily_atr_points
from evenkeel.rules.entries import Refusal
from evenkeel.rules.guard_table import GuardTable
from evenkeel.rules.magic import NUMBER_MAX, OPENS_NUMBER_MAX, RESTORED_JUMP, magic_for
from evenkeel.rules.money import MoneyBook
from evenkeel.rules.order_intents import (
    CloseIntent,
    OpenIntent,
    StopIntent,
    denied,
    lock_refusals,
    request_for,
)
from evenkeel.rules.readings import READINGS_TO_CONCLUDE, concluded, is_unsettled, lacks_others
from evenkeel.rules.reconciliation import differences, unmanaged
from evenkeel.rules.trading_calendar import trading_day
from evenkeel.rules.witnesses import Marked, highest_number

NAME: Final = "broker_gateway"
READING_TIMER: Final = "reading"


class BrokerGatewayState(msgspec.Struct):
    """`intents` counts what was ever sent, so that no magic is used twice. `equal_readings` counts readings that match
    what we believe, `disagreement` is what does not; `read_utc_ms` is when the last one was counted, `uncounted` that one
    since then came too soon to prove what it lacks. `deal_ticket` is the newest line of the history that was counted,
    `recent_deals` the last ones before it."""

    installation: int = 0
    intents: int = 0
    readings: int = 0
    guards: GuardTable = msgspec.field(default_factory=GuardTable)
    book: BrokerBook = msgspec.field(default_factory=BrokerBook)
    equal_readings: int = 0
    disagreement: str = ""
    read_utc_ms: int | None = None
    uncounted: bool = False
    deal_ticket: int = 0
    recent_deals: list[int] = []
    money: MoneyBook = msgspec.field(default_factory=MoneyBook)
    specs: dict[str, SymbolSpec] = {}
    daily_atr_points: dict[str, int] = {}


OfGuards = (
    ModeChanged
    | TradingRearmed
    | HoldPlaced
    | HoldEnded
    | ShieldRaised
    | ShieldLowered
    | ChildDown
    | ChildServing
    | MessageParked
)
Heard = (
    RunStarted
    | OpenPosition
    | ClosePosition
    | SetStops
    | StopTightened
    | TerminalAnswered
    | DealDone
    | CashMoved
    | PositionsRead
    | AccountRead
    | TerminalUnreadable
    | TerminalReadable
    | AdoptPosition
    | SymbolSpecified
    | DailyBarsRead
    | TimerDue
    | OfGuards
)


class BrokerGateway:
    """`guards` are the children without which nothing may be opened."""

    def __init__(self, config: Config, guards: Sequence[str]) -> None:
        self.state = BrokerGatewayState()
        self._config = config
        self._gap_ms = round(config.broker_gateway.reading_gap_s * 1000)
        self._guards = frozenset(guards)

    def handle(self, message: Heard, now_utc_ms: int, /) -> Sequence[Message]:
        match message:
            case OpenPosition():
                return self._open(message, now_utc_ms)
            case ClosePosition():
                return self._close(message)
            case SetStops():
                return self._set_stops(message)
            case StopTightened():
                return self._tightened(message)
            case TerminalAnswered():
                return self._answered(message, now_utc_ms)
            case DealDone() | CashMoved():
                return self._history(message)
            case PositionsRead():
                return self._read(message, now_utc_ms)
            case AccountRead():
                return self._account(message, now_utc_ms)
            case TerminalUnreadable() | TerminalReadable():
                return self._readable(message, now_utc_ms)
            case AdoptPosition():
                return self._adopt(message, now_utc_ms)
            case SymbolSpecified() | DailyBarsRead():
                return self._terms(message)
            case TimerDue():
                return self._read_now(now_utc_ms) if self._must_read() else ()
            case RunStarted():
                return self._run_started(message, now_utc_ms)
            case _:
                return self._guard(message)

    # -- guards ---------------------------------------------------------------------------------------------------------

    def _guard(self, message: OfGuards) -> Sequence[Message]:
        guards = self.state.guards
        match message:
            case ModeChanged():
                guards.mode, guards.epoch = message.mode, message.epoch
            case TradingRearmed():
                guard_table.rearm(guards)
                guards.epoch = message.epoch
                money.accept_measured(self.state.money)
            case HoldPlaced():
                guard_table.place(guards, message)
                if message.command_id:
                    detail = f"no new risk in {message.scope}: {message.reason}"
                    return [CommandDone(message.command_id, detail)]
            case HoldEnded():
                guard_table.end(guards, message.who, message.scope)
            case ShieldRaised():
                guard_table.raise_shield(guards, message)
            case ShieldLowered():
                guard_table.lower_shield(guards, message)
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
        """Whatever was believed before, entries are closed until two readings agree. A journal out of a backup has forgotten
        which numbers were used after it."""
        self.state.installation = started.installation
        self.state.intents += RESTORED_JUMP if started.restored else 0
        self.state.guards.agreed = False
        self.state.guards.down = []
        self.state.equal_readings = 0
        return self._read_now(now_utc_ms)

    # -- orders ---------------------------------------------------------------------------------------------------------

    def _open(self, order: OpenPosition, now_utc_ms: int) -> Sequence[Message]:
        refusal = next(self.refusals(order, now_utc_ms), None)
        if refusal is not None:
            return [denied(order, NAME, refusal)]
        intent_id, magic = self._next_intent()
        self.state.book.opens[intent_id] = OpenIntent(order, magic, asked_utc_ms=now_utc_ms)
        return [CallTerminal(intent_id, magic, self.state.guards.epoch, order.expires_utc_ms, request_for(order))]

    def refusals(self, order: OpenPosition, now_utc_ms: int) -> Iterator[Refusal]:
        """All that stands against `order` now, the one that is answered with first. Changes nothing."""
        book, strategy = self.state.book, order.lineage.strategy
        yield from guard_table.entry_refusals(
            self.state.guards, order.symbol, now_utc_ms, strategy=strategy, direction=order.direction
        )
        yield from lock_refusals(order, book.opens.values(), book.foreign.values(), now_utc_ms)
        if self.state.intents >= OPENS_NUMBER_MAX:
            yield Refusal(DenialReason.MAGIC_EXHAUSTED, self.state.intents, OPENS_NUMBER_MAX, "count")

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
        position = self.state.book.positions.get(order.ticket)
        if position is None:
            return [StopsRefused(order.ticket, order.symbol, Outcome.VOID, 0, "not known here")]
        return [self._call_stops(broker_levels.asked(position, order))]

    def _tightened(self, moved: StopTightened) -> Sequence[Message]:
        """A stop at the broker at that level is the app's own, should it end the position there."""
        position = self.state.book.positions.get(moved.ticket)
        if position is not None:
            position.tight_stop_points = moved.stop_points
        return ()

    def _call_stops(self, intent: StopIntent) -> CallTerminal:
        intent_id, magic = self._next_intent()
        self.state.book.stops[intent_id] = intent
        request = StopRequest(intent.symbol, intent.ticket, intent.stop_points, intent.target_points)
        return CallTerminal(intent_id, magic, self.state.guards.epoch, 0, request)

    def _next_intent(self) -> tuple[int, int]:
        """Closes and stops go by ticket: they are sent also when no number of their own is left."""
        self.state.intents += 1
        return self.state.intents, magic_for(self.state.installation, min(self.state.intents, NUMBER_MAX))

    def _lift(self, shown: Iterable[Marked]) -> None:
        """A number of ours that the broker shows was used, whether or not it is remembered here."""
        self.state.intents = max(self.state.intents, highest_number(shown, self.state.installation))

    def _answered(self, answer: TerminalAnswered, now_utc_ms: int) -> Sequence[Message]:
        return self._held(
            answered(
                self.state.book,
                answer,
                now_utc_ms,
                read_now=lambda: self._read_now(now_utc_ms),
                look_again=self._look_again(now_utc_ms),
            )
        )

    def _history(self, line: DealDone | CashMoved) -> Sequence[Message]:
        """Each line of the history counts once: a replaced terminal edge may tell of one again."""
        state = self.state
        moved = line.deal if isinstance(line, DealDone) else line.cash
        if not seen_deals.is_new(moved.deal_ticket, state.deal_ticket, state.recent_deals):
            return ()
        state.deal_ticket = seen_deals.keep(moved.deal_ticket, state.deal_ticket, state.recent_deals)
        money.book_money(state.money, moved)
        if isinstance(line, CashMoved):
            return ()
        self._lift([line.deal])
        match line.deal.entry:
            case DealEntry.IN:
                return self._held(broker_book.deal_in(state.book, line.deal, state.installation, self._plan))
            case DealEntry.OUT:
                return self._held(broker_book.deal_out(state.book, line.deal, self._day_of(line.deal.time_utc_ms)))

    def _day_of(self, utc_ms: int) -> str:
        """A deal belongs to the day of its own time, whenever it is heard of."""
        calendar = self._config.trading_calendar
        return trading_day(utc_ms, calendar.day_boundary, calendar.zone)

    def _held(self, said: list[Message]) -> list[Message]:
        """Holds count from now on: an order may be on its way already."""
        for message in said:
            if isinstance(message, HoldPlaced):
                guard_table.place(self.state.guards, message)
            elif isinstance(message, HoldEnded):
                guard_table.end(self.state.guards, message.who, message.scope)
        return said

    # -- positions that came without an order ---------------------------------------------------------------------------

    def _adopt(self, command: AdoptPosition, now_utc_ms: int) -> Sequence[Message]:
        """A person's word makes a foreign position ours: its symbol's actor manages it from now on, and the reading that is
        asked for sees to its stop at the broker."""
        book, ticket = self.state.book, command.ticket
        seen = book.foreign.get(ticket)
        refusal = adoption_refusal(ticket, seen, book.positions, book.foreign_orders, self.state.specs, self._guards)
        if refusal is not None or seen is None:
            return [CommandRefused(command.command_id, refusal or "")]
        said = self._held(broker_book.adopt(book, seen, self._plan(seen)))
        done = CommandDone(command.command_id, f"position {ticket} in {seen.symbol} is ours now")
        return [*said, *self._read_now(now_utc_ms), done]

    def _plan(self, seen: BrokerPosition) -> Plan:
        return plan_for(self._config, seen, self.state.specs.get(seen.symbol), self.state.daily_atr_points.get(seen.symbol))

    def _terms(self, message: SymbolSpecified | DailyBarsRead) -> Sequence[Message]:
        match message:
            case SymbolSpecified(spec):
                self.state.specs[spec.symbol] = spec
            case DailyBarsRead(symbol, _, days):
                atr_points = daily_atr_points(days, self._config.catastrophe_stop.daily_atr_days)
                if atr_points is not None:
                    self.state.daily_atr_points[symbol] = atr_points
            case _:
                assert_never(message)
        return ()

    # -- money ----------------------------------------------------------------------------------------------------------

    def _account(self, account: AccountRead, now_utc_ms: int) -> Sequence[Message]:
        said = self._held(money.account_read(self.state.money, account, now_utc_ms, self._gap_ms))
        return [*said, self._look_again(now_utc_ms)] if money.is_asked(self.state.money) else said

    # -- readings -------------------------------------------------------------------------------------------------------

    def _must_read(self) -> bool:
        """Something is open that only the broker's records can settle, or we have not agreed yet."""
        state = self.state
        return not state.guards.agreed or state.uncounted or is_unsettled(state.book) or money.is_asked(state.money)

    def _read_now(self, now_utc_ms: int) -> list[Message]:
        self.state.readings += 1
        return [ReadTerminal(self.state.readings, money.is_asked(self.state.money)), self._look_again(now_utc_ms)]

    def _look_again(self, now_utc_ms: int) -> SetTimer:
        """Readings that conclude something lie apart; and one that the terminal did not answer is asked for again."""
        return SetTimer(NAME, READING_TIMER, now_utc_ms + max(1, self._gap_ms))

    def _readable(self, message: TerminalUnreadable | TerminalReadable, now_utc_ms: int) -> Sequence[Message]:
        """After a stretch in which nobody could look, agreement is earned anew: much may have happened."""
        if isinstance(message, TerminalReadable):
            return self._read_now(now_utc_ms)
        return [*self._agree(["the terminal cannot be read"], 0), self._look_again(now_utc_ms)]

    def _read(self, reading: PositionsRead, now_utc_ms: int) -> Sequence[Message]:
        """A complete reading. What it shows is believed at once; what it does not show, only when it is shown twice."""
        state, book = self.state, self.state.book
        before = differences(book.positions, book.foreign, reading.positions)
        self._lift((*reading.positions, *reading.orders))
        said = broker_book.orders_seen(book, reading.orders, state.installation)
        for seen in reading.positions:
            if broker_book.is_news(book, seen):
                said += self._held(broker_book.appear(book, seen, state.installation, self._plan))
            elif seen.ticket in book.foreign:
                book.foreign[seen.ticket] = seen  # its levels are nobody's news, but those of an adopted one are as they are
            said += self._protect(seen)
        if state.read_utc_ms is None or now_utc_ms - state.read_utc_ms >= self._gap_ms:
            state.read_utc_ms, state.uncounted = now_utc_ms, False
            said += self._held(concluded(book, reading, self._day_of(now_utc_ms), now_utc_ms))
            said += self._agree([*before, *unmanaged(book.positions, self._guards)], len(reading.positions))
        else:
            state.uncounted = state.uncounted or lacks_others(book, reading)
        if self._must_read():
            said.append(self._look_again(now_utc_ms))
        return said

    def _protect(self, seen: BrokerPosition) -> list[Message]:
        """Set the broker's stop of a position of ours again when somebody removed it or moved it away."""
        book = self.state.book
        position = book.positions.get(seen.ticket)
        if position is None:
            return []
        if any(stop.ticket == seen.ticket for stop in book.stops.values()):
            return []
        moved = broker_levels.moved(position, seen)
        said: list[Message] = [] if moved is None else [moved]
        if not broker_levels.is_unprotected(position, seen):
            position.stop_failures = 0
            return said
        return [*said, self._call_stops(broker_levels.repair(position, seen))]

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
