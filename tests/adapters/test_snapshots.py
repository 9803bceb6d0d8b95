from pathlib import Path
from typing import get_args

import pytest
from loguru import logger

from evenkeel.adapters.snapshot_files import SnapshotFiles, files_of, newest_snapshots, read_snapshots
from evenkeel.adapters.snapshots import Snapshots
from evenkeel.rules.snapshots import Counted, Decisions, Loop, Snapshot, Tally, snapshot_of
from evenkeel.supervisor import ROUTES

MONDAY_UTC_MS = 1_767_571_200_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000


def at(utc_ms: int) -> Snapshot:
    return snapshot_of(
        Tally(signals=3), Loop(quotes=5), utc_ms=utc_ms, written_utc_ms=utc_ms + 1, positions=0, alarms=0, lost=0
    )


def put(folder: Path, *times_utc_ms: int, days_kept: int = 9) -> None:
    files = SnapshotFiles(folder, days_kept)
    for utc_ms in times_utc_ms:
        files.put(at(utc_ms))


def times(folder: Path, **between: int) -> list[int]:
    return [snapshot.utc_ms for snapshot in read_snapshots(folder, **between)]


def test_what_was_written_is_read_again_over_the_end_of_a_day(tmp_path: Path) -> None:
    put(tmp_path / "s", MONDAY_UTC_MS - MINUTE_MS, MONDAY_UTC_MS, MONDAY_UTC_MS + MINUTE_MS)
    assert list(read_snapshots(tmp_path / "s"))[1] == at(MONDAY_UTC_MS)
    assert [path.name for path in files_of(tmp_path / "s")] == ["2026-01-04.jsonl", "2026-01-05.jsonl"]


def test_a_stretch_is_read_without_what_is_before_and_after_it(tmp_path: Path) -> None:
    put(tmp_path, *(MONDAY_UTC_MS + day * DAY_MS for day in range(4)))
    between = {"from_utc_ms": MONDAY_UTC_MS + DAY_MS, "to_utc_ms": MONDAY_UTC_MS + 3 * DAY_MS}
    assert times(tmp_path, **between) == [MONDAY_UTC_MS + DAY_MS, MONDAY_UTC_MS + 2 * DAY_MS]


def test_a_line_that_a_crash_cut_short_costs_itself_alone(tmp_path: Path) -> None:
    put(tmp_path, MONDAY_UTC_MS)
    (path,) = files_of(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"v":1,"utc_ms":17')
    put(tmp_path, MONDAY_UTC_MS + MINUTE_MS)
    assert times(tmp_path) == [MONDAY_UTC_MS, MONDAY_UTC_MS + MINUTE_MS]


@pytest.mark.parametrize("line", [b"{}", b'{"v":2}', b"\xff\xfe", b"", b"x" * 40_000])
def test_a_line_that_is_no_snapshot_is_passed_over(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "2026-01-05.jsonl").write_bytes(line + b"\n")
    put(tmp_path, MONDAY_UTC_MS)
    assert times(tmp_path) == [MONDAY_UTC_MS]


def test_only_so_many_days_are_kept(tmp_path: Path) -> None:
    put(tmp_path, *(MONDAY_UTC_MS + day * DAY_MS for day in range(5)), days_kept=2)
    assert [path.stem for path in files_of(tmp_path)] == ["2026-01-08", "2026-01-09"]


def test_of_many_the_newest_are_held_in_memory(tmp_path: Path) -> None:
    put(tmp_path, *(MONDAY_UTC_MS + hour * 3_600_000 for hour in range(60)))
    newest = [snapshot.utc_ms for snapshot in newest_snapshots(tmp_path, 40)]
    assert newest == times(tmp_path)[20:]


def test_where_nothing_was_written_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert (times(tmp_path / "no"), newest_snapshots(tmp_path / "no")) == ([], [])


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    put(tmp_path / "s", MONDAY_UTC_MS)
    (path,) = files_of(tmp_path / "s")
    assert path.stat().st_mode & 0o077 == 0
    assert at(0).decisions == Decisions(signals=3)


class Disk:
    """Takes what it is given, or says that it is full."""

    def __init__(self) -> None:
        self.is_full = False
        self.kept: list[Snapshot] = []

    def put(self, snapshot: Snapshot) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.kept.append(snapshot)


def edge(disk: Disk) -> Snapshots:
    made = Snapshots(MINUTE_MS, put=disk.put, loop=Loop, positions=lambda: 3, alarms=lambda: 2, utc_ms=lambda: 7)
    made.resume(MONDAY_UTC_MS)
    return made


def test_each_minute_has_one_snapshot() -> None:
    disk = Disk()
    made = edge(disk)
    for second in range(0, 200, 10):
        made.poll(MONDAY_UTC_MS + second * 1_000)
    assert [snapshot.utc_ms - MONDAY_UTC_MS for snapshot in disk.kept] == [60_000, 120_000, 180_000]
    assert (disk.kept[0].written_utc_ms, disk.kept[0].positions, disk.kept[0].alarms) == (7, 3, 2)


def test_a_full_disk_costs_snapshots_which_are_counted_and_told_once() -> None:
    disk, lines = Disk(), list[str]()
    logger.remove()
    handler = logger.add(lambda message: lines.append(message.record["level"].name), level="INFO")
    made = edge(disk)
    for minute, is_full in enumerate([False, True, True, False, False], start=1):
        disk.is_full = is_full
        made.poll(MONDAY_UTC_MS + minute * MINUTE_MS)
    logger.remove(handler)
    assert [snapshot.lost for snapshot in disk.kept] == [0, 2, 0]
    assert lines == ["ERROR", "INFO"]


def test_the_edge_knows_every_message_that_is_routed_to_it() -> None:
    assert {kind for kind, receivers in ROUTES.items() if "snapshots?" in receivers} == set(get_args(Counted))
