"""Opening an LMDB file so that nothing about the file can end the process."""

from pathlib import Path

import lmdb


class FileCutShort(Exception):
    """The file ends before the last page that it says it has; reading that page would end the process by SIGBUS."""


def environment(path: Path, *, map_size: int, readonly: bool, max_dbs: int, lock: bool = True) -> lmdb.Environment:
    """The file `path` as an environment of its own. Raises lmdb.Error, FileCutShort or OSError.

    Default flushing: data, then meta page, at each commit. No writemap: a full disk would kill the process by SIGBUS.
    `lock` False is for a file that nobody writes while it is open, such as a copy; it leaves no lock file behind.
    """
    env = lmdb.open(
        str(path),
        map_size=map_size,
        readonly=readonly,
        subdir=False,
        mode=0o600,
        max_dbs=max_dbs,
        sync=True,
        metasync=True,
        lock=lock,
    )
    needed = pages(env) * env.stat()["psize"]
    found = path.stat().st_size
    if found < needed:
        env.close()
        raise FileCutShort(f"{path.name}: a part is missing: {found} of {needed} bytes are there")
    return env


def pages(env: lmdb.Environment) -> int:
    """How many pages the file has, free ones included, after the newest commit."""
    return int(env.info()["last_pgno"]) + 1
