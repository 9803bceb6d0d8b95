"""Who must show now and then that it lives, and who has not. For the threads that no other thread of the process replaces."""

from collections.abc import Callable
from typing import NamedTuple

from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.supervision import Vigil


class Broken(NamedTuple):
    name: str
    silent_s: float


class Leases:
    """Stamped from any thread, looked at by one. Time in which that one stood still counts against nobody."""

    def __init__(self, now_s: Callable[[], float] = monotonic_s) -> None:
        self._now_s = now_s
        self._vigil = Vigil(now_s())
        self._granted: dict[str, float] = {}
        self._stamped_s: dict[str, float] = {}

    def grant(self, name: str, lease_s: float) -> Callable[[], None]:
        """From now on `name` is expected to call what this returns at least every `lease_s`."""
        self._granted[name] = lease_s

        def stamp() -> None:
            self._stamped_s[name] = self._now_s()

        stamp()
        return stamp

    def broken(self) -> list[Broken]:
        """Who is silent for longer than it may be."""
        now_s = self._now_s()
        self._vigil.look(now_s)
        silent = [Broken(name, now_s - max(self._stamped_s[name], self._vigil.awake_since_s)) for name in list(self._granted)]
        return [one for one in silent if one.silent_s > self._granted[one.name]]


class Progress:
    """Stamps for somebody who cannot do it: what it has done so far moves, or it has nothing to do."""

    def __init__(self, stamp: Callable[[], None]) -> None:
        self._stamp = stamp
        self._done = 0

    def look(self, *, done: int, wanted: int) -> None:
        """`done` and `wanted` only rise."""
        if done > self._done or done >= wanted:
            self._stamp()
        self._done = done
