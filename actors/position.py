"""position/SYMBOL: holds the positions of one symbol and alone decides when they close."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final, assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage, OrderDenied, SignalRaised
from evenkeel.messages.market import ArmWatches, Direction, DisarmWatches, PricesReached, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import ACCOUNT, Mode, ModeChanged
from evenkeel.messages.position import (
    CloseFailed,
    CloseFailure,
    ClosePosition,
    CloseScope,
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
    ReducePosition,
)
from evenkeel.messages.system import CancelTimer, Message, SetTimer, TimerDue
from evenkeel.rules.entries import Refusal, cooldown_refusal, distance_points, may_try_again, spread_refusal
from evenkeel.rules.exits import (
    Levels,
    cost_cents_per_lot,
    emergency_distance,
    exit_reason,
    is_served,
    levels_for,
    retry_delay_ms,
    watches_for,
)
from evenkeel.rules.scopes import covers
from evenkeel.rules.session import session_refusal
from evenkeel.rules.symbols import points_per_pip

A_PERSON_ASKS: Final = (ExitReason.OPERATOR, ExitReason.FLATTEN)
OfTheBroker = PositionOpened | PositionPriced | PositionReduced | PositionClosed


class Closing(msgspec.Struct):
    """A close that was asked for. `refused` counts refusals in a row; while `waiting` nothing is at the broker."""

    reason: ExitReason
    remaining_steps: int
    refused: int = 0
    waiting: bool = False


class ManagedPosition(msgspec.Struct):
    """A position and its plan; distances were frozen at entry, levels follow the deal's price and commission.

    `armed` and `asked` count the armings of its levels and the asks for a close: a later one supersedes the earlier ones.
    `shelved` is an exit that the mode did not serve: it is asked for when a milder one does.
    """

    ticket: int
    direction: Direction
    volume_steps: int
    entry_points: int
    stop_distance_points: int
    target_distance_points: int | None
    levels: Levels
    lineage: Lineage
    opened_utc_ms: int
    armed: int = 0
    asked: int = 0
    closing: Closing | None = None
    shelved: ExitReason | None = None


class Attempt(msgspec.Struct):
    """A proposal in flight: `number` counts those for one signal, `expires_utc_ms` is that of the first (0: never)."""

    number: int
    expires_utc_ms: int
    spread_median_points: int


class PositionState(msgspec.Struct):
    """`pending` is the proposal in flight by slot: from the proposal until it is refused, opened or known not to exist;
    `attempts` which try it is.

    `early` came before the symbol's terms, without which nothing can be planned: it waits for them.
    """

    spec: SymbolSpec | None = None
    mode: Mode = Mode.CLOSE_ONLY
    proposals: int = 0
    pending: dict[int, str] = {}
    attempts: dict[int, Attempt] = {}
    positions: dict[int, ManagedPosition] = {}
    cooldown_until_utc_ms: int = 0
    early: list[OfTheBroker] = []


Heard = (
    SymbolSpecified
    | SignalRaised
    | OrderDenied
    | OrderRejected
    | OrderOutcomeUnknown
    | OrderOutcomeResolved
    | OfTheBroker
    | CloseFailed
    | ReducePosition
    | CloseScope
    | PricesReached
    | TimerDue
    | ModeChanged
)


class Position:
    def __init__(self, symbol: str, config: Config) -> None:
        self.state = PositionState()
        self.name = f"position/{symbol}"
        self._symbol = symbol
        self._config = config

    def handle(self, message: Heard, now_utc_ms: int, /) -> Sequence[Message]:
        if self.state.spec is None and isinstance(message, OfTheBroker):
            self.state.early.append(message)
            return ()
        match message:
            case SymbolSpecified():
                return self._specified(message.spec, now_utc_ms)
            case SignalRaised():
                return self._signal(message, now_utc_ms)
            case OrderDenied() | OrderOutcomeResolved():
                self._free(message.lineage.slot, message.proposal_id)
                return ()
            case OrderRejected():
                attempt = self._free(message.lineage.slot, message.proposal_id)
                return () if attempt is None else self._try_again(message, attempt, now_utc_ms)
            case OrderOutcomeUnknown():
                return ()  # the slot stays taken until somebody knows
            case PositionOpened():
                return self._opened(message)
            case PositionPriced():
                return self._priced(message)
            case PositionReduced():
                return self._reduced(message)
            case PositionClosed():
                return self._closed(message)
            case CloseFailed():
                return self._close_failed(message, now_utc_ms)
            case ReducePosition():
                return self._close(message.ticket, message.reason, remaining_steps=message.remaining_steps)
            case CloseScope():
                return self._close_scope(message.scope, message.reason)
            case PricesReached():
                return self._reached(message)
            case TimerDue():
                return self._timer(message)
            case ModeChanged():
                return self._mode(message)
            case _:
                assert_never(message)

    def _specified(self, spec: SymbolSpec, now_utc_ms: int) -> Sequence[Message]:
        if spec.symbol != self._symbol:
            return ()
        self.state.spec = spec
        early, self.state.early = self.state.early, []
        return [said for message in early for said in self.handle(message, now_utc_ms)]

    def _signal(self, signal: SignalRaised, now_utc_ms: int) -> Sequence[Message]:
        expiry_s = self._config.limits.intent_expiry_s
        expires_utc_ms = 0 if expiry_s == "off" else now_utc_ms + round(expiry_s * 1000)
        return [self._proposed(signal, Attempt(1, expires_utc_ms, signal.spread_median_points), now_utc_ms)]

    def _try_again(self, rejected: OrderRejected, attempt: Attempt, now_utc_ms: int) -> Sequence[Message]:
        """The broker had nothing against the order but its price: a new proposal at the price of now, if nothing else
        stands against it by now."""
        spec, quote = self.state.spec, rejected.quote
        if spec is None or quote is None:
            return ()
        if not may_try_again(rejected.code, attempt.number, attempt.expires_utc_ms, now_utc_ms):
            return ()
        attempt.number += 1
        signal = SignalRaised(
            symbol=self._symbol,
            spec_id=spec.spec_id,
            direction=rejected.direction,
            quote=quote,
            bar_utc_ms=now_utc_ms,
            spread_median_points=attempt.spread_median_points,
            lineage=rejected.lineage,
        )
        return [self._proposed(signal, attempt, now_utc_ms)]

    def _proposed(self, signal: SignalRaised, attempt: Attempt, now_utc_ms: int) -> EntryProposed | OrderDenied:
        refusal = next(self.refusals(signal, now_utc_ms), None)
        self.state.proposals += 1
        lineage = self._lineage(signal)
        if refusal is not None:
            told = lineage.proposal_id, self._symbol, signal.direction, self.name
            return OrderDenied(*told, *refusal[:4], lineage, refusal.detail)
        self.state.pending[lineage.slot], self.state.attempts[lineage.slot] = lineage.proposal_id, attempt
        proposal = self.proposal(signal, lineage)
        expires_utc_ms = attempt.expires_utc_ms if attempt.number > 1 else 0
        return msgspec.structs.replace(proposal, expires_utc_ms=expires_utc_ms)

    def refusals(self, signal: SignalRaised, now_utc_ms: int) -> Iterator[Refusal]:
        """All that stands against `signal` here now, the one that is answered with first. Changes nothing."""
        spec, strategy = self.state.spec, signal.lineage.strategy
        if spec is None or spec.spec_id != signal.spec_id:
            yield Refusal(DenialReason.SPEC_UNKNOWN)
        checks = (
            self._slot_refusal(strategy) if self._free_slot(signal.lineage) is None else None,
            session_refusal(self._config.limits.session, now_utc_ms),
            cooldown_refusal(now_utc_ms, self.state.cooldown_until_utc_ms) if signal.lineage.level == 0 else None,
            spread_refusal(self._config.entry, signal.quote, signal.spread_median_points),
        )
        yield from (refusal for refusal in checks if refusal is not None)

    def proposal(self, signal: SignalRaised, lineage: Lineage) -> EntryProposed:
        """What `signal` is proposed as, once nothing stands against it; the terms must be known. Changes nothing."""
        spec, entry = self.state.spec, self._config.entry
        assert spec is not None, "nothing is proposed before the terms are known"
        pip = points_per_pip(spec, self._config)
        return EntryProposed(
            proposal_id=lineage.proposal_id,
            symbol=self._symbol,
            spec_id=spec.spec_id,
            direction=signal.direction,
            quote=signal.quote,
            stop_distance_points=distance_points(entry.stop_pips, pip),
            target_distance_points=0 if entry.target_pips == "off" else distance_points(entry.target_pips, pip),
            spread_median_points=signal.spread_median_points,
            lineage=lineage,
        )

    def _lineage(self, signal: SignalRaised) -> Lineage:
        proposal_id = f"{self._symbol}-{self.state.proposals}"
        chain_id = signal.lineage.chain_id or proposal_id
        slot = self._free_slot(signal.lineage)
        slot = signal.lineage.slot if slot is None else slot
        return msgspec.structs.replace(signal.lineage, proposal_id=proposal_id, chain_id=chain_id, slot=slot)

    def _free_slot(self, lineage: Lineage) -> int | None:
        """The slot that was asked for, else the first free one; None when as many are taken as there may be."""
        taken = self._taken_slots()
        if len(taken) >= self._slots(lineage.strategy):
            return None
        free: int = next(slot for slot in (lineage.slot, *range(len(taken) + 1)) if slot not in taken)
        return free

    def _taken_slots(self) -> list[int]:
        """By positions, and by orders in flight or of unknown outcome; adopted positions may share one."""
        return [*(position.lineage.slot for position in self.state.positions.values()), *self.state.pending]

    def _slots(self, strategy: str) -> int:
        """How many positions the symbol may have when this strategy wants one more."""
        declared = self._config.strategy[strategy].slots if strategy in self._config.strategy else 1
        return max(self._config.limits.per_symbol_slots, declared)

    def _slot_refusal(self, strategy: str) -> Refusal:
        taken, most = len(self._taken_slots()), self._slots(strategy)
        is_closing = any(position.closing is not None for position in self.state.positions.values())
        return Refusal(DenialReason.CLOSING if is_closing else DenialReason.SLOT_TAKEN, taken, most, "count")

    def _free(self, slot: int, proposal_id: str) -> Attempt | None:
        """The proposal is over; which try it was, None when it was not the one in flight."""
        if self.state.pending.get(slot) != proposal_id:
            return None
        del self.state.pending[slot]
        return self.state.attempts.pop(slot, None)

    def _opened(self, opened: PositionOpened) -> Sequence[Message]:
        self._free(opened.lineage.slot, opened.lineage.proposal_id)
        if opened.ticket in self.state.positions:
            return ()
        position = self.state.positions[opened.ticket] = self._managed(opened)
        if self._config.entry.cooldown_from == "open":
            self._cool_down(opened.opened_utc_ms)
        said: list[Message] = [self._arm(position, opened.spec_id)]
        if self._config.exit.time_stop_minutes != "off":
            due = opened.opened_utc_ms + round(self._config.exit.time_stop_minutes * 60_000)
            said.append(SetTimer(self.name, f"time/{opened.ticket}", due))
        if opened.late and self._config.broker_gateway.late_fill == "close":
            said += self._close(opened.ticket, ExitReason.LATE_FILL)
        elif self.state.mode is Mode.FLATTEN:
            said += self._close(opened.ticket, ExitReason.FLATTEN)
        return said

    def _cool_down(self, from_utc_ms: int) -> None:
        cooldown_ms = round(self._config.entry.cooldown_minutes * 60_000)
        self.state.cooldown_until_utc_ms = max(self.state.cooldown_until_utc_ms, from_utc_ms + cooldown_ms)

    def _managed(self, opened: PositionOpened) -> ManagedPosition:
        """The plan of a position; one that came without (adopted) gets the configured distances."""
        spec, entry = self.state.spec, self._config.entry
        assert spec is not None, "what comes before the terms waits for them"
        pip = points_per_pip(spec, self._config)
        stop = abs(opened.entry_points - opened.stop_points) if opened.stop_points else distance_points(entry.stop_pips, pip)
        target = abs(opened.target_points - opened.entry_points) if opened.target_points else None
        levels = self._levels(
            opened.direction, opened.entry_points, stop, target, cost_cents_per_lot(spec, opened.volume_steps, None)
        )
        return ManagedPosition(
            ticket=opened.ticket,
            direction=opened.direction,
            volume_steps=opened.volume_steps,
            entry_points=opened.entry_points,
            stop_distance_points=stop,
            target_distance_points=target,
            levels=levels,
            lineage=opened.lineage,
            opened_utc_ms=opened.opened_utc_ms,
        )

    def _levels(
        self, direction: Direction, entry_points: int, stop_points: int, target_points: int | None, cost: Fraction
    ) -> Levels:
        """The levels of an entry with its distances of stop and target, and `cost` in cents per lot."""
        spec, emergency_r = self.state.spec, self._config.exit.emergency_r
        assert spec is not None, "nothing is planned before the terms are known"
        return levels_for(
            direction,
            entry_points=entry_points,
            stop_distance_points=stop_points,
            target_distance_points=target_points,
            emergency_distance_points=None
            if emergency_r == "off"
            else emergency_distance(emergency_r, stop_points, spec, cost),
        )

    def _arm(self, position: ManagedPosition, spec_id: int) -> ArmWatches:
        position.armed += 1
        watches = watches_for(position.ticket, position.armed, position.direction, position.levels)
        return ArmWatches(self.name, self._symbol, spec_id, watches)

    def _disarm(self, position: ManagedPosition) -> DisarmWatches:
        watches = watches_for(position.ticket, position.armed, position.direction, position.levels)
        return DisarmWatches(self.name, self._symbol, tuple(watch.name for watch in watches))

    def _priced(self, priced: PositionPriced) -> Sequence[Message]:
        position, spec = self.state.positions.get(priced.ticket), self.state.spec
        if position is None or spec is None:
            return ()
        position.entry_points, position.volume_steps = priced.entry_points, priced.volume_steps
        levels = self._levels(
            position.direction,
            priced.entry_points,
            position.stop_distance_points,
            position.target_distance_points,
            cost_cents_per_lot(spec, priced.volume_steps, priced.commission_cents),
        )
        if levels == position.levels:
            return ()
        disarm = self._disarm(position)
        position.levels = levels
        return [disarm, self._arm(position, priced.spec_id)]

    def _reached(self, reached: PricesReached) -> Sequence[Message]:
        tickets = sorted({int(name.partition("/")[0]) for name in reached.names})
        said: list[Message] = []
        for ticket in tickets:
            position = self.state.positions.get(ticket)
            reason = None if position is None else exit_reason(position.direction, position.levels, reached.quote)
            if reason is not None:
                said += self._close(ticket, reason, quote=reached.quote)
        return said

    def _close(self, ticket: int, reason: ExitReason, *, remaining_steps: int = 0, quote: Quote | None = None) -> list[Message]:
        """Ask for a close. While one is on its way another reason changes nothing, unless it leaves less or a person asks;
        one that waits to be asked again is asked now. The broker is never asked for more than what is there."""
        position = self.state.positions.get(ticket)
        if position is None or remaining_steps >= position.volume_steps:
            return []
        if not is_served(self.state.mode, reason):
            position.shelved = reason
            return []
        closing = position.closing
        if closing is None or remaining_steps < closing.remaining_steps:
            position.closing = Closing(reason, remaining_steps)
        elif not closing.waiting and reason not in A_PERSON_ASKS:
            return []
        return [self._ask(position, quote)]

    def _ask(self, position: ManagedPosition, quote: Quote | None = None) -> ClosePosition:
        closing = position.closing
        assert closing is not None, "there is something to ask for"
        closing.waiting = False
        position.asked += 1
        return ClosePosition(position.ticket, self._symbol, closing.remaining_steps, closing.reason, position.asked, quote)

    def _close_failed(self, failed: CloseFailed, now_utc_ms: int) -> Sequence[Message]:
        position = self.state.positions.get(failed.ticket)
        if position is None or position.closing is None or position.asked != failed.generation:
            return ()
        closing, config = position.closing, self._config.exit
        closing.waiting = True
        closing.refused = closing.refused + 1 if failed.failure is CloseFailure.REJECTED else 0
        delay_ms = 0
        if closing.refused:
            first_ms, last_ms = round(config.retry_min_s * 1000), round(config.retry_max_s * 1000)
            delay_ms = retry_delay_ms(closing.refused, first_ms, last_ms)
        return [SetTimer(self.name, f"retry/{failed.ticket}", now_utc_ms + delay_ms)]

    def _timer(self, due: TimerDue) -> Sequence[Message]:
        what, _, number = due.name.partition("/")
        if what == "time":
            return self._close(int(number), ExitReason.TIME)
        position = self.state.positions.get(int(number))
        if position is None or position.closing is None or not position.closing.waiting:
            return ()
        if not is_served(self.state.mode, position.closing.reason):
            position.shelved, position.closing = position.closing.reason, None
            return ()
        return [self._ask(position)]

    def _reduced(self, reduced: PositionReduced) -> Sequence[Message]:
        position = self.state.positions.get(reduced.ticket)
        if position is not None:
            position.volume_steps = reduced.volume_steps
            if position.closing is not None and position.closing.remaining_steps >= reduced.volume_steps:
                position.closing = None
        return ()

    def _closed(self, closed: PositionClosed) -> Sequence[Message]:
        position = self.state.positions.pop(closed.ticket, None)
        if position is None:
            return ()
        if self._config.entry.cooldown_from == "close":
            self._cool_down(closed.closed_utc_ms)
        timers = [f"time/{closed.ticket}"] if self._config.exit.time_stop_minutes != "off" else []
        if position.closing is not None and position.closing.waiting:
            timers.append(f"retry/{closed.ticket}")
        return [self._disarm(position), *(CancelTimer(self.name, timer) for timer in timers)]

    def _mode(self, changed: ModeChanged) -> Sequence[Message]:
        self.state.mode = changed.mode
        if changed.mode is Mode.FLATTEN:
            return self._close_scope(ACCOUNT, ExitReason.FLATTEN)
        said: list[Message] = []
        for position in self.state.positions.values():
            if position.shelved is not None and is_served(changed.mode, position.shelved):
                reason, position.shelved = position.shelved, None
                said += self._close(position.ticket, reason)
        return said

    def _close_scope(self, scope: str, reason: ExitReason) -> Sequence[Message]:
        tickets = [
            position.ticket
            for position in self.state.positions.values()
            if covers(scope, symbol=self._symbol, strategy=position.lineage.strategy)
        ]
        return [message for ticket in tickets for message in self._close(ticket, reason)]
