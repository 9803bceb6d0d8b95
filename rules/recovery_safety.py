"""What recoveries may still do (trading_rules 1.10.2, 1.10.3 a): so many a day, so many lost, so many at once, and none while
the day's profit is to be kept.

A recovery is kept from the moment it waits for its price until it is freed. It counts as an attempt when its order is
accepted, and until then as one that may still become one.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from evenkeel.config.limits import LimitsConfig
from evenkeel.config.schema import Config
from evenkeel.config.units import Off
from evenkeel.messages.entry import DenialReason, Lineage, OrderKind
from evenkeel.messages.position import PositionClosed
from evenkeel.messages.recovery import ReserveRecovery
from evenkeel.messages.risk_limit import LimitReached
from evenkeel.messages.system import Message
from evenkeel.rules.entries import LimitHold, Refusal
from evenkeel.rules.fixed_stop import money_cents
from evenkeel.rules.lineage import is_recovery

_CONTINUATIONS: Final = frozenset({OrderKind.TP_CONTINUATION.value, OrderKind.EXIT_CONTINUATION.value})


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A recovery that waits, is on its way, or is open (`is_accepted`)."""

    plugin: str
    chain_id: str
    is_accepted: bool = False


class RecoverySafety(msgspec.Struct):
    """Counts of the trading day `day`, and what outlives it: the recoveries that are kept, and pauses after a limit.

    `booked_cents` is the day's net of all closed trades; `kept` is by recovery id, `pauses` by the limit that was reached.
    """

    day: str = ""
    attempts: int = 0
    losses: int = 0
    booked_cents: int = 0
    kept: dict[str, Kept] = {}
    pauses: dict[DenialReason, LimitHold] = {}


# What stands against it


def recovery_refusals(config: Config, safety: RecoverySafety, now_utc_ms: int, *, recovery_id: str = "") -> Iterator[Refusal]:
    """All that stands against one more recovery, the first in the order attempts, losses, concurrency, profit protection.
    `recovery_id` is kept already, if at all, and does not count against itself."""
    limits, others = config.limits, [kept for key, kept in safety.kept.items() if key != recovery_id]
    attempts = safety.attempts + sum(not kept.is_accepted for kept in others)
    yield from _counted(safety, DenialReason.RECOVERY_ATTEMPTS, attempts, limits.recovery_attempts, now_utc_ms)
    yield from _lost(limits, safety, now_utc_ms)
    if limits.recovery_concurrent != "off" and len(others) >= limits.recovery_concurrent:
        yield Refusal(DenialReason.RECOVERY_CONCURRENT, len(others), limits.recovery_concurrent, "count")
    yield from _protected(config, safety)


def order_refusals(config: Config, safety: RecoverySafety, lineage: Lineage, now_utc_ms: int) -> Iterator[Refusal]:
    """All of it that stands against an order. A continuation is no recovery: losses and profit protection alone concern it,
    and nothing here concerns an order of any other kind."""
    if lineage.order_kind in _CONTINUATIONS:
        yield from _lost(config.limits, safety, now_utc_ms)
        yield from _protected(config, safety)
    elif is_recovery(lineage.order_kind):
        recovery_id = waiting_id(safety, lineage)
        if recovery_id is None:
            yield Refusal(DenialReason.RECOVERY_UNRESERVED, detail=f"nothing is kept for chain {lineage.chain_id}")
        else:
            yield from recovery_refusals(config, safety, now_utc_ms, recovery_id=recovery_id)


def waiting_id(safety: RecoverySafety, lineage: Lineage) -> str | None:
    """The recovery of that chain whose order was not accepted yet: that of the lost ticket where there are several."""
    waiting = [key for key, kept in safety.kept.items() if kept.chain_id == lineage.chain_id and not kept.is_accepted]
    of_ticket = f"{lineage.chain_id}/{lineage.parent_ticket}"
    return of_ticket if of_ticket in waiting else next(iter(waiting), None)


def waiting_count(safety: RecoverySafety, chain_id: str) -> int:
    return sum(kept.chain_id == chain_id and not kept.is_accepted for kept in safety.kept.values())


# What happened


def recovery_kept(safety: RecoverySafety, asked: ReserveRecovery) -> None:
    """Call it when nothing stands against it. One that is kept already stays what it is."""
    safety.kept.setdefault(asked.recovery_id, Kept(asked.plugin, asked.chain_id))


def recovery_opened(config: Config, safety: RecoverySafety, lineage: Lineage, now_utc_ms: int) -> list[Message]:
    """The order of a recovery was accepted, for the first time: an attempt, whether or not anything was kept for it."""
    recovery_id = waiting_id(safety, lineage)
    if recovery_id is not None:
        safety.kept[recovery_id] = msgspec.structs.replace(safety.kept[recovery_id], is_accepted=True)
    safety.attempts += 1
    limit = config.limits.recovery_attempts
    return _reached(config.limits, safety, DenialReason.RECOVERY_ATTEMPTS, safety.attempts, limit, now_utc_ms)


def trade_closed(config: Config, safety: RecoverySafety, closed: PositionClosed, now_utc_ms: int) -> list[Message]:
    """Its net belongs to its own trading day; a recovery that lost net counts as lost, one that lost nothing does not."""
    if closed.trading_day < safety.day:
        return []
    said: list[Message] = []
    threshold_cents = _threshold_cents(config)
    before_cents, safety.booked_cents = safety.booked_cents, safety.booked_cents + closed.net_cents
    if threshold_cents is not None and before_cents < threshold_cents <= safety.booked_cents:
        said.append(_said(DenialReason.PROFIT_PROTECTION, safety.booked_cents, threshold_cents, "cents", "no re-entry"))
    if is_recovery(closed.lineage.order_kind) and closed.net_cents < 0:
        safety.losses += 1
        limit = config.limits.recovery_losses
        return said + _reached(config.limits, safety, DenialReason.RECOVERY_LOSSES, safety.losses, limit, now_utc_ms)
    return said


def recovery_freed(safety: RecoverySafety, recovery_id: str) -> None:
    safety.kept.pop(recovery_id, None)


def chain_ended(safety: RecoverySafety, plugin: str, chain_id: str) -> None:
    safety.kept = {key: kept for key, kept in safety.kept.items() if (kept.plugin, kept.chain_id) != (plugin, chain_id)}


def day_started(safety: RecoverySafety, day: str) -> None:
    """The counts begin anew; what is kept and what pauses stays."""
    safety.day, safety.attempts, safety.losses, safety.booked_cents = day, 0, 0, 0


def _counted(safety: RecoverySafety, reason: DenialReason, count: int, limit: int | Off, now_utc_ms: int) -> Iterator[Refusal]:
    """A count of the day at its limit, or the pause since it last was."""
    pause = safety.pauses.get(reason)
    if limit != "off" and count >= limit:
        yield Refusal(reason, count, limit, "count")
    elif pause is not None and now_utc_ms < pause.until_utc_ms:
        yield Refusal(reason, pause.measured, pause.limit, pause.unit, "pause after the limit")


def _lost(limits: LimitsConfig, safety: RecoverySafety, now_utc_ms: int) -> Iterator[Refusal]:
    yield from _counted(safety, DenialReason.RECOVERY_LOSSES, safety.losses, limits.recovery_losses, now_utc_ms)


def _protected(config: Config, safety: RecoverySafety) -> Iterator[Refusal]:
    threshold_cents = _threshold_cents(config)
    if threshold_cents is not None and safety.booked_cents >= threshold_cents:
        yield Refusal(DenialReason.PROFIT_PROTECTION, safety.booked_cents, threshold_cents, "cents")


def _threshold_cents(config: Config) -> int | None:
    threshold = config.limits.profit_protection
    return None if threshold == "off" else money_cents(threshold, config.account.currency_digits)


def _reached(
    limits: LimitsConfig, safety: RecoverySafety, reason: DenialReason, count: int, limit: int | Off, now_utc_ms: int
) -> list[Message]:
    """The count has just come to this: the pause begins when it is at its limit, and with each one that comes after it."""
    if limit == "off" or count < limit:
        return []
    hours = limits.recovery_pause_hours
    safety.pauses[reason] = LimitHold(count, limit, "count", now_utc_ms + round(hours * 3_600_000))
    return [_said(reason, count, limit, "count", f"no recovery for {hours:g} hours, nor before the day ends")]


def _said(reason: DenialReason, measured: int, limit: int, unit: str, effect: str) -> LimitReached:
    return LimitReached(reason.value, measured, limit, unit, effect)
