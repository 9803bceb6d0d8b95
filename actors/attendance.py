"""attendance: when no person has said anything for too long, nothing new is opened until one does."""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from evenkeel.messages.broker_gateway import AdoptPosition
from evenkeel.messages.operator import (
    CloseTicket,
    KillTrading,
    LowerMode,
    Mode,
    PauseTrading,
    RaiseSignal,
    RearmTrading,
    RestrictTrading,
    ResumeTrading,
    StartTrading,
)
from evenkeel.messages.recovery import StopChain
from evenkeel.messages.shield import LowerShield
from evenkeel.messages.system import Message, RunStarted, SetTimer, TimerDue

NAME: Final = "attendance"
TIMER: Final = "absence"
PERSON: Final = "operator"
"""The origin of a signal that a person raised by hand; any other came by itself."""


class AttendanceState(msgspec.Struct):
    """`heard_utc_ms` is when a person last said something; None before the first run."""

    heard_utc_ms: int | None = None


OfTrading = StartTrading | PauseTrading | ResumeTrading | RestrictTrading | KillTrading | RearmTrading
OfThings = CloseTicket | AdoptPosition | StopChain | LowerShield | RaiseSignal


class Attendance:
    """Says LowerMode(close_only) once, `absent_ms_max` after the last command. A restart of the process is no person."""

    def __init__(self, absent_ms_max: int) -> None:
        self.state = AttendanceState()
        self._absent_ms_max = absent_ms_max

    def handle(self, message: OfTrading | OfThings | RunStarted | TimerDue, now_utc_ms: int, /) -> Sequence[Message]:
        state = self.state
        match message:
            case RunStarted():
                if state.heard_utc_ms is None:
                    state.heard_utc_ms = now_utc_ms
            case StartTrading() | PauseTrading() | ResumeTrading() | RestrictTrading() | KillTrading() | RearmTrading():
                state.heard_utc_ms = now_utc_ms
            case RaiseSignal(origin=origin) if origin != PERSON:
                return []
            case CloseTicket() | AdoptPosition() | StopChain() | LowerShield() | RaiseSignal():
                state.heard_utc_ms = now_utc_ms
            case TimerDue():
                return self._absent()
            case _:
                assert_never(message)
        return [SetTimer(NAME, TIMER, state.heard_utc_ms + self._absent_ms_max)]

    def _absent(self) -> Sequence[Message]:
        hours = self._absent_ms_max / 3_600_000
        return [LowerMode(Mode.CLOSE_ONLY, NAME, f"no word from a person for {hours:g} h")]
