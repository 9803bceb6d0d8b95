"""What a person may ask of the running system, and the modes and holds that come of it."""

from enum import StrEnum
from typing import Final

from evenkeel.messages.market import Direction
from evenkeel.messages.system import Message, Observation

ACCOUNT: Final = "account"
"""The scope that is everything; others are a symbol, or "strategy/NAME"."""


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
    """No new entries in `scope` until `ResumeTrading` or, where `for_ms` is not 0, so long.

    Answered by CommandDone or CommandRefused: the whole account without an end is a mode (ModeChanged), else it is a hold
    (HoldPlaced).
    """

    command_id: str
    by: str
    scope: str = ACCOUNT
    for_ms: int = 0


class ResumeTrading(Observation, frozen=True):
    """End a pause of `scope`; does not end a kill. Answered by ModeChanged or HoldEnded, or CommandRefused."""

    command_id: str
    by: str
    scope: str = ACCOUNT


class RestrictTrading(Observation, frozen=True):
    """A person makes the mode as strict as `mode`. Answered by ModeChanged, or CommandRefused where it is stricter already.

    FLATTEN may be about a smaller `scope`: then it is CloseScope and a hold of it (HoldPlaced) until a person rearms.
    """

    command_id: str
    by: str
    mode: Mode
    scope: str = ACCOUNT


class KillTrading(Observation, frozen=True):
    """The kill epoch was raised to `epoch`, durably, before this was said. Answered by ModeChanged. Idempotent by epoch.

    Of a smaller `scope` the epoch is 0: it is a hold of it until a person rearms (HoldPlaced), and with `flatten` CloseScope.
    """

    command_id: str
    by: str
    epoch: int
    flatten: bool
    scope: str = ACCOUNT


class RearmTrading(Observation, frozen=True):
    """A person ends a kill or a tripped limit; needs an equal reconcile. Answered by TradingRearmed or CommandRefused."""

    command_id: str
    by: str


class CloseTicket(Observation, frozen=True):
    """A person closes one position. Answered by CommandAccepted, then CommandDone; CommandRefused when it is not ours."""

    command_id: str
    by: str
    ticket: int


class RaiseSignal(Observation, frozen=True):
    """Somebody outside sees a reason to enter. Answered by SignalRaised of that origin and CommandDone, or CommandRefused where
    there is no price to enter at; what comes of the signal is for every gate to say. `strategy` "" belongs to none.

    `origin` is "operator" for a person's own command, "file" or "webhook"; then `source_id` is what the sender called it.
    """

    command_id: str
    by: str
    symbol: str
    direction: Direction
    strategy: str = ""
    confidence: float = 1.0
    origin: str = "operator"
    source_id: str = ""


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
    """No new risk in `scope` (the account, a symbol, "strategy/NAME") until `until_utc_ms`; 0 holds until a person rearms.

    The same who and scope replaces. Where it carries out a command, whoever keeps the table says CommandDone for
    `command_id`: everything that was decided without this hold has been said before that.
    """

    who: str
    scope: str
    reason: str
    until_utc_ms: int
    command_id: str = ""


class HoldEnded(Message, frozen=True):
    who: str
    scope: str


class FlattenProgressed(Message, frozen=True):
    """What is still to be closed in `scope`, by ticket: at the start, at each change, and again and again until it is flat.

    `foreign` are positions there that are not ours: they stay.
    """

    scope: str
    tickets: tuple[int, ...]
    foreign: tuple[int, ...]


class ScopeFlattened(Message, frozen=True):
    """Two readings of the broker, apart in time, show nothing of ours in `scope`; `foreign` is what stays there."""

    scope: str
    foreign: tuple[int, ...]
