"""The only place that reads a clock."""

import sys
import time
from typing import Final, Protocol

SLEW_RATIO: Final = 0.1
"""A steady clock that is ahead of the wall clock loses so much of its pace, no more, until they agree."""
_ELAPSED: Final = getattr(time, "CLOCK_BOOTTIME", None)


def monotonic_s() -> float:
    """Real monotonic seconds in which the machine was awake: for waiting, leases and back-off, never for an instant."""
    return time.monotonic()


def cpu_s() -> float:
    """Seconds that this process has computed."""
    return time.process_time()


def elapsed_ns() -> int:
    """Real monotonic time, that of a suspended machine included where the system counts it: for ages."""
    if sys.platform == "win32" or _ELAPSED is None:
        return time.monotonic_ns()
    return time.clock_gettime_ns(_ELAPSED)


class Clock(Protocol):
    """`now_utc_ms` is the run's clock: UTC live, market time in demo and replay. `monotonic_ns` is real, always."""

    def now_utc_ms(self) -> int: ...

    def monotonic_ns(self) -> int: ...


class SystemClock:
    def now_utc_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return elapsed_ns()


class SteadyClock:
    """UTC that keeps its own pace: begun at `wall`'s time and carried on by elapsed time, so whoever sets the wall clock moves
    no timer. `follow` is how it learns of corrections. Never goes back; begins no earlier than `not_before_utc_ms`.
    """

    def __init__(self, wall: Clock, *, not_before_utc_ms: int = 0) -> None:
        self._wall = wall
        self._followed_ns = wall.monotonic_ns()
        self._floor_utc_ms = max(wall.now_utc_ms(), not_before_utc_ms)
        self._origin_utc_ms = self._floor_utc_ms - self._followed_ns // 1_000_000

    def now_utc_ms(self) -> int:
        return max(self._floor_utc_ms, self._origin_utc_ms + self._wall.monotonic_ns() // 1_000_000)

    def monotonic_ns(self) -> int:
        return self._wall.monotonic_ns()

    def wall_ahead_ms(self) -> int:
        """How far the wall clock is ahead of this one; negative: behind."""
        return self._wall.now_utc_ms() - self.now_utc_ms()

    def follow(self) -> None:
        """Take over the wall clock's time: at once where that is ahead, at most SLEW_RATIO of the time since the last call
        where it is behind."""
        ahead_ms, now_ns = self.wall_ahead_ms(), self._wall.monotonic_ns()
        slew_ms = round((now_ns - self._followed_ns) / 1e6 * SLEW_RATIO)
        self._floor_utc_ms, self._followed_ns = self.now_utc_ms(), now_ns
        self._origin_utc_ms += max(ahead_ms, -slew_ms)


class ToldClock:
    """UTC as somebody else's clock told it, carried on by elapsed time; `own` time until then."""

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._origin_utc_ms: int | None = None

    def now_utc_ms(self) -> int:
        origin_utc_ms = self._origin_utc_ms
        return self._own.now_utc_ms() if origin_utc_ms is None else origin_utc_ms + self.monotonic_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return self._own.monotonic_ns()

    def tell(self, utc_ms: int) -> None:
        self._origin_utc_ms = utc_ms - self.monotonic_ns() // 1_000_000


class MarketClock:
    """Follows the prices: whoever serves a quote moves it. Never goes back. Monotonic time stays real."""

    def __init__(self, start_utc_ms: int = 0) -> None:
        self._now_utc_ms = start_utc_ms

    def now_utc_ms(self) -> int:
        return self._now_utc_ms

    def monotonic_ns(self) -> int:
        return elapsed_ns()

    def advance_to(self, utc_ms: int) -> None:
        self._now_utc_ms = max(self._now_utc_ms, utc_ms)


class ManualClock:
    """Stands still until somebody moves it; monotonic time moves with it."""

    def __init__(self, start_utc_ms: int = 0) -> None:
        self._now_utc_ms = start_utc_ms

    def now_utc_ms(self) -> int:
        return self._now_utc_ms

    def monotonic_ns(self) -> int:
        return self._now_utc_ms * 1_000_000

    def advance_to(self, utc_ms: int) -> None:
        self._now_utc_ms = max(self._now_utc_ms, utc_ms)
