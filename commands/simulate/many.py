"""Many worlds: which, on how many processes, and what is kept so that a long run may be interrupted.

KeptDamaged   the file to resume from is not what an earlier run wrote
"""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.build import build_id
from evenkeel.commands.simulate.plan import Outcome, Plan
from evenkeel.commands.simulate.world import lived
from evenkeel.runtime.clock import cpu_s, monotonic_s

LINE_BYTES_MAX: Final = 1 << 20
WORLD_HOURS_OF_CONTROL: Final = 6.0
"""A control world ends by then: it has failed long before, or it never will."""


class KeptDamaged(Exception):
    """Names the file and the line."""


class Ended(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A world that came to its end, and the seconds that it took to compute."""

    build: str
    outcome: Outcome
    cpu_s: float


class Kept:
    """The finished worlds of this build in the file `path`, one JSON line each; None keeps nothing. Raises KeptDamaged."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._build, self._whole_bytes = path, build_id(), 0
        self._found: dict[Plan, Ended] = dict(self._read())

    def get(self, plan: Plan) -> Ended | None:
        return self._found.get(plan)

    def add(self, ended: Ended) -> None:
        if self._path is not None:
            line = msgspec.json.encode(ended) + b"\n"
            with self._path.open("r+b" if self._path.exists() else "wb") as file:
                file.truncate(self._whole_bytes)
                file.seek(self._whole_bytes)
                file.write(line)
            self._whole_bytes += len(line)

    def _read(self) -> Iterator[tuple[Plan, Ended]]:
        if self._path is None or not self._path.exists():
            return
        decoder = msgspec.json.Decoder(Ended)
        with self._path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX), b""), 1):
                if not line.endswith(b"\n"):
                    break  # an interrupted run wrote half of it: the next world takes its place
                try:
                    kept = decoder.decode(line)
                except (msgspec.DecodeError, RecursionError) as error:
                    raise KeptDamaged(f"{self._path}, line {number}: {error}") from error
                self._whole_bytes += len(line)
                if kept.build == self._build:
                    yield kept.outcome.plan, kept


def plans_for(*, account_days: float, seeds: int, first_seed: int, controls: int, quote_every_ms: int) -> list[Plan]:
    """A world a seed, all of one length, and the controls of the first seeds."""
    hours = account_days * 24 / seeds
    of_seeds = [Plan(seed, hours, quote_every_ms=quote_every_ms) for seed in range(first_seed, first_seed + seeds)]
    length = min(hours, WORLD_HOURS_OF_CONTROL)
    return [*of_seeds, *(plan._replace(hours=length, is_control=True) for plan in of_seeds[:controls])]


def run_all(plans: Sequence[Plan], kept: Kept, *, jobs: int, on_progress: Callable[[str], None]) -> list[Ended]:
    """Every world to its end, in the order of `plans`. What is kept is not run again."""
    ended = {plan: found for plan in plans if (found := kept.get(plan)) is not None}
    to_do = [plan for plan in plans if plan not in ended]
    began_s, before = monotonic_s(), len(ended)
    for world in _each(to_do, jobs):
        ended[world.outcome.plan] = world
        kept.add(world)
        broken = sum(1 for one in ended.values() if one.outcome.breaks and not one.outcome.plan.is_control)
        days = sum(plan.hours for plan in ended) / 24
        spent_s = monotonic_s() - began_s
        left_s = spent_s / (len(ended) - before) * (len(plans) - len(ended))
        on_progress(f"{len(ended)} of {len(plans)} worlds, {days:.1f} account-days, {broken} failed, {left_s:.0f} s left")
    on_progress(f"{len(ended)} worlds in {monotonic_s() - began_s:.0f} s.")
    return [ended[plan] for plan in plans]


def to_its_end(plan: Plan) -> Ended:
    began_s = cpu_s()
    return Ended(build_id(), lived(plan), cpu_s() - began_s)


def _each(plans: Sequence[Plan], jobs: int) -> Iterator[Ended]:
    if jobs == 1:
        yield from map(to_its_end, plans)
        return
    resource_tracker.ensure_running()  # else the pool starts it, and that lets interrupts through again
    with ExitStack() as begun:
        with _interrupts_wait():  # what is started here never hears them: they are for this process
            pool = begun.enter_context(get_context("spawn").Pool(jobs, _leave_interrupts_to_the_parent))  # ends its processes
        yield from pool.imap_unordered(to_its_end, plans)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """One that comes meanwhile is heard at the end. What this thread starts inherits what it blocks, except on Windows; a
    thread that was there before may still be the one to hear it, so the handler waits as well."""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    if sys.platform != "win32":
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


def _leave_interrupts_to_the_parent() -> None:
    """Where a process does not inherit what its parent ignores (Windows)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
