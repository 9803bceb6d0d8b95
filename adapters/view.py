"""The view database: the newest view of a run, for whoever asks while the supervisor does not answer.

    view.lmdb       view -> SHA-256, JSON        one LMDB environment, one row

It holds nothing that is not in the journal, so a damaged one is simply made anew.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import lmdb

from evenkeel.adapters.lmdb_env import FileCutShort, environment
from evenkeel.adapters.os import private_folder

FILE_NAME: Final = "view.lmdb"
MAP_BYTES: Final = 16 << 20
_KEY: Final = b"view"
_SHA_BYTES: Final = 32
_Result = TypeVar("_Result")


class ViewError(OSError):
    """The view cannot be written or read; the text says which file and why."""


class ViewWriter:
    """Keeps the newest view in `folder`. One a process and folder: LMDB breaks when a process opens a file twice."""

    def __init__(self, folder: Path) -> None:
        self._path = private_folder(folder) / FILE_NAME
        self._env: lmdb.Environment | None = None

    def put(self, view: bytes) -> None:
        """Replace the view, JSON; a damaged file is made anew. Raises ViewError or another OSError."""
        try:
            self._write(view)
        except _Damaged:
            self.close()
            for path in (self._path, _lock_of(self._path)):
                path.unlink(missing_ok=True)
            self._write(view)

    def close(self) -> None:
        """`put` opens it again."""
        if self._env is not None:
            self._env.close()
            self._env = None

    def _write(self, view: bytes) -> None:
        def write() -> None:
            env = self._env = self._env or _environment(self._path, readonly=False)
            with env.begin(write=True) as txn:
                txn.put(_KEY, hashlib.sha256(view).digest() + view)

        _named(self._path, write)


def read_view(folder: Path) -> bytes | None:
    """The newest view as it was put, JSON; None where there is none. Raises ViewError.

    Not in the writer's process. The file is open only for this call, so a reader never keeps pages from being used again.
    """
    path = folder / FILE_NAME
    if not path.exists() or path.stat().st_size == 0:
        return None

    def read() -> bytes | None:
        with _environment(path, readonly=True) as env, env.begin() as txn:
            found: bytes | None = txn.get(_KEY)
            return found

    row = _named(path, read)
    if row is None:
        return None
    if hashlib.sha256(row[_SHA_BYTES:]).digest() != row[:_SHA_BYTES]:
        raise _Damaged(f"{path.name}: the view is not what was written")
    return row[_SHA_BYTES:]


class _Damaged(ViewError):
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
        raise ViewError(f"{path.name}: {error}") from error


def _environment(path: Path, *, readonly: bool) -> lmdb.Environment:
    return environment(path, map_size=MAP_BYTES, readonly=readonly, max_dbs=0)


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-lock")
