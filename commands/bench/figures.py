"""What a measurement comes to, and how it is taken: conditions, planned times, rounds."""

import contextlib
import gc
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from evenkeel.runtime.clock import SystemClock

SWITCH_INTERVAL_S: Final = 0.0005
"""As `evenkeel run` sets it."""
WAKES_PER_S: Final = 2_000
NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
monotonic_ns: Final = SystemClock().monotonic_ns


class BenchFailed(Exception):
    """What was to be measured did not happen, or what must never happen did. One line."""


class Aim(msgspec.Struct, frozen=True):
    text: str
    is_met: bool


class Figure(msgspec.Struct, frozen=True):
    """`n` samples of `what` came to `values`, whose names end in their units."""

    name: str
    what: str
    n: int
    values: Mapping[str, float]
    aim: Aim | None = None


def latencies(samples_ns: Sequence[int], suffix: str = "ms") -> dict[str, float]:
    """p50, p99, p99.9 and the largest, in milliseconds. The p99.9 of fewer than 1,000 samples is the largest of them."""
    if not samples_ns:
        raise BenchFailed("nothing was measured: give it more seconds")
    ordered = sorted(samples_ns)
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {f"{name}_{suffix}": ordered[math.ceil(share * len(ordered)) - 1] / NS_PER_MS for name, share in shares.items()}


def wake_lateness(seconds: float) -> Figure:
    """How late one sleeping thread wakes while nothing else runs: no latency of this machine can be told apart from it."""
    late_ns = [monotonic_ns() - due_ns for due_ns in planned_ns(WAKES_PER_S, seconds)]
    what = "this machine alone: how late a sleeping thread wakes"
    return Figure("wake_lateness", what, len(late_ns), latencies(late_ns))


def rates(count: int, found_ns: Sequence[int]) -> dict[str, float]:
    """How many a second, with `count` in each round: the median round and the best one."""
    ordered = sorted(found_ns)
    return {"median_per_s": count * NS_PER_S / ordered[len(ordered) // 2], "best_per_s": count * NS_PER_S / ordered[0]}


def rounds_ns(prepared: Callable[[], Callable[[], None]], seconds: float) -> list[int]:
    """How long each round took, for `seconds` and at least once; a first round warms up. Preparing it does not count."""
    prepared()()
    warmed_up()
    until_ns = monotonic_ns() + round(seconds * NS_PER_S)
    found_ns: list[int] = []
    while not found_ns or monotonic_ns() < until_ns:
        once = prepared()
        began_ns = monotonic_ns()
        once()
        found_ns.append(monotonic_ns() - began_ns)
    return found_ns


def planned_ns(per_s: int, seconds: float) -> Iterator[int]:
    """The intended times, each when it has come; the plan does not wait for whoever is late."""
    began_ns = monotonic_ns()
    for number in range(max(1, round(per_s * seconds))):
        due_ns = began_ns + number * NS_PER_S // per_s
        sleep_until(due_ns)
        yield due_ns


def sleep_until(due_ns: int) -> None:
    while (left_ns := due_ns - monotonic_ns()) > 0:
        time.sleep(left_ns / NS_PER_S)


@contextlib.contextmanager
def as_in_a_run() -> Iterator[None]:
    """The interpreter as `evenkeel run` sets it; as it was at the end."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)
        gc.unfreeze()


def in_conditions(figures: Iterator[Figure]) -> Iterator[Figure]:
    """Measured with the interpreter as in a run."""
    with as_in_a_run():
        yield from figures


def warmed_up() -> None:
    """What lives until now is not looked at again by the garbage collector."""
    gc.collect()
    gc.freeze()
