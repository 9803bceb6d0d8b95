"""`evenkeel notify`: who is told of what, the fate of the last notices, and a test through each outlet."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from evenkeel.adapters.outbox import opened
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.cli import main
from evenkeel.commands import exit_codes
from evenkeel.messages.notifier import Event
from evenkeel.rules.notifier import Noted

CONFIG = """
[notifier]
severity_max = 2
[notifier.events]
shield = "off"
[notifier.outlet.script]
kind = "program"
command = ["{python}", "-c", "import sys; open(r'{told}', 'w').write(sys.stdin.read())"]
[notifier.outlet.phone]
url_secret = "phone_url"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CONFIG, whose secret is nowhere."""
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("EVENKEEL_SECRET_PHONE_URL", raising=False)
    written = tmp_path / "mine.toml"
    written.write_text(CONFIG.format(python=sys.executable, told=tmp_path / "told"))
    return written


@pytest.fixture
def asked(file: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Exit status, standard output and standard error of `evenkeel notify` over CONFIG."""

    def ask(*words: str) -> tuple[int, str, str]:
        status = main(["notify", "--config", str(file), *words])
        return status, *capsys.readouterr()

    return ask


def test_it_says_who_is_told_of_what(asked: Any) -> None:
    status, out, _ = asked()
    assert status == exit_codes.OK
    assert "outlets    script (program), phone (webhook json)" in out
    assert "off        shield\n" in out
    assert "severity   1 to 2, 1 is the gravest" in out
    assert out.endswith("no notices yet\n")


def test_the_last_notices_are_shown_with_their_fate(asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    folder = StateFolder(tmp_path / "state", "simulated")
    folder.create()
    box = opened(folder.notices)
    for number in (1, 2):
        one = Noted(number, Event.CRASH, 1, False, f"crash {number}")
        box.put(one, seq=7, time_utc_ms=0, now_utc_ms=0, outlets=("script", "phone"), busy=())
    box.close()
    _, out, _ = asked("--last", "1")
    assert "2  1970-01-01 00:00:00 UTC  1         crash  script: waits, phone: waits  crash 2" in out
    assert "crash 1" not in out
    _, out, _ = asked("--json")
    report = json.loads(out)
    assert (report["v"], [one["text"] for one in report["notices"]]) == (1, ["crash 2", "crash 1"])
    assert report["events"]["shield"] == "off"


def test_a_test_notice_goes_through_every_outlet_and_one_that_fails_is_named(asked: Any, tmp_path: Path) -> None:
    status, out, _ = asked("--test")
    assert status == exit_codes.FAILED
    assert out.startswith("script: taken after ")
    assert "phone: FAILED: the secret 'phone_url' is nowhere" in out
    assert json.loads((tmp_path / "told").read_text())["event"] == "test"
    status, out, _ = asked("--test", "--json")
    assert [(one["name"], one["taken"]) for one in json.loads(out)["outlets"]] == [("script", True), ("phone", False)]


def test_without_an_outlet_nobody_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    assert main(["notify"]) == exit_codes.OK
    assert "nobody outside is told anything" in capsys.readouterr().out
    assert main(["notify", "--test"]) == exit_codes.FAILED
    assert main(["config", "check"]) == exit_codes.OK
    assert "told outside: nobody" in capsys.readouterr().out


def test_config_check_says_which_grave_events_are_off(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "mine.toml").write_text(
        '[notifier.events]\ncrash = "off"\n[notifier.outlet.a]\nkind = "program"\ncommand = ["a"]\n'
    )
    assert main(["config", "check", "--config", str(tmp_path / "mine.toml")]) == exit_codes.OK
    assert "although they may be grave, nobody is told of crash" in capsys.readouterr().out


def test_a_run_whose_outlet_has_no_secret_does_not_begin(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", str(file), "--speed", "60", "--symbol", "EURUSD"]) == exit_codes.CONFIG_INVALID
    assert "EVENKEEL_SECRET_PHONE_URL" in capfd.readouterr().err


def test_doctor_says_what_an_outlet_lacks(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--config", str(file), "--json"])
    (finding,) = [one for one in json.loads(capsys.readouterr().out)["findings"] if one["name"] == "notifier"]
    assert finding["state"] == "bad"


@pytest.mark.parametrize("last", ["-1", "301"])
def test_a_number_out_of_its_bounds_is_refused(asked: Any, last: str) -> None:
    with pytest.raises(SystemExit) as ended:
        asked("--last", last)
    assert ended.value.code == exit_codes.USAGE
