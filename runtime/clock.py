"""The only place that reads a clock."""

import time
from typing import Protocol


def monotonic_s() -> float:
    """Real monotonic seconds: for waiting, leases and back-off, never for an instant."""
    return time.monotonic()


def cpu_s() -> float:
    """Seconds that this process has computed."""
    return time.process_time()


class Clock(Protocol):
    """`now_utc_ms` is the run's clock: UTC live, market time in demo and replay. `monotonic_ns` is real, always."""

    def now_utc_ms(self) -> int: ...

    def monotonic_ns(self) -> int: ...


class SystemClock:
    def now_utc_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class MarketClock:
    """Follows the prices: whoever serves a quote moves it. Never goes back. Monotonic time stays real."""

    def __init__(self, start_utc_ms: int = 0) -> None:
        self._now_utc_ms = start_utc_ms

    def now_utc_ms(self) -> int:
        return self._now_utc_ms

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

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
