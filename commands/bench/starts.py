"""How soon something begins, in new interpreters: what it takes above a bare one in the same round."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Final

from evenkeel.commands.bench.figures import NS_PER_S, Aim, BenchFailed, Figure, monotonic_ns

IMPORT_AIM_S: Final = 0.25
COMMAND_AIM_S: Final = 0.1


def supervisor_import(rounds: int) -> Figure:
    """`import evenkeel.supervisor`. Raises BenchFailed."""
    values = _above_bare("import evenkeel.supervisor", rounds)
    what = "import evenkeel.supervisor in a new interpreter, minus a bare one"
    return Figure("replay.import", what, rounds, values, Aim("median at most 0.25 s", values["median_s"] <= IMPORT_AIM_S))


def small_command(rounds: int, state: Path) -> Figure:
    """`evenkeel status` over the empty folder `state`, where nobody answers. Raises BenchFailed."""
    values = _above_bare("from evenkeel.cli import main; main(['status'])", rounds, EVENKEEL_STATE=str(state))
    what = "evenkeel status in a new interpreter, minus a bare one"
    return Figure("command.start", what, rounds, values, Aim("median at most 0.1 s", values["median_s"] <= COMMAND_AIM_S))


def _above_bare(code: str, rounds: int, **variables: str) -> dict[str, float]:
    pairs = [(_run_s("pass", variables), _run_s(code, variables)) for _ in range(rounds)]
    found_s = [with_it - bare for bare, with_it in pairs]
    return {"median_s": median(found_s), "best_s": min(found_s), "bare_median_s": median(bare for bare, _ in pairs)}


def _run_s(code: str, variables: dict[str, str]) -> float:
    began_ns = monotonic_ns()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=os.environ | variables)
    if done.returncode:
        raise BenchFailed(f"python -c {code!r}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return (monotonic_ns() - began_ns) / NS_PER_S
