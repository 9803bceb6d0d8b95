"""The deterministic host: one queue, one thread, a clock that the caller moves.

Everything that one input causes is finished before the next. A crashed child is back within the same input, unless the
host is told to let it wait.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Final, NamedTuple

import msgspec

from evenkeel.messages.system import ChildDown, ChildServing, Message
from evenkeel.runtime.clock import ManualClock
from evenkeel.runtime.publisher import NO_ROW, SUPERVISOR, Delivery, Publisher
from evenkeel.runtime.shell import SNAPSHOT_EVERY, ChildSpec, Ledger, Shell
from evenkeel.runtime.supervision import Remedy, Supervision, obituary
from evenkeel.runtime.timers import Timers

CLOCK: Final = "clock"
LOOK_EVERY: Final = 64
"""Deliveries between two looks at all ledgers for one that is long: a look at many children is dear."""


class ChildExhausted(Exception):
    """An essential child crashed more often than its intensity allows, or one that owns positions cannot be rebuilt."""


class _Absence(NamedTuple):
    until_utc_ms: int
    waiting: list[Delivery]


class SteppedHost:
    """`ledgers` hold what earlier processes left; without them every child starts empty.

    `restart_after_ms` is how long a crashed child stays away, on the run's clock; what it is told meanwhile waits for it, as
    on the threaded host, and an edge does not look. It is back when `say` or `advance_to` find its time come.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        publisher: Publisher,
        clock: ManualClock,
        ledgers: dict[str, Ledger] | None = None,
        restart_after_ms: int | None = None,
    ) -> None:
        self.queue: deque[Delivery] = deque()
        self.deliveries = 0
        self._looked_at = 0
        self.clock = clock
        self.publisher = publisher
        self._specs = {spec.name: spec for spec in specs}
        self._ledgers = {spec.name: (ledgers or {}).get(spec.name, Ledger()) for spec in specs}
        self._supervision = Supervision(specs)
        self._shells: dict[str, Shell] = {}
        self._down: set[str] = set()
        self._restart_after_ms = restart_after_ms
        self._absences: dict[str, _Absence] = {}
        publisher.connect(self.queue.extend)

    def boot(self) -> None:
        """Start every child in the order of the table; then what they owe and see is finished."""
        for name in self._specs:
            self._contain(name, lambda name=name: self._incarnate(name))  # type: ignore[misc]
        self.drain()

    def child(self, name: str) -> Any:
        """The present incarnation of a child; a later one replaces it."""
        return self._shells[name].child

    def hearers(self, kind: type[Message]) -> Sequence[str]:
        """The children that hear every message of a type, whatever its fields say."""
        return self.publisher.routes.by_type.get(kind, ())

    def say(self, sender: str, messages: Sequence[Message], *, row: int = NO_ROW) -> None:
        """An input from outside the children, finished before this returns."""
        self._bring_back()
        self.publisher.publish(sender, 0, messages, row=row)
        self.drain()

    def poke(self, name: str, look: Callable[[Any], Sequence[Message]], *, row: int = NO_ROW, derived: bool = False) -> None:
        """Let an edge look at the world and say what it sees; finished before this returns. One that is down does not."""
        if name not in self._down:
            self._contain(name, lambda: self._shells[name].say(look(self._shells[name].child), row=row, derived=derived))
        self.drain()

    def advance_to(self, utc_ms: int, *, inclusive: bool = False) -> None:
        """Move the clock; timers due before `utc_ms` (at it, if `inclusive`) fire on the way, each at its own instant."""
        timers: Timers = self._shells[CLOCK].child
        while (
            CLOCK not in self._down
            and (due := timers.next_due_utc_ms()) is not None
            and (due < utc_ms or (inclusive and due == utc_ms))
        ):
            self.clock.advance_to(due)
            self.poke(CLOCK, lambda edge, now=due: edge.due(now))  # type: ignore[misc]
            timers = self._shells[CLOCK].child
        self.clock.advance_to(utc_ms)
        self._bring_back()

    def drain(self) -> None:
        queue, shells, down = self.queue, self._shells, self._down
        served = 0
        while queue:
            delivery = queue.popleft()
            for name in delivery.receivers:
                if name in down:
                    if name in self._absences:
                        self._absences[name].waiting.append(delivery)
                    continue
                served += 1
                try:
                    shells[name].hear(delivery)
                except Exception as error:  # noqa: BLE001  the one place of this host where a child's crash is contained
                    self._restart(name, error)
        self.deliveries += served
        if self.deliveries - self._looked_at >= LOOK_EVERY:
            self._looked_at = self.deliveries
            self._tidy()

    def snapshot_all(self) -> None:
        """Every child writes its state down."""
        self._tidy(every=1)

    def _tidy(self, every: int = SNAPSHOT_EVERY) -> None:
        for name, shell in self._shells.items():
            if name not in self._down:
                shell.tidy(box_empty=True, every=every)

    def _contain(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  as above, for what an edge does by itself
            self._restart(name, error)

    def _restart(self, name: str, error: Exception) -> None:
        for attempt in count(1):
            ruling = self._supervision.ruling(name, self.clock.monotonic_ns() / 1e9, 0.0)
            down = ChildDown(name, self.publisher.incarnation(name), ruling.crashes, f"{type(error).__name__}: {error}")
            self.publisher.publish(SUPERVISOR, 0, obituary(down, self._ledgers[name].current))
            if ruling.remedy is Remedy.LEAVE_DOWN:
                self._down.add(name)
                return
            if ruling.remedy is Remedy.ESCALATE or attempt > self._specs[name].intensity:
                raise ChildExhausted(f"{name} crashed {ruling.crashes} times, last by {error!r}") from error
            self._ledgers[name] = self._ledgers[name].handed_on()
            if self._restart_after_ms is not None:
                self._down.add(name)
                self._absences[name] = _Absence(self.clock.now_utc_ms() + self._restart_after_ms, [])
                return
            try:
                self._incarnate(name)
            except Exception as again:  # noqa: BLE001  a crash while it is rebuilt is one more crash
                error = again
            else:
                return

    def _bring_back(self) -> None:
        """Those whose absence is over are rebuilt, and hear what waited for them."""
        for name, absence in list(self._absences.items()):
            if self.clock.now_utc_ms() < absence.until_utc_ms:
                continue
            del self._absences[name]
            self._down.discard(name)
            self._contain(name, lambda name=name: self._incarnate(name))  # type: ignore[misc]
            self.queue.extend(msgspec.structs.replace(delivery, receivers=(name,)) for delivery in absence.waiting)
            self.drain()

    def _incarnate(self, name: str) -> None:
        incarnation = self.publisher.new_incarnation(name)
        shell = Shell(self._specs[name], self._ledgers[name], self.publisher)
        shell.rebuild()
        self._shells[name] = shell
        self.publisher.publish(SUPERVISOR, 0, [ChildServing(name, incarnation)])
        shell.begin()
