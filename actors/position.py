"""position/SYMBOL: holds the positions of one symbol and alone decides when they close."""

from collections.abc import Iterator, Sequence
from typing import assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.entry import EntryProposed, Lineage, OrderDenied, SignalRaised
from evenkeel.messages.market import ArmWatches, DisarmWatches, PricesReached, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import ACCOUNT, Mode, ModeChanged
from evenkeel.messages.position import (
    CloseFailed,
    CloseScope,
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
    ReducePosition,
)
from evenkeel.messages.system import CancelTimer, Message, SetTimer, TimerDue
from evenkeel.rules.entries import Refusal
from evenkeel.rules.exits import exit_reason, is_served
from evenkeel.rules.position import (
    Attempt,
    ManagedPosition,
    OfTheBroker,
    PositionState,
    ask_to_close,
    close_wanted,
    cool_down,
    is_asked_again,
    levels_once_priced,
    managed,
    reduce_to,
    wait_to_ask_again,
    watches_of,
)
from evenkeel.rules.proposals import (
    entry_refusals,
    first_attempt,
    free_slot,
    next_lineage,
    next_try,
    proposal_of,
    take_slot,
)
from evenkeel.rules.scopes import covers

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
                return [self._proposed(message, first_attempt(self._config, message, now_utc_ms), now_utc_ms)]
            case OrderDenied() | OrderOutcomeResolved():
                free_slot(self.state, message.lineage.slot, message.proposal_id)
                return ()
            case OrderRejected():
                return self._rejected(message, now_utc_ms)
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

    def _rejected(self, rejected: OrderRejected, now_utc_ms: int) -> Sequence[Message]:
        """A new proposal, if the price alone was wrong and nothing else stands against it by now."""
        attempt, spec = free_slot(self.state, rejected.lineage.slot, rejected.proposal_id), self.state.spec
        if attempt is None or spec is None:
            return ()
        signal = next_try(rejected, attempt, spec.spec_id, now_utc_ms)
        return () if signal is None else [self._proposed(signal, attempt, now_utc_ms)]

    def _proposed(self, signal: SignalRaised, attempt: Attempt, now_utc_ms: int) -> EntryProposed | OrderDenied:
        refusal = next(self.refusals(signal, now_utc_ms), None)
        lineage = next_lineage(self._config, self.state, signal)
        if refusal is not None:
            told = lineage.proposal_id, self._symbol, signal.direction, self.name
            return OrderDenied(*told, *refusal[:4], lineage, refusal.detail)
        take_slot(self.state, lineage, attempt)
        proposal = self.proposal(signal, lineage)
        expires_utc_ms = attempt.expires_utc_ms if attempt.number > 1 else 0
        return msgspec.structs.replace(proposal, expires_utc_ms=expires_utc_ms)

    def refusals(self, signal: SignalRaised, now_utc_ms: int) -> Iterator[Refusal]:
        """All that stands against `signal` here now, the one that is answered with first. Changes nothing."""
        return entry_refusals(self._config, self.state, signal, now_utc_ms)

    def proposal(self, signal: SignalRaised, lineage: Lineage) -> EntryProposed:
        """What `signal` is proposed as, once nothing stands against it; the terms must be known. Changes nothing."""
        assert self.state.spec is not None, "nothing is proposed before the terms are known"
        return proposal_of(self._config, self.state.spec, signal, lineage)

    def _opened(self, opened: PositionOpened) -> Sequence[Message]:
        free_slot(self.state, opened.lineage.slot, opened.lineage.proposal_id)
        if opened.ticket in self.state.positions:
            return ()
        assert self.state.spec is not None, "what comes before the terms waits for them"
        position = self.state.positions[opened.ticket] = managed(self._config, self.state.spec, opened)
        if self._config.entry.cooldown_from == "open":
            cool_down(self._config, self.state, opened.opened_utc_ms)
        said: list[Message] = [self._arm(position, opened.spec_id)]
        if self._config.exit.time_stop_minutes != "off":
            due = opened.opened_utc_ms + round(self._config.exit.time_stop_minutes * 60_000)
            said.append(SetTimer(self.name, f"time/{opened.ticket}", due))
        if opened.late and self._config.broker_gateway.late_fill == "close":
            said += self._close(opened.ticket, ExitReason.LATE_FILL)
        elif self.state.mode is Mode.FLATTEN:
            said += self._close(opened.ticket, ExitReason.FLATTEN)
        return said

    def _arm(self, position: ManagedPosition, spec_id: int) -> ArmWatches:
        position.armed += 1
        return ArmWatches(self.name, self._symbol, spec_id, watches_of(position))

    def _disarm(self, position: ManagedPosition) -> DisarmWatches:
        return DisarmWatches(self.name, self._symbol, tuple(watch.name for watch in watches_of(position)))

    def _priced(self, priced: PositionPriced) -> Sequence[Message]:
        position, spec = self.state.positions.get(priced.ticket), self.state.spec
        if position is None or spec is None:
            return ()
        position.entry_points, position.volume_steps = priced.entry_points, priced.volume_steps
        levels = levels_once_priced(self._config.exit, spec, position, priced.commission_cents)
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
        position = self.state.positions.get(ticket)
        if position is None or not close_wanted(position, self.state.mode, reason, remaining_steps):
            return []
        return [ask_to_close(position, self._symbol, quote)]

    def _close_failed(self, failed: CloseFailed, now_utc_ms: int) -> Sequence[Message]:
        position = self.state.positions.get(failed.ticket)
        if position is None or position.closing is None or position.asked != failed.generation:
            return ()
        delay_ms = wait_to_ask_again(self._config.exit, position.closing, failed.failure)
        return [SetTimer(self.name, f"retry/{failed.ticket}", now_utc_ms + delay_ms)]

    def _timer(self, due: TimerDue) -> Sequence[Message]:
        what, _, number = due.name.partition("/")
        if what == "time":
            return self._close(int(number), ExitReason.TIME)
        position = self.state.positions.get(int(number))
        if position is None or not is_asked_again(position, self.state.mode):
            return ()
        return [ask_to_close(position, self._symbol)]

    def _reduced(self, reduced: PositionReduced) -> Sequence[Message]:
        position = self.state.positions.get(reduced.ticket)
        if position is not None:
            reduce_to(position, reduced.volume_steps)
        return ()

    def _closed(self, closed: PositionClosed) -> Sequence[Message]:
        position = self.state.positions.pop(closed.ticket, None)
        if position is None:
            return ()
        if self._config.entry.cooldown_from == "close":
            cool_down(self._config, self.state, closed.closed_utc_ms)
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
