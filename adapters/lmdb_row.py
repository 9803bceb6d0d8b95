"""One value in an LMDB file of its own: the newest that was put, for whoever reads it in another process.

    NAME.lmdb       value -> SHA-256, bytes

For what may be lost, so a damaged file is simply made anew.

OSError
└── RowError    the file cannot be written or read; the text says which and why
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import lmdb

from evenkeel.adapters.lmdb_env import FileCutShort, environment
from evenkeel.adapters.os import private_folder

MAP_BYTES: Final = 16 << 20
_SHA_BYTES: Final = 32
_Result = TypeVar("_Result")


class RowError(OSError):
    """The value cannot be written or read; the text says which file and why."""


class LmdbRow:
    """Keeps the newest value in the file `path`, under `key`. One a process and file: LMDB breaks when a process opens it
    twice."""

    def __init__(self, path: Path, key: bytes) -> None:
        private_folder(path.parent)
        self._path, self._key = path, key
        self._env: lmdb.Environment | None = None

    def put(self, value: bytes) -> None:
        """Replace it, durably; a damaged file is made anew. Raises RowError or another OSError."""
        try:
            self._write(value)
        except _Damaged:
            self.close()
            for path in (self._path, _lock_of(self._path)):
                path.unlink(missing_ok=True)
            self._write(value)

    def close(self) -> None:
        """`put` opens it again."""
        if self._env is not None:
            self._env.close()
            self._env = None

    def _write(self, value: bytes) -> None:
        def write() -> None:
            env = self._env = self._env or _environment(self._path, readonly=False)
            with env.begin(write=True) as txn:
                txn.put(self._key, hashlib.sha256(value).digest() + value)

        _named(self._path, write)


def read_row(path: Path, key: bytes) -> bytes | None:
    """The newest value as it was put; None where there is none. Raises RowError.

    Not in the process of an open writer. The file is open only for this call, so a reader never keeps pages from being used
    again.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None

    def read() -> bytes | None:
        with _environment(path, readonly=True) as env, env.begin() as txn:
            found: bytes | None = txn.get(key)
            return found

    row = _named(path, read)
    if row is None:
        return None
    if hashlib.sha256(row[_SHA_BYTES:]).digest() != row[:_SHA_BYTES]:
        raise _Damaged(f"{path.name}: the {key.decode()} is not what was written")
    return row[_SHA_BYTES:]


class _Damaged(RowError):
    """Nothing in the file can be trusted."""


def _named(path: Path, act: Callable[[], _Result]) -> _Result:
    """Do it, and let LMDB's errors leave as ours."""
    try:
        return act()
    except FileCutShort as error:
        raise _Damaged(str(error)) from error
    except (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.VersionMismatchError) as error:
        raise _Damaged(f"{path.name}: {error}") from error
    except lmdb.Error as error:
        raise RowError(f"{path.name}: {error}") from error


def _environment(path: Path, *, readonly: bool) -> lmdb.Environment:
    return environment(path, map_size=MAP_BYTES, readonly=readonly, max_dbs=0)


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-lock")
