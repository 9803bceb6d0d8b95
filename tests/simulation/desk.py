"""Real actors and a real terminal host, put together by hand: the world between them is the test's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from builders import config_of
from orders import INSTALLATION

from evenkeel.actors.broker_gateway import BrokerGateway
from evenkeel.adapters.gate import DurableGate
from evenkeel.adapters.kill_epoch import KillEpoch
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.budget import Budget
from evenkeel.adapters.terminal_host.service import TerminalService
from evenkeel.messages.broker_gateway import PositionsRead
from evenkeel.messages.operator import Mode, ModeChanged
from evenkeel.messages.system import RunStarted
from evenkeel.runtime.actor import restore, snapshot_of

CONFIG = config_of()
READING_GAP_MS = 2_000
STARTED = RunStarted("build", "configuration", "test", INSTALLATION, continued=True, crashed=True)


class Desk:
    """An actor whose state outlives it, as the journal would make it: a crash loses nothing that it was told."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.actor = make()
        self.now_utc_ms = 1_000_000

    def hear(self, message: Any, after_ms: int = 0) -> list[Any]:
        self.now_utc_ms += after_ms
        return list(self.actor.handle(message, self.now_utc_ms))

    def crash(self) -> None:
        state = snapshot_of(self.actor)
        self.actor = self._make()
        restore(self.actor, state)


def gateway_desk() -> Desk:
    """A gateway that agrees with the broker, and may open."""
    desk = Desk(lambda: BrokerGateway(CONFIG, ("position/EURUSD",)))
    desk.hear(STARTED)
    desk.hear(ModeChanged(Mode.RUN, 0, "test", ""))
    for _ in range(2):
        desk.hear(PositionsRead(1, (), 0), READING_GAP_MS)
    return desk


class Host:
    """The terminal host over `terminal`, which needs no more of a `HostedTerminal` than it is asked for; kill epoch and gate
    are files in a folder that outlives it."""

    def __init__(self, terminal: Any, folder: Path) -> None:
        self.kill_epoch = KillEpoch(folder / "kill-epoch")
        self._terminal, self._gate_file = terminal, folder / "gate"
        self.restart()

    def restart(self) -> None:
        self._service = TerminalService(
            self._terminal,
            DurableGate(self._gate_file),
            Budget(1_000, 0.5, lambda: 0.0),
            epoch_on_disk=lambda: self.kill_epoch.read().epoch,
            monotonic_s=lambda: 0.0,
            silent_limit_s=5.0,
            build="test",
            on_leave=lambda: None,
        )
        self.ask(verbs.Beat(Mode.RUN, 0, 0, ()))

    def ask(self, asked: verbs.Verb) -> verbs.Reply:
        return verbs.reply(self._service.reply(verbs.encode(asked)))
