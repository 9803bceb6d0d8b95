"""Many worlds: which, on how many processes, and what is kept so that a long run may be interrupted.

KeptDamaged   the file to resume from is not what an earlier run wrote
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.build import build_id
from evenkeel.commands.simulate.world import Outcome, Plan, lived
from evenkeel.runtime.clock import monotonic_s

WAITING_PER_JOB: Final = 2
LINE_BYTES_MAX: Final = 1 << 20
WORLD_HOURS_OF_CONTROL: Final = 6.0
"""A control world ends by then: it has failed long before, or it never will."""


class KeptDamaged(Exception):
    """Names the file and the line."""


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    build: str
    outcome: Outcome


class Kept:
    """The finished worlds of this build in the file `path`, one JSON line each; None keeps nothing. Raises KeptDamaged."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._build = path, build_id()
        self._found: dict[Plan, Outcome] = dict(self._read())

    def get(self, plan: Plan) -> Outcome | None:
        return self._found.get(plan)

    def add(self, outcome: Outcome) -> None:
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(_Line(self._build, outcome)) + b"\n")

    def _read(self) -> Iterator[tuple[Plan, Outcome]]:
        if self._path is None or not self._path.exists():
            return
        decoder = msgspec.json.Decoder(_Line)
        with self._path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX), b""), 1):
                if not line.endswith(b"\n"):
                    break  # an interrupted run wrote half of it
                try:
                    kept = decoder.decode(line)
                except (msgspec.DecodeError, RecursionError) as error:
                    raise KeptDamaged(f"{self._path}, line {number}: {error}") from error
                if kept.build == self._build:
                    yield kept.outcome.plan, kept.outcome


def plans_for(*, account_days: float, seeds: int, first_seed: int, controls: int, quote_every_ms: int) -> list[Plan]:
    """A world a seed, all of one length, and the controls of the first seeds."""
    hours = account_days * 24 / seeds
    of_seeds = [Plan(seed, hours, quote_every_ms=quote_every_ms) for seed in range(first_seed, first_seed + seeds)]
    length = min(hours, WORLD_HOURS_OF_CONTROL)
    return [*of_seeds, *(plan._replace(hours=length, is_control=True) for plan in of_seeds[:controls])]


def run_all(plans: Sequence[Plan], kept: Kept, *, jobs: int, on_progress: Callable[[str], None]) -> list[Outcome]:
    """Every world to its end, in the order of `plans`. What is kept is not run again."""
    ended = {plan: outcome for plan in plans if (outcome := kept.get(plan)) is not None}
    to_do = [plan for plan in plans if plan not in ended]
    began_s, before = monotonic_s(), len(ended)
    for outcome in _ended(to_do, jobs):
        ended[outcome.plan] = outcome
        kept.add(outcome)
        broken = sum(1 for one in ended.values() if one.breaks and not one.plan.is_control)
        days = sum(one.plan.hours for one in ended.values()) / 24
        spent_s = monotonic_s() - began_s
        left_s = spent_s / (len(ended) - before) * (len(plans) - len(ended))
        on_progress(f"{len(ended)} of {len(plans)} worlds, {days:.1f} account-days, {broken} failed, {left_s:.0f} s left")
    on_progress(f"{len(ended)} worlds in {monotonic_s() - began_s:.0f} s.")
    return [ended[plan] for plan in plans]


def _ended(plans: Sequence[Plan], jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        yield from map(lived, plans)
        return
    waiting = list(reversed(plans))
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running: set[Future[Outcome]] = set()
        try:
            while waiting or running:
                while waiting and len(running) < jobs * WAITING_PER_JOB:
                    running.add(pool.submit(lived, waiting.pop()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
