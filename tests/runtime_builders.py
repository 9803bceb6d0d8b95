"""Small systems for tests of the runtime: children that count numbers and get into trouble when they are told to."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from evenkeel.messages import system
from evenkeel.messages.system import Message, Observation
from evenkeel.runtime.clock import ManualClock
from evenkeel.runtime.edge import At
from evenkeel.runtime.journal import MemoryJournal, Record, decode_record
from evenkeel.runtime.publisher import Codec, Delivery, Publisher, into
from evenkeel.runtime.routes import Routes, RouteTable
from evenkeel.runtime.shell import ChildSpec, Kind, Ledger
from evenkeel.runtime.stepped import SteppedHost
from evenkeel.runtime.threaded import ThreadedHost
from evenkeel.runtime.timers import Timers

WAIT_S = 10.0


class Asked(Message, frozen=True):
    """The child `of` is to count `number`."""

    of: str
    number: int


class Counted(Message, frozen=True):
    """A decision: `by` counted `number`, its `nth`."""

    by: str
    number: int
    nth: int


class Seen(Observation, frozen=True):
    """`by` saw `number` in the world."""

    by: str
    number: int


class Odd(Message, frozen=True):
    """What no codec can write, if the test wants it so."""

    thing: Any


SYSTEM = (
    system.ChildDown,
    system.ChildServing,
    system.MessageParked,
    system.LettersDead,
    system.SetTimer,
    system.CancelTimer,
    system.TimerDue,
)
OWN = (Asked, Counted, Seen, Odd)
ROUTES: Routes = {
    Asked: ["{of}"],
    Counted: ["listener?"],
    Seen: ["listener?"],
    Odd: ["listener?"],
    system.ChildDown: [],
    system.ChildServing: [],
    system.MessageParked: [],
    system.LettersDead: ["listener?"],
    system.SetTimer: ["clock?"],
    system.CancelTimer: ["clock?"],
    system.TimerDue: ["{owner}"],
}
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(
    system.ChildDown
    | system.ChildServing
    | system.MessageParked
    | system.LettersDead
    | system.SetTimer
    | system.CancelTimer
    | system.TimerDue
    | Asked
    | Counted
    | Seen
    | Odd
)
CODEC = Codec(msgspec.msgpack.encode, _decoder.decode)

Trouble = Callable[[int], None]


def no_trouble(number: int) -> None:
    """Everything goes well."""


class Raises:
    """Trouble: raises `error` the first `times` that `number` comes."""

    def __init__(self, error: BaseException, *, at: int, times: int = 1) -> None:
        self._error, self._at, self._left = error, at, times

    def __call__(self, number: int) -> None:
        if number == self._at and self._left:
            self._left -= 1
            raise self._error


class Holds:
    """Trouble: does not come back the first time that `number` comes, until the test lets it."""

    def __init__(self, *, at: int) -> None:
        self.entered, self.released = threading.Event(), threading.Event()
        self._at = at

    def __call__(self, number: int) -> None:
        if number == self._at and not self.entered.is_set():
            self.entered.set()
            assert self.released.wait(WAIT_S), "nobody let it go"


class TallyState(msgspec.Struct):
    numbers: list[int] = []


class Tally:
    """Actor. Counts what it is asked to, and every number that it only hears of."""

    def __init__(self, name: str, trouble: Trouble = no_trouble) -> None:
        self.state = TallyState()
        self._name, self._trouble = name, trouble

    def handle(self, message: Any, now_utc_ms: int, /) -> Sequence[Message]:
        match message:
            case Asked():
                self._trouble(message.number)
                self.state.numbers.append(message.number)
                return [Counted(self._name, message.number, len(self.state.numbers))]
            case Counted() | Seen():
                self.state.numbers.append(message.number)
                return []
            case _:
                return []


class LookoutState(msgspec.Struct):
    """`log` is what it heard and said, in order."""

    log: list[str] = []


class Lookout:
    """Edge. Says of each number that it saw it, and that it counted it. Polled, it says what stands in `sights`."""

    poll_s: float | None = None

    def __init__(self, name: str, trouble: Trouble = no_trouble, sights: list[int] | None = None) -> None:
        self.state = LookoutState()
        self.resumed_with: list[str] | None = None
        self.closed = 0
        self._name, self._trouble, self._sights = name, trouble, sights if sights is not None else []

    def remember(self, message: Any, /) -> None:
        match message:
            case Asked():
                self.state.log.append(f"heard {message.number}")
            case Seen():
                self.state.log.append(f"saw {message.number}")
            case Counted():
                self.state.log.append(f"counted {message.number}")

    def act(self, message: Any, at: At, /) -> Sequence[Message]:
        self._trouble(message.number)
        return [Seen(self._name, message.number), Counted(self._name, message.number, 0)]

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        self.resumed_with = list(self.state.log)
        return []

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        return [Seen(self._name, self._sights.pop(0))] if self._sights else []

    def close(self) -> None:
        self.closed += 1


def actor(name: str, trouble: Trouble = no_trouble, **spec: Any) -> ChildSpec:
    return ChildSpec(**{"name": name, "kind": Kind.ACTOR, "make": lambda: Tally(name, trouble)} | spec)


def edge(name: str, trouble: Trouble = no_trouble, **spec: Any) -> ChildSpec:
    return ChildSpec(**{"name": name, "kind": Kind.EDGE, "make": lambda: Lookout(name, trouble)} | spec)


def route_table(names: Sequence[str]) -> RouteTable:
    return RouteTable(ROUTES, children=names, said=(*SYSTEM, *OWN))


class WatchedJournal(MemoryJournal):
    """A journal that one can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._grown = threading.Condition()

    def append(self, records: Sequence[tuple[int, bytes]]) -> None:
        with self._grown:
            super().append(records)
            self._grown.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> bool:
        with self._grown:
            return self._grown.wait_for(condition, WAIT_S)

    def records(self) -> list[Record]:
        return [decode_record(body) for body in list(self.bodies)]

    def said(self, *kinds: type[Message]) -> list[Any]:
        messages = [CODEC.decode(bytes(record.body)) for record in self.records()]
        return [message for message in messages if isinstance(message, kinds)]


class Rig:
    """A publisher whose boxes are plain lists, for what needs no host."""

    def __init__(self, *names: str, journal: MemoryJournal | None = None, **options: Any) -> None:
        self.clock = ManualClock(1000)
        self.journal = journal if journal is not None else WatchedJournal()
        options = {"journal": self.journal} | options
        self.publisher = Publisher(routes=route_table(names), codec=CODEC, clock=self.clock, **options)
        self.boxes = {name: ListBox() for name in names}
        self.publisher.connect(into(self.boxes))

    def told(self, *messages: Message) -> list[Delivery]:
        return list(self.publisher.publish("test", 0, messages))


class ListBox(list[Delivery]):
    def put(self, delivery: Delivery, /) -> None:
        self.append(delivery)


class System:
    """Children on one of the two hosts, over a journal in memory; the clock stands still."""

    def __init__(self, *specs: ChildSpec, ledgers: dict[str, Ledger] | None = None, last_seq: int = 0) -> None:
        self.specs = [ChildSpec(name="clock", kind=Kind.EDGE, make=lambda: Timers(self.clock)), *specs]
        self.clock = ManualClock(1000)
        self.journal = WatchedJournal()
        names = [spec.name for spec in self.specs]
        self.publisher = Publisher(
            routes=route_table(names), codec=CODEC, clock=self.clock, journal=self.journal, last_seq=last_seq
        )
        self.ledgers = ledgers

    def said(self, *kinds: type[Message]) -> list[Any]:
        return self.journal.said(*kinds)

    def counted(self, by: str) -> list[int]:
        return [message.number for message in self.said(Counted) if message.by == by]

    def ask(self, of: str, *numbers: int) -> None:
        for number in numbers:
            self.say(Asked(of, number))

    def say(self, *messages: Message) -> None:
        """They are published, by nobody."""

    def until(self, condition: Callable[[], bool]) -> None:
        """The condition holds when it returns; each host has its own way to get there."""

    def until_counted(self, by: str, *numbers: int) -> None:
        """Wait until it counted all of `numbers`, in any order."""
        self.until(lambda: set(numbers) <= set(self.counted(by)))

    def pass_time(self, ms: int) -> None:
        """The clock moves on, and whatever is due happens."""
        self.clock.advance_to(self.clock.now_utc_ms() + ms)

    def state_of(self, name: str) -> Any:
        """The present state of a child."""

    def end(self) -> None:
        """Nothing of it is left."""


class Stepped(System):
    def __init__(self, *specs: ChildSpec, restart_after_ms: int | None = None, **options: Any) -> None:
        super().__init__(*specs, **options)
        self.host = SteppedHost(
            self.specs, publisher=self.publisher, clock=self.clock, ledgers=self.ledgers, restart_after_ms=restart_after_ms
        )
        self.host.boot()

    def say(self, *messages: Message) -> None:
        self.host.say("test", messages)

    def until(self, condition: Callable[[], bool]) -> None:
        assert condition()

    def pass_time(self, ms: int) -> None:
        self.host.advance_to(self.clock.now_utc_ms() + ms, inclusive=True)

    def state_of(self, name: str) -> Any:
        return self.host.child(name).state


class Threaded(System):
    """`fatal` is what the host said when it gave up."""

    def __init__(
        self,
        *specs: ChildSpec,
        boot: bool = True,
        capacity: int = 1000,
        boot_deadline_s: float = WAIT_S,
        shown: Callable[[str], str] = str,
        **options: Any,
    ) -> None:
        super().__init__(*specs, **options)
        self.fatal: list[str] = []
        self._gave_up = threading.Event()
        self.host = ThreadedHost(
            self.specs,
            publisher=self.publisher,
            ledgers=self.ledgers,
            on_fatal=self._on_fatal,
            mailbox_capacity=capacity,
            boot_deadline_s=boot_deadline_s,
            shown=shown,
        )
        if boot:
            self.host.boot()

    def say(self, *messages: Message) -> None:
        self.host.say("test", messages)

    def until(self, condition: Callable[[], bool]) -> None:
        assert self.journal.wait_for(condition)

    def until_fatal(self) -> str:
        assert self._gave_up.wait(WAIT_S)
        (reason,) = self.fatal
        return reason

    def state_of(self, name: str) -> Any:
        return self.host.child(name).state

    def end(self) -> None:
        self.host.stop(first=(), deadline_s=WAIT_S)

    def _on_fatal(self, reason: str) -> None:
        self.fatal.append(reason)
        self._gave_up.set()
