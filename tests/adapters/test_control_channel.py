import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from evenkeel.adapters.control_channel import (
    COMMANDS_REMEMBERED_MAX,
    Accepted,
    Ask,
    Close,
    ControlReply,
    ControlServer,
    Done,
    Follow,
    HandledRequest,
    Kill,
    Malformed,
    NoAnswer,
    NotRunning,
    NotTheSupervisor,
    Pause,
    Ping,
    Pong,
    Rearm,
    Refused,
    Resume,
    Start,
    Stop,
    Told,
    ask,
)
from evenkeel.adapters.control_frames import (
    FRAME_BYTES_MAX,
    Deadline,
    ProofFailed,
    greet_as_client,
    greet_as_server,
    receive_frame,
    send_frame,
)
from evenkeel.adapters.frame_server import CONNECTIONS_MAX
from evenkeel.adapters.local_sockets import connect, listen
from evenkeel.adapters.os import FolderNotPrivate

Handler = Callable[[HandledRequest], ControlReply]
Serve = Callable[[Handler], ControlServer]

replies: msgspec.msgpack.Decoder[ControlReply] = msgspec.msgpack.Decoder(ControlReply)
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits, unix sockets or stopped processes")

SERVE = """
import sys
from pathlib import Path
from evenkeel.adapters.control_channel import ControlServer, Done
folder, form = Path(sys.argv[1]), sys.argv[2]
ControlServer(folder, lambda request: Done("", ""), started_utc_ms=1, build="b", force_tcp=form == "tcp").start()
print("serving", flush=True)
sys.stdin.read()
"""


class Desk:
    """A handler that notes what it is asked and says that it is done."""

    def __init__(self) -> None:
        self.asked: list[HandledRequest] = []

    def __call__(self, request: HandledRequest) -> ControlReply:
        self.asked.append(request)
        match request:
            case Ask(what=what):
                return Told(json.dumps({"what": what}).encode())
            case _:
                return Done(request.command_id, f"number {len(self.asked)}")


@pytest.fixture(params=["unix", "tcp"])
def form(request: pytest.FixtureRequest) -> str:
    if request.param == "unix" and sys.platform == "win32":
        pytest.skip("no unix sockets on Windows")
    return str(request.param)


@pytest.fixture
def serve(tmp_path: Path, form: str) -> Iterator[Serve]:
    servers: list[ControlServer] = []

    def start(handler: Handler) -> ControlServer:
        server = ControlServer(tmp_path / "c", handler, started_utc_ms=7, build="0.1.0", force_tcp=form == "tcp")
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def server(serve: Serve, desk: Desk) -> ControlServer:
    return serve(desk)


def endpoint_of(server: ControlServer) -> dict[str, str]:
    fields: dict[str, str] = json.loads(server.endpoint_file.read_bytes())
    return fields


def stranger_at(server: ControlServer) -> socket.socket:
    """A connection that has not greeted."""
    return connect(endpoint_of(server)["address"], 5.0)


@contextmanager
def friend_at(server: ControlServer) -> Iterator[socket.socket]:
    """A connection that has greeted, to say what `ask` never would."""
    with stranger_at(server) as connection:
        greet_as_client(connection, endpoint_of(server)["token"], Deadline(5.0))
        yield connection


def reply_to(connection: socket.socket, body: bytes) -> ControlReply:
    send_frame(connection, body, Deadline(5.0))
    return replies.decode(receive_frame(connection, Deadline(5.0)))


def packed(**fields: object) -> bytes:
    return msgspec.msgpack.encode(fields)


def pause(command_id: str = "p-1", wait_ms: int = 0) -> Pause:
    return Pause(command_id=command_id, by="test", wait_ms=wait_ms)


def hangs_up(connection: socket.socket) -> bool:
    """Nothing more comes. With bytes of ours unread, TCP says so by a reset."""
    connection.settimeout(5.0)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def control_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("control")]


def write_endpoint(path: Path, address: str, pid: int) -> Path:
    path.write_text(json.dumps({"address": address, "token": "0" * 64, "pid": pid, "started_utc_ms": 1}))
    return path


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_ping_tells_who_is_there(server: ControlServer, desk: Desk) -> None:
    assert ask(server.endpoint_file, Ping(), 5.0) == Pong(os.getpid(), 7, "0.1.0")
    assert desk.asked == []


@pytest.mark.parametrize(
    "request_",
    [
        Start(command_id="1", by="cli:ann@host"),
        Pause(command_id="1", by="ann", wait_ms=30_000),
        Resume(command_id="1", by="ann"),
        Kill(command_id="1", by="ann", epoch=3, flatten=True),
        Rearm(command_id="1", by="Jürgen"),
        Close(command_id="1", by="ann", ticket=2**40),
        Stop(command_id="1", by="ann"),
        Follow("1"),
    ],
    ids=lambda request_: type(request_).__name__,
)
def test_each_request_reaches_the_handler_as_it_was_asked(server: ControlServer, desk: Desk, request_: HandledRequest) -> None:
    assert ask(server.endpoint_file, request_, 5.0) == Done("1", "number 1")
    assert desk.asked == [request_]


@pytest.mark.parametrize("what", ["status", "positions", "limits"])
def test_a_question_is_told(server: ControlServer, what: Literal["status", "positions", "limits"]) -> None:
    assert ask(server.endpoint_file, Ask(what), 5.0) == Told(json.dumps({"what": what}).encode())


def test_accepted_is_not_done(serve: Serve) -> None:
    server = serve(lambda request: Accepted("p-1"))
    assert ask(server.endpoint_file, pause(), 5.0) == Accepted("p-1")


def test_an_error_in_the_handler_is_refused_and_the_server_goes_on(serve: Serve) -> None:
    def breaks(request: HandledRequest) -> ControlReply:
        raise RuntimeError("planted")

    server = serve(breaks)
    assert ask(server.endpoint_file, pause(), 5.0) == Refused("p-1", "internal error")
    assert ask(server.endpoint_file, Ask("status"), 5.0) == Refused("", "internal error")
    assert isinstance(ask(server.endpoint_file, Ping(), 5.0), Pong)


def test_an_answer_too_long_for_a_frame_is_refused_with_its_size(serve: Serve) -> None:
    server = serve(lambda request: Told(bytes(FRAME_BYTES_MAX)))
    reply = ask(server.endpoint_file, Ask("status"), 5.0)
    assert isinstance(reply, Refused)
    assert "limit is 65536" in reply.reason


def test_the_same_command_id_is_carried_out_once(server: ControlServer, desk: Desk) -> None:
    replies = [ask(server.endpoint_file, pause(wait_ms=wait_ms), 5.0) for wait_ms in (0, 10, 0)]
    assert replies == [Done("p-1", "number 1")] * 3
    assert len(desk.asked) == 1


def test_a_command_id_is_not_taken_for_another_command(server: ControlServer, desk: Desk) -> None:
    ask(server.endpoint_file, pause("x"), 5.0)
    reply = ask(server.endpoint_file, Kill(command_id="x", by="test", epoch=1, flatten=False), 5.0)
    assert isinstance(reply, Refused)
    assert len(desk.asked) == 1


def test_the_same_command_twice_at_once_is_carried_out_once(serve: Serve) -> None:
    in_hand, go_on, asked = threading.Event(), threading.Event(), []

    def slow(request: HandledRequest) -> ControlReply:
        asked.append(request)
        in_hand.set()
        go_on.wait(5.0)
        return Done("p-1", "once")

    server = serve(slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, server.endpoint_file, pause(), 5.0)
        in_hand.wait(5.0)
        second = pool.submit(ask, server.endpoint_file, pause(), 5.0)
        go_on.set()
        assert first.result() == second.result() == Done("p-1", "once")
    assert len(asked) == 1


def test_only_the_newest_commands_are_remembered(server: ControlServer, desk: Desk) -> None:
    with friend_at(server) as connection:
        for number in range(COMMANDS_REMEMBERED_MAX + 1):
            reply_to(connection, packed(type="pause", command_id=str(number), by="test"))
        reply_to(connection, packed(type="pause", command_id="1", by="test"))
        assert len(desk.asked) == COMMANDS_REMEMBERED_MAX + 1
        reply_to(connection, packed(type="pause", command_id="0", by="test"))
    assert len(desk.asked) == COMMANDS_REMEMBERED_MAX + 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91" * 5000,
        packed(type="sell everything"),
        packed(what="status"),
        packed(command_id="1", by="test"),
        packed(type="ping", extra=1),
        packed(type="pause", command_id="1", by="test", confirm=True),
        packed(type="pause", command_id="1"),
        packed(type="pause", command_id="1\n", by="test"),
        packed(type="pause", command_id="", by="test"),
        packed(type="pause", command_id="x" * 65, by="test"),
        packed(type="pause", command_id="1", by="a\nb"),
        packed(type="pause", command_id="1", by="test", wait_ms=30_001),
        packed(type="pause", command_id="1", by="test", scope="EUR USD"),
        packed(type="pause", command_id="1", by="test", scope="strategy/"),
        packed(type="pause", command_id="1", by="test", for_ms=-1),
        packed(type="pause", command_id="1", by="test", for_ms=604_800_001),
        packed(type="restrict", command_id="1", by="test", mode="run"),
        packed(type="close", command_id="1", by="test", ticket=0),
        packed(type="close", command_id="1", by="test", ticket=7.5),
        packed(type="kill", command_id="1", by="test", epoch=-1, flatten=False),
        packed(type="ask", what="secrets"),
        b"\x82\xa4type\xa5pause\xa2by\xa1\xff",
    ],
)
def test_a_malformed_request_is_said_to_be_so_and_changes_nothing(server: ControlServer, desk: Desk, body: bytes) -> None:
    with friend_at(server) as connection:
        assert isinstance(reply_to(connection, body), Malformed)
        assert isinstance(reply_to(connection, packed(type="ping")), Pong)
    assert desk.asked == []


def test_a_frame_that_claims_two_gigabytes_ends_the_connection(server: ControlServer) -> None:
    with friend_at(server) as connection:
        connection.sendall(b"\x7f\xff\xff\xff")
        assert hangs_up(connection)


@pytest.mark.parametrize("garbage", [b"\x7f\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 64, b"\0\0\0\x03abc"])
def test_a_stranger_who_speaks_something_else_is_dropped(server: ControlServer, garbage: bytes) -> None:
    with stranger_at(server) as connection:
        connection.sendall(garbage)
        assert hangs_up(connection)
    assert isinstance(ask(server.endpoint_file, Ping(), 5.0), Pong)


def test_a_frame_cut_short_changes_nothing(server: ControlServer, desk: Desk) -> None:
    body = packed(type="pause", command_id="1", by="test")
    with friend_at(server) as connection:
        connection.sendall(len(body).to_bytes(4, "big") + body[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert hangs_up(connection)
    assert desk.asked == []


def test_a_client_without_the_token_learns_and_changes_nothing(server: ControlServer, desk: Desk) -> None:
    with stranger_at(server) as connection:
        send_frame(connection, bytes(32), Deadline(5.0))
        receive_frame(connection, Deadline(5.0))
        send_frame(connection, bytes(32), Deadline(5.0))
        assert hangs_up(connection)
    assert desk.asked == []


def test_the_server_proof_is_no_client_proof(server: ControlServer) -> None:
    with stranger_at(server) as connection:
        send_frame(connection, bytes(32), Deadline(5.0))
        proof = receive_frame(connection, Deadline(5.0))[32:]
        send_frame(connection, proof, Deadline(5.0))
        assert hangs_up(connection)


def test_a_client_with_another_token_does_not_go_on(server: ControlServer) -> None:
    with stranger_at(server) as connection, pytest.raises(ProofFailed):
        greet_as_client(connection, "1" * 64, Deadline(5.0))


@contextmanager
def impostor(
    tmp_path: Path, form: str, serve_one: Callable[[socket.socket], object], pid: int
) -> Iterator[tuple[Path, Future[object]]]:
    """Somebody else listens at the supervisor's address."""
    listener, address = listen(tmp_path / "socket", force_tcp=form == "tcp")
    with listener, ThreadPoolExecutor(1) as pool:

        def accept() -> object:
            connection, _ = listener.accept()
            with connection:
                return serve_one(connection)

        served = pool.submit(accept)
        yield write_endpoint(tmp_path / "endpoint.json", address, pid), served


def test_an_impostor_is_found_out_and_harvests_nothing(tmp_path: Path, form: str) -> None:
    def pretend(connection: socket.socket) -> str:
        with pytest.raises(ConnectionError):
            greet_as_server(connection, "1" * 64, Deadline(5.0))
        return "got no proof"

    with impostor(tmp_path, form, pretend, os.getpid()) as (endpoint, served):
        with pytest.raises(NotTheSupervisor):
            ask(endpoint, pause(), 5.0)
        assert served.result() == "got no proof"


def test_another_program_at_the_address_is_not_the_supervisor(tmp_path: Path, form: str) -> None:
    def talk(connection: socket.socket) -> None:
        receive_frame(connection, Deadline(5.0))
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with impostor(tmp_path, form, talk, os.getpid()) as (endpoint, _), pytest.raises(NotTheSupervisor):
        ask(endpoint, pause(), 5.0)


def test_somebody_at_the_address_of_a_dead_supervisor_means_not_running(tmp_path: Path, form: str) -> None:
    def talk(connection: socket.socket) -> None:
        receive_frame(connection, Deadline(5.0))
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with impostor(tmp_path, form, talk, dead_pid()) as (endpoint, _), pytest.raises(NotRunning):
        ask(endpoint, pause(), 5.0)


def test_without_an_endpoint_nobody_runs(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match=r"endpoint\.json"):
        ask(tmp_path / "endpoint.json", Ping(), 5.0)


@pytest.mark.parametrize("content", ["", "{}", '{"address": "unix:/x", "token": "", "pid": 1, "started_utc_ms": 1}', "\0"])
def test_a_damaged_endpoint_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "endpoint.json").write_text(content)
    with pytest.raises(NotRunning, match=r"endpoint\.json cannot be used"):
        ask(tmp_path / "endpoint.json", Ping(), 5.0)


def test_the_endpoint_of_a_dead_supervisor_means_not_running(tmp_path: Path, form: str) -> None:
    listener, address = listen(tmp_path / "socket", force_tcp=form == "tcp")
    listener.close()
    with pytest.raises(NotRunning):
        ask(write_endpoint(tmp_path / "endpoint.json", address, dead_pid()), Ping(), 5.0)


@posix
def test_a_stopped_supervisor_does_not_answer_and_a_killed_one_does_not_run(tmp_path: Path, form: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path / "c"), form], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        endpoint = tmp_path / "c" / "endpoint.json"
        assert isinstance(ask(endpoint, Ping(), 5.0), Pong)
        process.send_signal(signal.Signals["SIGSTOP"])
        with pytest.raises(NoAnswer) as silence:
            ask(endpoint, pause(), 0.2)
        assert not silence.value.sent
        process.kill()
        process.wait()
        with pytest.raises(NotRunning):
            ask(endpoint, pause(), 5.0)


def test_no_answer_in_time_leaves_the_outcome_unknown(serve: Serve) -> None:
    go_on = threading.Event()

    def slow(request: HandledRequest) -> ControlReply:
        go_on.wait(60.0)
        return Done("p-1", "late")

    server = serve(slow)
    with pytest.raises(NoAnswer) as silence:
        ask(server.endpoint_file, pause(), 2.0)
    assert silence.value.sent
    go_on.set()
    assert ask(server.endpoint_file, pause(), 30.0) == Done("p-1", "late")


def test_a_server_that_drips_bytes_does_not_hold_the_client(tmp_path: Path, form: str) -> None:
    gone = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall((64).to_bytes(4, "big"))
        while not gone.wait(0.02):
            connection.sendall(b"\0")

    with impostor(tmp_path, form, drip, os.getpid()) as (endpoint, _):
        with pytest.raises(NoAnswer):
            ask(endpoint, Ping(), 0.2)
        gone.set()


def test_a_silent_peer_does_not_delay_others(server: ControlServer) -> None:
    with stranger_at(server), friend_at(server):
        assert isinstance(ask(server.endpoint_file, Ping(), 5.0), Pong)


@pytest.mark.parametrize("form", ["tcp"], indirect=True)
def test_a_silent_stranger_is_hung_up_on(server: ControlServer) -> None:
    with stranger_at(server) as connection:
        assert hangs_up(connection)


def test_one_connection_too_many_is_hung_up_on(server: ControlServer) -> None:
    strangers = [stranger_at(server) for _ in range(CONNECTIONS_MAX)]
    with stranger_at(server) as connection:
        assert hangs_up(connection)
    for stranger in strangers:
        stranger.close()


def test_stopping_ends_every_thread_and_takes_the_endpoint_away(serve: Serve, desk: Desk) -> None:
    server = serve(desk)
    with stranger_at(server), friend_at(server) as friend:
        reply_to(friend, packed(type="ping"))
        server.stop()
        assert control_threads() == []
    assert not list(server.endpoint_file.parent.iterdir())
    with pytest.raises(NotRunning):
        ask(server.endpoint_file, Ping(), 1.0)


def test_a_request_in_hand_is_answered_while_the_server_stops(serve: Serve) -> None:
    in_hand, go_on = threading.Event(), threading.Event()

    def slow(request: HandledRequest) -> ControlReply:
        in_hand.set()
        go_on.wait(5.0)
        return Accepted("s")

    server = serve(slow)
    with ThreadPoolExecutor(2) as pool:
        reply = pool.submit(ask, server.endpoint_file, Stop(command_id="s", by="test"), 5.0)
        in_hand.wait(5.0)
        stopped = pool.submit(server.stop)
        go_on.set()
        assert reply.result() == Accepted("s")
        stopped.result()


@posix
def test_the_endpoint_is_for_its_user_alone_and_new_at_each_start(serve: Serve, desk: Desk) -> None:
    first = serve(desk)
    token = endpoint_of(first)["token"]
    assert stat.S_IMODE(first.endpoint_file.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in first.endpoint_file.parent.iterdir()} == {0o600}
    first.stop()
    assert endpoint_of(serve(desk))["token"] != token


@posix
def test_a_folder_that_others_may_enter_gets_no_endpoint(tmp_path: Path, serve: Serve, desk: Desk) -> None:
    (tmp_path / "c").mkdir(mode=0o755)
    (tmp_path / "c").chmod(0o755)
    with pytest.raises(FolderNotPrivate):
        serve(desk)
    assert not list((tmp_path / "c").iterdir())


def test_the_client_stays_light() -> None:
    """`evenkeel status` starts in the blink of an eye."""
    heavy = {"numpy", "rich", "pykka", "loguru", "lmdb", "logging", "asyncio", "secrets", "tempfile"}
    code = "import sys, evenkeel.adapters.control_channel, evenkeel.adapters.kill_epoch; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)


def test_a_server_that_is_stopped_before_it_started_never_listens(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "c", lambda request: Done("", ""), started_utc_ms=1, build="b")
    server.stop()
    server.start()
    with pytest.raises(NotRunning):
        ask(server.endpoint_file, Ping(), 1.0)
