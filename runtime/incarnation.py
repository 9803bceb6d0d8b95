"""One incarnation of a child on its own pykka thread.

pykka 4.5 loses messages and stops unrelated actors when an exception passes it (its `_actor.py`), so none ever does:
everything that a child may raise, `SystemExit` and `KeyboardInterrupt` included, ends here and is told to the host.
"""

from collections.abc import Callable
from typing import Any, Protocol, assert_never

import pykka

from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.edge import IN_HAND
from evenkeel.runtime.mailbox import Mailbox, Order, Slot
from evenkeel.runtime.publisher import Delivery
from evenkeel.runtime.shell import SNAPSHOT_EVERY, Shell


class KilledOnPurpose(Exception):
    """A drill: somebody asked the host to crash this child."""


class MailboxOverflowed(Exception):
    """The child is too slow for what it hears; its next incarnation reads from the journal what it missed."""


class Notices(Protocol):
    """What an incarnation tells its host; on the incarnation's thread, `starting` excepted."""

    def starting(self, incarnation: "Incarnation") -> None: ...

    def serving(self, incarnation: "Incarnation") -> bool:
        """Its state is back. False: it took too long and was replaced, so it does not serve."""
        ...

    def crashed(self, incarnation: "Incarnation", error: BaseException) -> None: ...


class _Parcel:
    """What pykka's loop expects of an envelope."""

    __slots__ = ("message", "reply_to")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.reply_to = None


class _Inbox:
    """pykka's inbox over a slot. `put` takes only pykka's own stop order, which then goes first."""

    slot: Slot
    """Set before the actor's thread starts."""

    def __init__(self) -> None:
        self._stop: Any = None

    def put(self, envelope: Any, /) -> None:
        self._stop = envelope

    def get(self) -> Any:
        return self._stop or _Parcel(self.slot.take())

    def empty(self) -> bool:
        """To pykka's teardown it always is: what waits belongs to the next incarnation."""
        return True


class Incarnation(pykka.ThreadingActor):
    """`lease_s` and `is_dismissed` are the host's: how long it may be at one thing, and that nothing is expected of it."""

    use_daemon_thread = True

    def __init__(self, shell: Shell, box: Mailbox, host: Notices) -> None:
        super().__init__()
        self.shell = shell
        self.lease_s = 0.0
        self.is_dismissed = False
        self._box = box
        self._host = host
        self._slot = box.open_slot()
        assert isinstance(self.actor_inbox, _Inbox)
        self.actor_inbox.slot = self._slot
        host.starting(self)

    @staticmethod
    def _create_actor_inbox() -> _Inbox:
        """Called by pykka, which hands the inbox to the actor's reference too: a later one would not see its stop order."""
        return _Inbox()

    def overdue_s(self, awake_since_s: float) -> float | None:
        """How long it has been at one thing while the process was awake, if that is longer than its lease."""
        lease_s = self.lease_s  # read first: it is shortened only after `busy_since_s` began anew
        since_s = self._slot.busy_since_s
        if since_s is None or self.actor_stopped.is_set():
            return None
        busy_s = monotonic_s() - max(since_s, awake_since_s)
        return busy_s if busy_s > lease_s else None

    def is_idle(self) -> bool:
        """It has ended, or neither does anything nor has anything to do."""
        return self.actor_stopped.is_set() or self._slot.is_idle()

    def on_start(self) -> None:
        """On the new thread, before the first message."""
        self._contained(self._begin)

    def on_receive(self, message: Delivery | Order) -> None:
        """On the incarnation's thread, one message at a time."""
        self._contained(lambda: self._serve(message))

    def _begin(self) -> None:
        self.shell.rebuild()
        self._slot.busy_since_s = monotonic_s()
        if self._host.serving(self):
            self.shell.begin()
            self._slot.poll_s = self.shell.poll_s

    def _serve(self, message: Delivery | Order) -> None:
        shell = self.shell
        match message:
            case Delivery():
                IN_HAND.seq, IN_HAND.cause_seq = message.seq, message.cause_seq
                shell.hear(message)
                IN_HAND.seq = IN_HAND.cause_seq = 0
            case Order.POLL:
                shell.poll()
            case Order.SNAPSHOT:
                if not shell.renew(self._box.has_caught_up):
                    self._tidy(every=1)
            case Order.CRASH:
                raise KilledOnPurpose(shell.name)
            case Order.OVERFLOWED:
                raise MailboxOverflowed(f"{len(self._box)} messages wait and more were missed")
            case Order.DISMISSED:
                self._tidy(every=1)
                self.stop()
            case _:
                assert_never(message)
        self._tidy()
        self._slot.poll_s = shell.poll_s

    def _tidy(self, every: int = SNAPSHOT_EVERY) -> None:
        self.shell.tidy(box_empty=self._box.has_caught_up(), every=every)

    def _contained(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  the one place where a crash is contained: see the module's docstring
            self._host.crashed(self, error)
            self.stop()
