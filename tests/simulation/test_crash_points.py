"""The supervisor dies at each commit and at each call to the broker of one canonical day: one crash a world.

The day has orders A and B, and shields. The suite takes every `EVERY_COMMIT`-th and every `EVERY_CALL`-th;
`EVENKEEL_CRASH_POINTS=all` takes all of them.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from evenkeel.commands.simulate.plan import Outcome, Plan
from evenkeel.commands.simulate.world import lived

CANONICAL = Plan(8, 24.0, ("EURUSD",), 600_000, fault_factor=0.0)
IS_ALL = os.environ.get("EVENKEEL_CRASH_POINTS") == "all"
EVERY_COMMIT = 1 if IS_ALL else 193
EVERY_CALL = 1 if IS_ALL else 43
"""Primes: no rhythm of the day is always met, or missed, at the same beat."""
JOBS = 2


@pytest.fixture(scope="module")
def day() -> Outcome:
    return lived(CANONICAL)


def test_the_canonical_day_trades_and_is_long_enough(day: Outcome) -> None:
    assert day.breaks == ()
    assert day.counts["positions"] >= 20
    assert day.counts["commits"] >= 500
    assert day.counts["order calls"] >= 100


@pytest.mark.timeout(900)
def test_a_death_at_any_commit_breaks_no_promise(day: Outcome) -> None:
    points = range(1, day.counts["commits"] + 1, EVERY_COMMIT)
    assert broken([CANONICAL._replace(crash_at_commit=at) for at in points]) == []


@pytest.mark.timeout(900)
def test_a_death_at_any_call_to_the_broker_breaks_no_promise(day: Outcome) -> None:
    points = range(1, day.counts["order calls"] + 1, EVERY_CALL)
    assert broken([CANONICAL._replace(crash_at_call=at) for at in points]) == []


def broken(plans: list[Plan]) -> list[str]:
    """What each world's one death broke; a world in which nobody died proves nothing."""
    with ProcessPoolExecutor(JOBS, mp_context=get_context("spawn")) as pool:
        outcomes = list(pool.map(lived, plans, chunksize=4))
    assert all(outcome.counts["deaths"] == 1 for outcome in outcomes)
    return [f"{one.plan}: {told}" for one in outcomes for told in one.breaks]
