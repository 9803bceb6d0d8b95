"""The one total order: what a record is, and what the runtime asks of whoever keeps it.

JournalError
├── JournalClosed      the writer met a commit error or was closed; nothing more is accepted
└── JournalCorrupt     a record, a commit digest or the outside head does not match; names file and seq
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec


class JournalError(Exception):
    """Base of everything a journal raises."""


class JournalClosed(JournalError):
    """Nothing more is accepted; what was durable stays."""


class JournalCorrupt(JournalError):
    """What is on disk is not what was written."""


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message in the order of the run, with who said it and who heard it.

    `cause_seq` is the record it answers, 0 for none; `cause_row` the row of the replayed input, -1 for none.
    `body` is the encoded message: the runtime moves it, the codec reads it.
    """

    seq: int
    time_utc_ms: int
    cause_seq: int
    cause_row: int
    sender: str
    incarnation: int
    receivers: tuple[str, ...]
    body: msgspec.Raw


class ChildSnapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A child's state after it handled (an edge: heard and said) everything up to and including `upto_seq`."""

    child: str
    upto_seq: int
    state: bytes


encode_record = msgspec.msgpack.Encoder().encode
_record_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def decode_record(body: bytes) -> Record:
    """Raises JournalCorrupt when `body` is not a record."""
    try:
        return _record_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalCorrupt(f"not a record: {error}") from error


class Journal(Protocol):
    """Keeps records in the order they are appended. `append` and `snapshot` are called under the publisher's lock.

    They only enqueue and never wait for a disk; both raise JournalClosed after a commit error.
    """

    @property
    def durable_seq(self) -> int:
        """Every record up to this number survives the death of the process."""
        ...

    def append(self, records: Sequence[tuple[int, bytes]]) -> None:
        """Encoded records with their numbers; all of one call are committed in one transaction."""
        ...

    def snapshot(self, snapshot: ChildSnapshot) -> None:
        """Committed after everything appended before it; replaces the child's older one."""
        ...

    def on_durable(self, listener: Callable[[], None]) -> None:
        """`listener` is called on the writer's thread after each commit; it must not block or raise."""
        ...

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything appended so far is durable; False when it is not by then."""
        ...

    def read(self, from_seq: int, to_seq: int | None = None) -> Iterator[Record]:
        """Durable records from `from_seq` to `to_seq`, both included, in order."""
        ...

    def close(self, *, clean: bool) -> None:
        """Commit what waits and let go of the disk. `clean` marks an end in order."""
        ...


class DigestJournal:
    """Keeps nothing but a SHA-256 over everything appended: for replays, which are started again rather than resumed."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._last_seq = 0

    @property
    def durable_seq(self) -> int:
        return self._last_seq

    def append(self, records: Sequence[tuple[int, bytes]]) -> None:
        for seq, body in records:
            self._digest.update(body)
            self._last_seq = seq

    def snapshot(self, snapshot: ChildSnapshot) -> None:
        """Snapshots are no decisions; they do not enter the digest."""

    def on_durable(self, listener: Callable[[], None]) -> None:
        """Everything is durable at once; nobody needs to be told."""

    def flush(self, timeout_s: float) -> bool:
        return True

    def read(self, from_seq: int, to_seq: int | None = None) -> Iterator[Record]:
        raise JournalError("a digest keeps no records")

    def close(self, *, clean: bool) -> None:
        """Nothing to let go."""

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


class MemoryJournal(DigestJournal):
    """Keeps everything in memory as well, its numbers without a gap: for stories, comparisons and benchmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []
        self.snapshots: dict[str, ChildSnapshot] = {}

    def append(self, records: Sequence[tuple[int, bytes]]) -> None:
        super().append(records)
        self.bodies.extend(body for _, body in records)

    def snapshot(self, snapshot: ChildSnapshot) -> None:
        self.snapshots[snapshot.child] = snapshot

    def read(self, from_seq: int, to_seq: int | None = None) -> Iterator[Record]:
        if self.bodies:
            first_seq = decode_record(self.bodies[0]).seq
            to_index = None if to_seq is None else max(0, to_seq + 1 - first_seq)
            yield from map(decode_record, self.bodies[max(0, from_seq - first_seq) : to_index])
