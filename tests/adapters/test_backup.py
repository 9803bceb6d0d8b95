"""A backup holds what was durable when it was taken, checked; a restore moves aside and never removes."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from journals import DAY_MS, flip_a_byte, row, rows, write

from evenkeel.adapters import backup as backups
from evenkeel.adapters.backup import Backup, BackupDamaged, BackupRefused
from evenkeel.adapters.kill_epoch import KillEpoch
from evenkeel.adapters.lmdb_journal import read_folder, verify
from evenkeel.adapters.os import write_durably
from evenkeel.adapters.state_folder import Restored, StateDamaged, StateFolder

HOUR_MS = 3_600_000


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path, "test")
    folder.create()
    return folder


def taken(state: StateFolder, hour: int = 0) -> tuple[Path, Backup]:
    return backups.take(state, state.backups, build="build", now_utc_ms=hour * HOUR_MS)


def test_a_backup_is_for_the_user_alone_and_holds_no_key(state: StateFolder) -> None:
    write(state.journal, rows(1, 2))
    state.installation_id()
    KillEpoch(state.kill_epoch).raise_epoch("close_only")
    (state.terminal / "key").write_text("secret")
    (state.control / "endpoint.json").write_text("token")
    place, _ = taken(state)
    files = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    assert files == {"backup.json", "installation", "kill-epoch", "journal/head", "journal/1970-01-01.journal"}
    if sys.platform != "win32":
        assert {path.stat().st_mode & 0o077 for path in place.rglob("*")} == {0}


def test_days_that_are_over_are_shared_with_the_backup_before(state: StateFolder) -> None:
    write(state.journal, rows(1, 3), rows(4, 5, day=1))
    first, _ = taken(state, 0)
    write(state.journal, rows(6, 7, day=1), rows(8, 9, day=2))
    second, told = taken(state, 1)
    shared = [os.path.samefile(first / "journal" / name, second / "journal" / name) for name in DAYS[:2]]
    assert shared == [True, False]
    assert (told.days, told.last_seq, verify(second / "journal", is_copy=True)) == (3, 9, 9)


DAYS = ["1970-01-01.journal", "1970-01-02.journal"]


def test_a_damaged_journal_makes_no_backup(state: StateFolder) -> None:
    write(state.journal, [row(1)], [row(2)])
    flip_a_byte(state.journal, 2)
    with pytest.raises(backups.JournalCorrupt, match="record 2 is not what was written"):
        taken(state)
    assert backups.found(state.backups, "test") == []
    assert [path.name for path in state.backups.iterdir()] == [".test.lock"]


def test_what_a_killed_backup_left_is_no_backup_and_is_cleared_away(state: StateFolder) -> None:
    write(state.journal, [row(1)])
    half = state.backups / "test-20200101T000000Z.partial"
    half.mkdir(parents=True)
    assert backups.found(state.backups, "test") == []
    place, _ = taken(state)
    assert backups.found(state.backups, "test") == [place]
    assert not half.exists()


@pytest.mark.parametrize(
    "hours, hourly, daily, kept",
    [
        (range(30), 3, 1, [27, 28, 29]),
        (range(30), 3, 2, [23, 27, 28, 29]),
        (range(0, 80, 8), 1, 3, [40, 64, 72]),
        (range(3), 24, 30, [0, 1, 2]),
    ],
)
def test_the_newest_are_kept_and_of_each_day_the_last(hours: range, hourly: int, daily: int, kept: list[int]) -> None:
    places = [Path(f"test-197001{1 + hour // 24:02}T{hour % 24:02}0000Z") for hour in hours]
    gone = backups.superfluous(places, hourly=hourly, daily=daily)
    assert [hour for hour, place in zip(hours, places, strict=True) if place not in gone] == kept


def test_the_name_says_when_it_was_taken(state: StateFolder) -> None:
    write(state.journal, [row(1)])
    place, _ = taken(state, 30)
    assert place.name == "test-19700102T060000Z"
    assert backups.taken_utc_ms(place) == DAY_MS + 6 * HOUR_MS


def test_a_restored_journal_is_that_of_the_backup_and_the_old_one_lies_aside(state: StateFolder) -> None:
    write(state.journal, rows(1, 4))
    place, _ = taken(state)
    write(state.journal, rows(5, 9))
    write_durably(state.segment, b"what ran last")
    aside, restored = backups.restore(place, state, now_utc_ms=HOUR_MS)
    assert [record.seq for record in read_folder(state.journal)] == [1, 2, 3, 4]
    assert verify(aside / "journal", is_copy=True) == 9
    assert (aside / "segment").read_bytes() == b"what ran last"
    assert state.restored() == restored == Restored(place.name, 0, 4, is_done=True)
    write(state.journal, rows(5, 6))  # and it goes on from there
    assert verify(state.journal) == 6


def test_a_restore_changes_nothing_in_the_backup(state: StateFolder) -> None:
    write(state.journal, rows(1, 4))
    place, _ = taken(state)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    backups.restore(place, state, now_utc_ms=HOUR_MS)
    write(state.journal, rows(5, 6))
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_a_kill_since_the_backup_still_counts_after_a_restore(state: StateFolder) -> None:
    write(state.journal, [row(1)])
    KillEpoch(state.kill_epoch).raise_epoch("close_only")
    place, _ = taken(state)
    KillEpoch(state.kill_epoch).raise_epoch("flatten")
    backups.restore(place, state, now_utc_ms=HOUR_MS)
    assert KillEpoch(state.kill_epoch).read() == (2, "flatten")
    state.kill_epoch.unlink()
    backups.restore(place, state, now_utc_ms=2 * HOUR_MS)
    assert KillEpoch(state.kill_epoch).read() == (1, "close_only")


def test_the_installation_whose_numbers_the_journal_carries_comes_back(state: StateFolder) -> None:
    write(state.journal, [row(1)])
    installation = state.installation_id()
    place, _ = taken(state)
    write_durably(state.installation, str(installation % 1000 + 1).encode())
    backups.restore(place, state, now_utc_ms=HOUR_MS)
    assert state.installation_id() == installation


def test_a_damaged_backup_is_refused_before_anything_is_moved(state: StateFolder) -> None:
    write(state.journal, [row(1)], [row(2)])
    place, _ = taken(state)
    flip_a_byte(place / "journal", 2)
    (place / "journal" / "1970-01-01.journal-lock").unlink()
    with pytest.raises(BackupDamaged, match="record 2 is not what was written"):
        backups.restore(place, state, now_utc_ms=HOUR_MS)
    assert verify(state.journal) == 2
    assert state.restored() is None


def test_what_is_no_backup_or_of_another_account_is_refused(state: StateFolder, tmp_path: Path) -> None:
    write(state.journal, [row(1)])
    place, _ = taken(state)
    other = StateFolder(tmp_path, "other")
    other.create()
    with pytest.raises(BackupRefused, match="is of account test, not of other"):
        backups.restore(place, other, now_utc_ms=HOUR_MS)
    with pytest.raises(BackupRefused, match="is no backup"):
        backups.restore(tmp_path / "nothing", state, now_utc_ms=HOUR_MS)


def test_a_restore_that_was_cut_off_lets_nothing_start_until_it_is_done_again(state: StateFolder) -> None:
    write(state.journal, rows(1, 4))
    place, _ = taken(state)
    state.write_restored(Restored(place.name, 0, 4, is_done=False))
    shutil.rmtree(state.journal)
    with pytest.raises(StateDamaged, match="was not finished: run evenkeel restore again"):
        state.restored()
    backups.restore(place, state, now_utc_ms=HOUR_MS)
    assert state.restored() is not None
    assert verify(state.journal) == 4
