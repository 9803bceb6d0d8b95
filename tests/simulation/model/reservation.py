"""More proposals than a limit allows, each of which may be filled, refused, or lost without a word.

Written from reliability.md 0 (finding 8), 1 (D1, D4, D5) and 10 (I8, I11, I12). The limit counts positions. An order
whose reply is lost is unknown: it was refused, or it is filled, or it still is on its way and is filled later. A reading
shows what is filled and never what is on its way.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

LIMIT: Final = 2
PROPOSALS: Final = 4
CRASHES: Final = 1


class Rule(NamedTuple):
    """`reserves`: counted before it is sent, not when it is filled. `keeps_unknown`: an unknown one stays counted.
    `durable`: what is counted survives a crash. `readings`: so many that do not show an unknown order free it; None: only
    what is certain frees it."""

    reserves: bool = True
    keeps_unknown: bool = True
    durable: bool = True
    readings: int | None = None


CHECK_THEN_ACT: Final = Rule(reserves=False)
UNKNOWN_FREES: Final = Rule(keeps_unknown=False)
COUNTED_IN_MEMORY: Final = Rule(durable=False)
READINGS_FREE: Final = Rule(readings=2)
RESERVED_AND_KEPT: Final = Rule()
UNSAFE: Final = {
    "check, then act": CHECK_THEN_ACT,
    "an unknown outcome frees its place": UNKNOWN_FREES,
    "places counted in memory": COUNTED_IN_MEMORY,
}


class Phase(StrEnum):
    PROPOSED = "proposed"
    PASSED = "may be sent"
    SENT = "on its way"
    FILLED = "filled, its reply is on its way"
    UNKNOWN_SENT = "unknown, on its way"
    UNKNOWN_FILLED = "unknown, filled"
    UNKNOWN_LOST = "unknown, lost"
    OPEN = "known to be open"
    GONE = "known not to be"


class Proposal(NamedTuple):
    """`counted`: it takes a place of the limit. `absent` readings did not show it."""

    phase: Phase = Phase.PROPOSED
    counted: bool = False
    absent: int = 0


AT_BROKER: Final = (Phase.FILLED, Phase.UNKNOWN_FILLED, Phase.OPEN)
UNKNOWN: Final = (Phase.UNKNOWN_SENT, Phase.UNKNOWN_FILLED, Phase.UNKNOWN_LOST)


class State(NamedTuple):
    proposals: tuple[Proposal, ...] = (Proposal(),) * PROPOSALS
    crashes_left: int = CRASHES


class ReservationModel:
    """`late`: a request without a reply may still be on its way when readings are taken."""

    def __init__(self, rule: Rule, *, late: bool = True) -> None:
        self._rule, self._late = rule, late

    def start(self) -> State:
        return State()

    def wrong(self, state: State) -> str:
        held = sum(proposal.phase in AT_BROKER for proposal in state.proposals)
        return f"{held} positions, the limit is {LIMIT}" if held > LIMIT else ""

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        free = sum(proposal.counted for proposal in state.proposals) < LIMIT
        for number, proposal in enumerate(state.proposals):
            for label, after in self._proposal(proposal, free=free):
                others = (*state.proposals[:number], after, *state.proposals[number + 1 :])
                yield f"{number}: {label}", state._replace(proposals=others)
        if self._rule.readings is not None and any(proposal.phase in UNKNOWN for proposal in state.proposals):
            yield "a reading", state._replace(proposals=tuple(self._read(proposal) for proposal in state.proposals))
        if state.crashes_left:
            left = tuple(self._crashed(proposal) for proposal in state.proposals)
            yield "crash and restart", State(left, state.crashes_left - 1)

    def _proposal(self, proposal: Proposal, *, free: bool) -> Iterator[tuple[str, Proposal]]:
        rule = self._rule
        match proposal.phase:
            case Phase.PROPOSED if free:
                yield "passes the limit", Proposal(Phase.PASSED, counted=rule.reserves)
            case Phase.PASSED:
                yield "is sent", proposal._replace(phase=Phase.SENT)
            case Phase.SENT:
                yield "is filled", proposal._replace(phase=Phase.FILLED)
                yield "is refused", Proposal(Phase.GONE)
                yield "is lost, and nobody says so", self._unknown(proposal, Phase.UNKNOWN_LOST)
                if self._late:
                    yield "is late, and nobody says so", self._unknown(proposal, Phase.UNKNOWN_SENT)
            case Phase.FILLED:
                yield "its reply comes", Proposal(Phase.OPEN, counted=True)
                yield "its reply is lost", self._unknown(proposal, Phase.UNKNOWN_FILLED)
            case Phase.UNKNOWN_SENT:
                yield "is filled late", proposal._replace(phase=Phase.UNKNOWN_FILLED)
            case Phase.UNKNOWN_FILLED:
                yield "is found at the broker", Proposal(Phase.OPEN, counted=True)
            case Phase.PROPOSED | Phase.UNKNOWN_LOST | Phase.OPEN | Phase.GONE:
                pass

    def _unknown(self, proposal: Proposal, phase: Phase) -> Proposal:
        return Proposal(phase, counted=proposal.counted and self._rule.keeps_unknown)

    def _read(self, proposal: Proposal) -> Proposal:
        """What a reading shows is known; what so many do not show is concluded not to exist."""
        assert self._rule.readings is not None
        if proposal.phase is Phase.UNKNOWN_FILLED:
            return Proposal(Phase.OPEN, counted=True)
        if proposal.phase not in UNKNOWN:
            return proposal
        absent = min(proposal.absent + 1, self._rule.readings)
        return proposal._replace(absent=absent, counted=proposal.counted and absent < self._rule.readings)

    def _crashed(self, proposal: Proposal) -> Proposal:
        """Replies on their way are lost with the process that would hear them."""
        counted = proposal.counted and self._rule.durable
        match proposal.phase:
            case Phase.SENT:
                return Proposal(Phase.UNKNOWN_SENT if self._late else Phase.UNKNOWN_LOST, counted)
            case Phase.FILLED:
                return Proposal(Phase.UNKNOWN_FILLED, counted)
            case _:
                return proposal._replace(counted=counted)
