"""What is done when a limit is reached: holds, modes, reductions, words. Refusals are in rules/risk_limit.py.

Each function takes in one thing that happened, changes the state and returns what is to be said about it. A limit speaks
when it is reached, not while it stays so.
"""

from typing import Final

from evenkeel.config.limits import LimitsConfig
from evenkeel.config.schema import AccountConfig, Config
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.operator import HoldPlaced, LowerMode, Mode
from evenkeel.messages.position import ExitReason, ReducePosition
from evenkeel.messages.risk_limit import LimitReached
from evenkeel.messages.system import Message
from evenkeel.rules.entries import LimitHold
from evenkeel.rules.frequency import RejectCounts, hour_end_utc_ms, reject_counted, slip_counted, trade_counted, trades_in_hour
from evenkeel.rules.losses import (
    DrawdownStep,
    Fall,
    day_loss_reached,
    drawdown_reached,
    floor_cents,
    loses_too_often,
    sampled,
    week_loss_reached,
)
from evenkeel.rules.margin import MarginStep, half_left_steps, held_margin_cents, level_ppm, margin_step
from evenkeel.rules.risk_limit import RiskState, lowest_cents
from evenkeel.rules.sizing import Expected
from evenkeel.rules.texts import money_text

NAME: Final = "risk_limit"
_MARGIN_EFFECTS: Final = {
    MarginStep.WARN: "warned",
    MarginStep.HOLD: "no new risk",
    MarginStep.HALVE: "every position is halved",
    MarginStep.FLATTEN: "everything is closed",
}


def trade_opened(limits: LimitsConfig, state: RiskState, now_utc_ms: int) -> list[Message]:
    """A fresh signal has become a position."""
    state.counts = trade_counted(state.counts, now_utc_ms)
    said: list[Message] = []
    if limits.trades_per_hour != "off" and trades_in_hour(state.counts, now_utc_ms) >= limits.trades_per_hour:
        said += hold(state, f"trades_per_hour: {limits.trades_per_hour} opened", hour_end_utc_ms(now_utc_ms))
    if limits.trades_per_day != "off" and state.counts.today >= limits.trades_per_day:
        said += hold(state, f"trades_per_day: {limits.trades_per_day} opened", state.day_ends_utc_ms)
        days = state.counts.days_at_limit + 1
        if limits.trades_limit_days_max != "off" and days >= limits.trades_limit_days_max:
            said.append(lower(Mode.CLOSE_ONLY, f"trades_per_day: reached on {days} days in a row"))
    return said


def trade_closed(limits: LimitsConfig, state: RiskState, net_cents: int, now_utc_ms: int) -> list[Message]:
    """A position of ours is gone. Only a net loss counts, and any other end begins the count anew."""
    state.losses_in_a_row = state.losses_in_a_row + 1 if net_cents < 0 else 0
    config, losses = limits.consecutive_losses, state.losses_in_a_row
    if loses_too_often(config, losses):
        return [lower(Mode.CLOSE_ONLY, f"consecutive_losses: {losses} of {config.close_only_after} trades in a row lost")]
    if config.hold_after == "off" or losses < config.hold_after:
        return []
    until_utc_ms = now_utc_ms + round(config.hold_hours * 3_600_000)
    held = LimitHold(losses, config.hold_after, "count", until_utc_ms)
    return _latch(state, DenialReason.CONSECUTIVE_LOSSES, held, f"{losses} of {config.hold_after} trades in a row lost")


def equity_sampled(config: Config, state: RiskState, equity_cents: int) -> list[Message]:
    state.marks = sampled(state.marks, equity_cents)
    return limits_lowered(config, state)


def limits_lowered(config: Config, state: RiskState) -> list[Message]:
    """What is reached by the last sample, whichever of the two has moved: the equity or the limit."""
    if state.marks.equity_cents is None:
        return []
    limits, account = config.limits, config.account
    return [
        *_after_day_loss(limits, state, account),
        *_after_week_loss(limits, state, account),
        *_after_drawdown(limits, state, account),
        *_after_floor(limits, state, account),
        *_after_margin(limits, state),
    ]


def exposure_changed(limits: LimitsConfig, state: RiskState) -> list[Message]:
    """What is open has changed: until the broker tells of its margin again, leverage does."""
    state.margin_cents = held_margin_cents(state.book, state.leverage)
    return _after_margin(limits, state)


def broker_refused(limits: LimitsConfig, state: RiskState, now_utc_ms: int) -> list[Message]:
    """A request came back refused, or nobody knows what became of it."""
    standing = state.holds.get(DenialReason.REJECTS)
    is_held = standing is not None and now_utc_ms < standing.until_utc_ms
    state.rejects, hold_ms = reject_counted(limits.rejects, state.rejects, is_held=is_held)
    if not hold_ms or limits.rejects.in_a_row_max == "off":
        return []
    in_a_row, most = state.rejects.in_a_row, limits.rejects.in_a_row_max
    held = LimitHold(in_a_row, most, "count", now_utc_ms + hold_ms)
    return _latch(state, DenialReason.REJECTS, held, f"{in_a_row} requests in a row failed, {most} are too many")


def broker_served(state: RiskState) -> None:
    """A request did what it should: what stands of a hold stands, but the count begins anew."""
    state.rejects = RejectCounts()


def fill_slipped(limits: LimitsConfig, state: RiskState, slipped_points: int, fill: Expected, now_utc_ms: int) -> list[Message]:
    """A fill was worse than its quote by more than it may be."""
    state.slips_utc_ms, is_too_often = slip_counted(limits.slippage, state.slips_utc_ms, now_utc_ms)
    said: list[Message] = [LimitReached("slippage", slipped_points, fill.slippage_points_max, "points", "counted")]
    if is_too_often:
        most, minutes = limits.slippage.breaches_max, limits.slippage.hold_minutes
        held = LimitHold(most, most, "count", now_utc_ms + round(minutes * 60_000))
        said += _latch(
            state, DenialReason.SLIPPAGE, held, f"{most} fills slipped in {limits.slippage.within_minutes:g} minutes"
        )
    return said


def _after_day_loss(limits: LimitsConfig, state: RiskState, account: AccountConfig) -> list[Message]:
    if state.day_loss is not None:
        return []
    fall = state.day_loss = day_loss_reached(limits.day_loss_pct, state.marks)
    if fall is None:
        return []
    return hold(state, f"day_loss_pct: {_lost(fall, account)}", state.day_ends_utc_ms)


def _after_week_loss(limits: LimitsConfig, state: RiskState, account: AccountConfig) -> list[Message]:
    if state.week_loss is not None:
        return []
    fall = state.week_loss = week_loss_reached(limits.week_loss_pct, state.marks)
    if fall is None:
        return []
    return hold(state, f"week_loss_pct: {_lost(fall, account)}", state.week_ends_utc_ms)


def _after_drawdown(limits: LimitsConfig, state: RiskState, account: AccountConfig) -> list[Message]:
    before = state.drawdown
    state.drawdown, fall = drawdown_reached(limits.drawdown, state.marks)
    if fall is None or state.drawdown <= max(before, DrawdownStep.HALVE):
        return []
    mode = Mode.FLATTEN if state.drawdown is DrawdownStep.FLATTEN else Mode.CLOSE_ONLY
    return [lower(mode, f"drawdown_pct: {_lost(fall, account)} since the peak")]


def _after_floor(limits: LimitsConfig, state: RiskState, account: AccountConfig) -> list[Message]:
    floor = floor_cents(limits.balance_floor_pct, state.start_balance_cents)
    if floor is None or state.is_at_floor or lowest_cents(state) > floor:
        return []
    state.is_at_floor = True
    left, least = (money_text(cents, account) for cents in (lowest_cents(state), floor))
    return [lower(Mode.FLATTEN, f"balance_floor_pct: {left} left, the floor is {least}")]


def _lost(fall: Fall, account: AccountConfig) -> str:
    return f"lost {money_text(fall.cents, account)}, the limit is {money_text(fall.limit_cents, account)}"


def _after_margin(limits: LimitsConfig, state: RiskState) -> list[Message]:
    equity_cents, used_cents = state.marks.equity_cents, state.margin_cents
    if equity_cents is None:
        return []
    before = state.margin_step
    state.margin_step, limit_ppm = margin_step(limits.margin_level, equity_cents, used_cents)
    if state.margin_step <= before:
        return []
    measured_ppm, effect = level_ppm(equity_cents, used_cents), _MARGIN_EFFECTS[state.margin_step]
    said: list[Message] = [LimitReached("margin_level", measured_ppm, limit_ppm, "ppm", effect)]
    if state.margin_step is MarginStep.HALVE:
        said += _halved(state)
    if state.margin_step is MarginStep.FLATTEN:
        said.append(lower(Mode.FLATTEN, f"margin_level: {measured_ppm / 1e4:.1f} % of {limit_ppm / 1e4:g} %"))
    return said


def _halved(state: RiskState) -> list[Message]:
    """Of ours; foreign positions are never touched."""
    ours = [(ticket, held) for ticket, held in state.book.holdings.items() if not held.is_foreign]
    return [
        ReducePosition(ticket, held.symbol, half_left_steps(held, state.book.specs[held.symbol]), ExitReason.MARGIN)
        for ticket, held in ours
        if held.symbol in state.book.specs
    ]


def _latch(state: RiskState, reason: DenialReason, held: LimitHold, why: str) -> list[Message]:
    """Refuse with these numbers until it ends, and tell the guard table."""
    state.holds[reason] = held
    return hold(state, f"{reason.value}: {why}", held.until_utc_ms)


def hold(state: RiskState, reason: str, until_utc_ms: int) -> list[Message]:
    """Says nothing while a longer hold of ours stands: the gateway would take the shorter one in its place."""
    if until_utc_ms < state.hold_until_utc_ms:
        return []
    state.hold_until_utc_ms = until_utc_ms
    return [HoldPlaced(who=NAME, scope="account", reason=reason, until_utc_ms=until_utc_ms)]


def lower(mode: Mode, reason: str) -> LowerMode:
    return LowerMode(mode=mode, by=NAME, reason=reason)
