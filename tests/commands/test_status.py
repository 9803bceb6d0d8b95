import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from views import leave

from evenkeel.adapters.control_channel import ControlServer, HandledRequest, Refused, Told
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.view import FILE_NAME
from evenkeel.commands import exit_codes, status
from evenkeel.config.limits import PERSONAL
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import AccountRead, BrokerAgreed
from evenkeel.messages.operator import FlattenProgressed, HoldPlaced, Mode, ModeChanged
from evenkeel.messages.protection import Gap, PositionUnprotected, SymbolTakenOver
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.health import Finding, Verdict
from evenkeel.rules.health_alarms import rows_of
from evenkeel.rules.view import CheckView
from evenkeel.rules.view_of import view_of
from evenkeel.rules.view_state import Heard, ViewState, fold
from evenkeel.runtime.clock import SystemClock

HEAVY = {"rich", "numpy", "pykka", "loguru", "polars"}
RUN_STATUS = """
import sys
from evenkeel.cli import main
code = main(["status", *sys.argv[1:]])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""
SERVE = """
import sys
from pathlib import Path
from evenkeel.adapters.control_channel import ControlServer, Told
ControlServer(Path(sys.argv[1]), lambda request: Told(b"{}"), started_utc_ms=1, build="b").start()
print("serving", flush=True)
sys.stdin.read()
"""


def view(*messages: Heard, age_ms: int = 0, health: tuple[CheckView, ...] = ()) -> bytes:
    state = ViewState()
    for message in messages:
        fold(state, message)
    children = [("clock", True, 1), ("strategy/ma_cross", False, 3)]
    written_utc_ms = SystemClock().now_utc_ms() - age_ms
    config = Config(profile="personal", limits=PERSONAL)
    shown = view_of(
        state, marks={}, children=children, config=config, now_utc_ms=1, written_utc_ms=written_utc_ms, health=health
    )
    return msgspec.json.encode(shown)


TRADING = (
    ModeChanged(Mode.RUN, 0, "test", "start"),
    BrokerAgreed(0),
    TradingDayStarted("2026-01-05", 0, 1),
    AccountRead(1_000_000, 1_001_250, 0, "USD", 2, 100),
)


@contextmanager
def supervisor(folder: StateFolder, handler: Callable[[HandledRequest], Any]) -> Iterator[None]:
    server = ControlServer(folder.control, handler, started_utc_ms=1, build="b")
    server.start()
    yield
    server.stop()


def asked(*, account: str = "simulated", as_json: bool = False) -> int:
    return status.run(argparse.Namespace(account=account, json=as_json))


def test_a_running_supervisor_answers(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    hold = HoldPlaced("circuit_breaker", "EURUSD", "spread 40 points", 1_767_571_200_000)
    with supervisor(folder, lambda request: Told(view(*TRADING, hold))):
        assert asked() == exit_codes.OK
    told = capsys.readouterr()
    assert told.err == ""
    *lines, age = told.out.splitlines()
    assert lines == [
        "mode       run, the broker agrees",
        "day        2026-01-05",
        "equity     10,012.50 USD",
        "balance    10,000.00 USD",
        "positions  0",
        "hold       EURUSD until 2026-01-05 00:00:00 UTC: circuit_breaker: spread 40 points",
        "tells      nobody: no [notifier.outlet.NAME] is configured",
        "down       strategy/ma_cross",
        "health     nobody looks after it",
    ]
    assert age.endswith(" s old")


@pytest.mark.parametrize(
    "found, lines",
    [
        ([Finding("chain_store", Verdict.WELL, "1 store can be written")], ["health     well"]),
        ([Finding("backup", Verdict.UNKNOWN, "none yet")], ["health     well so far, 1 checks cannot tell yet"]),
        (
            [
                Finding("chain_store", Verdict.ALARM, "chains.lmdb: damaged", "trend"),
                Finding("drawdown", Verdict.ALARM, "equity is 21 % below"),
            ],
            ["alarm      drawdown: equity is 21 % below", "alarm      chain store trend: chains.lmdb: damaged"],
        ),
    ],
)
def test_what_alarms_is_said(
    folder: StateFolder, capsys: pytest.CaptureFixture[str], found: list[Finding], lines: list[str]
) -> None:
    leave(folder, view(*TRADING, health=rows_of(found, {}, (), 1)))
    asked()
    told = capsys.readouterr().out.splitlines()
    assert told[told.index("down       strategy/ma_cross") + 1 : -1] == lines


def test_what_is_being_flattened_what_is_in_danger_and_what_was_taken_over_is_said(
    folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble = (
        FlattenProgressed("EURUSD", (1001, 1002), ()),
        PositionUnprotected(1001, "EURUSD", 1, Gap.NO_BROKER_STOP, 0, 109_660),
        SymbolTakenOver("EURUSD", "its actor crashed 2 times"),
        HoldPlaced("person", "strategy/trend", "paused by me", 0),
    )
    leave(folder, view(*TRADING, *trouble))
    asked()
    assert capsys.readouterr().out.splitlines()[6:10] == [
        "flattening EURUSD, still open: 1001 1002",
        "in danger  position 1001 in EURUSD: no broker stop",
        "taken over EURUSD: the broker holds its stops until a rearm",
        "hold       strategy/trend until rearm: person: paused by me",
    ]


def test_without_a_supervisor_the_last_view_is_shown_with_its_age(
    folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(folder, view(*TRADING, age_ms=3_600_000))
    assert asked() == exit_codes.NOT_RUNNING
    told = capsys.readouterr()
    first, second, *_ = told.out.splitlines()
    assert first == "supervisor not running; what follows is the last that it told"
    assert second.startswith("mode       run")
    assert re.search(r"^view +36\d\d\.\d s", told.out, re.MULTILINE)
    assert "no supervisor runs here" in told.err
    assert "last view" in told.err


def test_where_nothing_ever_ran_there_is_nothing_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path / "empty"))
    assert asked() == exit_codes.NOT_RUNNING
    assert not (tmp_path / "empty").exists()


def test_json_is_one_object_with_its_version(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with supervisor(folder, lambda request: Told(view(*TRADING))):
        assert asked(as_json=True) == exit_codes.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["v"], told["supervisor"], told["view"]["v"], told["view"]["mode"]) == (1, "answers", 1, "run")
    assert 0 <= told["age_ms"] < 60_000


def test_json_without_any_view_says_null(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(as_json=True) == exit_codes.NOT_RUNNING
    told = json.loads(capsys.readouterr().out)
    assert (told["supervisor"], told["view"], told["age_ms"]) == ("not_running", None, None)


def test_a_damaged_view_is_told(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.view / FILE_NAME).write_bytes(b"not a database" * 1_000)
    assert asked() == exit_codes.NOT_RUNNING
    assert "nor can its last view be read" in capsys.readouterr().err


def test_a_view_of_another_version_is_told(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with supervisor(folder, lambda request: Told(b'{"v":2}')):
        assert asked() == exit_codes.FAILED
    assert "not of this version" in capsys.readouterr().err


def test_a_supervisor_that_refuses_is_told(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    leave(folder, view(*TRADING))
    with supervisor(folder, lambda request: Refused("", "internal error")):
        assert asked() == exit_codes.FAILED
    told = capsys.readouterr()
    assert "internal error" in told.err
    assert "mode       run" in told.out


def test_a_name_that_is_none_is_a_usage_error(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(account="../other") == exit_codes.USAGE
    assert "'../other'" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no stopped processes")
def test_a_supervisor_that_hangs_is_told_from_one_that_does_not_run(
    folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(folder, view(*TRADING))
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder.control)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        os.kill(process.pid, signal.SIGSTOP)
        try:
            assert asked() == exit_codes.OUTCOME_UNKNOWN
        finally:
            os.kill(process.pid, signal.SIGCONT)
    told = capsys.readouterr()
    assert "hangs" in told.err
    assert "mode       run" in told.out


def status_in_a_process(folder: StateFolder, *, view_left: bytes | None = None) -> tuple[int, set[str]]:
    if view_left is not None:
        leave(folder, view_left)
    environment = os.environ | {"EVENKEEL_STATE": str(folder.folder.parent)}
    done = subprocess.run([sys.executable, "-c", RUN_STATUS], env=environment, capture_output=True, text=True, timeout=30)
    return done.returncode, set(done.stderr.splitlines()[-1].split())


def test_nothing_heavy_is_imported_on_the_way_to_an_answer(folder: StateFolder) -> None:
    with supervisor(folder, lambda request: Told(view(*TRADING))):
        code, modules = status_in_a_process(folder)
    assert code == exit_codes.OK
    assert modules & (HEAVY | {"lmdb", "evenkeel.rules.view"}) == set()


def test_lmdb_is_imported_only_to_read_a_last_view(folder: StateFolder) -> None:
    code, modules = status_in_a_process(folder, view_left=view(*TRADING))
    assert code == exit_codes.NOT_RUNNING
    assert modules & (HEAVY | {"evenkeel.rules.view"}) == set()
    assert "lmdb" in modules
