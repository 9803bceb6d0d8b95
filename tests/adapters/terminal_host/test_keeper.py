"""The keeper of the terminal host: whom it takes over, and whom it replaces."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from evenkeel.adapters.build import build_id
from evenkeel.adapters.frame_server import FrameServer
from evenkeel.adapters.os import AccountLock
from evenkeel.adapters.state_folder import ENDPOINT_NAME, StateFolder
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.keeper import LOG_BYTES_MAX, HostDidNotStart, HostKeeper, local_connect
from evenkeel.messages.operator import Mode

BEAT = verbs.Beat(Mode.CLOSE_ONLY, 0, 0)


class HostOf:
    """A host in this process that only says of which build it is, and leaves when it is asked to."""

    def __init__(self, folder: StateFolder, build: str) -> None:
        self.left = threading.Event()
        self._build, self._lock = build, AccountLock(folder.terminal / "lock")
        self._lock.__enter__()
        self._server = FrameServer(folder.terminal, self._reply, name="host of a test", started_utc_ms=0)
        self._server.start()

    def _reply(self, body: bytes) -> bytes:
        match verbs.verb(body):
            case verbs.Hello():
                return verbs.encode(verbs.Identified(1, self._build, 1, "Test", ""))
            case verbs.Leave():
                threading.Thread(target=self.end).start()
        return verbs.encode(verbs.Beaten(0, ""))

    def end(self) -> None:
        if not self.left.is_set():
            self.left.set()
            self._server.stop()
            self._lock.__exit__(None, None, None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StateFolder]:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    made = StateFolder(tmp_path, "test")
    made.create()
    logger.disable("evenkeel")
    yield made
    logger.enable("evenkeel")


def keeper_in(folder: StateFolder, *words: str) -> HostKeeper:
    command = [sys.executable, *(words or ("-m", "evenkeel.cli", "terminal", "--account", "test"))]
    connect = local_connect(folder.terminal / ENDPOINT_NAME)
    log, lock = folder.terminal / "host.log", folder.terminal / "lock"
    return HostKeeper(connect, command, beat=lambda: BEAT, log=log, lock=lock, build=build_id(), silent_s=60)


def test_a_host_of_another_build_is_ended_and_one_of_ours_started(folder: StateFolder) -> None:
    old = HostOf(folder, "0.0.1+old")
    keeper = keeper_in(folder)
    keeper.start()
    assert old.left.is_set()
    assert keeper.starts == 1
    keeper.stop()


def test_a_host_of_our_build_is_used_as_it_is(folder: StateFolder) -> None:
    there = HostOf(folder, build_id())
    keeper = keeper_in(folder)
    keeper.start()
    assert not there.left.is_set()
    keeper.stop()
    assert keeper.starts == 0
    there.end()


def test_of_what_hosts_have_printed_a_long_past_is_forgotten_at_the_next_start(folder: StateFolder) -> None:
    log = folder.terminal / "host.log"
    log.write_text("x" * (LOG_BYTES_MAX + 1))
    for _ in range(2):
        with pytest.raises(HostDidNotStart, match="status 0: last words"):
            keeper_in(folder, "-c", "print('last words')").start()
    assert log.read_text().splitlines() == ["last words", "last words"]
