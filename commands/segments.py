"""The segments of one process: the first from its start, another one each time that a person reloads what takes one.

The account's lock, the logs and the terminal's own process stay over a change. Meanwhile no exit of ours is served, and the
stops at the broker protect.
"""

import contextlib
import faulthandler
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from loguru import logger

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.service_manager import ServiceManager
from evenkeel.commands import exit_codes
from evenkeel.commands.live import LiveSystem
from evenkeel.commands.main_loop import TICK_S, MainLoop
from evenkeel.commands.reloading import Next, Reloaded, log_left
from evenkeel.config.schema import Config
from evenkeel.rules.reload import lowered
from evenkeel.runtime.clock import monotonic_s

CHANGE_S: Final = 60.0
"""How long a change may take: after that this process no longer says that it lives, and whoever watches it starts another."""
HANGUP: Final = "SIGHUP"


class Making(NamedTuple):
    """How a system is made for a configuration, and whether the terminal's process may stay between two of them."""

    make: Callable[[Config, Reloaded | None], LiveSystem]
    stays: Callable[[Config, Config], bool]


class Words(NamedTuple):
    """What a person is told: `serving` and `first` when the first system serves; `last` reads before an end what it says after
    it."""

    serving: Callable[[str], None] = lambda words: None
    first: Callable[[LiveSystem], None] = lambda system: None
    last: Callable[[LiveSystem], Callable[[], None]] = lambda system: lambda: None


class Segments:
    """`serve` is told of each new system whom to ask for an end; `end_now` ends the process, and asks for a new one."""

    def __init__(
        self,
        making: Making,
        config: Config,
        *,
        serve: Callable[[LiveSystem], None],
        manager: ServiceManager,
        end_now: Callable[[str], None],
        words: Words = Words(),  # noqa: B008  it cannot be changed
    ) -> None:
        self._words = words
        self._making, self._config, self._serve, self._manager, self._end_now = making, config, serve, manager, end_now

    def run(self) -> int:
        """Until a person ends it; the exit status. Raises what making and booting the first one raise."""
        faulthandler.enable()  # who is killed for silence says where its threads are
        sys.setswitchinterval(0.0005)  # shorter waits for the interpreter's lock; measured to cost no throughput
        system = self._making.make(self._config, None)
        self._serve(system)
        system.boot()
        words = _told(system)
        self._manager.ready(words)
        self._words.serving(words)
        self._words.first(system)
        while True:
            self._look_after(system)
            if system.next is None or system.stops_asked:
                return self._end(system)
            system = self._changed(system, system.next)

    def _look_after(self, system: LiveSystem) -> None:
        try:
            MainLoop(system, self._manager, self._end_now).run()
        except Exception as error:  # noqa: BLE001  the edge of the process: without its main loop it must not go on
            logger.opt(exception=error).critical("the main loop has ended")
            self._end_now(f"the main loop has ended: {error!r}")

    def _end(self, system: LiveSystem) -> int:
        logger.info("stopping in order: {}", system.stop_asked_by)
        self._manager.stopping(f"stopped by {system.stop_asked_by}")
        say_last = self._words.last(system)
        late = system.stop(f"stopped by {system.stop_asked_by}")
        for name in late:
            logger.error("{} did not end in time", name)
        say_last()
        if system.journal_failure is not None:
            return exit_codes.RESTART
        return exit_codes.FAILED if late else exit_codes.OK

    def _changed(self, before: LiveSystem, asked: Next) -> LiveSystem:
        """What was left behind may still act, so then only a new process is safe."""
        began_s = monotonic_s()
        self._manager.status(f"another configuration, asked by {asked.by}")
        with self._says_that_it_lives():
            in_force = lowered(self._config, before.reloading.lowering)
            stays = self._making.stays(self._config, asked.config)
            late = before.stop(f"another configuration, asked by {asked.by}", leave=stays)
            if late or before.journal_failure is not None:
                self._end_now(f"the segment did not end in order: {before.journal_failure or ', '.join(late)}")
            after = self._begun(asked, in_force)
        for by in before.stops_asked:
            after.ask_stop(by)
        logger.info("another segment serves; exits of ours waited {:.0f} ms for it", (monotonic_s() - began_s) * 1000)
        self._manager.status(_told(after))
        return after

    def _begun(self, asked: Next, in_force: Config) -> LiveSystem:
        """With what was asked for; where that does not serve, with what was in force before."""
        try:
            return self._booted(asked.config, Reloaded(asked.command_id, asked.raised))
        except Exception as error:  # noqa: BLE001  whatever it is, positions are open and somebody must serve their exits
            reason = f"{type(error).__name__}: {error}"
            logger.critical("no segment begins with the other configuration: {}; the one before comes back", reason)
        try:
            return self._booted(in_force, Reloaded(asked.command_id, refused=reason))
        except Exception as error:
            self._end_now(f"the configuration before does not serve any more either: {type(error).__name__}: {error}")
            raise

    def _booted(self, config: Config, reloaded: Reloaded) -> LiveSystem:
        system = self._making.make(config, reloaded)
        try:
            system.boot()
        except Exception:
            if late := system.stop("it did not boot"):
                self._end_now(f"{', '.join(late)} did not boot and did not end")
            raise
        self._config = config
        self._serve(system)
        return system

    @contextlib.contextmanager
    def _says_that_it_lives(self) -> Iterator[None]:
        ended, until_s = threading.Event(), monotonic_s() + CHANGE_S

        def say() -> None:
            while not ended.wait(TICK_S) and monotonic_s() < until_s:
                self._manager.alive()

        thread = threading.Thread(target=say, name="alive during a change", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def reload_lowered(system: LiveSystem) -> None:
    """What a hang-up asks for: lowered limits come into force, all else is left. Never waits for it."""

    def reload() -> None:
        log_left(system.reloading.reload(channel.Reload(command_id=HANGUP, by=HANGUP)))

    threading.Thread(target=reload, name="reload", daemon=True).start()


def _told(system: LiveSystem) -> str:
    mode = "is on: evenkeel start" if system.config.trading.enabled else "is off in the configuration"
    words = f"account {system.config.account.name} serves {' '.join(system.specs)}; trading {mode}"
    logger.info(words)
    return words
