"""What a View is made of: `fold` keeps what was said. rules/view_of.py shows it at the prices of the moment."""

from typing import Final, assert_never

import msgspec

from evenkeel.config.schema import AccountConfig
from evenkeel.messages.broker_gateway import (
    AccountRead,
    BrokerAgreed,
    BrokerDisagreed,
    CashMoved,
    ForeignOrderGone,
    ForeignOrderSeen,
    ForeignPositionGone,
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
from evenkeel.messages.circuit_breaker import BreakerChanged
from evenkeel.messages.entry import OpenPosition, OrderDenied
from evenkeel.messages.health import HealthAlarmed, HealthEased
from evenkeel.messages.market import FeedGap, QuotesResumed, QuotesStale, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import (
    ACCOUNT,
    FlattenProgressed,
    HoldEnded,
    HoldPlaced,
    LimitsLowered,
    Mode,
    ModeChanged,
    ScopeFlattened,
    SegmentAsked,
    StopRun,
    TradingRearmed,
)
from evenkeel.messages.position import (
    CloseFailed,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
    StopTightened,
)
from evenkeel.messages.protection import (
    PositionProtected,
    PositionUnprotected,
    StopsRefused,
    SymbolGivenBack,
    SymbolTakenOver,
)
from evenkeel.messages.recovery import ChainEnded, ChainStepped, FreeRecovery, ReserveRecovery
from evenkeel.messages.risk_limit import LimitReached, RecoveryRefused
from evenkeel.messages.shield import HedgeEnded, ShieldClosing, ShieldLowered, ShieldRaised
from evenkeel.messages.storage import BackupTaken, StorageEased, StorageStrained
from evenkeel.messages.system import ChildDown, ChildServing, LettersDead, MessageParked, RunStarted, RunStopped
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules import guard_table, limits_seen
from evenkeel.rules.frequency import TradeCounts, day_counted, trade_counted
from evenkeel.rules.guard_table import GuardTable
from evenkeel.rules.limits_seen import LimitsSeen
from evenkeel.rules.lineage import is_fresh
from evenkeel.rules.losses import EquityMarks, at_day_start, at_week_start, rearmed, sampled, shifted
from evenkeel.rules.money import capital_cents_of
from evenkeel.rules.view import (
    Event,
    RecoveriesToday,
    Today,
)
from evenkeel.rules.view_chains import ChainsSeen, OfRisk, chains_heard, recovery_opened, trade_closed

REFUSED_BY_BROKER: Final = "rejected_by_broker"

OfProcess = RunStarted | RunStopped | StopRun | ChildDown | ChildServing | MessageParked | LettersDead
OfRun = OfProcess | TradingDayStarted | LimitsLowered | SegmentAsked
OfMarket = SymbolSpecified | QuotesStale | QuotesResumed | FeedGap
OfGuards = ModeChanged | TradingRearmed | HoldPlaced | HoldEnded | BrokerAgreed | BrokerDisagreed | AccountRead | LimitReached
OfOrders = OrderDenied | OrderRejected | OrderOutcomeUnknown | OrderOutcomeResolved
OfPositions = PositionOpened | PositionPriced | PositionReduced | PositionClosed | CloseFailed | StopTightened
OfProtection = PositionUnprotected | PositionProtected | SymbolTakenOver | SymbolGivenBack | StopsRefused
OfFlattening = FlattenProgressed | ScopeFlattened
OfOthers = ForeignPositionSeen | ForeignPositionGone | ForeignOrderSeen | ForeignOrderGone | WitnessesDisagree | LevelsMoved
OfStorage = StorageStrained | StorageEased | BackupTaken
OfHealth = HealthAlarmed | HealthEased
OfMoney = CashMoved | MoneyDisagreed | MoneyAgreed
OfTerminal = TerminalUnreadable | TerminalReadable
Heard = (
    OfRun
    | OfMarket
    | OfGuards
    | OpenPosition
    | OfOrders
    | OfPositions
    | OfProtection
    | OfFlattening
    | OfOthers
    | OfStorage
    | OfHealth
    | OfMoney
    | OfTerminal
    | OfRisk
)


class Held(msgspec.Struct):
    """`opened` with what its deals said since. `is_closing` after a close that failed. `tightened_points` is where its stop
    was moved to, 0 while it is where it was at the entry."""

    opened: PositionOpened
    is_closing: bool = False
    tightened_points: int = 0


class ViewState(msgspec.Struct):
    """Positions by ticket, orders of unknown outcome by proposal, restarts by child, `unprotected` by ticket, `flattening` by
    scope, `taken_over` in the order in which it happened, `lowered` as LimitsLowered says it.

    `started_utc_ms` and `events` are the reporter's to set: a fold knows neither times nor words. `configured` gives the
    currency of what is told before the first reading of the account, where whoever folds knows it.
    """

    run: RunStarted | None = None
    started_utc_ms: int | None = None
    trading_day: str = ""
    guards: GuardTable = msgspec.field(default_factory=GuardTable)
    specs: dict[str, SymbolSpec] = {}
    held: dict[int, Held] = {}
    foreign: dict[int, ForeignPositionSeen] = {}
    foreign_orders: dict[int, ForeignOrderSeen] = {}
    unknown: dict[str, OrderOutcomeUnknown] = {}
    restarts: dict[str, int] = {}
    stale: list[str] = []
    account: AccountRead | None = None
    marks: EquityMarks = EquityMarks()
    counts: TradeCounts = TradeCounts()
    week_ends_utc_ms: int = 0
    losses_in_a_row: int = 0
    today: Today = Today()
    events: list[Event] = []
    flattening: dict[str, FlattenProgressed] = {}
    unprotected: dict[int, PositionUnprotected] = {}
    taken_over: list[str] = []
    chains: ChainsSeen = msgspec.field(default_factory=ChainsSeen)
    lowered: str = ""
    limits: LimitsSeen = msgspec.field(default_factory=LimitsSeen)
    configured: AccountConfig | None = None


def fold(state: ViewState, message: Heard) -> None:
    """Keep what `message` changes. It brings no time of its own: an edge's fold has none."""
    match message:
        case RunStarted():
            state.run, state.started_utc_ms, state.restarts, state.guards.agreed = message, None, {}, False
        case ChildServing(child, incarnation):
            if incarnation > 1:
                state.restarts[child] = state.restarts.get(child, 0) + 1
        case TradingDayStarted():
            _day_began(state, message)
        case SymbolSpecified(spec):
            state.specs[spec.symbol] = spec
        case QuotesStale(symbol) | QuotesResumed(symbol):
            others = [stale for stale in state.stale if stale != symbol]
            state.stale = [*others, symbol] if isinstance(message, QuotesStale) else others
        case OpenPosition():
            limits_seen.requested(state.limits, message)
        case OrderDenied() | OrderRejected() | OrderOutcomeUnknown() | OrderOutcomeResolved():
            limits_seen.requested(state.limits, message)
            _ordered(state, message)
        case PositionOpened():
            _opened(state, message)
        case PositionPriced() | PositionReduced() | CloseFailed() | StopTightened():
            if isinstance(message, CloseFailed):
                limits_seen.requested(state.limits, message)
            if message.ticket in state.held:
                state.held[message.ticket] = _changed(state.held[message.ticket], message)
        case PositionClosed():
            _closed(state, message)
        case AccountRead():
            state.account, state.marks = message, sampled(state.marks, message.equity_cents)
            limits_seen.heard(state.limits, message)
        case ModeChanged() | TradingRearmed() | HoldPlaced() | HoldEnded() | BrokerAgreed() | BrokerDisagreed():
            _guarded(state, message)
        case ForeignPositionSeen() | ForeignPositionGone() | ForeignOrderSeen() | ForeignOrderGone():
            _foreign(state, message)
        case CashMoved(cash):
            state.marks = shifted(state.marks, capital_cents_of(cash))
            limits_seen.heard(state.limits, message)
        case FlattenProgressed() | ScopeFlattened():
            _flattening(state, message)
        case ChainStepped() | ChainEnded() | ChainNotSaved() | ReserveRecovery() | RecoveryRefused() | FreeRecovery():
            chains_heard(state.chains, state.guards, message)
        case HedgeEnded() | ShieldRaised() | ShieldClosing() | ShieldLowered() | BreakerChanged():
            chains_heard(state.chains, state.guards, message)
        case PositionUnprotected() | PositionProtected() | SymbolTakenOver() | SymbolGivenBack() | StopsRefused():
            _protection(state, message)
        case LimitReached():
            limits_seen.heard(state.limits, message)
        case LimitsLowered(limits=limits):
            state.lowered = limits
        case RunStopped() | SegmentAsked() | StopRun() | ChildDown() | MessageParked() | LettersDead() | FeedGap():
            pass  # events, nothing that lasts
        case HealthAlarmed() | HealthEased() | StorageStrained() | StorageEased() | BackupTaken():
            pass  # what lasts of them is shown by who judges, or is a hold
        case WitnessesDisagree() | LevelsMoved() | MoneyDisagreed() | MoneyAgreed() | TerminalUnreadable() | TerminalReadable():
            pass  # what lasts of them is a hold, or a disagreement with the broker
        case _:
            assert_never(message)


def _day_began(state: ViewState, began: TradingDayStarted) -> None:
    state.trading_day, state.today, state.chains.today = began.day, Today(), RecoveriesToday()
    limits_seen.day_began(state.limits, state.counts.today)
    state.counts, state.marks = day_counted(state.counts, "off"), at_day_start(state.marks)
    if began.started_utc_ms >= state.week_ends_utc_ms:
        state.marks, state.week_ends_utc_ms = at_week_start(state.marks), began.week_ends_utc_ms


def _guarded(
    state: ViewState, message: ModeChanged | TradingRearmed | HoldPlaced | HoldEnded | BrokerAgreed | BrokerDisagreed
) -> None:
    guards = state.guards
    match message:
        case ModeChanged():
            guards.mode, guards.epoch = message.mode, message.epoch
            limits_seen.heard(state.limits, message)
            if message.mode is not Mode.FLATTEN:
                state.flattening.pop(ACCOUNT, None)
        case TradingRearmed():
            guard_table.rearm(guards)
            limits_seen.rearmed(state.limits, state.account)
            state.marks, state.losses_in_a_row, state.flattening = rearmed(state.marks), 0, {}
        case HoldPlaced():
            guard_table.place(guards, message)
        case HoldEnded():
            guard_table.end(guards, message.who, message.scope)
        case BrokerAgreed() | BrokerDisagreed():
            guards.agreed = isinstance(message, BrokerAgreed)
        case _:
            assert_never(message)


def _foreign(
    state: ViewState, message: ForeignPositionSeen | ForeignPositionGone | ForeignOrderSeen | ForeignOrderGone
) -> None:
    match message:
        case ForeignPositionSeen():
            state.foreign[message.ticket] = message
        case ForeignPositionGone():
            state.foreign.pop(message.ticket, None)
        case ForeignOrderSeen():
            state.foreign_orders[message.ticket] = message
        case ForeignOrderGone():
            state.foreign_orders.pop(message.ticket, None)
        case _:
            assert_never(message)


def _ordered(state: ViewState, message: OfOrders) -> None:
    match message:
        case OrderDenied(reason=reason):
            _refused(state, reason.value)
        case OrderRejected():
            _refused(state, REFUSED_BY_BROKER)
        case OrderOutcomeUnknown():
            state.unknown[message.proposal_id] = message
        case OrderOutcomeResolved():
            state.unknown.pop(message.proposal_id, None)
        case _:
            assert_never(message)


def _refused(state: ViewState, reason: str) -> None:
    refusals = {**state.today.refusals, reason: state.today.refusals.get(reason, 0) + 1}
    state.today = msgspec.structs.replace(state.today, refusals=refusals)


def _opened(state: ViewState, opened: PositionOpened) -> None:
    """A trade is counted as risk_limit counts it: an order of ours from a fresh signal, once."""
    state.unknown.pop(opened.lineage.proposal_id, None)
    state.foreign.pop(opened.ticket, None)
    if opened.ticket not in state.held and not opened.adopted:
        recovery_opened(state.chains, opened)
        limits_seen.opened(state.limits, opened.lineage.proposal_id)
        if is_fresh(opened.lineage):
            state.counts = trade_counted(state.counts, opened.opened_utc_ms)
    state.held[opened.ticket] = Held(opened)


def _changed(held: Held, message: PositionPriced | PositionReduced | CloseFailed | StopTightened) -> Held:
    opened = held.opened
    match message:
        case PositionPriced():
            moved = message.entry_points - opened.entry_points
            priced = msgspec.structs.replace(
                opened,
                entry_points=message.entry_points,
                volume_steps=message.volume_steps,
                stop_points=opened.stop_points and opened.stop_points + moved,
                target_points=opened.target_points and opened.target_points + moved,
                provisional=False,
            )
            return Held(priced, held.is_closing, held.tightened_points)
        case PositionReduced():
            return Held(msgspec.structs.replace(opened, volume_steps=message.volume_steps), False, held.tightened_points)
        case CloseFailed():
            return Held(opened, True, held.tightened_points)
        case StopTightened():
            return Held(opened, held.is_closing, message.stop_points)
        case _:
            assert_never(message)


def _flattening(state: ViewState, message: OfFlattening) -> None:
    others = {scope: said for scope, said in state.flattening.items() if scope != message.scope}
    state.flattening = {**others, message.scope: message} if isinstance(message, FlattenProgressed) else others


def _protection(state: ViewState, message: OfProtection) -> None:
    match message:
        case PositionUnprotected():
            state.unprotected[message.ticket] = message
        case PositionProtected():
            state.unprotected.pop(message.ticket, None)
        case SymbolTakenOver() | SymbolGivenBack():
            others = [symbol for symbol in state.taken_over if symbol != message.symbol]
            state.taken_over = [*others, message.symbol] if isinstance(message, SymbolTakenOver) else others
        case StopsRefused():
            pass  # an event; whether anything is lacking is told apart
        case _:
            assert_never(message)


def _closed(state: ViewState, closed: PositionClosed) -> None:
    limits_seen.closed(state.limits, closed)
    state.held.pop(closed.ticket, None)
    state.losses_in_a_row = state.losses_in_a_row + 1 if closed.net_cents < 0 else 0
    state.unprotected.pop(closed.ticket, None)
    for scope, left in state.flattening.items():
        tickets = tuple(ticket for ticket in left.tickets if ticket != closed.ticket)
        state.flattening = state.flattening | {scope: msgspec.structs.replace(left, tickets=tickets)}
    trade_closed(state.chains, closed)
    limits_seen.lost(state.limits, closed, state.trading_day)
    today = state.today
    state.today = msgspec.structs.replace(
        today,
        trades=today.trades + 1,
        won=today.won + (closed.net_cents > 0),
        net_cents=today.net_cents + closed.net_cents,
    )
