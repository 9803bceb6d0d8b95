"""How a person talks to a running supervisor: framed msgpack over a local socket, each end proving that it knows the token.

ControlError
├── NotRunning         no supervisor to talk to; nothing was asked
├── NotTheSupervisor   somebody else listens at its address; nothing was asked
└── NoAnswer           it did not answer in time; `sent` tells whether the request may have been carried out

*Accepted* is not *done*: a command waits at most `wait_ms` for its end; `Follow` asks for it later.
"""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from evenkeel.adapters import local_sockets
from evenkeel.adapters import os as system
from evenkeel.adapters.control_frames import (
    FRAME_BYTES_MAX,
    Deadline,
    FrameError,
    greet_as_client,
    receive_frame,
    send_frame,
)
from evenkeel.adapters.frame_server import Endpoint, FrameServer

COMMANDS_REMEMBERED_MAX: Final = 1024
WAIT_MS_MAX: Final = 30_000
ACCOUNT: Final = "account"
HANDLER_S: Final = WAIT_MS_MAX / 1000 + 5.0

CommandId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9-]{1,64}\Z")]
By = Annotated[str, Meta(pattern=r"\A[\w .:@/\\+-]{1,64}\Z")]
WaitMs = Annotated[int, Meta(ge=0, le=WAIT_MS_MAX)]
Scope = Annotated[str, Meta(pattern=r"\A(strategy/)?[A-Za-z0-9][A-Za-z0-9_.#-]{0,31}\Z")]
"""`ACCOUNT`, a symbol, or strategy/NAME."""
PauseMs = Annotated[int, Meta(ge=0, le=7 * 24 * 3_600_000)]
Epoch = Annotated[int, Meta(ge=0, le=2**53)]
Ticket = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.#-]{0,31}\Z")]
"""A symbol, or a strategy without "strategy/"."""
ChainId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.#/-]{0,95}\Z")]


NO_SUCH_COMMAND: Final = "no such command"
"""Why a Follow is refused of which nothing is known, or not yet: between two segments of a run."""


class ControlError(Exception):
    """Base of what `ask` raises."""


class NotRunning(ControlError):
    """No usable endpoint file, or nobody listens where it points."""


class NotTheSupervisor(ControlError):
    """Whoever listens there could not prove that it wrote the endpoint file."""


class NoAnswer(ControlError):
    """With `sent` the outcome is unknown: ask again with the same command_id. Without it nothing was asked."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class _Words(msgspec.Struct, frozen=True, tag=str.lower, forbid_unknown_fields=True):
    """Anything that crosses the channel: a map with its tag, strict because it comes from outside."""


class _Command(_Words, frozen=True, kw_only=True):
    """Changes something. `command_id` makes it safe to repeat, `by` goes into the journal."""

    command_id: CommandId
    by: By
    wait_ms: WaitMs = 0


class Start(_Command, frozen=True):
    """Turn trading on."""


class Pause(_Command, frozen=True, kw_only=True):
    """No new entries in `scope` until `Resume`, or for so long where `for_ms` is not 0."""

    scope: Scope = ACCOUNT
    for_ms: PauseMs = 0


class Resume(_Command, frozen=True, kw_only=True):
    """End a pause."""

    scope: Scope = ACCOUNT


class Restrict(_Command, frozen=True, kw_only=True):
    """Make the mode stricter; only "flatten" may be about a smaller scope."""

    mode: Literal["close_only", "freeze", "flatten"]
    scope: Scope = ACCOUNT


class Kill(_Command, frozen=True, kw_only=True):
    """The kill epoch on disk was raised to `epoch`; 0 where the scope is smaller than the account."""

    epoch: Epoch
    flatten: bool
    scope: Scope = ACCOUNT


class Rearm(_Command, frozen=True):
    """End a kill or a tripped limit."""


class Close(_Command, frozen=True, kw_only=True):
    """Close one position."""

    ticket: Ticket


class Adopt(_Command, frozen=True, kw_only=True):
    """Make a position of somebody else's ours."""

    ticket: Ticket


class StopChain(_Command, frozen=True, kw_only=True):
    """End a chain of a strategy, and close what is open of it."""

    plugin: Name
    chain_id: ChainId


class LowerShield(_Command, frozen=True, kw_only=True):
    """Free a direction of a symbol that a shield blocks."""

    symbol: Name
    direction: Literal["buy", "sell"]


class RaiseSignal(_Command, frozen=True, kw_only=True):
    """Enter `symbol` as if a strategy saw a reason to; `strategy` "" is none. `source_id` is what the sender called it."""

    symbol: Name
    direction: Literal["buy", "sell"]
    strategy: Annotated[str, Meta(pattern=r"\A([A-Za-z0-9][A-Za-z0-9_.#-]{0,31})?\Z")] = ""
    confidence: Annotated[float, Meta(ge=0, le=1)] = 1.0
    origin: Literal["operator", "file", "webhook"] = "operator"
    source_id: Annotated[str, Meta(pattern=r"\A[ -~]{0,96}\Z")] = ""


class Reload(_Command, frozen=True, kw_only=True):
    """Read the configuration again. Lowered limits come into force; with `segment` all that may change, in a new segment of
    the run. With `dry_run` nothing does. Answered by Told, whose body is an Answer of rules/reload.py; after an answer that a
    segment begins, Follow asks for its end."""

    dry_run: bool = False
    segment: bool = False


class Stop(_Command, frozen=True):
    """End the process in order; positions keep their stops at the broker."""


class Ping(_Words, frozen=True):
    """Who is there? Answered by the server itself with Pong."""


class Ask(_Words, frozen=True):
    """Answered by Told."""

    what: Literal["status", "positions", "limits"]


class Follow(_Words, frozen=True):
    """What became of an earlier command? Answered by Accepted, Done or Refused."""

    command_id: CommandId


Written = Start | Pause | Resume | Restrict | Kill | Rearm | Close | Adopt | StopChain | LowerShield | RaiseSignal | Stop
"""Commands that stand in the journal as they are."""
Command = Written | Reload
HandledRequest = Command | Ask | Follow
ControlRequest = Ping | HandledRequest


class Accepted(_Words, frozen=True):
    """Taken on, not yet done."""

    command_id: str


class Done(_Words, frozen=True):
    command_id: str
    detail: str


class Refused(_Words, frozen=True):
    """`command_id` is "" where the request had none."""

    command_id: str
    reason: str


class Told(_Words, frozen=True):
    """`body` is JSON."""

    body: bytes


class Pong(_Words, frozen=True):
    pid: int
    started_utc_ms: int
    build: str


class Malformed(_Words, frozen=True):
    """The server could not read the request; nothing was done."""

    reason: str


ControlReply = Accepted | Done | Refused | Told | Pong | Malformed


_encoder = msgspec.msgpack.Encoder()
# The union, always: a decoder of one tagged struct takes a message without its tag.
_request_decoder: msgspec.msgpack.Decoder[ControlRequest] = msgspec.msgpack.Decoder(ControlRequest)
_reply_decoder: msgspec.msgpack.Decoder[ControlReply] = msgspec.msgpack.Decoder(ControlReply)


def ask(endpoint_file: Path, request: ControlRequest, timeout_s: float) -> ControlReply:
    """The supervisor's reply within `timeout_s` in all, which should be longer than the request's `wait_ms`.

    Raises NotRunning, NotTheSupervisor or NoAnswer.
    """
    deadline = Deadline(timeout_s)
    endpoint = _endpoint_in(endpoint_file)
    with _connection_to(endpoint, deadline) as connection:
        _greet(connection, endpoint, deadline)
        try:
            send_frame(connection, _encoder.encode(request), deadline)
            return _reply_decoder.decode(receive_frame(connection, deadline))
        except (OSError, FrameError, ValueError) as error:
            raise NoAnswer(f"the supervisor was asked, its answer is unknown: {error}", sent=True) from error


def _endpoint_in(endpoint_file: Path) -> Endpoint:
    try:
        return msgspec.json.decode(endpoint_file.read_bytes(), type=Endpoint)
    except FileNotFoundError as error:
        raise NotRunning(f"no supervisor runs here: there is no {endpoint_file}") from error
    except (OSError, ValueError) as error:
        raise NotRunning(f"{endpoint_file} cannot be used: {error}") from error


def _connection_to(endpoint: Endpoint, deadline: Deadline) -> socket.socket:
    try:
        return local_sockets.connect(endpoint.address, deadline.remaining_s())
    except (TimeoutError, BlockingIOError) as error:  # a stopped process: its queue of connections is full
        raise NoAnswer(f"process {endpoint.pid} takes no connection: {error}", sent=False) from error
    except (OSError, ValueError) as error:
        raise NotRunning(f"no supervisor runs here: nobody listens at {endpoint.address}") from error


def _greet(connection: socket.socket, endpoint: Endpoint, deadline: Deadline) -> None:
    try:
        greet_as_client(connection, endpoint.token, deadline)
    except (OSError, FrameError) as error:
        if not system.process_lives(endpoint.pid):
            raise NotRunning(f"process {endpoint.pid} is gone and {endpoint.address} is somebody else's") from error
        if isinstance(error, FrameError):
            raise NotTheSupervisor(f"{endpoint.address} is not the supervisor's: {error}") from error
        raise NoAnswer(f"process {endpoint.pid} does not answer: {error}", sent=False) from error


class ControlServer:
    """Serves one supervisor in `folder`; whoever starts it holds the account's lock.

    `handler` is called on the threads of connections, several at once, once for each command_id (of the last 1,024); it
    returns within the request's `wait_ms` and a moment. It never sees Ping. What it raises becomes a Refused.
    """

    def __init__(
        self,
        folder: Path,
        handler: Callable[[HandledRequest], ControlReply],
        *,
        started_utc_ms: int,
        build: str,
        force_tcp: bool = False,
    ) -> None:
        self._handler = handler
        self._pong = Pong(pid=os.getpid(), started_utc_ms=started_utc_ms, build=build)
        self._replies = _Replies()
        self._server = FrameServer(
            folder,
            lambda body: _framed(self._reply_to(body)),
            name="control",
            started_utc_ms=started_utc_ms,
            force_tcp=force_tcp,
        )

    @property
    def endpoint_file(self) -> Path:
        return self._server.endpoint_file

    def start(self) -> None:
        """See FrameServer."""
        self._server.start()

    def stop(self) -> None:
        """See FrameServer. Never called by the handler."""
        self._server.stop()

    def _reply_to(self, body: bytes) -> ControlReply:
        try:
            request = _request_decoder.decode(body)
        except (ValueError, RecursionError) as error:  # msgspec's errors and UnicodeDecodeError are ValueErrors
            return Malformed(str(error))
        match request:
            case Ping():
                return self._pong
            case Ask() | Follow():
                return self._handled(request)
            case _:
                return self._replies.first(request, self._handled)

    def _handled(self, request: HandledRequest) -> ControlReply:
        command_id = "" if isinstance(request, Ask) else request.command_id
        try:
            return self._handler(request)
        except Exception:  # noqa: BLE001 - the edge of the process: a fault behind one request must not end the channel
            from loguru import logger  # here, because `status` imports this module and must start in a blink

            logger.exception("control request failed: {}", request)
            return Refused(command_id, "internal error")


class _Taken:
    """A command in hand or answered."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.reply: ControlReply | None = None
        self.answered = threading.Event()


class _Replies:
    """The first reply to each command_id; the oldest is forgotten when there are COMMANDS_REMEMBERED_MAX."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, _Taken] = {}

    def first(self, command: Command, handle: Callable[[Command], ControlReply]) -> ControlReply:
        """Handle it, unless that was done or is being done. Raises TimeoutError when the first one hangs."""
        command_id, asked = command.command_id, msgspec.structs.replace(command, wait_ms=0)
        taken, is_new = self._take(command_id, asked)
        if is_new:
            taken.reply = handle(command)
            taken.answered.set()
        elif taken.command != asked:
            return Refused(command_id, f"command_id {command_id} was used for another command")
        elif not taken.answered.wait(HANDLER_S):
            raise TimeoutError(f"command {command_id} is still being handled")
        assert taken.reply is not None
        return taken.reply

    def _take(self, command_id: str, command: Command) -> tuple[_Taken, bool]:
        with self._lock:
            if taken := self._taken.get(command_id):
                return taken, False
            if len(self._taken) >= COMMANDS_REMEMBERED_MAX:
                del self._taken[next(iter(self._taken))]
            taken = self._taken[command_id] = _Taken(command)
            return taken, True


def _framed(reply: ControlReply) -> bytes:
    body = _encoder.encode(reply)
    if len(body) <= FRAME_BYTES_MAX:
        return body
    return _encoder.encode(Refused("", f"the answer has {len(body)} bytes; the limit is {FRAME_BYTES_MAX}"))
