"""From a quote to the call of the terminal: the real children on the threaded host, quotes in real time."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.terminal import Heard, TerminalEdge, TerminalState
from evenkeel.commands.bench.account import SYMBOLS, live, number_of, saw, terminal, world_of
from evenkeel.commands.bench.figures import (
    NS_PER_S,
    Aim,
    BenchFailed,
    Figure,
    latencies,
    monotonic_ns,
    sleep_until,
    warmed_up,
)
from evenkeel.commands.bench.hosts import DEADLINE_S, lmdb_journal, wait_until
from evenkeel.messages.broker_gateway import CallTerminal, OpenRequest
from evenkeel.messages.market import BarClosed, PricesReached, Quote
from evenkeel.messages.system import Message
from evenkeel.runtime.clock import MarketClock
from evenkeel.runtime.edge import At
from evenkeel.runtime.shell import ChildSpec
from evenkeel.supervisor import CODEC

WARM_UP_S: Final = 1.0
"""Half of it once the account trades, which a slow machine may take longer for."""
SECONDS_MIN: Final = 0.5
"""At 1,000 quotes a second a bar closes each 40 ms, and not each of them lets in an order."""
P99_MS_AIM: Final = 2.0
RATE_OF_AIM: Final = 5_000
NOT_BEGUN_WAIT_S: Final = 0.01


class PacedSource:
    """The feed's source: quote number n is due n / `per_s` seconds after `begin`; those before `end`, however late."""

    def __init__(self, terminal: SimulatedTerminal, clock: MarketClock, *, per_s: int) -> None:
        self._terminal = terminal
        self._clock = clock
        self._per_s = per_s
        self._market = saw()
        self._next = next(self._market)
        self._began_ns: int | None = None
        self._end_ns: int | None = None

    @property
    def has_ended(self) -> bool:
        return self._end_ns is not None and self._due_ns() >= self._end_ns

    def begin(self) -> int:
        """The intended time of the first quote."""
        self._began_ns = monotonic_ns()
        return self._began_ns

    def end(self, end_ns: int) -> None:
        self._end_ns = end_ns

    def take(self) -> tuple[str, Quote] | None:
        if self._left_ns() > 0:
            return None
        _, symbol, quote = self._next
        self._next = next(self._market)
        self._clock.advance_to(quote.time_utc_ms)
        self._terminal.on_quote(symbol, quote.time_utc_ms, quote.bid_points, quote.ask_points)
        return symbol, quote

    def wait_s(self) -> float:
        return max(0.0, self._left_ns() / NS_PER_S)

    def _left_ns(self) -> int:
        """Real time until the next quote is due."""
        if self._began_ns is None or self.has_ended:
            return round(NOT_BEGUN_WAIT_S * NS_PER_S)
        return self._due_ns() - monotonic_ns()

    def _due_ns(self) -> int:
        return (self._began_ns or 0) + self._next[0] * NS_PER_S // self._per_s


class Call(NamedTuple):
    """A `CallTerminal` in the moment in which the terminal edge is handed it."""

    seq: int
    is_open: bool
    heard_ns: int


class StampedTerminal:
    """The terminal edge, with the moment of each call kept in `calls`."""

    def __init__(self, edge: TerminalEdge, calls: list[Call]) -> None:
        self._edge = edge
        self._calls = calls

    @property
    def state(self) -> TerminalState:
        return self._edge.state

    @state.setter
    def state(self, state: TerminalState) -> None:
        self._edge.state = state

    @property
    def poll_s(self) -> float | None:
        return self._edge.poll_s

    def remember(self, message: Message, /) -> None:
        self._edge.remember(message)

    def act(self, message: Heard, at: At, /) -> Sequence[Message]:
        if isinstance(message, CallTerminal):
            self._calls.append(Call(at.seq, isinstance(message.request, OpenRequest), monotonic_ns()))
        return self._edge.act(message, at)

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        return self._edge.resume(now_utc_ms)

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        return self._edge.poll(now_utc_ms)

    def close(self) -> None:
        self._edge.close()


class Traced(NamedTuple):
    """A call, when its quote was meant to come, and when it was in the journal."""

    call: Call
    intended_ns: int
    durable_ns: int


def quote_to_call(per_s: int, seconds: float) -> Iterator[Figure]:
    """Exits and entries apart, each from the intended time of its quote; the commit of the calls is a figure of its own."""
    with lmdb_journal() as journal:
        calls, commits, began_ns, from_ns = _run(journal, per_s, max(seconds, SECONDS_MIN))
        traced = _traced(journal, calls, commits, began_ns, per_s)
    measured = [found for found in traced if found.intended_ns >= from_ns]
    for kind, is_open in (("exits", False), ("entries", True)):
        values = latencies([found.call.heard_ns - found.intended_ns for found in measured if found.call.is_open is is_open])
        aim = Aim("p99 under 2 ms", values["p99_ms"] < P99_MS_AIM) if per_s == RATE_OF_AIM else None
        what = f"quote to CallTerminal, {kind}, {per_s} quotes/s of {len(SYMBOLS)} symbols, threaded host"
        count = sum(found.call.is_open is is_open for found in measured)
        yield Figure(f"quote_to_call_terminal.{per_s}_per_s.{kind}", what, count, values, aim)
    waits_ns = [max(0, found.durable_ns - found.call.heard_ns) for found in measured]
    what = f"CallTerminal to its commit, {per_s} quotes/s"
    yield Figure(f"call_terminal_to_commit.{per_s}_per_s", what, len(waits_ns), latencies(waits_ns))


def _run(journal: LmdbJournal, per_s: int, seconds: float) -> tuple[list[Call], list[tuple[int, int]], int, int]:
    """The calls, the commits as (durable record, when), and when the first quote and the first measured one were due."""
    calls: list[Call] = []
    commits: list[tuple[int, int]] = []
    journal.on_durable(lambda: commits.append((journal.durable_seq, monotonic_ns())))
    clock, broker = MarketClock(), terminal(SimulatedTerminal)
    source = PacedSource(broker, clock, per_s=per_s)
    world = world_of(broker, clock, source=source, journal=journal)
    with live(world, journal, lambda spec: _stamped(spec, calls)) as (host, ready):
        began_ns = source.begin()
        if not ready.wait(DEADLINE_S):
            raise BenchFailed(f"the account does not trade after {DEADLINE_S:.0f} s")
        trades_ns, half_ns = monotonic_ns(), round(WARM_UP_S / 2 * NS_PER_S)
        from_ns = max(trades_ns, began_ns + half_ns) + half_ns
        end_ns = from_ns + round(seconds * NS_PER_S)
        source.end(end_ns)
        sleep_until(from_ns - half_ns)
        warmed_up()
        sleep_until(end_ns)
        wait_until(lambda: source.has_ended, "the last quote is served")
        wait_until(lambda: not any(status.waiting for status in host.status()), "what it caused is handled")
    journal.flush(DEADLINE_S)
    return calls, commits, began_ns, from_ns


def _stamped(spec: ChildSpec, calls: list[Call]) -> ChildSpec:
    if spec.name != "terminal":
        return spec
    return msgspec.structs.replace(spec, make=lambda: StampedTerminal(spec.make(), calls))


def _traced(journal: LmdbJournal, calls: list[Call], commits: list[tuple[int, int]], began_ns: int, per_s: int) -> list[Traced]:
    """Each call that goes back to a quote: the journal says what caused it."""
    causes: dict[int, int] = {}
    numbers: dict[int, int] = {}
    for record in journal.read(1):
        causes[record.seq] = record.cause_seq
        if record.sender == "market_feed":
            message = CODEC.decode(bytes(record.body))
            if isinstance(message, PricesReached | BarClosed):
                numbers[record.seq] = number_of(message.symbol, message.quote)
    found = []
    for call in calls:
        seq = call.seq
        while seq and seq not in numbers:
            seq = causes[seq]
        if seq:
            durable_ns = commits[bisect_left(commits, (call.seq, 0))][1]
            found.append(Traced(call, began_ns + numbers[seq] * NS_PER_S // per_s, durable_ns))
    return found
