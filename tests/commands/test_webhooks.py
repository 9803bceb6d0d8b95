"""`webhooks` as a process of its own: its token, its end, and that a signal is raised once though it is killed in between."""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from live import until

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.control_channel import ControlReply, ControlServer, Done, HandledRequest
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, webhooks

CONFIG = '[webhooks]\n[webhooks.symbols]\n"FX:EURUSD" = "EURUSD"\n'
LONG = "canary-2b7e151628aed2a6abf7158809cf4f3c"


class Supervisor:
    """Raises what is asked, after `may_answer` is set."""

    def __init__(self, folder: StateFolder) -> None:
        self.raised: list[channel.RaiseSignal] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.server = ControlServer(folder.control, self._handled, started_utc_ms=0, build="test")
        self.server.start()

    def _handled(self, request: HandledRequest) -> ControlReply:
        assert isinstance(request, channel.RaiseSignal)
        self.raised.append(request)
        self.may_answer.wait(10)
        return Done(request.command_id, "raised")


class Process:
    """`evenkeel webhooks` of the account, on a port of its own."""

    def __init__(self, root: Path, environment: Mapping[str, str] = {}) -> None:
        self.folder = StateFolder(root, "simulated")
        (root / "mine.toml").write_text(CONFIG)
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "evenkeel.cli",
                "webhooks",
                "--config",
                root / "mine.toml",
                "--listen",
                "127.0.0.1:0",
                "--json",
            ],
            env=os.environ | {"EVENKEEL_STATE": str(root)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.listening = json.loads(self._process.stdout.readline())
        self.port = int(self.listening["url"].rpartition(":")[2].partition("/")[0])

    @property
    def token(self) -> str:
        return (self.folder.webhooks / "token").read_text().strip()

    def post(self, token: str, signal_id: str, sent: str, timeout_s: float = 10.0) -> tuple[int, dict[str, Any]]:
        body = {"token": token, "id": signal_id, "time": sent, "symbol": "FX:EURUSD", "direction": "buy"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request("POST", "/signal", json.dumps(body))
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def end(self, number: int) -> tuple[int, str]:
        """Exit status, and all that it printed."""
        with self._process:
            try:
                self._process.send_signal(number)
                out, err = self._process.communicate(timeout=20)
            finally:
                self._process.kill()
        return self._process.returncode, f"{json.dumps(self.listening)}{out}{err}"


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    folder = StateFolder(tmp_path, "simulated")
    folder.create()
    made = Supervisor(folder)
    yield made
    made.may_answer.set()
    made.server.stop()


def test_a_signal_is_raised_once_though_the_listener_is_killed_while_it_asks(tmp_path: Path, supervisor: Supervisor) -> None:
    sent, first = now(), Process(tmp_path)
    token, printed = first.token, json.dumps(first.listening)
    supervisor.may_answer.clear()
    with pytest.raises(TimeoutError):
        first.post(token, "a-1", sent, timeout_s=0.5)
    until(lambda: supervisor.raised)
    assert first.end(signal.SIGKILL)[0] == -signal.SIGKILL
    supervisor.may_answer.set()

    second = Process(tmp_path)
    assert second.token == token, "the token stays the same"
    assert second.post(token, "a-1", sent)[0] == 202
    status, told = second.post(token, "a-1", sent)
    assert (status, told["end"], told["repeated"], told["v"]) == (200, "raised", True, 1)
    assert second.post("wrong" * 8, "a-2", sent)[0] == 401
    assert len(supervisor.raised) == 1
    code, also_printed = second.end(signal.SIGTERM)
    assert code == exit_codes.OK

    file = second.folder.webhooks / "token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    assert holding == [file], "nowhere but in its own file"
    assert token not in printed + also_printed


def test_a_token_may_be_a_secret_by_name_and_a_second_listener_is_refused(
    tmp_path: Path, supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {"EVENKEEL_SET__webhooks__token": "hooks", "EVENKEEL_SECRET_HOOKS": LONG}
    process = Process(tmp_path, named)
    assert process.listening["token"] == "EVENKEEL_SECRET_HOOKS"
    assert process.post(LONG, "a-1", now())[0] == 202
    assert not (process.folder.webhooks / "token").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENKEEL_STATE", str(tmp_path))
        assert webhooks.run(flags()) == exit_codes.REFUSED
    assert "they run already" in capsys.readouterr().err
    code, printed = process.end(signal.SIGINT)
    assert code == exit_codes.INTERRUPTED
    assert LONG not in printed


def flags(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    webhooks.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    return monkeypatch


@pytest.mark.parametrize("text", ["8090", "127.0.0.1:", "127.0.0.1:65536", ":8090", "::1:8090", "127.0.0.1:x"])
def test_what_is_no_address_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        flags("--listen", text)
    assert f"{text!r} is not HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize(
    "secret, words",
    [
        (None, "the secret 'hooks' is nowhere: neither EVENKEEL_SECRET_HOOKS_FILE nor EVENKEEL_SECRET_HOOKS is set"),
        ("canary-short", "EVENKEEL_SECRET_HOOKS: a token has at least 24 letters"),
    ],
)
def test_without_a_good_token_it_does_not_start(
    here: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], secret: str | None, words: str
) -> None:
    here.setenv("EVENKEEL_SET__webhooks__token", "hooks")
    if secret is not None:
        here.setenv("EVENKEEL_SECRET_HOOKS", secret)
    assert webhooks.run(flags()) == exit_codes.FAILED
    printed = capsys.readouterr()
    assert words in printed.err
    assert "canary" not in printed.out + printed.err


def test_a_port_that_is_taken_is_named(here: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        assert webhooks.run(flags("--listen", place)) == exit_codes.FAILED
    assert f"webhooks: cannot listen at {place}: " in capsys.readouterr().err


def test_without_its_extra_it_says_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['starlette'] = None; from evenkeel.cli import main; sys.exit(main(['webhooks']))"
    environment = os.environ | {"EVENKEEL_STATE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (exit_codes.FAILED, "")
    assert done.stderr == 'webhooks: starlette is not installed: pip install "evenkeel[webhooks]"\n'


@pytest.mark.skipif(sys.platform == "win32", reason="no modes there")
def test_a_token_that_others_may_read_is_not_used(
    tmp_path: Path, here: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = StateFolder(tmp_path, "simulated")
    folder.webhooks.mkdir(parents=True, mode=0o700)
    folder.folder.chmod(0o700)
    (folder.webhooks / "token").write_text(LONG)
    (folder.webhooks / "token").chmod(0o644)
    assert webhooks.run(flags()) == exit_codes.FAILED
    assert "open to others (mode 644); run: chmod 600" in capsys.readouterr().err
