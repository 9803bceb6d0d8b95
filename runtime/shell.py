"""The shell around a child: it feeds it, publishes what it says, and can build it again after a crash.

A `Ledger` belongs to the child and outlives its incarnations: the last snapshot and everything since. A `Shell` is one
incarnation over that ledger. A shell never catches: whoever runs it decides what a crash means.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from evenkeel.messages.system import Message
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.edge import At
from evenkeel.runtime.journal import ChildSnapshot, JournalError
from evenkeel.runtime.publisher import NO_ROW, Delivery, Echo, Publisher

SNAPSHOT_EVERY: Final = 256
"""Entries of a ledger after which the state is written down and the tail begins anew: a restart folds at most so many."""


class FoldDiverged(JournalError):
    """The same build said something else to a recorded input than the journal holds."""


class Kind(StrEnum):
    ACTOR = "actor"
    EDGE = "edge"


LEASE_S: Final = 2.0
"""So long a child may be busy with one message."""


class ChildSpec(msgspec.Struct, frozen=True):
    """A child as the supervisor knows it.

    `owns_positions`: restarted at once, at most once a second, for ever. Others wait longer each time, and more than
    `intensity` crashes in `period_s` exhaust them: an `essential` one ends the process, another one stays down.
    """

    name: str
    kind: Kind
    make: Callable[[], Any]
    owns_positions: bool = False
    essential: bool = True
    intensity: int = 5
    period_s: float = 600.0
    lease_s: float = LEASE_S


class Entry(msgspec.Struct, eq=False, gc=False):
    """One thing that a child heard (or, an edge, said). `recorded` are the bodies that the journal holds as its answer."""

    delivery: Delivery
    said: bool = False
    done: bool = False
    parked: bool = False
    crashes: int = 0
    recorded: list[bytes] | None = None


class Ledger:
    """`snapshot` is the state after everything up to and including `upto_seq`; `tail` is what came since, in order."""

    def __init__(self, snapshot: bytes | None = None, tail: list[Entry] | None = None, *, tolerant: bool = False) -> None:
        self.snapshot = snapshot
        self.tail: list[Entry] = tail if tail is not None else []
        self.tolerant = tolerant
        self.current: Entry | None = None
        """What the child has in hand: who crashes now crashes because of it."""

    def handed_on(self) -> "Ledger":
        """For the next incarnation. A stuck one keeps this ledger, and whatever it still does here hurts nobody."""
        return Ledger(self.snapshot, list(self.tail), tolerant=self.tolerant)


class Shell:
    """The incarnation that the publisher counts for this child when the shell is made; `child` is made by `rebuild`."""

    def __init__(self, spec: ChildSpec, ledger: Ledger, publisher: Publisher) -> None:
        self.spec = spec
        self.name = spec.name
        self.ledger = ledger
        self.incarnation = publisher.incarnation(spec.name)
        self.child: Any = None
        self._publisher = publisher
        self._is_edge = spec.kind is Kind.EDGE
        self._unpublished: list[tuple[Entry, Sequence[Message]]] = []

    def rebuild(self) -> None:
        """Make the child, fold snapshot and tail. Says nothing yet.

        Raises whatever the child raises, `FoldDiverged`, or a decoding error.
        """
        self.child = self.spec.make()
        if self.ledger.snapshot is not None:
            restore(self.child, self.ledger.snapshot)
        last_done = max((index for index, entry in enumerate(self.ledger.tail) if entry.done), default=-1)
        for index, entry in enumerate(self.ledger.tail):
            if not entry.parked:
                self._fold(entry, older_than_done=index < last_done)
        self.ledger.current = None

    def begin(self) -> None:
        """Say what the last incarnation still owed, then (an edge) what the world did meanwhile."""
        for entry, said in self._unpublished:
            self.ledger.current = entry
            self._publisher.publish(self.name, self.incarnation, said, cause=entry.delivery, answered=entry)
        self.ledger.current = None
        self._unpublished = []
        if self._is_edge:
            self.say(self.child.resume(self._publisher.clock.now_utc_ms()))

    @property
    def poll_s(self) -> float | None:
        poll_s: float | None = self.child.poll_s if self._is_edge else None
        return poll_s

    def poll(self) -> None:
        """Let an edge look at the world."""
        self.say(self.child.poll(self._publisher.clock.now_utc_ms()))

    def hear(self, delivery: Delivery) -> None:
        """Hand one message to the child and publish what it says."""
        if self._is_edge:
            self._hear_as_edge(delivery)
            return
        entry = Entry(delivery)
        ledger = self.ledger
        ledger.tail.append(entry)
        ledger.current = entry
        said = self.child.handle(delivery.message, delivery.time_utc_ms)
        if said:
            self._publisher.publish(self.name, self.incarnation, said, cause=delivery, answered=entry)
        else:
            entry.done = True
        ledger.current = None

    def say(
        self, messages: Sequence[Message], *, cause: Delivery | None = None, row: int = NO_ROW, derived: bool = False
    ) -> None:
        """Publish what an edge says, and let it remember that it did."""
        if not messages:
            return
        with self._publisher.lock:  # who replaces this incarnation finds all that it said in the ledger
            said = self._publisher.publish(self.name, self.incarnation, messages, cause=cause, row=row, derived=derived)
            entries = [Entry(delivery, said=True) for delivery in said]
            self.ledger.tail += entries
        for entry in entries:
            self._remember(entry)
        self.ledger.current = None

    def tidy(self, *, box_empty: bool, every: int = SNAPSHOT_EVERY) -> None:
        """Write the state down and begin a new tail, once that is `every` entries long.

        An edge remembers what it says before what still waits for it, so its snapshot must wait until nothing does.
        """
        ledger = self.ledger
        if len(ledger.tail) < every or (self._is_edge and not box_empty):
            return
        state = snapshot_of(self.child)
        upto_seq = max(entry.delivery.seq for entry in ledger.tail)
        with self._publisher.lock:
            if self.incarnation != self._publisher.incarnation(self.name):
                return  # replaced while it was stuck: its successor has the word
            ledger.snapshot, ledger.tail = state, []
            if upto_seq:
                self._publisher.snapshot(ChildSnapshot(self.name, upto_seq, state))

    def renew(self, has_caught_up: Callable[[], bool]) -> bool:
        """Write the state down as one of this moment, also when nothing is new in it: from disk nobody reads further back.

        Only when nothing waits for the child, so that what was published until now is all in it; false: it was not done.
        """
        state = snapshot_of(self.child)
        with self._publisher.lock:
            if self.incarnation != self._publisher.incarnation(self.name) or not has_caught_up():
                return False
            self.ledger.snapshot, self.ledger.tail = state, []
            if self._publisher.last_seq:
                self._publisher.snapshot(ChildSnapshot(self.name, self._publisher.last_seq, state))
            return True

    def _hear_as_edge(self, delivery: Delivery) -> None:
        is_echo = isinstance(delivery, Echo)
        entry = Entry(delivery, said=is_echo)
        self.ledger.tail.append(entry)
        self._remember(entry)
        if not is_echo:
            self.say(self.child.act(delivery.message, At(delivery.seq, delivery.time_utc_ms)), cause=delivery)
        self.ledger.current = None

    def _remember(self, entry: Entry) -> None:
        self.ledger.current = entry
        self.child.remember(entry.delivery.message)
        entry.done = True

    def _fold(self, entry: Entry, *, older_than_done: bool) -> None:
        delivery = entry.delivery
        if self._is_edge:
            self._remember(entry)
            return
        self.ledger.current = entry
        said = self.child.handle(delivery.message, delivery.time_utc_ms)
        self.ledger.current = None  # a fold that diverges is not the message's fault
        if not entry.done and not older_than_done:
            if said:
                self._unpublished.append((entry, said))
            else:
                entry.done = True
        elif not self.ledger.tolerant:
            self._compare(entry, said, older_than_done)

    def _compare(self, entry: Entry, said: Sequence[Message], older_than_done: bool) -> None:
        if entry.recorded is None and entry.done:
            return  # answered in this process: what it said is on its way, the bodies were not kept
        recorded = entry.recorded or []
        if [self._publisher.codec.encode(message) for message in said] != recorded:
            seq = entry.delivery.seq
            found = f"{len(said)} said, {len(recorded)} recorded"
            raise FoldDiverged(f"{self.name} at seq {seq}: {found}; evenkeel replay --from {seq} shows what differs")
