"""The journal in LMDB: a writer thread that commits whatever waits, one file a trading day, a chain over all commits.

There is no linger timer: while one commit is on its way to the disk the next batch gathers. What is in the files, and how
they are read and checked, is `lmdb_files`. That only one process writes a folder is the account lock's work, not done here.
"""

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from evenkeel.adapters.lmdb_files import HEAD, START, DayFile, DayFiles, Head, Reading, read_anchor, write_anchor
from evenkeel.adapters.os import forget_unfinished_writes, private_folder
from evenkeel.runtime.journal import ChildSnapshot, JournalClosed, JournalCorrupt, JournalError, Record, decode_record

RECORDS_PER_COMMIT: Final = 4096
BYTES_PER_COMMIT: Final = 1 << 20
DAYS_JOINED_AT_OPEN: Final = 31
"""So many of the newest files are looked at when a journal is opened: the newest record by record, of the others the ends."""

_Records = tuple[tuple[int, bytes], ...]


class LmdbJournal:
    """Satisfies `Journal`. `last_seq`, `snapshots` and `was_clean` are what `open` found; an empty folder is clean.

    `failure` is None, or why the writer gave up: a commit is never tried again, what was durable stays readable.
    `commits` counts since `open`; `map_used_ratio` is how full the newest file is, after its last commit.
    """

    def __init__(
        self, files: DayFiles, newest: DayFile | None, head: Head, *, day_of: Callable[[int], str], anchor_every: int
    ) -> None:
        """For `open`, which has checked what is handed in here."""
        self.last_seq: Final = head.seq
        self.snapshots: Final = newest.snapshots() if newest else {}
        self.was_clean: Final = newest is None or newest.is_clean()
        self.failure: str | None = None
        self.commits = 0
        self.map_used_ratio = newest.map_used_ratio() if newest else 0.0
        self._files, self._newest, self._head = files, newest, head
        self._day_of, self._anchor_every, self._anchored_seq = day_of, anchor_every, head.seq
        self._listeners: list[Callable[[], None]] = []
        self._waiting: deque[_Records | ChildSnapshot] = deque()
        self._appended_seq = head.seq
        self._accepted = self._settled = 0
        self._is_closing = self._has_ended = self._ends_clean = False
        lock = threading.Lock()
        self._arrived, self._changed = threading.Condition(lock), threading.Condition(lock)
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._pid = os.getpid()

    @classmethod
    def open(
        cls, folder: Path, *, day_of: Callable[[int], str], map_size: int = 1 << 30, anchor_every: int = 1000
    ) -> "LmdbJournal":
        """Check what is there and go on from it; raises JournalCorrupt with file and record when it is not what was written.

        `day_of` gives the ISO trading day of an instant in UTC ms. Each day's file may grow to `map_size` bytes.
        """
        private_folder(folder)
        forget_unfinished_writes(folder / HEAD)
        with ExitStack() as undo:
            files = undo.enter_context(DayFiles(folder, map_size=map_size))
            anchor, days = read_anchor(folder), files.days()
            newest = files.file(days[-1], readonly=False) if days else None
            head = _checked_head(files, newest)
            _check_anchor(anchor, files, head)
            journal = cls(files, newest, head, day_of=day_of, anchor_every=anchor_every)
            if newest:
                newest.mark_clean(False)
            if anchor is None:
                write_anchor(folder, head)
            undo.pop_all()
        journal._writer.start()
        return journal

    @property
    def durable_seq(self) -> int:
        return self._head.seq

    @property
    def head(self) -> tuple[int, str]:
        """The last durable record and the digest, in hex, of everything up to it."""
        return self._head.seq, self._head.digest.hex()

    def append(self, records: Sequence[tuple[int, bytes]]) -> None:
        """Numbers go on without a gap. The call belongs to the trading day of its first record."""
        if not records:
            return
        for seq, _ in records:
            assert seq == self._appended_seq + 1, f"record {seq} after record {self._appended_seq}"
            self._appended_seq = seq
        self._accept(tuple(records))

    def snapshot(self, snapshot: ChildSnapshot) -> None:
        assert 0 < self._appended_seq >= snapshot.upto_seq, "a snapshot comes after a record"
        self._accept(snapshot)

    def on_durable(self, listener: Callable[[], None]) -> None:
        """Also called once when the writer gives up: see `failure`."""
        self._listeners.append(listener)

    def flush(self, timeout_s: float) -> bool:
        with self._changed:
            target = self._accepted
            self._changed.wait_for(lambda: self._settled >= target or self._has_ended, timeout_s)
            return self._settled >= target

    def read(self, from_seq: int, to_seq: int | None = None) -> Iterator[Record]:
        """Works until `close`, also after a failure. Raises JournalCorrupt for what is no record."""
        durable_seq = self.durable_seq
        return self._files.records(from_seq, durable_seq if to_seq is None else min(to_seq, durable_seq))

    def readings(self) -> list[Reading]:
        """The read transactions that are open in the newest file, after those of dead processes are forgotten. Any thread."""
        newest = self._newest
        if newest is None:
            return []
        newest.forget_dead_readers()
        return newest.readings()

    def close(self, *, clean: bool) -> None:
        """Waits for the disk without a limit: who has a deadline calls `flush` first. After a failure no end is clean."""
        with self._arrived:
            if not self._is_closing:
                self._is_closing, self._ends_clean = True, clean
            self._arrived.notify()
        self._writer.join()
        self._files.close()

    def _accept(self, item: _Records | ChildSnapshot) -> None:
        assert os.getpid() == self._pid, "a journal does not survive a fork"
        with self._arrived:
            if self._is_closing or self._has_ended:
                raise JournalClosed(self.failure or "closed")
            self._waiting.append(item)
            self._accepted += 1
            self._arrived.notify()

    def _write(self) -> None:
        """The writer's thread. Whatever ends it, nothing more is accepted and nobody waits for it in vain."""
        failure: str | None = "the writer ended by an error of its own"
        try:
            while batch := self._next_batch():
                self._commit(batch)
                self._settle(len(batch))
            self._end()
            failure = None
        except (JournalError, OSError) as error:
            failure = str(error)
        finally:
            self._give_up(failure)

    def _next_batch(self) -> list[_Records | ChildSnapshot]:
        """Wait for something, then take what is there, until a cap is passed; empty when the journal is closed."""
        batch: list[_Records | ChildSnapshot] = []
        records = size = 0
        with self._arrived:
            self._arrived.wait_for(lambda: self._waiting or self._is_closing)
            while self._waiting and records < RECORDS_PER_COMMIT and size < BYTES_PER_COMMIT:
                item = self._waiting.popleft()
                batch.append(item)
                if isinstance(item, ChildSnapshot):
                    size += len(item.state)
                else:
                    records += len(item)
                    size += sum(len(body) for _, body in item)
        return batch

    def _commit(self, batch: list[_Records | ChildSnapshot]) -> None:
        """One transaction, or one for each trading day that the batch touches."""
        start = 0
        for index, day in self._new_days(batch):
            self._commit_piece(batch[start:index])
            self._rotate(day)
            start = index
        self._commit_piece(batch[start:])

    def _new_days(self, batch: list[_Records | ChildSnapshot]) -> list[tuple[int, str]]:
        """Where in the batch a later day begins. Time never goes back, so the last append tells whether to look."""
        appends = [(index, item) for index, item in enumerate(batch) if not isinstance(item, ChildSnapshot)]
        day = self._newest.day if self._newest else ""
        if not appends or self._day(appends[-1][1]) <= day:
            return []
        found = []
        for index, records in appends:
            if (later := self._day(records)) > day:
                found.append((index, later))
                day = later
        return found

    def _day(self, records: _Records) -> str:
        return self._day_of(decode_record(records[0][1]).time_utc_ms)

    def _commit_piece(self, piece: list[_Records | ChildSnapshot]) -> None:
        if not piece:
            return
        assert self._newest is not None, "the first thing in a journal is a record"
        records = [record for item in piece if not isinstance(item, ChildSnapshot) for record in item]
        snapshots = [item for item in piece if isinstance(item, ChildSnapshot)]
        self._head = self._newest.commit(self._head, records, snapshots)
        self.commits += 1
        self.map_used_ratio = self._newest.map_used_ratio()
        self._tell()
        if self._head.seq - self._anchored_seq >= self._anchor_every:
            self._anchor()

    def _rotate(self, day: str) -> None:
        """The old file stays open for readers until `close`."""
        snapshots = self._newest.snapshots() if self._newest else {}
        self._newest = self._files.found(day, previous=self._head, snapshots=snapshots.values())
        self._anchor()

    def _anchor(self) -> None:
        write_anchor(self._files.folder, self._head)
        self._anchored_seq = self._head.seq
        if self._newest:
            self._newest.forget_dead_readers()

    def _end(self) -> None:
        if self._ends_clean:
            self._anchor()
            if self._newest:
                self._newest.mark_clean(True)

    def _settle(self, items: int) -> None:
        with self._changed:
            self._settled += items
            self._changed.notify_all()

    def _give_up(self, failure: str | None) -> None:
        with self._changed:
            self.failure, self._has_ended = failure, True
            self._changed.notify_all()
        if failure:
            self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


def read_folder(folder: Path, from_seq: int = 1) -> Iterator[Record]:
    """The records of a journal that another process may be writing. In the owner's process use `LmdbJournal.read`."""
    with DayFiles(folder) as files:
        yield from files.records(from_seq)


def verify(folder: Path, *, is_copy: bool = False) -> int:
    """Check every file, the joins between them and the anchor; return the number of records, or raise JournalCorrupt.

    Not in the process that owns the journal. `is_copy`: nobody writes it, and no lock files are left in it.
    """
    anchor = read_anchor(folder)
    with DayFiles(folder, are_copies=is_copy) as files:
        first, head = checked_from(files)
        _check_anchor(anchor, files, head)
    return head.seq - first.seq


def checked_from(files: DayFiles, *, trusted: Sequence[str] = ()) -> tuple[Head, Head]:
    """What the oldest file goes on from and the end of the newest, after every file and the joins between them are checked.

    Of `trusted` days, which were checked before and nobody writes, only the ends are looked at. Raises JournalCorrupt.
    """
    days = [files.file(day) for day in files.days()]
    first = head = days[0].previous if days else START
    for file in days:
        _require_join(file, head)
        if file.day in trusted:
            head = file.head()
        else:
            head = file.check(head)
            file.snapshots()
    return first, head


def _checked_head(files: DayFiles, newest: DayFile | None) -> Head:
    """All of the newest file is checked, of those before it that each ends where the next one goes on."""
    if newest is None:
        return START
    for day, next_day in itertools.pairwise(files.days()[-DAYS_JOINED_AT_OPEN:]):
        _require_join(files.file(next_day), files.file(day).head())
    return newest.check(newest.previous)


def _require_join(file: DayFile, head: Head) -> None:
    if file.previous != head:
        raise JournalCorrupt(f"{file.path.name}: does not go on from record {head.seq}, the end of the file before")


def _check_anchor(anchor: Head | None, files: DayFiles, head: Head) -> None:
    if anchor is None:
        if head != START:
            raise JournalCorrupt(f"head: missing, but the journal ends with record {head.seq}")
    elif anchor.seq > head.seq:
        raise JournalCorrupt(f"head: names record {anchor.seq}, but the journal ends with record {head.seq}: the tail is lost")
    elif anchor != START and not any(files.file(day).holds(anchor) for day in files.days_from(anchor.seq)):
        raise JournalCorrupt(f"head: record {anchor.seq} is not what was written")
