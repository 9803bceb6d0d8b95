"""TLS for a terminal host on another machine: each end shows one certificate, and accepts exactly one.

No authority is trusted and no name is compared: what counts is that the other end holds the key of the one certificate in our
file. docs/connect-a-terminal.md has the command that makes one.
"""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from evenkeel.adapters.control_frames import Deadline

_KEY_BYTES_MAX: Final = 1024


class PinInvalid(Exception):
    """A certificate, key or address that cannot be used; one line."""


class Pins(NamedTuple):
    """Files: our certificate and its key, and the other end's certificate."""

    certificate: Path
    private_key: Path
    peer: Path


def server_context(pins: Pins) -> ssl.SSLContext:
    return _context(ssl.PROTOCOL_TLS_SERVER, pins)


def connector(address: str, pins: Pins, key_file: Path) -> Callable[[Deadline], tuple[socket.socket, str]]:
    """Connections to a host on another machine. Raises PinInvalid here, OSError when connecting."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise PinInvalid(f"{address!r} is not HOST:PORT")
    context = _context(ssl.PROTOCOL_TLS_CLIENT, pins)
    key = read_key(key_file)

    def connect(deadline: Deadline) -> tuple[socket.socket, str]:
        raw = socket.create_connection((host, int(port)), deadline.remaining_s())
        try:
            raw.settimeout(deadline.remaining_s())
            return context.wrap_socket(raw), key
        except OSError:
            raw.close()
            raise

    return connect


def listener(address: str) -> Callable[[Path], tuple[socket.socket, str]]:
    """Raises PinInvalid here, OSError when listening."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not int(port) < 1 << 16:
        raise PinInvalid(f"{address!r} is not HOST:PORT")

    def listen(_: Path) -> tuple[socket.socket, str]:
        server = socket.create_server((host, int(port)))
        return server, f"{host}:{server.getsockname()[1]}"

    return listen


def read_key(path: Path) -> str:
    """The key that both ends know, 64 hexadecimal digits. Raises PinInvalid; says nothing of what is in the file."""
    try:
        with open(path, "rb") as file:
            text = file.read(_KEY_BYTES_MAX).decode("ascii", "replace").strip()
    except OSError as error:
        raise PinInvalid(f"{path}: {error.strerror}") from error
    if len(text) != 64 or not all(letter in "0123456789abcdef" for letter in text):
        raise PinInvalid(f"{path}: not a key of 64 hexadecimal digits")
    return text


def _context(protocol: int, pins: Pins) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(pins.certificate, pins.private_key)
        context.load_verify_locations(pins.peer)
    except (OSError, ssl.SSLError) as error:
        raise PinInvalid(f"{pins.certificate}, {pins.private_key} or {pins.peer}: {error}") from error
    return context
