"""The listener on real sockets, before a real control channel: who is heard, who is not, and what each is told."""

import contextlib
import datetime
import http.client
import itertools
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from live import until
from loguru import logger

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.control_channel import ControlReply, ControlServer, Done, HandledRequest
from evenkeel.adapters.secrets import Secret
from evenkeel.adapters.signal_ids import SignalIds
from evenkeel.adapters.signal_intake import Intake, supervisor_at
from evenkeel.adapters.webhooks import BAD_REQUESTS_PER_MINUTE, BODY_BYTES_MAX, CONNECTIONS_MAX, Door, application, server
from evenkeel.rules.outside_signals import Terms
from evenkeel.runtime.clock import SystemClock

TOKEN = "canary-6d1f0b2c9a8e4753-token"
TERMS = Terms(60_000, {"FX:EURUSD": "EURUSD"}, ("trend",))
SLOW_S = 0.6
NUMBERS = itertools.count(1)


class Heard(NamedTuple):
    status: int
    end: str
    detail: str
    repeated: bool


class Listening:
    """One uvicorn for all tests of this module, and a supervisor behind it."""

    def __init__(self, folder: Path) -> None:
        self.app: Any = None
        self.raised: list[channel.RaiseSignal] = []
        self._folder = folder
        self.ids = SignalIds(folder / "signals.lmdb")
        self.start_supervisor()
        self._server = server(self, connection_s=SLOW_S)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        until(lambda: self._server.started)

    def start_supervisor(self) -> None:
        self.control = ControlServer(self._folder, self._handled, started_utc_ms=0, build="test")
        self.control.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.control.stop()
        self.ids.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def _handled(self, request: HandledRequest) -> ControlReply:
        assert isinstance(request, channel.RaiseSignal)
        self.raised.append(request)
        return Done(request.command_id, f"signal to {request.direction} {request.symbol} raised at bid 1.1")


class Site:
    """A listener that has heard nothing yet."""

    def __init__(self, listening: Listening, *, signals_per_minute: int = 600) -> None:
        self.listening = listening
        self.signal_id = f"alert {next(NUMBERS)}"
        self.raised = listening.raised = []
        self.lines: list[str] = []
        self._sink = logger.add(self.lines.append, level="DEBUG")
        intake = Intake("webhook", listening.ids, supervisor_at(listening.control.endpoint_file), SystemClock().now_utc_ms)
        door = Door(Secret(TOKEN, "the test"), {"127.0.0.1", "hooks.example.org"}, TERMS, signals_per_minute)
        listening.app = application(door, intake)

    def close(self) -> None:
        logger.remove(self._sink)

    def post(self, body: bytes, headers: Mapping[str, str] = {}, *, method: str = "POST", path: str = "/signal") -> Heard:
        connection = http.client.HTTPConnection("127.0.0.1", self.listening.port, timeout=10)
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        told = response.read()
        connection.close()
        assert TOKEN.encode() not in told
        assert told.count(b"\n") == 1, "one line"
        said = json.loads(told)
        return Heard(response.status, said["end"], said["detail"], said["repeated"])

    def signal(self, headers: Mapping[str, str] = {}, **fields: Any) -> Heard:
        return self.post(body(**({"id": self.signal_id} | fields)), headers)

    def connection(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.listening.port), timeout=10)


def body(**fields: Any) -> bytes:
    """A signal of now with the token; a field that is None is left out."""
    told = {"token": TOKEN, "id": "a-1", "time": ago(0), "symbol": "FX:EURUSD", "direction": "buy", "strategy": "trend"}
    return json.dumps({key: value for key, value in (told | fields).items() if value is not None}).encode()


def ago(seconds: float) -> str:
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)).isoformat()


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    made = Listening(tmp_path_factory.mktemp("control"))
    yield made
    made.close()


@pytest.fixture
def site(listening: Listening) -> Iterator[Site]:
    made = Site(listening)
    yield made
    made.close()
    assert not any(TOKEN in line for line in made.lines), "the token is logged nowhere"


def test_a_signal_with_the_token_is_raised_and_the_same_again_only_told(site: Site) -> None:
    sent = ago(0)
    assert site.signal(time=sent) == Heard(202, "raised", "signal to buy EURUSD raised at bid 1.1", False)
    assert site.signal(time=sent) == Heard(200, "raised", "signal to buy EURUSD raised at bid 1.1", True)
    (raised,) = site.raised
    assert (raised.symbol, raised.origin, raised.source_id) == ("EURUSD", "webhook", site.signal_id)


def test_the_token_may_come_in_the_header(site: Site) -> None:
    assert site.signal({"Authorization": f"Bearer {TOKEN}"}, token=None).status == 202


@pytest.mark.parametrize(
    "headers, token",
    [
        ({}, None),
        ({}, ""),
        ({}, TOKEN[:-1]),
        ({}, 7),
        ({"Authorization": "Bearer wrong"}, TOKEN),
        ({"Authorization": f"Basic {TOKEN}"}, TOKEN),
        ({"Authorization": TOKEN}, TOKEN),
    ],
)
def test_without_the_right_token_nothing_is_raised(site: Site, headers: dict[str, str], token: object) -> None:
    assert site.signal(headers, token=token) == Heard(401, "refused", "no valid token", False)
    assert site.raised == []


def test_a_token_in_path_or_query_is_none_and_is_not_logged(site: Site) -> None:
    assert site.post(body(token=None), path=f"/signal?token={TOKEN}").status == 401
    assert site.post(body(token=None), path=f"/signal/{TOKEN}").status == 404


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:127.0.0.1"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
        ({"sec-fetch-mode": "cors"}, 403),
        ({"Host": "hooks.example.org"}, 202),
        ({"Host": "HOOKS.example.org:443"}, 202),
    ],
)
def test_no_browser_and_no_other_name_reaches_it(site: Site, headers: dict[str, str], status: int) -> None:
    assert site.signal(headers).status == status
    assert len(site.raised) == (status == 202)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_post_is_served(site: Site, method: str) -> None:
    assert site.post(body(), method=method).status == 405
    assert site.raised == []


@pytest.mark.parametrize(
    "content, words",
    [
        (body(volume=1), "unknown field `volume`"),
        (body(id=None), "missing required field `id`"),
        (body(time=None), "missing required field `time`"),
        (body(confidence=2), "<= 1.0"),
        (body(direction=TOKEN), "Invalid enum value '***'"),
        (body(id=f"see {TOKEN}"), "the token stands where something else belongs"),
        (body(symbol=TOKEN), "the token stands where something else belongs"),
        (body()[:-1] + b', "symbol": "FX:EURUSD"}', "a key stands there twice"),
    ],
)
def test_a_signal_that_is_none_is_told_why(site: Site, content: bytes, words: str) -> None:
    heard = site.post(content)
    assert heard.status == 400
    assert words in heard.detail
    assert site.raised == []


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"[" * BODY_BYTES_MAX, b"{" * 2000, b'{"token": 1e999}'])
def test_what_is_no_object_is_nobodys(site: Site, content: bytes) -> None:
    assert site.post(content).status == 401


def test_with_the_token_in_the_header_a_deep_body_is_no_signal_either(site: Site) -> None:
    assert site.post(b"[" * BODY_BYTES_MAX, {"Authorization": f"Bearer {TOKEN}"}).status == 400


def test_a_large_body_is_refused_before_it_is_read(site: Site) -> None:
    with site.connection() as connection:
        connection.sendall(f"POST /signal HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {BODY_BYTES_MAX + 1}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_of_unknown_length_is_refused(site: Site) -> None:
    with site.connection() as connection:
        connection.sendall(b"POST /signal HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")


def test_chunks_that_bring_more_than_their_header_says_are_refused(site: Site) -> None:
    head = "POST /signal HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    with site.connection() as connection:
        connection.sendall(head.encode() + f"{BODY_BYTES_MAX + 1:x}\r\n".encode() + b" " * (BODY_BYTES_MAX + 1) + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "raw",
    [
        b"\0" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x80" * 500,
        b"POST /signal HTTP/9.9\r\n\r\n",
        b"POST /signal HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /signal HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /signal HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_request_is_cut_off_and_the_next_one_served(site: Site, raw: bytes) -> None:
    with site.connection() as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(100)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert site.signal().status == 202


@pytest.mark.parametrize(
    "fields, status, end",
    [
        ({"time": ago(61)}, 422, "refused"),
        ({"time": ago(-86_400)}, 422, "refused"),
        ({"symbol": "FX:GBPUSD"}, 422, "refused"),
        ({"strategy": "other"}, 422, "refused"),
        ({"strategy": ""}, 422, "refused"),
        ({"direction": "sell", "position": "flat"}, 200, "ignored"),
    ],
)
def test_what_may_not_be_raised_is_not(site: Site, fields: dict[str, Any], status: int, end: str) -> None:
    assert site.signal(**fields)[:2] == (status, end)
    assert site.raised == []


def test_an_id_that_was_another_signals_is_a_conflict(site: Site) -> None:
    sent = ago(0)
    site.signal(time=sent)
    assert site.signal(time=sent, direction="sell").status == 409
    assert len(site.raised) == 1


def test_without_a_supervisor_nothing_is_done_and_the_same_signal_may_come_again(site: Site) -> None:
    sent = ago(0)
    site.listening.control.stop()
    assert site.signal(time=sent) == Heard(503, "not_running", "nothing was done this time: send it again", False)
    site.listening.start_supervisor()
    assert site.signal(time=sent).status == 202
    assert len(site.raised) == 1


def test_more_signals_a_minute_than_allowed_are_refused(listening: Listening) -> None:
    site = Site(listening, signals_per_minute=2)
    assert [site.signal(id=name).status for name in "abc"] == [202, 202, 429]
    site.close()


def test_a_flood_of_wrong_tokens_fills_no_log_and_keeps_nobody_out(site: Site) -> None:
    statuses = [site.signal(token="wrong").status for _ in range(BAD_REQUESTS_PER_MINUTE + 5)]
    assert statuses == [401] * BAD_REQUESTS_PER_MINUTE + [429] * 5
    assert len(site.lines) == BAD_REQUESTS_PER_MINUTE
    assert site.signal().status == 202


def test_who_speaks_slowly_holds_nothing_for_long(site: Site) -> None:
    slow = [site.connection() for _ in range(CONNECTIONS_MAX + 8)]
    for number, connection in enumerate(slow[:CONNECTIONS_MAX]):
        connection.sendall(b"POST /signal HTTP/1.1\r\nHost: 127.0" if number % 2 else b"P")
    for connection in slow:
        with connection, contextlib.suppress(ConnectionError):
            assert connection.recv(1) == b"", "the end, and no answer"
    assert site.signal().status == 202
