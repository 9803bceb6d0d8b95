"""The snapshots edge: each minute what the account looks like, and what was decided and looked at since it began.

A disk that takes none loses snapshots, which are counted, and harms nothing else.
"""

from collections.abc import Callable, Sequence
from typing import Final

from loguru import logger

from evenkeel.adapters.os import StateError
from evenkeel.messages.system import Message
from evenkeel.rules.snapshots import Counted, Loop, Snapshot, Tally, count, snapshot_of
from evenkeel.runtime.edge import At

LOOK_EVERY_S: Final = 1.0


class Snapshots:
    """The edge: each `every_ms` of the run's clock, at most once a second, it takes down what was counted so far.

    `loop`, `positions` and `alarms` are called on its thread; `utc_ms` is real time. It says nothing.
    """

    poll_s: float | None = LOOK_EVERY_S

    def __init__(
        self,
        every_ms: int,
        *,
        put: Callable[[Snapshot], None],
        loop: Callable[[], Loop],
        positions: Callable[[], int],
        alarms: Callable[[], int],
        utc_ms: Callable[[], int],
    ) -> None:
        self.state = Tally()
        self.lost = 0
        """Snapshots since the last one that was written."""
        self._every_ms, self._put, self._utc_ms = every_ms, put, utc_ms
        self._loop, self._positions, self._alarms = loop, positions, alarms
        self._period = -1

    def remember(self, message: Counted, /) -> None:
        count(self.state, message)

    def act(self, message: Counted, at: At, /) -> Sequence[Message]:
        return ()

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        self._period = now_utc_ms // self._every_ms
        return ()

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        if now_utc_ms // self._every_ms != self._period:
            self._period = now_utc_ms // self._every_ms
            self._take(now_utc_ms)
        return ()

    def close(self) -> None:
        """Each line opens the file for itself."""

    def _take(self, now_utc_ms: int) -> None:
        try:
            snapshot = snapshot_of(
                self.state,
                self._loop(),
                utc_ms=now_utc_ms,
                written_utc_ms=self._utc_ms(),
                positions=self._positions(),
                alarms=self._alarms(),
                lost=self.lost,
            )
            self._put(snapshot)
        except (OSError, StateError) as error:
            if self.lost == 0:
                logger.error("no snapshot can be written, they are lost: {}", error)
            self.lost += 1
            return
        if self.lost:
            logger.info("snapshots are written again, {} are missing", self.lost)
        self.lost = 0
