"""What an actor is: a state, and what it says when it hears something.

An actor holds no reference to another one, reads no clock, does no I/O and takes no lock. Its state is the fold of what it
heard; it may be thrown away at any moment and rebuilt from a snapshot and the messages since.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from evenkeel.messages.system import Message


class Actor(Protocol):
    """`state` is one msgspec struct, all of it: it is encoded into snapshots and set back by the shell."""

    state: Any

    def handle(self, message: Any, now_utc_ms: int, /) -> Sequence[Message]:
        """What it says to `message`, which was published at `now_utc_ms`. Same state and input, same answer, for ever."""
        ...


def snapshot_of(child: Any) -> bytes:
    """The child's state in bytes."""
    return msgspec.msgpack.encode(child.state)


def restore(child: Any, snapshot: bytes) -> None:
    """Set the child's state from `snapshot_of`; raises msgspec.ValidationError when the shape has changed."""
    child.state = msgspec.msgpack.decode(snapshot, type=type(child.state))
