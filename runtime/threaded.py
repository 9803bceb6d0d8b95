"""The live host: each child on its own pykka thread, watched by one supervising thread."""

import heapq
import queue
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, assert_never

from loguru import logger

from evenkeel.messages.system import ChildDown, ChildServing, LettersDead, Message
from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.incarnation import Incarnation
from evenkeel.runtime.journal import JournalError
from evenkeel.runtime.mailbox import Mailbox, Order
from evenkeel.runtime.publisher import SUPERVISOR, Delivery, Publisher, into
from evenkeel.runtime.shell import ChildSpec, Kind, Ledger, Shell
from evenkeel.runtime.supervision import Remedy, Supervision, Vigil, obituary

MAILBOX_CAPACITY: Final = 65_536
WATCH_EVERY_S: Final = 0.05
IDLE_LOOK_S: Final = 0.005
LETTERS_COUNTED_EVERY_S: Final = 1.0
RECORDS_A_SNAPSHOT: Final = 50_000
"""After so many every child is asked for its state, also one that hears little: a start reads no further back than that."""
BOOT_DEADLINE_S: Final = 20.0
FLUSH_S: Final = 5.0
END_S: Final = 2.0
"""How long an idle child may take to write its state down and end."""


class BootFailed(Exception):
    """A child did not serve within the deadline."""


class _Crash(NamedTuple):
    name: str
    incarnation: int
    error: BaseException


class ChildStatus(NamedTuple):
    name: str
    kind: str
    serving: bool
    incarnation: int
    waiting: int


class ThreadedHost:
    """`on_fatal` is called once, on the supervising thread, when the process must end: an exhausted essential child, an
    actor that does not come back from a message, which Python cannot stop, or one that cannot read what it missed. The
    host restarts nobody from then on; it does not end the process itself. `boot_deadline_s` is for each child, at a
    restart too. `on_look` is called by the supervising thread, each time that it looks after the children. What an error says
    is told as `shown` makes of it: it may hold what nobody may read.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        publisher: Publisher,
        ledgers: dict[str, Ledger] | None = None,
        on_fatal: Callable[[str], None],
        mailbox_capacity: int = MAILBOX_CAPACITY,
        boot_deadline_s: float = BOOT_DEADLINE_S,
        on_look: Callable[[], None] = lambda: None,
        shown: Callable[[str], str] = str,
    ) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._publisher = publisher
        self._ledgers = {spec.name: (ledgers or {}).get(spec.name, Ledger()) for spec in specs}
        self._on_fatal, self._on_look, self._shown = on_fatal, on_look, shown
        self._boot_deadline_s = boot_deadline_s
        self._supervision = Supervision(specs)
        self._vigil = Vigil(monotonic_s())
        self._notices: queue.SimpleQueue[_Crash | None] = queue.SimpleQueue()
        self._boxes = {name: Mailbox(mailbox_capacity) for name in self._specs}
        self._running: dict[str, Incarnation] = {}
        self._serving: set[str] = set()
        self._left_down: set[str] = set()
        self._changed = threading.Condition()
        self._restarts: list[tuple[float, str]] = []
        self._letters_counted: dict[str, int] = {}
        self._count_letters_s = monotonic_s()
        self._snapshots_seq = publisher.last_seq
        self._ending = False
        self._chance = random.Random()
        self._thread = threading.Thread(target=self._supervise, name=SUPERVISOR, daemon=True)
        publisher.connect(into(self._boxes))

    def boot(self) -> None:
        """Start every child in the order of the table, each when the one before it serves. Raises BootFailed."""
        self._thread.start()
        for name in self._specs:
            started_s = monotonic_s()
            self._publisher.new_incarnation(name)
            self._incarnate(name)
            self.wait_until(lambda name=name: name in self._serving or self._is_given_up(name), self._boot_deadline_s)  # type: ignore[misc]
            if name not in self._serving:
                raise BootFailed(f"{name} does not serve {monotonic_s() - started_s:.1f} s after its start")

    def say(self, sender: str, messages: Sequence[Message]) -> None:
        self._publisher.publish(sender, 0, messages)

    def snapshot_all(self) -> None:
        """Ask every child to write its state down."""
        for box in self._boxes.values():
            box.order(Order.SNAPSHOT)

    def wake(self, name: str) -> None:
        """Let an edge poll now."""
        assert self._specs[name].kind is Kind.EDGE, f"{name} is an actor, which looks at nothing"
        self._boxes[name].wake()

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
        return self._running[name].shell.child if name in self._running else None

    def crash(self, name: str) -> None:
        """Let a child's present incarnation raise between two messages: for drills and demonstrations."""
        self._boxes[name].order(Order.CRASH)

    def stop(self, *, first: Sequence[str], deadline_s: float) -> list[str]:
        """Ordered end: the children named `first` take nothing more in, the others finish what waits, each writes its state.

        Returns the names of those that had not ended `END_S` after the deadline; they are left behind on their daemon
        threads, and nothing that they still decide counts. Not to be called from `on_fatal`.
        """
        self._ending = True
        for name in first:
            self._dismiss(name)
        self._until_idle(monotonic_s() + deadline_s)
        self._notices.put(None)
        self._thread.join(END_S)
        for name in reversed(self._specs):
            self._dismiss(name)
        until_s = monotonic_s() + END_S
        late = [name for name, one in self._running.items() if not one.actor_stopped.wait(max(0.0, until_s - monotonic_s()))]
        for name in late:
            self._publisher.new_incarnation(name)
        return late

    def starting(self, incarnation: Incarnation) -> None:
        """Told by a new incarnation, on the thread that starts it."""
        incarnation.lease_s = self._boot_deadline_s
        self._running[incarnation.shell.name] = incarnation

    def serving(self, incarnation: Incarnation) -> bool:
        """Told by an incarnation, on its thread, when its state is back."""
        name, number = incarnation.shell.name, incarnation.shell.incarnation
        with self._publisher.lock:  # nobody replaces it in between
            if number != self._publisher.incarnation(name):
                return False
            self._publisher.publish(SUPERVISOR, 0, [ChildServing(name, number)])
            incarnation.lease_s = self._specs[name].lease_s
            with self._changed:
                self._serving.add(name)
                self._changed.notify_all()
            return True

    def crashed(self, incarnation: Incarnation, error: BaseException) -> None:
        """Told by an incarnation, on its thread, as the last thing it does."""
        self._notices.put(_Crash(incarnation.shell.name, incarnation.shell.incarnation, error))

    def _supervise(self) -> None:
        try:
            while self._heed_next_notice():
                self._watch()
        except Exception as error:  # noqa: BLE001  nobody supervises this thread: without it the process must not go on
            logger.opt(exception=error).critical("supervision has ended")
            self._fatal(f"supervision has ended: {error!r}")

    def _heed_next_notice(self) -> bool:
        """Wait a little for a crash and rule on it; False when the host ends."""
        try:
            crash = self._notices.get(timeout=WATCH_EVERY_S)
        except queue.Empty:
            return True
        if crash is not None and crash.incarnation == self._publisher.incarnation(crash.name):
            self._down(crash.name, crash.error)
        return crash is not None

    def _watch(self) -> None:
        now_s = monotonic_s()
        self._on_look()
        self._vigil.look(now_s)
        while self._restarts and self._restarts[0][0] <= now_s and not self._ending:
            self._incarnate(heapq.heappop(self._restarts)[1])
        for name, running in list(self._running.items()):
            busy_s = running.overdue_s(self._vigil.awake_since_s)
            if busy_s is not None and not running.is_dismissed:
                self._stuck(name, busy_s)
        if self._publisher.last_seq - self._snapshots_seq >= RECORDS_A_SNAPSHOT:
            self._snapshots_seq = self._publisher.last_seq
            self.snapshot_all()
        if now_s >= self._count_letters_s:
            self._count_letters_s = now_s + LETTERS_COUNTED_EVERY_S
            self._count_dead()

    def _stuck(self, name: str, busy_s: float) -> None:
        error = TimeoutError(f"busy with one message for {busy_s:.1f} s")
        if self._specs[name].kind is Kind.EDGE:
            self._down(name, error)
        else:
            self._fatal(f"{name}: {error}")

    def _down(self, name: str, error: BaseException) -> None:
        """The present incarnation is over: nothing that it still decides counts. Rule on what comes next."""
        incarnation, ledger = self._publisher.incarnation(name), self._ledgers[name]
        words, in_hand = self._shown(f"{type(error).__name__}: {error}"), ledger.current
        numbers = {} if in_hand is None else {"seq": in_hand.delivery.seq, "cause": in_hand.delivery.cause_seq}
        logger.bind(**numbers).opt(exception=error).error("{} is down", name)
        with self._publisher.lock:
            self._publisher.new_incarnation(name)
            self._ledgers[name] = ledger.handed_on()
        self._dismiss(name)
        ruling = self._supervision.ruling(name, monotonic_s(), self._chance.random())
        down = ChildDown(name, incarnation, ruling.crashes, words)
        self._publisher.publish(SUPERVISOR, 0, obituary(down, ledger.current))
        match ruling.remedy:
            case Remedy.RESTART:
                heapq.heappush(self._restarts, (monotonic_s() + ruling.delay_s, name))
            case Remedy.LEAVE_DOWN:
                self._leave_down(name)
            case Remedy.ESCALATE:
                self._fatal(f"{name} crashed {ruling.crashes} times, last by {self._shown(repr(error))}")
            case _:
                assert_never(ruling.remedy)

    def _leave_down(self, name: str) -> None:
        self._boxes[name].close()
        with self._changed:
            self._left_down.add(name)
            self._changed.notify_all()

    def _fatal(self, reason: str) -> None:
        if self._ending:
            return
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._on_fatal(reason)

    def _is_given_up(self, name: str) -> bool:
        return self._ending or name in self._left_down

    def _incarnate(self, name: str) -> None:
        """A new incarnation over the child's ledger and box; what an overflowing box missed is read from the journal."""
        box = self._boxes[name]
        with self._publisher.lock:
            accepted, first_missed = len(box), box.reopen()
            upto = self._publisher.last_seq
        if first_missed is not None:
            try:
                box.put_ahead(accepted, self._missed(name, first_missed, upto))
            except JournalError as error:
                self._fatal(f"{name} cannot read what it missed: {error}")
                return
        shell = Shell(self._specs[name], self._ledgers[name], self._publisher)
        Incarnation.start(shell, box, self)
        logger.debug("{} starts as incarnation {}", name, shell.incarnation)

    def _missed(self, name: str, from_seq: int, to_seq: int) -> list[Delivery]:
        """Raises JournalError when the journal does not hold it: a state that skips messages is worse than none."""
        journal, decode = self._publisher.journal, self._publisher.codec.decode
        if journal is None or not journal.flush(FLUSH_S) or journal.durable_seq < to_seq:
            raise JournalError(f"records {from_seq} to {to_seq} are not in the journal")
        return [
            Delivery(record.seq, record.time_utc_ms, record.cause_row, decode(bytes(record.body)), cause_seq=record.cause_seq)
            for record in journal.read(from_seq, to_seq)
            if name in record.receivers
        ]

    def _dismiss(self, name: str) -> None:
        """The present incarnation reads no further, and an edge lets go of the world."""
        self._boxes[name].dismiss()
        with self._changed:
            self._serving.discard(name)
            self._changed.notify_all()
        running = self._running.get(name)
        if running is None or running.is_dismissed:
            return
        running.is_dismissed = True
        if self._specs[name].kind is Kind.EDGE and running.shell.child is not None:
            try:
                running.shell.child.close()
            except Exception as error:  # noqa: BLE001  it is over anyway, and its successor must not wait for it
                logger.opt(exception=error).error("{} did not close: {!r}", name, error)

    def _count_dead(self) -> None:
        """Tell what closed boxes counted; what telling it adds to them is no news."""
        with self._publisher.lock:
            counted = self._letters_counted
            dead = {name: box.letters_dead - counted.get(name, 0) for name, box in self._boxes.items()}
            news = [LettersDead(name, count) for name, count in dead.items() if count]
            if news:
                self._publisher.publish(SUPERVISOR, 0, news)
                self._letters_counted = {name: box.letters_dead for name, box in self._boxes.items()}

    def _until_idle(self, until_s: float) -> None:
        """Nobody is busy, nothing waits and nothing was said meanwhile, or the time is over. The overdue are not waited for."""
        pause = threading.Event()
        while monotonic_s() < until_s:
            last_seq = self._publisher.last_seq
            idle = all(
                one.is_idle() or one.overdue_s(self._vigil.awake_since_s) is not None for one in list(self._running.values())
            )
            if idle and last_seq == self._publisher.last_seq:
                return
            pause.wait(IDLE_LOOK_S)
