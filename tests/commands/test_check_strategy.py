"""`evenkeel check-strategy`, and the refusal of a strategy of the user's own that fails it, as a user meets them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MONDAY_UTC_MS = 1_767_571_200_000
GOOD = """
class Mine:
    window_bars = 2

    def __init__(self, spec, least_points=1):
        self.before, self.least_points = None, least_points

    def on_bar(self, bar):
        before, self.before = self.before, bar.close_points
        return 0 if before is None else int(bar.close_points - before >= self.least_points)
"""
AHEAD = (
    GOOD
    + """
    def signals(self, bars):
        import numpy as np
        answers = np.zeros(bars.size, np.int8)
        answers[:-1] = np.diff(bars.close_points) >= self.least_points
        return answers
"""
)
CONFIG = """
profile = "demo"
[trading]
enabled = true
[strategy.mine]
kind = "python"
object = "{module}.Mine"
symbols = ["EURUSD"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the user's files are, and some ticks."""
    (tmp_path / "good_one.py").write_text(GOOD)
    (tmp_path / "looks_ahead.py").write_text(AHEAD)
    for module in ("good_one", "looks_ahead"):
        (tmp_path / f"{module}.toml").write_text(CONFIG.format(module=module))
    rows = [(MONDAY_UTC_MS + 20_000 * i, 110_000 + 7 * (i * i % 23)) for i in range(900)]
    lines = (f"{time},{bid / 100_000:.5f},{(bid + 5) / 100_000:.5f}" for time, bid in rows)
    (tmp_path / "ticks.csv").write_text("\n".join(["time_msc,bid,ask", *lines]) + "\n")
    return tmp_path


def evenkeel(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"EVENKEEL_STATE": str(folder / "state"), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "evenkeel.cli", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def checked(folder: Path, strategy: str, *more: str) -> subprocess.CompletedProcess[str]:
    return evenkeel(folder, "check-strategy", "--ticks", "ticks.csv", "--symbol", "EURUSD", "--strategy", strategy, *more)


def test_a_strategy_that_keeps_its_word_passes(folder: Path) -> None:
    done = checked(folder, "python:object=good_one.Mine,least_points=20")
    assert (done.returncode, done.stderr) == (0, "")
    assert "299 bars of M1" in done.stdout
    assert "nothing differs" in done.stdout


def test_one_that_looks_ahead_is_found_with_its_first_bar(folder: Path) -> None:
    done = checked(folder, "python:object=looks_ahead.Mine,least_points=20")
    assert (done.returncode, done.stderr) == (1, "")
    assert "it looks ahead" in done.stdout
    assert "opened 2026-01-05 00:" in done.stdout


def test_a_strategy_of_the_configuration_is_checked_by_its_name(folder: Path) -> None:
    assert checked(folder, "mine", "--config", "good_one.toml").returncode == 0
    assert checked(folder, "mine", "--config", "looks_ahead.toml").returncode == 1


@pytest.mark.parametrize(
    "strategy, words",
    [
        ("python:object=nowhere.Mine", "nowhere.Mine: ModuleNotFoundError"),
        ("python:object=good_one.Yours", "good_one.Yours: AttributeError"),
        ("python:object=good_one.Mine,speed=3", "good_one.Mine: TypeError"),
        ("python:object=good_one.MONDAY", "good_one.MONDAY: "),
        ("python", "object"),
        ("mine", "unknown strategy 'mine'"),
        ("ma_cross:fast=9,slow=3", "fast"),
    ],
)
def test_a_strategy_that_cannot_be_made_is_one_line(folder: Path, strategy: str, words: str) -> None:
    done = checked(folder, strategy)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_back_test_runs_a_strategy_of_the_users_own_in_both_forms(folder: Path) -> None:
    flags = ("--ticks", "ticks.csv", "--symbol", "EURUSD", "--strategy", "python:object=good_one.Mine,least_points=20")
    done = evenkeel(folder, "backtest", *flags)
    assert done.returncode == 0, done.stderr
    assert evenkeel(folder, "backtest", *flags, "--every-tick").stdout.split("run_s")[0] == done.stdout.split("run_s")[0]


def test_run_refuses_one_that_looks_ahead(folder: Path) -> None:
    done = evenkeel(folder, "run", "--config", "looks_ahead.toml")
    assert done.returncode == 4
    assert done.stderr.startswith("strategy mine: refused: on seeded synthetic bars, bar ")
    assert done.stderr.count("\n") == 1
    assert "--force-strategy mine" in done.stderr


def test_run_takes_it_when_it_is_forced_by_name(folder: Path) -> None:
    flags = ("--config", "looks_ahead.toml", "--ticks", "ticks.csv", "--speed", "100000")
    done = evenkeel(folder, "run", *flags, "--force-strategy", "mine")
    assert done.returncode == 0, done.stderr
    wrong = evenkeel(folder, "run", *flags, "--force-strategy", "yours")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "--force-strategy yours" in wrong.stderr
