"""The outbox: notices from the moment they are written down until each outlet has taken them, whatever dies meanwhile.

    notices/outbox.lmdb    outbox -> SHA-256, msgpack    (adapters/lmdb_row.py)

What cannot be written is kept in memory and sent all the same: a full disk is a thing that somebody must hear of.
"""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger

from evenkeel.adapters.lmdb_row import LmdbRow, RowError, read_row
from evenkeel.rules import outbox
from evenkeel.rules.notifier import Noted
from evenkeel.rules.outbox import OutboxState, Row, Sending

FILE_NAME: Final = "outbox.lmdb"
INSTANCE_BYTES: Final = 4
_KEY: Final = b"outbox"


class Outbox:
    """`write` takes the whole as bytes and raises OSError when it cannot keep it; None: memory is all there is.

    Outlives the edge that uses it; used by one thread at a time.
    """

    def __init__(
        self, state: OutboxState, write: Callable[[bytes], None] | None = None, close: Callable[[], None] = lambda: None
    ) -> None:
        self.state = state
        self.close = close
        self._write = write
        self._is_failing = False

    def put(
        self,
        one: Noted,
        *,
        seq: int,
        time_utc_ms: int,
        now_utc_ms: int,
        outlets: Collection[str],
        busy: Collection[int],
    ) -> None:
        """On the disk when it returns, if there is one that can be written."""
        outbox.put(self.state, one, seq, time_utc_ms, now_utc_ms, outlets, busy)
        self.save()

    def settle(self, outlet: str, sent: Sending, outlets: Collection[str], *, is_taken: bool, at_utc_ms: int) -> list[Row]:
        """As rules.outbox.settled says; a try that failed is written down with the next thing that is."""
        new = outbox.settled(self.state, outlet, sent, outlets, is_taken=is_taken, at_utc_ms=at_utc_ms)
        if is_taken:
            self.save()
        return new

    def save(self) -> None:
        if self._write is None:
            return
        try:
            self._write(msgspec.msgpack.encode(self.state))
        except OSError as error:
            if not self._is_failing:
                logger.error("notices cannot be written down, so a restart would forget them: {}", error)
            self._is_failing = True
            return
        if self._is_failing:
            logger.info("notices are written down again")
        self._is_failing = False


def opened(folder: Path) -> Outbox:
    """The outbox in `folder`. One that cannot be read begins anew."""
    try:
        state = read_outbox(folder)
    except RowError as error:
        logger.error("what waited to be told outside is lost: {}", error)
        state = None
    file = LmdbRow(folder / FILE_NAME, _KEY)
    return Outbox(state or OutboxState(os.urandom(INSTANCE_BYTES).hex()), file.put, file.close)


def read_outbox(folder: Path) -> OutboxState | None:
    """As it was last written; None where there is none. Not in the process of an open one. Raises RowError."""
    row = read_row(folder / FILE_NAME, _KEY)
    try:
        return None if row is None else msgspec.msgpack.decode(row, type=OutboxState)
    except msgspec.DecodeError as error:
        raise RowError(f"{FILE_NAME}: {error}") from error
