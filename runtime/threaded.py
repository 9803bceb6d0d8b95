"""The live host: each child on its own pykka thread, watched by one supervising thread."""

import heapq
import queue
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from loguru import logger

from evenkeel.messages.system import ChildDown, ChildServing, LettersDead, Message, MessageParked
from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.incarnation import Incarnation
from evenkeel.runtime.mailbox import Mailbox, Order
from evenkeel.runtime.publisher import SUPERVISOR, Delivery, Publisher
from evenkeel.runtime.shell import ChildSpec, Kind, Ledger, Shell
from evenkeel.runtime.supervision import Remedy, Supervision, is_poison

MAILBOX_CAPACITY: Final = 65_536
WATCH_EVERY_S: Final = 0.05
BOOT_DEADLINE_S: Final = 20.0


class BootFailed(Exception):
    """A child did not serve within the deadline."""


class _Crash(NamedTuple):
    name: str
    incarnation: int
    error: BaseException


class _Overflow(NamedTuple):
    name: str


class ChildStatus(NamedTuple):
    name: str
    kind: str
    serving: bool
    incarnation: int
    waiting: int


class ThreadedHost:
    """`on_fatal` is called on the supervising thread when the process must end: an exhausted essential child, or an actor
    that does not come back from a message, which Python cannot stop. The host does not end the process itself."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        publisher: Publisher,
        ledgers: dict[str, Ledger] | None = None,
        on_fatal: Callable[[str], None],
        mailbox_capacity: int = MAILBOX_CAPACITY,
    ) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._publisher = publisher
        self._ledgers = {spec.name: (ledgers or {}).get(spec.name, Ledger()) for spec in specs}
        self._on_fatal = on_fatal
        self._supervision = Supervision(specs)
        self._notices: queue.SimpleQueue[_Crash | _Overflow | None] = queue.SimpleQueue()
        self._boxes = {
            name: Mailbox(mailbox_capacity, lambda name=name: self._notices.put(_Overflow(name)))  # type: ignore[misc]
            for name in self._specs
        }
        self._running: dict[str, Incarnation] = {}
        self._serving: set[str] = set()
        self._changed = threading.Condition()
        self._restarts: list[tuple[float, str]] = []
        self._letters_dead: dict[str, int] = {}
        self._stopping = False
        self._chance = random.Random()
        self._thread = threading.Thread(target=self._supervise, name=SUPERVISOR, daemon=True)
        publisher.connect(self._boxes)

    def boot(self) -> None:
        """Start every child in the order of the table, each when the one before it serves. Raises BootFailed."""
        self._thread.start()
        for name in self._specs:
            self._publisher.new_incarnation(name)
            self._incarnate(name)
            if not self.wait_until(lambda name=name: name in self._serving, BOOT_DEADLINE_S):  # type: ignore[misc]
                raise BootFailed(f"{name} does not serve after {BOOT_DEADLINE_S:.0f} s")

    def say(self, sender: str, messages: Sequence[Message]) -> None:
        self._publisher.publish(sender, 0, messages)

    def snapshot_all(self) -> None:
        """Ask every child to write its state down."""
        for box in self._boxes.values():
            box.order(Order.SNAPSHOT)

    def wake(self, name: str) -> None:
        """Let an edge poll now."""
        self._boxes[name].order(Order.POLL)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a change of who serves that makes `condition` true."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def status(self) -> list[ChildStatus]:
        return [
            ChildStatus(name, spec.kind, name in self._serving, self._publisher.incarnation(name), len(self._boxes[name]))
            for name, spec in self._specs.items()
        ]

    def child(self, name: str) -> Any:
        """The present incarnation, for reading what an edge shows; None while there is none."""
        shell = self._running[name].shell if name in self._running else None
        return shell.child if shell is not None else None

    def crash(self, name: str) -> None:
        """Let a child's present incarnation raise between two messages: for drills and demonstrations."""
        self._boxes[name].order(Order.CRASH)

    def stop(self, *, first: Sequence[str], deadline_s: float) -> list[str]:
        """Ordered end: the children named `first` take nothing more in, the others finish what waits, snapshots are taken.

        Returns the names of those that were still busy at the deadline; they are left behind on their daemon threads.
        """
        until_s = monotonic_s() + deadline_s
        self._stopping = True
        for name in first:
            self._dismiss(name)
        self._until_idle(until_s)
        self.snapshot_all()
        self._until_idle(until_s)
        late = [name for name, running in self._running.items() if running.busy_since_s is not None]
        for name in reversed(self._specs):
            self._dismiss(name)
        self._notices.put(None)
        self._thread.join(max(0.0, until_s - monotonic_s()))
        return late

    def starting(self, incarnation: Incarnation) -> None:
        """Told by a new incarnation, on the thread that starts it."""
        self._running[incarnation.name] = incarnation

    def serving(self, name: str, incarnation: int) -> None:
        """Told by an incarnation, on its thread, when its state is back."""
        self._publisher.publish(SUPERVISOR, 0, [ChildServing(name, incarnation)])
        with self._changed:
            self._serving.add(name)
            self._changed.notify_all()

    def crashed(self, name: str, incarnation: int, error: BaseException) -> None:
        """Told by an incarnation, on its thread, as the last thing it does."""
        self._notices.put(_Crash(name, incarnation, error))

    def _supervise(self) -> None:
        while True:
            try:
                notice = self._notices.get(timeout=WATCH_EVERY_S)
            except queue.Empty:
                self._watch()
                continue
            match notice:
                case None:
                    return
                case _Crash(name, incarnation, error):
                    if incarnation == self._publisher.incarnation(name):
                        self._down(name, error)
                case _Overflow(name):
                    self._down(name, OverflowError(f"{len(self._boxes[name])} messages wait: the receiver is stuck"))
            self._watch()

    def _watch(self) -> None:
        now_s = monotonic_s()
        while self._restarts and self._restarts[0][0] <= now_s:
            self._incarnate(heapq.heappop(self._restarts)[1])
        for name, running in list(self._running.items()):
            since_s = running.busy_since_s
            if since_s is not None and now_s - since_s > self._specs[name].lease_s and name in self._serving:
                self._stuck(name, now_s - since_s)
            self._count_dead(name)

    def _stuck(self, name: str, busy_s: float) -> None:
        error = TimeoutError(f"busy with one message for {busy_s:.1f} s")
        if self._specs[name].kind is Kind.EDGE:
            self._down(name, error)
        elif not self._stopping:
            self._stopping = True
            self._on_fatal(f"{name}: {error}")

    def _down(self, name: str, error: BaseException) -> None:
        """The present incarnation is over: nothing that it still decides counts. Rule on what comes next."""
        logger.opt(exception=error).error("{} is down: {!r}", name, error)
        self._dismiss(name)
        incarnation = self._publisher.incarnation(name)
        self._publisher.new_incarnation(name)
        ruling = self._supervision.ruling(name, monotonic_s(), self._chance.random())
        said: list[Message] = [ChildDown(name, incarnation, ruling.crashes, f"{type(error).__name__}: {error}")]
        entry = self._ledgers[name].current
        if entry is not None and is_poison(entry):
            kind = type(entry.delivery.message).__name__
            said.append(MessageParked(name, entry.delivery.seq, kind, f"{type(error).__name__}: {error}"))
        self._publisher.publish(SUPERVISOR, 0, said)
        if self._stopping or ruling.remedy is Remedy.LEAVE_DOWN:
            return
        if ruling.remedy is Remedy.ESCALATE:
            self._stopping = True
            self._on_fatal(f"{name} crashed {ruling.crashes} times, last by {error!r}")
            return
        heapq.heappush(self._restarts, (monotonic_s() + ruling.delay_s, name))

    def _incarnate(self, name: str) -> None:
        """A new incarnation over the child's ledger and box; what an overflowing box missed is read from the journal."""
        box, spec, ledger = self._boxes[name], self._specs[name], self._ledgers[name]
        with self._publisher.lock:
            accepted = len(box)
            first_missed = box.reopen()
            upto = self._publisher.last_seq
        if first_missed is not None:
            box.put_ahead(accepted, self._missed(name, first_missed, upto))
        incarnation = self._publisher.incarnation(name)
        Incarnation.start(lambda: Shell(spec, ledger, self._publisher), name, incarnation, box, self)
        logger.debug("{} starts as incarnation {}", name, incarnation)

    def _missed(self, name: str, from_seq: int, to_seq: int) -> list[Delivery]:
        journal, decode = self._publisher.journal, self._publisher.codec.decode
        if journal is None or not journal.flush(BOOT_DEADLINE_S):
            return []
        return [
            Delivery(record.seq, record.time_utc_ms, record.cause_row, decode(bytes(record.body)))
            for record in journal.read(from_seq, to_seq)
            if name in record.receivers
        ]

    def _dismiss(self, name: str) -> None:
        self._boxes[name].dismiss()
        with self._changed:
            self._serving.discard(name)
            self._changed.notify_all()
        running = self._running.get(name)
        if running is not None and running.shell is not None and self._specs[name].kind is Kind.EDGE:
            running.shell.child.close()

    def _count_dead(self, name: str) -> None:
        dead = self._boxes[name].letters_dead
        if dead > self._letters_dead.get(name, 0):
            self._publisher.publish(SUPERVISOR, 0, [LettersDead(name, dead - self._letters_dead.get(name, 0))])
            self._letters_dead[name] = dead

    def _until_idle(self, until_s: float) -> None:
        """Nothing waits and nobody is busy, twice in a row, or the time is over."""
        quiet = 0
        pause = threading.Event()
        while quiet < 2 and monotonic_s() < until_s:
            idle = all(
                not len(self._boxes[name]) and running.busy_since_s is None
                for name, running in self._running.items()
                if name in self._serving
            )
            quiet = quiet + 1 if idle else 0
            pause.wait(0.005)
