import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from journals import flip_a_byte, key, opened, row, rows, tamper, write

from evenkeel.adapters.lmdb_files import DayFile, DayFiles
from evenkeel.adapters.lmdb_journal import LmdbJournal, read_folder, verify
from evenkeel.runtime.journal import ChildSnapshot, JournalClosed, JournalCorrupt, Record, encode_record

CHILD = """
import sys
from pathlib import Path

import msgspec
from evenkeel.adapters.lmdb_journal import LmdbJournal, read_folder
from evenkeel.runtime.journal import Record, encode_record

folder = Path(sys.argv[1])

def row(seq):
    return seq, encode_record(Record(seq, 0, 0, -1, "feed", 1, (), msgspec.Raw(b"\\xc0")))
"""


def seqs(records: Iterator[Record]) -> list[int]:
    return [record.seq for record in records]


def child(script: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD + script, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


class Gate:
    """Holds the writer in its first commit, so that everything after it waits together."""

    def __init__(self, journal: LmdbJournal) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        journal.on_durable(self._pass)
        journal.append([row(1)])
        assert self.entered.wait(10)

    def _pass(self) -> None:
        self.entered.set()
        assert self.opened.wait(10)


def test_an_empty_folder_is_a_clean_start(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    assert (journal.was_clean, journal.last_seq, journal.durable_seq, journal.snapshots) == (True, 0, 0, {})
    assert seqs(journal.read(1)) == []
    journal.close(clean=True)
    assert verify(tmp_path / "journal") == 0


def test_what_was_appended_is_read_back_after_opening_again(tmp_path: Path) -> None:
    write(tmp_path, rows(1, 3), rows(4, 5))
    journal = opened(tmp_path)
    assert (journal.last_seq, journal.durable_seq) == (5, 5)
    assert [(record.seq, encode_record(record)) for record in journal.read(2, 4)] == rows(2, 4)
    journal.close(clean=True)


def test_the_head_goes_on_over_restarts_and_days(tmp_path: Path) -> None:
    write(tmp_path / "a", rows(1, 2), [row(3, day=1)])
    write(tmp_path / "b", rows(1, 2))
    write(tmp_path / "b", [row(3, day=1)])
    heads = []
    for name in ("a", "b"):
        journal = opened(tmp_path / name)
        heads.append(journal.head)
        journal.close(clean=True)
    assert heads[0] == heads[1]
    assert heads[0][0] == 3


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    write(tmp_path / "journal", [row(1)])
    if sys.platform == "win32":
        pytest.skip("the profile's rights count there")
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "journal").iterdir()} == {0o600}


def test_what_waits_is_committed_together(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    gate = Gate(journal)
    for seq in range(2, 1002):
        journal.append([row(seq)])
    gate.opened.set()
    assert journal.flush(10)
    assert (journal.commits, journal.durable_seq) == (2, 1001)
    journal.close(clean=True)


def test_a_batch_has_a_cap_but_an_append_is_never_split(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    gate = Gate(journal)
    journal.append(rows(2, 6001))
    journal.append(rows(6002, 6003))
    gate.opened.set()
    assert journal.flush(10)
    assert journal.commits == 3
    journal.close(clean=True)


def test_flush_says_when_it_is_not_durable_in_time(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    gate = Gate(journal)
    journal.append([row(2)])
    assert not journal.flush(0)
    gate.opened.set()
    assert journal.flush(10)
    journal.close(clean=True)


def test_listeners_hear_of_each_commit(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    heard = []
    journal.on_durable(lambda: heard.append(journal.durable_seq))
    for seq in (1, 2):
        journal.append([row(seq)])
        assert journal.flush(10)
    journal.close(clean=True)
    assert heard == [1, 2]


def test_an_end_is_clean_only_when_it_was_said_to_be(tmp_path: Path) -> None:
    write(tmp_path, [row(1)], clean=True)
    was_clean = []
    for clean in (False, True, True):
        journal = opened(tmp_path)
        was_clean.append(journal.was_clean)
        journal.close(clean=clean)
    assert was_clean == [True, False, True]


def test_a_crash_right_after_opening_is_not_clean(tmp_path: Path) -> None:
    write(tmp_path, [row(1)], clean=True)
    process = child('LmdbJournal.open(folder, day_of=lambda _: ""); print("open", flush=True); sys.stdin.read()', tmp_path)
    with process:
        next_line(process)
        process.kill()
    journal = opened(tmp_path)
    assert not journal.was_clean
    journal.close(clean=True)


def test_each_trading_day_has_its_file_and_reading_crosses_them(tmp_path: Path) -> None:
    write(tmp_path, rows(1, 3), rows(4, 5, day=1), rows(6, 7, day=4))
    assert sorted(path.stem for path in tmp_path.glob("*.journal")) == ["1970-01-01", "1970-01-02", "1970-01-05"]
    assert seqs(read_folder(tmp_path, 2)) == [2, 3, 4, 5, 6, 7]
    journal = opened(tmp_path)
    assert seqs(journal.read(3, 6)) == [3, 4, 5, 6]
    journal.close(clean=True)
    assert verify(tmp_path) == 7


def test_one_batch_may_touch_several_days(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    gate = Gate(journal)
    for seq in range(2, 8):
        journal.append([row(seq, day=seq // 3)])
    gate.opened.set()
    journal.close(clean=True)
    ends = {}
    for path in tmp_path.glob("*.journal"):
        with closing(DayFile(path)) as file:
            ends[file.day] = file.head().seq
    assert ends == {"1970-01-01": 2, "1970-01-02": 5, "1970-01-03": 7}


def test_the_newest_snapshot_of_each_child_is_found_also_after_a_new_day(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([row(1)])
    journal.snapshot(ChildSnapshot("shield", 1, b"old"))
    journal.snapshot(ChildSnapshot("recovery", 1, b"kept"))
    journal.append([row(2)])
    journal.snapshot(ChildSnapshot("shield", 2, b"new"))
    journal.append([row(3, day=1)])
    journal.close(clean=False)
    journal = opened(tmp_path)
    assert journal.snapshots == {
        "shield": ChildSnapshot("shield", 2, b"new"),
        "recovery": ChildSnapshot("recovery", 1, b"kept"),
    }
    journal.close(clean=True)


def test_a_new_day_that_was_not_finished_is_founded_again(tmp_path: Path) -> None:
    write(tmp_path, [row(1)])
    (tmp_path / "1970-01-02.new").write_bytes(b"half")
    write(tmp_path, [row(2, day=1)])
    assert seqs(read_folder(tmp_path)) == [1, 2]


@pytest.mark.parametrize("check", [opened, verify])
def test_a_flipped_byte_is_found_and_its_record_named(tmp_path: Path, check: Callable[[Path], object]) -> None:
    write(tmp_path, [row(1)], [row(2)], [row(3)])
    flip_a_byte(tmp_path, 2)
    with pytest.raises(JournalCorrupt, match=r"^1970-01-01.journal: record 2 is not what was written$"):
        check(tmp_path)


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    write(tmp_path, rows(1, 5))
    tamper(tmp_path, "records", key(3), None)
    with pytest.raises(JournalCorrupt, match=r"1970-01-01.journal: record 3 is missing"):
        opened(tmp_path)


def test_a_record_without_a_commit_is_found(tmp_path: Path) -> None:
    write(tmp_path, [row(1)], [row(2)], clean=False)
    tamper(tmp_path, "commits", key(2), None)
    with pytest.raises(JournalCorrupt, match=r"1970-01-01.journal: record 2 belongs to no commit"):
        opened(tmp_path)


def test_a_lost_tail_is_found_by_the_head_outside(tmp_path: Path) -> None:
    write(tmp_path, [row(1)], [row(2)], clean=False, anchor_every=2)
    tamper(tmp_path, "commits", key(2), None)
    tamper(tmp_path, "records", key(2), None)
    with pytest.raises(JournalCorrupt, match=r"head: names record 2, but the journal ends with record 1"):
        opened(tmp_path)


def test_lost_files_are_found_by_the_head_outside(tmp_path: Path) -> None:
    write(tmp_path, [row(1)])
    (tmp_path / "1970-01-01.journal").unlink()
    with pytest.raises(JournalCorrupt, match="names record 1"):
        opened(tmp_path)


@pytest.mark.parametrize("text", ["1 " + "00" * 32, "damaged", "1 zz"])
def test_a_head_that_does_not_match_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, [row(1)])
    (tmp_path / "head").write_text(text)
    with pytest.raises(JournalCorrupt, match=r"^head: "):
        opened(tmp_path)


def test_a_missing_head_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [row(1)])
    (tmp_path / "head").unlink()
    with pytest.raises(JournalCorrupt, match="head: missing"):
        opened(tmp_path)


def test_a_head_from_before_the_day_changed_is_enough(tmp_path: Path) -> None:
    write(tmp_path, [row(1)])
    old_head = (tmp_path / "head").read_bytes()
    write(tmp_path, [row(2, day=1)])
    (tmp_path / "head").write_bytes(old_head)
    write(tmp_path, [row(3, day=1)])
    assert verify(tmp_path) == 3


def test_a_damaged_snapshot_is_refused(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([row(1)])
    journal.snapshot(ChildSnapshot("shield", 1, b"state"))
    journal.close(clean=True)
    tamper(tmp_path, "snapshots", b"shield", b"damaged")
    with pytest.raises(JournalCorrupt, match=r"1970-01-01.journal: the snapshot of b'shield'"):
        opened(tmp_path)


def test_a_file_that_is_no_environment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [row(1)])
    (tmp_path / "1970-01-02.journal").write_bytes(b"not lmdb" * 2000)
    with pytest.raises(JournalCorrupt, match=r"1970-01-02.journal: "):
        opened(tmp_path)


def test_verify_also_finds_damage_in_an_older_day(tmp_path: Path) -> None:
    write(tmp_path, rows(1, 4), [row(5, day=1)])
    flip_a_byte(tmp_path, 2)
    opened(tmp_path).close(clean=True)
    with pytest.raises(JournalCorrupt, match="one of the records 1 to 4"):
        verify(tmp_path)


def test_verify_finds_a_lost_day_in_the_middle(tmp_path: Path) -> None:
    write(tmp_path, [row(1)], [row(2, day=1)], [row(3, day=2)])
    (tmp_path / "1970-01-02.journal").unlink()
    with pytest.raises(JournalCorrupt, match=r"1970-01-03.journal: does not go on from record 1"):
        verify(tmp_path)


def test_opening_also_looks_where_older_days_meet(tmp_path: Path) -> None:
    write(tmp_path, [row(1)], [row(2, day=1)], [row(3, day=2)])
    (tmp_path / "1970-01-02.journal").unlink()
    with pytest.raises(JournalCorrupt, match=r"1970-01-03.journal: does not go on from record 1"):
        opened(tmp_path)


def test_a_full_map_closes_the_journal_and_what_was_durable_is_kept(tmp_path: Path) -> None:
    journal = opened(tmp_path, map_size=1 << 18)
    journal.append([row(1)])
    assert journal.flush(10)
    told = threading.Event()
    journal.on_durable(told.set)
    journal.append([row(2, padding=1 << 18)])
    assert told.wait(10)
    assert journal.failure is not None
    assert journal.failure.startswith("1970-01-01.journal: ")
    assert not journal.flush(10)
    with pytest.raises(JournalClosed, match="MAP_FULL"):
        journal.append([row(3)])
    assert (journal.durable_seq, seqs(journal.read(1))) == (1, [1])
    journal.close(clean=True)

    journal = opened(tmp_path, map_size=1 << 20)
    assert (journal.last_seq, journal.was_clean) == (1, False)
    journal.append([row(2, padding=1 << 18)])
    assert journal.flush(10)
    assert 0.25 < journal.map_used_ratio < 0.75
    journal.close(clean=True)


def test_after_the_end_nothing_is_accepted_and_a_second_end_changes_nothing(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([row(1)])
    reading = journal.read(1)
    journal.close(clean=True)
    journal.close(clean=False)
    with pytest.raises(JournalClosed, match="closed"):
        journal.append([row(2)])
    with pytest.raises(JournalClosed):
        next(reading)
    journal = opened(tmp_path)
    assert (journal.last_seq, journal.was_clean) == (1, True)
    journal.close(clean=True)


def test_the_owner_reads_while_it_writes(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(rows(1, 2500))
    assert journal.flush(10)
    reading = journal.read(1)
    assert next(reading).seq == 1
    journal.append(rows(2501, 3000))
    journal.append([row(3001, day=1)])
    assert journal.flush(10)
    assert seqs(reading) == list(range(2, 2501))
    journal.close(clean=True)


def test_another_process_reads_while_the_owner_writes(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(rows(1, 1500))
    assert journal.flush(10)
    process = child(
        """
records = read_folder(folder)
print(next(records).seq, flush=True)
sys.stdin.readline()
print(sum(1 for _ in records), flush=True)
""",
        tmp_path,
    )
    with process:
        assert next_line(process) == "1\n"
        journal.append(rows(1501, 2000))
        assert journal.flush(10)
        out, _ = process.communicate("go on\n", timeout=30)
    assert out == "1999\n"
    journal.close(clean=True)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_forked_process_may_not_append(tmp_path: Path) -> None:
    process = child(
        """
import os
journal = LmdbJournal.open(folder, day_of=lambda _: "1970-01-01")
if pid := os.fork():
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
else:
    try:
        journal.append([row(1)])
    except AssertionError:
        os._exit(7)
""",
        tmp_path,
    )
    assert process.communicate(timeout=30)[0] == "7\n"


def test_numbers_without_a_gap_are_the_callers_duty(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(AssertionError, match="record 2 after record 0"):
        journal.append([row(2)])
    journal.close(clean=True)


def test_a_record_is_found_by_its_number_on_whatever_day(tmp_path: Path) -> None:
    write(tmp_path, rows(1, 5), rows(6, 9, day=1), rows(10, 12, day=3))
    with DayFiles(tmp_path) as files:
        assert [found.seq for seq in (1, 5, 6, 9, 12) if (found := files.record(seq))] == [1, 5, 6, 9, 12]
        assert (files.record(0), files.record(13)) == (None, None)
    with DayFiles(tmp_path / "absent") as none:
        assert (none.days(), none.record(1)) == ([], None)
