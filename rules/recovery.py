"""The state machine of a re-entry chain, as data, and what the end of one of its trades is to it (trading_rules 1.3).

TRANSITIONS is what each step is held against and what `diagram` draws: there is no other description of the machine.
"""

from collections.abc import Mapping
from enum import Enum, StrEnum, auto
from typing import Final, assert_never

from evenkeel.messages.position import ExitReason
from evenkeel.messages.recovery import ChainState, ChainStatus

NO_CHAIN: Final = ""
"""Where a chain comes from."""


class ChainEvent(StrEnum):
    """What makes a chain take a step.

    TARGET, STOP, EXIT (a person, or a reversal), ENDED (any other cause): how its trade ended. RECOVERED and LOST: how a
    recovery ended. RESERVED, REFUSED: what the limits say to a recovery. READY: everything that it waited for is there.
    FILLED, FAILED: what became of its order. SHIELDED: its direction is blocked. HALTED: a person or a kill.
    """

    OPENED = "opened"
    TARGET = "target"
    STOP = "stop"
    EXIT = "exit"
    ENDED = "ended"
    RECOVERED = "recovered"
    LOST = "lost"
    RESERVED = "reserved"
    REFUSED = "refused"
    HEDGE_ENDED = "hedge_ended"
    READY = "ready"
    FILLED = "filled"
    FAILED = "failed"
    WINDOW_OVER = "window_over"
    OPPOSITE = "opposite"
    SHIELDED = "shielded"
    HALTED = "halted"


_S, _E = ChainState, ChainEvent
_CANCELS: Final = (_E.OPPOSITE, _E.SHIELDED)
_ENDS: Final = (_S.COMPLETED, _S.STOPPED)
_RESULTS: Final = (_S.AWAITING_TP, _S.AWAITING_EXIT, _S.RECOVERY_MODE, *_ENDS)

TRANSITIONS: Final[Mapping[tuple[str, ChainEvent], tuple[ChainState, ...]]] = {
    (NO_CHAIN, _E.OPENED): (_S.ACTIVE,),
    # a trade is open, or a recovery of it has been asked for
    (_S.ACTIVE, _E.TARGET): (_S.AWAITING_TP, _S.COMPLETED),
    (_S.ACTIVE, _E.STOP): (_S.ACTIVE, *_ENDS),
    (_S.ACTIVE, _E.EXIT): (_S.AWAITING_EXIT, _S.STOPPED),
    (_S.ACTIVE, _E.ENDED): (_S.STOPPED,),
    (_S.ACTIVE, _E.RESERVED): (_S.RECOVERY_MODE, _S.HEDGED),
    **dict.fromkeys([(_S.ACTIVE, event) for event in (_E.REFUSED, _E.WINDOW_OVER, *_CANCELS, _E.HALTED)], (_S.STOPPED,)),
    # waiting for a price
    **dict.fromkeys([(_S.AWAITING_TP, event) for event in (_E.WINDOW_OVER, *_CANCELS)], (_S.COMPLETED,)),
    (_S.AWAITING_TP, _E.HALTED): (_S.STOPPED,),
    **dict.fromkeys(
        [(state, event) for state in (_S.RECOVERY_MODE, _S.AWAITING_EXIT) for event in (_E.WINDOW_OVER, *_CANCELS, _E.HALTED)],
        (_S.STOPPED,),
    ),
    **dict.fromkeys([(state, _E.READY) for state in (_S.AWAITING_TP, _S.AWAITING_EXIT, _S.RECOVERY_MODE)], (_S.PLACING,)),
    # the hedge is the shield's
    (_S.HEDGED, _E.HEDGE_ENDED): (_S.RECOVERY_MODE, _S.STOPPED),
    **dict.fromkeys([(_S.HEDGED, event) for event in (*_CANCELS, _E.HALTED)], (_S.STOPPED,)),
    # an order is asked for
    (_S.PLACING, _E.FILLED): (_S.ACTIVE, _S.RECOVERING),
    (_S.PLACING, _E.FAILED): _RESULTS,
    **dict.fromkeys([(_S.PLACING, event) for event in _CANCELS], _ENDS),
    (_S.PLACING, _E.HALTED): (_S.STOPPED,),
    # an order that counted as failed was filled after all
    (_S.AWAITING_TP, _E.FILLED): (_S.ACTIVE,),
    (_S.AWAITING_EXIT, _E.FILLED): (_S.ACTIVE,),
    (_S.RECOVERY_MODE, _E.FILLED): (_S.RECOVERING,),
    # a recovery is open
    (_S.RECOVERING, _E.RECOVERED): (_S.AWAITING_TP, _S.COMPLETED),
    **dict.fromkeys([(_S.RECOVERING, event) for event in (_E.LOST, _E.EXIT, _E.ENDED, _E.HALTED)], (_S.STOPPED,)),
}
"""Where a step may lead: to one of the states, which one is a matter of the rules. What is not here never happens."""
ENDED: Final = frozenset({_S.STOPPED, _S.COMPLETED})
WAITING: Final = frozenset({_S.AWAITING_TP, _S.AWAITING_EXIT, _S.RECOVERY_MODE})
"""For a price, inside a window."""


def is_allowed(before: str, event: ChainEvent, after: ChainState) -> bool:
    return after in TRANSITIONS.get((before, event), ())


def diagram() -> str:
    """TRANSITIONS as the text of a Mermaid state diagram; steps between the same two states are one arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, event), afters in TRANSITIONS.items():
        for after in afters:
            arrows.setdefault((before or "[*]", after.value), []).append(event.value)
    lines = [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in arrows.items()]
    lines += [f"    {state.value} --> [*]" for state in ChainState if state in ENDED]
    return "\n".join(["stateDiagram-v2", *lines, ""])


class Meaning(Enum):
    """What a trade's end is to its chain: its target, its stop, an exit that may be reconsidered, the end, or nobody knows."""

    TARGET = auto()
    STOP = auto()
    EXIT = auto()
    ENDS = auto()
    UNKNOWN = auto()


def meaning_of(reason: ExitReason) -> Meaning:
    """By the cause of the closing deal, never by the sign of its profit (DESIGN 9.10)."""
    match reason:
        case ExitReason.TARGET:
            return Meaning.TARGET
        case ExitReason.STOP:
            return Meaning.STOP
        case ExitReason.OPERATOR | ExitReason.PERSON | ExitReason.SIGNAL | ExitReason.REVERSAL:
            return Meaning.EXIT
        case ExitReason.NEVER_OPENED | ExitReason.UNEXPLAINED:
            return Meaning.UNKNOWN
        case (
            ExitReason.EMERGENCY
            | ExitReason.TIME
            | ExitReason.FLATTEN
            | ExitReason.LATE_FILL
            | ExitReason.UNPROTECTED
            | ExitReason.CATASTROPHE
            | ExitReason.STOP_OUT
            | ExitReason.MARGIN
            | ExitReason.BOOKED
            | ExitReason.SHIELD
            | ExitReason.BREAKER
            | ExitReason.CHAIN
        ):
            return Meaning.ENDS
        case _:
            assert_never(reason)


def exit_type(reason: ExitReason) -> str:
    """The word that `exit_continuation.after` has for it."""
    return "manual" if reason in (ExitReason.OPERATOR, ExitReason.PERSON) else "reversal"


def public_status(state: ChainState) -> ChainStatus:
    """What a person is shown (trading_rules 1.3)."""
    match state:
        case ChainState.ACTIVE | ChainState.AWAITING_TP | ChainState.AWAITING_EXIT | ChainState.PLACING:
            return ChainStatus.ACTIVE
        case ChainState.RECOVERY_MODE | ChainState.HEDGED | ChainState.RECOVERING:
            return ChainStatus.RECOVERY_MODE
        case ChainState.STOPPED:
            return ChainStatus.STOPPED
        case ChainState.COMPLETED:
            return ChainStatus.COMPLETED
        case _:
            assert_never(state)
