"""Holding an account whose supervisor cannot be kept alive: its positions are watched at the broker, and nothing is opened.

It has a session of its own with the terminal, through the host, which it starts where none runs. What it closes is told by the
broker's deals, which the next supervisor reads.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from loguru import logger

from evenkeel.adapters.kill_epoch import UNREADABLE, KillEpoch
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.client import HostedBroker, HostLink
from evenkeel.adapters.terminal_host.keeper import HostDidNotStart, HostKeeper
from evenkeel.adapters.view import ViewError, read_view
from evenkeel.commands.asked import Asked
from evenkeel.commands.hosted import READ_S, host_of, keeper_of
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import BrokerPosition, CloseRequest, Outcome
from evenkeel.messages.operator import Mode
from evenkeel.rules import outage
from evenkeel.rules.magic import is_ours
from evenkeel.runtime.clock import elapsed_ns

ALARM_S: Final = 60.0
"""So often the alarm is said again while nothing changes."""
POSITIONS_TOLD_MAX: Final = 10


class _Ticket(msgspec.Struct):
    ticket: Annotated[int, msgspec.Meta(ge=1)]


class LastView(msgspec.Struct):
    """The little of the supervisor's last view that matters here."""

    mode: Mode = Mode.CLOSE_ONLY
    epoch: int = 0
    positions: list[_Ticket] = []


class Hold:
    """`lost_ns` is when the supervisor was last alive, in elapsed time. `told` hears each alarm, `alive` is called often.

    The caller holds the account's lock, so that nobody else sends closes.
    """

    def __init__(
        self,
        config: Config,
        folder: StateFolder,
        *,
        lost_ns: int,
        told: Callable[[str], None],
        alive: Callable[[], None],
    ) -> None:
        self._config, self._folder, self._lost_ns = config, folder, lost_ns
        self._told, self._alive = told, alive
        self._kill_epoch = KillEpoch(folder.kill_epoch)
        self._installation = folder.installation_id()
        self._view = last_view(folder.view)
        self._seen = outage.NOTHING_SEEN
        self._told_words, self._told_ns = "", 0
        connect, command = host_of(config, folder)
        self._keeper: HostKeeper = keeper_of(config, folder, connect, command, beat=self._beat, on_look=alive)
        self._links = HostLink(connect, config.terminal.call_timeout_s, self._keeper.hung), HostLink(connect, READ_S)
        self._broker = HostedBroker(*self._links)

    def run(self, ended: Asked) -> None:
        """Until `ended` is set; the positions then have nothing but their stops at the broker."""
        try:
            while not ended.is_set() and not self._connected():
                ended.wait(self._config.broker_gateway.reconcile_s)
            while not ended.is_set():
                self.look()
                ended.wait(self._config.broker_gateway.reconcile_s)
        finally:
            self.close()

    def close(self) -> None:
        """End the session; a host that was started here goes with it."""
        for link in self._links:
            link.close()
        self._keeper.stop()

    def look(self) -> None:
        """Read the positions once, close what is to be closed, and tell how things are."""
        self._alive()
        positions = self._broker.positions()
        if positions is None:
            self._alarm(f"the terminal cannot be read ({self._keeper.refusal or 'no answer'})")
            return
        seen = outage.look(positions, self._ours(positions))
        closing = outage.to_close(
            self._seen,
            seen,
            outage_s=(elapsed_ns() - self._lost_ns) / 1e9,
            flatten_asked=self._is_flatten_asked(),
            config=self._config.watchdog,
        )
        self._seen = seen
        self._alarm("; ".join([_exposure(seen), *(self._closed(position) for position in closing)]))

    def _connected(self) -> bool:
        try:
            self._keeper.start()
        except HostDidNotStart as error:
            self._alarm(f"the terminal cannot be reached ({error})")
            return False
        return True

    def _beat(self) -> verbs.Beat:
        """Nothing may be opened; which opens are still open questions only a supervisor can tell."""
        kill = self._kill_epoch.read()
        return verbs.Beat(Mode.CLOSE_ONLY, 0 if kill == UNREADABLE else kill.epoch, 0)

    def _ours(self, positions: Sequence[BrokerPosition]) -> frozenset[int]:
        """By their magic, or because the supervisor's last view shows them: what it had adopted."""
        shown = {position.ticket for position in self._view.positions}
        return frozenset(one.ticket for one in positions if one.ticket in shown or is_ours(one.magic, self._installation))

    def _is_flatten_asked(self) -> bool:
        """A person's flatten that was not finished, or that came since."""
        kill = self._kill_epoch.read()
        return self._view.mode is Mode.FLATTEN or (
            kill != UNREADABLE and kill.mode == Mode.FLATTEN.value and kill.epoch > self._view.epoch
        )

    def _closed(self, position: BrokerPosition) -> str:
        request = CloseRequest(position.symbol, position.ticket, position.direction, 0)
        answer = self._broker.close_position(request, position.volume_steps, position.magic)
        came_to = "closed" if answer.outcome is Outcome.ACCEPTED else f"close {answer.outcome.value} {answer.detail}".strip()
        logger.warning("position {} in {}: {}", position.ticket, position.symbol, came_to)
        return f"{position.ticket} {came_to}"

    def _alarm(self, words: str) -> None:
        """One line: state, exposure, what was done, what a person may do. Said when it changes, and each minute."""
        if words == self._told_words and elapsed_ns() - self._told_ns < ALARM_S * 1e9:
            return
        self._told_words, self._told_ns = words, elapsed_ns()
        gone_s = (elapsed_ns() - self._lost_ns) / 1e9
        name = self._config.account.name
        line = f"{name}: no supervisor for {gone_s:.0f} s, the account is held; {words}; you may end this and start it anew"
        logger.critical(line)
        self._told(line)


def last_view(folder: Path) -> LastView:
    """Of a supervisor that is gone; without one only magics tell what is ours."""
    try:
        view = read_view(folder) if folder.is_dir() else None
        return LastView() if view is None else msgspec.json.decode(view, type=LastView)
    except (ViewError, msgspec.DecodeError) as error:
        logger.error("the last view cannot be read: {}", error)
        return LastView()


def _exposure(seen: outage.Held) -> str:
    if not seen.ours:
        return "no position of ours is open"
    told = [f"{one.ticket} {one.symbol} {'stop at the broker' if one.stop_points else 'NO STOP'}" for one in seen.ours]
    more = len(told) - POSITIONS_TOLD_MAX
    return f"{len(told)} open: {', '.join(told[:POSITIONS_TOLD_MAX])}" + (f" and {more} more" if more > 0 else "")
