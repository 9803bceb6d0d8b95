"""What the limits of chains do when something happened: a recovery kept or refused, losses and profit counted, holds.

As in rules/limit_trips.py each function takes in one thing, changes the state and returns what is to be said about it.
"""

from evenkeel.config.schema import Config
from evenkeel.messages.circuit_breaker import BreakerChanged
from evenkeel.messages.operator import ACCOUNT, HoldPlaced, Mode
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.messages.recovery import ChainEnded, FreeRecovery, ReserveRecovery
from evenkeel.messages.risk_limit import BalanceTierReached, LimitReached, RecoveryRefused, RecoveryReserved
from evenkeel.messages.system import Message
from evenkeel.rules import chain_risk, loss_tiers, recovery_safety
from evenkeel.rules.limit_trips import NAME, hold, lower
from evenkeel.rules.lineage import is_recovery, plugins
from evenkeel.rules.risk_limit import RiskState
from evenkeel.rules.sizing import PPM, loss_at_stop_cents
from evenkeel.rules.texts import money_text


def recovery_asked(config: Config, state: RiskState, asked: ReserveRecovery, now_utc_ms: int) -> Message:
    """One that is kept already is kept still, whatever stands against another."""
    safety = state.recoveries
    if asked.recovery_id in safety.kept:
        return RecoveryReserved(asked.owner, asked.recovery_id)
    refusals = (
        *recovery_safety.recovery_refusals(config, safety, now_utc_ms),
        *loss_tiers.tier_refusals(config, state.tier_losses, state.balance_cents, asked.plugin),
    )
    for refusal in refusals[:1]:
        named = (asked.owner, asked.recovery_id, refusal.reason.value)
        return RecoveryRefused(*named, refusal.measured, refusal.limit, refusal.unit)
    recovery_safety.recovery_kept(safety, asked)
    return RecoveryReserved(asked.owner, asked.recovery_id)


def chain_freed(state: RiskState, message: FreeRecovery | ChainEnded) -> None:
    match message:
        case FreeRecovery():
            recovery_safety.recovery_freed(state.recoveries, message.recovery_id)
        case ChainEnded():
            recovery_safety.chain_ended(state.recoveries, message.plugin, message.chain_id)
            chain_risk.chain_ended(state.chains, message.chain_id)


def order_accepted(config: Config, state: RiskState, opened: PositionOpened, now_utc_ms: int) -> list[Message]:
    """An order of ours has become a position, for the first time."""
    if opened.lineage.strategy in plugins(config):
        held, spec = state.book.holdings[opened.ticket], state.book.specs[opened.symbol]
        worst_cents = loss_at_stop_cents(held, spec, slippage_points=config.limits.slippage_points)
        chain_risk.chain_opened(state.chains, opened, worst_cents)
    if not is_recovery(opened.lineage.order_kind):
        return []
    return recovery_safety.recovery_opened(config, state.recoveries, opened.lineage, now_utc_ms)


def trade_closed(config: Config, state: RiskState, closed: PositionClosed, now_utc_ms: int) -> list[Message]:
    """A position of ours is gone."""
    chain_risk.chain_booked(state.chains, closed)
    said = recovery_safety.trade_closed(config, state.recoveries, closed, now_utc_ms)
    if closed.net_cents < 0 and loss_tiers.applies_to(config, closed.lineage.strategy):
        said += _loss_counted(config, state, closed)
    return said


def breaker_changed(state: RiskState, changed: BreakerChanged) -> None:
    state.breaker_ppm.pop(changed.scope, None)
    if changed.size_ppm < PPM:
        state.breaker_ppm[changed.scope] = changed.size_ppm


def balance_changed(config: Config, state: RiskState) -> list[Message]:
    """Said only where a stop depends on it."""
    if config.entry.stop_system == "pips" or state.balance_cents is None:
        return []
    before, state.balance_tier = state.balance_tier, loss_tiers.balance_tier(config, state.balance_cents)
    return [BalanceTierReached(state.balance_tier)] if state.balance_tier != before else []


def _loss_counted(config: Config, state: RiskState, closed: PositionClosed) -> list[Message]:
    """Says a limit when it is reached: entries are held to the end of the day, or closed until a person rearms."""
    before, is_today = state.tier_losses, closed.trading_day >= state.recoveries.day
    losses = loss_tiers.after_loss(config, before, -closed.net_cents, state.balance_cents, is_today=is_today)
    state.tier_losses, most = losses, loss_tiers.limits_at(config, state.balance_cents or 0)
    said: list[Message] = []
    if losses.is_day_reached and not before.is_day_reached:
        measured = (losses.day_cents, most.day_cents)
        said.append(LimitReached("loss_tiers.day", *measured, "cents", "no new risk before the day ends"))
        said += _held(config, state, f"loss_tiers.day: {_lost(config, *measured)}")
    if losses.is_lifetime_reached and not before.is_lifetime_reached:
        measured = (losses.lifetime_cents, most.lifetime_cents)
        said.append(LimitReached("loss_tiers.lifetime", *measured, "cents", "no new risk before a person rearms"))
        said.append(lower(Mode.CLOSE_ONLY, f"loss_tiers.lifetime: {_lost(config, *measured)}"))
    return said


def _lost(config: Config, lost_cents: int, limit_cents: int) -> str:
    lost, limit = (money_text(cents, config.account) for cents in (lost_cents, limit_cents))
    return f"lost {lost}, the limit is {limit}"


def _held(config: Config, state: RiskState, reason: str) -> list[Message]:
    scopes, until_utc_ms = loss_tiers.scopes(config), state.day_ends_utc_ms
    if scopes == [ACCOUNT]:
        return hold(state, reason, until_utc_ms)
    return [HoldPlaced(who=NAME, scope=scope, reason=reason, until_utc_ms=until_utc_ms) for scope in scopes]
