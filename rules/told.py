"""What a run logs, each message in one line of plain words; rules/words.py has the words of everything else in a journal."""

from typing import assert_never

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
from evenkeel.messages.entry import OpenPosition, OrderDenied, OrderKind
from evenkeel.messages.health import HealthAlarmed, HealthEased
from evenkeel.messages.market import FeedGap, QuotesResumed, QuotesStale, SymbolSpecified
from evenkeel.messages.operator import (
    FlattenProgressed,
    HoldEnded,
    HoldPlaced,
    LimitsLowered,
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
    Gap,
    PositionProtected,
    PositionUnprotected,
    StopsRefused,
    SymbolGivenBack,
    SymbolTakenOver,
)
from evenkeel.messages.risk_limit import LimitReached
from evenkeel.messages.storage import BackupTaken, StorageEased, StorageStrained
from evenkeel.messages.system import (
    ChildDown,
    ChildServing,
    LettersDead,
    MessageParked,
    RunStarted,
    RunStopped,
)
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules import storage
from evenkeel.rules.chain_words import chain_told
from evenkeel.rules.texts import amount_text, lots_text, money_text, price_text
from evenkeel.rules.view_chains import OfRisk
from evenkeel.rules.view_state import (
    Heard,
    OfFlattening,
    OfHealth,
    OfMoney,
    OfOrders,
    OfOthers,
    OfProtection,
    OfRun,
    OfStorage,
    ViewState,
)


def told(state: ViewState, message: Heard) -> str | None:
    """`message` in one line of plain words; None for what is no event. `state` gives digits and currency."""
    match message:
        case SymbolSpecified() | AccountRead() | OpenPosition() | PositionPriced() | ChildServing(incarnation=1):
            return None
        case OrderDenied() | OrderRejected() | OrderOutcomeUnknown() | OrderOutcomeResolved():
            return _order_told(message, state.account)
        case PositionOpened() | PositionReduced() | PositionClosed() | CloseFailed():
            return _position_told(state, message)
        case ForeignPositionSeen() | ForeignPositionGone() | ForeignOrderSeen() | ForeignOrderGone():
            return _others_told(state, message)
        case WitnessesDisagree() | LevelsMoved():
            return _others_told(state, message)
        case CashMoved() | MoneyDisagreed() | MoneyAgreed():
            return _money_told(message, state.account or state.configured)
        case TerminalUnreadable(for_ms):
            return f"the terminal cannot be read for {for_ms / 1000:.1f} s: entries wait until two readings agree again"
        case TerminalReadable(for_ms):
            return f"the terminal can be read again after {for_ms / 1000:.1f} s"
        case QuotesStale(symbol, age_ms):
            return f"no quote of {symbol} for {age_ms / 1000:.1f} s"
        case QuotesResumed(symbol):
            return f"quotes of {symbol} are back"
        case FeedGap():
            gap_s = (message.to_utc_ms - message.from_utc_ms) / 1000
            return f"quotes of {message.symbol} over {gap_s:.1f} s could not be read again"
        case StorageStrained() | StorageEased() | BackupTaken():
            return _storage_told(message)
        case HealthAlarmed() | HealthEased():
            return _health_told(message)
        case LimitReached():
            measured, bound = (amount_text(value, message.unit, state.account) for value in (message.measured, message.bound))
            return f"limit {message.limit}: {measured} against {bound}: {message.effect}"
        case ModeChanged() | TradingRearmed() | HoldPlaced() | HoldEnded() | BrokerAgreed() | BrokerDisagreed():
            return _guard_told(message)
        case PositionUnprotected() | PositionProtected() | SymbolTakenOver() | SymbolGivenBack() | StopsRefused():
            return _protection_told(state, message)
        case FlattenProgressed() | ScopeFlattened():
            return _flattening_told(message)
        case message if isinstance(message, OfRisk | StopTightened):
            return chain_told(state, message)
        case _:
            return _run_told(message)


def _order_told(message: OfOrders, account: AccountRead | None) -> str:
    kind = message.lineage.order_kind
    of = f" ({kind.replace('_', ' ')})" if kind not in (OrderKind.SINGLE, OrderKind.TP_TRAIL) else ""
    order = f"{message.direction.value} {message.symbol}{of}"
    match message:
        case OrderDenied():
            measured = f" {amount_text(message.measured, message.unit, account)}" if message.unit else ""
            limit = f" against {amount_text(message.limit, message.unit, account)}" if message.limit else ""
            detail = f" ({message.detail})" if message.detail else ""
            return f"{order} refused by {message.by}: {message.reason.value}{measured}{limit}{detail}"
        case OrderRejected():
            return f"{order} rejected by the broker: {message.code} {message.detail}"
        case OrderOutcomeUnknown():
            return f"{order}: nobody knows whether order {message.intent_id} was executed: {message.detail}"
        case OrderOutcomeResolved():
            return f"{order}: order {message.intent_id} was not executed"
        case _:
            assert_never(message)


def _position_told(state: ViewState, message: PositionOpened | PositionReduced | PositionClosed | CloseFailed) -> str:
    spec = state.specs.get(message.symbol)
    match message:
        case PositionOpened():
            levels = "".join(
                f", {name} {price_text(points, spec)}"
                for name, points in (("stop", message.stop_points), ("target", message.target_points))
                if points
            )
            how = " after its outcome was unknown" if message.late else " and adopted" if message.adopted else ""
            what = f"{message.direction.value} {lots_text(message.volume_steps, spec)} {message.symbol}"
            return f"position {message.ticket} opened{how}: {what} at {price_text(message.entry_points, spec)}{levels}"
        case PositionReduced():
            left = f"reduced to {lots_text(message.volume_steps, spec)}"
            return f"position {message.ticket} {left} at {price_text(message.close_points, spec)} ({message.reason.value})"
        case PositionClosed():
            at = f"by the {message.by.value} at {price_text(message.close_points, spec)} ({message.reason.value})"
            return f"position {message.ticket} closed {at}, net {money_text(message.net_cents, state.account)}"
        case CloseFailed():
            return f"position {message.ticket} is not closed yet: {message.failure.value}: {message.detail}"
        case _:
            assert_never(message)


def _others_told(state: ViewState, message: OfOthers) -> str:
    spec = state.specs.get(message.symbol)
    match message:
        case ForeignPositionSeen(ticket, symbol):
            return f"position {ticket} in {symbol} is not ours: it counts as exposure and is not touched"
        case ForeignPositionGone(ticket, symbol):
            return f"position {ticket} in {symbol}, not ours, is gone"
        case ForeignOrderSeen(ticket, symbol):
            what = f"{message.direction.value} {lots_text(message.volume_steps, spec)} {symbol}"
            at = price_text(message.price_points, spec)
            return f"order {ticket} to {what} at {at} waits at the broker and is not ours: it is counted and not touched"
        case ForeignOrderGone(ticket, symbol):
            return f"order {ticket} in {symbol}, not ours, waits no longer"
        case WitnessesDisagree(ticket, symbol, _, detail):
            return f"nobody knows whose position {ticket} in {symbol} is, so nothing is opened there: {detail}"
        case LevelsMoved():
            levels = ", ".join(
                f"{name} {price_text(points, spec) if points else 'none'}"
                for name, points in (("stop", message.stop_points), ("target", message.target_points))
            )
            then = "kept" if message.kept else "the stop is set again where it belongs"
            return f"somebody changed the levels of position {message.ticket} at the broker to {levels}: {then}"
        case _:
            assert_never(message)


def _money_told(message: OfMoney, account: AccountRead | AccountConfig | None) -> str:
    match message:
        case CashMoved(cash):
            comment = f" ({cash.comment})" if cash.comment else ""
            return f"{cash.kind.value.replace('_', ' ')} {money_text(cash.amount_cents, account)}{comment}"
        case MoneyDisagreed():
            measured, expected = (money_text(one, account) for one in (message.measured_cents, message.expected_cents))
            return f"the balance is {measured}, but the deals make it {expected}: nothing is opened until a person rearms"
        case MoneyAgreed():
            return f"the balance is again what the deals make it: {money_text(message.balance_cents, account)}"
        case _:
            assert_never(message)


def _guard_told(message: ModeChanged | TradingRearmed | HoldPlaced | HoldEnded | BrokerAgreed | BrokerDisagreed) -> str:
    match message:
        case ModeChanged():
            return f"mode {message.mode.value} by {message.by}: {message.reason}"
        case TradingRearmed():
            return f"rearmed by {message.by}"
        case HoldPlaced():
            return f"no new risk in {message.scope}, says {message.who}: {message.reason}"
        case HoldEnded():
            return f"{message.who} ends its hold of {message.scope}"
        case BrokerAgreed():
            return f"the broker agrees: {message.positions} open"
        case BrokerDisagreed():
            return f"the broker disagrees: {message.detail}"
        case _:
            assert_never(message)


def _storage_told(message: OfStorage) -> str:
    match message:
        case StorageStrained():
            return storage.told(message)
        case StorageEased():
            return f"{message.reason.value}: there is no trouble with it any more"
        case BackupTaken():
            return f"backup {message.folder}: everything up to record {message.last_seq}, {message.bytes / 1e6:.1f} MB, checked"


def _health_told(message: OfHealth) -> str:
    of = f" ({message.scope})" if message.scope else ""
    what = f"{message.check.replace('_', ' ')}{of}"
    match message:
        case HealthAlarmed():
            return f"alarm: {what}: {message.detail}"
        case HealthEased():
            return f"{what}: well again"


def _protection_told(state: ViewState, message: OfProtection) -> str:
    match message:
        case PositionUnprotected():
            at_broker = price_text(message.broker_stop_points, state.specs.get(message.symbol))
            lacking = {
                Gap.NO_BROKER_STOP: "the broker holds no stop for it",
                Gap.BROKER_STOP_FAR: f"its stop at the broker, {at_broker}, is too far away",
                Gap.LEVELS_NOT_ARMED: "nobody waits for its stop",
                Gap.CLOSE_UNANSWERED: "nobody answered its close",
            }
            return f"position {message.ticket} in {message.symbol} is not protected: {lacking[message.gap]}"
        case PositionProtected():
            return f"position {message.ticket} in {message.symbol} is protected again"
        case SymbolTakenOver():
            return f"{message.symbol} is taken over, its stops and targets go to the broker: {message.reason}"
        case SymbolGivenBack():
            return f"{message.symbol} is given back"
        case StopsRefused():
            why = f"{message.code} {message.detail}" if message.code else message.detail
            return f"stops of position {message.ticket} in {message.symbol} are not set: {message.outcome.value}: {why}"
        case _:
            assert_never(message)


def _flattening_told(message: OfFlattening) -> str:
    foreign = f"; not ours, stays: {' '.join(map(str, message.foreign))}" if message.foreign else ""
    match message:
        case FlattenProgressed():
            left = f"still open: {' '.join(map(str, message.tickets))}" if message.tickets else "nothing of ours is seen open"
            return f"flattening {message.scope}: {left}{foreign}"
        case ScopeFlattened():
            return f"{message.scope} is flat: the broker has shown nothing of ours, twice{foreign}"
        case _:
            assert_never(message)


def _run_told(message: OfRun) -> str | None:
    match message:
        case RunStarted():
            count = f" ({message.crashes_recent} in ten minutes)" if message.crashes_recent > 1 else ""
            how = " from a backup" if message.restored else f" after a crash{count}" if message.crashed else ""
            goes_on = ", going on as before" if message.continued else ", reloaded" if message.reloaded else ""
            return f"run started{how}{goes_on}: build {message.build}, account {message.account}"
        case RunStopped():
            return f"run stopped: {message.reason}"
        case StopRun():
            return f"stop asked by {message.by}"
        case SegmentAsked():
            return f"another configuration asked by {message.by}: {message.changes}"
        case LimitsLowered():
            return f"lowered by {message.by}: {message.limits}" if message.limits else None
        case ChildDown():
            return f"{message.child} is down, crash {message.crashes}: {message.error}"
        case ChildServing():
            return f"{message.child} is back as incarnation {message.incarnation}"
        case MessageParked():
            return f"{message.child} crashed twice on {message.kind} {message.seq}, which is set aside: {message.error}"
        case LettersDead():
            return f"{message.child} was too slow: it reads {message.count} messages from the journal"
        case TradingDayStarted():
            return f"trading day {message.day}"
        case _:
            assert_never(message)
