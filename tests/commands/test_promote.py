"""The checklist out of real files, and the word of a person at a terminal."""

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from terminals import Terminal

from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.adapters.rehearsals import DRILL, MEASURED, PROMOTED, note, noted
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.cli import main
from evenkeel.commands import exit_codes
from evenkeel.commands.service.places import unit_path
from evenkeel.config.load import canonical, load
from evenkeel.messages.codec import encode
from evenkeel.messages.operator import KillTrading, TradingRearmed
from evenkeel.messages.system import Message, RunConfigured, RunStarted
from evenkeel.rules.promotion import Rehearsed
from evenkeel.runtime.journal import Record, encode_record

TRADES = '[strategy.a]\nkind = "ma_cross"\nsymbols = ["EURUSD"]\n'
DEMO = f'[account]\nname = "demo"\n[terminal]\nkind = "mt5"\nlogin = 5\nserver = "Demo"\n{TRADES}'
REAL = f'# mine\n[account]\nname = "real"\n[terminal]   # the broker\nkind = "mt5"\nlogin = 7\nserver = "Real"\n{TRADES}'
ACCEPTED = ("--accept", "trades", "--accept", "other_disk", "--accept", "watched", "--accept", "notifier")
FIVE_DAYS_S = 5 * 86_400
EVERY_S = 240


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("EVENKEEL_STATE", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.delenv("COLUMNS", raising=False)
    (tmp_path / "demo.toml").write_text(DEMO)
    (tmp_path / "real.toml").write_text(REAL)
    return tmp_path


def state(folder: Path, account: str) -> StateFolder:
    found = StateFolder(folder / "evenkeel_state", account)
    found.create()
    return found


def demo_week(folder: Path) -> None:
    """The demo account has run for five days, was killed and rearmed, drilled, measured and backed up."""
    at, now_s = state(folder, "demo"), int(time.time())
    settings = canonical(load(folder / "demo.toml")).decode()
    said: list[Message] = [RunStarted("b", "c", "demo", 1, True, crashed=False), RunConfigured(settings)]
    said += [KillTrading("k", "me", 1, False)] * (FIVE_DAYS_S // EVERY_S) + [TradingRearmed("me", 1)]
    journal = LmdbJournal.open(at.journal, day_of=lambda utc_ms: "2026-01-05")
    rows = []
    for seq, message in enumerate(said, 1):
        time_utc_ms = (now_s - FIVE_DAYS_S - 2 * EVERY_S + seq * EVERY_S) * 1000
        rows.append((seq, encode_record(Record(seq, time_utc_ms, 0, -1, "test", 1, (), msgspec.Raw(encode(message))))))
    journal.append(rows)
    assert journal.flush(10)
    journal.close(clean=True)
    assert main(["backup", "--account", "demo"]) == exit_codes.OK
    note(at.rehearsals, DRILL, Rehearsed(now_s * 1000, "went well"))
    note(at.rehearsals, MEASURED, Rehearsed(now_s * 1000, "EURUSD", login=5))


def words(folder: Path, *more: str) -> list[str]:
    return ["promote", "--config", str(folder / "real.toml"), "--proof", "demo", *more]


def checklist(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = main(words(folder, "--json", *more))
    return status, json.loads(capsys.readouterr().out)


def test_a_new_user_is_told_what_is_missing_and_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(folder)) == exit_codes.REFUSED
    told = capsys.readouterr()
    assert "these must hold: days, kill, drill, measured, backup" in told.err
    assert "never killed and rearmed" in told.out
    assert (folder / "real.toml").read_text() == REAL


def test_after_a_week_only_what_a_person_may_accept_is_open(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo_week(folder)
    status, report = checklist(folder, capsys)
    assert (status, report["v"], report["ready"]) == (exit_codes.REFUSED, 1, False)
    assert {item["name"] for item in report["items"] if not item["holds"]} == set(ACCEPTED[1::2])
    assert checklist(folder, capsys, *ACCEPTED)[0] == exit_codes.OK
    assert (folder / "real.toml").read_text() == REAL


def test_a_service_that_was_installed_watches(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["service", "install", "--systemd", "--config", str(folder / "real.toml")]) == exit_codes.OK
    _, report = checklist(folder, capsys)
    assert next(item["evidence"] for item in report["items"] if item["name"] == "watched").endswith(str(unit_path("real")))


@pytest.mark.parametrize(
    ("name", "told"), [("days", "it must hold, nobody can accept it"), ("day", "no such item; there is limits, demo")]
)
def test_what_must_hold_cannot_be_accepted(folder: Path, capsys: pytest.CaptureFixture[str], name: str, told: str) -> None:
    assert main(words(folder, "--accept", name)) == exit_codes.USAGE
    assert told in capsys.readouterr().err


def test_it_needs_the_file_that_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote"]) == exit_codes.USAGE
    assert "--config" in capsys.readouterr().err


def test_without_a_terminal_nobody_is_promoted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo_week(folder)
    assert main(words(folder, *ACCEPTED)) == exit_codes.REFUSED
    assert "takes a person at a terminal" in capsys.readouterr().err
    assert (folder / "real.toml").read_text() == REAL


@pytest.mark.parametrize("typed", [("8\n",), ("7\n", "yes\n"), ("7\n", "\x04")], ids=["number", "words", "end of the input"])
def test_any_other_answer_changes_nothing(folder: Path, typed: tuple[str, ...]) -> None:
    demo_week(folder)
    terminal = Terminal(*words(folder, *ACCEPTED))
    for question, answer in zip(("real account:", "Type"), typed, strict=False):
        terminal.wait_for(question)
        terminal.type(answer)
    terminal.wait_for("nothing was changed")
    assert terminal.end() == (exit_codes.REFUSED, True)
    assert (folder / "real.toml").read_text() == REAL


def test_the_number_and_the_words_write_one_line_and_keep_the_file_as_it_was(folder: Path) -> None:
    demo_week(folder)
    (folder / "real.toml").chmod(0o640)
    terminal = Terminal(*words(folder, *ACCEPTED))
    terminal.wait_for("real account:")
    terminal.type("7\n")
    terminal.wait_for("Type")
    terminal.type("trade real money\n")
    assert "Nothing trades yet" in terminal.wait_for("What stops it")
    assert terminal.end() == (exit_codes.OK, True)
    config, changed = load(folder / "real.toml"), (folder / "real.toml").read_text().splitlines()
    assert (config.terminal.real_login, config.trading.enabled) == (7, False)
    assert [line for line in changed if "real_login" not in line] == REAL.splitlines()
    (kept,) = folder.glob("real.toml.before-promote-*")
    assert (kept.read_text(), kept.stat().st_mode & 0o777, (folder / "real.toml").stat().st_mode & 0o777) == (
        REAL,
        0o640,
        0o640,
    )
    promoted = noted(state(folder, "real").rehearsals, PROMOTED)
    assert promoted is not None
    assert "accepted: trades, other_disk, watched, notifier" in promoted.words
