"""Whether somebody asked for the end. A signal handler may say so."""

import contextlib
import queue


class Asked:
    """Once asked it stays so. `set` takes no lock that an interrupted `wait` of the same thread could hold, as that of
    threading.Event would; queue.SimpleQueue is made for that. One thread waits."""

    def __init__(self) -> None:
        self._is_set = False
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """From any thread, and from a signal handler."""
        self._is_set = True
        self._told.put(None)

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Until it is asked, at most so long; whether it is."""
        if not self._is_set:
            with contextlib.suppress(queue.Empty):
                self._told.get(timeout=seconds)
        return self._is_set
