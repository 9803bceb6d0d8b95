"""recovery: the re-entry chain of each order A: recovers a stopped trade, goes on after a target, returns after an exit.

No step without a deal whose cause allows it, no order before the chain that says so is written down (trading_rules 1.2 to 1.7).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.chain_store import ChainNotSaved, ChainSaved
from evenkeel.messages.entry import Lineage, OrderDenied, OrderKind, SignalRaised
from evenkeel.messages.market import BarClosed, PricesReached, SymbolSpecified
from evenkeel.messages.operator import CommandDone, CommandRefused, Mode, ModeChanged
from evenkeel.messages.position import (
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    ReducePosition,
    StopTightened,
)
from evenkeel.messages.recovery import ChainState, ReentrySignalled, StopChain
from evenkeel.messages.risk_limit import RecoveryRefused, RecoveryReserved
from evenkeel.messages.shield import HedgeEnded, ShieldLowered, ShieldRaised
from evenkeel.messages.system import Message, SetTimer, TimerDue
from evenkeel.rules.chain_writes import is_awaited, not_written, write_again, written
from evenkeel.rules.entries import ATTEMPTS_MAX, PRICE_MOVED
from evenkeel.rules.hedge import ANSWER_MS
from evenkeel.rules.indicators.trend import trend_in
from evenkeel.rules.lineage import has_pyramids, plugins
from evenkeel.rules.profit_booking import is_pyramid
from evenkeel.rules.recovery import WAITING, ChainEvent
from evenkeel.rules.recovery_ends import Around, cancel, doomed_by_shield, halt, stop
from evenkeel.rules.recovery_market import TIMEFRAME, Market, is_against, take_bar, take_terms
from evenkeel.rules.recovery_orders import ask, crossed, failed, filled, place
from evenkeel.rules.recovery_sagas import (
    CHAINS_MAX,
    NAME,
    RecoveryState,
    Saga,
    Trade,
    alter,
    begun,
    is_live,
    recovery_id,
    step,
    timer,
    urgency,
    watch_name,
    write,
)
from evenkeel.rules.recovery_steps import closed
from evenkeel.rules.recovery_waits import hedge_ended, look, reserved
from evenkeel.rules.texts import levels_text

DERIVED: Final = (OrderKind.TP_CONTINUATION.value, OrderKind.SL_RECOVERY.value, OrderKind.EXIT_CONTINUATION.value)
OURS: Final = (OrderKind.TP_TRAIL.value, *DERIVED)
SHIELDS: Final = (OrderKind.SHIELD_A.value, OrderKind.SHIELD_B.value)

Refused = OrderDenied | OrderRejected | OrderOutcomeResolved
Heard = (
    SymbolSpecified
    | BarClosed
    | PricesReached
    | TimerDue
    | SignalRaised
    | ReentrySignalled
    | Refused
    | OrderOutcomeUnknown
    | PositionOpened
    | PositionPriced
    | PositionClosed
    | StopTightened
    | RecoveryReserved
    | RecoveryRefused
    | ChainSaved
    | ChainNotSaved
    | ShieldRaised
    | ShieldLowered
    | HedgeEnded
    | StopChain
    | ModeChanged
)


class Recovery:
    """It opens and closes nothing itself: it asks, as a strategy does, and whoever decides may refuse."""

    name = NAME

    def __init__(self, config: Config) -> None:
        self.state = RecoveryState()
        self._config = config
        self._plugins = plugins(config)
        self._symbols = [symbol for plugin in self._plugins for symbol in config.strategy[plugin].symbols]

    def handle(self, message: Heard, now_utc_ms: int, /) -> Sequence[Message]:
        said = list(self._heard(message, now_utc_ms))
        for saga in sorted(self.state.sagas.values(), key=urgency):
            said += write(saga, now_utc_ms)
            if not is_live(saga) and not saga.writing.is_on_its_way:
                del self.state.sagas[saga.chain.chain_id]
        return said

    def _heard(self, message: Heard, now_utc_ms: int) -> Iterable[Message]:
        match message:
            case SymbolSpecified():
                return self._specified(message, now_utc_ms)
            case BarClosed():
                return self._bar(message, now_utc_ms)
            case PricesReached():
                return self._reached(message, now_utc_ms)
            case TimerDue():
                return self._timer(message.name, now_utc_ms)
            case SignalRaised():
                return self._opposite(message, now_utc_ms)
            case ReentrySignalled():
                return self._signalled(message, now_utc_ms)
            case OrderDenied() | OrderRejected() | OrderOutcomeResolved() | OrderOutcomeUnknown():
                return self._told(message, now_utc_ms)
            case PositionOpened():
                return self._opened(message, now_utc_ms)
            case PositionPriced() | StopTightened():
                return self._altered(message)
            case PositionClosed():
                return self._closed(message, now_utc_ms)
            case RecoveryReserved() | RecoveryRefused():
                return self._reservation(message, now_utc_ms)
            case ChainSaved() | ChainNotSaved():
                return self._store_answered(message, now_utc_ms)
            case ShieldRaised() | ShieldLowered():
                return self._shield(message, now_utc_ms)
            case HedgeEnded():
                saga = self.state.sagas.get(message.chain_id)
                is_its_end = saga is not None and saga.chain.state is ChainState.HEDGED and saga.is_hedge_asked
                return hedge_ended(self._around(saga, now_utc_ms), saga, message) if saga is not None and is_its_end else ()
            case StopChain():
                return self._stop_chain(message, now_utc_ms)
            case ModeChanged():
                return self._mode(message, now_utc_ms)
            case _:
                assert_never(message)

    # -- the market -----------------------------------------------------------------------------------------------------------

    def _specified(self, specified: SymbolSpecified, now_utc_ms: int) -> Iterable[Message]:
        """A chain's prices and volumes would mean something else under other digits: such a chain ends."""
        spec = specified.spec
        if spec.symbol not in self._symbols:
            return ()
        market = self.state.markets.setdefault(spec.symbol, Market())
        if not take_terms(market, spec):
            return ()
        return self._halt(self._sagas(spec.symbol), "the symbol's terms are others", now_utc_ms)

    def _bar(self, bar: BarClosed, now_utc_ms: int) -> Iterable[Message]:
        if bar.timeframe != TIMEFRAME or bar.symbol not in self._symbols:
            return ()
        market = self.state.markets.setdefault(bar.symbol, Market())
        take_bar(market, bar)
        if bar.late:
            return ()
        said = [message for saga in self._sagas(bar.symbol) for message in look(self._around(saga, now_utc_ms), saga)]
        return [*said, *self._reversed(bar.symbol, market, now_utc_ms)]

    def _reversed(self, symbol: str, market: Market, now_utc_ms: int) -> Iterator[Message]:
        """A clear trend against a trade ends it, once the trade is older than the grace (trading_rules 1.7)."""
        config, trend = self._config.recovery, trend_in(market.window)
        grace_ms = round(config.reversal_grace_minutes * 60_000)
        for ticket, trade in self.state.trades.items():
            is_old = now_utc_ms - trade.opened_utc_ms >= grace_ms
            if config.reversal_exit == "on" and trade.symbol == symbol and is_old and is_against(trade.direction, trend):
                yield ReducePosition(ticket, symbol, 0, ExitReason.REVERSAL)

    def _reached(self, reached: PricesReached, now_utc_ms: int) -> Iterable[Message]:
        sagas = [self.state.sagas.get(name.rpartition("/")[0]) for name in reached.names]
        theirs = [saga for saga in sagas if saga is not None and saga.is_armed and watch_name(saga) in reached.names]
        for saga in sorted(theirs, key=urgency):
            yield from crossed(self._around(saga, now_utc_ms), saga, reached.quote)

    def _timer(self, name: str, now_utc_ms: int) -> Iterable[Message]:
        what, _, chain_id = name.partition("/")
        saga = self.state.sagas.get(chain_id)
        if saga is None:
            return ()
        around, state = self._around(saga, now_utc_ms), saga.chain.state
        if what == "write":
            write_again(saga.writing)
        elif what == "window":
            return cancel(around, saga, ChainEvent.WINDOW_OVER) if state in WAITING else ()
        elif state is ChainState.PLACING:
            return failed(around, saga, "rejected, and not tried again") if saga.is_doubted else ()
        elif is_live(saga):
            return look(around, saga)
        return ()

    def _opposite(self, signal: SignalRaised, now_utc_ms: int) -> Iterable[Message]:
        """A signal of the same strategy against what its chains wait for."""
        for saga in self._sagas(signal.symbol):
            if saga.chain.plugin == signal.lineage.strategy and saga.chain.direction is not signal.direction:
                yield from cancel(self._around(saga, now_utc_ms), saga, ChainEvent.OPPOSITE)

    def _signalled(self, signalled: ReentrySignalled, now_utc_ms: int) -> Iterable[Message]:
        """The strategy itself says that it goes on: that is the re-entry, once the pause after the last trade is over."""
        saga = self.state.sagas.get(signalled.chain_id)
        is_waiting = saga is not None and saga.chain.state is ChainState.AWAITING_TP
        if saga is None or not is_waiting or now_utc_ms < saga.ready_utc_ms:
            return ()
        return place(saga, signalled.quote, signalled.spread_median_points, "a signal of the strategy")

    # -- orders and trades ----------------------------------------------------------------------------------------------------

    def _told(self, told: Refused | OrderOutcomeUnknown, now_utc_ms: int) -> Iterable[Message]:
        """What became of an order, where it was not filled. A price that had moved is tried again by the symbol's actor."""
        saga = self._of(told.lineage)
        if saga is None or saga.chain.state is not ChainState.PLACING or not saga.is_asked:
            return ()
        saga.is_doubted = False
        around = self._around(saga, now_utc_ms)
        match told:
            case OrderOutcomeUnknown():
                return ()  # nothing is asked for before somebody knows
            case OrderDenied():
                return failed(around, saga, f"denied by {told.by}: {told.reason.value}")
            case OrderOutcomeResolved():
                return failed(around, saga, "never executed")
            case OrderRejected():
                saga.rejects += 1
                if told.code not in PRICE_MOVED or told.quote is None or saga.rejects >= ATTEMPTS_MAX:
                    return failed(around, saga, f"rejected: {told.code} {told.detail}")
                saga.is_doubted = True
                return [SetTimer(NAME, timer("look", saga.chain), now_utc_ms + ANSWER_MS)]

    def _opened(self, opened: PositionOpened, now_utc_ms: int) -> Iterable[Message]:
        """An order whose chain has ended, or goes on without it, is closed; a position that was only found is left alone."""
        lineage = opened.lineage
        if lineage.strategy in self._plugins and lineage.order_kind not in SHIELDS:
            self.state.trades[opened.ticket] = Trade(opened.symbol, opened.direction, opened.opened_utc_ms)
        saga = self._of(lineage)
        if lineage.order_kind == OrderKind.TP_TRAIL:
            return self._began(opened) if saga is None else ()
        if lineage.order_kind not in DERIVED or (saga is not None and opened.ticket in saga.chain.tickets):
            return ()
        is_awaited = saga is not None and saga.chain.step == lineage.order_kind and not saga.ticket and is_live(saga)
        if saga is None or not is_awaited or saga.chain.state is ChainState.ACTIVE:
            close = ReducePosition(opened.ticket, opened.symbol, 0, ExitReason.CHAIN)
            return () if opened.adopted else [close]
        return filled(self._around(saga, now_utc_ms), saga, opened)

    def _began(self, opened: PositionOpened) -> Iterable[Message]:
        if len(self.state.sagas) >= CHAINS_MAX or opened.lineage.strategy not in self._plugins:
            return ()
        saga = self.state.sagas[opened.lineage.chain_id] = begun(self._config, opened)
        told = levels_text(opened, self.state.markets.setdefault(opened.symbol, Market()).spec)
        return [step(saga, ChainEvent.OPENED, ChainState.ACTIVE, detail=told)]

    def _altered(self, message: PositionPriced | StopTightened) -> Iterable[Message]:
        """What the opening deals say, and a stop that was moved; the stop's distance was frozen at the entry."""
        saga = next((saga for saga in self.state.sagas.values() if saga.ticket == message.ticket), None)
        if saga is None:
            return ()
        match message:
            case StopTightened():
                saga.stop_points = message.stop_points
            case PositionPriced():
                alter(saga, last_entry_points=message.entry_points)
                if saga.chain.trades == 1:
                    alter(saga, first_entry_points=message.entry_points, volume_steps=message.volume_steps)
        return ()

    def _closed(self, end: PositionClosed, now_utc_ms: int) -> Iterable[Message]:
        self.state.trades.pop(end.ticket, None)
        saga = self._of(end.lineage)
        if saga is None or saga.ticket != end.ticket:
            return ()
        return closed(self._around(saga, now_utc_ms), saga, end)

    def _reservation(self, told: RecoveryReserved | RecoveryRefused, now_utc_ms: int) -> Iterable[Message]:
        saga = self.state.sagas.get(told.recovery_id.rpartition("/")[0])
        is_asking = saga is not None and saga.chain.state is ChainState.ACTIVE and saga.is_reserved and not saga.ticket
        if saga is None or not is_asking or recovery_id(saga.chain) != told.recovery_id:
            return ()
        around = self._around(saga, now_utc_ms)
        match told:
            case RecoveryReserved():
                return reserved(around, saga)
            case RecoveryRefused():
                saga.is_reserved = False
                numbers = f"{told.measured} of {told.bound} {told.unit}"
                return stop(around, saga, ChainEvent.REFUSED, told.limit, numbers)

    def _store_answered(self, told: ChainSaved | ChainNotSaved, now_utc_ms: int) -> Iterable[Message]:
        saga = self.state.sagas.get(told.chain_id)
        if saga is None or not is_awaited(saga.writing, told.version):
            return ()
        around = self._around(saga, now_utc_ms)
        match told:
            case ChainSaved():
                return ask(around, saga) if written(saga.writing, saga.chain) else ()
            case ChainNotSaved():
                again_utc_ms = not_written(saga.writing, saga.chain, now_utc_ms)
                if again_utc_ms is not None:
                    return [SetTimer(NAME, timer("write", saga.chain), again_utc_ms)]
                if saga.chain.state is ChainState.PLACING and not saga.is_asked:
                    return failed(around, saga, f"not written down: {told.failure.value} {told.detail}", is_final=True)
                return ()

    # -- who ends chains ------------------------------------------------------------------------------------------------------

    def _shield(self, message: ShieldRaised | ShieldLowered, now_utc_ms: int) -> Iterable[Message]:
        others = [one for one in self.state.blocked.pop(message.symbol, []) if one is not message.direction]
        blocked = [*others, message.direction] if isinstance(message, ShieldRaised) else others
        if blocked:
            self.state.blocked[message.symbol] = blocked
        if isinstance(message, ShieldLowered):
            return
        for saga in self._sagas(message.symbol):
            if saga.chain.direction is message.direction:
                doomed_by_shield(saga)
                yield from cancel(self._around(saga, now_utc_ms), saga, ChainEvent.SHIELDED)

    def _stop_chain(self, command: StopChain, now_utc_ms: int) -> Iterable[Message]:
        """A pyramid answers for itself, where there is one to do so."""
        if is_pyramid(command.chain_id) and has_pyramids(self._config):
            return ()
        saga = self.state.sagas.get(command.chain_id)
        if saga is None or not is_live(saga) or saga.chain.plugin != command.plugin:
            return [CommandRefused(command.command_id, f"{command.plugin} has no live chain {command.chain_id}")]
        said = self._halt([saga], f"stopped by {command.by}", now_utc_ms)
        if saga.ticket:
            said.append(ReducePosition(saga.ticket, saga.chain.symbol, 0, ExitReason.CHAIN))
        is_over = "its trade, order or hedge is being ended" if is_live(saga) else "it has ended"
        return [*said, CommandDone(command.command_id, f"chain {command.chain_id}: {is_over}")]

    def _mode(self, changed: ModeChanged, now_utc_ms: int) -> Iterable[Message]:
        """A kill and a flattening end every chain; under a mere pause nothing is opened anyway, and windows run on."""
        is_kill = changed.epoch > self.state.epoch and changed.mode is not Mode.RUN
        self.state.epoch = max(self.state.epoch, changed.epoch)
        if not is_kill and changed.mode is not Mode.FLATTEN:
            return ()
        return self._halt(self._sagas(), f"{'kill' if is_kill else 'flatten'} by {changed.by}", now_utc_ms)

    def _halt(self, sagas: Iterable[Saga], reason: str, now_utc_ms: int) -> list[Message]:
        return [message for saga in sagas for message in halt(self._around(saga, now_utc_ms), saga, reason)]

    # -- looking up -----------------------------------------------------------------------------------------------------------

    def _sagas(self, symbol: str | None = None) -> list[Saga]:
        """Those of a symbol, or all."""
        return [saga for saga in self.state.sagas.values() if symbol is None or saga.chain.symbol == symbol]

    def _of(self, lineage: Lineage) -> Saga | None:
        return self.state.sagas.get(lineage.chain_id) if lineage.order_kind in OURS else None

    def _around(self, saga: Saga, now_utc_ms: int) -> Around:
        symbol = saga.chain.symbol
        market = self.state.markets.setdefault(symbol, Market())
        return Around(self._config, market, self.state.blocked.get(symbol, ()), now_utc_ms)
