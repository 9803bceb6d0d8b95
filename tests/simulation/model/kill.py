"""A person kills while an order is on its way, the process may die, and only a person re-arms.

Written from reliability.md 3 (C25, C28), 10 (I23 to I25) and DESIGN 8. The kill has returned when its step is over: from
then on no call may begin that was decided before it, or that no person re-armed for.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

KILLS: Final = 2
CRASHES: Final = 1


class KillRule(StrEnum):
    """What stands between a decided order and its call."""

    STOP_IN_THE_QUEUE = "a stop message, served in its turn"
    CHECKED_BEFORE_WAITING = "the epoch on disk, read before the gate writes its own file"
    MODE_ALONE = "a mode at the call that the kill shuts at once, without the order's epoch"
    EPOCH_IN_MEMORY = "the epoch at the call, kept in memory"
    RESTART_REARMS = "the epoch on disk at the call, and a restart begins in run"
    EPOCH_ON_DISK_AT_THE_CALL = "the epoch on disk, read in the same step as the call"


class Order(NamedTuple):
    """Decided under `epoch`; `passed`: the gate has already looked at it."""

    epoch: int
    passed: bool = False


class State(NamedTuple):
    """`kills` have returned, the last one that a person re-armed is `rearmed`. `heard` and `runs` are what whoever decides
    knows. `gate_epoch` is what the gate keeps in memory. `begun` is how a call began."""

    kills: int = 0
    rearmed: int = 0
    heard: int = 0
    runs: bool = True
    gate_epoch: int = 0
    order: Order | None = None
    begun: str = ""
    crashes_left: int = CRASHES


class KillModel:
    def __init__(self, rule: KillRule) -> None:
        self._rule = rule

    def start(self) -> State:
        return State()

    def wrong(self, state: State) -> str:
        return state.begun

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        yield from self._person(state)
        if state.heard < state.kills:
            yield "the kill is heard", state._replace(heard=state.kills, runs=False, gate_epoch=state.kills)
        if state.order is None and state.runs:
            yield "decide", state._replace(order=Order(state.heard))
        if state.order is not None:
            yield from self._gate(state, state.order)
        if state.crashes_left:
            yield "crash and restart", self._restarted(state)

    def _person(self, state: State) -> Iterator[tuple[str, State]]:
        if state.kills < KILLS:
            killed = state._replace(kills=state.kills + 1)
            yield "kill", killed._replace(gate_epoch=killed.kills) if self._rule is KillRule.EPOCH_IN_MEMORY else killed
        if not state.runs:
            yield "re-arm", state._replace(runs=True, rearmed=state.heard)

    def _gate(self, state: State, order: Order) -> Iterator[tuple[str, State]]:
        if order.passed:
            yield "call", self._begins(state, order)
            return
        if not self._lets(state, order):
            yield "void", state._replace(order=None)
        elif self._rule is KillRule.CHECKED_BEFORE_WAITING:
            yield "check", state._replace(order=order._replace(passed=True))
        else:
            yield "check and call", self._begins(state, order)

    def _lets(self, state: State, order: Order) -> bool:
        match self._rule:
            case KillRule.STOP_IN_THE_QUEUE:
                return state.runs
            case KillRule.MODE_ALONE:
                return state.runs and state.heard == state.kills
            case KillRule.EPOCH_IN_MEMORY:
                return order.epoch >= state.gate_epoch
            case KillRule.CHECKED_BEFORE_WAITING | KillRule.RESTART_REARMS | KillRule.EPOCH_ON_DISK_AT_THE_CALL:
                return order.epoch >= state.kills

    def _begins(self, state: State, order: Order) -> State:
        """The ghost variables know better than the rule: `kills` is what a person was told, `rearmed` what one said."""
        begun = ""
        if order.epoch < state.kills:
            begun = "an order began that was decided before the kill"
        elif state.rearmed < state.kills:
            begun = "an order began that nobody re-armed for"
        return state._replace(order=None, begun=begun)

    def _restarted(self, state: State) -> State:
        """What is decided is in the journal and comes back; what is in memory does not."""
        order = None if state.order is None else state.order._replace(passed=False)
        back = state._replace(order=order, crashes_left=state.crashes_left - 1)
        match self._rule:
            case KillRule.EPOCH_IN_MEMORY:
                return back._replace(gate_epoch=0)
            case KillRule.RESTART_REARMS:
                return back._replace(heard=state.kills, runs=True)
            case _:
                return back
