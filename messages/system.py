"""What the runtime itself says, and the two base classes of everything that may be said.

A message is frozen, tagged by its class name and positional: fields are only ever added at the end, with defaults.
"""

from typing import NewType

import msgspec

ChildName = NewType("ChildName", str)


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Anything that may be said between children."""


class Observation(Message, frozen=True, array_like=True, tag=True, gc=False):
    """What an edge saw in the world. Evidence: accepted from any incarnation of its sender, also a replaced one."""


class RunStarted(Message, frozen=True):
    """A segment opens, or the process came back into it. `continued` is false when build, configuration or account changed.

    `crashed` says that the process before this one left no clean stop; `crashes_recent` counts such ends in ten minutes.
    `restored`: the journal was put there from a backup, so whatever was done since is not in it; such a run is never continued.
    `reloaded`: a person asked for this configuration while the one before it ran; `raised` are the keys of it by which more may
    be risked than before.
    """

    build: str
    configuration: str
    account: str
    installation: int
    continued: bool
    crashed: bool
    crashes_recent: int = 0
    restored: bool = False
    reloaded: bool = False
    raised: str = ""


class RunConfigured(Message, frozen=True):
    """What the run that has just started was configured with: the settings of every actor, as JSON. Nobody hears it.

    A configuration names secrets and never holds them. With it a recorded segment can be decided again.
    """

    settings: str


class RunStopped(Message, frozen=True):
    """The process ends in order; everything before this record is in the journal."""

    reason: str


class ChildDown(Message, frozen=True):
    """A child's incarnation ended by an error. `crashes` counts its crashes in the supervision period, this one included."""

    child: str
    incarnation: int
    crashes: int
    error: str


class ChildServing(Message, frozen=True):
    """A child has its state back and serves. `incarnation` is the new one."""

    child: str
    incarnation: int


class MessageParked(Message, frozen=True):
    """A message that crashed its receiver twice is set aside: folds skip it. `seq` 0 is one that was not numbered."""

    child: str
    seq: int
    kind: str
    error: str


class LettersDead(Message, frozen=True):
    """Messages that reached a closed box since the last count; the receiver reads them from the journal when it is back."""

    child: str
    count: int


class SetTimer(Message, frozen=True):
    """Wake `owner` at `due_utc_ms` of the run's clock with `TimerDue`; the same owner and name replaces. Never refused."""

    owner: str
    name: str
    due_utc_ms: int


class CancelTimer(Message, frozen=True):
    """Forget a timer; unknown ones are ignored."""

    owner: str
    name: str


class TimerDue(Message, frozen=True):
    """A timer that was set has come. One-shot."""

    owner: str
    name: str
    due_utc_ms: int
