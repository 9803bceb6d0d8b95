"""The ways outside: the port, a program and a webhook behind it, and the courier that asks one of them without waiting.

An outlet never raises for what the world does to it, and no text that it gives holds any part of a secret.
"""

import email.utils
import ipaddress
import os
import queue
import ssl
import subprocess
import threading
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, assert_never
from urllib.parse import SplitResult, urlsplit

import msgspec

from evenkeel.adapters.secrets import PREFIX, Secret, secret
from evenkeel.config.notifier import NotifierConfig, OutletConfig
from evenkeel.rules.notifier import GRAVE
from evenkeel.runtime.clock import SystemClock

GRACE_S: Final = 0.5
"""So much longer than its own time-out an outlet may be silent: some servers answer a byte at a time."""
LEFT_ALONE_MAX: Final = 3
"""Calls of one outlet that hang; with so many no other one is begun."""
ANSWER_BYTES_MAX: Final = 4096
_NS_PER_S: Final = 1_000_000_000
_SUPPRESS_NOTIFICATIONS: Final = 4096
"""Discord's flag of a message that makes no sound."""


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """A notice as it leaves: what "json" posts and a program reads. `id` is the same however often it is sent. `seqs` are the
    records of the journal that it tells of (0: not known); `count` may be more than they are."""

    v: int = 1
    id: str
    event: str
    severity: int
    silent: bool
    account: str
    text: str
    count: int
    time_utc_ms: int
    seqs: tuple[int, ...]


class Sent(NamedTuple):
    """Whether it was taken, and why not. `retry_after_s`: the receiver wants to be left alone so long."""

    is_taken: bool
    detail: str = ""
    retry_after_s: float | None = None


class Outlet(Protocol):
    """`send` waits about `timeout_s` at most, and may be called by one thread while another call hangs."""

    timeout_s: float

    def send(self, wire: Wire) -> Sent: ...


class Courier(Protocol):
    """One outlet for a caller who must not wait; at most one notice is on its way."""

    def begin(self, wire: Wire) -> None: ...

    def result(self) -> Sent | None:
        """Of the notice that was begun, once; None while nothing is known."""
        ...


class AddressUnusable(Exception):
    """What a secret holds is no address that a notice can be posted to; the text repeats nothing of it."""


def outlets_of(config: NotifierConfig, find: Callable[[str], Secret] = secret) -> dict[str, Outlet]:
    """Raises adapters.secrets.SecretError or AddressUnusable, and names the outlet."""
    return {name: outlet_of(name, one, find) for name, one in config.outlet.items()}


def outlet_of(name: str, config: OutletConfig, find: Callable[[str], Secret] = secret) -> Outlet:
    match config.kind:
        case "program":
            return Program(config.command, config.timeout_s)
        case "webhook":
            found = find(config.url_secret)
            try:
                return Webhook(found, config)
            except AddressUnusable as error:
                raise AddressUnusable(f"notifier.outlet.{name}: the secret {config.url_secret!r} {error}") from None
        case _:
            assert_never(config.kind)


class Program:
    """Starts `command`, without a shell, with the notice as JSON on its standard input. 0 has taken it.

    It sees no secret of ours (EVENKEEL_SECRET_…) in its environment.
    """

    def __init__(self, command: tuple[str, ...], timeout_s: float) -> None:
        self._command, self.timeout_s = command, timeout_s

    def send(self, wire: Wire) -> Sent:
        nothing = subprocess.DEVNULL  # an output that somebody must read may be held open by a grandchild
        environment = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
        try:
            ended = subprocess.run(
                self._command,
                input=msgspec.json.encode(wire) + b"\n",
                stdout=nothing,
                stderr=nothing,
                timeout=self.timeout_s,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Sent(False, f"the program did not end within {self.timeout_s:g} s")
        except (OSError, ValueError) as error:
            return Sent(False, f"the program cannot be started: {type(error).__name__}")
        return Sent(True) if ended.returncode == 0 else Sent(False, f"the program ended with status {ended.returncode}")


class Webhook:
    """Posts to the address that the secret holds; 200 to 299 has taken it. Follows no redirection.

    https anywhere; http to this machine and to private networks, for what is sent there in the clear stays there.
    """

    def __init__(self, address: Secret, config: OutletConfig) -> None:
        self._secret, self._config = address, config
        self.timeout_s = config.timeout_s
        self._parts = _parts(address.reveal())

    def send(self, wire: Wire) -> Sent:
        import http.client  # 20 ms that only a run with a webhook pays

        parts, host = self._parts, self._parts.hostname or ""
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, parts.port, timeout=self.timeout_s, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=self.timeout_s)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            headers = {"Content-Type": "application/json", "User-Agent": "evenkeel"}
            connection.request("POST", path, body_for(self._config, wire), headers)
            answer = connection.getresponse()
            answer.read(ANSWER_BYTES_MAX)
            return _answered(answer.status, answer.headers.get("Retry-After", ""))
        except (OSError, http.client.HTTPException) as error:
            return Sent(False, f"no answer: {type(error).__name__}")  # its own words may repeat the address
        finally:
            connection.close()


def body_for(config: OutletConfig, wire: Wire) -> bytes:
    """What a receiver of that shape understands."""
    alarm = "ALARM " if wire.severity == GRAVE else ""
    line = f"{alarm}{wire.account}: {wire.text}"
    told: object
    match config.shape:
        case "json":
            told = wire
        case "slack":
            told = {"text": line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
        case "discord":
            flags = _SUPPRESS_NOTIFICATIONS if wire.silent else 0
            told = {"content": line[:1900], "flags": flags, "allowed_mentions": {"parse": []}}
        case "telegram":
            told = {"chat_id": config.to, "text": line, "disable_notification": wire.silent}
        case "ntfy":
            priority = 2 if wire.silent else 5 if wire.severity == GRAVE else 3
            told = {"topic": config.to, "title": f"{alarm}{wire.account}", "message": wire.text, "priority": priority}
        case _:
            assert_never(config.shape)
    return msgspec.json.encode(told)


class OutletCourier:
    """Each send on a thread of its own, which is left alone when it hangs: neither a message nor the end of the process waits
    for it."""

    def __init__(self, outlet: Outlet, monotonic_ns: Callable[[], int]) -> None:
        self._outlet, self._monotonic_ns = outlet, monotonic_ns
        self._answer: queue.SimpleQueue[Sent] = queue.SimpleQueue()
        self._left_alone: list[threading.Thread] = []
        self._thread: threading.Thread | None = None
        self._until_ns = 0

    def begin(self, wire: Wire) -> None:
        answer: queue.SimpleQueue[Sent] = queue.SimpleQueue()
        self._answer = answer
        self._left_alone = [thread for thread in self._left_alone if thread.is_alive()]
        if len(self._left_alone) >= LEFT_ALONE_MAX:
            answer.put(Sent(False, f"{LEFT_ALONE_MAX} earlier tries hang still"))
            return
        self._until_ns = self._monotonic_ns() + round((self._outlet.timeout_s + GRACE_S) * _NS_PER_S)
        self._thread = threading.Thread(target=lambda: answer.put(self._outlet.send(wire)), daemon=True)
        self._thread.start()

    def result(self) -> Sent | None:
        try:
            return self._answer.get_nowait()
        except queue.Empty:
            pass
        thread = self._thread
        if thread is None or (thread.is_alive() and self._monotonic_ns() < self._until_ns):
            return None
        self._thread, self._answer = None, queue.SimpleQueue()
        self._left_alone.append(thread)
        return Sent(False, f"no answer within {self._outlet.timeout_s:g} s")


def is_private(host: str) -> bool:
    """This machine or a private network, by number or as "localhost"."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _parts(address: str) -> SplitResult:
    """Raises AddressUnusable."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise AddressUnusable("is no address") from None
    if parts.scheme not in ("https", "http") or not host:
        raise AddressUnusable("is no https:// address")
    if parts.scheme == "http" and not is_private(host):
        raise AddressUnusable("is an http:// address outside of private networks: anybody on the way could read it")
    if parts.username is not None or not address.isascii() or " " in address:
        raise AddressUnusable("holds a user name, a space or a letter that is not ASCII")
    return parts


def _answered(status: int, retry_after: str) -> Sent:
    if 200 <= status < 300:
        return Sent(True)
    return Sent(False, f"HTTP {status}", _retry_after_s(retry_after) if status in (429, 503) else None)


def _retry_after_s(text: str) -> float | None:
    """Seconds, or until a date; None for what is neither."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - SystemClock().now_utc_ms() / 1000)
    except (ValueError, TypeError, OverflowError):
        return None
