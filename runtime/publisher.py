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


class Delivery:
    """A published message on its way: what every receiver gets. `seq` 0 is one that the input implies and nobody numbers."""

    __slots__ = ("message", "row", "seq", "time_utc_ms")

    def __init__(self, seq: int, time_utc_ms: int, row: int, message: Message) -> None:
        self.seq = seq
        self.time_utc_ms = time_utc_ms
        self.row = row
        self.message = message


class Codec(NamedTuple):
    """The runtime knows no message but its own: whoever builds the system hands in how to write and read them."""

    encode: Callable[[Message], bytes]
    decode: Callable[[bytes], Message]


class Box(Protocol):
    def put(self, delivery: Delivery, /) -> None:
        """Accept a delivery; never blocks, never raises."""
        ...


class Publisher:
    """`on_journal_failed` is called once, under the lock, when the journal refuses: from then on messages are delivered
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
        self._routes = routes
        self._boxes: Mapping[str, Box] = {}
        self._incarnations: dict[str, int] = {}
        self._seq = last_seq
        self._last_utc_ms = last_utc_ms
        self._on_journal_failed = on_journal_failed

    @property
    def last_seq(self) -> int:
        return self._seq

    def connect(self, boxes: Mapping[str, Box]) -> None:
        self._boxes = boxes

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
        done: Callable[[], None] | None = None,
    ) -> Sequence[Delivery]:
        """Publish what `sender` says, and return what was accepted of it.

        `row` is the input row that caused it where `cause` is None. `derived` messages follow from a recorded input: they
        are delivered, neither numbered nor written. `done` is called when the messages are in the journal, before anyone
        hears them. Raises TypeError when a message cannot be encoded; then nothing was published.
        """
        with self.lock:
            if incarnation != self._incarnations.get(sender, 0):
                done = None
                messages = [message for message in messages if isinstance(message, Observation)]
                self.refused_stale += 1
            now = self._last_utc_ms = max(self._last_utc_ms, self.clock.now_utc_ms())
            row = cause.row if cause is not None else row
            deliveries = self._number(sender, incarnation, messages, cause, now, row, derived)
            if done is not None:
                done()
            boxes = self._boxes
            for delivery, receivers in deliveries:
                for name in receivers:
                    boxes[name].put(delivery)
            return [delivery for delivery, _ in deliveries]

    def snapshot(self, snapshot: ChildSnapshot) -> None:
        with self.lock:
            if self.journal is not None:
                try:
                    self.journal.snapshot(snapshot)
                except JournalClosed as error:
                    self._lose_journal(error)

    def _number(
        self,
        sender: str,
        incarnation: int,
        messages: Sequence[Message],
        cause: Delivery | None,
        now: int,
        row: int,
        derived: bool,
    ) -> list[tuple[Delivery, tuple[str, ...]]]:
        receivers_of = self._routes.receivers
        if derived:
            return [(Delivery(0, now, row, message), receivers_of(message)) for message in messages]
        seq = self._seq
        cause_seq = cause.seq if cause is not None else 0
        deliveries = []
        records = []
        for message in messages:
            seq += 1
            receivers = receivers_of(message)
            deliveries.append((Delivery(seq, now, row, message), receivers))
            if self.journal is not None:
                body = msgspec.Raw(self.codec.encode(message))
                record = Record(seq, now, cause_seq, row, sender, incarnation, receivers, body)
                records.append((seq, encode_record(record)))
        if records and self.journal is not None:
            try:
                self.journal.append(records)
            except JournalClosed as error:
                self._lose_journal(error)
        self._seq = seq
        return deliveries

    def _lose_journal(self, error: JournalClosed) -> None:
        self.journal = None
        if self._on_journal_failed is not None:
            self._on_journal_failed(str(error))
