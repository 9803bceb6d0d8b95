"""The way in: when a signal becomes a proposal, which slot it takes, and the next try after a price that had moved."""

from collections.abc import Iterator

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import OrderRejected
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage, SignalRaised
from evenkeel.messages.market import SymbolSpec
from evenkeel.rules.entries import Refusal, cooldown_refusal, distance_points, may_try_again, spread_refusal
from evenkeel.rules.position import Attempt, PositionState
from evenkeel.rules.session import session_refusal
from evenkeel.rules.symbols import points_per_pip


def first_attempt(config: Config, signal: SignalRaised, now_utc_ms: int) -> Attempt:
    expiry_s = config.limits.intent_expiry_s
    expires_utc_ms = 0 if expiry_s == "off" else now_utc_ms + round(expiry_s * 1000)
    return Attempt(1, expires_utc_ms, signal.spread_median_points)


def next_try(rejected: OrderRejected, attempt: Attempt, spec_id: int, now_utc_ms: int) -> SignalRaised | None:
    """The broker had nothing against the order but its price: the same signal at the price of now, as the next attempt."""
    if rejected.quote is None or not may_try_again(rejected.code, attempt.number, attempt.expires_utc_ms, now_utc_ms):
        return None
    attempt.number += 1
    return SignalRaised(
        symbol=rejected.symbol,
        spec_id=spec_id,
        direction=rejected.direction,
        quote=rejected.quote,
        bar_utc_ms=now_utc_ms,
        spread_median_points=attempt.spread_median_points,
        lineage=rejected.lineage,
    )


def entry_refusals(config: Config, state: PositionState, signal: SignalRaised, now_utc_ms: int) -> Iterator[Refusal]:
    """All that stands against `signal` at its symbol now, the one that is answered with first. Changes nothing."""
    spec, strategy = state.spec, signal.lineage.strategy
    if spec is None or spec.spec_id != signal.spec_id:
        yield Refusal(DenialReason.SPEC_UNKNOWN)
    checks = (
        _slot_refusal(config, state, strategy) if _slot_for(config, state, signal.lineage) is None else None,
        session_refusal(config.limits.session, now_utc_ms),
        cooldown_refusal(now_utc_ms, state.cooldown_until_utc_ms) if signal.lineage.level == 0 else None,
        spread_refusal(config.entry, signal.quote, signal.spread_median_points),
    )
    yield from (refusal for refusal in checks if refusal is not None)


def next_lineage(config: Config, state: PositionState, signal: SignalRaised) -> Lineage:
    """The signal's own with a new proposal's identity and its slot: the one asked for where none is free."""
    state.proposals += 1
    proposal_id = f"{signal.symbol}-{state.proposals}"
    chain_id = signal.lineage.chain_id or proposal_id
    slot = _slot_for(config, state, signal.lineage)
    slot = signal.lineage.slot if slot is None else slot
    return msgspec.structs.replace(signal.lineage, proposal_id=proposal_id, chain_id=chain_id, slot=slot)


def proposal_of(config: Config, spec: SymbolSpec, signal: SignalRaised, lineage: Lineage) -> EntryProposed:
    """What `signal` is proposed as, once nothing stands against it."""
    entry, pip = config.entry, points_per_pip(spec, config)
    return EntryProposed(
        proposal_id=lineage.proposal_id,
        symbol=signal.symbol,
        spec_id=spec.spec_id,
        direction=signal.direction,
        quote=signal.quote,
        stop_distance_points=distance_points(entry.stop_pips, pip),
        target_distance_points=0 if entry.target_pips == "off" else distance_points(entry.target_pips, pip),
        spread_median_points=signal.spread_median_points,
        lineage=lineage,
    )


def take_slot(state: PositionState, lineage: Lineage, attempt: Attempt) -> None:
    """Until the proposal is over, however that is learned."""
    state.pending[lineage.slot], state.attempts[lineage.slot] = lineage.proposal_id, attempt


def free_slot(state: PositionState, slot: int, proposal_id: str) -> Attempt | None:
    """The proposal is over; which try it was, None when it was not the one in flight."""
    if state.pending.get(slot) != proposal_id:
        return None
    del state.pending[slot]
    return state.attempts.pop(slot, None)


def _slot_for(config: Config, state: PositionState, lineage: Lineage) -> int | None:
    """The slot that was asked for, else the first free one; None when as many are taken as there may be."""
    taken = _taken_slots(state)
    if len(taken) >= _slots(config, lineage.strategy):
        return None
    free: int = next(slot for slot in (lineage.slot, *range(len(taken) + 1)) if slot not in taken)
    return free


def _taken_slots(state: PositionState) -> list[int]:
    """By positions, and by orders in flight or of unknown outcome; adopted positions may share one."""
    return [*(position.lineage.slot for position in state.positions.values()), *state.pending]


def _slots(config: Config, strategy: str) -> int:
    """How many positions the symbol may have when this strategy wants one more."""
    declared = config.strategy[strategy].slots if strategy in config.strategy else 1
    return max(config.limits.per_symbol_slots, declared)


def _slot_refusal(config: Config, state: PositionState, strategy: str) -> Refusal:
    taken, most = len(_taken_slots(state)), _slots(config, strategy)
    is_closing = any(position.closing is not None for position in state.positions.values())
    return Refusal(DenialReason.CLOSING if is_closing else DenialReason.SLOT_TAKEN, taken, most, "count")
