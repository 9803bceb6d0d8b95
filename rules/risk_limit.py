"""Whether more may be risked at all: what every limit is measured against, and which of them is reached.

Rows and meanings are those of limits.md. Reached counts from the limit on, and a limit that is "off" needs no number.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from evenkeel.config.limits import LimitsConfig
from evenkeel.config.schema import Config
from evenkeel.messages.entry import DenialReason, EntryProposed
from evenkeel.rules.chain_risk import ChainRisk
from evenkeel.rules.correlation import HourCloses
from evenkeel.rules.entries import LimitHold, Refusal
from evenkeel.rules.frequency import RejectCounts, RequestCounts, TradeCounts, request_refusal, trades_in_hour
from evenkeel.rules.lineage import is_fresh
from evenkeel.rules.loss_tiers import TierLosses, tier_refusals
from evenkeel.rules.losses import DrawdownStep, EquityMarks, Fall, drawdown_reached, floor_cents, loses_too_often
from evenkeel.rules.margin import MarginStep, level_ppm, margin_step, steps_of
from evenkeel.rules.recovery_safety import RecoverySafety, order_refusals
from evenkeel.rules.sizing import Book, exposures, ppm_of

CANNOT_BE_SIZED: Final = (DenialReason.SPEC_UNKNOWN, DenialReason.EQUITY_UNKNOWN)


class RiskState(msgspec.Struct):
    """All that the limits are measured against.

    `day_loss` and `week_loss` are the falls that ended entries for this day and week, whatever equity did since; `holds` are
    by the reason that they refuse with. `hold_until_utc_ms` is the end of the longest hold that was said. `deal_ticket` is
    the newest deal that was counted. `margin_cents` is in use: the broker's figure while nothing has changed since, else by
    leverage; `start_balance_cents` is the first balance that was read, or the one at which a person rearmed after the floor.
    `deal_ticket` is the newest line of the history that was counted, `recent_deals` the last ones before it. `balance_cents`
    is with credit.

    Of chains: `chains` by chain id, `breaker_ppm` what the circuit breaker leaves of new volume by scope, where that is not
    all, `balance_tier` the tier that was said last, 0 none. `lowered`: see LimitsLowered.
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
    recoveries: RecoverySafety = msgspec.field(default_factory=RecoverySafety)
    tier_losses: TierLosses = TierLosses()
    chains: dict[str, ChainRisk] = {}
    breaker_ppm: dict[str, int] = {}
    balance_tier: int = 0
    lowered: str = ""


def entry_refusal(config: Config, state: RiskState, proposal: EntryProposed, now_utc_ms: int) -> Refusal | None:
    """The first limit that is reached, whatever the volume; None lets it be sized."""
    return next(entry_refusals(config, state, proposal, now_utc_ms), None)


def entry_refusals(config: Config, state: RiskState, proposal: EntryProposed, now_utc_ms: int) -> Iterator[Refusal]:
    """Every limit that is reached, whatever the volume. What is not known comes first: it cannot be sized."""
    limits, lineage = config.limits, proposal.lineage
    yield from _unknown(limits, state, proposal)
    yield from _unsure(limits, proposal)
    yield from _held(state, now_utc_ms)
    yield from _lost(limits, state, proposal)
    yield from tier_refusals(config, state.tier_losses, state.balance_cents, lineage.strategy)
    yield from order_refusals(config, state.recoveries, lineage, now_utc_ms)
    yield from _too_little_margin(limits, state)
    yield from _too_many(limits, state, proposal, now_utc_ms)
    too_often = request_refusal(limits.requests, state.requests, now_utc_ms)
    if too_often is not None:
        yield too_often


def expiry_utc_ms(limits: LimitsConfig, proposal: EntryProposed, now_utc_ms: int) -> int:
    """Until when the order may leave; another try never lives longer than the first. 0: for ever."""
    own_utc_ms = 0 if limits.intent_expiry_s == "off" else now_utc_ms + round(limits.intent_expiry_s * 1000)
    return min(own_utc_ms, proposal.expires_utc_ms) if own_utc_ms and proposal.expires_utc_ms else own_utc_ms


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
