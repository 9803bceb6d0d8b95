"""position/SYMBOL: holds the positions of one symbol and alone decides when they close."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage, OrderDenied, SignalRaised
from evenkeel.messages.market import ArmWatches, Direction, DisarmWatches, PricesReached, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import Mode, ModeChanged
from evenkeel.messages.position import (
    CloseFailed,
    CloseFailure,
    ClosePosition,
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
    levels_for,
    retry_delay_ms,
    watches_for,
)
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
        spec, entry = self.state.spec, self._config.entry
        refusal = self._slot_refusal(signal.lineage.slot)
        if refusal is None and signal.lineage.level == 0:
            refusal = cooldown_refusal(now_utc_ms, self.state.cooldown_until_utc_ms)
        refusal = refusal or spread_refusal(entry, signal.quote, signal.spread_median_points)
        if spec is None or spec.spec_id != signal.spec_id:
            refusal = Refusal(DenialReason.SPEC_UNKNOWN)
        expiry_s = self._config.limits.intent_expiry_s
        expires_utc_ms = 0 if expiry_s == "off" else now_utc_ms + round(expiry_s * 1000)
        attempt = Attempt(1, expires_utc_ms, signal.spread_median_points)
        return [self._proposed(signal.lineage, signal.direction, signal.quote, attempt, refusal)]

    def _try_again(self, rejected: OrderRejected, attempt: Attempt, now_utc_ms: int) -> Sequence[Message]:
        """The broker had nothing against the order but its price: a new proposal at the price of now."""
        if rejected.quote is None or not may_try_again(rejected.code, attempt.number, attempt.expires_utc_ms, now_utc_ms):
            return ()
        attempt.number += 1
        refusal = spread_refusal(self._config.entry, rejected.quote, attempt.spread_median_points)
        return [self._proposed(rejected.lineage, rejected.direction, rejected.quote, attempt, refusal)]

    def _proposed(
        self, lineage: Lineage, direction: Direction, quote: Quote, attempt: Attempt, refusal: Refusal | None
    ) -> EntryProposed | OrderDenied:
        spec, entry = self.state.spec, self._config.entry
        self.state.proposals += 1
        proposal_id = f"{self._symbol}-{self.state.proposals}"
        lineage = msgspec.structs.replace(lineage, proposal_id=proposal_id, chain_id=lineage.chain_id or proposal_id)
        if refusal is not None or spec is None:
            assert refusal is not None
            return OrderDenied(proposal_id, self._symbol, direction, self.name, *refusal[:4], lineage, refusal.detail)
        self.state.pending[lineage.slot], self.state.attempts[lineage.slot] = proposal_id, attempt
        pip = points_per_pip(spec, self._config)
        return EntryProposed(
            proposal_id=proposal_id,
            symbol=self._symbol,
            spec_id=spec.spec_id,
            direction=direction,
            quote=quote,
            stop_distance_points=distance_points(entry.stop_pips, pip),
            target_distance_points=0 if entry.target_pips == "off" else distance_points(entry.target_pips, pip),
            spread_median_points=attempt.spread_median_points,
            lineage=lineage,
            expires_utc_ms=attempt.expires_utc_ms if attempt.number > 1 else 0,
        )

    def _slot_refusal(self, slot: int) -> Refusal | None:
        held = [position for position in self.state.positions.values() if position.lineage.slot == slot]
        if any(position.closing is not None for position in held):
            return Refusal(DenialReason.CLOSING, len(held), 1, "count")
        if held or slot in self.state.pending:
            return Refusal(DenialReason.SLOT_TAKEN, 1, 1, "count")
        return None

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
        cooldown_ms = round(self._config.entry.cooldown_minutes * 60_000)
        self.state.cooldown_until_utc_ms = max(self.state.cooldown_until_utc_ms, opened.opened_utc_ms + cooldown_ms)
        said: list[Message] = [self._arm(position, opened.spec_id)]
        if self._config.exit.time_stop_minutes != "off":
            due = opened.opened_utc_ms + round(self._config.exit.time_stop_minutes * 60_000)
            said.append(SetTimer(self.name, f"time/{opened.ticket}", due))
        if opened.late and self._config.broker_gateway.late_fill == "close":
            said += self._close(opened.ticket, ExitReason.LATE_FILL)
        elif self.state.mode is Mode.FLATTEN:
            said += self._close(opened.ticket, ExitReason.FLATTEN)
        return said

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
        timers = [f"time/{closed.ticket}"] if self._config.exit.time_stop_minutes != "off" else []
        if position.closing is not None and position.closing.waiting:
            timers.append(f"retry/{closed.ticket}")
        return [self._disarm(position), *(CancelTimer(self.name, timer) for timer in timers)]

    def _mode(self, changed: ModeChanged) -> Sequence[Message]:
        self.state.mode = changed.mode
        if changed.mode is not Mode.FLATTEN:
            return ()
        return [message for ticket in list(self.state.positions) for message in self._close(ticket, ExitReason.FLATTEN)]
