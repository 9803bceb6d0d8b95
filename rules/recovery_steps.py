"""What follows for a re-entry chain of the end of one of its trades (trading_rules 1.3, 1.5.1, 1.6.1, 1.7)."""

from typing import assert_never

from evenkeel.messages.position import PositionClosed
from evenkeel.messages.recovery import ChainState, ReserveRecovery
from evenkeel.messages.system import Message, SetTimer
from evenkeel.rules.chain_protection import is_protected
from evenkeel.rules.lineage import starts_recovery
from evenkeel.rules.recovery import ChainEvent, Meaning, exit_type, meaning_of
from evenkeel.rules.recovery_ends import Around, end_stopped, end_with, free
from evenkeel.rules.recovery_levels import Terms, loss_cents, tight_stop_points
from evenkeel.rules.recovery_market import usual_spread_points
from evenkeel.rules.recovery_sagas import NAME, Saga, alter, over, recovery_id, step, timer
from evenkeel.rules.recovery_waits import wait, window_end
from evenkeel.rules.symbols import points_per_pip
from evenkeel.rules.texts import money_text, price_text


def closed(around: Around, saga: Saga, end: PositionClosed) -> list[Message]:
    """A trade of the chain is over, and its cause says what follows."""
    is_recovery = saga.chain.state is ChainState.RECOVERING
    gap_points, net = over(saga, end), money_text(end.net_cents, around.config.account)
    told = f"{end.reason.value} at {price_text(end.close_points, around.market.spec)}, net {net}"
    said = free(saga) if is_recovery else []
    if saga.doom:
        return [*said, *end_stopped(around, saga, ChainEvent.HALTED, saga.doom, end, told)]
    meaning = meaning_of(end.reason)
    match meaning:
        case Meaning.TARGET | Meaning.STOP if is_recovery:
            return [*said, *_recovered(around, saga, end, told)]
        case Meaning.TARGET:
            return _target_reached(around, saga, ChainEvent.TARGET, end, told)
        case Meaning.STOP:
            return _stopped(around, saga, gap_points, end, told)
        case Meaning.EXIT if not is_recovery:
            return _left(around, saga, end, told)
        case Meaning.EXIT:
            return [*said, *end_stopped(around, saga, ChainEvent.EXIT, end.reason.value, end, told)]
        case Meaning.ENDS | Meaning.UNKNOWN:
            is_stale = meaning is Meaning.UNKNOWN
            return [*said, *end_stopped(around, saga, ChainEvent.ENDED, end.reason.value, end, told, is_stale=is_stale)]
        case _:
            assert_never(meaning)


def _recovered(around: Around, saga: Saga, end: PositionClosed, told: str) -> list[Message]:
    """A recovery that lost nothing is one more trade of the chain, which goes on as after a target (trading_rules 1.6.7)."""
    if end.net_cents < 0:
        return end_stopped(around, saga, ChainEvent.LOST, "recovery failed", end, told)
    if not around.config.recovery.sl_hunt.resume:
        return end_with(around, saga, ChainEvent.RECOVERED, ChainState.COMPLETED, "recovered", end, told)
    level = saga.chain.level + 1
    if level > saga.chain.level_max:
        return end_with(around, saga, ChainEvent.RECOVERED, ChainState.COMPLETED, "the last level is recovered", end, told)
    alter(saga, level=level)
    return _target_reached(around, saga, ChainEvent.RECOVERED, end, told)


def _target_reached(around: Around, saga: Saga, event: ChainEvent, end: PositionClosed, told: str) -> list[Message]:
    chain = saga.chain
    if chain.level >= chain.level_max:
        return end_with(around, saga, event, ChainState.COMPLETED, f"level {chain.level} is the last", end, told)
    if not around.config.recovery.tp_continuation.enabled:
        return end_with(around, saga, event, ChainState.COMPLETED, "tp_continuation is off", end, told)
    return wait(around, saga, event, ChainState.AWAITING_TP, end.ticket, told, end.net_cents)


def _left(around: Around, saga: Saga, end: PositionClosed, told: str) -> list[Message]:
    """A person or a reversal ended it: over, unless it may be reconsidered (trading_rules 1.7)."""
    config = around.config.recovery.exit_continuation
    is_eligible = config.enabled and exit_type(end.reason) in config.after
    if not is_eligible or saga.chain.exit_attempts >= config.attempts_max:
        return end_stopped(around, saga, ChainEvent.EXIT, end.reason.value, end, told)
    return wait(around, saga, ChainEvent.EXIT, ChainState.AWAITING_EXIT, end.ticket, told, end.net_cents)


def _stopped(around: Around, saga: Saga, gap_points: int, end: PositionClosed, told: str) -> list[Message]:
    """A recovery is asked for, if nothing here stands against it; what else may is the limits' to say."""
    if gap_points <= 0:
        reason = "the stop was at the entry or beyond"
        return end_with(around, saga, ChainEvent.STOP, ChainState.COMPLETED, reason, end, told)
    refusal = _hunt_refusal(around, saga, end.lineage.order_kind)
    if refusal is not None:
        return end_stopped(around, saga, ChainEvent.STOP, refusal, end, told)
    chain = alter(saga, last_stop_distance_points=gap_points, recovery_ticket=end.ticket)
    if _earns_too_much(around, saga):
        return end_with(around, saga, ChainEvent.STOP, ChainState.COMPLETED, "profit protected", end, told)
    until_utc_ms = window_end(around, saga, ChainState.RECOVERY_MODE)
    if until_utc_ms <= around.now_utc_ms:
        return end_stopped(around, saga, ChainEvent.STOP, "recovery window timeout", end, told)
    alter(saga, until_utc_ms=until_utc_ms)
    saga.is_reserved = True
    return [
        step(saga, ChainEvent.STOP, ChainState.ACTIVE, ticket=end.ticket, detail=told, net_cents=end.net_cents),
        ReserveRecovery(NAME, recovery_id(chain), chain.plugin, chain.chain_id, chain.symbol),
        SetTimer(NAME, timer("window", chain), until_utc_ms),
    ]


def _hunt_refusal(around: Around, saga: Saga, kind: str) -> str | None:
    """What stands against the recovery of a trade of this kind here; None: nothing."""
    hunt, chain = around.config.recovery.sl_hunt, saga.chain
    if not hunt.enabled:
        return "sl_hunt is off"
    if not starts_recovery(kind):
        return f"no recovery after {kind}"
    if chain.recovery_attempts >= hunt.attempts_max:
        return "max recovery attempts"
    if chain.direction in around.blocked:
        return "the direction is shielded"
    return "the symbol's terms are not known" if around.market.spec is None else None


def _earns_too_much(around: Around, saga: Saga) -> bool:
    """The chain's profit goes before what its recovery may lose (trading_rules 1.10.3 b)."""
    recovery, chain, spec = around.config.recovery, saga.chain, around.market.spec
    assert spec is not None, "asked for after the terms"
    terms = Terms(spec, points_per_pip(spec, around.config), usual_spread_points(around.market))
    distance = tight_stop_points(recovery, terms, chain.last_stop_distance_points)
    return recovery.protect_a and is_protected(
        recovery.profit_protection,
        profit_cents=chain.won_cents - chain.lost_cents,
        loss_cents=loss_cents(spec, distance_points=distance, volume_steps=chain.volume_steps),
        currency_digits=around.config.account.currency_digits,
    )
