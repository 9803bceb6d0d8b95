"""One incarnation of a child on its own pykka thread.

pykka 4.5 loses messages and stops unrelated actors when an exception passes it (its `_actor.py`), so none ever does:
everything that a child may raise, `SystemExit` and `KeyboardInterrupt` included, ends here and is told to the host.
"""

from collections.abc import Callable
from typing import Any, Protocol

import pykka

from evenkeel.runtime.mailbox import Mailbox, Order, Slot
from evenkeel.runtime.publisher import Delivery
from evenkeel.runtime.shell import Shell


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

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._stop: Any = None

    def put(self, envelope: Any, /) -> None:
        self._stop = envelope

    def get(self) -> Any:
        return self._stop or _Parcel(self._slot.take())

    def empty(self) -> bool:
        """To pykka's teardown it always is: what waits belongs to the next incarnation."""
        return True


class Incarnation(pykka.ThreadingActor):
    """`is_dismissed` is the host's: nothing more is expected of this one."""

    use_daemon_thread = True

    def __init__(self, shell: Shell, box: Mailbox, host: Notices) -> None:
        super().__init__()
        self.shell = shell
        self.is_dismissed = False
        self._box = box
        self._host = host
        self._slot = box.open_slot()
        self.actor_inbox = _Inbox(self._slot)
        host.starting(self)

    @property
    def busy_since_s(self) -> float | None:
        """Since when it is at the present message, or starting; None while it waits, and once it has ended."""
        return None if self.actor_stopped.is_set() else self._slot.busy_since_s

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
        if self._host.serving(self):
            self.shell.begin()
            self._slot.poll_s = self.shell.poll_s

    def _serve(self, message: Delivery | Order) -> None:
        shell = self.shell
        match message:
            case Delivery():
                shell.hear(message)
            case Order.POLL:
                shell.poll()
            case Order.SNAPSHOT:
                self._tidy(every=1)
            case Order.CRASH:
                raise KilledOnPurpose(shell.name)
            case Order.OVERFLOWED:
                raise MailboxOverflowed(f"{len(self._box)} messages wait and more were missed")
            case Order.DISMISSED:
                self._tidy(every=1)
                self.stop()
        self._tidy()
        self._slot.poll_s = shell.poll_s

    def _tidy(self, **every: int) -> None:
        self.shell.tidy(box_empty=self._box.has_caught_up(), **every)

    def _contained(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  the one place where a crash is contained: see the module's docstring
            self._host.crashed(self, error)
            self.stop()
