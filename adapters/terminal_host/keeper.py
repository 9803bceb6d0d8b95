"""Keeps a terminal host running: starts it, tells it that the supervisor lives, kills one that hangs, starts it again.

A host that somebody else started for the account (`evenkeel terminal`, or on another machine) is used and not ended.
"""

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger

from evenkeel.adapters import local_sockets
from evenkeel.adapters import os as system
from evenkeel.adapters.control_frames import Deadline
from evenkeel.adapters.frame_server import Endpoint
from evenkeel.adapters.service_manager import without_manager
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.client import Connect, HostLink, LinkDown, ReplyLost
from evenkeel.runtime.clock import elapsed_ns

BEAT_S: Final = 1.0
LOOK_S: Final = 0.1
"""How often a host that does not answer yet is asked."""
START_S: Final = 30.0
RESTART_FIRST_S: Final = 0.5
RESTART_MAX_S: Final = 30.0
LEAVE_S: Final = 3.0
LEASE_S: Final = RESTART_MAX_S + 15.0
"""The longest that the keeper is at one thing: a pause before a restart, a killed process that the system has not let go."""
SILENT_S: Final = 5.0
LOG_BYTES_MAX: Final = 1_000_000
"""What hosts have printed is forgotten at the next start when it is more; their own logs have it."""


class HostDidNotStart(Exception):
    """One line: what the host said last, or that it said nothing."""


def local_connect(endpoint_file: Path) -> Connect:
    """To the host that wrote this file, whichever that is now."""

    def connect(deadline: Deadline) -> tuple[socket.socket, str]:
        try:
            endpoint = msgspec.json.decode(endpoint_file.read_bytes(), type=Endpoint)
        except (OSError, ValueError) as error:
            raise LinkDown(f"{endpoint_file}: {error}") from error
        return local_sockets.connect(endpoint.address, deadline.remaining_s()), endpoint.token

    return connect


class HostKeeper:
    """`command` starts a host; None: there is one elsewhere. `beat` says what the supervisor has to say, each second.

    A host that does not answer for `silent_s`, or for `start_s` at its start, is killed and started again; `lock` is the file
    that its process holds. The real package holds the interpreter in each call, so there `silent_s` must be longer than a call.
    `on_look` is called on the keeper's thread, at least every LEASE_S while it lives. A host of this machine that is not of
    `build`, where one is named, is ended and replaced at the start: its words may mean something else. `process` is one that
    another keeper has left.
    """

    def __init__(
        self,
        connect: Connect,
        command: Sequence[str] | None,
        *,
        beat: Callable[[], verbs.Beat],
        log: Path,
        lock: Path | None = None,
        start_s: float = START_S,
        silent_s: float = SILENT_S,
        beat_timeout_s: float = 2.0,
        on_look: Callable[[], None] = lambda: None,
        build: str = "",
        process: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self._command, self._beat, self._log, self._beat_timeout_s = command, beat, log, beat_timeout_s
        self._lock_file, self._start_s, self._silent_s = lock, start_s, silent_s
        self._link = HostLink(connect, beat_timeout_s)
        self._on_look, self._build = on_look, build
        self._process = process
        self._hangs = threading.Event()
        self._ending = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="terminal host keeper", daemon=True)
        self._lock = threading.Lock()
        self.starts = 0
        self.answered_ns: int | None = None
        """When the host last answered a beat (monotonic). For other threads to look at."""
        self.refusal = "not connected yet"

    def start(self) -> None:
        """Returns when a host answers: one that is there, or one that is started. Raises HostDidNotStart."""
        deadline, stranger_until = Deadline(self._start_s), Deadline(self._silent_s)
        try:
            while not self._beaten() or self._has_sent_another_build_away():
                self._on_look()
                if self._process is None and self._command is not None:
                    if self._holder() is None:
                        self._spawn()
                    elif stranger_until.is_over:
                        logger.error("a terminal host of an earlier supervisor does not answer; it is killed")
                        self._kill()
                if self._process is not None and self._process.poll() is not None:
                    status = self._process.returncode
                    raise HostDidNotStart(f"the terminal host ended with status {status}: {self._last_words()}")
                try:
                    self._wake.wait(min(0.05, deadline.remaining_s()))
                except TimeoutError:
                    raise HostDidNotStart(f"no terminal host answers: {self._last_words()}") from None
        except BaseException:  # a stop signal may come here too, and a host that nobody keeps must not stay
            self._kill()
            raise
        self._thread.start()

    def hung(self, what: str) -> None:
        """A call had no answer in its time: the host is killed and started again. From any thread."""
        logger.error("the terminal host hangs: {}", what)
        self._hangs.set()
        self._wake.set()

    def leave(self) -> subprocess.Popen[bytes] | None:
        """Keep it no longer and let it live, for the next keeper; None where it was not started here."""
        self._let_go()
        self._link.close()
        return self._process

    def stop(self) -> None:
        """End the host that was started here; another one is left alone."""
        self._let_go()
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(LinkDown, ReplyLost):
                self._link.ask(verbs.Leave())
            try:
                self._process.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                self._kill()
        self._link.close()

    def _let_go(self) -> None:
        self._ending.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(LEAVE_S)

    @property
    def pid(self) -> int | None:
        """Of the host that was started here."""
        return None if self._process is None else self._process.pid

    def _keep(self) -> None:
        """A host may be silent for `start_s` after its start, then for `silent_s`."""
        pause_s, silent_until, answers = RESTART_FIRST_S, Deadline(self._start_s), True
        while not self._ending.is_set():
            self._on_look()
            if self._hangs.is_set():
                self._hangs.clear()
                self._kill()
            if self._process is not None and self._process.poll() is not None:
                logger.error("the terminal host ended with status {}; a new one starts", self._process.returncode)
                self._ending.wait(pause_s)
                pause_s = min(RESTART_MAX_S, pause_s * 2)
                if not self._ending.is_set():
                    self._spawn()
                silent_until, answers = Deadline(self._start_s), False
            elif answers := self._beaten():
                pause_s, silent_until = RESTART_FIRST_S, Deadline(self._silent_s)
            elif self._process is None and self._command is not None and self._holder() is None:
                logger.error("the terminal host is gone; a new one starts")
                self._spawn()
                silent_until = Deadline(self._start_s)
            elif silent_until.is_over:
                logger.error("the terminal host does not answer; it is killed")
                self._kill()
                silent_until = Deadline(self._start_s)
            self._wake.wait(BEAT_S if answers else LOOK_S)
            self._wake.clear()

    def _beaten(self) -> bool:
        try:
            replied = self._link.ask(self._beat())
        except (LinkDown, ReplyLost):
            return False
        if isinstance(replied, verbs.Beaten):
            if replied.refusal != self.refusal and replied.refusal:
                logger.warning("the terminal refuses new positions: {}", replied.refusal)
            self.refusal, self.answered_ns = replied.refusal, elapsed_ns()
            return True
        return False

    def _has_sent_another_build_away(self) -> bool:
        if not self._build or self._command is None or self._process is not None:
            return False
        try:
            host = self._link.ask(verbs.Hello())
            if not isinstance(host, verbs.Identified) or host.build == self._build:
                return False
            logger.warning(
                "the terminal host, process {}, is of build {}, not {}: it is replaced", host.pid, host.build, self._build
            )
            self._link.ask(verbs.Leave())
        except (LinkDown, ReplyLost):
            return True  # on its way out, or asked once more
        return True

    def _spawn(self) -> None:
        assert self._command is not None
        is_long = self._log.exists() and self._log.stat().st_size > LOG_BYTES_MAX
        with open(self._log, "wb" if is_long else "ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=without_manager(os.environ),
                start_new_session=True,
            )
        self.starts += 1

    def _kill(self) -> None:
        """The one that was started here, or the one that an earlier supervisor left behind and that holds the lock."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            return
        pid = self._holder()
        if pid and self._command is not None:
            system.kill_process(pid)

    def _holder(self) -> int | None:
        """The process that owns the terminal now; None: nobody does."""
        return None if self._lock_file is None else system.lock_holder(self._lock_file)

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "it left no log"
        return lines[-1][:300] if lines else "it said nothing"
