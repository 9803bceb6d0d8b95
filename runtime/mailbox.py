"""One first-in-first-out lane for everything that reaches a child, bounded; beside it a control lane for the shell alone.

The box belongs to the child, not to an incarnation: what was accepted waits for the next one. Each incarnation reads it
through a `Slot`; an old slot gets nothing but its dismissal.
"""

import threading
from collections import deque
from collections.abc import Sequence
from enum import Enum, auto

from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.publisher import Delivery


class Order(Enum):
    """What only the shell serves. `POLL`, `OVERFLOWED` and `DISMISSED` come from the box itself."""

    POLL = auto()
    SNAPSHOT = auto()
    CRASH = auto()
    OVERFLOWED = auto()
    DISMISSED = auto()


class Mailbox:
    """A message that finds `capacity` others waiting closes the box: it and what comes after is counted, not kept.

    The reader of a closed box is told `OVERFLOWED`; its next incarnation reads from the journal what `reopen` says is
    missing, and `capacity` then counts on top of that.
    """

    def __init__(self, capacity: int) -> None:
        self.letters_dead = 0
        self._capacity = capacity
        self._bound = capacity
        self._lane: deque[Delivery] = deque()
        self._orders: deque[Order] = deque()
        self._arrived = threading.Condition(threading.Lock())
        self._first_dead_seq: int | None = None
        self._slot: Slot | None = None

    def __len__(self) -> int:
        return len(self._lane)

    def put(self, delivery: Delivery, /) -> None:
        with self._arrived:
            if self._first_dead_seq is None and len(self._lane) < self._bound:
                self._lane.append(delivery)
                self._arrived.notify()
                return
            self.letters_dead += 1
            if self._first_dead_seq is None:
                self._first_dead_seq = delivery.seq

    def order(self, order: Order) -> None:
        """To the present incarnation, ahead of its messages; the same order once is enough."""
        with self._arrived:
            if order not in self._orders:
                self._orders.append(order)
            self._arrived.notify()

    def wake(self) -> None:
        """The present incarnation is to poll, as if the time for it had come."""
        with self._arrived:
            if self._slot is not None:
                self._slot.is_woken = True
                self._arrived.notify()

    def open_slot(self) -> "Slot":
        """The reading end for a new incarnation; the one before it is dismissed, orders to that one are void."""
        with self._arrived:
            self._slot = Slot(self)
            self._orders.clear()
            self._arrived.notify_all()
            return self._slot

    def dismiss(self) -> None:
        """The present incarnation reads no further; messages go on waiting."""
        with self._arrived:
            self._slot = None
            self._arrived.notify_all()

    def close(self) -> None:
        """For good: the child does not come back in this process. What waits is dropped and counted too."""
        with self._arrived:
            self.letters_dead += len(self._lane)
            self._lane.clear()
            self._bound = 0

    def reopen(self) -> int | None:
        """Accept again; the number of the first message missed since the box was closed, None if it never was."""
        with self._arrived:
            first, self._first_dead_seq = self._first_dead_seq, None
            if first is not None:
                self._bound = len(self._lane) + self._capacity
            return first

    def put_ahead(self, accepted: int, missed: Sequence[Delivery]) -> None:
        """Put what was missed behind the first `accepted` messages and before what came after the box was open again."""
        with self._arrived:
            waiting = list(self._lane)
            self._lane = deque([*waiting[:accepted], *missed, *waiting[accepted:]])
            self._bound += len(missed)
            self._arrived.notify()

    def has_caught_up(self) -> bool:
        """Nothing waits, and nothing was missed. For the reader, without the lock: only a full lane is ever closed."""
        return not self._lane and self._first_dead_seq is None

    def is_idle(self, slot: "Slot") -> bool:
        """The incarnation behind `slot` does nothing but look at the world, and nothing waits that it would do."""
        with self._arrived:
            if slot is not self._slot:
                return slot.busy_since_s is None
            return (slot.busy_since_s is None or slot.has_just_polled) and not (self._lane or self._orders)

    def take(self, slot: "Slot") -> Delivery | Order:
        with self._arrived:
            while (taken := self._next(slot)) is None:
                slot.busy_since_s = None
                self._arrived.wait(slot.until_poll_s())
            slot.busy_since_s = monotonic_s()
            return taken

    def _next(self, slot: "Slot") -> Delivery | Order | None:
        """Polls come when they are due, but never twice in a row while messages wait."""
        if slot is not self._slot:
            return Order.DISMISSED
        if self._first_dead_seq is not None:
            return Order.OVERFLOWED
        if self._orders:
            return self._orders.popleft()
        if slot.is_poll_due() and not (self._lane and slot.has_just_polled):
            slot.polled()
            return Order.POLL
        slot.has_just_polled = False
        return self._lane.popleft() if self._lane else None


class Slot:
    """One incarnation's end of the box. `poll_s` is how often it is to poll; None: never.

    `busy_since_s` is since when it is at the present thing, or starting; None while it waits.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self.poll_s: float | None = None
        self.is_woken = False
        self.has_just_polled = False
        self.busy_since_s: float | None = monotonic_s()
        self._mailbox = mailbox
        self._polled_s = monotonic_s()

    def take(self) -> Delivery | Order:
        """The next thing to do; blocks until there is one."""
        return self._mailbox.take(self)

    def is_idle(self) -> bool:
        return self._mailbox.is_idle(self)

    def is_poll_due(self) -> bool:
        until_s = self.until_poll_s()
        return until_s is not None and until_s <= 0

    def until_poll_s(self) -> float | None:
        if self.is_woken:
            return 0.0
        return None if self.poll_s is None else self._polled_s + self.poll_s - monotonic_s()

    def polled(self) -> None:
        self.is_woken = False
        self.has_just_polled = True
        self._polled_s = monotonic_s()
