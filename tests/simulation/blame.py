"""What a crash changed, and the chain of causes that leads from each change back to the crash.

Two runs of one story are compared: an undisturbed one, and one in which a child crashed once. What was said counts as the
same when sender and words are (and it is the same occurrence of them); seq, time and incarnation do not matter.

A change is explained when the crash is in its chain: the child that crashed said it (or did not), or what caused it is a
change, or whoever said it had heard of the crash or of a change before. Nothing else explains it: a child that heard the
same and says something else, or that hears of nothing and behaves differently, was reached by the crash in a way that no
message shows.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from builders import Scene

from evenkeel.messages.system import ChildDown, ChildServing, Message, MessageParked
from evenkeel.runtime.journal import decode_record
from evenkeel.runtime.publisher import SUPERVISOR, Delivery
from evenkeel.supervisor import CODEC

FEED = "market_feed"
"""Who says what follows from the quotes; the journal leaves it out, so it is overheard."""

Words = tuple[str, bytes, int]
"""Sender, encoded message, and the how manieth time this run says so."""


class Event(NamedTuple):
    """One thing said; `at` is its place in its run, `cause` the place of what it answers, -1 for none."""

    at: int
    time_utc_ms: int
    words: Words
    message: Message
    receivers: tuple[str, ...]
    cause: int

    @property
    def sender(self) -> str:
        return self.words[0]


class Heard(NamedTuple):
    """Something that follows from a quote, said after the record `after_seq`."""

    after_seq: int
    delivery: Delivery


def overheard(scene: Scene) -> list[Heard]:
    """From now on, what is delivered and not journaled; the list grows while the story is told."""
    heard: list[Heard] = []
    publisher, queue = scene.host.publisher, scene.host.queue

    def deliver(deliveries: Sequence[Delivery]) -> None:
        heard.extend(Heard(publisher.last_seq, delivery) for delivery in deliveries if not delivery.seq)
        queue.extend(deliveries)

    publisher.connect(deliver)
    return heard


class Run:
    """Everything that was said in a story, in order."""

    def __init__(self, scene: Scene, heard: Sequence[Heard]) -> None:
        self.events: list[Event] = []
        self._at_seq: dict[int, int] = {}
        self._at_row: dict[tuple[str, int], int] = {}
        self._counts: Counter[tuple[str, bytes]] = Counter()
        waiting = list(reversed(heard))
        for body in scene.journal.bodies:
            record = decode_record(body)
            while waiting and waiting[-1].after_seq < record.seq:
                self._add_derived(waiting.pop().delivery)
            cause = self._at_seq.get(record.cause_seq, self._at_row.get((record.sender, record.cause_row), -1))
            self._at_seq[record.seq] = len(self.events)
            self._add(record.sender, bytes(record.body), record.time_utc_ms, record.receivers, cause)
        while waiting:
            self._add_derived(waiting.pop().delivery)
        self.at_words = {event.words: event for event in self.events}

    def _add_derived(self, delivery: Delivery) -> None:
        for name in delivery.receivers:
            self._at_row[name, delivery.row] = len(self.events)
        self._add(FEED, CODEC.encode(delivery.message), delivery.time_utc_ms, delivery.receivers, -1)

    def _add(self, sender: str, body: bytes, time_utc_ms: int, receivers: tuple[str, ...], cause: int) -> None:
        self._counts[sender, body] += 1
        words = (sender, body, self._counts[sender, body])
        self.events.append(Event(len(self.events), time_utc_ms, words, CODEC.decode(body), receivers, cause))


Ref = tuple[bool, int]
"""True: said in the crashed run; False: said in the undisturbed one and not there, or not then. And the place."""


def is_changed(event: Event, other: Run) -> bool:
    there = other.at_words.get(event.words)
    return there is None or there.time_utc_ms != event.time_utc_ms


class Blame:
    """`changes` are what only one of the runs says, and what the crashed one says at another time, without the words of the
    crashed child and of supervision about it; `unexplained` those without the crash in their chain."""

    def __init__(self, usual: Run, crashed: Run, victim: str) -> None:
        self._usual, self._crashed, self._victim = usual, crashed, victim
        self._because: dict[Ref, Ref | None] = {}
        self._since: dict[str, tuple[Event, Ref]] = {}
        found = [(True, event) for event in crashed.events if is_changed(event, usual)]
        found += [(False, event) for event in usual.events if is_changed(event, crashed)]
        found.sort(key=lambda one: (one[1].time_utc_ms, one[1].at))
        self.changes = [event for _, event in found if event.sender not in (victim, SUPERVISOR)]
        left = found
        while left:
            still = [one for one in left if not self._is_explained(*one)]
            if len(still) == len(left):
                break
            left = still
        self.unexplained = [event for _, event in left if event.sender != victim]

    def chain(self, change: Event) -> list[Event]:
        """From a change back to the crash."""
        ref: Ref | None = (self._crashed.at_words.get(change.words) == change, change.at)
        events: list[Event] = []
        while ref is not None:
            events.append((self._crashed if ref[0] else self._usual).events[ref[1]])
            ref = self._because[ref]
        return events

    def _is_explained(self, is_said: bool, event: Event) -> bool:
        """Note the reason and who hears of it; what is not said is missed by those who would have heard it."""
        ref = (is_said, event.at)
        if not self._explain(ref, event):
            return False
        for name in event.receivers:
            known = self._since.get(name)
            if known is None or event.time_utc_ms < known[0].time_utc_ms:
                self._since[name] = event, ref
        return True

    def _explain(self, ref: tuple[bool, int], event: Event) -> bool:
        if self._is_of_the_crash(event):
            self._because[ref] = None
            return True
        run = self._crashed if ref[0] else self._usual
        cause = event.cause
        while cause >= 0:
            before = self._changed(ref[0], run.events[cause])
            if before is not None:
                self._because[ref] = before
                return True
            cause = run.events[cause].cause
        known = self._since.get(event.sender)
        if known is None or known[0].time_utc_ms > event.time_utc_ms or (known[1][0] is ref[0] and known[0].at > event.at):
            return False
        self._because[ref] = known[1]
        return True

    def _changed(self, is_said: bool, event: Event) -> Ref | None:
        """An explained change of what was said here, or that it was said at another time there."""
        other = (self._usual if is_said else self._crashed).at_words.get(event.words)
        refs = [(is_said, event.at)] + ([] if other is None else [(not is_said, other.at)])
        return next((ref for ref in refs if ref in self._because), None)

    def _is_of_the_crash(self, event: Event) -> bool:
        match event.message:
            case ChildDown(child=child) | ChildServing(child=child) | MessageParked(child=child):
                return child == self._victim and event.sender == SUPERVISOR
            case _:
                return event.sender == self._victim
