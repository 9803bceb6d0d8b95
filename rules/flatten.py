"""Closing what is ours in a scope until the broker shows nothing of it, twice."""

from collections.abc import Sequence
from typing import Final

import msgspec

from evenkeel.messages.operator import FlattenProgressed, ScopeFlattened

READINGS_TO_CONCLUDE: Final = 2
SAID_AGAIN_MS: Final = 60_000
"""How often what is still open is said while nothing changes."""


class Flattening(msgspec.Struct):
    """`tickets` of ours and `foreign` ones as they were said last, at `said_utc_ms`. `empty_readings` in a row showed nothing
    of ours, the last counted one at `empty_utc_ms`."""

    scope: str
    tickets: tuple[int, ...] = ()
    foreign: tuple[int, ...] = ()
    said_utc_ms: int = 0
    empty_readings: int = 0
    empty_utc_ms: int = 0

    @property
    def is_flat(self) -> bool:
        return self.empty_readings >= READINGS_TO_CONCLUDE


def begun(flattening: Flattening, tickets: Sequence[int], now_utc_ms: int) -> FlattenProgressed:
    """What is known to be open before the broker was asked, or appeared after it was flat."""
    flattening.empty_readings = 0
    return _progressed(flattening, tuple(sorted(tickets)), flattening.foreign, now_utc_ms)


def after_reading(
    flattening: Flattening, tickets: Sequence[int], foreign: Sequence[int], now_utc_ms: int, gap_ms: int
) -> FlattenProgressed | ScopeFlattened | None:
    """A complete reading shows `tickets` of ours and `foreign` ones in the scope. Readings that conclude lie `gap_ms` apart."""
    ours, others = tuple(sorted(tickets)), tuple(sorted(foreign))
    is_news = (ours, others) != (flattening.tickets, flattening.foreign)
    if ours:
        flattening.empty_readings = 0
    elif flattening.empty_readings == 0 or now_utc_ms - flattening.empty_utc_ms >= gap_ms:
        flattening.empty_utc_ms = now_utc_ms
        flattening.empty_readings = min(flattening.empty_readings + 1, READINGS_TO_CONCLUDE + 1)
        if flattening.empty_readings == READINGS_TO_CONCLUDE:
            flattening.tickets, flattening.foreign = (), others
            return ScopeFlattened(flattening.scope, others)
    if is_news or (ours and now_utc_ms - flattening.said_utc_ms >= SAID_AGAIN_MS):
        return _progressed(flattening, ours, others, now_utc_ms)
    return None


def _progressed(
    flattening: Flattening, tickets: tuple[int, ...], foreign: tuple[int, ...], now_utc_ms: int
) -> FlattenProgressed:
    flattening.tickets, flattening.foreign, flattening.said_utc_ms = tickets, foreign, now_utc_ms
    return FlattenProgressed(flattening.scope, tickets, foreign)
