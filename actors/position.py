"""position/SYMBOL: holds the positions of one symbol and alone decides when they close."""

from collections.abc import Iterator, Sequence
from typing import assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.entry import DenialReason, EntryProposed, OrderDenied, ReentryRaised, SignalRaised
from evenkeel.messages.market import ArmWatches, DisarmWatches, PricesReached, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import ACCOUNT, LimitsLowered, Mode, ModeChanged
from evenkeel.messages.position import (
    CloseFailed,
    CloseScope,
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
    ReducePosition,
    StopTightened,
    TightenStop,
)
from evenkeel.messages.recovery import ChainWaitOver, ChainWaits, ReentrySignalled
from evenkeel.messages.risk_limit import BalanceTierReached
from evenkeel.messages.shield import ShieldLowered, ShieldRaised
from evenkeel.messages.system import CancelTimer, Message, SetTimer, TimerDue
from evenkeel.rules.entries import Refusal
from evenkeel.rules.exits import Levels, exit_price, exit_reason, is_served, sign
from evenkeel.rules.position import (
    Attempt,
    ManagedPosition,
    OfTheBroker,
    Plan,
    PositionState,
    Waiting,
    ask_to_close,
    close_wanted,
    cool_down,
    first_stop_points,
    is_asked_again,
    levels_once_priced,
    managed,
    note_opened,
    reduce_to,
    reversed_by,
    tightened,
    trailed_stop_points,
    unwanted,
    wait_to_ask_again,
    watches_of,
)
from evenkeel.rules.proposals import (
    attempt_for,
    chain_that_waits,
    entry_refusals,
    first_attempt,
    free_slot,
    next_lineages,
    next_try,
    plan_of,
    proposal_of,
    take_slot,
    without_slot,
)
from evenkeel.rules.reload import InForce
from evenkeel.rules.scopes import covers

OfOthers = (
    ReducePosition
    | TightenStop
    | CloseScope
    | ModeChanged
    | ShieldRaised
    | ShieldLowered
    | BreakerChanged
    | ChainWaits
    | ChainWaitOver
    | BalanceTierReached
    | LimitsLowered
)
Heard = (
    SymbolSpecified
    | SignalRaised
    | ReentryRaised
    | OrderDenied
    | OrderRejected
    | OrderOutcomeUnknown
    | OrderOutcomeResolved
    | OfTheBroker
    | CloseFailed
    | PricesReached
    | TimerDue
    | OfOthers
)


class Position:
    def __init__(self, symbol: str, config: Config) -> None:
        self.state = PositionState()
        self.name = f"position/{symbol}"
        self._symbol = symbol
        self._in_force = InForce(config)

    @property
    def _config(self) -> Config:
        """As it is in force. What a position was opened with stays its own."""
        return self._in_force.at(self.state.lowered)

    def handle(self, message: Heard, now_utc_ms: int, /) -> Sequence[Message]:
        if self.state.spec is None and isinstance(message, OfTheBroker):
            self.state.early.append(message)
            return ()
        match message:
            case SymbolSpecified():
                return self._specified(message.spec, now_utc_ms)
            case SignalRaised():
                return self._signal(message, now_utc_ms)
            case ReentryRaised(signal=signal):
                attempt = first_attempt(self._config, signal, now_utc_ms, plan_of(message))
                return [self._proposed(signal, attempt, now_utc_ms)]
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
            case PricesReached():
                return self._reached(message)
            case TimerDue():
                return self._timer(message)
            case CloseFailed():
                return self._close_failed(message, now_utc_ms)
            case _:
                return self._told(message)

    def _told(self, message: OfOthers) -> Sequence[Message]:
        """What others want of its positions, and what it is to know."""
        match message:
            case ReducePosition():
                return self._close(message.ticket, message.reason, remaining_steps=message.remaining_steps)
            case TightenStop():
                is_of_other_terms = self.state.spec is None or self.state.spec.spec_id != message.spec_id
                return () if is_of_other_terms else self._tighten(message.ticket, message.stop_points)
            case CloseScope():
                return self._close_scope(message.scope, message.reason)
            case ModeChanged():
                return self._mode(message)
            case ShieldRaised() | ShieldLowered():
                return self._shield(message)
            case BreakerChanged():
                return self._breaker(message)
            case ChainWaits():
                self.state.waiting[message.chain_id] = Waiting(message.plugin, message.direction)
            case ChainWaitOver():
                self.state.waiting.pop(message.chain_id, None)
            case BalanceTierReached():
                self.state.tier = message.tier
            case LimitsLowered():
                self.state.lowered = message.limits
            case _:
                assert_never(message)
        return ()

    def _specified(self, spec: SymbolSpec, now_utc_ms: int) -> Sequence[Message]:
        if spec.symbol != self._symbol:
            return ()
        self.state.spec = spec
        early, self.state.early = self.state.early, []
        return [said for message in early for said in self.handle(message, now_utc_ms)]

    def _signal(self, signal: SignalRaised, now_utc_ms: int) -> Sequence[Message]:
        """It ends what it contradicts, and is a trade of its own or the re-entry of a chain that waits for it."""
        said: list[Message] = []
        for ticket in reversed_by(self._config, self.state, signal, now_utc_ms):
            said += self._close(ticket, ExitReason.SIGNAL, quote=signal.quote)
        chain_id = chain_that_waits(self.state, signal)
        answer = self._proposed(signal, first_attempt(self._config, signal, now_utc_ms), now_utc_ms)
        said.append(answer)
        if chain_id is not None and isinstance(answer, OrderDenied) and answer.reason is DenialReason.CHAIN_WAITS:
            told = signal.lineage.strategy, chain_id, self._symbol, signal.quote, signal.spread_median_points
            said.append(ReentrySignalled(*told))
        return said

    def _rejected(self, rejected: OrderRejected, now_utc_ms: int) -> Sequence[Message]:
        """A new proposal, if the price alone was wrong and nothing else stands against it by now."""
        attempt, spec = free_slot(self.state, rejected.lineage.slot, rejected.proposal_id), self.state.spec
        if attempt is None or spec is None:
            return ()
        signal = next_try(rejected, attempt, spec.spec_id, now_utc_ms)
        return () if signal is None else [self._proposed(signal, attempt, now_utc_ms)]

    def _proposed(self, signal: SignalRaised, attempt: Attempt, now_utc_ms: int) -> EntryProposed | OrderDenied:
        refusal = next(self.refusals(signal, now_utc_ms), None)
        lineages = next_lineages(self._config, self.state, signal, now_utc_ms)
        if refusal is not None:
            self.state.proposals += 1
            told = lineages[0].proposal_id, self._symbol, signal.direction, self.name
            return OrderDenied(*told, *refusal[:4], without_slot(lineages[0], signal, refusal), refusal.detail)
        assert self.state.spec is not None, "what is proposed has terms"
        proposal = proposal_of(self._config, self.state, self.state.spec, signal, lineages, attempt.plan)
        self.state.proposals += len(lineages)
        for lineage in lineages:
            take_slot(self.state, lineage, attempt_for(attempt, lineage, proposal))
        expires_utc_ms = attempt.expires_utc_ms if attempt.number > 1 else 0
        return msgspec.structs.replace(proposal, expires_utc_ms=expires_utc_ms)

    def refusals(self, signal: SignalRaised, now_utc_ms: int) -> Iterator[Refusal]:
        """All that stands against `signal` here now, the one that is answered with first. Changes nothing."""
        return entry_refusals(self._config, self.state, signal, now_utc_ms)

    def proposal(self, signal: SignalRaised, plan: Plan | None, now_utc_ms: int) -> EntryProposed:
        """What `signal` is proposed as, once nothing stands against it; the terms must be known. `plan` is a re-entry's.
        Changes nothing."""
        assert self.state.spec is not None, "nothing is proposed before the terms are known"
        lineages = next_lineages(self._config, self.state, signal, now_utc_ms)
        return proposal_of(self._config, self.state, self.state.spec, signal, lineages, plan)

    def _opened(self, opened: PositionOpened) -> Sequence[Message]:
        free_slot(self.state, opened.lineage.slot, opened.lineage.proposal_id)
        if opened.ticket in self.state.positions:
            return ()
        assert self.state.spec is not None, "what comes before the terms waits for them"
        position = self.state.positions[opened.ticket] = managed(self._config, self.state.spec, opened)
        note_opened(self.state, opened)
        if self._config.entry.cooldown_from == "open":
            cool_down(self._config, self.state, opened.opened_utc_ms)
        said: list[Message] = [self._arm(position, opened.spec_id)]
        if self._config.exit.time_stop_minutes != "off":
            due = opened.opened_utc_ms + round(self._config.exit.time_stop_minutes * 60_000)
            said.append(SetTimer(self.name, f"time/{opened.ticket}", due))
        reason = unwanted(self._config, self.state, opened)
        return said if reason is None else [*said, *self._close(opened.ticket, reason)]

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
        return self._move(position, levels_once_priced(self._config, spec, position, priced.commission_cents), priced.spec_id)

    def _move(self, position: ManagedPosition, levels: Levels, spec_id: int) -> list[Message]:
        if levels == position.levels:
            return []
        disarm = self._disarm(position)
        position.levels = levels
        return [disarm, self._arm(position, spec_id)]

    def _tighten(self, ticket: int, stop_points: int) -> list[Message]:
        position, spec = self.state.positions.get(ticket), self.state.spec
        if position is None or spec is None:
            return []
        levels = tightened(self._config.recovery, position, stop_points)
        if levels is None:
            return []
        position.tight_stop_points = stop_points
        first_points = first_stop_points(position)
        told = StopTightened(ticket, self._symbol, spec.spec_id, stop_points, first_points)
        return [told, *self._move(position, levels, spec.spec_id)]

    def _reached(self, reached: PricesReached) -> Sequence[Message]:
        tickets = sorted({int(name.partition("/")[0]) for name in reached.names})
        said: list[Message] = []
        for ticket in tickets:
            position = self.state.positions.get(ticket)
            if position is None:
                continue
            reason = exit_reason(position.direction, position.levels, reached.quote)
            if reason is not None:
                said += self._close(ticket, reason, quote=reached.quote)
                continue
            stop_points = trailed_stop_points(self._config.recovery, position, reached.quote)
            if stop_points is not None:
                said += self._tighten(ticket, stop_points)
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
            if covers(scope, symbol=self._symbol, strategy=position.lineage.strategy, chain_id=position.lineage.chain_id)
        ]
        return [message for ticket in tickets for message in self._close(ticket, reason)]

    def _shield(self, message: ShieldRaised | ShieldLowered) -> list[Message]:
        """All of that direction is closed, and what is still on its way when it comes."""
        others = [direction for direction in self.state.shielded if direction is not message.direction]
        if isinstance(message, ShieldLowered):
            self.state.shielded = others
            return []
        self.state.shielded = [*others, message.direction]
        tickets = [one.ticket for one in self.state.positions.values() if one.direction is message.direction]
        return [said for ticket in tickets for said in self._close(ticket, ExitReason.SHIELD)]

    def _breaker(self, changed: BreakerChanged) -> Sequence[Message]:
        if not covers(changed.scope, symbol=self._symbol, strategy=""):
            return ()
        others = [scope for scope in self.state.halted if scope != changed.scope]
        self.state.halted = [*others, changed.scope] if changed.level is BreakerLevel.BLACK else others
        if changed.level is BreakerLevel.BLACK:
            return self._close_scope(changed.scope, ExitReason.BREAKER)
        quote = changed.quote
        if quote is None or not changed.atr_points or changed.scope != self._symbol:
            return ()
        stops = {
            one.ticket: exit_price(one.direction, quote) - sign(one.direction) * changed.atr_points
            for one in self.state.positions.values()
        }
        return [said for ticket, stop in stops.items() for said in self._tighten(ticket, stop)]
