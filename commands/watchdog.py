"""`evenkeel watchdog`: starts the supervisor of one account in a process of its own, and is there when that one is not.

It hears signs of life, kills a supervisor that hangs, starts one that died again, and when that does not help it holds the
account. Whoever started this process is told the same things in the same way: systemd may watch the watchdog.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections import deque
from types import FrameType
from typing import Final, assert_never

import msgspec
from loguru import logger

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters import logs
from evenkeel.adapters.herald import herald_of
from evenkeel.adapters.os import HANGUP, AccountLock, AlreadyRunning, StateError, state_root
from evenkeel.adapters.service_manager import Note, NoteBox, ServiceManager, without_manager
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.terminal_host.keeper import HostDidNotStart
from evenkeel.adapters.watchdog_report import State, WatchdogReport, end_report, write_report
from evenkeel.commands import exit_codes
from evenkeel.commands.asked import Asked
from evenkeel.commands.configured import add_config_flags, config_words, configured
from evenkeel.commands.hold import Hold
from evenkeel.commands.served import Served
from evenkeel.config.load import ConfigInvalid
from evenkeel.config.schema import Config
from evenkeel.rules import outage
from evenkeel.rules.outage import REACTIONS, End, Verdict
from evenkeel.runtime.clock import SystemClock, elapsed_ns, monotonic_s
from evenkeel.runtime.supervision import Vigil

LOOK_S: Final = 0.2
STOP_S: Final = 60.0
"""How long an end in order may take once it has begun: longer than any part of it."""
LAST_WORDS_S: Final = 1.0
"""How long a hung process may take to write down where its threads are."""
ASK_S: Final = 2.0
RESTARTS_KEPT: Final = 100
"""As many as `restarts_max` may be."""


class Reactions(msgspec.Struct, frozen=True):
    """What `--reactions --json` prints; `within_s` is null where the configuration sets it."""

    reactions: list[dict[str, object]]
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_flags(parser)
    parser.add_argument("--force-strategy", metavar="NAME", action="append", help="as for run; may repeat")
    parser.add_argument("--reactions", action="store_true", help="print which loss is noticed by whom, and what follows")
    parser.add_argument("--json", action="store_true", help="a line of JSON when its state changes, and one when it has ended")


def run(arguments: argparse.Namespace) -> int:
    """The supervisor's own exit status where that is left alone; 1 when an account was held to the end."""
    if arguments.reactions:
        print(
            msgspec.json.encode(Reactions([one._asdict() for one in REACTIONS])).decode()
            if arguments.json
            else "\n".join(_rows())
        )
        return exit_codes.OK
    try:
        config = configured(arguments)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    if config.simulated.speed != 1.0:
        print("watchdog: [simulated] speed: only real time can be watched over", file=sys.stderr)
        return exit_codes.USAGE
    try:
        folder = StateFolder(state_root(), config.account.name)
        folder.create()
        with AccountLock(folder.watchdog / "lock"):
            logs.set_up(folder.watchdog)
            served = Served("watchdog", config.account.name, as_json=arguments.json)
            return served.ended(Watchdog(config, folder, arguments, ServiceManager(os.environ), served).run())
    except AlreadyRunning as error:
        print(f"watchdog of {config.account.name}: {error}", file=sys.stderr)
        return exit_codes.REFUSED
    except (StateError, HostDidNotStart, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return exit_codes.FAILED


class Watchdog:
    """`arguments` are passed on to `evenkeel run`."""

    def __init__(
        self, config: Config, folder: StateFolder, arguments: argparse.Namespace, manager: ServiceManager, served: Served
    ) -> None:
        self._config, self._folder = config, folder
        self._manager, self._served = manager, served
        self._command = [sys.executable, "-m", "evenkeel.cli", "run", *_words(arguments)]
        self._restarts_s: deque[float] = deque(maxlen=RESTARTS_KEPT)
        self._restarts = 0
        self._has_served = False
        self._lost_ns = elapsed_ns()
        self._herald = herald_of(config.notifier, config.account.name, SystemClock().now_utc_ms)
        self._stops_asked = self._stops_passed_on = 0
        self._has_hung_up = False
        self._ended = Asked()

    def run(self) -> int:
        """Until the supervisor has ended for good, or a person ends this process."""
        signal.signal(signal.SIGTERM, self._asked)
        signal.signal(signal.SIGINT, self._asked)
        if HANGUP is not None and not os.isatty(0):
            signal.signal(HANGUP, self._hung_up)
        try:
            while True:
                end = self._one()
                verdict = self._verdict(end)
                level = "INFO" if verdict is Verdict.LEAVE else "ERROR"
                logger.log(level, "the supervisor ended with status {}: {}", end.status, verdict)
                match verdict:
                    case Verdict.LEAVE if self._ended.is_set() and end.status == -signal.SIGTERM:
                        return exit_codes.OK  # told to end before it could hear it in order
                    case Verdict.LEAVE:
                        return 128 - end.status if end.status < 0 else end.status
                    case Verdict.RESTART:
                        if not self._wait_to_restart():
                            return exit_codes.OK
                    case Verdict.HOLD:
                        return self._hold()
                    case _:
                        assert_never(verdict)
        finally:
            end_report(self._folder.watchdog)

    def _verdict(self, end: End) -> Verdict:
        if self._ended.is_set():
            return Verdict.LEAVE
        return outage.after_end(
            end, has_served=self._has_served, restarts_s=self._restarts_s, now_s=monotonic_s(), config=self._config.watchdog
        )

    def _wait_to_restart(self) -> bool:
        """False when a person ended this process meanwhile."""
        now_s = monotonic_s()
        wait_s = outage.back_off_s(outage.recent_restarts(self._restarts_s, now_s, self._config.watchdog))
        self._restarts += 1
        self._tell("restarting", f"restart {self._restarts} of the supervisor in {wait_s:.0f} s")
        if self._ended.wait(wait_s):
            return False
        self._restarts_s.append(monotonic_s())
        return True

    def _one(self) -> End:
        """Start one supervisor and watch it until it has ended, or was killed for its silence."""
        with NoteBox(self._folder.watchdog / "notes") as box:
            environment = without_manager(os.environ) | box.environment(self._config.watchdog.silent_s)
            with subprocess.Popen(self._command, env=environment, start_new_session=True) as process:
                self._tell("watching", f"the supervisor is process {process.pid}")
                watched = _Watched(self._config.watchdog.start_s, self._config.watchdog.silent_s)
                while process.poll() is None:
                    note = box.take(LOOK_S)
                    watched.hear(note)
                    self._pass_on(note)
                    self._pass_stops_on(process)
                    if watched.has_served:
                        self._pass_hangup_on(process)
                    if watched.is_silent():
                        logger.critical("the supervisor hangs: no sign of life for {:.1f} s; it is killed", watched.silent_s)
                        _kill(process)
                while (note := box.take(0.0)) is not None:
                    watched.hear(note)
        if not watched.is_hung:
            self._lost_ns = elapsed_ns()
        may = watched.is_hung or exit_codes.asks_for_restart(process.returncode)
        return End(process.returncode, watched.is_stopping, watched.is_hung, may)

    def _pass_on(self, note: Note | None) -> None:
        """What the supervisor says of itself goes on to whoever watches this process."""
        self._manager.alive()
        if note is None:
            return
        if note.ready or note.alive:
            self._lost_ns = elapsed_ns()
        if note.ready:
            self._has_served = True
            self._manager.ready(note.status)
        elif note.stopping and self._ended.is_set():
            self._manager.stopping(note.status)
        elif note.status:
            self._manager.status(note.status)

    def _pass_stops_on(self, process: subprocess.Popen[bytes]) -> None:
        """Each signal that came here is a request to stop there; by a signal where the control channel is not open yet."""
        if self._stops_passed_on == self._stops_asked:
            return
        self._stops_passed_on += 1
        stop = channel.Stop(command_id=uuid.uuid4().hex, by=f"watchdog:{os.getpid()}")
        try:
            channel.ask(self._folder.endpoint, stop, ASK_S)
        except channel.ControlError as error:
            if not (isinstance(error, channel.NoAnswer) and error.sent):  # else it may have heard, and twice would insist
                logger.info("asked to stop by a signal: {}", error)
                process.terminate()

    def _pass_hangup_on(self, process: subprocess.Popen[bytes]) -> None:
        """The wish to reload is for the supervisor, which hears it once it serves: before that the signal would end it."""
        if HANGUP is not None and self._has_hung_up:
            self._has_hung_up = False
            process.send_signal(HANGUP)

    def _hold(self) -> int:
        """Nobody else may supervise the account meanwhile; whoever does already is left to it."""
        try:
            with AccountLock(self._folder.lock):
                hold = Hold(
                    self._config,
                    self._folder,
                    lost_ns=self._lost_ns,
                    told=lambda words: self._tell("holding", words),
                    alive=self._manager.alive,
                )
                hold.run(self._ended)
        except AlreadyRunning as error:
            logger.error("the account is not held: {}", error)
            return exit_codes.REFUSED
        return exit_codes.FAILED

    def _tell(self, state: State, words: str) -> None:
        """To `evenkeel status`, to whoever watches this process, and, what is no good news, outside. A full disk or a closed
        pipe must not end the watch."""
        if state != "watching":
            self._herald.tell(words)
        with contextlib.suppress(OSError):
            self._served.says(state, words)
        with contextlib.suppress(OSError):
            report = WatchdogReport(state, os.getpid(), SystemClock().now_utc_ms(), words)
            write_report(self._folder.watchdog, report)
        if state == "holding":
            self._manager.ready(words)  # it does what it is there for: not a start that takes too long
        else:
            self._manager.status(words)

    def _hung_up(self, number: int, frame: FrameType | None) -> None:
        self._has_hung_up = True

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self._stops_asked += 1
        self._ended.set()


class _Watched:
    """The silence of one supervisor. Time in which this process stood still itself counts for nothing."""

    def __init__(self, start_s: float, silent_s: float) -> None:
        self.is_stopping = self.is_hung = self.has_served = False
        self._vigil = Vigil(monotonic_s())
        self._may_be_silent_s, self._silent_s = start_s, silent_s
        self._heard_s = monotonic_s()

    @property
    def silent_s(self) -> float:
        return monotonic_s() - max(self._heard_s, self._vigil.awake_since_s)

    def hear(self, note: Note | None) -> None:
        self._vigil.look(monotonic_s())
        if note is None:
            return
        if note.ready:
            self._may_be_silent_s, self.has_served = self._silent_s, True
        if note.stopping:
            self.is_stopping, self._may_be_silent_s = True, STOP_S
        self._heard_s = monotonic_s()

    def is_silent(self) -> bool:
        self.is_hung = self.is_hung or self.silent_s > self._may_be_silent_s
        return self.is_hung


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Where the system can, its threads' places are in the log first."""
    if sys.platform != "win32":
        process.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LAST_WORDS_S)
    process.kill()
    process.wait()


def _words(arguments: argparse.Namespace) -> list[str]:
    words = config_words(arguments)
    words += ["--account", arguments.account] if arguments.account else []
    return words + [word for name in arguments.force_strategy or [] for word in ("--force-strategy", name)]


def _rows() -> list[str]:
    rows = [("loss", "noticed by", "within", "what follows")]
    rows += [(r.loss, r.noticed_by, "set" if r.within_s is None else f"{r.within_s:g} s", r.reaction) for r in REACTIONS]
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    return ["  ".join([*(row[at].ljust(widths[at]) for at in range(3)), row[3]]) for row in rows]
