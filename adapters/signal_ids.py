"""The ids of signals from outside, on disk: what was raised once is never raised again, whatever dies in between.

    signals.lmdb    ids      id -> Kept, in msgpack
                    begun -> how many ids were ever begun
                    times    when it came (big endian), id -> nothing: the order in which they are forgotten

Several processes may use the file. One process opens it once: LMDB breaks when a process opens a file twice.

Exception
└── IdsUnusable    the file cannot be read or written, or is full: nothing may be raised
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import lmdb
import msgspec

from evenkeel.adapters.lmdb_env import FileCutShort, environment

FILE_NAME: Final = "signals.lmdb"
KEPT_MS: Final = 24 * 3_600_000
"""Longer than any signal may be old (`webhooks.age_s_max`), also after that was made longer."""
IDS_MAX: Final = 100_000
MAP_BYTES: Final = 128 << 20
FORGOTTEN_AT_ONCE: Final = 100
_TIME: Final = struct.Struct(">Q")
_BEGUN: Final = b"begun"
End = Literal["pending", "raised", "accepted", "refused"]


class IdsUnusable(Exception):
    """One line; a person makes room, or looks at the file."""


class Kept(msgspec.Struct, frozen=True):
    """`pending`: it was remembered, and nobody knows whether the supervisor was asked. `number` counts the ids begun."""

    digest: str
    end: End = "pending"
    detail: str = ""
    since_utc_ms: int = 0
    number: int = 0


_decoder: msgspec.msgpack.Decoder[Kept] = msgspec.msgpack.Decoder(Kept)


class SignalIds:
    """The file `path`, whose folder must exist. Everything is on the disk when its method returns. Raises IdsUnusable."""

    def __init__(self, path: Path, *, ids_max: int = IDS_MAX) -> None:
        self._path = path
        self._ids_max = ids_max
        try:
            self._env = environment(path, map_size=MAP_BYTES, readonly=False, max_dbs=2)
            self._ids, self._times = self._env.open_db(b"ids"), self._env.open_db(b"times")
        except (lmdb.Error, FileCutShort, OSError) as error:
            raise IdsUnusable(f"{path}: {error}") from error

    def kept(self, signal_id: str) -> Kept | None:
        with self._transaction(write=False) as txn:
            return self._found(txn, signal_id.encode())

    def begin(self, signal_id: str, digest: str, now_utc_ms: int) -> Kept | None:
        """Remember an id that is about to be asked for, as pending. One that is known already is given back as it is."""
        key = signal_id.encode()
        with self._transaction(write=True) as txn:
            self._forget_old(txn, now_utc_ms)
            if (found := self._found(txn, key)) is not None:
                return found
            if txn.stat(self._ids)["entries"] >= self._ids_max:
                raise IdsUnusable(f"{self._path.name} holds {self._ids_max} ids of the last day: no more are taken")
            number = int(txn.get(_BEGUN, b"0")) + 1
            txn.put(_BEGUN, str(number).encode())
            self._put(txn, key, Kept(digest, since_utc_ms=now_utc_ms, number=number))
        return None

    def settle(self, signal_id: str, kept: Kept) -> None:
        """What came of an id that was begun, perhaps by another process that has forgotten it since."""
        key = signal_id.encode()
        with self._transaction(write=True) as txn:
            found = self._found(txn, key)
            if found is not None:
                kept = msgspec.structs.replace(kept, since_utc_ms=found.since_utc_ms, number=found.number)
            self._put(txn, key, kept)

    def begun_since(self, kept: Kept) -> int:
        """How many ids were begun after this one."""
        with self._transaction(write=False) as txn:
            return int(txn.get(_BEGUN, b"0")) - kept.number

    def forget(self, signal_id: str) -> None:
        """Nobody was asked: the same signal may come again."""
        key = signal_id.encode()
        with self._transaction(write=True) as txn:
            found = self._found(txn, key)
            if found is not None:
                txn.delete(key, db=self._ids)
                txn.delete(_TIME.pack(found.since_utc_ms) + key, db=self._times)

    def close(self) -> None:
        self._env.close()

    def _put(self, txn: "lmdb.Transaction[bytes]", key: bytes, kept: Kept) -> None:
        txn.put(key, msgspec.msgpack.encode(kept), db=self._ids)
        txn.put(_TIME.pack(kept.since_utc_ms) + key, b"", db=self._times)

    def _forget_old(self, txn: "lmdb.Transaction[bytes]", now_utc_ms: int) -> None:
        before = _TIME.pack(max(0, now_utc_ms - KEPT_MS))
        for _ in range(FORGOTTEN_AT_ONCE):
            oldest = next((key for key, _ in txn.cursor(self._times)), None)
            if oldest is None or oldest[: _TIME.size] >= before:
                return
            txn.delete(oldest, db=self._times)
            txn.delete(oldest[_TIME.size :], db=self._ids)

    def _found(self, txn: "lmdb.Transaction[bytes]", key: bytes) -> Kept | None:
        row = txn.get(key, db=self._ids)
        return None if row is None else _decoder.decode(row)

    @contextmanager
    def _transaction(self, *, write: bool) -> "Iterator[lmdb.Transaction[bytes]]":
        try:
            with self._env.begin(write=write) as txn:
                yield txn
        except (lmdb.Error, msgspec.DecodeError, OSError) as error:
            raise IdsUnusable(f"{self._path}: {error}") from error
