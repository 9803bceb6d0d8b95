"""How much may still be risked: what is reserved and open, and what every limit leaves for the next order.

Rows and meanings are those of limits.md. Reached counts from the limit on, and a limit that is "off" needs no number.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final, Literal, NamedTuple

import msgspec

from evenkeel.config.limits import LimitsConfig
from evenkeel.config.schema import Config
from evenkeel.config.units import Off
from evenkeel.messages.entry import DenialReason, EntryProposed
from evenkeel.messages.market import Direction, SymbolSpec
from evenkeel.rules.catastrophe_stop import catastrophe_distance_points, catastrophe_distance_points_min
from evenkeel.rules.correlation import HourCloses, group_of
from evenkeel.rules.entries import Refusal
from evenkeel.rules.frequency import RejectCounts, RequestCounts, TradeCounts, request_refusal, trades_in_hour
from evenkeel.rules.lineage import is_fresh
from evenkeel.rules.losses import (
    DrawdownStep,
    EquityMarks,
    Fall,
    drawdown_reached,
    floor_cents,
    loses_too_often,
    size_ppm,
)
from evenkeel.rules.margin import (
    MarginStep,
    held_margin_cents,
    level_ppm,
    margin_per_step,
    margin_step,
    reserved_margin_cents,
    steps_of,
)
from evenkeel.rules.sizing import (
    PPM,
    Book,
    Budget,
    Leg,
    VolumeLimit,
    cents_for,
    exposures,
    loss_per_step,
    notional_cents,
    notional_per_step,
    open_risk_cents,
    ppm_of,
    ppm_of_pct,
    risk_by_leg_cents,
    share_of,
    steps_of_budgets,
    steps_of_lots,
    steps_within,
)
from evenkeel.rules.stop_systems import tier_lots, tier_of

CANNOT_BE_SIZED: Final = (DenialReason.SPEC_UNKNOWN, DenialReason.EQUITY_UNKNOWN)


class Sized(NamedTuple):
    """`risk_cents` is the worst case at the app stop; a catastrophe distance of 0 is off by name; `bound_by` names the
    limit that made the volume what it is."""

    volume_steps: int
    risk_cents: int
    catastrophe_distance_points: int
    bound_by: str


class Losses(NamedTuple):
    """Cents that one step loses, costs included, where the app closes and where the broker does (None: no such stop)."""

    at_stop: Fraction
    at_wide_stop: Fraction | None


class LimitHold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A limit that was reached and holds entries until then, with its numbers."""

    measured: int
    limit: int
    unit: str
    until_utc_ms: int


class RiskState(msgspec.Struct):
    """All that the limits are measured against.

    `day_loss` and `week_loss` are the falls that ended entries for this day and week, whatever equity did since; `holds` are
    by the reason that they refuse with. `hold_until_utc_ms` is the end of the longest hold that was said. `deal_ticket` is
    the newest deal that was counted. `margin_cents` is in use: the broker's figure while nothing has changed since, else by
    leverage; `start_balance_cents` is the first balance that was read, or the one at which a person rearmed after the floor.
    `deal_ticket` is the newest line of the history that was counted, `recent_deals` the last ones before it. `balance_cents`
    is with credit.
    """

    book: Book = msgspec.field(default_factory=Book)
    balance_cents: int | None = None
    marks: EquityMarks = EquityMarks()
    counts: TradeCounts = TradeCounts()
    daily_atr_points: dict[str, int] = {}
    drawdown: DrawdownStep = DrawdownStep.NONE
    day_loss: Fall | None = None
    day_ends_utc_ms: int = 0
    hold_until_utc_ms: int = 0
    deal_ticket: int = 0
    week_loss: Fall | None = None
    week_ends_utc_ms: int = 0
    leverage: int = 1
    margin_cents: int = 0
    margin_step: MarginStep = MarginStep.NONE
    start_balance_cents: int | None = None
    is_at_floor: bool = False
    losses_in_a_row: int = 0
    requests: RequestCounts = RequestCounts()
    rejects: RejectCounts = RejectCounts()
    slips_utc_ms: tuple[int, ...] = ()
    hours: dict[str, HourCloses] = {}
    holds: dict[DenialReason, LimitHold] = {}
    recent_deals: list[int] = []


# May it enter, and how large


def entry_refusal(limits: LimitsConfig, state: RiskState, proposal: EntryProposed, now_utc_ms: int) -> Refusal | None:
    """The first limit that is reached, whatever the volume; None lets it be sized."""
    return next(entry_refusals(limits, state, proposal, now_utc_ms), None)


def entry_refusals(limits: LimitsConfig, state: RiskState, proposal: EntryProposed, now_utc_ms: int) -> Iterator[Refusal]:
    """Every limit that is reached, whatever the volume. What is not known comes first: it cannot be sized."""
    yield from _unknown(limits, state, proposal)
    yield from _unsure(limits, proposal)
    yield from _held(state, now_utc_ms)
    yield from _lost(limits, state, proposal)
    yield from _too_little_margin(limits, state)
    yield from _too_many(limits, state, proposal, now_utc_ms)
    too_often = request_refusal(limits.requests, state.requests, now_utc_ms)
    if too_often is not None:
        yield too_often


def expiry_utc_ms(limits: LimitsConfig, proposal: EntryProposed, now_utc_ms: int) -> int:
    """Until when the order may leave; another try never lives longer than the first. 0: for ever."""
    own_utc_ms = 0 if limits.intent_expiry_s == "off" else now_utc_ms + round(limits.intent_expiry_s * 1000)
    return min(own_utc_ms, proposal.expires_utc_ms) if own_utc_ms and proposal.expires_utc_ms else own_utc_ms


def sized(config: Config, state: RiskState, proposal: EntryProposed) -> Sized | Refusal:
    """The largest volume that every limit allows, with its worst case. Call it when `entry_refusal` found nothing."""
    wide_points = _catastrophe_distance(config, state, proposal)
    if isinstance(wide_points, Refusal):
        return wide_points
    spec, slippage_points = state.book.specs[proposal.symbol], config.limits.slippage_points
    losses = Losses(
        at_stop=loss_per_step(proposal.stop_distance_points + slippage_points, spec),
        at_wide_stop=loss_per_step(wide_points + slippage_points, spec) if wide_points else None,
    )
    smallest = min(_volume_limits(config, state, proposal.direction, spec, losses), key=lambda limit: limit.steps)
    if smallest.steps >= spec.volume_min_steps:
        return Sized(smallest.steps, cents_for(smallest.steps, losses.at_stop), wide_points, smallest.name)
    return Refusal(
        DenialReason.VOLUME_BELOW_MINIMUM, smallest.steps, spec.volume_min_steps, "steps", f"bound by {smallest.name}"
    )


def needs_equity(limits: LimitsConfig) -> bool:
    """Any limit that is a share of equity is on."""
    shares = (
        limits.risk_per_trade_pct,
        limits.loss_at_catastrophe_stop_pct,
        limits.order_notional_max,
        limits.symbol_notional_max,
        limits.total_notional_max,
        limits.correlated_risk_pct,
        limits.open_risk_pct,
        limits.free_margin_after_pct,
        *(limit_pct for _, limit_pct in steps_of(limits.margin_level)),
        limits.day_loss_pct,
        limits.day_loss_soft_pct,
        limits.week_loss_pct,
        limits.balance_floor_pct,
        limits.drawdown.reduce_pct,
        limits.drawdown.halve_pct,
        limits.drawdown.close_only_pct,
        limits.drawdown.flatten_pct,
    )
    return any(share != "off" for share in shares)


def lowest_cents(state: RiskState) -> int:
    """Equity or balance, whichever is lower: what the floor is compared with. Call it after the first sample."""
    known = [cents for cents in (state.marks.equity_cents, state.balance_cents) if cents is not None]
    return min(known)


def _unknown(limits: LimitsConfig, state: RiskState, proposal: EntryProposed) -> Iterator[Refusal]:
    book = state.book
    for symbol in dict.fromkeys((proposal.symbol, *(part.symbol for part in exposures(book)))):
        if symbol not in book.specs:
            yield Refusal(DenialReason.SPEC_UNKNOWN, detail=f"no specification of {symbol}")
    spec = book.specs.get(proposal.symbol)
    if spec is not None and spec.spec_id != proposal.spec_id:
        yield Refusal(DenialReason.SPEC_UNKNOWN, detail=f"specification of {proposal.symbol} changed")
    if needs_equity(limits) and state.marks.equity_cents is None:
        yield Refusal(DenialReason.EQUITY_UNKNOWN)


def _unsure(limits: LimitsConfig, proposal: EntryProposed) -> Iterator[Refusal]:
    measured, least = ppm_of(proposal.lineage.confidence), ppm_of(limits.confidence_min)
    if measured < least:
        yield Refusal(DenialReason.CONFIDENCE, measured, least, "ppm")


def _held(state: RiskState, now_utc_ms: int) -> Iterator[Refusal]:
    for reason, hold in state.holds.items():
        if now_utc_ms < hold.until_utc_ms:
            yield Refusal(reason, hold.measured, hold.limit, hold.unit)


def _lost(limits: LimitsConfig, state: RiskState, proposal: EntryProposed) -> Iterator[Refusal]:
    step, fall = drawdown_reached(limits.drawdown, state.marks)
    worst_allowed = DrawdownStep.HALVE if is_fresh(proposal.lineage) else DrawdownStep.REDUCE
    if fall and step > worst_allowed:
        yield Refusal(DenialReason.DRAWDOWN, fall.cents, fall.limit_cents, "cents")
    if state.day_loss:
        yield Refusal(DenialReason.DAY_LOSS, state.day_loss.cents, state.day_loss.limit_cents, "cents")
    if state.week_loss:
        yield Refusal(DenialReason.WEEK_LOSS, state.week_loss.cents, state.week_loss.limit_cents, "cents")
    if loses_too_often(limits.consecutive_losses, state.losses_in_a_row):
        assert limits.consecutive_losses.close_only_after != "off", "reached"
        most = limits.consecutive_losses.close_only_after
        yield Refusal(DenialReason.CONSECUTIVE_LOSSES, state.losses_in_a_row, most, "count")
    floor = floor_cents(limits.balance_floor_pct, state.start_balance_cents)
    if state.is_at_floor and floor is not None:
        yield Refusal(DenialReason.BALANCE_FLOOR, lowest_cents(state), floor, "cents")


def _too_little_margin(limits: LimitsConfig, state: RiskState) -> Iterator[Refusal]:
    """While the margin level is at the step that holds, or beyond it."""
    equity_cents = state.marks.equity_cents
    if equity_cents is None:
        return
    step, limit_ppm = margin_step(limits.margin_level, equity_cents, state.margin_cents)
    if step >= MarginStep.HOLD:
        yield Refusal(DenialReason.MARGIN_LEVEL, level_ppm(equity_cents, state.margin_cents), limit_ppm, "ppm")


def _too_many(limits: LimitsConfig, state: RiskState, proposal: EntryProposed, now_utc_ms: int) -> Iterator[Refusal]:
    """What is in flight counts as if it were open; only fresh signals are counted by hour and day."""
    positions = len(exposures(state.book))
    if limits.positions_max != "off" and positions >= limits.positions_max:
        yield Refusal(DenialReason.POSITIONS, positions, limits.positions_max, "count")
    if not is_fresh(proposal.lineage):
        return
    coming = sum(reservation.is_fresh for reservation in state.book.reservations.values())
    trades = state.counts.today + coming
    if limits.trades_per_day != "off" and trades >= limits.trades_per_day:
        yield Refusal(DenialReason.TRADES_PER_DAY, trades, limits.trades_per_day, "count")
    trades = trades_in_hour(state.counts, now_utc_ms) + coming
    if limits.trades_per_hour != "off" and trades >= limits.trades_per_hour:
        yield Refusal(DenialReason.TRADES_PER_HOUR, trades, limits.trades_per_hour, "count")


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


def _volume_limits(
    config: Config, state: RiskState, direction: Direction, spec: SymbolSpec, losses: Losses
) -> list[VolumeLimit]:
    budgets = _budgets(config.limits, state, Leg(spec.symbol, direction), spec, losses)
    return [
        _wanted(config, state, spec, losses),
        VolumeLimit("volume_lots_max", steps_of_lots(config.limits.volume_lots_max, spec)),
        VolumeLimit("the symbol's largest volume", spec.volume_max_steps),
        *steps_of_budgets(state.marks.equity_cents, budgets),
    ]


def _wanted(config: Config, state: RiskState, spec: SymbolSpec, losses: Losses) -> VolumeLimit:
    """The volume asked for, cut by losses of the day and drawdown; the limits come on top."""
    risk_ppm = _ppm_of_pct(config.limits.risk_per_trade_pct)
    if config.entry.volume_lots is not None:
        name, steps = "entry.volume_lots", steps_of_lots(_fixed_lots(config.entry.volume_lots, config, state), spec)
    elif risk_ppm is not None and state.marks.equity_cents is not None:
        name, steps = "risk_per_trade_pct", steps_within(share_of(state.marks.equity_cents, risk_ppm), losses.at_stop)
    else:
        name, steps = "neither entry.volume_lots nor risk_per_trade_pct", 0
    size = size_ppm(config.limits, state.marks, state.losses_in_a_row)
    return VolumeLimit(name if size == PPM else f"{name} cut to {size // (PPM // 100)} %", share_of(steps, size))


def _fixed_lots(configured: float | Literal["by_tier"], config: Config, state: RiskState) -> float:
    """By the tier of the balance, where it is said so; an account that has told nothing is in the lowest."""
    if configured != "by_tier":
        return configured
    return tier_lots(tier_of((state.balance_cents or 0) // 10**config.account.currency_digits))


def _budgets(limits: LimitsConfig, state: RiskState, leg: Leg, spec: SymbolSpec, losses: Losses) -> list[Budget]:
    """The rows of limits.md that are shares of equity, with what is used of each."""
    book, notional = state.book, notional_per_step(spec)
    budgets = [
        Budget("risk_per_trade_pct", _ppm_of_pct(limits.risk_per_trade_pct), 0, losses.at_stop),
        Budget("order_notional_max", _ppm_of(limits.order_notional_max), 0, notional),
        Budget("symbol_notional_max", _ppm_of(limits.symbol_notional_max), notional_cents(book, spec.symbol), notional),
        Budget("total_notional_max", _ppm_of(limits.total_notional_max), notional_cents(book), notional),
        Budget(
            "open_risk_pct",
            _ppm_of_pct(limits.open_risk_pct),
            open_risk_cents(book, limits.slippage_points),
            losses.at_stop,
        ),
    ]
    if limits.correlated_risk_pct != "off":
        together_cents = _group_risk_cents(state, leg, limits.slippage_points)
        share_ppm = _ppm_of_pct(limits.correlated_risk_pct)
        budgets.append(Budget("correlated_risk_pct", share_ppm, together_cents, losses.at_stop))
    if limits.free_margin_after_pct != "off":
        for_margin_ppm, margin = PPM - ppm_of_pct(limits.free_margin_after_pct), margin_per_step(spec, state.leverage)
        budgets.append(Budget("free_margin_after_pct", for_margin_ppm, _margin_used_cents(state), margin))
    if losses.at_wide_stop is not None:
        share_ppm = _ppm_of_pct(limits.loss_at_catastrophe_stop_pct)
        budgets.append(Budget("loss_at_catastrophe_stop_pct", share_ppm, 0, losses.at_wide_stop))
    return budgets


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
