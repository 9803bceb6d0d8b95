"""The kill epoch: a number on disk that only rises. An order that was decided under a lower one is void.

It is read before each risk-increasing call and raised without the supervisor's help: a kill works while the supervisor hangs.
"""

import binascii
import os
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from evenkeel.adapters.os import locked_within, write_durably

PATIENCE_S: Final = 2.0
_FILE_BYTES_MAX: Final = 128


class Kill(NamedTuple):
    """`mode` is what the last raise asked for, "run" before the first one. A re-arm does not touch it: compare `epoch`."""

    epoch: int
    mode: Literal["run", "close_only", "flatten"]


NO_KILL: Final = Kill(0, "run")
UNREADABLE: Final = Kill(2**31 - 1, "close_only")
"""Fail closed: no order was decided under this epoch. While it is read nobody may re-arm; raising again mends the file."""


class _Stored(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    epoch: Annotated[int, msgspec.Meta(ge=1)]
    mode: Literal["close_only", "flatten"]
    checksum: int


_decoder: msgspec.json.Decoder[_Stored] = msgspec.json.Decoder(_Stored)


class KillEpoch:
    """The epoch in the file `path`; its folder must exist. Any thread may read. A raise waits `patience_s` for another one."""

    def __init__(self, path: Path, patience_s: float = PATIENCE_S) -> None:
        self._path, self._patience_s = path, patience_s
        self._name = os.fspath(path)
        self._highest = 0

    def read(self) -> Kill:
        """NO_KILL when the file is absent; UNREADABLE when it is damaged, cannot be read, or is older than one read before."""
        try:
            found = _kill_in(self._contents())
        except FileNotFoundError:
            found = NO_KILL
        except (OSError, ValueError):
            return UNREADABLE
        if found.epoch < self._highest:
            return UNREADABLE
        self._highest = found.epoch
        return found

    def raise_epoch(self, mode: Literal["close_only", "flatten"]) -> Kill:
        """The next epoch, durable when this returns; raises OSError when it could not be written.

        Processes that raise at once get an epoch each. One that is stopped while it raises delays the others by
        `patience_s`, no longer; then both may come to the same epoch, which is still a kill.
        """
        with locked_within(self._path.with_name(f"{self._path.name}.lock"), self._patience_s):
            raised = Kill(self.read().epoch + 1, mode)
            write_durably(self._path, msgspec.json.encode((raised.epoch, raised.mode, _checksum(raised))))
        return raised

    def _contents(self) -> bytes:
        with open(self._name, "rb", buffering=0) as file:
            return file.read(_FILE_BYTES_MAX)


def _kill_in(contents: bytes) -> Kill:
    """Raises ValueError when `contents` is not what `raise_epoch` writes."""
    stored = _decoder.decode(contents)
    kill = Kill(stored.epoch, stored.mode)
    if stored.checksum != _checksum(kill):
        raise ValueError(f"checksum {stored.checksum} does not belong to {kill}")
    return kill


def _checksum(kill: Kill) -> int:
    return binascii.crc32(f"{kill.epoch} {kill.mode}".encode())
