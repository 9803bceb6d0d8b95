"""What a View shows of chains, shields and breakers: `chains_heard` keeps what was said, the functions below show it."""

from collections.abc import Iterator
from typing import Final, assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.chain_store import ChainNotSaved
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.recovery import ChainEnded, ChainStepped, FreeRecovery, ReserveRecovery
from evenkeel.messages.risk_limit import RecoveryRefused
from evenkeel.messages.shield import HedgeEnded, ShieldClosing, ShieldLowered, ShieldRaised
from evenkeel.rules import guard_table
from evenkeel.rules.fixed_stop import money_cents
from evenkeel.rules.guard_table import GuardTable
from evenkeel.rules.lineage import has_chains, is_recovery
from evenkeel.rules.view import BreakerView, ChainView, RecoveriesToday, ShieldView

CHAINS_SHOWN: Final = 40
"""A whole view must fit into one frame of the control channel."""

OfChains = ChainStepped | ChainEnded | ChainNotSaved | HedgeEnded
OfRecoveries = ReserveRecovery | RecoveryRefused | FreeRecovery
OfShields = ShieldRaised | ShieldClosing | ShieldLowered
OfRisk = OfChains | OfRecoveries | OfShields | BreakerChanged


class ChainsSeen(msgspec.Struct):
    """`steps` is the last step of each chain that is not over, in the order in which they began; `recoveries` are the chains of
    those that are kept, by recovery id; `breakers` by scope."""

    steps: dict[str, ChainStepped] = {}
    recoveries: dict[str, str] = {}
    breakers: dict[str, BreakerChanged] = {}
    today: RecoveriesToday = RecoveriesToday()


def chains_heard(seen: ChainsSeen, guards: GuardTable, message: OfRisk) -> None:
    match message:
        case ChainStepped():
            seen.steps[message.chain_id] = message
        case ChainEnded():
            seen.steps.pop(message.chain_id, None)
            seen.recoveries = {key: chain_id for key, chain_id in seen.recoveries.items() if chain_id != message.chain_id}
        case ReserveRecovery():
            seen.recoveries[message.recovery_id] = message.chain_id
        case RecoveryRefused() | FreeRecovery():
            seen.recoveries.pop(message.recovery_id, None)
        case ShieldRaised():
            guard_table.raise_shield(guards, message)
        case ShieldLowered():
            guard_table.lower_shield(guards, message)
        case BreakerChanged():
            seen.breakers.pop(message.scope, None)
            if message.level is not BreakerLevel.NORMAL or message.phase:
                seen.breakers[message.scope] = message
        case ChainNotSaved() | HedgeEnded() | ShieldClosing():
            pass  # events, nothing that lasts
        case _:
            assert_never(message)


def recovery_opened(seen: ChainsSeen, opened: PositionOpened) -> None:
    """Call it once for each position that is ours by an order of ours."""
    if is_recovery(opened.lineage.order_kind):
        seen.today = msgspec.structs.replace(seen.today, attempts=seen.today.attempts + 1)


def trade_closed(seen: ChainsSeen, closed: PositionClosed) -> None:
    today, net_cents = seen.today, closed.net_cents
    if closed.reason is ExitReason.BOOKED:
        today = msgspec.structs.replace(today, profit_booked_cents=today.profit_booked_cents + net_cents)
    if is_recovery(closed.lineage.order_kind):
        is_lost = net_cents < 0
        today = msgspec.structs.replace(
            today,
            successes=today.successes + (not is_lost),
            failures=today.failures + is_lost,
            losses_cents=today.losses_cents + max(0, -net_cents),
        )
    seen.today = today


def chain_views(seen: ChainsSeen) -> tuple[ChainView, ...]:
    """The newest CHAINS_SHOWN, newest first."""
    return tuple(
        ChainView(
            chain_id=step.chain_id,
            plugin=step.plugin,
            symbol=step.symbol,
            state=step.after,
            level=step.level,
            step=f"{step.event}: {step.detail}" if step.detail else step.event,
        )
        for step in [*reversed(seen.steps.values())][:CHAINS_SHOWN]
    )


def shield_views(guards: GuardTable) -> tuple[ShieldView, ...]:
    return tuple(
        ShieldView(symbol=one.symbol, direction=one.direction, reason=shield_reason(one), until_utc_ms=one.until_utc_ms)
        for one in guards.shields.values()
    )


def shield_reason(raised: ShieldRaised) -> str:
    return f"{raised.reason.value}, {raised.measured_points} against {raised.bound_points} points"


def breaker_views(seen: ChainsSeen) -> tuple[BreakerView, ...]:
    return tuple(
        BreakerView(scope=one.scope, level=one.level.value, phase=one.phase, size_ppm=one.size_ppm, reason=one.reason)
        for one in seen.breakers.values()
    )


def recovery_limits(seen: ChainsSeen, config: Config, net_cents: int) -> Iterator[tuple[str, int, int, str]]:
    """Name, used, limit and unit of each that is on where strategies have chains. `net_cents` is the day's net of closed
    trades."""
    if not has_chains(config):
        return
    limits, today = config.limits, seen.today
    counted = (
        ("recovery_attempts", today.attempts, limits.recovery_attempts),
        ("recovery_losses", today.failures, limits.recovery_losses),
        ("recovery_concurrent", len(seen.recoveries), limits.recovery_concurrent),
    )
    for name, used, limit in counted:
        if limit != "off":
            yield name, used, limit, "count"
    if limits.profit_protection != "off":
        threshold_cents = money_cents(limits.profit_protection, config.account.currency_digits)
        yield "profit_protection", max(0, net_cents), threshold_cents, "cents"
