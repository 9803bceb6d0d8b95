"""The listener of `evenkeel webhooks`: signals over HTTP, as TradingView and other programs send them.

One path, one verb: POST /signal with a JSON object (rules/outside_signals.py) and a token, in the object or as
`Authorization: Bearer`, never in the path or the query, where proxies write it down. No browser has business here: whatever a
browser would add (Origin, Sec-Fetch-*) is refused, and so is a Host that is not ours.

    202 raised or accepted     200 the same again, or none of ours     409 the id was another signal's     422 refused
    400 403 404 405 411 413 no such request     401 no valid token     429 too many
    503 nothing was done: send it again     504 nobody knows yet: send it again, it is raised once
"""

import asyncio
import collections
from collections.abc import Callable, Collection
from typing import Annotated, Final, NamedTuple

import msgspec
from loguru import logger
from msgspec import Meta
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from evenkeel.adapters.secrets import SECRET_BYTES_MAX, Secret
from evenkeel.adapters.signal_ids import IdsUnusable
from evenkeel.adapters.signal_intake import Answer, End, Intake
from evenkeel.rules.outside_signals import NoSignal, OutsideSignal, Terms, signal_in
from evenkeel.runtime.clock import monotonic_s

PATH: Final = "/signal"
BODY_BYTES_MAX: Final = 8 * 1024
HEAD_BYTES_MAX: Final = 16 * 1024
CONNECTION_S: Final = 10.0
"""However slowly somebody speaks or listens: a connection ends after so long."""
CONNECTIONS_MAX: Final = 32
BAD_REQUESTS_PER_MINUTE: Final = 30
"""More of them are answered with 429 and not logged; a right token is heard all the same."""
STOP_S: Final = 5.0

_STATUS: Final[dict[End, int]] = {
    "raised": 202,
    "accepted": 202,
    "ignored": 200,
    "refused": 422,
    "conflict": 409,
    "not_running": 503,
    "unknown": 504,
}

_OF_OURS: Final[dict[End, str]] = {
    "not_running": "nothing was done this time: send it again",
    "unknown": "nobody knows yet: send it again, it is raised once",
}
"""Why is for our log: a sender is told no file and no process of this machine."""


class WebhookSignal(OutsideSignal, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of a request."""

    token: Annotated[str, Meta(max_length=SECRET_BYTES_MAX)] = ""


class _Credential(msgspec.Struct, frozen=True):
    """The one thing that is read of a body before its sender is known."""

    token: str = ""


class Reply(msgspec.Struct, frozen=True):
    """What is answered, as one line of JSON. `end` is that of Answer, or "refused"."""

    end: str
    detail: str
    id: str = ""
    repeated: bool = False
    v: int = 1


class Rejected(Exception):
    """A request that is not taken: status, and one line in which no token stands."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class PerMinute:
    """Counts what happens in the last 60 seconds."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times_s: collections.deque[float] = collections.deque()

    def has_room(self) -> bool:
        """Whether one more is within the limit; then it is counted."""
        now_s = monotonic_s()
        while self._times_s and now_s - self._times_s[0] >= 60:
            self._times_s.popleft()
        if len(self._times_s) >= self._limit:
            return False
        self._times_s.append(now_s)
        return True


class Door(NamedTuple):
    """Who may knock. `hosts` are lower-case names without a port."""

    token: Secret
    hosts: Collection[str]
    terms: Terms
    signals_per_minute: int


def application(door: Door, intake: Intake) -> Starlette:
    listener = _Listener(door, intake)
    app = Starlette(routes=[Route(PATH, listener.signal, methods=["POST"])], exception_handlers=_PLAIN)
    app.router.redirect_slashes = False
    return app


def server(app: ASGIApp, *, connection_s: float = CONNECTION_S) -> Server:
    """Speaks plain HTTP/1.1 and logs nothing of its own; `run(sockets=[...])` serves until a signal ends it."""
    return Server(
        Config(
            app,
            loop="asyncio",
            http=_brief_connection(connection_s),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=round(STOP_S),
        )
    )


def _brief_connection(seconds: float) -> type[H11Protocol]:
    """uvicorn bounds neither how long a request may take to come nor how many connections wait for one."""

    class BriefConnection(H11Protocol):
        _end: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > CONNECTIONS_MAX:
                transport.abort()
            self._end = self.loop.call_later(seconds, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._end is not None:
                self._end.cancel()
            super().connection_lost(exc)

    return BriefConnection


class _Listener:
    def __init__(self, door: Door, intake: Intake) -> None:
        self._door = door
        self._intake = intake
        self._signals = PerMinute(door.signals_per_minute)
        self._bad = PerMinute(BAD_REQUESTS_PER_MINUTE)

    async def signal(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except Rejected as rejected:
            return self._rejected(request, rejected)
        except ClientDisconnect:
            return _response(400, Reply("refused", "the request was not sent to its end"))
        except Exception:  # noqa: BLE001 - the edge of the process: a fault behind one request must not end the others
            logger.exception("a request failed")
            return _response(500, Reply("unknown", "internal error; the log has it"))

    async def _answer(self, request: Request) -> Response:
        """Raises Rejected."""
        self._require_no_browser(request)
        body = await _body(request)
        self._require_token(request, body)
        if not self._signals.has_room():
            raise Rejected(429, f"more than {self._door.signals_per_minute} signals a minute")
        signal = self._decoded(body)
        try:
            answer = await run_in_threadpool(self._intake.take, signal, self._door.terms)
        except IdsUnusable as error:
            answer = Answer("not_running", f"nothing was done: {error}")
        again = " (again)" if answer.is_repeat else ""
        logger.info(
            "webhook {!r}: {} {}: {}{}: {}", signal.id, signal.direction, signal.symbol, answer.end, again, answer.detail
        )
        reply = Reply(answer.end, _OF_OURS.get(answer.end, answer.detail), signal.id, answer.is_repeat)
        status = _STATUS[answer.end]
        return _response(200 if reply.repeated and status == 202 else status, reply)

    def _require_no_browser(self, request: Request) -> None:
        host = request.headers.get("host", "").lower()
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        if name not in self._door.hosts:
            raise Rejected(403, "this is not the host that was asked for: see webhooks.hosts")
        if any(header == "origin" or header.startswith("sec-fetch-") for header in request.headers):
            raise Rejected(403, "no browser has business here")

    def _require_token(self, request: Request, body: bytes) -> None:
        """Compared in a time that does not depend on where a wrong one differs."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            try:
                given = msgspec.json.decode(body, type=_Credential).token
            except (ValueError, RecursionError):
                given = ""
        elif scheme.lower() != "bearer":
            given = ""
        if not self._door.token.is_same(given):
            raise Rejected(401, "no valid token")

    def _decoded(self, body: bytes) -> WebhookSignal:
        """Raises Rejected. Behind it the token is nowhere: a sender may have put it where something else belongs."""
        token = self._door.token.reveal()
        try:
            signal = signal_in(body, WebhookSignal)
        except NoSignal as error:
            raise Rejected(400, f"no signal: {error}".replace(token, "***")) from None
        if any(token in text for text in (signal.id, signal.symbol, signal.strategy)):
            raise Rejected(400, "the token stands where something else belongs")
        return signal

    def _rejected(self, request: Request, rejected: Rejected) -> Response:
        if not self._bad.has_room():
            return _response(429, Reply("refused", "too many bad requests"))
        logger.warning("webhook refused ({}): {}; from {}", rejected.status, rejected, request.client and request.client.host)
        return _response(rejected.status, Reply("refused", str(rejected)))


async def _body(request: Request) -> bytes:
    """Raises Rejected, or ClientDisconnect where it does not come before the connection ends."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise Rejected(411, "how long is it? Content-Length is missing")
    if len(length) > 12 or int(length) > BODY_BYTES_MAX:
        raise Rejected(413, f"more than {BODY_BYTES_MAX} bytes")
    body = b""
    async for part in request.stream():  # chunks may bring more than the header says
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise Rejected(413, f"more than {BODY_BYTES_MAX} bytes")
    return body


def _response(status: int, reply: Reply) -> Response:
    headers = {"connection": "close", "cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(msgspec.json.encode(reply) + b"\n", status, headers, "application/json")


def _plain(status: int, text: str) -> Callable[[Request, Exception], Response]:
    return lambda request, error: _response(status, Reply("refused", text))


_PLAIN: Final = {404: _plain(404, f"there is only {PATH}"), 405: _plain(405, f"{PATH} takes POST alone")}
