"""From a kill to the first refusal at the gate, while 10,000 messages wait for the gateway."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from evenkeel.adapters.broker import Answer
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.kill_epoch import KillEpoch
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.commands.bench.account import LOW_POINTS, SPREAD_POINTS, START_UTC_MS, SYMBOLS, live, terminal, world_of
from evenkeel.commands.bench.figures import (
    NS_PER_MS,
    NS_PER_S,
    Aim,
    BenchFailed,
    Figure,
    latencies,
    monotonic_ns,
    sleep_until,
    warmed_up,
)
from evenkeel.commands.bench.hosts import DEADLINE_S, SENDER, lmdb_journal
from evenkeel.messages.broker_gateway import CallTerminal, OpenRequest, Outcome
from evenkeel.messages.entry import DenialReason, Lineage, OpenPosition
from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.operator import HoldEnded
from evenkeel.messages.system import Message
from evenkeel.runtime.clock import SystemClock
from evenkeel.runtime.threaded import ThreadedHost

QUEUED: Final = 10_000
SPARE: Final = 1_000
"""A gateway handles about as many in the 5 ms before a moment."""
SPARE_AT_A_KILL: Final = 10_000
"""For a process that is woken late, too."""
MESSAGES_AN_OPEN: Final = 20
KILLS_PER_S: Final = 60
"""Of the seconds that the measurement is given; topping up the queue takes its own time."""
PAUSE_MS: Final = 5
MOMENTS: Final = 10
P999_MS_AIM: Final = 50.0
GATEWAY: Final = "broker_gateway"


class UnwillingTerminal(SimulatedTerminal):
    """Rejects every open, so that nothing piles up. `opened_ns` is when the last one arrived."""

    opened_ns = 0

    def open_position(
        self, request: OpenRequest, magic: int, *, intent_id: int = 0, epoch: int = 0, within_ms: int = 0
    ) -> Answer:
        self.opened_ns = monotonic_ns()
        return Answer(Outcome.REJECTED, code=10006, detail="rejected by the benchmark")


class HangingTerminal(UnwillingTerminal):
    """The next open after `hang` does not come back until `let_go`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.entered, self._may_return = threading.Event(), threading.Event()
        self._may_return.set()

    def hang(self) -> None:
        self.entered.clear()
        self._may_return.clear()

    def let_go(self) -> None:
        self._may_return.set()

    def open_position(
        self, request: OpenRequest, magic: int, *, intent_id: int = 0, epoch: int = 0, within_ms: int = 0
    ) -> Answer:
        if not self._may_return.is_set():
            self.entered.set()
            self._may_return.wait(DEADLINE_S)
        return super().open_position(request, magic, intent_id=intent_id, epoch=epoch)


class WatchedGate(Gate):
    """`asked_ns` is when the last open that passed asked for the epoch; `refused` is set by the first refusal, at `refused_ns`.

    `epoch` goes to the terminal edge: after `rearm` the epoch on disk counts as 0 again, so that the next open passes.
    """

    def __init__(self, kill_epoch: KillEpoch) -> None:
        super().__init__()
        self.asked_ns = 0
        self.refused_ns = 0
        self.refused = threading.Event()
        self._kill_epoch = kill_epoch
        self._rearmed_at = 0
        self._asking_ns = 0

    def epoch(self) -> int:
        self._asking_ns = monotonic_ns()
        return self._kill_epoch.read().epoch - self._rearmed_at

    def rearm(self) -> None:
        self._rearmed_at = self._kill_epoch.read().epoch
        self.refused.clear()

    def refusal(self, call: CallTerminal, request: OpenRequest, kill_epoch: int) -> DenialReason | None:
        reason = super().refusal(call, request, kill_epoch)
        if reason is None:
            self.asked_ns = self._asking_ns
        elif not self.refused.is_set():
            self.refused_ns = monotonic_ns()
            self.refused.set()
        return reason


class Backlog:
    """Keeps the gateway's box full: every MESSAGES_AN_OPEN-th message wants to open, each in a slot of its own, if any does."""

    def __init__(self, host: ThreadedHost, *, wants_to_open: bool = True) -> None:
        self._host, self._wants_to_open = host, wants_to_open
        self._sent = 0

    def __len__(self) -> int:
        return next(status.waiting for status in self._host.status() if status.name == GATEWAY)

    def top_up(self, spare: int = SPARE) -> None:
        """Raises BenchFailed when the gateway handles as many as this thread can say."""
        until_ns = monotonic_ns() + round(DEADLINE_S * NS_PER_S)
        while (missing := QUEUED + spare - len(self)) > 0:
            if monotonic_ns() > until_ns:
                raise BenchFailed(
                    f"{missing:,} messages are missing in the gateway's box after {DEADLINE_S:.0f} s of filling it"
                )
            self._host.say(SENDER, [self._message() for _ in range(min(missing, SPARE))])

    def _message(self) -> Message:
        self._sent += 1
        if self._sent % MESSAGES_AN_OPEN or not self._wants_to_open:
            return HoldEnded(SENDER, SENDER)
        return OpenPosition(
            proposal_id=f"{SENDER}-{self._sent}",
            symbol=SYMBOLS[0],
            spec_id=1,
            direction=Direction.BUY,
            quote=_QUOTE,
            volume_steps=1,
            stop_distance_points=100,
            target_distance_points=100,
            catastrophe_distance_points=0,
            deviation_points=0,
            reserved_cents=0,
            expires_utc_ms=0,
            lineage=Lineage(SENDER, SENDER, slot=self._sent),
        )


class Kill(NamedTuple):
    """`queued` messages waited; `is_late` is an open that had passed the gate before the kill and arrived after it."""

    intended_ns: int
    returned_ns: int
    refused_ns: int
    queued: int
    is_late: bool


class Account(NamedTuple):
    """What is killed: an account that keeps wanting to open, with 10,000 messages in the gateway's box."""

    backlog: Backlog
    gate: WatchedGate
    broker: HangingTerminal
    kill_epoch: KillEpoch


@contextlib.contextmanager
def busy_account() -> Iterator[Account]:
    with TemporaryDirectory(prefix="evenkeel-bench-") as folder, lmdb_journal() as journal:
        kill_epoch, broker = KillEpoch(Path(folder) / "kill_epoch"), terminal(HangingTerminal)
        gate = WatchedGate(kill_epoch)
        world = world_of(broker, SystemClock(), gate=gate, kill_epoch=gate.epoch, journal=journal)
        with live(world, journal) as (host, ready):
            if not ready.wait(DEADLINE_S):
                raise BenchFailed(f"the account does not trade after {DEADLINE_S:.0f} s")
            backlog = Backlog(host)
            backlog.top_up()
            warmed_up()
            yield Account(backlog, gate, broker, kill_epoch)


def kill_to_refusal(seconds: float) -> Iterator[Figure]:
    """By the kill epoch on disk, as `evenkeel kill` does it, and by shutting the gate, as the control edge does.

    Raises BenchFailed when an open passes that asked the gate after the kill.
    """
    count = max(1, round(seconds * KILLS_PER_S))
    with busy_account() as account:
        raised = [_killed(account, lambda: account.kill_epoch.raise_epoch("close_only")) for _ in range(count)]
        yield _figure("epoch", "kill epoch raised on disk", raised)
        shut = [_killed(account, lambda: account.gate.shut(SENDER)) for _ in range(count)]
        yield _figure("gate", "gate shut", shut)


def kill_while_a_call_hangs(seconds: float) -> Iterator[Figure]:
    """The terminal edge stands in a call that does not return. From the kill to the epoch on disk: from then on nothing is let
    through. after_release: from the call's return to the first refusal. Raises BenchFailed when an open passes after the kill.
    """
    count = max(1, round(seconds * KILLS_PER_S))
    with busy_account() as account:
        kills = [_killed_while_hung(account) for _ in range(count)]
        values = latencies([kill.returned_ns - kill.intended_ns for kill in kills])
        aim = Aim("p99.9 under 50 ms", values["p99.9_ms"] < P999_MS_AIM)
        values |= latencies([kill.refused_ns - kill.released_ns for kill in kills], "after_release_ms")
        values |= {"queued_min": min(kill.queued for kill in kills)}
        what = "kill to its epoch on disk while a call of the terminal hangs, gateway's box full"
        yield Figure("kill_to_refusal.hung", what, len(kills), values, aim)


class HungKill(NamedTuple):
    intended_ns: int
    returned_ns: int
    released_ns: int
    refused_ns: int
    queued: int


def _killed_while_hung(account: Account) -> HungKill:
    """The hanging open had passed the gate before; it is the only one that the broker may see."""
    backlog, gate, broker = account.backlog, account.gate, account.broker
    backlog.top_up(SPARE_AT_A_KILL)
    broker.hang()
    if not broker.entered.wait(DEADLINE_S):
        raise BenchFailed(f"no open reached the terminal within {DEADLINE_S:.0f} s")
    intended_ns, queued = _moment(backlog)
    account.kill_epoch.raise_epoch("close_only")
    returned_ns = monotonic_ns()
    broker.let_go()
    released_ns = monotonic_ns()
    if not gate.refused.wait(DEADLINE_S):
        raise BenchFailed(f"no open was refused within {DEADLINE_S:.0f} s after a kill")
    if gate.asked_ns > returned_ns:
        raise BenchFailed("an open passed the gate that asked after the kill")
    done = HungKill(intended_ns, returned_ns, released_ns, gate.refused_ns, queued)
    gate.rearm()
    return done


def _killed(account: Account, kill: Callable[[], object]) -> Kill:
    """One kill at a time that was fixed before, and the gate open again."""
    backlog, gate, broker = account.backlog, account.gate, account.broker
    intended_ns, queued = _moment(backlog)
    kill()
    returned_ns = monotonic_ns()
    if not gate.refused.wait(DEADLINE_S):
        raise BenchFailed(f"no open was refused within {DEADLINE_S:.0f} s after a kill")
    if gate.asked_ns > returned_ns:
        raise BenchFailed("an open passed the gate that asked after the kill")
    done = Kill(intended_ns, returned_ns, gate.refused_ns, queued, broker.opened_ns > returned_ns)
    gate.answered(SENDER)
    gate.rearm()
    return done


def _moment(backlog: Backlog) -> tuple[int, int]:
    """The time that the next kill was fixed for, which is now, and how many messages wait.

    A moment with fewer than QUEUED is none of this benchmark: another one is fixed.
    Raises BenchFailed when the box cannot be kept full.
    """
    for _ in range(MOMENTS):
        backlog.top_up(SPARE_AT_A_KILL)
        intended_ns = monotonic_ns() + PAUSE_MS * NS_PER_MS
        sleep_until(intended_ns)
        if (queued := len(backlog)) >= QUEUED:
            return intended_ns, queued
    raise BenchFailed(f"fewer than {QUEUED:,} messages wait for the gateway, {MOMENTS} times in a row")


def _figure(name: str, what: str, kills: list[Kill]) -> Figure:
    values = latencies([kill.refused_ns - kill.intended_ns for kill in kills])
    aim = Aim("p99.9 under 50 ms", values["p99.9_ms"] < P999_MS_AIM)
    values |= latencies([max(0, kill.refused_ns - kill.returned_ns) for kill in kills], "after_return_ms")
    values |= {"queued_min": min(kill.queued for kill in kills), "opens_on_their_way": sum(kill.is_late for kill in kills)}
    return Figure(f"kill_to_refusal.{name}", f"kill to first refusal, {what}, gateway's box full", len(kills), values, aim)


_QUOTE: Final = Quote(START_UTC_MS, LOW_POINTS, LOW_POINTS + SPREAD_POINTS)
