"""The journal on disk: one LMDB environment a trading day, and the anchor beside them.

    <day>.journal   records    seq -> body
                    commits    last seq -> first seq, digest        (the chain: SHA-256 of the digest before and the bodies)
                    snapshots  child -> SHA-256, snapshot
                    meta       previous: the head that the chain goes on from;  clean: the last end was in order
    head            seq and digest of a head, in text: a lost tail inside the environment is otherwise invisible

Every LMDB error leaves here as a JournalError that begins with the file's name.
"""

import contextlib
import hashlib
import itertools
import os
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Self

import lmdb
import msgspec

from evenkeel.adapters.lmdb_env import FileCutShort, environment, pages
from evenkeel.adapters.os import sync_file, write_durably
from evenkeel.runtime.journal import ChildSnapshot, JournalClosed, JournalCorrupt, JournalError, Record, decode_record

RECORDS_PER_READ: Final = 1000
COMMITS_PER_CHECK: Final = 256
HEAD: Final = "head"
SUFFIX: Final = ".journal"
_TABLES: Final = (b"records", b"commits", b"snapshots", b"meta")
_DAMAGE: Final = (lmdb.CorruptedError, lmdb.InvalidError, lmdb.NotFoundError, lmdb.PageNotFoundError, lmdb.VersionMismatchError)
_SEQ: Final = struct.Struct(">Q")
_SHA_BYTES: Final = 32

_snapshot_encoder = msgspec.msgpack.Encoder()
_snapshot_decoder: msgspec.msgpack.Decoder[ChildSnapshot] = msgspec.msgpack.Decoder(ChildSnapshot)


class Head(NamedTuple):
    """The end of the chain after a commit: the number of its last record, and the digest over everything up to it."""

    seq: int
    digest: bytes

    def after(self, records: Sequence[tuple[int, bytes]]) -> "Head":
        digest = hashlib.sha256(self.digest)
        for _, body in records:
            digest.update(body)
        return Head(records[-1][0], digest.digest())


START: Final = Head(0, bytes(_SHA_BYTES))


class Reading(NamedTuple):
    """Process `pid` reads the file as it was after `commit`, `commits_behind` ago; no page freed since then is used again."""

    pid: int
    commit: int
    commits_behind: int


class DayFile:
    """The environment of one trading day. May be used by several threads, but only one may commit.

    `map_size` 0 takes the size that the owner gave it. `lock` False is for a copy, which nobody writes.
    """

    def __init__(self, path: Path, *, map_size: int = 0, readonly: bool = True, lock: bool = True) -> None:
        self.path = path
        self.day = path.stem
        with _naming(path), contextlib.ExitStack() as undo:
            opened = environment(path, map_size=map_size, readonly=readonly, max_dbs=len(_TABLES), lock=lock)
            self._env = undo.enter_context(opened)
            tables = [self._env.open_db(name, create=False) for name in _TABLES]
            self._records, self._commits, self._snapshots, self._meta = tables
            self._env.reader_check()
            with self._env.begin(self._meta) as txn:
                previous = txn.get(b"previous", b"")
            self.previous = Head(int.from_bytes(previous[: _SEQ.size]), previous[_SEQ.size :])
            undo.pop_all()

    @staticmethod
    def found(path: Path, *, map_size: int, previous: Head, snapshots: Iterable[ChildSnapshot]) -> None:
        """Create the file of a new day, which goes on from `previous`. It gets its name when it is complete.

        The name is durable after the next `write_anchor`, which syncs the folder.
        """
        unborn, lock = path.with_suffix(".new"), path.with_suffix(".new-lock")
        for leftover in (unborn, lock):
            leftover.unlink(missing_ok=True)
        making = partial(environment, unborn, map_size=map_size, readonly=False, max_dbs=len(_TABLES))
        with _naming(path), making() as env, env.begin(write=True) as txn:
            _, _, snapshot_table, meta = [env.open_db(name, txn=txn) for name in _TABLES]
            txn.put(b"previous", _SEQ.pack(previous.seq) + previous.digest, db=meta)
            for snapshot in snapshots:
                txn.put(*_snapshot_row(snapshot), db=snapshot_table)
        lock.unlink()
        unborn.rename(path)

    def commit(self, before: Head, records: Sequence[tuple[int, bytes]], snapshots: Iterable[ChildSnapshot]) -> Head:
        """Write all of it in one transaction; when it returns the new head, all of it is on the disk."""
        head = before.after(records) if records else before
        with self._transaction(write=True) as txn:
            if records:
                rows = [(_SEQ.pack(seq), body) for seq, body in records]
                txn.cursor(self._records).putmulti(rows, append=True)
                txn.put(rows[-1][0], rows[0][0] + head.digest, append=True, db=self._commits)
            for snapshot in snapshots:
                txn.put(*_snapshot_row(snapshot), db=self._snapshots)
        return head

    def head(self) -> Head:
        """The head after the last commit. Unchecked."""
        with self._transaction() as txn:
            for key, row in txn.cursor(self._commits).iterprev():
                return Head(int.from_bytes(key), row[_SEQ.size :])
        return self.previous

    def holds(self, head: Head) -> bool:
        """Whether a commit of this file, or what it goes on from, ends with `head`."""
        with self._transaction() as txn:
            row = txn.get(_SEQ.pack(head.seq), b"", db=self._commits)
        return head == self.previous or row[_SEQ.size :] == head.digest

    def snapshots(self) -> dict[str, ChildSnapshot]:
        """The newest of each child; raises JournalCorrupt when one is not what was written."""
        with self._transaction() as txn:
            rows = list(txn.cursor(self._snapshots))
        for key, row in rows:
            if hashlib.sha256(row[_SHA_BYTES:]).digest() != row[:_SHA_BYTES]:
                raise JournalCorrupt(f"{self.path.name}: the snapshot of {key!r} does not match its digest")
        found = [_snapshot_decoder.decode(row[_SHA_BYTES:]) for _, row in rows]
        return {snapshot.child: snapshot for snapshot in found}

    def rows(self, from_seq: int, count_max: int = RECORDS_PER_READ) -> list[tuple[int, bytes]]:
        """At most `count_max` records from `from_seq` on, copied: a reader that lingers makes the file grow."""
        with self._transaction() as txn:
            rows = _rows_from(txn.cursor(self._records), from_seq)
            return [(int.from_bytes(key), body) for key, body in itertools.islice(rows, count_max)]

    def check(self, start: Head) -> Head:
        """Recompute the chain from `start` to the end and return the head; raises JournalCorrupt at the first difference."""
        head = start
        while (reached := self._check_some(head)) != head:
            head = reached
        return head

    def is_clean(self) -> bool:
        with self._transaction() as txn:
            return txn.get(b"clean", db=self._meta) is not None

    def mark_clean(self, is_clean: bool) -> None:
        """Durable when it returns."""
        with self._transaction(write=True) as txn:
            if is_clean:
                txn.put(b"clean", b"yes", db=self._meta)
            else:
                txn.delete(b"clean", db=self._meta)

    def forget_dead_readers(self) -> None:
        """The slot of a reader that was killed keeps pages from being used again."""
        with _naming(self.path):
            self._env.reader_check()

    def map_used_ratio(self) -> float:
        return pages(self._env) * self._env.stat()["psize"] / self._env.info()["map_size"]

    def readings(self) -> list[Reading]:
        """Every read transaction that is open now, by any process."""
        with _naming(self.path):
            rows = [line.split() for line in self._env.readers().splitlines()[1:]]
        last_commit = self._env.info()["last_txnid"]
        return [Reading(int(pid), int(txnid), last_commit - int(txnid)) for pid, _, txnid in rows if txnid != "-"]

    def copy(self, to: Path) -> None:
        """A compact copy as the file is now, durable when it returns; the owner may go on writing. Raises OSError too."""
        with _naming(self.path):
            self._env.copy(str(to), compact=True)
        to.chmod(0o600)
        sync_file(to)

    def close(self) -> None:
        self._env.close()

    def _check_some(self, head: Head) -> Head:
        """Go on from `head` over at most COMMITS_PER_CHECK commits, in one short read transaction."""
        with self._transaction() as txn:
            records, commits = txn.cursor(self._records), txn.cursor(self._commits)
            for key, row in itertools.islice(_rows_from(commits, head.seq + 1), COMMITS_PER_CHECK):
                head = self._check_commit(head, int.from_bytes(key), row, records)
            if not commits.set_range(_SEQ.pack(head.seq + 1)) and records.set_range(_SEQ.pack(head.seq + 1)):
                raise JournalCorrupt(f"{self.path.name}: record {head.seq + 1} belongs to no commit")
        return head

    def _check_commit(self, before: Head, last_seq: int, row: bytes, records: "lmdb.Cursor[bytes]") -> Head:
        first_seq = before.seq + 1
        digest = hashlib.sha256(before.digest)
        for seq, (key, body) in zip(range(first_seq, last_seq + 1), _rows_from(records, first_seq), strict=False):
            if key != _SEQ.pack(seq):
                raise JournalCorrupt(f"{self.path.name}: record {seq} is missing")
            digest.update(body)
        if row != _SEQ.pack(first_seq) + digest.digest():
            which = f"record {last_seq}" if first_seq == last_seq else f"one of the records {first_seq} to {last_seq}"
            raise JournalCorrupt(f"{self.path.name}: {which} is not what was written")
        return Head(last_seq, digest.digest())

    @contextlib.contextmanager
    def _transaction(self, *, write: bool = False) -> "Iterator[lmdb.Transaction[bytes]]":
        with _naming(self.path), self._env.begin(write=write) as txn:
            yield txn


class DayFiles:
    """The files of one folder. Each is opened once and kept: LMDB breaks when a process opens a file twice.

    Reads take a lock for the length of one short transaction, so that `close` cannot come in between.
    """

    def __init__(self, folder: Path, *, map_size: int = 0, are_copies: bool = False) -> None:
        self.folder = folder
        self._map_size = map_size
        self._are_copies = are_copies
        self._lock = threading.Lock()
        self._open: dict[str, DayFile] = {}
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def days(self) -> list[str]:
        """ISO days, oldest first; none without a folder. A plain listing: `why` asks once for each cause."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))

    def days_from(self, from_seq: int) -> list[str]:
        """The days since the one where `from_seq` stands. Looks from the newest back: old files are not opened in vain."""
        needed: list[str] = []
        for day in reversed(self.days()):
            needed.insert(0, day)
            if self.file(day).previous.seq < from_seq:
                break
        return needed

    def file(self, day: str, *, readonly: bool = True) -> DayFile:
        """Raises JournalClosed after `close`. `readonly` counts for the first opening only."""
        with self._lock:
            return self._file(day, readonly=readonly)

    def found(self, day: str, *, previous: Head, snapshots: Iterable[ChildSnapshot]) -> DayFile:
        """Create the file of `day` and open it for writing, before a reader in this process can see it."""
        with self._lock:
            DayFile.found(self._path(day), map_size=self._map_size, previous=previous, snapshots=snapshots)
            return self._file(day, readonly=False)

    def records(self, from_seq: int, to_seq: int | None = None) -> Iterator[Record]:
        """Both included. What is committed meanwhile may or may not be among them."""
        for day in self.days_from(from_seq):
            name = self._path(day).name
            while rows := self._rows(day, from_seq, RECORDS_PER_READ):
                for seq, body in rows:
                    if to_seq is not None and seq > to_seq:
                        return
                    yield _record(name, seq, body)
                from_seq = rows[-1][0] + 1

    def record(self, seq: int) -> Record | None:
        """None where the journal does not hold it."""
        for day in self.days_from(seq)[:1]:
            for found_seq, body in self._rows(day, seq, 1):
                if found_seq == seq:
                    return _record(self._path(day).name, seq, body)
        return None

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            while self._open:
                self._open.popitem()[1].close()

    def _file(self, day: str, *, readonly: bool) -> DayFile:
        if self._is_closed:
            raise JournalClosed("closed")
        if day not in self._open:
            map_size, lock = 0 if readonly else self._map_size, not self._are_copies
            self._open[day] = DayFile(self._path(day), map_size=map_size, readonly=readonly, lock=lock)
        return self._open[day]

    def _rows(self, day: str, from_seq: int, count_max: int) -> list[tuple[int, bytes]]:
        with self._lock:
            return self._file(day, readonly=True).rows(from_seq, count_max)

    def _path(self, day: str) -> Path:
        return self.folder / f"{day}{SUFFIX}"


def read_anchor(folder: Path) -> Head | None:
    """The head as last written outside the environments; None where none was ever written."""
    try:
        seq, digest = (folder / HEAD).read_text("ascii").split()
        return Head(int(seq), bytes.fromhex(digest))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise JournalCorrupt(f"head: not a number and a digest: {error}") from error


def write_anchor(folder: Path, head: Head) -> None:
    """Replaces the old one in one step; durable when it returns, and so are the names in the folder."""
    write_durably(folder / HEAD, f"{head.seq} {head.digest.hex()}\n".encode())


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except FileCutShort as error:
        raise JournalCorrupt(str(error)) from error
    except _DAMAGE as error:
        raise JournalCorrupt(f"{path.name}: {error}") from error
    except lmdb.Error as error:
        raise JournalError(f"{path.name}: {error}") from error


def _rows_from(cursor: "lmdb.Cursor[bytes]", seq: int) -> Iterator[tuple[bytes, bytes]]:
    return cursor.iternext() if cursor.set_range(_SEQ.pack(seq)) else iter(())


def _snapshot_row(snapshot: ChildSnapshot) -> tuple[bytes, bytes]:
    body = _snapshot_encoder.encode(snapshot)
    return snapshot.child.encode(), hashlib.sha256(body).digest() + body


def _record(name: str, seq: int, body: bytes) -> Record:
    try:
        return decode_record(body)
    except JournalCorrupt as error:
        raise JournalCorrupt(f"{name}: record {seq} is {error}") from error
