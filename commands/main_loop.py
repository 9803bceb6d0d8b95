"""What the main thread of a supervisor does all the time: look, and say that it lives."""

import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from loguru import logger

from evenkeel.adapters.service_manager import ServiceManager
from evenkeel.commands.asked import Asked
from evenkeel.commands.live import JOURNAL, Source
from evenkeel.runtime.leases import Broken

TICK_S: Final = 0.2
STOPS_THAT_INSIST: Final = 2


class Watched(Protocol):
    """What the main loop looks at: a LiveSystem."""

    @property
    def source(self) -> Source: ...

    @property
    def ended(self) -> Asked: ...

    @property
    def stops_asked(self) -> Sequence[str]: ...

    @property
    def journal_failure(self) -> str | None: ...

    def ask_stop(self, by: str) -> None: ...

    def broken_leases(self) -> Sequence[Broken]: ...

    def is_flat_or_protected(self) -> bool: ...

    def is_flattening(self) -> bool: ...


class MainLoop:
    """Looks whether everybody lives, says so to whoever started the process, and sees when it is time to end. Never waits for a
    broker, a disk or a lock: what silences it is a process that hangs. `end_now` is for what only a new process mends."""

    def __init__(self, system: Watched, manager: ServiceManager, end_now: Callable[[str], None]) -> None:
        self._system, self._manager, self._end_now = system, manager, end_now
        self._writer_is_late = self._has_said_why = False

    def run(self) -> None:
        """Returns when the process is to end in order."""
        pause = threading.Event()
        while not self.look():
            pause.wait(TICK_S)

    def look(self) -> bool:
        """Once; true when the process is to end in order. A flatten goes on until nothing of ours is open, unless the end is
        asked for again."""
        system = self._system
        self._manager.alive()
        self._look_at_leases()
        if not system.ended.is_set() and system.source.ended:
            system.ask_stop("the end of the recorded quotes")
        if not system.ended.is_set() and system.journal_failure is not None and system.is_flat_or_protected():
            system.ask_stop(f"a failed journal: {system.journal_failure}")
        if not system.ended.is_set():
            return False
        if len(system.stops_asked) >= STOPS_THAT_INSIST or not system.stops_asked or not system.is_flattening():
            return True  # without a stop another segment is to begin, in which a flatten goes on
        if not self._has_said_why:
            self._has_said_why = True
            logger.warning("{}: positions are being flattened first; ask again to end without", system.stops_asked[0])
        return False

    def _look_at_leases(self) -> None:
        """Everybody but the journal's writer is missed: only a new process helps. Without the writer exits go on, and nothing
        new passes the gate; a new process would wait for the same disk."""
        broken = self._system.broken_leases()
        for name, silent_s in broken:
            if name != JOURNAL:
                self._end_now(f"{name} has not shown that it lives for {silent_s:.1f} s")
        late = next((silent_s for name, silent_s in broken if name == JOURNAL), None)
        if late is not None and not self._writer_is_late:
            words = f"{JOURNAL} has stood still for {late:.1f} s: nothing new is opened, exits go on"
            logger.critical(words)
            self._manager.status(words)
        if late is None and self._writer_is_late:
            logger.warning("{} gets on again", JOURNAL)
        self._writer_is_late = late is not None
