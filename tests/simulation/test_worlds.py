"""Whole lives of the system in worlds where everything fails: `EVENKEEL_WORLDS` of them, `EVENKEEL_WORLD_HOURS` long."""

import os
import subprocess
import sys

import pytest

from evenkeel.commands.simulate.invariants import INVARIANTS
from evenkeel.commands.simulate.many import Kept, plans_for, run_all
from evenkeel.commands.simulate.plan import Plan
from evenkeel.commands.simulate.summary import Summary, summary_of, told
from evenkeel.commands.simulate.world import lived

SEEDS = int(os.environ.get("EVENKEEL_WORLDS", "8"))
ALL_SEEDS = 64
"""In so many worlds everything happens that can."""
HOURS = float(os.environ.get("EVENKEEL_WORLD_HOURS", "6"))
JOBS = 2
NAIVE = max(1, min(4, SEEDS // 4))
"""Worlds in which a gateway that sends again is the control."""
FAILED_ONCE = [Plan(1033, 24.0)]
"""Worlds that showed a fault, by their seeds."""
ALL = pytest.mark.skipif(SEEDS < ALL_SEEDS, reason=f"only {SEEDS} worlds: EVENKEEL_WORLDS={ALL_SEEDS} lives through all")


@pytest.fixture(scope="module")
def summary() -> Summary:
    plans = plans_for(account_days=SEEDS * HOURS / 24, seeds=SEEDS, first_seed=1, controls=NAIVE, quote_every_ms=5_000)
    return summary_of(run_all(plans, Kept(None), jobs=JOBS, on_progress=lambda line: None))


@pytest.mark.timeout(1200)
def test_every_promise_is_kept_in_every_world(summary: Summary) -> None:
    assert summary.failures == (), told(summary)


@ALL
def test_every_promise_was_judged_at_least_once(summary: Summary) -> None:
    assert [name for name in INVARIANTS if not summary.invariants[name].checked] == []


@ALL
def test_every_fault_came_at_least_once(summary: Summary) -> None:
    assert [name for name, count in summary.faults.items() if not count] == []


def test_the_worlds_are_worth_looking_at(summary: Summary) -> None:
    counts = summary.counts
    assert counts["positions"] >= SEEDS * 5
    assert counts["unknown outcomes"] >= SEEDS
    assert counts["deaths"] >= SEEDS
    assert counts["children struck"] >= SEEDS


def test_the_naive_gateway_opens_positions_twice_in_each_of_its_worlds(summary: Summary) -> None:
    assert summary.control.worlds == NAIVE
    assert summary.control.worlds_that_doubled == NAIVE


@ALL
@pytest.mark.parametrize("plan", FAILED_ONCE, ids=lambda plan: f"seed {plan.seed}")
def test_a_world_that_failed_once_fails_no_more(plan: Plan) -> None:
    assert lived(plan).breaks == ()


def test_the_same_seed_is_the_same_world_whatever_hashes_make_of_it() -> None:
    program = (
        "from evenkeel.commands.simulate.plan import Plan; from evenkeel.commands.simulate.world import lived;"
        "print(lived(Plan(7, 2.0)).digest)"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()
        for seed in ("1", "4242")
    ]
    assert {*told, lived(Plan(7, 2.0)).digest} == {told[0]}


def test_a_world_without_faults_has_one_life_and_trades() -> None:
    outcome = lived(Plan(7, 4.0, fault_factor=0.0))
    assert outcome.faults == {}
    assert outcome.counts["lives"] == 1
    assert outcome.counts["positions"] > 5
    assert outcome.breaks == ()
