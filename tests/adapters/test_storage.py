"""The storage edge: what it says of the room that the journal has, and what it has done about copies."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from journals import opened, row

from evenkeel.adapters.lmdb_files import Reading
from evenkeel.adapters.storage import FIRST_BACKUP_AFTER_MS, READER_HELD_MS, Storage
from evenkeel.config.schema import JournalConfig
from evenkeel.messages.operator import HoldEnded, HoldPlaced, TradingRearmed
from evenkeel.messages.storage import BackupTaken, StorageEased, StorageReason, StorageStrained
from evenkeel.messages.system import Message
from evenkeel.runtime.edge import At

HOUR_MS = 3_600_000
PRINTED = '{"backup": {"last_seq": 7, "bytes": 4096, "v": 1}, "folder": "/b/test-19700101T010000Z", "took_ms": 12}'


class Stand:
    """An edge over a journal and a clock of the test's own; what it says is remembered as the shell would have it."""

    def __init__(self, folder: Path, command: Sequence[str] = ("false",), **config: Any) -> None:
        self.map_used_ratio, self.failure, self.open_readings = 0.0, None, list[Reading]()
        self.now_ms = 0
        self.backups = folder / "backups"
        settings = JournalConfig(**{"disk_warn_mb": "off", "disk_stop_mb": "off", "backup_every_h": "off", **config})
        clock = {"utc_ms": lambda: self.now_ms, "monotonic_ns": lambda: self.now_ms * 1_000_000}
        self.edge = Storage(settings, "test", self, folder, backups=self.backups, backup_command=command, **clock)

    def readings(self) -> list[Reading]:
        return self.open_readings

    def look(self, later_ms: int = 0) -> list[Message]:
        self.now_ms += later_ms
        return self.remembered(self.edge.poll(0))

    def remembered(self, said: Sequence[Message]) -> list[Message]:
        for message in said:
            self.edge.remember(message)  # type: ignore[arg-type]
        return list(said)

    def until_said(self) -> list[Message]:
        """For a real process; the test's own time-out ends the waiting."""
        while not (said := self.look()):
            pass
        return said


def kinds(said: Sequence[Message]) -> list[str]:
    return [type(message).__name__ for message in said]


def test_a_file_that_fills_warns_once_then_stops_entries_and_lets_go_when_there_is_room(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    assert stand.look() == []
    stand.map_used_ratio = 0.61
    assert kinds(stand.look()) == ["StorageStrained"]
    assert stand.look() == []
    stand.map_used_ratio = 0.81
    strained, hold = stand.look()
    assert isinstance(strained, StorageStrained)
    assert strained.stops_entries
    assert hold == HoldPlaced("storage", "account", "the journal's file of the day is 81 % full, the limit is 80 %", 0)
    assert stand.look() == []
    stand.map_used_ratio = 0.0  # a new day
    assert stand.look() == [StorageEased(StorageReason.MAP), HoldEnded("storage", "account")]


def test_a_disk_that_is_nearly_full_stops_entries(tmp_path: Path) -> None:
    stand = Stand(tmp_path, disk_warn_mb="off", disk_stop_mb=shutil.disk_usage(tmp_path).free // 2**20 + 100_000)
    assert kinds(stand.look()) == ["StorageStrained", "HoldPlaced"]


def test_a_rearm_does_not_end_the_hold_of_a_disk_that_is_still_full(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.map_used_ratio = 0.9
    stand.look()
    rearmed = TradingRearmed("me", 1)
    stand.edge.remember(rearmed)
    assert kinds(stand.remembered(stand.edge.act(rearmed, At(1, 0)))) == ["HoldPlaced"]
    assert stand.look() == []


def test_a_reader_that_does_not_let_go_is_named(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.open_readings = [Reading(41, 90, 3), Reading(42, 93, 0)]
    assert stand.look() == []
    stand.open_readings = [Reading(41, 90, 30), Reading(42, 113, 7)]  # the second one has read anew
    (strained,) = stand.look(READER_HELD_MS)
    assert isinstance(strained, StorageStrained)
    assert (strained.reason, strained.detail, strained.stops_entries) == (StorageReason.READER, "process 41", False)
    stand.open_readings = []
    assert stand.look() == [StorageEased(StorageReason.READER)]


def test_a_held_reader_is_seen_in_a_real_journal(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    journal.append([row(1)])
    assert journal.flush(10)
    path = tmp_path / "journal" / "1970-01-01.journal"
    script = (
        "import lmdb, sys\n"
        f"env = lmdb.open({str(path)!r}, subdir=False, readonly=True)\n"
        "txn = env.begin()\n"
        "print('reading', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        journal.append([row(2)])
        assert journal.flush(10)
        assert [(one.pid, one.commits_behind) for one in journal.readings()] == [(reader.pid, 1)]
        reader.kill()
    assert journal.readings() == []
    journal.close(clean=True)


def test_a_backup_is_taken_when_the_newest_is_old_enough(tmp_path: Path) -> None:
    stand = Stand(tmp_path, [sys.executable, "-c", f"print('''{PRINTED}''')"], backup_every_h=1.0)
    (stand.backups / "test-19700101T000000Z").mkdir(parents=True)
    assert stand.look(HOUR_MS - 1) == []
    assert stand.look(1) == []
    assert stand.until_said() == [BackupTaken("test-19700101T010000Z", 7, 4096, 12)]
    (stand.backups / "test-19700101T010000Z").mkdir()
    assert stand.look(HOUR_MS - 1) == []


def test_a_process_that_has_just_started_takes_no_backup(tmp_path: Path) -> None:
    stand = Stand(tmp_path, [sys.executable, "-c", f"print('''{PRINTED}''')"], backup_every_h=0.001)
    assert stand.look(FIRST_BACKUP_AFTER_MS - 1) == []
    stand.look(1)
    assert kinds(stand.until_said()) == ["BackupTaken"]


@pytest.mark.parametrize(
    "command, why",
    [
        ([sys.executable, "-c", "import sys; sys.exit('backup: the disk is full')"], "backup: the disk is full"),
        (["/nonexistent/evenkeel"], "No such file"),
    ],
)
def test_a_backup_that_fails_is_said_and_tried_again_when_the_next_is_due(tmp_path: Path, command: list[str], why: str) -> None:
    stand = Stand(tmp_path, command, backup_every_h=1.0)
    said = stand.look(HOUR_MS) or stand.until_said()
    (strained,) = said
    assert isinstance(strained, StorageStrained)
    assert strained.reason is StorageReason.BACKUP
    assert why in strained.detail
    assert not strained.stops_entries
    assert stand.look(HOUR_MS - 1) == []
    assert kinds(stand.look(1) or stand.until_said()) == ["StorageStrained"]


def test_no_backup_is_begun_where_room_is_short(tmp_path: Path) -> None:
    stand = Stand(tmp_path, ["/nonexistent/evenkeel"], backup_every_h=1.0)
    stand.map_used_ratio = 0.7
    assert kinds(stand.look(HOUR_MS)) == ["StorageStrained"]
    assert stand.look() == []


def test_an_edge_that_is_closed_leaves_no_backup_behind(tmp_path: Path) -> None:
    stand = Stand(tmp_path, [sys.executable, "-c", "import sys, time; time.sleep(60)"], backup_every_h=1.0)
    stand.look(HOUR_MS)
    stand.edge.close()
    assert stand.look() == []
