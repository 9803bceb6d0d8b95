"""The minute snapshots on disk: one JSON line each, a file a day (UTC) in the account's folder, the oldest days deleted.

Lines are only appended. Whoever reads skips a line that is none: the end of a process, or of the room on the disk, may have cut
it short.
"""

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.os import private_folder
from evenkeel.rules.snapshots import Snapshot

KEPT_IN_MEMORY_MAX: Final = 10_000
"""trading_rules 2.6; a week has 10,080 minutes."""
LINE_BYTES_MAX: Final = 16_384
_SUFFIX: Final = ".jsonl"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_decoder: msgspec.json.Decoder[Snapshot] = msgspec.json.Decoder(Snapshot)


class SnapshotFiles:
    """Writes them into `folder`, which it makes. No more than `days_kept` files stay."""

    def __init__(self, folder: Path, days_kept: int) -> None:
        self._folder = folder
        self._days_kept = days_kept
        self._is_torn = True

    def put(self, snapshot: Snapshot) -> None:
        """Append a line, and forget the oldest day when a new one begins. Raises OSError or FolderNotPrivate."""
        path = private_folder(self._folder) / f"{_day_of(snapshot.utc_ms)}{_SUFFIX}"
        is_new = not path.exists()
        line = msgspec.json.encode(snapshot) + b"\n"
        with open(path, "ab", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            if self._is_torn and file.tell():
                line = b"\n" + line  # what was written last may have been cut short
            self._is_torn = True
            if file.write(line) < len(line):
                raise OSError("only a part of the line was written")
        self._is_torn = False
        if is_new:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        for path in files_of(self._folder)[: -self._days_kept]:
            with contextlib.suppress(OSError):
                path.unlink()


def files_of(folder: Path) -> list[Path]:
    """The files that are there, oldest day first; none where there is no folder. Raises OSError."""
    return sorted(folder.glob(f"????-??-??{_SUFFIX}"))


def read_snapshots(folder: Path, *, from_utc_ms: int = 0, to_utc_ms: int | None = None) -> Iterator[Snapshot]:
    """Those from `from_utc_ms` on and before `to_utc_ms`, by the run's clock, oldest first, one at a time.

    Lines that are no snapshot of this version are passed over. Raises OSError when a file cannot be read.
    """
    first, last = _day_of(from_utc_ms), "9999" if to_utc_ms is None else _day_of(to_utc_ms)
    for path in files_of(folder):
        if not first <= path.stem <= last:
            continue
        for snapshot in _in_file(path):
            if from_utc_ms <= snapshot.utc_ms and (to_utc_ms is None or snapshot.utc_ms < to_utc_ms):
                yield snapshot


def newest_snapshots(folder: Path, count_max: int = KEPT_IN_MEMORY_MAX) -> list[Snapshot]:
    """The last ones, oldest first, at most KEPT_IN_MEMORY_MAX. Raises OSError."""
    wanted, parts = min(count_max, KEPT_IN_MEMORY_MAX), deque[list[Snapshot]]()
    have = 0
    for path in reversed(files_of(folder)):
        if have >= wanted:
            break
        parts.appendleft(list(deque(_in_file(path), maxlen=wanted - have)))
        have += len(parts[0])
    return [snapshot for part in parts for snapshot in part]


def _in_file(path: Path) -> Iterator[Snapshot]:
    with open(path, "rb") as file:
        while line := file.readline(LINE_BYTES_MAX):
            try:
                yield _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue


def _day_of(utc_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=utc_ms)).date().isoformat()
