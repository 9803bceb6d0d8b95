"""How a process tells whoever started it that it lives, and how that one hears it: systemd's notification protocol.

A note is one datagram of NAME=VALUE lines to the address in NOTIFY_SOCKET. systemd and `evenkeel watchdog` speak it alike, so
the supervisor has one way to say that it serves, lives, and stops.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from evenkeel.adapters import local_sockets
from evenkeel.runtime.clock import monotonic_s

ADDRESS: Final = "NOTIFY_SOCKET"
EVERY_US: Final = "WATCHDOG_USEC"
FOR_PID: Final = "WATCHDOG_PID"
_NOTE_BYTES_MAX: Final = 4096
_STATUS_CHARACTERS_MAX: Final = 300


class Note(msgspec.Struct, frozen=True):
    """What one datagram said; what it did not say is false or empty."""

    ready: bool = False
    alive: bool = False
    stopping: bool = False
    status: str = ""


class ServiceManager:
    """Who wants to know how this process does; nobody, where `environment` names none. Never raises, never waits.

    Whether somebody listens there changes nothing here: who is silent too long is killed, that is all.
    """

    def __init__(self, environment: Mapping[str, str], *, now_s: Callable[[], float] = monotonic_s) -> None:
        self._address = environment.get(ADDRESS, "")
        wanted_us = environment.get(EVERY_US, "")
        is_for_us = environment.get(FOR_PID, str(os.getpid())) == str(os.getpid())
        self._every_s = int(wanted_us) / 2e6 if wanted_us.isdecimal() and is_for_us else None
        self._now_s = now_s
        self._said_s = -float("inf")

    def ready(self, status: str) -> None:
        self._send("READY=1", _status(status))

    def alive(self) -> None:
        """To be called often; says it twice in the time after which this process would count as dead."""
        if self._every_s is not None and self._now_s() - self._said_s >= self._every_s:
            self._said_s = self._now_s()
            self._send("WATCHDOG=1")

    def status(self, status: str) -> None:
        self._send(_status(status))

    def stopping(self, status: str) -> None:
        self._send("STOPPING=1", _status(status))

    def _send(self, *lines: str) -> None:
        if self._address:
            with contextlib.suppress(OSError, ValueError):
                local_sockets.send_datagram(self._address, "\n".join(lines).encode())


class NoteBox:
    """The hearing end: an address for a child's NOTIFY_SOCKET. Raises OSError when it cannot be made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket, self.address = local_sockets.datagrams_at(path)

    def environment(self, silent_s: float) -> dict[str, str]:
        """For a process that is to say that it lives, and counts as hung when it does not for `silent_s`."""
        return {ADDRESS: self.address, EVERY_US: str(round(silent_s * 1e6))}

    def take(self, timeout_s: float) -> Note | None:
        """The next note; None when there is none within `timeout_s`."""
        self._socket.settimeout(max(timeout_s, 0.001))
        try:
            body = self._socket.recv(_NOTE_BYTES_MAX)
        except (TimeoutError, ConnectionError):  # Windows tells of a sender that is gone
            return None
        return note_in(body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)


def note_in(body: bytes) -> Note:
    """Lines that are not ours mean nothing."""
    said = dict(line.split("=", 1) for line in body.decode("utf-8", "replace").splitlines() if "=" in line)
    return Note(
        said.get("READY") == "1",
        said.get("WATCHDOG") == "1",
        said.get("STOPPING") == "1",
        said.get("STATUS", "")[:_STATUS_CHARACTERS_MAX],
    )


def without_manager(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that has nothing to tell."""
    return {name: value for name, value in environment.items() if name not in (ADDRESS, EVERY_US, FOR_PID)}


def _status(status: str) -> str:
    return f"STATUS={' '.join(status.split())[:_STATUS_CHARACTERS_MAX]}"
