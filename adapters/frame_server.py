"""A local server of framed requests: listens, proves itself, answers each frame with a frame. What they say is its owner's.

The endpoint file says where it listens and holds the secret of this run; whoever can read it may connect.
"""

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from evenkeel.adapters import local_sockets
from evenkeel.adapters import os as system
from evenkeel.adapters.control_frames import Deadline, FrameError, greet_as_server, receive_frame, send_frame
from evenkeel.adapters.state_folder import ENDPOINT_NAME

if TYPE_CHECKING:  # heavy, and only for another machine
    import ssl

CONNECTIONS_MAX: Final = 16
GREETING_S: Final = 2.0
IDLE_S: Final = 10.0
STOP_S: Final = 2.0
_ACCEPT_RETRY_S: Final = 0.1


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a server listens and the secret of its run. `pid` is only a hint: it may be another namespace's."""

    address: str
    token: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    pid: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    started_utc_ms: int


Listen = Callable[[Path], tuple[socket.socket, str]]
"""Given the path of a socket file: a listening socket, and its address."""


class FrameServer:
    """Serves in `folder`; `reply` is called on the threads of connections, several at once, and raises nothing.

    `listen` other than the local default is for another machine; `tls` then wraps each connection. `token` None: a new one.
    """

    def __init__(
        self,
        folder: Path,
        reply: Callable[[bytes], bytes],
        *,
        name: str,
        started_utc_ms: int,
        force_tcp: bool = False,
        listen: Listen | None = None,
        tls: "ssl.SSLContext | None" = None,
        token: str | None = None,
        idle_s: float = IDLE_S,
    ) -> None:
        self.endpoint_file = folder / ENDPOINT_NAME
        self._socket_file = folder / "socket"
        self._reply, self._name, self._started_utc_ms, self._idle_s = reply, name, started_utc_ms, idle_s
        self._listen: Listen = listen or (lambda path: local_sockets.listen(path, force_tcp=force_tcp))
        self._tls = tls
        self._token = token or os.urandom(32).hex()
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._stopping = threading.Event()
        self._life = threading.Lock()
        self._acceptor: threading.Thread | None = None

    def start(self) -> None:
        """Listen, then write the endpoint file: who sees it can connect. Raises FolderNotPrivate or OSError.

        After `stop` it does nothing: another thread may have ended it before it began.
        """
        with self._life:
            if self._stopping.is_set():
                return
            system.private_folder(self._socket_file.parent)
            listener, address = self._listen(self._socket_file)
            endpoint = Endpoint(address, self._token, os.getpid(), self._started_utc_ms)
            system.write_durably(self.endpoint_file, msgspec.json.encode(endpoint))
            self._wake, woken = socket.socketpair()
            self._acceptor = threading.Thread(target=self._accept, args=(listener, woken), name=self._name, daemon=True)
            self._acceptor.start()

    def stop(self) -> None:
        """Take no more requests, let those in hand answer, end within twice STOP_S. Never called while answering."""
        with self._life:
            self._stopping.set()
            if self._acceptor is None:
                return
            self.endpoint_file.unlink(missing_ok=True)
            self._socket_file.unlink(missing_ok=True)
            self._wake.close()
            self._acceptor.join(STOP_S)
        deadline = Deadline(STOP_S)
        with self._lock:
            open_ones = list(self._connections.items())
        for connection, _ in open_ones:
            with contextlib.suppress(OSError):  # it may have hung up
                connection.shutdown(socket.SHUT_RD)
        for _, thread in open_ones:
            with contextlib.suppress(TimeoutError):  # a handler that hangs is left behind: its thread is a daemon
                thread.join(deadline.remaining_s())

    def _accept(self, listener: socket.socket, woken: socket.socket) -> None:
        with listener, woken, selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                if self._stopping.is_set():
                    return
                try:
                    self._admit(listener.accept()[0])
                except (OSError, RuntimeError):  # out of descriptors or threads: may neither end nor spin this loop
                    self._stopping.wait(_ACCEPT_RETRY_S)

    def _admit(self, connection: socket.socket) -> None:
        thread = threading.Thread(target=self._serve, args=(connection,), name=f"{self._name} connection", daemon=True)
        with self._lock:
            if len(self._connections) >= CONNECTIONS_MAX:
                connection.close()
                return
            thread.start()
            self._connections[connection] = thread

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        try:
            if self._tls is not None:
                raw.settimeout(GREETING_S)
                connection = self._tls.wrap_socket(raw, server_side=True)
            greet_as_server(connection, self._token, Deadline(GREETING_S))
            while True:
                reply = self._reply(receive_frame(connection, Deadline(self._idle_s)))
                send_frame(connection, reply, Deadline(IDLE_S))
        except (OSError, FrameError):
            pass  # hung up, silent, or not one of us: there is nobody to tell
        finally:
            with self._lock:
                del self._connections[raw]
            connection.close()
