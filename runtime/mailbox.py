"""One first-in-first-out lane for everything that reaches a child, bounded; beside it a control lane for the shell alone.

The box belongs to the child, not to an incarnation: what was accepted waits for the next one. Each incarnation reads it
through a `Slot`; an old slot gets nothing but its dismissal.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto

from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.publisher import Delivery


class Order(Enum):
    """What only the shell serves."""

    POLL = auto()
    SNAPSHOT = auto()
    CRASH = auto()
    DISMISSED = auto()


class Mailbox:
    """`on_full` is called once, when a message finds the box full: the box is closed and what comes after is counted.

    `reopen` gives the number of the first message that was not accepted, so that the next incarnation reads the rest from
    the journal.
    """

    def __init__(self, capacity: int, on_full: Callable[[], None]) -> None:
        self.letters_dead = 0
        self._capacity = capacity
        self._on_full = on_full
        self._lane: deque[Delivery] = deque()
        self._arrived = threading.Condition(threading.Lock())
        self._first_dead_seq: int | None = None
        self._slot: Slot | None = None
        self._orders: deque[Order] = deque()

    def __len__(self) -> int:
        return len(self._lane)

    def put(self, delivery: Delivery, /) -> None:
        with self._arrived:
            if self._first_dead_seq is None and len(self._lane) < self._capacity:
                self._lane.append(delivery)
                self._arrived.notify()
                return
            self.letters_dead += 1
            newly_full = self._first_dead_seq is None
            if newly_full:
                self._first_dead_seq = delivery.seq
        if newly_full:
            self._on_full()

    def order(self, order: Order) -> None:
        """To the present incarnation, ahead of its messages; the same order once is enough."""
        with self._arrived:
            if order not in self._orders:
                self._orders.append(order)
            self._arrived.notify()

    def open_slot(self, poll_s: Callable[[], float | None]) -> "Slot":
        """The reading end for a new incarnation; the one before it is dismissed."""
        with self._arrived:
            self._slot = Slot(self, poll_s)
            self._orders.clear()
            self._arrived.notify_all()
            return self._slot

    def dismiss(self) -> None:
        """The present incarnation reads no further; messages go on waiting."""
        with self._arrived:
            self._slot = None
            self._arrived.notify_all()

    def reopen(self) -> int | None:
        """Accept again; the number of the first message missed since the box was closed, None if it never was."""
        with self._arrived:
            first, self._first_dead_seq = self._first_dead_seq, None
            return first

    def put_ahead(self, accepted: int, missed: Iterable[Delivery]) -> None:
        """Put what was missed behind the first `accepted` messages and before what came after the box was open again."""
        with self._arrived:
            waiting = list(self._lane)
            self._lane = deque([*waiting[:accepted], *missed, *waiting[accepted:]])
            self._arrived.notify()

    def take(self, slot: "Slot") -> Delivery | Order:
        with self._arrived:
            while True:
                if self._slot is not slot:
                    return Order.DISMISSED
                if self._orders:
                    return self._orders.popleft()
                wait_s = slot.until_poll_s(served=bool(self._lane))
                if wait_s is not None and wait_s <= 0:
                    return Order.POLL
                if self._lane:
                    slot.just_polled = False
                    return self._lane.popleft()
                self._arrived.wait(wait_s)


class Slot:
    """One incarnation's end of the box. Polls come when they are due, but never twice in a row while messages wait."""

    def __init__(self, mailbox: Mailbox, poll_s: Callable[[], float | None]) -> None:
        self.just_polled = False
        self._mailbox = mailbox
        self._poll_s = poll_s
        self._polled_s = monotonic_s()

    def take(self) -> Delivery | Order:
        """The next thing to do; blocks until there is one."""
        taken = self._mailbox.take(self)
        if taken is Order.POLL:
            self.just_polled = True
            self._polled_s = monotonic_s()
        return taken

    def until_poll_s(self, *, served: bool) -> float | None:
        poll_s = self._poll_s()
        if poll_s is None or (served and self.just_polled):
            return None
        return self._polled_s + poll_s - monotonic_s()
