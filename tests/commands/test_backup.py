"""`evenkeel backup`, `restore`, `verify` and `drill`, beside a journal that is written and one that rests."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from journals import flip_a_byte, opened, row, rows, write

from evenkeel.adapters.backup import Backup, found
from evenkeel.adapters.lmdb_journal import verify
from evenkeel.adapters.os import AccountLock
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.cli import main
from evenkeel.commands import exit_codes


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateFolder:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path / "state"))
    folder = StateFolder(tmp_path / "state", "test")
    folder.create()
    return folder


def said(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_a_backup_is_taken_while_the_journal_is_written(state: StateFolder) -> None:
    journal = opened(state.journal)
    journal.append(rows(1, 5))
    assert journal.flush(10)
    command = [sys.executable, "-m", "evenkeel.cli", "backup", "--account", "test", "--json"]
    told = subprocess.run(command, capture_output=True, check=True).stdout
    journal.append(rows(6, 9))
    assert journal.flush(10)
    journal.close(clean=True)
    backup = msgspec.convert(msgspec.json.decode(told)["backup"], Backup)
    assert (backup.first_seq, backup.last_seq) == (1, 5)
    assert verify(found(state.backups, "test")[0] / "journal", is_copy=True) == 5


def test_older_backups_than_are_kept_are_removed(state: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    write(state.journal, rows(1, 2))
    old = [state.backups / f"test-2020010{day}T000000Z" for day in (1, 2, 3)]
    for place in old:
        place.mkdir(parents=True)
    assert main(["backup", "--account", "test", "--hourly", "1", "--daily", "2"]) == 0
    assert "records 1 to 2" in said(capsys)
    assert found(state.backups, "test")[:-1] == old[2:]


def test_a_damaged_journal_fails_and_says_which_record(state: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    write(state.journal, [row(1)], [row(2)])
    flip_a_byte(state.journal, 2)
    for command in ("backup", "verify"):
        assert main([command, "--account", "test"]) == 1
        assert "1970-01-01.journal: record 2 is not what was written" in said(capsys)


def test_an_empty_journal_has_nothing_to_back_up(state: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "--account", "test"]) == 4
    assert "is empty" in said(capsys)


def test_verify_counts_the_records_of_a_journal_and_of_a_backup(state: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    write(state.journal, rows(1, 3), rows(4, 5, day=1))
    assert main(["verify", "--account", "test"]) == 0
    assert "5 records are what was written" in said(capsys)
    assert main(["backup", "--account", "test"]) == 0
    assert main(["verify", "--backup", str(found(state.backups, "test")[0])]) == 0
    assert main(["verify", "--backup", str(state.backups)]) == 2
    assert main(["verify", "--account", "nobody"]) == 2


def test_a_restore_is_refused_while_the_supervisor_runs(state: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    write(state.journal, rows(1, 3))
    main(["backup", "--account", "test"])
    with AccountLock(state.lock):
        assert main(["restore", str(state.backups), "--account", "test"]) == 4
    assert "another process owns this account" in said(capsys)
    assert main(["restore", str(state.backups), "--account", "test"]) == 0
    assert "3 records" in said(capsys)


def test_a_restore_of_nothing_is_refused(state: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", str(state.folder / "nothing"), "--account", "test"]) == 4
    assert "is no backup" in said(capsys)


def test_a_drill_without_a_backup_is_refused(state: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "--account", "test"]) == exit_codes.REFUSED
    assert "is no backup" in said(capsys)
