"""Sockets between processes of this machine: unix sockets where there are any, else the loopback address."""

import os
import socket
import sys
from pathlib import Path
from typing import Final

_SOCKET_PATH_BYTES_MAX: Final = 100  # sun_path holds 104 bytes on macOS and 108 on Linux, the ending zero included
_BACKLOG: Final = 16
_UNIX: Final = "unix:"
_TCP: Final = "tcp:127.0.0.1:"
_UDP: Final = "udp:127.0.0.1:"


def supports_unix_sockets() -> bool:
    """CPython has no AF_UNIX on Windows."""
    return sys.platform != "win32"


def listen(path: Path, *, force_tcp: bool) -> tuple[socket.socket, str]:
    """A listening stream socket of this machine and its address, `unix:PATH` or `tcp:127.0.0.1:PORT`; raises OSError.

    TCP where there are no unix sockets or `path` is too long for one. A socket file left at `path` is replaced: only the
    holder of the account's lock may call this.
    """
    if sys.platform != "win32" and not force_tcp and len(os.fsencode(path)) <= _SOCKET_PATH_BYTES_MAX:
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.fspath(path))
        path.chmod(0o600)
        address = f"{_UNIX}{path}"
    else:
        listener = socket.socket(socket.AF_INET)
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        listener.bind(("127.0.0.1", 0))
        address = f"{_TCP}{listener.getsockname()[1]}"
    listener.listen(_BACKLOG)
    return listener, address


def connect(address: str, timeout_s: float) -> socket.socket:
    """A connection to an address of `listen`; raises OSError, or ValueError when `address` is not one."""
    if address.startswith(_TCP):
        port = int(address.removeprefix(_TCP))
        if not 0 < port < 1 << 16:
            raise ValueError(f"not a port: {port}")
        connection = socket.socket(socket.AF_INET)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _connected(connection, ("127.0.0.1", port), timeout_s)
    if sys.platform != "win32" and address.startswith(_UNIX):
        return _connected(socket.socket(socket.AF_UNIX), address.removeprefix(_UNIX), timeout_s)
    raise ValueError(f"not an address of this machine: {address!r}")


def datagrams_at(path: Path) -> tuple[socket.socket, str]:
    """A socket that takes datagrams of this machine, and its address: what a service manager puts into NOTIFY_SOCKET.

    Where there are no unix sockets, or `path` is too long for one, any local process may write to it. Raises OSError.
    """
    if sys.platform != "win32" and len(os.fsencode(path)) <= _SOCKET_PATH_BYTES_MAX:
        path.unlink(missing_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.bind(os.fspath(path))
        path.chmod(0o600)
        return receiver, os.fspath(path)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    return receiver, f"{_UDP}{receiver.getsockname()[1]}"


def send_datagram(address: str, body: bytes) -> None:
    """To an address of `datagrams_at`, or systemd's (a path, or @NAME of an abstract one). Raises OSError or ValueError."""
    if address.startswith(_UDP):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(body, ("127.0.0.1", int(address.removeprefix(_UDP))))
    elif sys.platform != "win32" and address[:1] in ("/", "@"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)  # a receiver that does not read must not hold us up
            sender.sendto(body, f"\0{address[1:]}" if address[0] == "@" else address)
    else:
        raise ValueError(f"not an address for datagrams: {address!r}")


def _connected(connection: socket.socket, place: str | tuple[str, int], timeout_s: float) -> socket.socket:
    try:
        connection.settimeout(timeout_s)
        connection.connect(place)
    except OSError:
        connection.close()
        raise
    return connection
