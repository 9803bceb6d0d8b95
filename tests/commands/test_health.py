import argparse
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec
import pytest
from live import live_system, until
from views import leave

from evenkeel.adapters.control_channel import ControlServer, Told
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, health
from evenkeel.config.limits import PERSONAL
from evenkeel.config.schema import Config
from evenkeel.messages.operator import StartTrading
from evenkeel.rules.health import Finding, Verdict
from evenkeel.rules.health_alarms import rows_of
from evenkeel.rules.view_of import view_of
from evenkeel.rules.view_state import ViewState
from evenkeel.runtime.clock import SystemClock

MONDAY_UTC_MS = 1_767_571_200_000
FINE = Finding("child_down", Verdict.WELL, "all 17 parts serve")
UNEVALUATED = Finding(
    "position_not_evaluated", Verdict.ALARM, "not evaluated for 12.3 s: no quote of EURUSD", "1001", 12_300, 10_000, "ms"
)
QUICK: dict[str, object] = {
    "profile": "demo",
    "trading.enabled": True,
    "entry.stop_pips": 60.0,
    "entry.target_pips": 60.0,
    "limits.intent_expiry_s": "off",
    "health.position_not_evaluated_s": 0.5,
    "strategy": {"quick": {"kind": "ma_cross", "symbols": ["EURUSD"], "fast": 2, "slow": 3}},
}
OFF = Finding("attendance", Verdict.OFF, "nobody need be there")
NOT_YET = Finding("backup", Verdict.UNKNOWN, "no backup since the start", "", 0, 14_400_000, "ms")


def view(*found: Finding) -> bytes:
    return msgspec.json.encode(
        view_of(
            ViewState(),
            marks={},
            children=(),
            config=Config(profile="personal", limits=PERSONAL),
            now_utc_ms=1,
            written_utc_ms=SystemClock().now_utc_ms(),
            health=rows_of(found, {}, (), MONDAY_UTC_MS),
        )
    )


@pytest.fixture
def supervisor(folder: StateFolder) -> Callable[..., AbstractContextManager[None]]:
    @contextmanager
    def serving(*found: Finding) -> Iterator[None]:
        server = ControlServer(folder.control, lambda request: Told(view(*found)), started_utc_ms=1, build="b")
        server.start()
        yield
        server.stop()

    return serving


def asked(*, as_json: bool = False) -> int:
    return health.run(argparse.Namespace(account="simulated", json=as_json))


@pytest.mark.parametrize(
    "found, status, words",
    [
        ([FINE, OFF], exit_codes.OK, ""),
        ([FINE, UNEVALUATED], exit_codes.FAILED, "health: 1 alarm\n"),
        ([FINE, NOT_YET], exit_codes.FAILED, "health: 1 cannot tell\n"),
        ([], exit_codes.FAILED, "health: nobody looks after it\n"),
    ],
)
def test_only_a_run_of_which_everything_is_known_to_be_well_is_well(
    supervisor: Callable[..., AbstractContextManager[None]],
    capsys: pytest.CaptureFixture[str],
    found: list[Finding],
    status: int,
    words: str,
) -> None:
    with supervisor(*found):
        assert asked() == status
        assert capsys.readouterr().err == words
        assert asked(as_json=True) == status
    assert json.loads(capsys.readouterr().out)["well"] == (status == exit_codes.OK)


def test_each_check_says_what_it_measured_the_worst_first(
    supervisor: Callable[..., AbstractContextManager[None]], capsys: pytest.CaptureFixture[str]
) -> None:
    with supervisor(FINE, NOT_YET, UNEVALUATED):
        asked()
    _, *lines = (" ".join(line.split()) for line in capsys.readouterr().out.splitlines())
    since = "2026-01-05 00:00:00 UTC"
    assert lines == [
        f"ALARM position not evaluated 1001 {since} not evaluated for 12.3 s: no quote of EURUSD (limit 10 s)",
        f"unknown backup {since} no backup since the start (limit 4 h)",
        f"well child down {since} all 17 parts serve",
    ]


def test_a_narrow_terminal_is_not_overrun(
    supervisor: Callable[..., AbstractContextManager[None]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with supervisor(FINE, UNEVALUATED):
        asked()
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40


def test_as_json_there_are_the_numbers(
    supervisor: Callable[..., AbstractContextManager[None]], capsys: pytest.CaptureFixture[str]
) -> None:
    with supervisor(UNEVALUATED):
        asked(as_json=True)
    told = json.loads(capsys.readouterr().out)
    (check,) = told["checks"]
    assert (told["v"], told["supervisor"], told["more"]) == (1, "answers", 0)
    assert (check["scope"], check["state"], check["severity"]) == ("1001", "alarm", 1)
    assert (check["measured"], check["limit"], check["unit"]) == (12_300, 10_000, "ms")


def test_without_a_supervisor_nothing_is_well(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    leave(folder, view(FINE))
    assert asked(as_json=True) == exit_codes.NOT_RUNNING
    assert json.loads(capsys.readouterr().out)["well"] is False


def test_when_the_feed_of_a_running_system_dies_it_names_the_position_that_nobody_looks_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    monkeypatch.delenv("COLUMNS", raising=False)
    feed_is_dead = threading.Event()
    with live_system(tmp_path, QUICK, speed=600.0, is_over=feed_is_dead.is_set) as system:
        system.run.host.say("person", [StartTrading("start", "test")])
        positions = system.run.host.child("broker_gateway").state.book.positions
        until(lambda: bool(positions))
        feed_is_dead.set()

        def alarmed() -> dict[str, str]:
            asked(as_json=True)
            checks = json.loads(capsys.readouterr().out)["checks"]
            is_such = ("position_not_evaluated", "alarm")
            return {check["scope"]: check["detail"] for check in checks if (check["check"], check["state"]) == is_such}

        told = until(lambda: alarmed() or None)
        assert list(told) == [str(ticket) for ticket in positions]
        assert all("no quote of EURUSD" in detail for detail in told.values())
        assert asked() == exit_codes.FAILED
        lines = [line.split()[:5] for line in capsys.readouterr().out.splitlines()]
        assert ["ALARM", "position", "not", "evaluated", *told] in lines
