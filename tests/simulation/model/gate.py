"""Two processes want to open in one resource; either may pause at any step, and what they send arrives in any order.

Written from reliability.md 0 (finding 11), I34 and C41. MetaTrader 5 checks no token, so whatever shall hold must hold in
the one process that owns the terminal: the bridge. The bridge may die once; what it has not written down is then gone.
Nobody hears what became of an order, so the first one stays unresolved to the end of the story.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

LEASE_TICKS: Final = 1
PROCESSES: Final = 2
CRASHES: Final = 1


class BridgeRule(StrEnum):
    """What the bridge asks of a request before it executes it."""

    NOTHING = "nothing"
    FENCING_TOKEN = "no older token than the newest that came"
    ONE_UNRESOLVED_IN_MEMORY = "no unresolved one, remembered in memory"
    ONE_UNRESOLVED_WRITTEN_AFTER = "no unresolved one, written down after the call"
    ONE_UNRESOLVED_WRITTEN_FIRST = "no unresolved one, written down before the call"


class Scheme(NamedTuple):
    """`checks_again`: a process looks at its lease just before it sends. `lapses_after_order` False: who has sent keeps it."""

    bridge: BridgeRule = BridgeRule.NOTHING
    checks_again: bool = False
    lapses_after_order: bool = True


LEASE_WITH_TTL: Final = Scheme()
LEASE_CHECKED_AGAIN: Final = Scheme(checks_again=True)
LEASE_NEVER_LAPSES_AFTER_AN_ORDER: Final = Scheme(checks_again=True, lapses_after_order=False)
FENCING_TOKEN: Final = Scheme(BridgeRule.FENCING_TOKEN, checks_again=True)
GATE_IN_MEMORY: Final = Scheme(BridgeRule.ONE_UNRESOLVED_IN_MEMORY)
GATE_WRITTEN_AFTER: Final = Scheme(BridgeRule.ONE_UNRESOLVED_WRITTEN_AFTER)
GATE_IN_THE_BRIDGE: Final = Scheme(BridgeRule.ONE_UNRESOLVED_WRITTEN_FIRST)
UNSAFE: Final = {
    "a lease with a time to live": LEASE_WITH_TTL,
    "looking at the lease again before sending": LEASE_CHECKED_AGAIN,
    "a lease that does not lapse after an order": LEASE_NEVER_LAPSES_AFTER_AN_ORDER,
    "a fencing token that the bridge checks": FENCING_TOKEN,
    "a gate in the bridge's memory": GATE_IN_MEMORY,
    "a gate that is written down after the call": GATE_WRITTEN_AFTER,
}


class Phase(StrEnum):
    WANTS = "wants"
    HOLDS = "holds the lease, as far as it knows"
    CHECKED = "has looked at its lease again"
    DONE = "has sent, or has seen that it may not"


class Process(NamedTuple):
    phase: Phase = Phase.WANTS
    token: int = 0


class Bridge(NamedTuple):
    """`taken` is what it remembers, `written` what is on its disk; `in_hand` is a request between its two halves."""

    token: int = 0
    taken: bool = False
    written: bool = False
    in_hand: int = 0


class State(NamedTuple):
    """`holder` is a process or -1; `lease_ticks` None never lapses; `wire` holds tokens on their way. `executed` counts
    orders at the broker."""

    processes: tuple[Process, ...] = (Process(),) * PROCESSES
    holder: int = -1
    lease_ticks: int | None = 0
    tokens: int = 0
    wire: tuple[int, ...] = ()
    bridge: Bridge = Bridge()
    executed: int = 0
    crashes_left: int = CRASHES


class GateModel:
    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme

    def start(self) -> State:
        return State()

    def wrong(self, state: State) -> str:
        return "two orders" if state.executed > 1 else ""

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        for number, process in enumerate(state.processes):
            yield from self._process(state, number, process)
        if state.lease_ticks:
            yield "the lease runs", state._replace(lease_ticks=state.lease_ticks - 1)
        yield from self._bridge(state)
        if state.crashes_left:
            bridge = Bridge(taken=state.bridge.written, written=state.bridge.written)
            yield "the bridge crashes", state._replace(bridge=bridge, crashes_left=state.crashes_left - 1)

    def _process(self, state: State, number: int, process: Process) -> Iterator[tuple[str, State]]:
        def now(phase: Phase, token: int = process.token) -> tuple[Process, ...]:
            return (*state.processes[:number], Process(phase, token), *state.processes[number + 1 :])

        is_lapsed = state.lease_ticks is not None and state.lease_ticks == 0
        match process.phase:
            case Phase.WANTS if state.holder == -1 or is_lapsed:
                token = state.tokens + 1
                leased = state._replace(holder=number, lease_ticks=LEASE_TICKS, tokens=token)
                yield f"{number} takes the lease", leased._replace(processes=now(Phase.HOLDS, token))
            case Phase.HOLDS if self._scheme.checks_again:
                still = state.holder == number and not is_lapsed
                label = "it is still its own" if still else "it is lost"
                phase = Phase.CHECKED if still else Phase.DONE
                yield f"{number} looks at its lease: {label}", state._replace(processes=now(phase))
            case Phase.HOLDS | Phase.CHECKED:
                keeps = state.holder == number and not self._scheme.lapses_after_order
                sent = state._replace(processes=now(Phase.DONE), wire=tuple(sorted((*state.wire, process.token))))
                yield f"{number} sends", sent._replace(lease_ticks=None) if keeps else sent
            case Phase.WANTS | Phase.DONE:
                pass

    def _bridge(self, state: State) -> Iterator[tuple[str, State]]:
        """One request at a time; what is written down before or after the call is a step of its own."""
        bridge, rule = state.bridge, self._scheme.bridge
        if bridge.in_hand:
            if rule is BridgeRule.ONE_UNRESOLVED_WRITTEN_FIRST:
                yield "the bridge calls", state._replace(bridge=bridge._replace(in_hand=0), executed=state.executed + 1)
            else:
                yield "the bridge writes", state._replace(bridge=bridge._replace(in_hand=0, written=True))
            return
        for token in dict.fromkeys(state.wire):
            rest = tuple(other for other in state.wire if other != token)
            came = state._replace(wire=rest)
            called = came._replace(executed=state.executed + 1)
            if (rule is BridgeRule.FENCING_TOKEN and token < bridge.token) or bridge.taken:
                yield f"{token} arrives, refused", came
                continue
            match rule:
                case BridgeRule.NOTHING:
                    yield f"{token} arrives, called", called
                case BridgeRule.FENCING_TOKEN:
                    yield f"{token} arrives, called", called._replace(bridge=bridge._replace(token=token))
                case BridgeRule.ONE_UNRESOLVED_IN_MEMORY:
                    yield f"{token} arrives, called", called._replace(bridge=bridge._replace(taken=True))
                case BridgeRule.ONE_UNRESOLVED_WRITTEN_AFTER:
                    yield f"{token} arrives, called", called._replace(bridge=bridge._replace(taken=True, in_hand=token))
                case BridgeRule.ONE_UNRESOLVED_WRITTEN_FIRST:
                    admitted = bridge._replace(taken=True, written=True, in_hand=token)
                    yield f"{token} arrives, written", came._replace(bridge=admitted)
