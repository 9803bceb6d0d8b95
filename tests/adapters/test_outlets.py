"""The ways outside, over real sockets and real programs."""

import http.server
import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import until

from evenkeel.adapters.outlets import (
    AddressUnusable,
    OutletCourier,
    Program,
    Sent,
    Webhook,
    Wire,
    body_for,
    outlets_of,
)
from evenkeel.adapters.secrets import Secret, SecretMissing
from evenkeel.config.notifier import NotifierConfig, OutletConfig
from evenkeel.runtime.clock import SystemClock

CANARY = "canary-3f9a"
CLOCK = SystemClock()


def wire(**told: Any) -> Wire:
    usual: dict[str, Any] = {
        "id": "abc-1",
        "event": "unprotected",
        "severity": 1,
        "silent": False,
        "account": "test",
        "text": "a <stop> & more",
        "count": 1,
        "time_utc_ms": 1_000,
        "seqs": (7,),
    }
    return Wire(**(usual | told))


class Receiver:
    """An HTTP server that keeps what was posted and answers what it is told."""

    def __init__(self) -> None:
        self.status, self.headers, self.posted = 200, dict[str, str](), list[tuple[str, bytes]]()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posted.append((self.path, body))
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/hook/{CANARY}?token={CANARY}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def webhook(address: str, **config: Any) -> Webhook:
    return Webhook(Secret(address, "the test"), OutletConfig(**config))


def test_a_webhook_posts_the_notice_as_json(receiver: Receiver) -> None:
    assert webhook(receiver.address).send(wire()) == Sent(True)
    ((path, body),) = receiver.posted
    assert path == f"/hook/{CANARY}?token={CANARY}"
    assert json.loads(body) == {
        "v": 1,
        "id": "abc-1",
        "event": "unprotected",
        "severity": 1,
        "silent": False,
        "account": "test",
        "text": "a <stop> & more",
        "count": 1,
        "time_utc_ms": 1_000,
        "seqs": [7],
    }


@pytest.mark.parametrize(
    "status, headers, sent",
    [
        (204, {}, Sent(True)),
        (302, {"Location": "http://127.0.0.1/elsewhere"}, Sent(False, "HTTP 302")),
        (404, {}, Sent(False, "HTTP 404")),
        (429, {"Retry-After": "30"}, Sent(False, "HTTP 429", 30.0)),
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, Sent(False, "HTTP 503", 0.0)),
        (429, {"Retry-After": "soon"}, Sent(False, "HTTP 429")),
    ],
)
def test_what_the_receiver_answers_counts(receiver: Receiver, status: int, headers: dict[str, str], sent: Sent) -> None:
    receiver.status, receiver.headers = status, headers
    assert webhook(receiver.address).send(wire()) == sent
    assert len(receiver.posted) == 1, "no redirection is followed"


def test_a_receiver_that_is_not_there_is_a_failure_without_the_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    sent = webhook(f"http://127.0.0.1:{port}/{CANARY}").send(wire())
    assert not sent.is_taken
    assert CANARY not in sent.detail
    assert str(port) not in sent.detail


@pytest.mark.parametrize(
    "address",
    [
        *(f"ftp://127.0.0.1/{CANARY}", f"http://example.org/{CANARY}", f"https://{CANARY}:x@example.org/", CANARY),
        *(f"https://example.org:99999/{CANARY}", f"https://[{CANARY}", f"https://example.org/ü{CANARY}"),
    ],
)
def test_what_is_no_address_is_refused_without_a_word_of_it(address: str) -> None:
    config = NotifierConfig(outlet={"phone": OutletConfig(url_secret="phone_url")})
    with pytest.raises(AddressUnusable) as caught:
        outlets_of(config, lambda name: Secret(address, "the test"))
    assert CANARY not in str(caught.value)
    assert "notifier.outlet.phone: the secret 'phone_url'" in str(caught.value)


def test_a_secret_that_is_nowhere_is_named() -> None:
    with pytest.raises(SecretMissing, match="EVENKEEL_SECRET_NOWHERE_URL"):
        outlets_of(NotifierConfig(outlet={"phone": OutletConfig(url_secret="nowhere_url")}))


@pytest.mark.parametrize(
    "shape, body",
    [
        ("slack", {"text": "ALARM test: a &lt;stop&gt; &amp; more"}),
        ("discord", {"content": "ALARM test: a <stop> & more", "flags": 0, "allowed_mentions": {"parse": []}}),
        ("telegram", {"chat_id": "42", "text": "ALARM test: a <stop> & more", "disable_notification": False}),
        ("ntfy", {"topic": "42", "title": "ALARM test", "message": "a <stop> & more", "priority": 5}),
    ],
)
def test_each_receiver_gets_what_it_understands(shape: Any, body: dict[str, object]) -> None:
    assert json.loads(body_for(OutletConfig(shape=shape, to="42"), wire())) == body


@pytest.mark.parametrize(
    "shape, key, value", [("discord", "flags", 4096), ("telegram", "disable_notification", True), ("ntfy", "priority", 2)]
)
def test_a_silent_notice_makes_no_sound(shape: Any, key: str, value: object) -> None:
    told = json.loads(body_for(OutletConfig(shape=shape, to="42"), wire(silent=True, severity=3)))
    assert told[key] == value


def test_a_program_reads_the_notice_and_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENKEEL_SECRET_PHONE_URL", CANARY)
    program = "import os, sys; open(sys.argv[1], 'w').write(sys.stdin.read() + str(dict(os.environ)))"
    assert Program((sys.executable, "-c", program, str(tmp_path / "told")), 10.0).send(wire()) == Sent(True)
    told = (tmp_path / "told").read_text()
    assert json.loads(told.splitlines()[0])["id"] == "abc-1"
    assert CANARY not in told


@pytest.mark.parametrize(
    "command, timeout_s, detail",
    [
        (("sh", "-c", "exit 3"), 30.0, "the program ended with status 3"),
        (("sh", "-c", "exec sleep 60"), 0.1, "the program did not end within 0.1 s"),
        (("/nowhere/at-all",), 30.0, "the program cannot be started: FileNotFoundError"),
    ],
)
def test_a_program_that_does_not_take_it_is_told_in_words(command: tuple[str, ...], timeout_s: float, detail: str) -> None:
    assert Program(command, timeout_s).send(wire()) == Sent(False, detail)


def test_a_server_that_answers_a_byte_at_a_time_is_left_alone() -> None:
    """Each byte begins the connection's own time-out anew."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                while not is_over.wait(0.02):
                    connection.sendall(b"H")
                    has_begun.set()

        has_begun, is_over, now_ns = threading.Event(), threading.Event(), [0]
        dripping = threading.Thread(target=drip)
        dripping.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        courier = OutletCourier(webhook(address, timeout_s=60.0), lambda: now_ns[0])
        courier.begin(wire())
        assert has_begun.wait(60)
        assert courier.result() is None
        now_ns[0] = 61_000_000_000
        assert courier.result() == Sent(False, "no answer within 60 s")
        is_over.set()
        dripping.join()


def test_an_outlet_that_hangs_takes_a_few_threads_and_no_more() -> None:
    released = threading.Event()

    class Hanging:
        timeout_s = 0.0
        calls = 0

        def send(self, told: Wire) -> Sent:
            self.calls += 1
            released.wait(30)
            return Sent(True)

    outlet, now_ns = Hanging(), [0]
    courier = OutletCourier(outlet, lambda: now_ns[0])
    for _ in range(6):
        courier.begin(wire())
        now_ns[0] += 1_000_000_000
        sent = courier.result()
        assert sent is not None
        assert not sent.is_taken
    until(lambda: outlet.calls >= 3)
    assert outlet.calls == 3
    released.set()
