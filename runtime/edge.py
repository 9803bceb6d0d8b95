"""What an edge is: a child that touches the world.

`remember` is the edge's own fold, over what it heard *and* what it said, without I/O. `act` is the I/O. A fold from the
journal remembers in the order of the records; in a run the edge remembers what it says at once, what came meanwhile after
it: its state must be the same either way. A crash loses only what happened in the world meanwhile; `resume` asks the
world about that.
"""

import threading
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from evenkeel.messages.system import Message


class At(NamedTuple):
    """Where a heard message stands: its number in the journal (0: not numbered) and its time."""

    seq: int
    time_utc_ms: int


class InHand(threading.local):
    """The message that a child has in hand on this thread: its number in the journal and that of what led to it, 0 for none.

    For whoever logs: a line that follows from a record says so.
    """

    seq = 0
    cause_seq = 0


IN_HAND: Final = InHand()


class Edge(Protocol):
    """Runs on its own thread on the threaded host; every method is called there, `close` excepted.

    `poll_s` is how long after its last `poll` the shell calls it again, messages or not; None: only when it is woken. It is
    read after each thing that the edge did.
    """

    state: Any
    poll_s: float | None

    def remember(self, message: Any, /) -> None:
        """Keep the little that is needed of a message heard or said. No I/O: folds call it too."""
        ...

    def act(self, message: Any, at: At, /) -> Sequence[Message]:
        """Do what a message heard asks; what it returns is caused by it. Called after `remember`; never for a fold."""
        ...

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        """Called once at each start of an incarnation, after the fold: look at the world, say what was missed."""
        ...

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        """What the edge sees by itself."""
        ...

    def close(self) -> None:
        """Let go of the world. Called from the supervisor's thread, also for a stuck incarnation; must not block."""
        ...
