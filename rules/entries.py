"""When a signal becomes a proposal: the checks that the symbol itself makes."""

from typing import Final, NamedTuple

import msgspec

from evenkeel.config.schema import EntryConfig
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.market import Quote

ATTEMPTS_MAX: Final = 3
"""So often one signal may be tried at the broker, each time as a new order (DESIGN 9.3)."""
PRICE_MOVED: Final = frozenset({10004, 10020, 10021})
"""Requote, price changed, no quotes: rejects that say nothing against the order but its price (metatrader5 2.5)."""


class Refusal(NamedTuple):
    """A reason with its numbers; unit "" where there is none."""

    reason: DenialReason
    measured: int = 0
    limit: int = 0
    unit: str = ""
    detail: str = ""


class LimitHold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A limit that was reached and holds entries until then, with its numbers."""

    measured: int
    limit: int
    unit: str
    until_utc_ms: int


def spread_refusal(config: EntryConfig, quote: Quote, spread_median_points: int) -> Refusal | None:
    """The spread is above a multiple of its median and above the floor; a median of 0 is none, and none refuses."""
    if config.spread_multiple_max == "off":
        return None
    spread = quote.ask_points - quote.bid_points
    limit = max(int(config.spread_multiple_max * spread_median_points), config.spread_points_floor)
    if spread_median_points <= 0 or spread > limit:
        return Refusal(DenialReason.SPREAD, spread, limit if spread_median_points > 0 else 0, "points")
    return None


def cooldown_refusal(now_utc_ms: int, until_utc_ms: int) -> Refusal | None:
    if now_utc_ms < until_utc_ms:
        return Refusal(DenialReason.COOLDOWN, until_utc_ms - now_utc_ms, 0, "ms")
    return None


def may_try_again(code: int, attempts: int, expires_utc_ms: int, now_utc_ms: int) -> bool:
    """After a definite reject: its price alone was wrong, it was not the last try, and the first one's time is not over."""
    in_time = expires_utc_ms == 0 or now_utc_ms < expires_utc_ms
    return code in PRICE_MOVED and attempts < ATTEMPTS_MAX and in_time


def distance_points(pips: float, points_per_pip: int) -> int:
    """Pips of the configuration in points, to the nearest point, at least one."""
    return max(1, round(pips * points_per_pip))
