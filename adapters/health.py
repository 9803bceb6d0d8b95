"""The health edge: looks at the run once a second and says what begins to be wrong, and when it is well again.

It judges nothing (rules/health.py) and is in nobody's way: without it nothing is held or closed, only nobody is told.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import (
    AccountRead,
    CashMoved,
    OrderOutcomeUnknown,
    OrderRejected,
    TerminalUnreadable,
)
from evenkeel.messages.health import HealthAlarmed, HealthEased
from evenkeel.messages.operator import HoldEnded, HoldPlaced, Mode, ModeChanged, TradingRearmed
from evenkeel.messages.position import (
    CloseFailed,
    CloseFailure,
    ClosePosition,
    PositionClosed,
    PositionReduced,
)
from evenkeel.messages.protection import StopsRefused
from evenkeel.messages.storage import StorageEased, StorageStrained
from evenkeel.messages.system import ChildDown, Message, MessageParked
from evenkeel.rules.entries import PRICE_MOVED
from evenkeel.rules.health import ERRORS_KEPT_MS, Errors, Finding, PositionSeen, Seen, closed_ms, findings, quotes_due_ms
from evenkeel.rules.health_alarms import alarms_after, key_of, rows_of
from evenkeel.rules.limit_trips import NAME as RISK_LIMIT
from evenkeel.rules.losses import EquityMarks, rearmed, sampled, shifted
from evenkeel.rules.money import capital_cents_of
from evenkeel.rules.view import CheckView
from evenkeel.runtime.edge import At

NAME: Final = "health"
LOOK_EVERY_S: Final = 1.0
STOOD_STILL_MS: Final = 5_000
"""Two looks so far apart: nobody could look in between, so nothing is late for it."""
ERRORS_MAX: Final = 10_000
CLOSING_MAX: Final = 1_000
"""A close may be asked of a position that is gone; the newest are kept."""
_NS_PER_MS: Final = 1_000_000

OfCloses = ClosePosition | PositionReduced | PositionClosed
OfMoney = AccountRead | CashMoved | TradingRearmed
OfLimits = HoldPlaced | HoldEnded | ModeChanged
OfStorage = StorageStrained | StorageEased
OfErrors = OrderRejected | OrderOutcomeUnknown | CloseFailed | StopsRefused | ChildDown | MessageParked | TerminalUnreadable
Heard = OfCloses | OfMoney | OfLimits | OfStorage | OfErrors
Said = HealthAlarmed | HealthEased


class ChildStatus(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def serving(self) -> bool: ...


class Sources(NamedTuple):
    """Where the evidence is. Each is asked on the edge's thread and answers at once, from memory; `_ns` is monotonic time.

    `held` are the symbols of our positions by ticket, `armed` the tickets for which the feed holds a level on the losing side;
    None where the child that knows is not there. None in the place of a source: the run has no such part.
    """

    children: Callable[[], Iterable[ChildStatus]]
    quote_ns: Callable[[str], int | None]
    held: Callable[[], Mapping[int, str] | None]
    armed: Callable[[], Collection[int] | None]
    read_ns: Callable[[], int | None]
    journal: "Journal"
    last_seq: Callable[[], int]
    stores: Callable[[], Mapping[str, str]]
    backup_utc_ms: Callable[[], int | None]
    heard_utc_ms: Callable[[], int | None]
    host_ns: Callable[[], int | None] | None = None
    lines_lost: Callable[[], int] | None = None


class Journal(Protocol):
    @property
    def durable_seq(self) -> int: ...

    @property
    def failure(self) -> str | None: ...


class HealthState(msgspec.Struct):
    """`closing` are the tickets of which a close was asked and has no end; `holds` of the limits by scope; `lowered` the mode
    that a limit demanded, None since trading goes on; `alarmed` what was said and is not over.
    """

    closing: list[int] = []
    account: AccountRead | None = None
    marks: EquityMarks = EquityMarks()
    holds: dict[str, HoldPlaced] = {}
    lowered: ModeChanged | None = None
    strained: dict[str, StorageStrained] = {}
    alarmed: dict[str, HealthAlarmed] = {}


class Health:
    """`symbols` are those that strategies trade. `started_ns` is when the process began, `utc_ms` real time."""

    poll_s: float | None = LOOK_EVERY_S

    def __init__(
        self,
        config: Config,
        symbols: Sequence[str],
        sources: Sources,
        *,
        monotonic_ns: Callable[[], int],
        started_ns: int,
        utc_ms: Callable[[], int],
    ) -> None:
        self.state = HealthState()
        self.rows: tuple[CheckView, ...] = ()
        """What the last look found, the worst first; replaced as a whole, for other threads to read."""
        self._config, self._symbols, self._sources = config, symbols, sources
        self._monotonic_ns, self._utc_ms = monotonic_ns, utc_ms
        self._started_ms = started_ns // _NS_PER_MS
        self._awake_since_ms = self._looked_ms = self._now_ms()
        self._well_since_ms: dict[str, int] = {}
        self._since_ms: dict[str, int] = {}
        self._before_ms: dict[str, int] = {}
        self._errors: deque[tuple[int, bool]] = deque(maxlen=ERRORS_MAX)
        self._last_error = ""
        self._behind: tuple[int, int] | None = None

    def remember(self, message: Heard | Said, /) -> None:
        state = self.state
        match message:
            case ClosePosition(ticket=ticket):
                state.closing = [*(other for other in state.closing if other != ticket), ticket][-CLOSING_MAX:]
            case PositionReduced(ticket=ticket) | PositionClosed(ticket=ticket):
                state.closing = [other for other in state.closing if other != ticket]
            case AccountRead():
                state.account, state.marks = message, sampled(state.marks, message.equity_cents)
            case CashMoved(cash):
                state.marks = shifted(state.marks, capital_cents_of(cash))
            case TradingRearmed():
                state.marks, state.lowered = rearmed(state.marks), None
                state.holds = {scope: hold for scope, hold in state.holds.items() if hold.until_utc_ms}
            case HoldPlaced() | HoldEnded() | ModeChanged():
                _limit_heard(state, message)
            case StorageStrained():
                state.strained[message.reason.value] = message
            case StorageEased():
                state.strained.pop(message.reason.value, None)
            case HealthAlarmed():
                state.alarmed[key_of(message.check, message.scope)] = message
            case HealthEased():
                state.alarmed.pop(key_of(message.check, message.scope), None)
            case _:
                pass  # an error: `act` counts it, with its time

    def act(self, message: Heard, at: At, /) -> Sequence[Message]:
        """An error of this process counts; of one that was folded again nobody knows the time."""
        text = _error_text(message)
        if text is not None:
            now_ms, start_s = self._now_ms(), self._config.health.errors_at_start_s
            is_early = start_s != "off" and now_ms - self._started_ms < start_s * 1000
            self._errors.append((now_ms, is_early))
            self._last_error = text
        return ()

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        return ()

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        now_ms = self._now_ms()
        if now_ms - self._looked_ms > STOOD_STILL_MS:
            self._awake_since_ms, self._since_ms, self._behind = now_ms, {}, None
        self._looked_ms = now_ms
        found = findings(self._config, self._seen(now_utc_ms, now_ms))
        said = alarms_after(found, self.state.alarmed, self._well_since_ms, now_ms)
        self._show(found, said, now_utc_ms)
        return said

    def close(self) -> None:
        """Holds nothing of the world."""

    def _show(self, found: Sequence[Finding], said: Sequence[Said], now_utc_ms: int) -> None:
        alarmed = dict(self.state.alarmed)
        for message in said:
            if isinstance(message, HealthAlarmed):
                alarmed[key_of(message.check, message.scope)] = message
            else:
                alarmed.pop(key_of(message.check, message.scope), None)
        self.rows = rows_of(found, alarmed, self.rows, now_utc_ms)

    def _seen(self, now_utc_ms: int, now_ms: int) -> Seen:
        state, sources = self.state, self._sources
        self._before_ms, self._since_ms = self._since_ms, {}
        down = {child.name: self._lasts_ms(f"down {child.name}", not child.serving, now_ms) for child in sources.children()}
        held = sources.held()
        symbols = dict.fromkeys([*self._symbols, *(held or {}).values()])
        heard_utc_ms, backup_utc_ms = sources.heard_utc_ms(), sources.backup_utc_ms()
        return Seen(
            awake_ms=now_ms - self._awake_since_ms,
            started_ms=now_ms - self._started_ms,
            down_ms=down,
            quotes_due_ms=quotes_due_ms(self._config.health, now_utc_ms),
            closed_ms=closed_ms(self._config.health, now_utc_ms),
            quote_age_ms={symbol: self._age_ms(sources.quote_ns(symbol), now_ms) for symbol in symbols},
            positions=None if held is None else self._positions(held, now_ms),
            read_age_ms=self._age_ms(sources.read_ns(), now_ms),
            has_host=sources.host_ns is not None,
            host_age_ms=None if sources.host_ns is None else self._age_ms(sources.host_ns(), now_ms),
            account=state.account,
            marks=state.marks,
            limits=_limits(state, now_utc_ms),
            errors=self._errors_of(now_ms),
            stores=sources.stores(),
            strained=state.strained,
            backup_age_ms=None if backup_utc_ms is None else max(0, self._utc_ms() - backup_utc_ms),
            journal_failure=sources.journal.failure,
            journal_behind_ms=self._behind_ms(now_ms),
            lines_lost=None if sources.lines_lost is None else sources.lines_lost(),
            absent_ms=None if heard_utc_ms is None else max(0, now_utc_ms - heard_utc_ms),
        )

    def _positions(self, held: Mapping[int, str], now_ms: int) -> dict[int, PositionSeen]:
        armed, closing = self._sources.armed(), set(self.state.closing)
        return {
            ticket: PositionSeen(
                symbol,
                None if armed is None else self._lasts_ms(f"unarmed {ticket}", ticket not in armed, now_ms),
                ticket in closing,
            )
            for ticket, symbol in held.items()
        }

    def _lasts_ms(self, what: str, is_so: bool, now_ms: int) -> int:
        """For how long it has been so at every look, at least 1; 0: it is not."""
        if not is_so:
            return 0
        since_ms = self._since_ms[what] = self._before_ms.get(what, now_ms)
        return max(1, now_ms - since_ms)

    def _behind_ms(self, now_ms: int) -> int:
        """For how long the oldest record that is not on disk has been known here."""
        durable, last = self._sources.journal.durable_seq, self._sources.last_seq()
        if self._behind is None or durable >= self._behind[0]:
            self._behind = (last, now_ms) if durable < last else None
        return 0 if self._behind is None else now_ms - self._behind[1]

    def _errors_of(self, now_ms: int) -> Errors:
        while self._errors and self._errors[0][0] <= now_ms - ERRORS_KEPT_MS:
            self._errors.popleft()
        at_start = sum(is_early for _, is_early in self._errors)
        return Errors(len(self._errors), at_start, self._last_error if self._errors else "")

    def _age_ms(self, since_ns: int | None, now_ms: int) -> int | None:
        return None if since_ns is None else max(0, now_ms - since_ns // _NS_PER_MS)

    def _now_ms(self) -> int:
        return self._monotonic_ns() // _NS_PER_MS


def _limit_heard(state: HealthState, message: OfLimits) -> None:
    """Only what the limits say; a mode that a person sets is no longer theirs."""
    match message:
        case HoldPlaced():
            if message.who == RISK_LIMIT:
                state.holds[message.scope] = message
        case HoldEnded():
            if message.who == RISK_LIMIT:
                state.holds.pop(message.scope, None)
        case ModeChanged():
            if message.by == RISK_LIMIT:
                state.lowered = message
            elif message.mode is Mode.RUN:
                state.lowered = None
        case _:
            assert_never(message)


def _limits(state: HealthState, now_utc_ms: int) -> dict[str, str]:
    """By the limit's name, with which its reasons begin."""
    holds = [hold for hold in state.holds.values() if hold.until_utc_ms == 0 or now_utc_ms < hold.until_utc_ms]
    reasons = [f"{hold.reason}; entries are held" for hold in holds]
    if state.lowered is not None:
        reasons.append(f"{state.lowered.reason}; the mode is {state.lowered.mode.value}")
    return {name: detail.strip() for name, _, detail in (reason.partition(":") for reason in reasons)}


def _error_text(message: Heard) -> str | None:
    """One line of what counts as an error; None for everything else. An order that the price has left behind is none, nor a
    close that merely has not happened yet."""
    match message:
        case OrderRejected() if message.code not in PRICE_MOVED:
            return f"{message.symbol} rejected: {message.code} {message.detail}"
        case OrderOutcomeUnknown():
            return f"{message.symbol}: the outcome of order {message.intent_id} is unknown"
        case CloseFailed():
            is_error = message.failure is CloseFailure.REJECTED
            return f"close of {message.ticket} refused: {message.detail}" if is_error else None
        case StopsRefused():
            return f"stops of {message.ticket} refused: {message.code} {message.detail}"
        case ChildDown():
            return f"{message.child} crashed: {message.error}"
        case MessageParked():
            return f"{message.child} crashed twice on {message.kind}"
        case TerminalUnreadable():
            return f"the terminal cannot be read for {message.for_ms / 1000:.1f} s"
        case _:
            return None
