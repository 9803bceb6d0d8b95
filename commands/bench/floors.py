"""What cannot be gone below on this machine: a bare interpreter, a bare stepped host."""

import subprocess
import sys
from statistics import median
from typing import Final

from evenkeel.commands.bench.chain import deliveries
from evenkeel.commands.bench.figures import NS_PER_S, Aim, BenchFailed, Figure, monotonic_ns

AIM_S: Final = 0.25


def supervisor_import(rounds: int) -> Figure:
    """`import evenkeel.supervisor` in new interpreters, minus what a bare one takes in the same round. Raises BenchFailed."""
    pairs = [(_run_s("pass"), _run_s("import evenkeel.supervisor")) for _ in range(rounds)]
    found_s = [with_it - bare for bare, with_it in pairs]
    values = {"median_s": median(found_s), "best_s": min(found_s), "bare_median_s": median(bare for bare, _ in pairs)}
    what = "import evenkeel.supervisor in a new interpreter, minus a bare one"
    return Figure("replay.import", what, rounds, values, Aim("median at most 0.25 s", values["median_s"] <= AIM_S))


def stepped_deliveries(seconds: float) -> Figure:
    """What the stepped host alone takes, with handlers that do next to nothing: no replay delivers faster."""
    wanted = "deliveries.stepped.no_journal"
    return next(figure for figure in deliveries(seconds) if figure.name == wanted)


def _run_s(code: str) -> float:
    began_ns = monotonic_ns()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    if done.returncode:
        raise BenchFailed(f"python -c {code!r}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return (monotonic_ns() - began_ns) / NS_PER_S
