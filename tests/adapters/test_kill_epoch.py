import subprocess
import sys
import timeit
from pathlib import Path
from typing import Literal

import pytest

from evenkeel.adapters.kill_epoch import UNREADABLE, Kill, KillEpoch
from evenkeel.adapters.os import locked_within

RAISE_MANY = """
import sys
from pathlib import Path
from evenkeel.adapters.kill_epoch import KillEpoch
sys.stdin.readline()
for _ in range(20):
    print(KillEpoch(Path(sys.argv[1]), patience_s=60).raise_epoch("close_only").epoch)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kill-epoch"


def raiser(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RAISE_MANY, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_nobody_has_killed_at_first(path: Path) -> None:
    assert KillEpoch(path).read() == Kill(0, "run")


@pytest.mark.parametrize("mode", ["close_only", "flatten"])
def test_a_kill_is_there_for_whoever_reads_next(path: Path, mode: Literal["close_only", "flatten"]) -> None:
    assert KillEpoch(path).raise_epoch(mode) == Kill(1, mode)
    assert KillEpoch(path).read() == Kill(1, mode)


def test_each_kill_raises_the_epoch_by_one(path: Path) -> None:
    kill_epoch = KillEpoch(path)
    assert [kill_epoch.raise_epoch("flatten").epoch for _ in range(3)] == [1, 2, 3]
    assert kill_epoch.raise_epoch("close_only") == kill_epoch.read() == Kill(4, "close_only")


def test_a_kill_by_another_process_is_seen(path: Path) -> None:
    kill_epoch = KillEpoch(path)
    assert kill_epoch.read().epoch == 0
    with raiser(path) as other:
        other.communicate("go\n")
    assert kill_epoch.read() == Kill(20, "close_only")


def test_processes_that_raise_at_once_get_an_epoch_each(path: Path) -> None:
    with raiser(path) as one, raiser(path) as other:
        for process in (one, other):
            print("go", file=process.stdin, flush=True)
        epochs = [int(line) for process in (one, other) for line in process.communicate()[0].split()]
    assert sorted(epochs) == list(range(1, 41))
    assert KillEpoch(path).read().epoch == 40


def test_a_kill_does_not_wait_for_ever_for_a_process_that_holds_the_lock(path: Path) -> None:
    with locked_within(path.with_name("kill-epoch.lock"), 0) as held:
        assert held
        assert KillEpoch(path).raise_epoch("flatten") == Kill(1, "flatten")


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 64, b"[1]", b'[1,"close_only",0]', b'[0,"run",0]', b"\xff\xfe", b"[" * 128, b"9" * 4096]
)
def test_a_damaged_file_closes_entries(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert KillEpoch(path).read() == UNREADABLE


def test_every_single_damaged_byte_is_noticed(path: Path) -> None:
    KillEpoch(path).raise_epoch("flatten")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert KillEpoch(path).read() == UNREADABLE


def test_a_torn_file_closes_entries(path: Path) -> None:
    KillEpoch(path).raise_epoch("flatten")
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert KillEpoch(path).read() == UNREADABLE


def test_a_file_that_cannot_be_read_closes_entries(path: Path) -> None:
    path.mkdir()
    assert KillEpoch(path).read() == UNREADABLE


def test_an_epoch_that_disappears_or_goes_back_closes_entries(path: Path) -> None:
    kill_epoch = KillEpoch(path)
    kill_epoch.raise_epoch("close_only")
    first = path.read_bytes()
    kill_epoch.raise_epoch("close_only")
    kill_epoch.read()
    path.write_bytes(first)
    assert kill_epoch.read() == UNREADABLE
    path.unlink()
    assert kill_epoch.read() == UNREADABLE


def test_a_kill_mends_a_damaged_file_and_is_above_every_epoch(path: Path) -> None:
    path.write_bytes(b"damaged")
    kill_epoch = KillEpoch(path)
    raised = kill_epoch.raise_epoch("flatten")
    assert raised.epoch > UNREADABLE.epoch
    assert kill_epoch.read() == raised


def test_a_kill_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        KillEpoch(tmp_path / "missing" / "kill-epoch").raise_epoch("flatten")


def test_reading_is_cheap_enough_to_come_before_each_order(path: Path) -> None:
    kill_epoch = KillEpoch(path)
    kill_epoch.raise_epoch("close_only")
    assert min(timeit.repeat(kill_epoch.read, number=100, repeat=20)) / 100 < 50e-6
