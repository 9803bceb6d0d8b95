"""Deciding again: recorded inputs, in their order, given to actors of the present code; what they say against the record.

Only actors decide; edges are the world. Each actor hears what it heard then, whatever another one says now: a difference
does not spread from one actor to the next. Inside an actor it may: see `Redecision`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from evenkeel.messages.system import Message
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.journal import ChildSnapshot, Record
from evenkeel.runtime.publisher import Codec
from evenkeel.runtime.shell import SNAPSHOT_EVERY, ChildSpec

WAITING_MAX: Final = 10_000
"""Inputs of one actor whose recorded answer was not reached yet. An older one counts as never answered."""


class Difference(NamedTuple):
    """In the `nth` thing (from 0) that `child` says to the record `input_seq`. None: nothing was recorded, or is said now.

    `error` is the crash that the input brings about now. `is_first`: the actor said everything before it as recorded.
    """

    child: str
    input_seq: int
    nth: int
    recorded_seq: int | None
    recorded: bytes | None
    said: bytes | None
    error: str
    is_first: bool


class Tally(msgspec.Struct):
    """Of one actor. `unanswered` are inputs that were in hand when a process ended or the record does."""

    inputs: int = 0
    equal: int = 0
    differing: int = 0
    unanswered: int = 0


class Redecision:
    """Feed it every record from where the states begin; `compare_from_seq` on, what is said is held against the record.

    With `remade` the actors decide by what it makes of them (another configuration), and beside each stands one as it was
    recorded: after every answer in which the two differ the first goes on from the state of the second, so that one
    difference does not bring about the next. Without it an actor goes on from what it has just decided.
    """

    def __init__(
        self,
        codec: Codec,
        *,
        snapshots: Mapping[str, ChildSnapshot],
        parked: frozenset[tuple[str, int]],
        compare_from_seq: int,
        remade: Callable[[Sequence[ChildSpec]], Sequence[ChildSpec]] | None = None,
    ) -> None:
        self.tallies: dict[str, Tally] = {}
        self._codec, self._snapshots, self._parked = codec, snapshots, parked
        self._compare_from_seq, self._remade = compare_from_seq, remade
        self._specs: Sequence[ChildSpec] = ()
        self._is_comparing = False
        self._actors: dict[str, _Redecider] = {}

    def begin(self, specs: Sequence[ChildSpec]) -> None:
        """A run starts, made of `specs`: the actors are made anew and keep their states. Before its first record."""
        self._specs = specs
        remade = self._remade if self._is_comparing else None
        as_recorded = {spec.name: spec for spec in specs}
        as_now = as_recorded if remade is None else {spec.name: spec for spec in remade(specs)}
        for name in {**as_recorded, **as_now}:
            if name not in self._actors:
                self._actors[name] = _Redecider(name, self.tallies.setdefault(name, Tally()), self._snapshots.get(name))
        for name, actor in self._actors.items():
            actor.begin(as_now.get(name), None if remade is None else as_recorded.get(name))

    def feed(self, record: Record) -> Iterator[Difference]:
        """Differences that are certain by now. Raises msgspec's for a message that this build cannot read."""
        if not self._is_comparing and record.seq >= self._compare_from_seq:
            self._is_comparing = True
            if self._remade is not None:
                self.begin(self._specs)
        sender = self._actors.get(record.sender) if self._is_comparing else None
        hearers = [self._actors[name] for name in record.receivers if name in self._actors]
        if not hearers and sender is None:
            return
        message, encode = self._codec.decode(bytes(record.body)), self._codec.encode
        if sender is not None and record.cause_seq >= self._compare_from_seq:
            yield from sender.answered(record, encode(message))  # as this build writes it: fields were added
        for actor in hearers:
            if (actor.name, record.seq) not in self._parked:
                yield from actor.hear(record, message, encode, compared=self._is_comparing)

    def end(self) -> Iterator[Difference]:
        """After the last record."""
        for actor in self._actors.values():
            yield from actor.settle()


class _Waiting(msgspec.Struct):
    """What is said now to an input, until all that was recorded of it is known. `is_owed`: the process ended meanwhile."""

    said: list[bytes]
    error: str = ""
    recorded: list[tuple[int, bytes]] = []
    is_owed: bool = False


class _Redecider:
    """One actor through the record."""

    def __init__(self, name: str, tally: Tally, snapshot: ChildSnapshot | None) -> None:
        self.name = name
        self._tally = tally
        self._upto_seq = snapshot.upto_seq if snapshot else 0
        self._state = snapshot.state if snapshot else None
        self._now: _Fold | None = None
        self._as_recorded: _Fold | None = None
        self._waiting: dict[int, _Waiting] = {}

    def begin(self, now: ChildSpec | None, as_recorded: ChildSpec | None) -> None:
        """None: there is no such child in this run, so it says nothing; what it knew is kept for a later one."""
        for fold in (self._now, self._as_recorded):
            self._state = fold.state() if fold is not None else self._state
        self._now = _Fold(now, self._state) if now else None
        self._as_recorded = _Fold(as_recorded, self._state) if as_recorded else None
        for waiting in self._waiting.values():
            waiting.is_owed = True

    def hear(
        self, record: Record, message: Message, encode: Callable[[Message], bytes], *, compared: bool
    ) -> Iterator[Difference]:
        if record.seq <= self._upto_seq:
            return
        said, error = self._now.handle(message, record.time_utc_ms) if self._now else ([], "")
        bodies = [encode(one) for one in said]
        if self._as_recorded is not None:
            then, then_error = self._as_recorded.handle(message, record.time_utc_ms)
            if self._now is not None and (error, bodies) != (then_error, [encode(one) for one in then]):
                self._now.go_on_from(self._as_recorded)
        if compared:
            self._tally.inputs += 1
            if bodies or error:
                self._waiting[record.seq] = _Waiting(bodies, error)
                if len(self._waiting) > WAITING_MAX:
                    yield from self._settle_one(next(iter(self._waiting)))

    def answered(self, record: Record, body: bytes) -> Iterator[Difference]:
        """An actor answers in the order of what it hears: what it heard before and is still waiting was not answered."""
        if record.cause_seq <= self._upto_seq:
            return
        for seq in [seq for seq in self._waiting if seq < record.cause_seq]:
            yield from self._settle_one(seq)
        waiting = self._waiting.setdefault(record.cause_seq, _Waiting([]))
        waiting.recorded = [*waiting.recorded, (record.seq, body)]

    def settle(self) -> Iterator[Difference]:
        for waiting in self._waiting.values():
            waiting.is_owed = True
        for seq in list(self._waiting):
            yield from self._settle_one(seq)

    def _settle_one(self, seq: int) -> Iterator[Difference]:
        waiting, tally = self._waiting.pop(seq), self._tally
        if waiting.is_owed and not waiting.recorded:
            tally.unanswered += 1
            return
        for index in range(max(len(waiting.said), len(waiting.recorded), 1)):
            said = waiting.said[index] if index < len(waiting.said) else None
            recorded_seq, recorded = waiting.recorded[index] if index < len(waiting.recorded) else (None, None)
            if said == recorded and not waiting.error:
                tally.equal += 1
            else:
                tally.differing += 1
                is_first = tally.differing == 1
                yield Difference(self.name, seq, index, recorded_seq, recorded, said, waiting.error, is_first)


class _Fold:
    """An actor and its state. One that crashes goes on without the message, as if that had been parked."""

    def __init__(self, spec: ChildSpec, state: bytes | None) -> None:
        self._spec, self._checkpoint = spec, state
        self._tail: list[tuple[Message, int]] = []
        self._child: Any = None
        self._rebuild()

    def handle(self, message: Message, now_utc_ms: int) -> tuple[Sequence[Message], str]:
        """What it says, and how it crashed, or ""."""
        try:
            said = self._child.handle(message, now_utc_ms)
        except Exception as error:  # noqa: BLE001  what the present code does to a recorded input is a finding, not an end
            self._rebuild()
            return (), f"{type(error).__name__}: {error}"
        self._tail.append((message, now_utc_ms))
        if len(self._tail) >= SNAPSHOT_EVERY:
            self._checkpoint, self._tail = self.state(), []
        return said, ""

    def state(self) -> bytes:
        return snapshot_of(self._child)

    def go_on_from(self, other: "_Fold") -> None:
        self._checkpoint, self._tail = other.state(), []
        self._rebuild()

    def _rebuild(self) -> None:
        self._child = self._spec.make()
        if self._checkpoint is not None:
            restore(self._child, self._checkpoint)
        for message, now_utc_ms in self._tail:
            self._child.handle(message, now_utc_ms)
