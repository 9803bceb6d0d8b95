"""The way in: when a signal becomes a proposal, as which orders, and the next try after a price that had moved.

A signal of a strategy with chains is proposed as order A, as order B, or as both; one that a chain raises, or that is tried
again, as the one order that it is.
"""

from collections.abc import Iterator
from math import floor
from typing import Final

import msgspec

from evenkeel.config.chains import Logic
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import OrderRejected
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage, OrderKind, ReentryRaised, SecondOrder, SignalRaised
from evenkeel.messages.market import SymbolSpec
from evenkeel.rules.entries import Refusal, cooldown_refusal, distance_points, may_try_again, spread_refusal
from evenkeel.rules.exits import exactly
from evenkeel.rules.lineage import OF_ORDER_B, is_fresh, orders_of, signal_of
from evenkeel.rules.position import Attempt, Plan, PositionState, derived_of
from evenkeel.rules.session import session_refusal
from evenkeel.rules.slots import free_slots, slot_refusal
from evenkeel.rules.stop_systems import FACTORS, TIERS, table_stop_pips
from evenkeel.rules.symbols import points_per_pip

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def first_attempt(config: Config, signal: SignalRaised, now_utc_ms: int, plan: Plan | None = None) -> Attempt:
    expiry_s = config.limits.intent_expiry_s
    expires_utc_ms = 0 if expiry_s == "off" else now_utc_ms + round(expiry_s * 1000)
    return Attempt(1, expires_utc_ms, signal.spread_median_points, plan=plan)


def plan_of(raised: ReentryRaised) -> Plan:
    return Plan(raised.stop_distance_points, raised.target_distance_points, raised.volume_steps)


def next_try(rejected: OrderRejected, attempt: Attempt, spec_id: int, now_utc_ms: int) -> SignalRaised | None:
    """The broker had nothing against the order but its price: the same signal at the price of now, as the next attempt.

    An order of a chain is tried with no more volume than it had: its sibling may have the rest.
    """
    if rejected.quote is None or not may_try_again(rejected.code, attempt.number, attempt.expires_utc_ms, now_utc_ms):
        return None
    attempt.number += 1
    if attempt.plan is not None:
        attempt.plan = attempt.plan._replace(volume_steps=rejected.volume_steps)
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
    spec, lineage = state.spec, signal.lineage
    if spec is None or spec.spec_id != signal.spec_id:
        yield Refusal(DenialReason.SPEC_UNKNOWN)
    checks = (
        _waiting_refusal(state, signal),
        slot_refusal(config, state, lineage, 2 if _is_dual(config, lineage) else 1),
        session_refusal(config.limits.session, now_utc_ms),
        cooldown_refusal(now_utc_ms, state.cooldown_until_utc_ms) if is_fresh(lineage) else None,
        _repeated(config, state, signal, now_utc_ms) if is_fresh(lineage) else _derived_twice(state, lineage),
        spread_refusal(config.entry, signal.quote, signal.spread_median_points),
    )
    yield from (refusal for refusal in checks if refusal is not None)


def chain_that_waits(state: PositionState, signal: SignalRaised) -> str | None:
    """The chain whose re-entry a signal of its strategy becomes: the one that has waited longest. None: it is its own."""
    if not is_fresh(signal.lineage) or signal.lineage.proposal_id:
        return None
    wanted = signal.lineage.strategy, signal.direction
    return next((chain for chain, one in state.waiting.items() if (one.plugin, one.direction) == wanted), None)


def next_lineages(config: Config, state: PositionState, signal: SignalRaised, now_utc_ms: int) -> list[Lineage]:
    """The signal's own with a new proposal's identity and its slot, one for each order. Changes nothing."""
    lineage, number = signal.lineage, state.proposals + 1
    proposal_id = f"{signal.symbol}-{number}"
    orders = orders_of(config, lineage.strategy) if _opens_a_chain(config, lineage) else "single"
    if orders == "single":
        (slot,) = free_slots(state, lineage.slot, 1)
        return [msgspec.structs.replace(lineage, proposal_id=proposal_id, chain_id=lineage.chain_id or proposal_id, slot=slot)]
    chain_id = f"{signal.symbol}-{_base_36(now_utc_ms)}-{number}"
    wanted = {OrderKind.TP_TRAIL: chain_id, OrderKind.PROFIT_TRAIL: chain_id + OF_ORDER_B}
    if orders != "dual":
        del wanted[OrderKind.PROFIT_TRAIL if orders == "trend" else OrderKind.TP_TRAIL]
    slots = free_slots(state, lineage.slot, len(wanted))
    return [
        msgspec.structs.replace(
            lineage, proposal_id=f"{signal.symbol}-{number + place}", chain_id=chain, order_kind=kind.value, slot=slot
        )
        for place, ((kind, chain), slot) in enumerate(zip(wanted.items(), slots, strict=True))
    ]


def _planned(config: Config, state: PositionState, spec: SymbolSpec, lineage: Lineage) -> Plan:
    """What a signal's order is proposed with. The stop of order B is a sum of money, which follows from its volume: what it is
    proposed with counts for nothing, and it has no target (trading_rules 1.8)."""
    entry, pip = config.entry, points_per_pip(spec, config)
    pips = table_stop_pips(entry.stop_system, spec.symbol, state.tier or TIERS[0]) or entry.stop_pips
    stop_points = distance_points(pips * FACTORS[_logic(config, lineage)].stop, pip)
    match lineage.order_kind:
        case OrderKind.TP_TRAIL:
            return Plan(stop_points, floor(exactly(config.recovery.rr_ratio) * stop_points), 0)
        case OrderKind.PROFIT_TRAIL:
            return Plan(stop_points, 0, 0)
        case _:
            return Plan(stop_points, 0 if entry.target_pips == "off" else distance_points(entry.target_pips, pip), 0)


def proposal_of(
    config: Config,
    state: PositionState,
    spec: SymbolSpec,
    signal: SignalRaised,
    lineages: list[Lineage],
    plan: Plan | None,
) -> EntryProposed:
    """What `signal` is proposed as, once nothing stands against it; `plan` None: as the configuration says."""
    first, *others = lineages
    plan = _planned(config, state, spec, first) if plan is None else plan
    return EntryProposed(
        proposal_id=first.proposal_id,
        symbol=signal.symbol,
        spec_id=spec.spec_id,
        direction=signal.direction,
        quote=signal.quote,
        stop_distance_points=plan.stop_distance_points,
        target_distance_points=plan.target_distance_points,
        spread_median_points=signal.spread_median_points,
        lineage=first,
        volume_steps=plan.volume_steps,
        second=next((SecondOrder(other.proposal_id, other) for other in others), None),
    )


def attempt_for(attempt: Attempt, lineage: Lineage, proposal: EntryProposed) -> Attempt:
    """What is remembered of one order of the proposal: an order of a chain keeps its plan for another try."""
    target_points = proposal.target_distance_points if lineage is proposal.lineage else 0
    plan = Plan(proposal.stop_distance_points, target_points, proposal.volume_steps)
    return msgspec.structs.replace(attempt, lineage=lineage, plan=None if lineage.order_kind == OrderKind.SINGLE else plan)


def without_slot(lineage: Lineage, signal: SignalRaised, refusal: Refusal) -> Lineage:
    """Of an order that found no slot: the one that it asked for."""
    if refusal.reason not in (DenialReason.SLOT_TAKEN, DenialReason.CLOSING):
        return lineage
    return msgspec.structs.replace(lineage, slot=signal.lineage.slot)


def take_slot(state: PositionState, lineage: Lineage, attempt: Attempt) -> None:
    """Until the proposal is over, however that is learned."""
    state.pending[lineage.slot], state.attempts[lineage.slot] = lineage.proposal_id, attempt


def free_slot(state: PositionState, slot: int, proposal_id: str) -> Attempt | None:
    """The proposal is over; which try it was, None when it was not the one in flight."""
    if state.pending.get(slot) != proposal_id:
        return None
    del state.pending[slot]
    return state.attempts.pop(slot, None)


def _opens_a_chain(config: Config, lineage: Lineage) -> bool:
    """A fresh signal, and not another try of one of its orders."""
    return is_fresh(lineage) and not lineage.proposal_id and orders_of(config, lineage.strategy) != "single"


def _is_dual(config: Config, lineage: Lineage) -> bool:
    return _opens_a_chain(config, lineage) and orders_of(config, lineage.strategy) == "dual"


def _waiting_refusal(state: PositionState, signal: SignalRaised) -> Refusal | None:
    chain_id = chain_that_waits(state, signal)
    return None if chain_id is None else Refusal(DenialReason.CHAIN_WAITS, detail=f"chain {chain_id} takes it")


def _repeated(config: Config, state: PositionState, signal: SignalRaised, now_utc_ms: int) -> Refusal | None:
    """Another signal of a strategy with chains opened the same a moment ago (trading_rules 1.14)."""
    lineage, window_ms = signal.lineage, round(config.recovery.duplicate_minutes * 60_000)
    if orders_of(config, lineage.strategy) == "single":
        return None
    trade = state.trades.get(f"{lineage.strategy}/{signal.direction}")
    if trade is None or trade.chain_id == signal_of(lineage.chain_id):
        return None
    age_ms = now_utc_ms - trade.opened_utc_ms
    return Refusal(DenialReason.DUPLICATE, age_ms, window_ms, "ms") if age_ms < window_ms else None


def _derived_twice(state: PositionState, lineage: Lineage) -> Refusal | None:
    """What one end of a trade called for is there already, or on its way."""
    if not lineage.parent_ticket:
        return None
    wanted = derived_of(lineage)
    coming = [derived_of(attempt.lineage) for attempt in state.attempts.values() if attempt.lineage is not None]
    if wanted not in (*coming, *state.derived):
        return None
    return Refusal(DenialReason.DUPLICATE, 1, 1, "count", f"{lineage.order_kind} after position {lineage.parent_ticket}")


def _logic(config: Config, lineage: Lineage) -> Logic:
    return config.strategy[lineage.strategy].logic if lineage.strategy in config.strategy else "off"


def _base_36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
