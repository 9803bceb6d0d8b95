"""The orders that one proposal becomes: a plain one, order B alone, or orders A and B together (trading_rules 1.8).

A and B are one order to every limit in money: the sum of both worst cases is within each. A's share of the volume has the
proposal's own stop, B's the distance at which its volume loses the fixed sum. Each is refused alone: without B there is A, and
neither takes the other's share.
"""

from fractions import Fraction
from math import ceil
from typing import Final, NamedTuple

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.entry import DenialReason, EntryProposed, OrderKind
from evenkeel.messages.market import SymbolSpec
from evenkeel.rules.chain_risk import chain_refusal
from evenkeel.rules.entries import Refusal
from evenkeel.rules.fixed_stop import fixed_stop_cents, fixed_stop_points, money_cents
from evenkeel.rules.lineage import budget_chain, is_fresh
from evenkeel.rules.order_size import Losses, Sized, below_minimum, budgets, losses_of, sized, sized_at
from evenkeel.rules.recovery_safety import waiting_count
from evenkeel.rules.risk_limit import RiskState
from evenkeel.rules.sizing import PPM, cents_for, ppm_of, share_of

SPREADS_MIN: Final = 2
"""A stop within so many spreads of the entry is hit by the spread alone."""


class Part(NamedTuple):
    """One order of a proposal: as what it is asked for, how large or why not, and its target at the broker, 0 none."""

    proposal: EntryProposed
    verdict: Sized | Refusal
    broker_target_points: int = 0


class _Shares(NamedTuple):
    """Steps of A and of B."""

    first: int
    second: int


def parts_of(proposal: EntryProposed) -> list[EntryProposed]:
    """Those that are answered, each with its own identity. B's distances are not known before its volume is."""
    if proposal.second is None:
        return [proposal]
    second = msgspec.structs.replace(
        proposal,
        proposal_id=proposal.second.proposal_id,
        lineage=proposal.second.lineage,
        target_distance_points=0,
        second=None,
    )
    return [msgspec.structs.replace(proposal, second=None), second]


def judged(config: Config, state: RiskState, proposal: EntryProposed) -> list[Part]:
    """Each order of `proposal`, sized. Call it when nothing stands against it whatever the volume."""
    parts = parts_of(proposal)
    volume = sized(config, state, parts[0])
    if isinstance(volume, Refusal):
        return [Part(part, volume) for part in parts]
    if proposal.second is not None:
        return _both(config, state, parts[0], parts[1], volume)
    if is_fresh(proposal.lineage) and proposal.lineage.order_kind == OrderKind.PROFIT_TRAIL:
        return [_second_alone(config, state, proposal, volume)]
    waiting = waiting_count(state.recoveries, budget_chain(proposal.lineage.chain_id))
    over = chain_refusal(config, state.chains, state.book, proposal, volume.volume_steps, waiting)
    return [Part(proposal, over or volume)]


def _both(config: Config, state: RiskState, first: EntryProposed, second: EntryProposed, volume: Sized) -> list[Part]:
    """`volume` is what the limits leave of A alone."""
    spec, plain = state.book.specs[first.symbol], losses_of(config, state, first)
    assert not isinstance(plain, Refusal), "sized already"
    most = volume.volume_steps
    alone = Part(first, sized_at(_shares(config, spec, most).first, plain, volume.bound_by))
    steps, bound_by = _largest(config, state, first, second, most, volume.bound_by)
    shares = _shares(config, spec, steps)
    if shares.second < spec.volume_min_steps:
        return [alone, Part(second, below_minimum(shares.second, spec, bound_by))]
    other = _at(config, state, second, shares.second)
    if isinstance(other.verdict, Refusal):
        return [Part(first, sized_at(shares.first, plain, bound_by)), other]
    return [
        Part(first, sized_at(shares.first, plain, bound_by)),
        other._replace(verdict=other.verdict._replace(bound_by=bound_by)),
    ]


def _second_alone(config: Config, state: RiskState, proposal: EntryProposed, volume: Sized) -> Part:
    """Order B without an A, of the volume that A would have had, or less."""
    steps, bound_by = _largest(config, state, None, proposal, volume.volume_steps, volume.bound_by)
    spec = state.book.specs[proposal.symbol]
    if steps < spec.volume_min_steps:
        return Part(proposal, below_minimum(steps, spec, bound_by))
    part = _at(config, state, proposal, steps)
    return part if isinstance(part.verdict, Refusal) else part._replace(verdict=part.verdict._replace(bound_by=bound_by))


def _largest(
    config: Config, state: RiskState, first: EntryProposed | None, second: EntryProposed, most_steps: int, bound_by: str
) -> tuple[int, str]:
    """The volume, up to `most_steps`, whose orders are together within every limit in money, and what bound it; 0 when none is.

    Found by halving: what is found is within, and one step more is not.
    """
    over = _over(config, state, first, second, most_steps)
    if over is None:
        return most_steps, bound_by
    within, beyond = 0, most_steps
    while beyond - within > 1:
        middle = (within + beyond) // 2
        name = _over(config, state, first, second, middle)
        if name is None:
            within = middle
        else:
            beyond, over = middle, name
    return within, f"{over} of both orders" if first else over


def _over(config: Config, state: RiskState, first: EntryProposed | None, second: EntryProposed, steps: int) -> str | None:
    """The first limit in money that orders of that volume would break together."""
    spec = state.book.specs[second.symbol]
    shares = _shares(config, spec, steps) if first else _Shares(0, steps)
    if shares.second == 0:
        return None
    asked = _with_fixed_stop(config, second, shares.second, spec)
    sides = [(asked, shares.second)] if first is None else [(first, shares.first), (asked, shares.second)]
    taken: dict[str, int] = {}
    rooms: dict[str, int] = {}
    for proposal, volume_steps in sides:
        losses = losses_of(config, state, proposal)
        if isinstance(losses, Losses):
            for name, room_cents, cents_per_step in budgets(config, state, proposal, losses):
                rooms[name] = room_cents
                taken[name] = taken.get(name, 0) + cents_for(volume_steps, cents_per_step)
    return next((name for name, cents in taken.items() if cents > rooms[name]), None)


def _at(config: Config, state: RiskState, second: EntryProposed, volume_steps: int) -> Part:
    """Order B at that volume: refused where its stop is nearer than the broker or the spread allows."""
    spec = state.book.specs[second.symbol]
    asked = _with_fixed_stop(config, second, volume_steps, spec)
    spread_points = max(second.spread_median_points, second.quote.ask_points - second.quote.bid_points)
    least_points = spec.stops_level_points + SPREADS_MIN * spread_points
    if asked.stop_distance_points < max(1, least_points):
        return Part(asked, Refusal(DenialReason.STOP_TOO_NEAR, asked.stop_distance_points, least_points, "points"))
    losses = losses_of(config, state, asked)
    if isinstance(losses, Refusal):
        return Part(asked, losses)
    return Part(asked, sized_at(volume_steps, losses, ""), broker_target_points(config, volume_steps, spec, least_points))


def broker_target_points(config: Config, volume_steps: int, spec: SymbolSpec, least_points: int) -> int:
    """How far from the fill the broker may take order B's profit where the app does not: a multiple of the distance at which
    profit booking takes it, costs included, rounded up, and never nearer than that or than `least_points`; 0: off by name."""
    booking = config.profit_booking
    if booking.broker_target_multiple == "off":
        return 0
    by_level = booking.min_profit_by_level
    profit_cents = money_cents(by_level[0] if by_level else booking.min_profit, config.account.currency_digits)
    costs = Fraction(2 * spec.commission_cents_per_lot * volume_steps, spec.steps_per_lot)
    cents_per_point = Fraction(spec.worth.numerator * volume_steps, spec.worth.denominator * spec.steps_per_lot)
    booked_points = (profit_cents + costs) / cents_per_point
    return max(least_points, ceil(booked_points), ceil(booked_points * ppm_of(booking.broker_target_multiple) / PPM))


def _with_fixed_stop(config: Config, second: EntryProposed, volume_steps: int, spec: SymbolSpec) -> EntryProposed:
    """Profit booking closes order B, so that it has no target."""
    strategy = config.strategy.get(second.lineage.strategy)
    logic = "off" if strategy is None else strategy.logic
    stop_cents = fixed_stop_cents(config.profit_booking, logic, 0, config.account.currency_digits)
    return msgspec.structs.replace(
        second, stop_distance_points=fixed_stop_points(stop_cents, volume_steps, spec), target_distance_points=0
    )


def _shares(config: Config, spec: SymbolSpec, steps: int) -> _Shares:
    """A has at least what the broker trades; "same": both have all of it."""
    dual = config.dual_orders
    if dual.lot_mode == "same":
        return _Shares(steps, steps)
    first = min(steps, max(spec.volume_min_steps, share_of(steps, ppm_of(dual.split_ratio))))
    return _Shares(first, steps - first)
