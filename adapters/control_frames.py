"""What lies under the control channel: frames with a deadline, and the proof that both ends know the token.

FrameError          the other end does not speak this protocol
└── ProofFailed     it does, but does not know the token

A line that breaks or stays silent raises OSError: ConnectionError or TimeoutError.
"""

import hmac
import os
import socket
from typing import Final

from evenkeel.runtime.clock import monotonic_s

FRAME_BYTES_MAX: Final = 64 * 1024
_LENGTH_BYTES: Final = 4
_NONCE_BYTES: Final = 32
_PROOF_BYTES: Final = 32


class FrameError(Exception):
    """Nothing more can be read from this connection."""


class ProofFailed(FrameError):
    """Whoever is there has not read our endpoint file."""


class Deadline:
    """An end in real time for a whole conversation: a peer that sends a byte now and then does not move it. A suspended
    machine's time does not count: the other end was asleep too."""

    def __init__(self, seconds: float) -> None:
        self._end_s = monotonic_s() + seconds

    @property
    def is_over(self) -> bool:
        return monotonic_s() >= self._end_s

    def remaining_s(self) -> float:
        """More than 0; raises TimeoutError afterwards."""
        remaining_s = self._end_s - monotonic_s()
        if remaining_s <= 0:
            raise TimeoutError("no answer in time")
        return remaining_s


def send_frame(connection: socket.socket, body: bytes, deadline: Deadline) -> None:
    """Length (4 bytes, big-endian) and body. `body` has at most FRAME_BYTES_MAX bytes."""
    assert len(body) <= FRAME_BYTES_MAX
    connection.settimeout(deadline.remaining_s())
    connection.sendall(len(body).to_bytes(_LENGTH_BYTES, "big") + body)


def receive_frame(connection: socket.socket, deadline: Deadline) -> bytes:
    """The next body; raises FrameError for a longer one before anything of it is read."""
    size = int.from_bytes(_receive(connection, _LENGTH_BYTES, deadline), "big")
    if size > FRAME_BYTES_MAX:
        raise FrameError(f"a frame of {size} bytes; the limit is {FRAME_BYTES_MAX}")
    return _receive(connection, size, deadline)


def greet_as_client(connection: socket.socket, token: str, deadline: Deadline) -> None:
    """Make the server prove itself, then prove ourselves. The token is never sent, whoever listens."""
    mine = os.urandom(_NONCE_BYTES)
    send_frame(connection, mine, deadline)
    answer = _receive_exactly(connection, _NONCE_BYTES + _PROOF_BYTES, deadline)
    theirs, proof = answer[:_NONCE_BYTES], answer[_NONCE_BYTES:]
    _check(proof, _proof(token, b"server", mine, theirs))
    send_frame(connection, _proof(token, b"client", mine, theirs), deadline)


def greet_as_server(connection: socket.socket, token: str, deadline: Deadline) -> None:
    """The other half of `greet_as_client`."""
    theirs = _receive_exactly(connection, _NONCE_BYTES, deadline)
    mine = os.urandom(_NONCE_BYTES)
    send_frame(connection, mine + _proof(token, b"server", theirs, mine), deadline)
    _check(_receive_exactly(connection, _PROOF_BYTES, deadline), _proof(token, b"client", theirs, mine))


def _proof(token: str, role: bytes, client_nonce: bytes, server_nonce: bytes) -> bytes:
    """HMAC-SHA256. The role keeps one end's proof from being played back as the other's."""
    return hmac.digest(token.encode(), role + client_nonce + server_nonce, "sha256")


def _check(proof: bytes, expected: bytes) -> None:
    if not hmac.compare_digest(proof, expected):
        raise ProofFailed("the other end does not know the token")


def _receive_exactly(connection: socket.socket, size: int, deadline: Deadline) -> bytes:
    body = receive_frame(connection, deadline)
    if len(body) != size:
        raise FrameError(f"a greeting of {len(body)} bytes, not {size}")
    return body


def _receive(connection: socket.socket, size: int, deadline: Deadline) -> bytes:
    received = bytearray()
    while len(received) < size:
        connection.settimeout(deadline.remaining_s())
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise ConnectionError("the other end hung up")
        received += chunk
    return bytes(received)
