"""What a person may ask of the running system, and the modes and holds that come of it."""

from enum import StrEnum

from evenkeel.messages.system import Message, Observation


class Mode(StrEnum):
    """Latched; raised only by a person (DESIGN 8)."""

    RUN = "run"
    CLOSE_ONLY = "close_only"
    FREEZE = "freeze"
    FLATTEN = "flatten"


class StartTrading(Observation, frozen=True):
    """Turn trading on. Answered by ModeChanged, or CommandRefused when the configuration keeps it off."""

    command_id: str
    by: str


class PauseTrading(Observation, frozen=True):
    """No new entries until `ResumeTrading`. Answered by ModeChanged or CommandRefused."""

    command_id: str
    by: str


class ResumeTrading(Observation, frozen=True):
    """End a pause; does not end a kill. Answered by ModeChanged or CommandRefused."""

    command_id: str
    by: str


class KillTrading(Observation, frozen=True):
    """The kill epoch was raised to `epoch`, durably, before this was said. Answered by ModeChanged. Idempotent by epoch."""

    command_id: str
    by: str
    epoch: int
    flatten: bool


class RearmTrading(Observation, frozen=True):
    """A person ends a kill or a tripped limit; needs an equal reconcile. Answered by TradingRearmed or CommandRefused."""

    command_id: str
    by: str


class CloseTicket(Observation, frozen=True):
    """A person closes one position. Answered by CommandAccepted, then CommandDone; CommandRefused when it is not ours."""

    command_id: str
    by: str
    ticket: int


class StopRun(Observation, frozen=True):
    """A person ends the process in order; positions keep their stops at the broker. Followed by RunStopped."""

    command_id: str
    by: str


class LowerMode(Message, frozen=True):
    """A limit demands at least this mode, until a person rearms. Answered by ModeChanged."""

    mode: Mode
    by: str
    reason: str


class ModeChanged(Message, frozen=True):
    """`epoch` is the kill epoch this mode belongs to; an order decided under a lower one is void."""

    mode: Mode
    epoch: int
    by: str
    reason: str


class TradingRearmed(Message, frozen=True):
    """Peaks and bases start anew from the present equity; the mode is CLOSE_ONLY until somebody starts trading."""

    by: str
    epoch: int


class CommandAccepted(Message, frozen=True):
    command_id: str


class CommandRefused(Message, frozen=True):
    command_id: str
    reason: str


class CommandDone(Message, frozen=True):
    command_id: str
    detail: str


class HoldPlaced(Message, frozen=True):
    """No new risk in `scope` ("account" or a symbol) until `until_utc_ms`; 0 holds until a person rearms.

    The same who and scope replaces.
    """

    who: str
    scope: str
    reason: str
    until_utc_ms: int


class HoldEnded(Message, frozen=True):
    who: str
    scope: str
