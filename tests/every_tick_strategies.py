"""Strategies of a user's own, as a back-test is pointed to them."""

from typing import Any


class EveryFew:
    """Buys and sells in turn, on every `few`-th quote that is higher than the one before."""

    def __init__(self, spec: Any, few: int) -> None:
        self._few, self._count, self._before, self._answer = few, 0, 0, -1

    def on_tick(self, time_utc_ms: int, bid_points: int, ask_points: int) -> int:
        is_higher, self._before = bid_points > self._before, bid_points
        self._count += 1
        if not is_higher or self._count < self._few:
            return 0
        self._count, self._answer = 0, -self._answer
        return self._answer
