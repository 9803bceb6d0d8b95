"""One incarnation of a child on its own pykka thread.

pykka 4.5 loses messages and stops unrelated actors when an exception passes it (its `_actor.py`), so none ever does:
everything that a child may raise, `SystemExit` and `KeyboardInterrupt` included, ends here and is told to the host.
"""

from collections.abc import Callable
from typing import Any, Protocol

import pykka

from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.mailbox import Mailbox, Order, Slot
from evenkeel.runtime.publisher import Delivery
from evenkeel.runtime.shell import Shell


class KilledOnPurpose(Exception):
    """A drill: somebody asked the host to crash this child."""


class Notices(Protocol):
    """What an incarnation tells its host; on the incarnation's thread, `starting` excepted."""

    def starting(self, incarnation: "Incarnation") -> None: ...

    def serving(self, name: str, incarnation: int) -> None: ...

    def crashed(self, name: str, incarnation: int, error: BaseException) -> None: ...


class _Parcel:
    """What pykka's loop expects of an envelope."""

    __slots__ = ("message", "reply_to")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.reply_to = None


class _Inbox:
    """pykka's inbox over a slot. `put` takes only pykka's own stop order, which then goes first."""

    def __init__(self) -> None:
        self.slot: Slot | None = None
        self._stop: Any = None

    def put(self, envelope: Any, /) -> None:
        self._stop = envelope

    def get(self) -> Any:
        assert self.slot is not None, "bound before the actor starts"
        return self._stop or _Parcel(self.slot.take())

    def empty(self) -> bool:
        """To pykka's teardown it always is: what waits belongs to the next incarnation."""
        return True


class Incarnation(pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self, make_shell: Callable[[], Shell], name: str, incarnation: int, box: Mailbox, host: Notices) -> None:
        super().__init__()
        self.name = name
        self.incarnation = incarnation
        self.busy_since_s: float | None = monotonic_s()
        self.shell: Shell | None = None
        self._make_shell = make_shell
        self._box = box
        self._host = host
        self._inbox.slot = box.open_slot(self._poll_s)
        host.starting(self)

    @staticmethod
    def _create_actor_inbox() -> _Inbox:
        """pykka's hook; its reference to this actor keeps this very inbox, so it is bound to a slot, not replaced."""
        return _Inbox()

    @property
    def _inbox(self) -> _Inbox:
        assert isinstance(self.actor_inbox, _Inbox)
        return self.actor_inbox

    def on_start(self) -> None:
        """On the new thread, before the first message."""
        self._contained(self._serve_at_last)

    def on_receive(self, message: Delivery | Order) -> None:
        """On the incarnation's thread, one message at a time."""
        self._contained(lambda: self._serve(message))

    def _serve_at_last(self) -> None:
        shell = self._make_shell()
        shell.rebuild()
        self.shell = shell
        self._host.serving(self.name, self.incarnation)
        shell.begin()

    def _serve(self, message: Delivery | Order) -> None:
        shell = self.shell
        assert shell is not None, "messages are read only after on_start"
        match message:
            case Delivery():
                shell.hear(message)
            case Order.POLL:
                shell.say(shell.child.poll(shell.now_utc_ms()))
            case Order.SNAPSHOT:
                shell.tidy(box_empty=not len(self._box), every=1)
            case Order.CRASH:
                raise KilledOnPurpose(self.name)
            case Order.DISMISSED:
                self.stop()
        shell.tidy(box_empty=not len(self._box))

    def _contained(self, work: Callable[[], None]) -> None:
        self.busy_since_s = monotonic_s()
        try:
            work()
        except BaseException as error:  # noqa: BLE001  the one place where a crash is contained: see the module's docstring
            self._host.crashed(self.name, self.incarnation, error)
            self.stop()
        finally:
            self.busy_since_s = None

    def _poll_s(self) -> float | None:
        shell = self.shell
        return getattr(shell.child, "poll_s", None) if shell is not None else None
