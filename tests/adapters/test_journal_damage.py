"""Nothing that is wrong with a journal's file is taken for what was written: it is found, and the file is named.

The suite flips 200 bits; EVENKEEL_BIT_FLIPS=500 flips more.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.runtime.journal import ChildSnapshot, Record, encode_record

FLIPS = int(os.environ.get("EVENKEEL_BIT_FLIPS", "200"))
RECORDS = 900
TORN = 60
DAMAGER = Path(__file__).parents[1] / "journal_damage.py"
DAY = "1970-01-01.journal"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records in commits of one to seven, a snapshot on one page and one over several."""
    folder = tmp_path_factory.mktemp("damage") / "journal"
    writing = LmdbJournal.open(folder, day_of=lambda _: "1970-01-01")
    seq = 0
    while seq < RECORDS:
        count = seq % 7 + 1
        writing.append([row(number) for number in range(seq + 1, seq + 1 + count)])
        seq += count
        if seq % 5 == 0:
            writing.snapshot(ChildSnapshot("small", seq, b"s" * 300))
            writing.snapshot(ChildSnapshot("large", seq, bytes(range(256)) * 40))
        assert writing.flush(10)
    writing.close(clean=True)
    shutil.copy(folder / DAY, folder / "before")
    shutil.copy(folder / "head", folder / "head.before")
    writing = LmdbJournal.open(folder, day_of=lambda _: "1970-01-01")
    writing.append([row(number) for number in range(seq + 1, seq + 60)])
    writing.close(clean=True)
    return folder


def row(seq: int) -> tuple[int, bytes]:
    body = msgspec.Raw(msgspec.msgpack.encode("x" * (seq % 200)))
    return seq, encode_record(Record(seq, 0, seq - 1, -1, "feed", 1, ("position/EURUSD",), body))


def damaged(journal: Path, scratch: Path, kind: str, count: int) -> Iterator[str]:
    """What came of each of `count` damages: what the process said, or `died` with the signal that ended it."""
    number = 1
    while number <= count:
        command = [sys.executable, str(DAMAGER), str(journal), str(scratch), kind, str(number), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        lines = [line.partition("\t")[2] for line in done.stdout.splitlines()]
        if done.returncode:
            assert done.returncode < 0, done.stderr
            lines[-1] = f"died of signal {-done.returncode}: {done.stderr.strip()[-200:]}"
        yield from lines
        number += len(lines)


@pytest.mark.timeout(300)
def test_every_flipped_bit_that_changes_anything_is_found(journal: Path, tmp_path: Path) -> None:
    """LMDB itself ends the process on a few damaged page headers, which is loud; nothing may go on as if it were whole."""
    came_of_it = list(damaged(journal, tmp_path / "scratch", "flip", FLIPS))
    assert len(came_of_it) == FLIPS
    assert [outcome for outcome in came_of_it if outcome == "MISSED"] == []
    found = [outcome for outcome in came_of_it if outcome.startswith("found: ")]
    assert [outcome for outcome in found if DAY not in outcome and "head: " not in outcome] == []
    assert len([outcome for outcome in found if "record" in outcome]) > FLIPS / 4
    assert len([outcome for outcome in came_of_it if outcome.startswith("died")]) <= FLIPS / 50


def test_a_file_that_was_cut_short_is_refused_and_ends_no_process(journal: Path, tmp_path: Path) -> None:
    pages = (journal / DAY).stat().st_size // 4096
    came_of_it = list(damaged(journal, tmp_path / "scratch", "cut", pages + 20))
    assert len(came_of_it) == pages + 20
    assert [outcome for outcome in came_of_it if not outcome.startswith(f"found: {DAY}: ")] == []


def test_a_commit_that_half_reached_the_disk_is_there_or_not_there_or_found(journal: Path, tmp_path: Path) -> None:
    """What a disk that lies about its order leaves after a power cut. The head outside knows only of the commit before."""
    came_of_it = list(damaged(journal, tmp_path / "scratch", "torn", TORN))
    assert len(came_of_it) == TORN
    assert [outcome for outcome in came_of_it if outcome == "MISSED"] == []
    assert "earlier" in came_of_it
    assert [outcome for outcome in came_of_it if outcome.startswith("found: ")]
