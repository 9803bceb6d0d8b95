"""How much may still be risked: what is reserved and open, what equity has done, and what both leave for the next order.

Rows and meanings are those of limits.md. Reached counts from the limit on, and a limit that is "off" needs no number.
"""

from enum import IntEnum
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec

from evenkeel.config.schema import Config, DrawdownConfig, LimitsConfig, Off
from evenkeel.messages.entry import DenialReason, EntryProposed
from evenkeel.messages.market import SymbolSpec
from evenkeel.rules.catastrophe_stop import catastrophe_distance_points, catastrophe_distance_points_min
from evenkeel.rules.entries import Refusal
from evenkeel.rules.sizing import (
    PPM,
    Book,
    Budget,
    VolumeLimit,
    cents_for,
    exposures,
    loss_per_step,
    notional_cents,
    notional_per_step,
    open_risk_cents,
    ppm_of,
    ppm_of_pct,
    share_of,
    steps_of_budgets,
    steps_of_lots,
    steps_within,
)

HOUR_MS: Final = 3_600_000
SOFT_DAY_LOSS_SIZE_PPM: Final = PPM // 2


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


# What equity has done


class EquityMarks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last equity sample, the day's base and the peak; None before the first sample."""

    equity_cents: int | None = None
    day_base_cents: int | None = None
    peak_cents: int | None = None


class DrawdownStep(IntEnum):
    NONE = 0
    REDUCE = 1
    HALVE = 2
    CLOSE_ONLY = 3
    FLATTEN = 4


class Fall(NamedTuple):
    """How far equity is below a mark, and how far it may be."""

    cents: int
    limit_cents: int


def sampled(marks: EquityMarks, equity_cents: int) -> EquityMarks:
    peak_cents = equity_cents if marks.peak_cents is None else max(marks.peak_cents, equity_cents)
    base_cents = equity_cents if marks.day_base_cents is None else marks.day_base_cents
    return EquityMarks(equity_cents=equity_cents, day_base_cents=base_cents, peak_cents=peak_cents)


def at_day_start(marks: EquityMarks) -> EquityMarks:
    """The new day is measured from the last sample; without one from the first to come."""
    return msgspec.structs.replace(marks, day_base_cents=marks.equity_cents)


def rearmed(marks: EquityMarks) -> EquityMarks:
    """Peak and base start anew: else a drawdown that a person has answered for would trip again at once."""
    return EquityMarks(marks.equity_cents, marks.equity_cents, marks.equity_cents)


def shifted(marks: EquityMarks, capital_cents: int) -> EquityMarks:
    """Money that came or went without profit or loss moves all marks alike: no fall from it, and no rise."""
    base_cents, peak_cents = marks.day_base_cents, marks.peak_cents
    return EquityMarks(
        equity_cents=None if marks.equity_cents is None else marks.equity_cents + capital_cents,
        day_base_cents=None if base_cents is None else base_cents + capital_cents,
        peak_cents=None if peak_cents is None else peak_cents + capital_cents,
    )


def fall_reached(from_cents: int | None, equity_cents: int | None, limit_pct: float | Off) -> Fall | None:
    """The fall from a mark when it is at or beyond the limit; None when it is not, is off, or nothing was sampled."""
    if limit_pct == "off" or from_cents is None or equity_cents is None:
        return None
    fall = Fall(from_cents - equity_cents, share_of(from_cents, ppm_of_pct(limit_pct)))
    return fall if fall.cents >= fall.limit_cents else None


def day_loss_reached(limit_pct: float | Off, marks: EquityMarks) -> Fall | None:
    return fall_reached(marks.day_base_cents, marks.equity_cents, limit_pct)


def drawdown_reached(config: DrawdownConfig, marks: EquityMarks) -> tuple[DrawdownStep, Fall | None]:
    """The gravest step whose limit is reached, with its numbers."""
    steps = (
        (DrawdownStep.FLATTEN, config.flatten_pct),
        (DrawdownStep.CLOSE_ONLY, config.close_only_pct),
        (DrawdownStep.HALVE, config.halve_pct),
        (DrawdownStep.REDUCE, config.reduce_pct),
    )
    for step, limit_pct in steps:
        fall = fall_reached(marks.peak_cents, marks.equity_cents, limit_pct)
        if fall:
            return step, fall
    return DrawdownStep.NONE, None


def size_ppm(limits: LimitsConfig, marks: EquityMarks) -> int:
    """Share of the wanted volume that losses leave: half from the soft day loss on, times the drawdown's step."""
    day_ppm = SOFT_DAY_LOSS_SIZE_PPM if day_loss_reached(limits.day_loss_soft_pct, marks) else PPM
    match drawdown_reached(limits.drawdown, marks)[0]:
        case DrawdownStep.NONE:
            return day_ppm
        case DrawdownStep.REDUCE:
            return share_of(day_ppm, ppm_of(limits.drawdown.reduce_to_ratio))
        case DrawdownStep.HALVE | DrawdownStep.CLOSE_ONLY | DrawdownStep.FLATTEN:
            return share_of(day_ppm, ppm_of(limits.drawdown.halve_to_ratio))


# How often


class TradeCounts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Opens from fresh signals in the trading day and in `hour`, the clock hour of UTC counted from 1970.

    `days_at_limit` counts finished trading days in a row; a day without any trade, as at weekends, does not end the row.
    """

    today: int = 0
    hour: int = 0
    in_hour: int = 0
    days_at_limit: int = 0


def trades_in_hour(counts: TradeCounts, now_utc_ms: int) -> int:
    return counts.in_hour if counts.hour == now_utc_ms // HOUR_MS else 0


def hour_end_utc_ms(now_utc_ms: int) -> int:
    return (now_utc_ms // HOUR_MS + 1) * HOUR_MS


def trade_counted(counts: TradeCounts, now_utc_ms: int) -> TradeCounts:
    in_hour = trades_in_hour(counts, now_utc_ms) + 1
    return TradeCounts(counts.today + 1, now_utc_ms // HOUR_MS, in_hour, counts.days_at_limit)


def day_counted(counts: TradeCounts, trades_per_day: int | Off) -> TradeCounts:
    """The day is over: its trades no longer count."""
    if counts.today == 0:
        return counts
    was_at_limit = trades_per_day != "off" and counts.today >= trades_per_day
    return TradeCounts(0, counts.hour, counts.in_hour, counts.days_at_limit + 1 if was_at_limit else 0)


class RiskState(msgspec.Struct):
    """All that the limits are measured against.

    `day_loss` is the fall that ended entries for this trading day, whatever equity did since. `hold_until_utc_ms` is the
    end of the longest hold that was said. `deal_ticket` is the newest line of the history that was counted, `recent_deals`
    the last ones before it. `balance_cents` is with credit.
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
    recent_deals: list[int] = []


# May it enter, and how large


def entry_refusal(limits: LimitsConfig, state: RiskState, proposal: EntryProposed, now_utc_ms: int) -> Refusal | None:
    """The first limit that is reached, whatever the volume; None lets it be sized."""
    return (
        _unknown(limits, state, proposal)
        or _unsure(limits, proposal)
        or _lost(limits, state, proposal)
        or _too_many(limits, state, proposal, now_utc_ms)
    )


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
    smallest = min(_volume_limits(config, state, spec, losses), key=lambda limit: limit.steps)
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
        limits.open_risk_pct,
        limits.day_loss_pct,
        limits.day_loss_soft_pct,
        limits.drawdown.reduce_pct,
        limits.drawdown.halve_pct,
        limits.drawdown.close_only_pct,
        limits.drawdown.flatten_pct,
    )
    return any(share != "off" for share in shares)


def _unknown(limits: LimitsConfig, state: RiskState, proposal: EntryProposed) -> Refusal | None:
    book = state.book
    for symbol in (proposal.symbol, *(part.symbol for part in exposures(book))):
        if symbol not in book.specs:
            return Refusal(DenialReason.SPEC_UNKNOWN, detail=f"no specification of {symbol}")
    if book.specs[proposal.symbol].spec_id != proposal.spec_id:
        return Refusal(DenialReason.SPEC_UNKNOWN, detail=f"specification of {proposal.symbol} changed")
    if needs_equity(limits) and state.marks.equity_cents is None:
        return Refusal(DenialReason.EQUITY_UNKNOWN)
    return None


def _unsure(limits: LimitsConfig, proposal: EntryProposed) -> Refusal | None:
    measured, least = ppm_of(proposal.lineage.confidence), ppm_of(limits.confidence_min)
    return Refusal(DenialReason.CONFIDENCE, measured, least, "ppm") if measured < least else None


def _lost(limits: LimitsConfig, state: RiskState, proposal: EntryProposed) -> Refusal | None:
    step, fall = drawdown_reached(limits.drawdown, state.marks)
    worst_allowed = DrawdownStep.HALVE if proposal.lineage.level == 0 else DrawdownStep.REDUCE
    if fall and step > worst_allowed:
        return Refusal(DenialReason.DRAWDOWN, fall.cents, fall.limit_cents, "cents")
    if state.day_loss:
        return Refusal(DenialReason.DAY_LOSS, state.day_loss.cents, state.day_loss.limit_cents, "cents")
    return None


def _too_many(limits: LimitsConfig, state: RiskState, proposal: EntryProposed, now_utc_ms: int) -> Refusal | None:
    """What is in flight counts as if it were open; only fresh signals are counted by hour and day."""
    positions = len(exposures(state.book))
    if limits.positions_max != "off" and positions >= limits.positions_max:
        return Refusal(DenialReason.POSITIONS, positions, limits.positions_max, "count")
    if proposal.lineage.level > 0:
        return None
    coming = sum(reservation.is_fresh for reservation in state.book.reservations.values())
    trades = state.counts.today + coming
    if limits.trades_per_day != "off" and trades >= limits.trades_per_day:
        return Refusal(DenialReason.TRADES_PER_DAY, trades, limits.trades_per_day, "count")
    trades = trades_in_hour(state.counts, now_utc_ms) + coming
    if limits.trades_per_hour != "off" and trades >= limits.trades_per_hour:
        return Refusal(DenialReason.TRADES_PER_HOUR, trades, limits.trades_per_hour, "count")
    return None


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


def _volume_limits(config: Config, state: RiskState, spec: SymbolSpec, losses: Losses) -> list[VolumeLimit]:
    return [
        _wanted(config, state, spec, losses),
        VolumeLimit("volume_lots_max", steps_of_lots(config.limits.volume_lots_max, spec)),
        VolumeLimit("the symbol's largest volume", spec.volume_max_steps),
        *steps_of_budgets(state.marks.equity_cents, _budgets(config.limits, state.book, spec, losses)),
    ]


def _wanted(config: Config, state: RiskState, spec: SymbolSpec, losses: Losses) -> VolumeLimit:
    """The volume asked for, cut by losses of the day and drawdown; the limits come on top."""
    risk_ppm = _ppm_of_pct(config.limits.risk_per_trade_pct)
    if config.entry.volume_lots is not None:
        name, steps = "entry.volume_lots", steps_of_lots(config.entry.volume_lots, spec)
    elif risk_ppm is not None and state.marks.equity_cents is not None:
        name, steps = "risk_per_trade_pct", steps_within(share_of(state.marks.equity_cents, risk_ppm), losses.at_stop)
    else:
        name, steps = "neither entry.volume_lots nor risk_per_trade_pct", 0
    size = size_ppm(config.limits, state.marks)
    return VolumeLimit(name if size == PPM else f"{name} cut to {size // (PPM // 100)} %", share_of(steps, size))


def _budgets(limits: LimitsConfig, book: Book, spec: SymbolSpec, losses: Losses) -> list[Budget]:
    """The rows of limits.md that are shares of equity, with what is used of each."""
    notional = notional_per_step(spec)
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
    if losses.at_wide_stop is not None:
        share_ppm = _ppm_of_pct(limits.loss_at_catastrophe_stop_pct)
        budgets.append(Budget("loss_at_catastrophe_stop_pct", share_ppm, 0, losses.at_wide_stop))
    return budgets


def _ppm_of(multiple: float | Off) -> int | None:
    return None if multiple == "off" else ppm_of(multiple)


def _ppm_of_pct(pct: float | Off) -> int | None:
    return None if pct == "off" else ppm_of_pct(pct)
