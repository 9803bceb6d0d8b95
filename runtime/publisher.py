"""Publishing: under one lock a message gets its number and time, goes to the journal, and into each receiver's box.

All that one input caused is published together, with one cause, or not at all.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from evenkeel.messages.system import Message, Observation
from evenkeel.runtime.clock import Clock
from evenkeel.runtime.journal import ChildSnapshot, Journal, JournalClosed, Record, encode_record
from evenkeel.runtime.routes import RouteTable

SUPERVISOR: Final = "supervisor"
NO_ROW: Final = -1


class Delivery(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A published message on its way: what every receiver gets. `seq` 0 is one that the input implies and nobody numbers.

    `cause_seq` is the record that led to it, 0 for none.
    """

    seq: int
    time_utc_ms: int
    row: int
    message: Message
    receivers: tuple[str, ...] = ()
    cause_seq: int = 0


class Echo(Delivery, frozen=True, eq=False, gc=False):
    """What a replaced incarnation of an edge saw after all: its successor remembers it as said, and does not act on it."""


class Codec(NamedTuple):
    """The runtime knows no message but its own: whoever builds the system hands in how to write and read them."""

    encode: Callable[[Message], bytes]
    decode: Callable[[bytes], Message]


class Box(Protocol):
    def put(self, delivery: Delivery, /) -> None:
        """Accept a delivery; never blocks, never raises."""
        ...


def into(boxes: Mapping[str, Box]) -> Callable[[Sequence[Delivery]], None]:
    """For `Publisher.connect`: puts each delivery into the box of each receiver."""

    def deliver(deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            for name in delivery.receivers:
                boxes[name].put(delivery)

    return deliver


class Question(Protocol):
    """What messages answer."""

    done: bool


class Publisher:
    """`on_journal_failed` is called once, under the lock, after the journal refused: from then on messages are delivered
    but not kept, and nothing becomes durable any more, which is what stops new risk at the last gate."""

    def __init__(
        self,
        *,
        routes: RouteTable,
        codec: Codec,
        clock: Clock,
        journal: Journal | None,
        last_seq: int = 0,
        last_utc_ms: int = 0,
        on_journal_failed: Callable[[str], None] | None = None,
    ) -> None:
        self.clock = clock
        self.journal = journal
        self.codec = codec
        self.lock = threading.RLock()
        self.refused_stale = 0
        self.routes = routes
        self._deliver = into({})
        self._incarnations: dict[str, int] = {}
        self._seq = last_seq
        self._last_utc_ms = last_utc_ms
        self._on_journal_failed = on_journal_failed
        self._journal_error: str | None = None

    @property
    def last_seq(self) -> int:
        return self._seq

    def connect(self, deliver: Callable[[Sequence[Delivery]], None]) -> None:
        """`deliver` hands deliveries to their receivers, in order, under the lock; it never blocks and never raises."""
        self._deliver = deliver

    def new_incarnation(self, name: str) -> int:
        """From now on what an older incarnation decides is refused; what it observed is still accepted."""
        with self.lock:
            self._incarnations[name] = self._incarnations.get(name, 0) + 1
            return self._incarnations[name]

    def incarnation(self, name: str) -> int:
        return self._incarnations.get(name, 0)

    def publish(
        self,
        sender: str,
        incarnation: int,
        messages: Sequence[Message],
        *,
        cause: Delivery | None = None,
        row: int = NO_ROW,
        derived: bool = False,
        answered: Question | None = None,
    ) -> Sequence[Delivery]:
        """Publish what `sender` says, and return what was accepted of it.

        `row` is the input row that caused it where `cause` is None. `derived` messages follow from a recorded input: they
        are delivered, neither numbered nor written. `answered` is done when the messages are in the journal, before anyone
        hears them. Raises TypeError when a message cannot be encoded; then nothing was published.
        """
        self.lock.acquire()  # `with` takes twice as long for it, and nothing runs more often than this
        try:
            is_stale = incarnation != self._incarnations.get(sender, 0)
            if is_stale:
                answered = None
                messages = [message for message in messages if isinstance(message, Observation)]
                self.refused_stale += 1
            now, seq, routes = self.clock.now_utc_ms(), self._seq, self.routes
            if now < self._last_utc_ms:
                now = self._last_utc_ms
            self._last_utc_ms = now
            if cause is not None:
                row = cause.row
            cause_seq = 0 if cause is None else cause.seq
            deliveries = []
            for message in messages:
                seq += 1
                receivers = routes.by_type.get(type(message)) or routes.receivers(message)
                deliveries.append(Delivery(0 if derived else seq, now, row, message, receivers, cause_seq))
            if not derived:
                if self.journal is not None:
                    self._write(self.journal, sender, incarnation, deliveries)
                self._seq = seq
            if answered is not None:
                answered.done = True
            self._deliver(deliveries)
            if is_stale:
                self._deliver(_echoes(sender, deliveries))
            if self._journal_error is not None:
                self._tell_of_lost_journal()
            return deliveries
        finally:
            self.lock.release()

    def snapshot(self, snapshot: ChildSnapshot) -> None:
        with self.lock:
            if self.journal is not None:
                try:
                    self.journal.snapshot(snapshot)
                except JournalClosed as error:
                    self._lose_journal(error)
            self._tell_of_lost_journal()

    def _write(self, journal: Journal, sender: str, incarnation: int, deliveries: Sequence[Delivery]) -> None:
        encode = self.codec.encode
        records = []
        for one in deliveries:
            body = msgspec.Raw(encode(one.message))
            record = Record(one.seq, one.time_utc_ms, one.cause_seq, one.row, sender, incarnation, one.receivers, body)
            records.append((one.seq, encode_record(record)))
        try:
            journal.append(records)
        except JournalClosed as error:
            self._lose_journal(error)

    def _lose_journal(self, error: JournalClosed) -> None:
        self.journal = None
        self._journal_error = str(error)

    def _tell_of_lost_journal(self) -> None:
        """After the deliveries: whoever is told may publish."""
        error, self._journal_error = self._journal_error, None
        if error is not None and self._on_journal_failed is not None:
            self._on_journal_failed(error)


def _echoes(sender: str, deliveries: Sequence[Delivery]) -> list[Delivery]:
    return [Echo(one.seq, one.time_utc_ms, one.row, one.message, (sender,), one.cause_seq) for one in deliveries]
