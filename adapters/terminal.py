"""The terminal edge: carries intents to the broker once, and readings and deals back.

It waits for the journal where an order adds risk, never long where it takes risk away; what it cannot know it calls
UNKNOWN. It decides nothing: the gateway does.
"""

import functools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, assert_never

import msgspec

from evenkeel.adapters.broker import Answer, Broker
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.messages.broker_gateway import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    CallTerminal,
    Cash,
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
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.market import DailyBarsRead, SymbolSpecified
from evenkeel.messages.operator import CommandDone, CommandRefused, ModeChanged
from evenkeel.messages.system import Message
from evenkeel.rules import seen_deals
from evenkeel.rules.entries import PRICE_MOVED
from evenkeel.rules.order_intents import POSITION_GONE
from evenkeel.runtime.edge import At

UNDURABLE_AFTER_MS: Final = 250
"""A close or a stop waits so long for the journal, then goes and is marked (DESIGN 9.8)."""
WAITING_POLL_S: Final = 0.002
DAILY_BARS: Final = 30
TERMS_EVERY_NS: Final = 60 * 1_000_000_000
_SECOND_NS: Final = 1_000_000_000
CONFIRM_EVERY_NS: Final = 60 * 1_000_000_000
"""A reading that shows nothing new is said as often as this: what is believed may have changed meanwhile."""


class Durability(Protocol):
    @property
    def durable_seq(self) -> int: ...

    def flush(self, timeout_s: float) -> bool: ...


class TerminalState(msgspec.Struct):
    """`calls` are intents without an answer, `unknown` the opens whose answer was UNKNOWN and that no record has settled;
    the rest is what was last said, so that only changes are said. `deal_ticket` is the newest line of the history,
    `recent_deals` the last ones before it; `unreadable` that nobody can look at present."""

    calls: dict[int, CallTerminal] = {}
    unknown: dict[int, CallTerminal] = {}
    deal_ticket: int = 0
    recent_deals: list[int] = []
    positions: tuple[BrokerPosition, ...] | None = None
    orders: tuple[BrokerOrder, ...] = ()
    unreadable: bool = False
    account: AccountRead | None = None
    specs: dict[str, SymbolSpecified] = {}


class _Waiting(msgspec.Struct):
    """An open that has not left yet; its age is real time, so an accelerated market expires nothing."""

    call: CallTerminal
    request: OpenRequest
    seq: int
    heard_ns: int
    expires_ms: int | None


Heard = CallTerminal | ReadTerminal | ModeChanged | CommandDone | CommandRefused | OrderOutcomeResolved | IntentSettled


class TerminalEdge:
    """`journal` None: everything counts as durable at once (replay). `kill_epoch` reads the epoch on disk.

    `reading_every_ms` is how often it looks by itself, in real time; None: only when asked (replay). An order waits until
    its symbol's quote is no older than `quote_age_ms_max`, if that names the symbol. No more than `closes_per_s` closes and
    stops leave in a second of real time, the others wait for their turn; None: they never wait.
    """

    def __init__(
        self,
        broker: Broker,
        symbols: Sequence[str],
        *,
        gate: Gate,
        board: QuoteBoard,
        journal: Durability | None,
        kill_epoch: Callable[[], int],
        monotonic_ns: Callable[[], int],
        quote_age_ms_max: Mapping[str, int],
        closes_per_s: int | None,
        reading_every_ms: int | None,
        unreadable_ms: int,
    ) -> None:
        self.state = TerminalState()
        self.read_ns: int | None = None
        """When the broker was last read as a whole (monotonic); None: not yet. For other threads to look at."""
        self._broker = broker
        self._symbols = symbols
        self._gate = gate
        self._board = board
        self._journal = journal
        self._kill_epoch = kill_epoch
        self._monotonic_ns = monotonic_ns
        self._quote_age_ms_max = quote_age_ms_max
        self._reading_every_ns = None if reading_every_ms is None else reading_every_ms * 1_000_000
        self._unreadable_ns = unreadable_ms * 1_000_000
        self._looked_ns = self._terms_ns = self._said_ns = monotonic_ns()
        self._failing_since_ns: int | None = None
        self._resumed_utc_ms = 0
        self._waiting: list[_Waiting] = []
        self._reductions: deque[tuple[CallTerminal, At]] = deque()
        self._reduced_ns: deque[int] | None = None if closes_per_s is None else deque(maxlen=closes_per_s)
        self._was_shut = False

    @property
    def poll_s(self) -> float | None:
        if self._waiting or self._reductions:
            return WAITING_POLL_S
        return None if self._reading_every_ns is None else self._reading_every_ns / 4e9

    def remember(self, message: Message, /) -> None:
        state = self.state
        match message:
            case CallTerminal():
                state.calls[message.intent_id] = message
            case TerminalAnswered():
                self._remember_answer(message)
            case DealDone(deal):
                self._remember_line(deal)
                self._settle({deal.magic})
            case CashMoved(cash):
                self._remember_line(cash)
            case PositionsRead():
                state.positions, state.orders = message.positions, message.orders
                self._settle({position.magic for position in message.positions})
            case TerminalUnreadable() | TerminalReadable():
                state.unreadable = isinstance(message, TerminalUnreadable)
            case AccountRead():
                state.account = message
            case SymbolSpecified(spec):
                state.specs[spec.symbol] = message
            case OrderOutcomeResolved(intent_id=intent_id) | IntentSettled(intent_id=intent_id):
                state.unknown.pop(intent_id, None)
                self._gate.resolve(intent_id)
            case ModeChanged(mode=mode):
                self._gate.mode = mode
            case CommandDone(command_id=command_id) | CommandRefused(command_id=command_id):
                self._was_shut = self._gate.answered(command_id)
            case _:
                pass  # a question; nothing to keep

    def act(self, message: Heard, at: At, /) -> Sequence[Message]:
        match message:
            case CallTerminal():
                return self._call(message, at)
            case ReadTerminal():
                said = self._reading(message.reading_id)
                return [*said, *self._account(said, asked=True)] if message.with_account else said
            case CommandDone() | CommandRefused():
                return self._void_waiting() if self._was_shut else ()
            case ModeChanged() | OrderOutcomeResolved() | IntentSettled():
                return ()
            case _:
                assert_never(message)

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        """A call without an answer may have been executed: UNKNOWN. Then what the broker shows, where it changed."""
        self._resumed_utc_ms = now_utc_ms
        for call in list(self.state.unknown.values()):
            self._keep_locked(call)
        lost = [self._answer(call, Answer(Outcome.UNKNOWN, detail="the answer was lost")) for call in self.state.calls.values()]
        return [*lost, *self._terms(self._symbols), *self._changes()]

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        said = [*self._serve_reduction()] or self._serve_waiting()
        if said:
            return said  # it may hold deals, and a reading must not tell of them again before they are remembered
        if self._reading_every_ns is not None and self._monotonic_ns() - self._looked_ns >= self._reading_every_ns:
            self._looked_ns = self._monotonic_ns()
            said += self._terms(self._to_ask())
            said += self._changes()
        return said

    def _to_ask(self) -> list[str]:
        """Whose terms are unknown, and now and then all: the broker keeps the units of a symbol in which something is open."""
        if self._monotonic_ns() - self._terms_ns < TERMS_EVERY_NS:
            return [name for name in self._symbols if name not in self.state.specs]
        self._terms_ns = self._monotonic_ns()
        return list(self._symbols)

    def close(self) -> None:
        """The broker belongs to whoever made it."""

    def news(self) -> list[Message]:
        """Deals newer than those that were told: what the broker did by itself."""
        deals = self._broker.deals(self.state.deal_ticket)
        return [] if deals is None else [DealDone(deal) for deal in deals]

    def _untold(self) -> list[Message] | None:
        """Every line of the history that nobody has been told of, also a late one; None when it cannot be read."""
        newest, recent = self.state.deal_ticket, self.state.recent_deals
        floor = recent[0] if recent else newest
        deals, cash = self._broker.deals(floor), self._broker.cash(floor)
        if deals is None or cash is None:
            return None
        lines: list[Deal | Cash] = [*deals, *cash]
        untold = sorted(
            (line for line in lines if seen_deals.is_new(line.deal_ticket, newest, recent)), key=lambda line: line.deal_ticket
        )
        return [DealDone(line) if isinstance(line, Deal) else CashMoved(line) for line in untold]

    def _remember_line(self, line: Deal | Cash) -> None:
        """After it the account is said again, also when it looks as before."""
        state = self.state
        state.deal_ticket = seen_deals.keep(line.deal_ticket, state.deal_ticket, state.recent_deals)
        state.account = None

    # -- orders ---------------------------------------------------------------------------------------------------------

    def _call(self, call: CallTerminal, at: At) -> Sequence[Message]:
        match call.request:
            case OpenRequest() as request:
                return self._want_open(call, request, at)
            case CloseRequest() | StopRequest():
                self._reductions.append((call, at))
                return self._serve_reduction()
            case _:
                assert_never(call.request)

    def _want_open(self, call: CallTerminal, request: OpenRequest, at: At) -> Sequence[Message]:
        """What was said before this incarnation began has waited nobody knows how long: it is too late."""
        expires_ms = call.expires_utc_ms - at.time_utc_ms if call.expires_utc_ms else None
        if expires_ms is not None and at.time_utc_ms < self._resumed_utc_ms:
            expires_ms = 0
        self._waiting.append(_Waiting(call, request, at.seq, self._monotonic_ns(), expires_ms))
        return self._serve_waiting()

    def _serve_waiting(self) -> list[Message]:
        """Void or keep each open that waits for the journal or for a fresh quote, and send one: what came of it is told
        before the next one leaves."""
        said: list[Message] = []
        sent: list[Message] = []
        waiting, self._waiting = self._waiting, []
        for open_ in waiting:
            now_ns = self._monotonic_ns()
            if open_.expires_ms is not None and now_ns - open_.heard_ns >= open_.expires_ms * 1_000_000:
                said.append(self._void(open_.call, self._why_late(open_, now_ns)))
            elif not sent and self._is_durable(open_.seq) and self._is_fresh(open_.request.symbol, now_ns):
                sent = self._send_open(open_)
            else:
                self._waiting.append(open_)
        return said + sent

    def _void_waiting(self) -> list[Message]:
        """What waits while a command shuts the gate was decided without knowing of the command."""
        waiting, self._waiting = self._waiting, []
        return [self._void(open_.call, DenialReason.MODE) for open_ in waiting]

    def _send_open(self, open_: _Waiting) -> list[Message]:
        refusal = self._gate.refusal(open_.call, open_.request, self._kill_epoch())
        if refusal is not None:
            return [self._void(open_.call, refusal)]
        self._gate.admit(open_.call, open_.request)
        call = open_.call
        answer = self._broker.open_position(
            open_.request, call.magic, intent_id=call.intent_id, epoch=call.epoch, within_ms=self._left_ms(open_)
        )
        if answer.outcome is Outcome.ACCEPTED and not answer.ticket:
            answer = answer._replace(outcome=Outcome.PENDING)  # done, it says, but not yet what (metatrader5 2.2)
        told = self._answer(open_.call, answer)
        if answer.outcome is Outcome.REJECTED and answer.code in PRICE_MOVED:
            told = msgspec.structs.replace(told, quote=self._broker.quote(open_.request.symbol))
        return [told, *self.news()]

    def _left_ms(self, open_: _Waiting) -> int:
        """Until the order expires; 0: never."""
        if open_.expires_ms is None:
            return 0
        return max(1, open_.expires_ms - (self._monotonic_ns() - open_.heard_ns) // 1_000_000)

    def _why_late(self, open_: _Waiting, now_ns: int) -> DenialReason:
        if open_.expires_ms is not None and open_.expires_ms <= 0:
            return DenialReason.EXPIRED  # before it came here
        if not self._is_durable(open_.seq):
            return DenialReason.NOT_DURABLE
        return DenialReason.EXPIRED if self._is_fresh(open_.request.symbol, now_ns) else DenialReason.QUOTE_AGE

    def _is_durable(self, seq: int) -> bool:
        return self._journal is None or self._journal.durable_seq >= seq

    def _is_fresh(self, symbol: str, now_ns: int) -> bool:
        age_ms_max = self._quote_age_ms_max.get(symbol)
        if age_ms_max is None:
            return True
        newest = self._board.get(symbol)
        return newest is not None and now_ns - newest.monotonic_ns <= age_ms_max * 1_000_000

    def _serve_reduction(self) -> Sequence[Message]:
        """The oldest close or stop that waits, if so few have left in the last second: what comes of it is told before the
        next one leaves."""
        now_ns, left_ns = self._monotonic_ns(), self._reduced_ns
        if not self._reductions or (left_ns and len(left_ns) == left_ns.maxlen and now_ns - left_ns[0] < _SECOND_NS):
            return ()
        if left_ns is not None:
            left_ns.append(now_ns)
        call, at = self._reductions.popleft()
        match call.request:
            case CloseRequest() as request:
                return self._reduce(call, at, functools.partial(self._send_close, request, call.magic))
            case StopRequest() as request:
                return self._reduce(call, at, functools.partial(self._broker.set_stops, request))
            case _:
                raise AssertionError("an open waits elsewhere")

    def _reduce(self, call: CallTerminal, at: At, send: Callable[[], Answer]) -> Sequence[Message]:
        """It waits a little for the journal, then goes in any case."""
        undurable = False
        if self._journal is not None and not self._is_durable(at.seq):
            self._journal.flush(UNDURABLE_AFTER_MS / 1000)
            undurable = not self._is_durable(at.seq)
        return [self._answer(call, send(), undurable=undurable), *self.news()]

    def _send_close(self, request: CloseRequest, magic: int) -> Answer:
        """Ask only for what is there beyond `remaining_steps`: a repeated close takes nothing twice."""
        positions = self._broker.positions()
        if positions is None:
            return Answer(Outcome.UNKNOWN, detail="the position could not be read; nothing was sent")
        there = [position.volume_steps for position in positions if position.ticket == request.ticket]
        if not there:
            return Answer(Outcome.REJECTED, code=POSITION_GONE, detail="the position is not there")
        if there[0] <= request.remaining_steps:
            return Answer(Outcome.ACCEPTED, ticket=request.ticket, detail="so much has left already")
        return self._broker.close_position(request, there[0] - request.remaining_steps, magic)

    def _answer(self, call: CallTerminal, answer: Answer, *, undurable: bool = False) -> TerminalAnswered:
        return TerminalAnswered(call.intent_id, *answer[:5], answer.detail, undurable)

    def _void(self, call: CallTerminal, reason: DenialReason) -> TerminalAnswered:
        return self._answer(call, Answer(Outcome.VOID, detail=reason.value))

    def _remember_answer(self, answer: TerminalAnswered) -> None:
        """A definite answer frees the resource; an unknown one keeps it until the broker's records settle it."""
        call = self.state.calls.pop(answer.intent_id, None)
        if answer.outcome in (Outcome.UNKNOWN, Outcome.PENDING):
            if call is not None:
                self._keep_locked(call)
        elif answer.intent_id not in self.state.unknown:  # else a repeat was refused: nothing is settled by that
            self._gate.resolve(answer.intent_id)

    def _keep_locked(self, call: CallTerminal) -> None:
        if isinstance(call.request, OpenRequest):
            self.state.unknown[call.intent_id] = call
            self._gate.admit(call, call.request)

    def _settle(self, magics: set[int]) -> None:
        for intent_id in [intent_id for intent_id, call in self.state.unknown.items() if call.magic in magics]:
            del self.state.unknown[intent_id]
            self._gate.resolve(intent_id)

    # -- readings -------------------------------------------------------------------------------------------------------

    def _reading(self, reading_id: int) -> list[Message]:
        """History first, so that a position which is gone has said why. No part of it when a list could not be read."""
        untold, positions, orders = self._untold(), self._broker.positions(), self._broker.orders()
        now_ns = self._monotonic_ns()
        failed_ns = 0 if self._failing_since_ns is None else now_ns - self._failing_since_ns
        if untold is None or positions is None or orders is None:
            self._failing_since_ns = now_ns - failed_ns
            is_news = failed_ns >= self._unreadable_ns and not self.state.unreadable
            return [TerminalUnreadable(failed_ns // 1_000_000)] if is_news else []
        self._failing_since_ns, self.read_ns = None, now_ns
        back: list[Message] = [TerminalReadable(failed_ns // 1_000_000)] if self.state.unreadable else []
        tickets = [line.deal.deal_ticket if isinstance(line, DealDone) else 0 for line in untold]
        last = max([self.state.deal_ticket, *tickets])
        return [*back, *untold, PositionsRead(reading_id, tuple(positions), last, tuple(orders))]

    def _changes(self) -> list[Message]:
        said, now_ns = self._reading(0), self._monotonic_ns()
        reading = said[-1] if said else None
        if isinstance(reading, PositionsRead):
            is_same = (reading.positions, reading.orders) == (self.state.positions, self.state.orders)
            if is_same and now_ns - self._said_ns < CONFIRM_EVERY_NS:
                said.pop()
            else:
                self._said_ns = now_ns
        return [*said, *self._account(said)]

    def _account(self, said: Sequence[Message], *, asked: bool = False) -> list[Message]:
        """Where it has changed, or was asked for; only if no line of the history came between those just `said` and it."""
        account = self._broker.account()
        told = [message for message in said if isinstance(message, DealDone | CashMoved)]
        if account is None or (account == self.state.account and not told and not asked):
            return []
        return [account] if self._untold() == told else []

    def _terms(self, symbols: Sequence[str]) -> list[Message]:
        """Terms and daily bars, where they are new or changed."""
        said: list[Message] = []
        for name in symbols:
            spec = self._broker.symbol(name)
            known = self.state.specs.get(name)
            if spec is None or (known is not None and known.spec == spec):
                continue
            said.append(SymbolSpecified(spec))
            days = self._broker.daily_ranges(name, DAILY_BARS)
            if days:
                said.append(DailyBarsRead(name, spec.spec_id, tuple(days)))
        return said
