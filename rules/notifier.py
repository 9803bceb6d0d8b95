"""Which of the things that happen a person outside is told, how gravely, and in which words. Data and folds, no I/O."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from evenkeel.config.notifier import How, NotifierConfig
from evenkeel.messages.broker_gateway import (
    AccountRead,
    BrokerDisagreed,
    CashMoved,
    ForeignOrderSeen,
    ForeignPositionSeen,
    LevelsMoved,
    MoneyAgreed,
    MoneyDisagreed,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
    TerminalReadable,
    TerminalUnreadable,
    WitnessesDisagree,
)
from evenkeel.messages.chain_store import ChainNotSaved
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.health import HealthAlarmed, HealthEased
from evenkeel.messages.market import FeedGap, QuotesResumed, QuotesStale, SymbolSpecified
from evenkeel.messages.notifier import Event
from evenkeel.messages.operator import HoldEnded, HoldPlaced, Mode, ModeChanged, ScopeFlattened, StopRun, TradingRearmed
from evenkeel.messages.position import CloseFailed, PositionClosed, PositionOpened, PositionReduced
from evenkeel.messages.protection import (
    PositionProtected,
    PositionUnprotected,
    StopsRefused,
    SymbolGivenBack,
    SymbolTakenOver,
)
from evenkeel.messages.risk_limit import LimitReached
from evenkeel.messages.shield import ShieldRaised
from evenkeel.messages.storage import StorageEased, StorageStrained
from evenkeel.messages.system import ChildDown, Message, MessageParked, RunStarted
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.texts import money_text
from evenkeel.rules.told import told
from evenkeel.rules.view_state import Heard as Seen
from evenkeel.rules.view_state import ViewState

NAME: Final = "notifier"
PERSON: Final = "person"
GRAVE: Final = 1
"""Severity 1: it must get outside within seconds, or the mode drops. 2 is worth a look today, 3 is good to know."""
DEADLINE_MS: Final = 4_000
"""After so long without an outlet that took it the mode is lowered, so that it is low before 5 s are over (liveness L2)."""
KEPT_MAX: Final = 64
"""Notices that a restart looks at: whether each of them had been written down."""
TEXT_CHARACTERS_MAX: Final = 300
GRAVE_EVENTS: Final = (
    *(Event.UNKNOWN_OUTCOME, Event.UNPROTECTED, Event.MODE, Event.KILLED, Event.BREAKER),
    *(Event.DISAGREEMENT, Event.STORAGE, Event.CRASH, Event.HEALTH),
)
"""Those that may be of severity 1."""
_STRICTNESS: Final = (Mode.RUN, Mode.CLOSE_ONLY, Mode.FREEZE, Mode.FLATTEN)
_ASKED: Final = ("asked for", "pause")
"""Why a person's word makes a mode stricter, in the operator's words."""
_TOLD_BY_OTHERS: Final = ("circuit_breaker", "storage")
"""Whose holds follow what they have told already."""


class Noted(msgspec.Struct, frozen=True):
    """A notice as it follows from the `number`-th message that was heard: whoever hears the same makes the same."""

    number: int
    event: Event
    severity: int
    silent: bool
    text: str


class DayTally(msgspec.Struct, frozen=True):
    """Closed trades of the trading day; `day` is empty before the first."""

    day: str = ""
    trades: int = 0
    won: int = 0
    net_cents: int = 0


class NotifierState(msgspec.Struct):
    """`heard` counts messages. `kept` are the newest notices, `known` what gives digits and currency. `is_lowered`: the
    notifier has lowered the mode, and nobody has rearmed. `holds` are the reasons last told, by who and scope."""

    heard: int = 0
    kept: list[Noted] = []
    mode: Mode = Mode.CLOSE_ONLY
    is_lowered: bool = False
    open: list[int] = []
    holds: dict[str, str] = {}
    day: DayTally = DayTally()
    known: ViewState = msgspec.field(default_factory=ViewState)


class Grade(NamedTuple):
    """What a message is to a person outside. `text` where the log has no words for it."""

    event: Event
    severity: int
    text: str = ""


def noted(state: NotifierState, message: Message, config: NotifierConfig) -> Noted | None:
    """Fold what was heard into `state`; the notice that follows of it, which is the newest of `kept` then."""
    grade = _graded(state, message)
    _fold(state, message)
    state.heard += 1
    if grade is None or grade.severity > config.severity_max or how(config, grade.event) == "off":
        return None
    text = _text(state, message, grade)
    if text is None:
        return None
    one = Noted(state.heard, grade.event, grade.severity, how(config, grade.event) == "silent", text)
    state.kept = _newest([*state.kept, one])
    return one


def how(config: NotifierConfig, event: Event) -> How:
    told: How = getattr(config.events, event.value)
    return told


def _newest(kept: Sequence[Noted]) -> list[Noted]:
    """At most KEPT_MAX; the oldest mild one goes first."""
    if len(kept) <= KEPT_MAX:
        return list(kept)
    gone = next((one for one in kept if one.severity > GRAVE), kept[0])
    return [one for one in kept if one is not gone]


def _text(state: NotifierState, message: Message, grade: Grade) -> str | None:
    """A grave notice is one line that says what happened and how the account stands."""
    text = grade.text or (told(state.known, message) if isinstance(message, Seen) else None)
    if text is None:
        return None
    cut = text if len(text) <= TEXT_CHARACTERS_MAX else f"{text[: TEXT_CHARACTERS_MAX - 1]}…"
    return f"{cut}; mode {state.mode.value}, {len(state.open)} open" if grade.severity == GRAVE else cut


def _fold(state: NotifierState, message: Message) -> None:
    match message:
        case SymbolSpecified(spec):
            state.known.specs[spec.symbol] = spec
        case AccountRead():
            state.known.account = message
        case ModeChanged(mode=mode, by=by):
            state.mode, state.is_lowered = mode, state.is_lowered or by == NAME
        case TradingRearmed():
            state.is_lowered, state.holds = False, {}
        case HoldPlaced():
            state.holds[f"{message.who} {message.scope}"] = message.reason
        case HoldEnded():
            state.holds.pop(f"{message.who} {message.scope}", None)
        case PositionOpened(ticket=ticket):
            state.open = [*(one for one in state.open if one != ticket), ticket]
        case PositionClosed(ticket=ticket, net_cents=net_cents):
            state.open = [one for one in state.open if one != ticket]
            day = state.day
            state.day = DayTally(day.day, day.trades + 1, day.won + (net_cents > 0), day.net_cents + net_cents)
        case TradingDayStarted(day=day):
            state.day = DayTally(day)
        case _:
            pass


def _graded(state: NotifierState, message: Message) -> Grade | None:
    """`state` is as it was before."""
    match message:
        case PositionOpened() | PositionClosed() | PositionReduced() | CloseFailed() | OrderRejected() | CashMoved():
            return _of_trading(message)
        case OrderOutcomeUnknown():
            return Grade(Event.UNKNOWN_OUTCOME, GRAVE)
        case OrderOutcomeResolved():
            return Grade(Event.UNKNOWN_OUTCOME, 3)
        case PositionUnprotected() | SymbolTakenOver():
            return Grade(Event.UNPROTECTED, GRAVE)
        case StopsRefused():
            return Grade(Event.UNPROTECTED, 2)
        case PositionProtected() | SymbolGivenBack():
            return Grade(Event.UNPROTECTED, 3)
        case ModeChanged():
            return _of_mode(state.mode, message)
        case HoldPlaced():
            is_told = message.who in _TOLD_BY_OTHERS or state.holds.get(f"{message.who} {message.scope}") == message.reason
            return None if is_told else Grade(Event.HOLD, 3 if message.who == PERSON else 2)
        case MoneyDisagreed() | WitnessesDisagree():
            return Grade(Event.DISAGREEMENT, GRAVE)
        case BrokerDisagreed():
            return Grade(Event.DISAGREEMENT, 2)
        case MoneyAgreed():
            return Grade(Event.DISAGREEMENT, 3)
        case HealthAlarmed(severity=severity):
            return Grade(Event.HEALTH, severity)
        case HealthEased():
            return Grade(Event.HEALTH, 3)
        case TradingDayStarted():
            return _of_day(state)
        case _:
            return _of_machine(message) or _of_market(message)


def _of_trading(
    message: PositionOpened | PositionClosed | PositionReduced | CloseFailed | OrderRejected | CashMoved,
) -> Grade:
    match message:
        case PositionOpened():
            return Grade(Event.TRADE_OPENED, 3)
        case PositionClosed() | PositionReduced():
            return Grade(Event.TRADE_CLOSED, 3)
        case CloseFailed():
            return Grade(Event.CLOSE_FAILED, 2)
        case OrderRejected():
            return Grade(Event.REJECTED, 2)
        case CashMoved():
            return Grade(Event.CASH, 3)


def _of_mode(before: Mode, changed: ModeChanged) -> Grade | None:
    """That nobody could be told is no reason for another alarm of that kind."""
    if changed.reason == "kill":
        return Grade(Event.KILLED, GRAVE)
    if changed.mode is before:
        return None
    is_drop = _STRICTNESS.index(changed.mode) > _STRICTNESS.index(before)
    if is_drop and changed.by != NAME and changed.reason not in _ASKED:
        return Grade(Event.MODE, GRAVE)
    return Grade(Event.MODE, 2 if is_drop else 3)


def _of_machine(message: Message) -> Grade | None:
    match message:
        case RunStarted(crashed=True) | MessageParked():
            return Grade(Event.CRASH, GRAVE)
        case ChildDown():
            return Grade(Event.CRASH, 2)
        case RunStarted() | StopRun():
            return Grade(Event.RUN, 3)
        case StorageStrained(stops_entries=stops_entries):
            return Grade(Event.STORAGE, GRAVE if stops_entries else 2)
        case ChainNotSaved():
            return Grade(Event.STORAGE, 2)
        case StorageEased():
            return Grade(Event.STORAGE, 3)
        case _:
            return None


def _of_market(message: Message) -> Grade | None:
    match message:
        case BreakerChanged(level=BreakerLevel.BLACK):
            return Grade(Event.BREAKER, GRAVE)
        case BreakerChanged(level=level):
            return Grade(Event.BREAKER, 3 if level is BreakerLevel.NORMAL else 2)
        case LimitReached():
            return Grade(Event.LIMIT_REACHED, 2)
        case ShieldRaised():
            return Grade(Event.SHIELD, 3)
        case ScopeFlattened():
            return Grade(Event.KILLED, 2)
        case ForeignPositionSeen() | ForeignOrderSeen() | LevelsMoved():
            return Grade(Event.FOREIGN, 2)
        case QuotesStale() | FeedGap() | TerminalUnreadable():
            return Grade(Event.CONNECTION, 2)
        case QuotesResumed() | TerminalReadable():
            return Grade(Event.CONNECTION, 3)
        case _:
            return None


def _of_day(state: NotifierState) -> Grade | None:
    """Of the day that is over."""
    day = state.day
    if not day.day:
        return None
    money = money_text(day.net_cents, state.known.account)
    trades = f"{day.trades} trade{'' if day.trades == 1 else 's'}"
    return Grade(Event.DAY_SUMMARY, 3, f"trading day {day.day}: {trades}, {day.won} won, net {money}")
