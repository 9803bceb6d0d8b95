import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from evenkeel.cli import main
from evenkeel.commands import exit_codes
from evenkeel.commands.exit_codes import MEANINGS
from evenkeel.commands.service.systemd import quoted, unit

CONFIG = '[account]\nname = "main"\n'
ODD_FOLDER = 'müsli %h $x "quoted" \\back'
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
ELEMENTS = {
    *("Task", "RegistrationInfo", "Description", "Triggers", "LogonTrigger", "Enabled", "UserId", "Principals", "Principal"),
    *("LogonType", "RunLevel", "Settings", "MultipleInstancesPolicy", "DisallowStartIfOnBatteries", "StopIfGoingOnBatteries"),
    *("AllowHardTerminate", "StartWhenAvailable", "AllowStartOnDemand", "ExecutionTimeLimit", "Priority", "RestartOnFailure"),
    *("Interval", "Count", "Actions", "Exec", "Command", "Arguments", "WorkingDirectory"),
}
"""Of taskType, as Microsoft documents the schema."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ODD_FOLDER
    folder.mkdir()
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(folder)
    (folder / "main.toml").write_text(CONFIG)
    return tmp_path


def asked(*words: str) -> int:
    return main(["service", *words, "--config", "main.toml"])


def unit_of(folder: Path) -> Path:
    return folder / "config" / "systemd" / "user" / "evenkeel-main.service"


def test_a_unit_starts_the_watchdog_with_the_file_and_says_what_to_type_next(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked("install", "--systemd") == exit_codes.OK
    told = capsys.readouterr()
    assert told.out == f"{unit_of(folder)}\n"
    assert "systemctl --user enable --now evenkeel-main.service" in told.err
    text = unit_of(folder).read_text()
    assert '"watchdog" "--config" "' in text
    assert 'müsli %%h $$x \\"quoted\\" \\\\back/main.toml"' in text
    assert f'Environment="EVENKEEL_STATE={folder / "state"}"' in text


def test_only_the_exit_status_that_asks_for_it_starts_anew() -> None:
    lines = unit("main", ["evenkeel"], folder=Path("/")).splitlines()
    assert [line for line in lines if "Restart" in line and "Sec" not in line][:2] == [
        "Restart=on-abnormal",
        f"RestartForceExitStatus={' '.join(str(meaning.status) for meaning in MEANINGS if meaning.restart)}",
    ]
    assert {"Type=notify", "WatchdogSec=60s", "KillMode=mixed"} <= set(lines)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_finds_nothing_wrong_with_the_unit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    assert asked("install", "--systemd", "--env", "EVENKEEL_SECRET_CHAT") == exit_codes.OK
    command = ["systemd-analyze", "--user", "verify", str(unit_of(folder))]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_a_secret_is_named_and_never_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENKEEL_SECRET_CHAT", "canary")
    monkeypatch.setenv("EVENKEEL_SECRET_MAIL_FILE", "/etc/mail key")
    assert asked("install", "--systemd", "--env", "EVENKEEL_SECRET_CHAT", "--env", "EVENKEEL_SECRET_MAIL_FILE") == exit_codes.OK
    text = unit_of(folder).read_text()
    assert "canary" not in text
    assert "PassEnvironment=EVENKEEL_SECRET_CHAT\n" in text
    assert 'Environment="EVENKEEL_SECRET_MAIL_FILE=/etc/mail key"' in text


@pytest.mark.parametrize("word", ["--systemd", "--task-scheduler"])
def test_a_file_of_somebody_else_is_neither_replaced_nor_removed(
    folder: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    assert asked("install", word, "--json") == exit_codes.OK
    path = Path(json.loads(capsys.readouterr().out)["path"])
    assert asked("install", word) == exit_codes.OK
    path.write_text("mine")
    assert asked("install", word) == asked("uninstall", word) == exit_codes.REFUSED
    assert path.read_text() == "mine"
    assert "was not written by this command" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["--systemd", "--task-scheduler"])
def test_uninstall_removes_what_install_wrote(folder: Path, capsys: pytest.CaptureFixture[str], word: str) -> None:
    assert asked("install", word, "--json") == exit_codes.OK
    path = Path(json.loads(capsys.readouterr().out)["path"])
    assert path.exists()
    assert asked("uninstall", word) == exit_codes.OK
    assert not path.exists()
    assert asked("uninstall", word) == exit_codes.OK
    assert "there is no" in capsys.readouterr().out


def test_print_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked("install", "--systemd", "--print") == exit_codes.OK
    assert "[Service]" in capsys.readouterr().out
    assert not unit_of(folder).exists()


def test_a_task_has_only_documented_elements_and_names_the_program_and_its_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked("install", "--task-scheduler", "--json") == exit_codes.OK
    report = json.loads(capsys.readouterr().out)
    raw = Path(report["path"]).read_bytes()
    root = ElementTree.fromstring(raw)
    assert raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    assert {element.tag.removeprefix(TASK) for element in root.iter()} == ELEMENTS
    arguments = root.findtext(f".//{TASK}Arguments") or ""
    assert arguments.startswith('-m evenkeel.cli watchdog --config "')
    assert root.findtext(f".//{TASK}WorkingDirectory") == str(folder / ODD_FOLDER)
    assert report["next"][1].startswith("schtasks /Create")


@pytest.mark.parametrize(
    "words", [["install", "--systemd"], ["install", "--systemd", "--config", "main.toml", "--env", "A B"]], ids=["file", "name"]
)
def test_what_cannot_be_started_is_not_written(folder: Path, words: list[str]) -> None:
    assert main(["service", *words]) == exit_codes.USAGE
    assert not unit_of(folder).exists()


def test_a_word_in_a_variable_keeps_its_dollar() -> None:
    assert (quoted("a $b"), quoted("a $b", is_command=False)) == ('"a $$b"', '"a $b"')
