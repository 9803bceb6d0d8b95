"""`evenkeel strategy new`: what it writes runs, passes its own test and goes into the configuration as it says."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from evenkeel.adapters.strategy.making import make_strategy
from evenkeel.config.load import load
from evenkeel.config.schema import PythonConfig
from evenkeel.rules.strategy import BarStrategy, streamed
from evenkeel.rules.strategy_check import synthetic_bars
from evenkeel.rules.symbols import spec_for


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"NO_COLOR": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_what_it_writes_passes_its_test_and_runs_as_the_advice_configures_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = python(tmp_path, "evenkeel.cli", "strategy", "new", "my_breakout")
    assert (made.returncode, made.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my_breakout.py", "test_my_breakout.py"]
    tested = python(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "test_my_breakout.py")
    assert (tested.returncode, "3 passed" in tested.stdout) == (0, True), tested.stdout

    advice = made.stdout[made.stdout.index("[strategy.my_breakout]") :]
    config = load(None, overrides=tomllib.loads(advice))
    assert config.strategy["my_breakout"] == PythonConfig(
        object="my_breakout.MyBreakout", symbols=("EURUSD",), timeframe="M5", parameters={"lookback": 20}
    )

    monkeypatch.syspath_prepend(tmp_path)
    strategy = make_strategy(config.strategy["my_breakout"], spec_for("EURUSD", config))
    assert isinstance(strategy, BarStrategy)
    assert set(streamed(strategy, synthetic_bars(seed=1, count=500)).tolist()) == {-1, 0, 1}


@pytest.mark.parametrize(
    "name, said",
    [
        ("MyBreakout", "no name for a module"),
        ("class", "no name for a module"),
        ("a" * 61, "longer than 60"),
        ("random", "Python knows already"),
        ("evenkeel", "Python knows already"),
    ],
)
def test_a_name_that_cannot_be_a_module_is_refused(tmp_path: Path, name: str, said: str) -> None:
    made = python(tmp_path, "evenkeel.cli", "strategy", "new", name)
    assert (made.returncode, made.stdout) == (2, "")
    assert said in made.stderr
    assert made.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "test_mine.py"
    mine.write_text("precious")
    made = python(tmp_path, "evenkeel.cli", "strategy", "new", "mine")
    assert (made.returncode, made.stderr) == (4, "test_mine.py: is there already; nothing was written\n")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]
