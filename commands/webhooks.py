"""`evenkeel webhooks`: a process of its own that takes signals of other programs over HTTP and hands them to the supervisor."""

import argparse
import ipaddress
import secrets as randomness
import signal
import socket
import sys
from typing import Final

import msgspec

from evenkeel.adapters.os import AccountLock, AlreadyRunning, StateError, private_folder, state_root, write_durably
from evenkeel.adapters.secrets import Secret, SecretError, SecretUnusable, secret, secret_in
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.configured import add_config_flags, configured
from evenkeel.commands.flags import address
from evenkeel.config.load import ConfigInvalid
from evenkeel.config.schema import Config

TOKEN_FILE: Final = "token"
TOKEN_BYTES: Final = 32
TOKEN_CHARACTERS_MIN: Final = 24
_THIS_MACHINE: Final = ("127.0.0.1", "localhost", "[::1]")

EXPLANATION: Final = """\
POST /signal takes one signal as a JSON object:

  {"token": "...", "id": "a-1",
   "time": "2026-11-20T09:30:00Z",
   "symbol": "EURUSD", "direction": "buy"}

and, where wanted, "strategy", "confidence" (0 to 1)
and "position" (long, short or flat: what the sender
holds after it). Each signal needs an id of its own;
time is when it was sent. Which tickers and strategies
are taken stands in [webhooks] of the configuration.
"""


class Listening(msgspec.Struct):
    """What `--json` prints once it listens. `token` is where the token lies, never the token."""

    url: str
    account: str
    token: str
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    add_config_flags(parser)
    parser.add_argument("--listen", type=address, metavar="HOST:PORT", help="instead of webhooks.listen")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output, once it listens")


def run(arguments: argparse.Namespace) -> int:
    """Until a signal ends it. 4: it runs already, 1: the port or the token cannot be used."""
    try:
        config = configured(arguments)
        folder = StateFolder(state_root(), config.account.name)
        for path in (folder.folder, folder.signals, folder.webhooks):
            private_folder(path)
        with AccountLock(folder.webhooks / "lock"):
            return _serve(config, folder, arguments.listen or address(config.webhooks.listen), as_json=arguments.json)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    except AlreadyRunning as error:
        print(f"webhooks: they run already: {error}", file=sys.stderr)
        return exit_codes.REFUSED
    except StateError as error:
        print(f"webhooks: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (SecretError, OSError, _Unusable) as error:
        print(f"webhooks: {error}", file=sys.stderr)
        return exit_codes.FAILED


class _Unusable(Exception):
    """One line."""


def _serve(config: Config, folder: StateFolder, listen: tuple[str, int], *, as_json: bool) -> int:
    try:
        from evenkeel.adapters import webhooks
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        raise _Unusable(f'{missing} is not installed: pip install "evenkeel[webhooks]"') from None
    from evenkeel.adapters import logs
    from evenkeel.adapters.signal_ids import FILE_NAME, IdsUnusable, SignalIds
    from evenkeel.adapters.signal_intake import Intake, supervisor_at
    from evenkeel.rules.outside_signals import Terms
    from evenkeel.runtime.clock import SystemClock

    token, settings = _token(config, folder), config.webhooks
    terms = Terms(
        round(settings.age_s_max * 1000), settings.symbols, settings.strategies, confidence_max=settings.confidence_max
    )
    with _listener(listen) as listener:
        try:
            ids = SignalIds(folder.signals / FILE_NAME)
        except IdsUnusable as error:
            raise _Unusable(str(error)) from error
        logs.set_up(folder.webhooks)
        intake = Intake("webhook", ids, supervisor_at(folder.endpoint), SystemClock().now_utc_ms)
        hosts = {*_THIS_MACHINE, *(name.lower() for name in settings.hosts), *_own_name(listen[0])}
        app = webhooks.application(webhooks.Door(token, hosts, terms, settings.signals_per_minute), intake)
        signal.signal(
            signal.SIGTERM, lambda number, frame: sys.exit(exit_codes.OK)
        )  # uvicorn stops in order, then raises it anew
        _tell(config, listen[0], listener.getsockname()[1], webhooks.PATH, token, as_json=as_json)
        webhooks.server(app).run(sockets=[listener])
        ids.close()
    return exit_codes.OK


def _token(config: Config, folder: StateFolder) -> Secret:
    """The one that is named, or that of the account's folder, made at the first start. Raises SecretError or OSError."""
    path = folder.webhooks / TOKEN_FILE
    if config.webhooks.token is not None:
        found = secret(config.webhooks.token)
    else:
        if not path.exists():
            write_durably(path, randomness.token_urlsafe(TOKEN_BYTES).encode() + b"\n")
            print(f"webhooks: a token was made; whoever sends signals needs it: cat {path}", file=sys.stderr)
        found = secret_in(path, "the file")
    if len(found.reveal()) < TOKEN_CHARACTERS_MIN:
        raise SecretUnusable(f"{found.source}: a token has at least {TOKEN_CHARACTERS_MIN} letters")
    return found


def _listener(listen: tuple[str, int]) -> socket.socket:
    """Raises _Unusable."""
    family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
    try:
        return socket.create_server(listen, family=family)
    except OSError as error:
        raise _Unusable(f"cannot listen at {_shown(*listen)}: {error.strerror or error}") from error


def _tell(config: Config, host: str, port: int, path: str, token: Secret, *, as_json: bool) -> None:
    settings, url = config.webhooks, f"http://{_shown(host, port)}{path}"
    if not _is_this_machine(host):
        print(
            f"webhooks: {_shown(host, port)} is open to other machines, without TLS: put a proxy with TLS before it, "
            f"and listen at 127.0.0.1 where the proxy is on this one; asked by {', '.join(settings.hosts) or 'no name yet'} "
            "(webhooks.hosts)",
            file=sys.stderr,
        )
    if not settings.symbols:
        print("webhooks: [webhooks.symbols] names no ticker, so every signal will be refused", file=sys.stderr)
    if as_json:
        print(msgspec.json.encode(Listening(url, config.account.name, token.source)).decode(), flush=True)
    else:
        print(f"listening at {url} for {config.account.name}; its token is in {token.source}", flush=True)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _own_name(host: str) -> list[str]:
    """What a Host header says when it is asked at the very address where it listens; a wildcard is no address."""
    return [] if host in ("0.0.0.0", "::") else [f"[{host}]" if ":" in host else host.lower()]
