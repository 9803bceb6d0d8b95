"""How large an order may be: the volume that is wanted, and what every limit leaves of it.

All volume limits are solved for volume, the smallest wins, rounded down; below the broker's minimum the order is refused.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from evenkeel.config.schema import Config
from evenkeel.config.units import Off
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage
from evenkeel.messages.market import SymbolSpec
from evenkeel.rules import loss_tiers
from evenkeel.rules.catastrophe_stop import catastrophe_distance_points, catastrophe_distance_points_min
from evenkeel.rules.correlation import group_of
from evenkeel.rules.entries import Refusal
from evenkeel.rules.lineage import is_fresh
from evenkeel.rules.losses import size_ppm
from evenkeel.rules.margin import held_margin_cents, margin_per_step, reserved_margin_cents
from evenkeel.rules.risk_limit import RiskState
from evenkeel.rules.scopes import covers
from evenkeel.rules.sizing import (
    PPM,
    Budget,
    Leg,
    VolumeLimit,
    cents_for,
    loss_per_step,
    notional_cents,
    notional_per_step,
    open_risk_cents,
    own_risks,
    ppm_of,
    ppm_of_pct,
    risk_by_leg_cents,
    share_of,
    steps_of_lots,
    steps_within,
)
from evenkeel.rules.stop_systems import FACTORS, consensus_factor, tier_lots

CONSENSUS: Final = "consensus"
"""The part of a signal's confidence that is a score of 0 to 9."""


class Sized(NamedTuple):
    """`risk_cents` is the worst case at the app stop; a catastrophe distance of 0 is off by name; `bound_by` names the
    limit that made the volume what it is."""

    volume_steps: int
    risk_cents: int
    catastrophe_distance_points: int
    bound_by: str


class Losses(NamedTuple):
    """Cents that one step loses, costs included, where the app closes and where the broker does (None: no such stop, and
    its distance is 0)."""

    at_stop: Fraction
    at_wide_stop: Fraction | None
    wide_points: int


def sized(config: Config, state: RiskState, proposal: EntryProposed) -> Sized | Refusal:
    """The largest volume that every limit allows, with its worst case. Call it when `entry_refusal` found nothing."""
    losses = losses_of(config, state, proposal)
    if isinstance(losses, Refusal):
        return losses
    spec = state.book.specs[proposal.symbol]
    smallest = min(_volume_limits(config, state, proposal, losses), key=lambda limit: limit.steps)
    if smallest.steps >= spec.volume_min_steps:
        return sized_at(smallest.steps, losses, smallest.name)
    return below_minimum(smallest.steps, spec, smallest.name)


def sized_at(volume_steps: int, losses: Losses, bound_by: str) -> Sized:
    return Sized(volume_steps, cents_for(volume_steps, losses.at_stop), losses.wide_points, bound_by)


def below_minimum(volume_steps: int, spec: SymbolSpec, bound_by: str) -> Refusal:
    least_steps = spec.volume_min_steps
    return Refusal(DenialReason.VOLUME_BELOW_MINIMUM, volume_steps, least_steps, "steps", f"bound by {bound_by}")


def losses_of(config: Config, state: RiskState, proposal: EntryProposed) -> Losses | Refusal:
    wide_points = _catastrophe_distance(config, state, proposal)
    if isinstance(wide_points, Refusal):
        return wide_points
    spec, slippage_points = state.book.specs[proposal.symbol], config.limits.slippage_points
    return Losses(
        at_stop=loss_per_step(proposal.stop_distance_points + slippage_points, spec),
        at_wide_stop=loss_per_step(wide_points + slippage_points, spec) if wide_points else None,
        wide_points=wide_points,
    )


def budgets(config: Config, state: RiskState, proposal: EntryProposed, losses: Losses) -> list[Budget]:
    """The limits in money that are on, with what each leaves. Their order depends on the configuration alone."""
    return [*_of_equity(config, state, proposal, losses), *_of_tiers(config, state, proposal, losses)]


def _catastrophe_distance(config: Config, state: RiskState, proposal: EntryProposed) -> int | Refusal:
    """Of the stop at the broker; 0 when it is off by name."""
    if config.catastrophe_stop.at_broker == "off":
        return 0
    atr_points = state.daily_atr_points.get(proposal.symbol)
    if atr_points is None and proposal.symbol in config.symbols:
        atr_points = config.symbols[proposal.symbol].daily_atr_points
    if atr_points is None:
        return Refusal(DenialReason.DAILY_ATR_UNKNOWN)
    wide_points = catastrophe_distance_points(
        config.catastrophe_stop,
        state.book.specs[proposal.symbol],
        stop_distance_points=proposal.stop_distance_points,
        spread_median_points=proposal.spread_median_points,
        daily_atr_points=atr_points,
    )
    least_points = catastrophe_distance_points_min(config.catastrophe_stop, proposal.stop_distance_points)
    if wide_points < least_points:
        return Refusal(DenialReason.CATASTROPHE_STOP_NEAR, wide_points, least_points, "points")
    return wide_points


def _volume_limits(config: Config, state: RiskState, proposal: EntryProposed, losses: Losses) -> list[VolumeLimit]:
    spec = state.book.specs[proposal.symbol]
    return [
        _wanted(config, state, proposal, losses),
        VolumeLimit("volume_lots_max", steps_of_lots(config.limits.volume_lots_max, spec)),
        VolumeLimit("the symbol's largest volume", spec.volume_max_steps),
        *(
            VolumeLimit(budget.name, steps_within(budget.room_cents, budget.cents_per_step))
            for budget in budgets(config, state, proposal, losses)
        ),
    ]


# The volume that is wanted


def _wanted(config: Config, state: RiskState, proposal: EntryProposed, losses: Losses) -> VolumeLimit:
    """The volume asked for, cut by losses of the day, drawdown and the circuit breaker; the limits come on top.

    A chain's next order asks for the chain's own volume: what its signal was worth is in that already. A fresh order that is
    tried again asks for no more than it had.
    """
    ppm = size_ppm(config.limits, state.marks, state.losses_in_a_row)
    ppm = share_of(ppm, _breaker_ppm(state, proposal.symbol))
    if proposal.volume_steps and not is_fresh(proposal.lineage):
        return _times(VolumeLimit("the chain's volume", proposal.volume_steps), ppm)
    wanted = _times(_plain(config, state, proposal, losses), _of_signal(config, proposal.lineage, ppm))
    if 0 < proposal.volume_steps < wanted.steps:
        return VolumeLimit("the volume of its first try", proposal.volume_steps)
    return wanted


def _times(plain: VolumeLimit, ppm: int) -> VolumeLimit:
    if ppm == PPM:
        return plain
    verb = "cut" if ppm < PPM else "raised"
    return VolumeLimit(f"{plain.name} {verb} to {ppm // (PPM // 100)} %", share_of(plain.steps, ppm))


def _plain(config: Config, state: RiskState, proposal: EntryProposed, losses: Losses) -> VolumeLimit:
    spec, risk_ppm = state.book.specs[proposal.symbol], _ppm_of_pct(config.limits.risk_per_trade_pct)
    if config.entry.volume_lots is not None:
        lots = _fixed_lots(config.entry.volume_lots, config, state)
        return VolumeLimit("entry.volume_lots", steps_of_lots(lots, spec))
    if risk_ppm is not None and state.marks.equity_cents is not None:
        risk_cents = share_of(state.marks.equity_cents, risk_ppm)
        return VolumeLimit("risk_per_trade_pct", steps_within(risk_cents, losses.at_stop))
    return VolumeLimit("neither entry.volume_lots nor risk_per_trade_pct", 0)


def _fixed_lots(configured: float | Literal["by_tier"], config: Config, state: RiskState) -> float:
    """By the tier of the balance, where it is said so; an account that has told nothing is in the lowest."""
    if configured != "by_tier":
        return configured
    return tier_lots(loss_tiers.balance_tier(config, state.balance_cents or 0))


def _breaker_ppm(state: RiskState, symbol: str) -> int:
    """The least that the circuit breaker leaves of an order in the symbol."""
    return min((ppm for scope, ppm in state.breaker_ppm.items() if covers(scope, symbol=symbol, strategy="")), default=PPM)


def _of_signal(config: Config, lineage: Lineage, ppm: int) -> int:
    """By the strategy's logic, and by the signal's consensus where it has one; a score beyond 0 to 9 counts as 0."""
    strategy = config.strategy.get(lineage.strategy)
    if strategy is not None:
        ppm = share_of(ppm, ppm_of(FACTORS[strategy.logic].volume))
    for part, score in lineage.confidence_parts:
        if part == CONSENSUS:
            ppm = share_of(ppm, ppm_of(consensus_factor(int(score) if 0 <= score <= 9 else 0)))
    return ppm


# What the limits leave


def _of_equity(config: Config, state: RiskState, proposal: EntryProposed, losses: Losses) -> Iterator[Budget]:
    """The rows of limits.md that are shares of equity, with what is used of each. Unknown equity is refused before."""
    limits, book, spec = config.limits, state.book, state.book.specs[proposal.symbol]
    notional = notional_per_step(spec)
    rows: list[tuple[str, int | None, int, Fraction]] = [
        ("risk_per_trade_pct", _ppm_of_pct(limits.risk_per_trade_pct), 0, losses.at_stop),
        ("order_notional_max", _ppm_of(limits.order_notional_max), 0, notional),
        ("symbol_notional_max", _ppm_of(limits.symbol_notional_max), notional_cents(book, spec.symbol), notional),
        ("total_notional_max", _ppm_of(limits.total_notional_max), notional_cents(book), notional),
        (
            "open_risk_pct",
            _ppm_of_pct(limits.open_risk_pct),
            open_risk_cents(book, limits.slippage_points),
            losses.at_stop,
        ),
    ]
    if limits.correlated_risk_pct != "off":
        together_cents = _group_risk_cents(state, Leg(spec.symbol, proposal.direction), limits.slippage_points)
        rows.append(("correlated_risk_pct", _ppm_of_pct(limits.correlated_risk_pct), together_cents, losses.at_stop))
    if limits.free_margin_after_pct != "off":
        for_margin_ppm, margin = PPM - ppm_of_pct(limits.free_margin_after_pct), margin_per_step(spec, state.leverage)
        rows.append(("free_margin_after_pct", for_margin_ppm, _margin_used_cents(state), margin))
    if losses.at_wide_stop is not None:
        share_ppm = _ppm_of_pct(limits.loss_at_catastrophe_stop_pct)
        rows.append(("loss_at_catastrophe_stop_pct", share_ppm, 0, losses.at_wide_stop))
    for name, share_ppm, used_cents, cents_per_step in rows:
        if share_ppm is not None:
            assert state.marks.equity_cents is not None, "a share of unknown equity"
            yield Budget(name, share_of(state.marks.equity_cents, share_ppm) - used_cents, cents_per_step)


def _of_tiers(config: Config, state: RiskState, proposal: EntryProposed, losses: Losses) -> Iterator[Budget]:
    """What the loss tiers leave, where they apply. An unknown balance is refused before."""
    if not loss_tiers.applies_to(config, proposal.lineage.strategy):
        return
    assert state.balance_cents is not None, "a tier of an unknown balance"
    risks = own_risks(state.book, config.limits.slippage_points)
    open_cents = sum(cents for exposure, cents in risks if loss_tiers.applies_to(config, exposure.strategy))
    for name, room_cents in loss_tiers.rooms_cents(config, state.tier_losses, state.balance_cents, open_cents):
        yield Budget(name, room_cents, losses.at_stop)


def _group_risk_cents(state: RiskState, leg: Leg, slippage_points: int) -> int:
    """Risk of everything that would lose together with a bet like `leg`."""
    risks = risk_by_leg_cents(state.book, slippage_points)
    return sum(risks.get(member, 0) for member in group_of(leg, list(risks), state.hours))


def _margin_used_cents(state: RiskState) -> int:
    """By the broker or by leverage, whichever is more, and what is on its way."""
    held = held_margin_cents(state.book, state.leverage)
    return max(held, state.margin_cents) + reserved_margin_cents(state.book, state.leverage)


def _ppm_of(multiple: float | Off) -> int | None:
    return None if multiple == "off" else ppm_of(multiple)


def _ppm_of_pct(pct: float | Off) -> int | None:
    return None if pct == "off" else ppm_of_pct(pct)
