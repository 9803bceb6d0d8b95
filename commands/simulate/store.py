"""A journal in memory whose disk may fail: it keeps what was committed, and may lose, tear or refuse the rest."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from evenkeel.adapters.chain_store import MemoryChains
from evenkeel.runtime.journal import ChildSnapshot, JournalClosed, JournalCorrupt, Record, decode_record

SNAPSHOTS_KEPT: Final = 3
"""Of each child: who loses the newest goes back to the one before, as a store does whose last transactions are gone."""
_SEED: Final = b"evenkeel"


class Backup(NamedTuple):
    """A copy of what was durable: how many records, and the snapshots of that time."""

    last_seq: int
    snapshots: dict[str, ChildSnapshot]


class TearingStore:
    """Implements `runtime.journal.Journal`. Nothing is durable before `commit`.

    `on_commit` is called before each commit that writes something: it may raise, as a process does that dies there. Records
    that no snapshot needs any more are let go of by `forget`; `digest` goes over all that were ever committed.
    """

    def __init__(self, on_commit: Callable[[], None] = lambda: None) -> None:
        self._snapshots: dict[str, list[ChildSnapshot]] = {}
        self.refusal: str | None = None
        self.commits = 0
        self._on_commit = on_commit
        self._records: list[tuple[int, bytes, bytes]] = []
        self._pending: list[tuple[int, bytes]] = []
        self._pending_snapshots: list[ChildSnapshot] = []
        self._together: dict[int, int] = {}
        self._first_seq = 1
        self._chain = hashlib.sha256(_SEED).digest()
        self._unflipped: tuple[int, bytes] | None = None
        self._chains: dict[str, MemoryChains] = {}

    @property
    def durable_seq(self) -> int:
        return self._records[-1][0] if self._records else self._first_seq - 1

    @property
    def read_from(self) -> int:
        """The oldest record that is kept."""
        return self._first_seq

    @property
    def is_behind(self) -> bool:
        """Something waits for a commit."""
        return bool(self._pending or self._pending_snapshots)

    @property
    def last_utc_ms(self) -> int:
        return decode_record(self._records[-1][1]).time_utc_ms if self._records else 0

    @property
    def snapshots(self) -> dict[str, ChildSnapshot]:
        """The newest of each child."""
        return {name: kept[-1] for name, kept in self._snapshots.items()}

    @property
    def digest(self) -> str:
        return self._chain.hex()

    def chain_store(self, plugin: str) -> MemoryChains:
        """The chains of a strategy; a write of theirs is on the disk at once, and no crash takes it."""
        return self._chains.setdefault(plugin, MemoryChains(plugin))

    def append(self, records: Sequence[tuple[int, bytes]]) -> None:
        if self.refusal is not None:
            raise JournalClosed(self.refusal)
        self._pending += records
        for seq, _ in records[1:]:
            self._together[seq] = records[0][0]

    def snapshot(self, snapshot: ChildSnapshot) -> None:
        if self.refusal is not None:
            raise JournalClosed(self.refusal)
        self._pending_snapshots.append(snapshot)

    def on_durable(self, listener: Callable[[], None]) -> None:
        """Whoever steps the world looks after each commit."""

    def flush(self, timeout_s: float) -> bool:
        """The disk answers at once or not in time."""
        if self.refusal is None:
            self.commit()
        return self.refusal is None

    def commit(self) -> None:
        """All that waits becomes durable, in one transaction."""
        if not self.is_behind or self.refusal is not None:
            return
        self._on_commit()
        self.commits += 1
        for seq, body in self._pending:
            assert seq == self.durable_seq + 1, f"record {seq} after {self.durable_seq}"
            self._chain = hashlib.sha256(self._chain + body).digest()
            self._records.append((seq, body, self._chain))
        for snapshot in self._pending_snapshots:
            kept = self._snapshots.setdefault(snapshot.child, [])
            kept.append(snapshot)
            del kept[:-SNAPSHOTS_KEPT]
        self._pending, self._pending_snapshots = [], []

    def read(self, from_seq: int, to_seq: int | None = None) -> Iterator[Record]:
        first, last = max(0, from_seq - self._first_seq), None if to_seq is None else max(0, to_seq + 1 - self._first_seq)
        return (decode_record(body) for _, body, _ in self._records[first:last])

    def close(self, *, clean: bool) -> None:
        """Memory has nothing to let go of."""

    # -- what disks do --------------------------------------------------------------------------------------------------

    def crash(self, lost_records: int = 0) -> int:
        """The process is gone with all that waited; the newest `lost_records` were never really written. Returns how many
        of those there were. Snapshots that knew of them are lost with them."""
        self._pending, self._pending_snapshots, self.refusal = [], [], None
        lost = min(lost_records, len(self._records))
        if lost:
            self._cut_to(self._records[-lost][0] - 1)
        return lost

    def backup(self) -> Backup:
        return Backup(self.durable_seq, self.snapshots)

    def restore(self, backup: Backup) -> None:
        """What came after `backup` never was, and what was flipped since is as it was."""
        self.crash()
        if self._unflipped is not None:
            seq, body = self._unflipped
            self._records[seq - self._first_seq] = seq, body, self._records[seq - self._first_seq][2]
            self._unflipped = None
        self._cut_to(backup.last_seq)
        self._snapshots = {name: [one] for name, one in backup.snapshots.items()}

    def flip(self, index: int, bit: int) -> None:
        """One bit of the `index`-th record that is kept is another now; a backup was taken before."""
        seq, body, chain = self._records[index % len(self._records)]
        at = bit % (8 * len(body))
        flipped = bytearray(body)
        flipped[at // 8] ^= 1 << at % 8
        self._records[index % len(self._records)] = seq, bytes(flipped), chain
        self._unflipped = seq, body

    def verify(self) -> None:
        """Raises JournalCorrupt with the first record that is not what was written."""
        before = None
        for seq, body, chain in self._records:
            if before is not None and hashlib.sha256(before + body).digest() != chain:
                raise JournalCorrupt(f"record {seq} is not what was written")
            before = chain

    def forget(self) -> None:
        """Let go of records that no snapshot needs any more; one at least is kept."""
        before_seq = min(one.upto_seq for kept in self._snapshots.values() for one in kept)
        keep_from = min(max(0, before_seq - self._first_seq), max(0, len(self._records) - 1))
        if keep_from:
            self._together = {seq: first for seq, first in self._together.items() if seq >= before_seq}
            self._first_seq = self._records[keep_from][0]
            del self._records[:keep_from]

    def _cut_to(self, last_seq: int) -> None:
        """What was said together stays or goes together, as in one transaction."""
        last_seq = self._together.get(last_seq + 1, last_seq + 1) - 1
        keep = max(0, last_seq + 1 - self._first_seq)
        del self._records[keep:]
        self._chain = self._records[-1][2] if self._records else hashlib.sha256(_SEED).digest()
        older = {name: [one for one in kept if one.upto_seq <= last_seq] for name, kept in self._snapshots.items()}
        self._snapshots = {name: kept for name, kept in older.items() if kept}
