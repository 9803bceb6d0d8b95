"""The chain store of a plugin on disk, a folder and an LMDB file of its own.

    chains/PLUGIN/chains.lmdb   store  -> what it was declared as
                                chains: chain id -> SHA-256 (16 bytes), msgpack        active: chain id -> nothing
                                ended:  time, chain id -> nothing                      days:   trading day -> recoveries

StateError (adapters.os)
└── ChainTypeDiffers    the store was declared as another type, or is another plugin's; a person decides

A file that is damaged is never made anew: a person moves it away, and the next start writes the chains of the journal into
a new one.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import lmdb
import msgspec

from evenkeel.adapters.chain_store import StoreUnusable
from evenkeel.adapters.lmdb_env import FileCutShort, environment
from evenkeel.adapters.os import StateError, private_folder
from evenkeel.config.chains import ChainType
from evenkeel.messages.chain_store import StoreFailure
from evenkeel.rules.chain_store import (
    DAYS_KEPT,
    ENDED_KEPT,
    ID_BYTES_MAX,
    ROW_BYTES_MAX,
    Refusal,
    Row,
    is_over,
    newest_first,
    recoveries_begun,
    written,
)

FILE_NAME: Final = "chains.lmdb"
MAP_BYTES: Final = 64 << 20
FORMAT: Final = 1
_DECLARED: Final = b"store"
_SHA_BYTES: Final = 16
_TABLES: Final = (b"chains", b"active", b"ended", b"days")
_decoder: msgspec.msgpack.Decoder[Row] = msgspec.msgpack.Decoder(Row)


class ChainTypeDiffers(StateError):
    """Going on would put chains of one kind among those of another."""


class Declared(msgspec.Struct, frozen=True):
    """Whose the store is and of which type; fixed when it is made."""

    plugin: str
    chain_type: ChainType
    format: int = FORMAT


class LmdbChains:
    """The store of `plugin` in `folder`, opened by its first use. One a process and folder: LMDB breaks when a process opens
    a file twice. One that could not be opened is tried again by the next use. `day_of` names the trading day of a time.
    """

    def __init__(
        self,
        folder: Path,
        declared: Declared,
        day_of: Callable[[int], str],
        *,
        map_bytes: int = MAP_BYTES,
        ended_kept: int = ENDED_KEPT,
        readonly: bool = False,
    ) -> None:
        self._path = folder / FILE_NAME
        self._declared = declared
        self._day_of = day_of
        self._map_bytes = map_bytes
        self._ended_kept = ended_kept
        self._readonly = readonly
        self._env: lmdb.Environment | None = None
        self._tables: list[object] = []

    def check(self) -> None:
        """Open it. Raises ChainTypeDiffers or StoreUnusable."""
        with self._transaction(write=False):
            pass

    def save(self, row: Row) -> Refusal | None:
        if len(row.chain_id.encode()) > ID_BYTES_MAX:
            return Refusal(StoreFailure.UNWRITABLE, f"a chain id of more than {ID_BYTES_MAX} bytes: {row.chain_id[:40]}...")
        with self._transaction(write=True) as txn:
            found = self._row(txn, row.chain_id)
            kept = written(self._declared.plugin, found, row)
            if isinstance(kept, Refusal):
                return kept
            if kept == found:
                return None
            return self._write(txn, found, kept)

    def put(self, row: Row) -> None:
        with self._transaction(write=True) as txn:
            refusal = self._write(txn, self._row(txn, row.chain_id), row)
            if refusal is not None:
                raise StoreUnusable(refusal.detail)

    def row(self, chain_id: str) -> Row | None:
        with self._transaction(write=False) as txn:
            return self._row(txn, chain_id)

    def active(self) -> list[Row]:
        with self._transaction(write=False) as txn:
            return newest_first(self._found(txn, key) for key, _ in txn.cursor(self._table(b"active")))

    def all(self) -> list[Row]:
        """Those that are over too, newest first."""
        with self._transaction(write=False) as txn:
            return newest_first(self._found(txn, key) for key, _ in txn.cursor(self._table(b"chains")))

    def recoveries(self, day: str) -> int:
        with self._transaction(write=False) as txn:
            return int(txn.get(day.encode(), b"0", db=self._table(b"days")))

    def close(self) -> None:
        if self._env is not None:
            self._env.close()
            self._env = None

    def _write(self, txn: "lmdb.Transaction[bytes]", found: Row | None, row: Row) -> Refusal | None:
        key, body = row.chain_id.encode(), msgspec.msgpack.encode(row)
        if len(body) > ROW_BYTES_MAX:
            return Refusal(StoreFailure.UNWRITABLE, f"chain {row.chain_id} has {len(body)} bytes, {ROW_BYTES_MAX} are allowed")
        active, ended = self._table(b"active"), self._table(b"ended")
        if found is not None and is_over(found):
            txn.delete(_ended_key(found), db=ended)
        txn.put(key, _digest(body) + body, db=self._table(b"chains"))
        if is_over(row):
            txn.delete(key, db=active)
            txn.put(_ended_key(row), b"", db=ended)
        else:
            txn.put(key, b"", db=active)
        self._count(txn, self._day_of(row.updated_utc_ms), recoveries_begun(found, row))
        self._forget_oldest(txn)
        return None

    def _count(self, txn: "lmdb.Transaction[bytes]", day: str, begun: int) -> None:
        if begun:
            days = self._table(b"days")
            txn.put(day.encode(), str(int(txn.get(day.encode(), b"0", db=days)) + begun).encode(), db=days)

    def _forget_oldest(self, txn: "lmdb.Transaction[bytes]") -> None:
        ended, days = self._table(b"ended"), self._table(b"days")
        while txn.stat(ended)["entries"] > self._ended_kept:
            oldest = next(iter(txn.cursor(ended)))[0]
            txn.delete(oldest, db=ended)
            txn.delete(oldest[8:], db=self._table(b"chains"))
        while txn.stat(days)["entries"] > DAYS_KEPT:
            txn.delete(next(iter(txn.cursor(days)))[0], db=days)

    def _row(self, txn: "lmdb.Transaction[bytes]", chain_id: str) -> Row | None:
        key = chain_id.encode()
        return None if txn.get(key, db=self._table(b"chains")) is None else self._found(txn, key)

    def _found(self, txn: "lmdb.Transaction[bytes]", key: bytes) -> Row:
        """Raises StoreUnusable when the row is not what was written."""
        row = txn.get(key, b"", db=self._table(b"chains"))
        digest, body = row[:_SHA_BYTES], row[_SHA_BYTES:]
        if _digest(body) != digest:
            raise StoreUnusable(f"{self._path}: chain {key.decode(errors='replace')} is not what was written")
        try:
            return _decoder.decode(body)
        except msgspec.DecodeError as error:
            raise StoreUnusable(f"{self._path}: chain {key.decode()} cannot be read: {error}") from error

    def _table(self, name: bytes) -> "lmdb._Database":
        return self._tables[_TABLES.index(name)]  # type: ignore[return-value]

    @property
    def declared(self) -> Declared:
        return self._declared

    @contextmanager
    def _transaction(self, *, write: bool) -> "Iterator[lmdb.Transaction[bytes]]":
        try:
            env = self._env or self._opened()
            with env.begin(write=write) as txn:
                yield txn
        except StoreUnusable:
            raise
        except lmdb.PanicError as error:
            self.close()  # its page of the present could not be written; only a file that is opened again can be used
            raise StoreUnusable(_text(self._path, error)) from error
        except (lmdb.Error, FileCutShort, OSError) as error:
            raise StoreUnusable(_text(self._path, error)) from error

    def _opened(self) -> lmdb.Environment:
        if not self._readonly:
            for folder in (self._path.parent.parent, self._path.parent):
                private_folder(folder)
        env = self._env = environment(self._path, map_size=self._map_bytes, readonly=self._readonly, max_dbs=len(_TABLES))
        try:
            self._declare(env)
        except BaseException:
            self.close()
            raise
        return env

    def _declare(self, env: lmdb.Environment) -> None:
        """What it was made for; a new store becomes ours. Raises ChainTypeDiffers."""
        if not self._readonly:
            self._tables = [env.open_db(name) for name in _TABLES]
        with env.begin(write=not self._readonly) as txn:
            stored = txn.get(_DECLARED)
            if stored is None and not self._readonly:
                stored = msgspec.msgpack.encode(self._declared)
                txn.put(_DECLARED, stored)
        found = _declared_in(self._path, stored)
        if found != self._declared:
            held = f"{found.plugin}, declared {found.chain_type} (format {found.format})"
            wanted = f"{self._declared.plugin}, {self._declared.chain_type} (format {FORMAT})"
            raise ChainTypeDiffers(
                f"{self._path} holds chains of {held}; configured is {wanted}: set chain_type back, or move the folder away"
            )
        if self._readonly:
            self._tables = [env.open_db(name, create=False) for name in _TABLES]


def opened_to_read(folder: Path) -> LmdbChains | None:
    """The store in `folder`, whatever it was declared as; None where there is none. Raises StoreUnusable."""
    declared = read_declared(folder)
    return None if declared is None else LmdbChains(folder, declared, lambda _: "", readonly=True)


def read_declared(folder: Path) -> Declared | None:
    """What the store in `folder` was made for, None where there is none. Not in the writer's process. Raises StoreUnusable."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        with environment(path, map_size=MAP_BYTES, readonly=True, max_dbs=0) as env, env.begin() as txn:
            return _declared_in(path, txn.get(_DECLARED))
    except (lmdb.Error, FileCutShort) as error:
        raise StoreUnusable(_text(path, error)) from error


def _declared_in(path: Path, stored: bytes | None) -> Declared:
    try:
        return msgspec.msgpack.decode(stored or b"", type=Declared)
    except msgspec.DecodeError as error:
        raise StoreUnusable(f"{path} does not say what it was made for: {error}") from error


def _text(path: Path, error: Exception) -> str:
    """LMDB names the file in some of its errors, and in others not."""
    told = str(error)
    return told if told.startswith(str(path)) else f"{path}: {told}"


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_SHA_BYTES]


def _ended_key(row: Row) -> bytes:
    return row.ended_utc_ms.to_bytes(8, "big") + row.chain_id.encode()
