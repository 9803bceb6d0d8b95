"""The journal's writer is killed, and its disk refuses: what was called durable is there, and nothing is tried again.

Real LMDB, real processes, real refusals of the operating system. The suite kills the writer ten times; EVENKEEL_WRITER_KILLS=50
does so more often.
"""

import contextlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from journals import opened, row, write

from evenkeel.adapters.lmdb_journal import LmdbJournal, read_folder, verify
from evenkeel.runtime.journal import JournalClosed

KILLS = int(os.environ.get("EVENKEEL_WRITER_KILLS", "10"))
MOST_COMMITS_BEFORE_A_KILL = 60
TESTS = Path(__file__).parents[1]

WRITER = """
import random, sys
from pathlib import Path
from journals import opened, row, rows

chance = random.Random(int(sys.argv[2]))
journal = opened(Path(sys.argv[1]))
journal.on_durable(lambda: print(journal.durable_seq, flush=True))
print(journal.last_seq, flush=True)
seq = journal.last_seq
while True:
    count = chance.randint(1, 30)
    journal.append([row(seq + n, day=(seq + n) // 2000, padding=chance.randint(0, 400)) for n in range(1, count + 1)])
    seq += count
    if chance.random() < 0.3:
        journal.flush(10)
"""

UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from journals import opened, row

resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
journal = opened(Path(sys.argv[1]))
seq = 0
while journal.failure is None:
    seq += 1
    journal.append([row(seq, padding=3000)])
    journal.flush(10)
print(journal.durable_seq, journal.failure)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
try:
    journal.append([row(seq + 1)])
except Exception as error:
    print(type(error).__name__, len(list(journal.read(1))))
journal.close(clean=True)
"""


def script(text: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(TESTS)!r})\n{text}", *map(str, arguments)]


def appended_until_it_fails(journal: LmdbJournal) -> int:
    """The last record that became durable."""
    seq = journal.last_seq
    with contextlib.suppress(JournalClosed):
        while journal.failure is None:
            seq += 1
            journal.append([row(seq, padding=3000)])
            journal.flush(10)
    assert journal.failure is not None
    return journal.durable_seq


@pytest.mark.timeout(300)
def test_a_writer_that_is_killed_at_any_moment_loses_nothing_that_it_called_durable(tmp_path: Path) -> None:
    folder, chance, last_said = tmp_path / "journal", random.Random(5), 0
    for number in range(KILLS):
        with subprocess.Popen(script(WRITER, folder, number), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert int(process.stdout.readline()) >= last_said, f"kill {number}"
            for _ in range(chance.randint(1, MOST_COMMITS_BEFORE_A_KILL)):
                last_said = int(process.stdout.readline())
            process.kill()
            last_said = max([last_said, *map(int, process.stdout.read().split())])
    records = verify(folder)
    assert records >= last_said > KILLS
    assert [record.seq for record in read_folder(folder)] == list(range(1, records + 1))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip(
            "NOT TESTED HERE: a full disk, because only root may mount one; the limit on a file's size stands in for it"
        )
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"NOT TESTED HERE: a full disk, because mount says: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_closes_the_journal_and_with_room_again_it_goes_on(small_disk: Path) -> None:
    journal = opened(small_disk / "journal")
    durable_seq = appended_until_it_fails(journal)
    assert durable_seq > 10
    assert journal.failure == "1970-01-01.journal: mdb_txn_commit: No space left on device"
    with pytest.raises(JournalClosed, match="No space left"):
        journal.append([row(durable_seq + 2)])  # after the one that failed
    assert [record.seq for record in journal.read(1)] == list(range(1, durable_seq + 1))
    journal.close(clean=True)

    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    journal = opened(small_disk / "journal")
    assert (journal.last_seq, journal.was_clean) == (durable_seq, False)
    journal.append([row(durable_seq + 1)])
    assert journal.flush(10)
    journal.close(clean=True)
    assert verify(small_disk / "journal") == durable_seq + 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
def test_a_file_that_may_not_grow_closes_the_journal_which_is_not_tried_again(tmp_path: Path) -> None:
    done = subprocess.run(script(UNDER_A_LIMIT, tmp_path / "journal"), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    failed, refused = done.stdout.splitlines()
    durable_seq, _, why = failed.partition(" ")
    assert why.startswith("1970-01-01.journal: ")
    assert refused == f"JournalClosed {durable_seq}"
    assert verify(tmp_path / "journal") == int(durable_seq)


@contextlib.contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Every write to `path` by this process fails with ENOSPC, as if the disk had; then everything is as it was."""
    held = [int(link.name) for link in Path("/proc/self/fd").iterdir() if _target(link) == str(path)]
    kept = [os.dup(number) for number in held]
    full = os.open("/dev/full", os.O_RDWR)
    for number in held:
        os.dup2(full, number)
    yield
    for number, copy in zip(held, kept, strict=True):
        os.dup2(copy, number)
        os.close(copy)
    os.close(full)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and /dev/full are Linux's")
def test_after_one_commit_error_nothing_is_accepted_although_the_disk_would_take_it_again(tmp_path: Path) -> None:
    write(tmp_path, [row(1)])
    journal = opened(tmp_path)
    told = threading.Event()
    journal.on_durable(told.set)
    with refusing(tmp_path / "1970-01-01.journal"):
        journal.append([row(2)])
        assert told.wait(10)
    assert journal.failure is not None
    with pytest.raises(JournalClosed):
        journal.append([row(3)])
    journal.close(clean=True)
    again = opened(tmp_path)
    assert (again.last_seq, again.was_clean) == (1, False)
    again.close(clean=True)
