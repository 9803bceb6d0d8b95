"""One protocol to whoever started the process, systemd or our own watchdog, and silence where nobody asked."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from evenkeel.adapters.local_sockets import datagrams_at, send_datagram, supports_unix_sockets
from evenkeel.adapters.service_manager import Note, NoteBox, ServiceManager, note_in, without_manager

posix = pytest.mark.skipif(not supports_unix_sockets(), reason="no unix sockets here")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[NoteBox]:
    with NoteBox(tmp_path / "notes") as box:
        yield box


def test_what_is_said_is_heard_in_order(box: NoteBox) -> None:
    manager = ServiceManager(box.environment(5.0))
    manager.ready("serves EURUSD")
    manager.alive()
    manager.status("two lines\nbecome one")
    manager.stopping("SIGTERM")
    heard = [box.take(1.0) for _ in range(4)]
    assert heard == [
        Note(ready=True, status="serves EURUSD"),
        Note(alive=True),
        Note(status="two lines become one"),
        Note(stopping=True, status="SIGTERM"),
    ]
    assert box.take(0.01) is None


def test_life_is_said_twice_in_the_time_that_is_allowed(box: NoteBox) -> None:
    now_s = 0.0
    manager = ServiceManager(box.environment(5.0), now_s=lambda: now_s)
    for tenth in range(100):
        now_s = tenth / 10
        manager.alive()
    assert [box.take(0.01) for _ in range(5)] == [*[Note(alive=True)] * 4, None]


def test_who_was_not_asked_for_signs_of_life_sends_none(box: NoteBox) -> None:
    for environment in (
        {"NOTIFY_SOCKET": box.address},
        {"NOTIFY_SOCKET": box.address, "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid() + 1)},
        {"NOTIFY_SOCKET": box.address, "WATCHDOG_USEC": "soon"},
    ):
        ServiceManager(environment).alive()
    assert box.take(0.01) is None


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@evenkeel-test-nobody", "udp:127.0.0.1:http", "ftp://x"])
def test_that_nobody_listens_harms_nobody(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1"})
    manager.ready("")
    manager.alive()
    assert capfd.readouterr() == ("", ""), "nor does it tell anybody"


@posix
def test_a_listener_that_does_not_read_holds_nobody_up(box: NoteBox) -> None:
    manager = ServiceManager(box.environment(0.0))
    for _ in range(2_000):
        manager.alive()
    assert box.take(0.1) == Note(alive=True)


@posix
def test_an_abstract_socket_of_systemd_is_reached() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0evenkeel-test-{os.getpid()}")
        ServiceManager({"NOTIFY_SOCKET": f"@evenkeel-test-{os.getpid()}"}).ready("up")
        assert receiver.recv(100) == b"READY=1\nSTATUS=up"


@posix
def test_only_this_user_may_write_to_the_box(box: NoteBox) -> None:
    assert Path(box.address).stat().st_mode & 0o777 == 0o600


def test_where_the_path_is_too_long_datagrams_go_over_the_loopback(tmp_path: Path) -> None:
    receiver, address = datagrams_at(tmp_path / ("x" * 120))
    with receiver:
        assert address.startswith("udp:127.0.0.1:")
        send_datagram(address, b"READY=1")
        assert receiver.recv(100) == b"READY=1"


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"READY", b"READY=0\nWATCHDOG=trigger", b"MAINPID=1\nFDSTORE=1"])
def test_what_is_not_ours_means_nothing(body: bytes) -> None:
    assert note_in(body) == Note()


def test_a_process_that_has_nothing_to_tell_is_not_given_the_address() -> None:
    environment = {"PATH": "/bin", "NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}
    assert without_manager(environment) == {"PATH": "/bin"}
