"""From the command to flatten until the last of ten close requests is handed to the terminal."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from evenkeel.adapters.broker import Answer
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.commands.bench.account import LOW_POINTS, SPREAD_POINTS, START_UTC_MS, SYMBOLS, live, terminal, world_of
from evenkeel.commands.bench.figures import NS_PER_MS, Aim, BenchFailed, Figure, latencies, monotonic_ns, sleep_until, warmed_up
from evenkeel.commands.bench.hosts import DEADLINE_S, SENDER, lmdb_journal, wait_until
from evenkeel.commands.bench.kill import PAUSE_MS, QUEUED, Backlog
from evenkeel.messages.broker_gateway import CloseRequest
from evenkeel.messages.entry import Lineage, OpenPosition
from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.operator import KillTrading, Mode, RearmTrading, StartTrading
from evenkeel.runtime.clock import SystemClock
from evenkeel.runtime.threaded import ThreadedHost

POSITIONS: Final = 10
HELD: Final = SYMBOLS[:POSITIONS]
FLATTENS_PER_S: Final = 10
FIRST_MS_AIM: Final = 500.0
LAST_MS_AIM: Final = 2_000.0
_QUOTE: Final = Quote(START_UTC_MS, LOW_POINTS, LOW_POINTS + SPREAD_POINTS)


class ClosingTerminal(SimulatedTerminal):
    """Notes when each close request is handed to it; `done` is set by the tenth."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.closes_ns: list[int] = []
        self.done = threading.Event()

    def close_position(self, request: CloseRequest, volume_steps: int, magic: int) -> Answer:
        self.closes_ns.append(monotonic_ns())
        if len(self.closes_ns) == POSITIONS:
            self.done.set()
        return super().close_position(request, volume_steps, magic)


def flatten(seconds: float) -> Iterator[Figure]:
    """In an idle account, and with 10,000 messages in the gateway's box before the closes. Raises BenchFailed."""
    count = max(3, round(seconds * FLATTENS_PER_S))
    with lmdb_journal() as journal:
        broker, gate = terminal(ClosingTerminal), Gate()
        for symbol in SYMBOLS:
            broker.on_quote(symbol, _QUOTE.time_utc_ms, _QUOTE.bid_points, _QUOTE.ask_points)
        world = world_of(broker, SystemClock(), gate=gate, journal=journal)
        with live(world, journal) as (host, ready):
            if not ready.wait(DEADLINE_S):
                raise BenchFailed(f"the account does not trade after {DEADLINE_S:.0f} s")
            warmed_up()
            account = _Account(host, broker, gate)
            yield _figure("idle", "an idle account", [account.flattened(_nothing) for _ in range(count)])
            backlog = Backlog(host, wants_to_open=False)
            yield _figure(
                "queued", f"{QUEUED:,} messages in the gateway's box", [account.flattened(backlog.top_up) for _ in range(count)]
            )


class _Account:
    def __init__(self, host: ThreadedHost, broker: ClosingTerminal, gate: Gate) -> None:
        self._host, self._broker, self._gate = host, broker, gate
        self._number = 0

    def flattened(self, load: Callable[[], None]) -> tuple[int, int]:
        """Ten positions, a command at a time that was fixed before: when the first and the last close were handed over, in ns
        from then. Everything is as before at the end."""
        self._fill()
        self._number += 1
        self._broker.closes_ns.clear()
        self._broker.done.clear()
        load()
        intended_ns = monotonic_ns() + PAUSE_MS * NS_PER_MS
        sleep_until(intended_ns)
        self._host.say(SENDER, [KillTrading(f"flatten-{self._number}", SENDER, self._number, flatten=True)])
        if not self._broker.done.wait(DEADLINE_S):
            raise BenchFailed(f"{len(self._broker.closes_ns)} of {POSITIONS} closes after {DEADLINE_S:.0f} s")
        closes_ns = sorted(self._broker.closes_ns[:POSITIONS])
        wait_until(lambda: not self._broker.positions() and not self._believed(), "everything closed")
        return closes_ns[0] - intended_ns, closes_ns[-1] - intended_ns

    def _fill(self) -> None:
        if self._number:
            self._host.say(
                SENDER, [RearmTrading(f"rearm-{self._number}", SENDER), StartTrading(f"start-{self._number}", SENDER)]
            )
        wait_until(lambda: self._gate.mode is Mode.RUN, "the account trades again")
        self._host.say(SENDER, [_order(symbol, self._number) for symbol in HELD])
        wait_until(lambda: self._managed() == POSITIONS, f"{POSITIONS} positions are open")

    def _managed(self) -> int:
        return sum(len(self._host.child(f"position/{symbol}").state.positions) for symbol in HELD)

    def _believed(self) -> int:
        return len(self._host.child("broker_gateway").state.book.positions) + self._managed()


def _order(symbol: str, number: int) -> OpenPosition:
    return OpenPosition(
        proposal_id=f"{SENDER}-{symbol}-{number}",
        symbol=symbol,
        spec_id=SYMBOLS.index(symbol) + 1,
        direction=Direction.BUY,
        quote=_QUOTE,
        volume_steps=1,
        stop_distance_points=100,
        target_distance_points=100,
        catastrophe_distance_points=0,
        deviation_points=0,
        reserved_cents=0,
        expires_utc_ms=0,
        lineage=Lineage(SENDER, SENDER),
    )


def _nothing() -> None:
    """No load."""


def _figure(name: str, what: str, found: list[tuple[int, int]]) -> Figure:
    first, last = latencies([first for first, _ in found], "first_ms"), latencies([last for _, last in found], "last_ms")
    aim = Aim(
        f"first within {FIRST_MS_AIM / 1000:g} s, all {POSITIONS} within {LAST_MS_AIM / 1000:g} s",
        first["max_first_ms"] < FIRST_MS_AIM and last["max_last_ms"] < LAST_MS_AIM,
    )
    return Figure(
        f"flatten.{name}", f"flatten to {POSITIONS} close requests at the terminal, {what}", len(found), first | last, aim
    )
