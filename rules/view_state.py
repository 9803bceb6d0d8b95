"""The fold that a View is made of: `fold` keeps what was said, `view_of` shows it at the prices of the moment."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, assert_never

import msgspec

from evenkeel.config.limits import LimitsConfig
from evenkeel.config.schema import Config
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
from evenkeel.messages.entry import OrderDenied
from evenkeel.messages.market import FeedGap, Quote, QuotesResumed, QuotesStale, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import (
    ACCOUNT,
    FlattenProgressed,
    HoldEnded,
    HoldPlaced,
    Mode,
    ModeChanged,
    ScopeFlattened,
    StopRun,
    TradingRearmed,
)
from evenkeel.messages.position import CloseFailed, PositionClosed, PositionOpened, PositionPriced, PositionReduced
from evenkeel.messages.protection import (
    PositionProtected,
    PositionUnprotected,
    StopsRefused,
    SymbolGivenBack,
    SymbolTakenOver,
)
from evenkeel.messages.risk_limit import LimitReached
from evenkeel.messages.storage import BackupTaken, StorageEased, StorageStrained
from evenkeel.messages.system import ChildDown, ChildServing, LettersDead, MessageParked, RunStarted, RunStopped
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules import guard_table
from evenkeel.rules.entries import distance_points
from evenkeel.rules.exits import exit_price, sign
from evenkeel.rules.frequency import TradeCounts, day_counted, trade_counted, trades_in_hour
from evenkeel.rules.guard_table import GuardTable
from evenkeel.rules.lineage import is_fresh
from evenkeel.rules.losses import EquityMarks, at_day_start, at_week_start, rearmed, sampled, shifted
from evenkeel.rules.money import capital_cents_of
from evenkeel.rules.sizing import Book, Reservation, holding_of, open_risk_cents, ppm_of_pct, share_of
from evenkeel.rules.symbols import points_per_pip
from evenkeel.rules.view import (
    AccountView,
    ChildView,
    Event,
    FlattenView,
    ForeignOrderView,
    ForeignView,
    HoldView,
    LimitView,
    PositionView,
    RunView,
    Shown,
    Today,
    UnknownOrder,
    UnprotectedView,
    View,
    decimal_of,
    lots_of,
)

REFUSED_BY_BROKER: Final = "rejected_by_broker"

OfRun = RunStarted | RunStopped | StopRun | ChildDown | ChildServing | MessageParked | LettersDead | TradingDayStarted
OfMarket = SymbolSpecified | QuotesStale | QuotesResumed | FeedGap
OfGuards = ModeChanged | TradingRearmed | HoldPlaced | HoldEnded | BrokerAgreed | BrokerDisagreed | AccountRead | LimitReached
OfOrders = OrderDenied | OrderRejected | OrderOutcomeUnknown | OrderOutcomeResolved
OfPositions = PositionOpened | PositionPriced | PositionReduced | PositionClosed | CloseFailed
OfProtection = PositionUnprotected | PositionProtected | SymbolTakenOver | SymbolGivenBack | StopsRefused
OfFlattening = FlattenProgressed | ScopeFlattened
OfOthers = ForeignPositionSeen | ForeignPositionGone | ForeignOrderSeen | ForeignOrderGone | WitnessesDisagree | LevelsMoved
OfStorage = StorageStrained | StorageEased | BackupTaken
OfMoney = CashMoved | MoneyDisagreed | MoneyAgreed
OfTerminal = TerminalUnreadable | TerminalReadable
Heard = (
    OfRun
    | OfMarket
    | OfGuards
    | OfOrders
    | OfPositions
    | OfProtection
    | OfFlattening
    | OfOthers
    | OfStorage
    | OfMoney
    | OfTerminal
)


class Held(msgspec.Struct):
    """`opened` with what its deals said since. `is_closing` after a close that failed."""

    opened: PositionOpened
    is_closing: bool = False


class ViewState(msgspec.Struct):
    """Positions by ticket, orders of unknown outcome by proposal, restarts by child, `unprotected` by ticket, `flattening` by
    scope, `taken_over` in the order in which it happened.

    `started_utc_ms` and `events` are the reporter's to set: a fold knows neither times nor words.
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


def fold(state: ViewState, message: Heard) -> None:
    """Keep what `message` changes. It brings no time of its own: an edge's fold has none."""
    guards = state.guards
    match message:
        case RunStarted():
            state.run, state.started_utc_ms, state.restarts, guards.agreed = message, None, {}, False
        case ChildServing(child, incarnation):
            if incarnation > 1:
                state.restarts[child] = state.restarts.get(child, 0) + 1
        case TradingDayStarted(day):
            state.trading_day, state.today = day, Today()
            state.counts, state.marks = day_counted(state.counts, "off"), at_day_start(state.marks)
            if message.started_utc_ms >= state.week_ends_utc_ms:
                state.marks, state.week_ends_utc_ms = at_week_start(state.marks), message.week_ends_utc_ms
        case SymbolSpecified(spec):
            state.specs[spec.symbol] = spec
        case QuotesStale(symbol) | QuotesResumed(symbol):
            others = [stale for stale in state.stale if stale != symbol]
            state.stale = [*others, symbol] if isinstance(message, QuotesStale) else others
        case OrderDenied(reason=reason):
            _refused(state, reason.value)
        case OrderRejected():
            _refused(state, REFUSED_BY_BROKER)
        case OrderOutcomeUnknown():
            state.unknown[message.proposal_id] = message
        case OrderOutcomeResolved():
            state.unknown.pop(message.proposal_id, None)
        case PositionOpened():
            _opened(state, message)
        case PositionPriced() | PositionReduced() | CloseFailed():
            if message.ticket in state.held:
                state.held[message.ticket] = _changed(state.held[message.ticket], message)
        case PositionClosed():
            _closed(state, message)
        case AccountRead():
            state.account, state.marks = message, sampled(state.marks, message.equity_cents)
        case BrokerAgreed() | BrokerDisagreed():
            guards.agreed = isinstance(message, BrokerAgreed)
        case ForeignPositionSeen():
            state.foreign[message.ticket] = message
        case ForeignPositionGone():
            state.foreign.pop(message.ticket, None)
        case ForeignOrderSeen():
            state.foreign_orders[message.ticket] = message
        case ForeignOrderGone():
            state.foreign_orders.pop(message.ticket, None)
        case CashMoved(cash):
            state.marks = shifted(state.marks, capital_cents_of(cash))
        case ModeChanged():
            guards.mode, guards.epoch = message.mode, message.epoch
            if message.mode is not Mode.FLATTEN:
                state.flattening.pop(ACCOUNT, None)
        case TradingRearmed():
            guard_table.rearm(guards)
            state.marks, state.losses_in_a_row, state.flattening = rearmed(state.marks), 0, {}
        case FlattenProgressed() | ScopeFlattened():
            _flattening(state, message)
        case PositionUnprotected() | PositionProtected() | SymbolTakenOver() | SymbolGivenBack() | StopsRefused():
            _protection(state, message)
        case HoldPlaced():
            guard_table.place(guards, message)
        case HoldEnded():
            guard_table.end(guards, message.who, message.scope)
        case RunStopped() | StopRun() | ChildDown() | MessageParked() | LettersDead() | FeedGap() | LimitReached():
            pass  # events, nothing that lasts
        case StorageStrained() | StorageEased() | BackupTaken():
            pass  # what lasts of them is a hold
        case WitnessesDisagree() | LevelsMoved() | MoneyDisagreed() | MoneyAgreed() | TerminalUnreadable() | TerminalReadable():
            pass  # what lasts of them is a hold, or a disagreement with the broker
        case _:
            assert_never(message)


def view_of(
    state: ViewState,
    *,
    marks: Mapping[str, Quote],
    children: Iterable[tuple[str, bool, int]],
    config: Config,
    now_utc_ms: int,
    written_utc_ms: int,
) -> View:
    """`marks` are the newest quotes by symbol; `children` are name, whether it serves, and incarnation of each."""
    guards = state.guards
    holds = (hold for hold in guards.holds.values() if hold.until_utc_ms == 0 or now_utc_ms < hold.until_utc_ms)
    return View(
        written_utc_ms=written_utc_ms,
        now_utc_ms=now_utc_ms,
        run=_run_view(state.run, state.started_utc_ms) if state.run else None,
        mode=guards.mode,
        epoch=guards.epoch,
        agreed=guards.agreed,
        trading_day=state.trading_day,
        holds=tuple(_shown(HoldView, hold) for hold in holds),
        children=tuple(
            ChildView(name=name, serving=serving, incarnation=number, restarts=state.restarts.get(name, 0))
            for name, serving, number in children
        ),
        positions=tuple(_position_view(state, held, marks, config) for held in state.held.values()),
        foreign=tuple(_foreign_view(state, seen) for seen in state.foreign.values()),
        foreign_orders=tuple(_foreign_order_view(state, seen) for seen in state.foreign_orders.values()),
        unknown_orders=tuple(_shown(UnknownOrder, order) for order in state.unknown.values()),
        stale=tuple(state.stale),
        account=_shown(AccountView, state.account) if state.account else None,
        today=state.today,
        limits=tuple(_limits(state, config.limits, now_utc_ms)),
        events=tuple(state.events),
        flattening=tuple(_shown(FlattenView, one) for one in state.flattening.values()),
        unprotected=tuple(_shown(UnprotectedView, one) for one in state.unprotected.values()),
        taken_over=tuple(state.taken_over),
    )


def _refused(state: ViewState, reason: str) -> None:
    refusals = {**state.today.refusals, reason: state.today.refusals.get(reason, 0) + 1}
    state.today = msgspec.structs.replace(state.today, refusals=refusals)


def _opened(state: ViewState, opened: PositionOpened) -> None:
    """A trade is counted as risk_limit counts it: an order of ours from a fresh signal, once."""
    state.unknown.pop(opened.lineage.proposal_id, None)
    state.foreign.pop(opened.ticket, None)
    if opened.ticket not in state.held and not opened.adopted and is_fresh(opened.lineage):
        state.counts = trade_counted(state.counts, opened.opened_utc_ms)
    state.held[opened.ticket] = Held(opened)


def _changed(held: Held, message: PositionPriced | PositionReduced | CloseFailed) -> Held:
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
            return Held(priced, held.is_closing)
        case PositionReduced():
            return Held(msgspec.structs.replace(opened, volume_steps=message.volume_steps))
        case CloseFailed():
            return Held(opened, is_closing=True)
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
    state.held.pop(closed.ticket, None)
    state.losses_in_a_row = state.losses_in_a_row + 1 if closed.net_cents < 0 else 0
    state.unprotected.pop(closed.ticket, None)
    today = state.today
    state.today = msgspec.structs.replace(
        today,
        trades=today.trades + 1,
        won=today.won + (closed.net_cents > 0),
        net_cents=today.net_cents + closed.net_cents,
    )


def _shown(kind: type[Shown], said: object) -> Shown:
    """The fields of `kind`, which have the same names there."""
    return msgspec.convert(said, kind, from_attributes=True)


def _run_view(run: RunStarted, started_utc_ms: int | None) -> RunView:
    return RunView(build=run.build, account=run.account, started_utc_ms=started_utc_ms, continued=run.continued)


def _position_view(state: ViewState, held: Held, marks: Mapping[str, Quote], config: Config) -> PositionView:
    opened, spec, quote = held.opened, state.specs.get(held.opened.symbol), marks.get(held.opened.symbol)
    s = sign(opened.direction)
    stop_points = opened.stop_points or _configured_stop_points(opened, spec, config)
    mark_points = exit_price(opened.direction, quote) if quote else 0
    gained_points = s * (mark_points - opened.entry_points) if mark_points and opened.entry_points else None
    risked_points = s * (opened.entry_points - stop_points) if stop_points else 0
    return PositionView(
        ticket=opened.ticket,
        symbol=opened.symbol,
        direction=opened.direction,
        volume_lots=_lots(opened.volume_steps, spec),
        entry=_price(opened.entry_points, spec),
        stop=_price(stop_points, spec),
        target=_price(opened.target_points, spec),
        mark=_price(mark_points, spec),
        opened_utc_ms=opened.opened_utc_ms,
        r=round(gained_points / risked_points, 2) if gained_points is not None and risked_points > 0 else None,
        profit_cents=_worth_cents(gained_points, opened.volume_steps, spec) if gained_points is not None and spec else None,
        strategy=opened.lineage.strategy or opened.lineage.origin,
        closing=held.is_closing,
    )


def _configured_stop_points(opened: PositionOpened, spec: SymbolSpec | None, config: Config) -> int:
    """The stop that position/SYMBOL gives a position which came without one; 0 while that cannot be told."""
    if spec is None or opened.entry_points == 0:
        return 0
    distance = distance_points(config.entry.stop_pips, points_per_pip(spec, config))
    return opened.entry_points - sign(opened.direction) * distance


def _worth_cents(points: int, volume_steps: int, spec: SymbolSpec) -> int:
    """Rounded down: a loss is never shown smaller than it is."""
    return points * volume_steps * spec.worth.numerator // (spec.worth.denominator * spec.steps_per_lot)


def _foreign_view(state: ViewState, seen: ForeignPositionSeen) -> ForeignView:
    spec = state.specs.get(seen.symbol)
    return ForeignView(
        ticket=seen.ticket,
        symbol=seen.symbol,
        direction=seen.direction,
        volume_lots=_lots(seen.volume_steps, spec),
        entry=_price(seen.open_points, spec),
    )


def _foreign_order_view(state: ViewState, seen: ForeignOrderSeen) -> ForeignOrderView:
    spec = state.specs.get(seen.symbol)
    return ForeignOrderView(
        ticket=seen.ticket,
        symbol=seen.symbol,
        direction=seen.direction,
        volume_lots=_lots(seen.volume_steps, spec),
        price=_price(seen.price_points, spec),
    )


def _price(points: int, spec: SymbolSpec | None) -> str | None:
    return decimal_of(points, spec.digits) if spec and points else None


def _lots(volume_steps: int, spec: SymbolSpec | None) -> str | None:
    return lots_of(volume_steps, spec) if spec else None


def _limits(state: ViewState, limits: LimitsConfig, now_utc_ms: int) -> Iterator[LimitView]:
    """Those that are on; the ones in money from the first reading on."""
    positions = len(state.held) + len(state.foreign) + len(state.unknown)
    counted = (
        ("positions_max", positions, limits.positions_max),
        ("trades_per_day", state.counts.today, limits.trades_per_day),
        ("trades_per_hour", trades_in_hour(state.counts, now_utc_ms), limits.trades_per_hour),
        ("consecutive_losses", state.losses_in_a_row, limits.consecutive_losses.close_only_after),
    )
    for name, used, limit in counted:
        if limit != "off":
            yield _limit_view(name, used, limit, "count")
    equity, base, peak = state.marks.equity_cents, state.marks.day_base_cents, state.marks.peak_cents
    if equity is None or base is None or peak is None:
        return
    if limits.day_loss_pct != "off":
        yield _limit_view("day_loss_pct", max(0, base - equity), _pct_of(base, limits.day_loss_pct), "cents")
    week_base = state.marks.week_base_cents
    if limits.week_loss_pct != "off" and week_base is not None:
        yield _limit_view("week_loss_pct", max(0, week_base - equity), _pct_of(week_base, limits.week_loss_pct), "cents")
    falls = limits.drawdown.reduce_pct, limits.drawdown.halve_pct, limits.drawdown.close_only_pct, limits.drawdown.flatten_pct
    steps = sorted(_pct_of(peak, pct) for pct in falls if pct != "off")
    if steps:
        ahead = next((step for step in steps if step > peak - equity), steps[-1])
        yield _limit_view("drawdown", peak - equity, ahead, "cents")
    if limits.open_risk_pct != "off":
        used = open_risk_cents(_book(state), limits.slippage_points)
        yield _limit_view("open_risk_pct", used, _pct_of(equity, limits.open_risk_pct), "cents")


def _limit_view(name: str, used: int, limit: int, unit: str) -> LimitView:
    room_ratio = round(max(0.0, 1 - used / limit), 4) if limit > 0 else 0.0
    return LimitView(name=name, used=used, limit=limit, room_ratio=room_ratio, unit=unit)


def _pct_of(cents: int, pct: float) -> int:
    return share_of(cents, ppm_of_pct(pct))


def _book(state: ViewState) -> Book:
    """Our open positions as risk_limit holds them, those of symbols without terms left out."""
    book = Book(specs=state.specs)
    for ticket, held in state.held.items():
        opened = held.opened
        if opened.symbol in state.specs:
            reserved = Reservation(opened.symbol, opened.direction, opened.volume_steps, opened.reserved_cents, is_fresh=False)
            book.holdings[ticket] = holding_of(opened, reserved)
    return book
