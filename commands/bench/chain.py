"""Trivial children: what the runtime itself costs. Six hops in a row, and receivers that only look at the clock."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, cast

import msgspec

from evenkeel.commands.bench.figures import Aim, Figure, latencies, monotonic_ns, planned_ns, rates, rounds_ns, warmed_up
from evenkeel.commands.bench.hosts import SENDER, lmdb_journal, threaded_host, wait_until
from evenkeel.messages.system import ChildDown, ChildServing, LettersDead, Message, MessageParked
from evenkeel.runtime.clock import Clock, ManualClock, SystemClock
from evenkeel.runtime.journal import DigestJournal, Journal, MemoryJournal
from evenkeel.runtime.publisher import Publisher
from evenkeel.runtime.routes import Routes, RouteTable
from evenkeel.runtime.shell import ChildSpec, Kind
from evenkeel.runtime.stepped import SteppedHost
from evenkeel.supervisor import CODEC

HOPS: Final = 6
RECEIVERS: Final = 20
INPUTS_A_ROUND: Final = 2_000
DELIVERIES_A_ROUND: Final = HOPS * INPUTS_A_ROUND
WARM_UP_S: Final = 0.3
DELIVERIES_PER_S_AIM: Final = 700_000


class Stamped(Message, frozen=True):
    """For whom it is, and when it was meant to be published."""

    to: str
    intended_ns: int


def _hop(stage: int) -> Message:
    kind = msgspec.defstruct(f"Hop{stage}", [], bases=(Message,), frozen=True)
    return cast(type[Message], kind)()


_HOPS: Final = [_hop(stage) for stage in range(HOPS)]
"""What the links say; each stage has a type of its own, as real messages have."""
_LINKS: Final = [f"link/{stage}" for stage in range(HOPS)]
_RECEIVERS: Final = [f"receiver/{number}" for number in range(RECEIVERS)]
_SUPERVISION: Final = (ChildServing, ChildDown, MessageParked, LettersDead)
_CHAIN: Final[Routes] = {type(hop): [name] for hop, name in zip(_HOPS, _LINKS, strict=True)}
_TO_RECEIVERS: Final[Routes] = {Stamped: ["{to}"]}


class Heard(msgspec.Struct):
    count: int = 0


class Link:
    """An actor that always says the same, so that nothing is measured but what carries it."""

    def __init__(self, said: Sequence[Message]) -> None:
        self.state = Heard()
        self._said = said

    def handle(self, message: Message, now_utc_ms: int, /) -> Sequence[Message]:
        return self._said


class LastLink(Link):
    """Says nothing, and counts."""

    def handle(self, message: Message, now_utc_ms: int, /) -> Sequence[Message]:
        self.state.count += 1
        return self._said


class Receiver:
    """An actor that keeps how long each message was on its way to `handle`."""

    def __init__(self, delays_ns: list[int]) -> None:
        self.state = Heard()
        self._delays_ns = delays_ns

    def handle(self, message: Stamped, now_utc_ms: int, /) -> Sequence[Message]:
        self._delays_ns.append(monotonic_ns() - message.intended_ns)
        return ()


def publish_to_handle(per_s: int, seconds: float) -> Figure:
    """On the threaded host with the journal on disk: from the intended time of a message to `handle` of its receiver."""
    delays_ns: list[int] = []
    specs = [ChildSpec(name, Kind.ACTOR, lambda: Receiver(delays_ns)) for name in _RECEIVERS]
    warm_up = round(per_s * WARM_UP_S)
    with lmdb_journal() as journal, threaded_host(specs, _publisher(specs, _TO_RECEIVERS, SystemClock(), journal)) as host:
        for number, intended_ns in enumerate(planned_ns(per_s, seconds + WARM_UP_S)):
            if number == warm_up:
                warmed_up()
            host.say(SENDER, [Stamped(_RECEIVERS[number % RECEIVERS], intended_ns)])
        wait_until(lambda: len(delays_ns) > number, "the last message is handled")
    measured_ns = delays_ns[warm_up:]
    what = f"publish to handle, {per_s} messages/s to {RECEIVERS} receivers, threaded host, LMDB journal"
    return Figure(f"publish_to_handle.{per_s}_per_s", what, len(measured_ns), latencies(measured_ns))


def deliveries(seconds: float) -> Iterator[Figure]:
    """The chain in a bare loop that calls the same handlers, and on both hosts; `seconds` for each."""
    bare = _figure("bare_loop", "the same handlers called in a bare loop", rounds_ns(_bare_round, seconds), None)
    yield bare
    journals: dict[str, Callable[[], Journal | None]] = {
        "no journal": lambda: None,
        "digest journal": DigestJournal,
        "memory journal": MemoryJournal,
    }
    for kept, make_journal in journals.items():
        found_ns = rounds_ns(_stepped_round(make_journal()), seconds)
        yield _figure(f"stepped.{kept}", f"stepped host, {kept}", found_ns, bare, has_aim=kept == "no journal")
    with lmdb_journal() as journal:
        for kept, used in {"no journal": None, "LMDB journal": journal}.items():
            yield _figure(f"threaded.{kept}", f"threaded host, {kept}", _threaded_rounds_ns(used, seconds), bare)


def _figure(name: str, what: str, found_ns: list[int], bare: Figure | None, *, has_aim: bool = False) -> Figure:
    values = rates(DELIVERIES_A_ROUND, found_ns)
    median = values["median_per_s"]
    aim = Aim("median at least 0.7 M/s", median >= DELIVERIES_PER_S_AIM) if has_aim else None
    if bare is not None:
        values["ratio_to_bare_loop"] = median / bare.values["median_per_s"]
    name = f"deliveries.{name.lower().replace(' ', '_')}"
    return Figure(name, f"deliveries, {HOPS} trivial hops, {what}", len(found_ns), values, aim)


def _links() -> list[Link]:
    return [*(Link([hop]) for hop in _HOPS[1:]), LastLink(())]


def _bare_round() -> Callable[[], None]:
    links = _links()

    def once() -> None:
        for _ in range(INPUTS_A_ROUND):
            said: Sequence[Message] = _HOPS[:1]
            for link in links:
                said = link.handle(said[0], 0)

    return once


def _stepped_round(journal: Journal | None) -> Callable[[], Callable[[], None]]:
    specs, clock = _chain(), ManualClock()
    host = SteppedHost(specs, publisher=_publisher(specs, _CHAIN, clock, journal), clock=clock)
    host.boot()

    def once() -> None:
        for _ in range(INPUTS_A_ROUND):
            host.say(SENDER, _HOPS[:1])

    return lambda: once


def _threaded_rounds_ns(journal: Journal | None, seconds: float) -> list[int]:
    """A round is published as fast as that goes, and over when the last link has heard all of it."""
    specs = _chain()
    with threaded_host(specs, _publisher(specs, _CHAIN, SystemClock(), journal)) as host:
        last = host.child(_LINKS[-1])

        def once() -> None:
            awaited = last.state.count + INPUTS_A_ROUND
            for _ in range(INPUTS_A_ROUND):
                host.say(SENDER, _HOPS[:1])
            wait_until(lambda: last.state.count >= awaited, "the last hop")

        return rounds_ns(lambda: once, seconds)


def _chain() -> list[ChildSpec]:
    links = dict(zip(_LINKS, _links(), strict=True))
    return [ChildSpec(name, Kind.ACTOR, partial(links.get, name)) for name in links]


def _publisher(specs: Sequence[ChildSpec], routes: Routes, clock: Clock, journal: Journal | None) -> Publisher:
    everything: dict[type[Message], Sequence[str]] = {**dict.fromkeys(_SUPERVISION, ()), **routes}
    table = RouteTable(everything, children=[spec.name for spec in specs], said=everything)
    return Publisher(routes=table, codec=CODEC, clock=clock, journal=journal)
