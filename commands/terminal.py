"""`evenkeel terminal`: the process that owns the terminal of one account. `evenkeel run` starts it by itself."""

import argparse
import hashlib
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import msgspec
from loguru import logger

from evenkeel.adapters import logs
from evenkeel.adapters.build import build_id
from evenkeel.adapters.frame_server import FrameServer
from evenkeel.adapters.gate import DurableGate, GateDamaged
from evenkeel.adapters.kill_epoch import UNREADABLE, KillEpoch
from evenkeel.adapters.mt5.broker import Mt5Broker
from evenkeel.adapters.mt5.module import Expected, NotConnected, Package, PackageMissing, load, plain_path
from evenkeel.adapters.mt5.server_time import ServerTime
from evenkeel.adapters.os import AccountLock, AlreadyRunning, StateError, private_folder, state_root
from evenkeel.adapters.simulated.account_file import AccountFileInvalid
from evenkeel.adapters.simulated.packs import PackUnknown, names, pack
from evenkeel.adapters.simulated.server.book import BookUnreadable
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.terminal_host.budget import Budget
from evenkeel.adapters.terminal_host.service import TerminalService
from evenkeel.commands import exit_codes
from evenkeel.commands.asked import Asked
from evenkeel.commands.configured import add_config_flags, configured
from evenkeel.commands.served import Served
from evenkeel.config.load import ConfigInvalid, recorded
from evenkeel.config.schema import Config, TerminalConfig
from evenkeel.rules.symbols import UnknownSymbol, spec_for
from evenkeel.runtime.clock import SystemClock, ToldClock, monotonic_s

if TYPE_CHECKING:
    from evenkeel.adapters.terminal_host.pinned import Pins

NEVER_EPOCH: Final = 2**62
RECONNECT_S: Final = 5.0
_PULSE_S: Final = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_flags(parser)
    parser.add_argument("--simulated", action="store_true", help="the simulated terminal, whatever the configuration says")
    parser.add_argument("--play", metavar="SCENARIO", help="play a scenario of the simulated terminal")
    parser.add_argument("--list", action="store_true", help="list the scenarios, and end")
    parser.add_argument("--listen", metavar="HOST:PORT", help="serve a supervisor on another machine; needs the three pins")
    parser.add_argument("--resolved", type=Path, help=argparse.SUPPRESS)  # what a supervisor runs with; no layer is read then
    parser.add_argument("--json", action="store_true", help="a line of JSON when it serves, and one when it has ended")
    parser.add_argument("--alone-s", type=float, default=0.0, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    if arguments.list:
        return _list(as_json=arguments.json)
    try:
        config = _config(arguments)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        print(f"--resolved {arguments.resolved}: {error}", file=sys.stderr)
        return exit_codes.USAGE
    try:
        folder = StateFolder(state_root(), config.account.name)
        _require_usable(arguments)
        folder.create()
        return _host(config, folder, arguments)
    except AlreadyRunning as error:
        print(f"terminal of {config.account.name}: {error}", file=sys.stderr)
        return exit_codes.REFUSED
    except (PackUnknown, AccountFileInvalid, UnknownSymbol, TerminalUnnamed, _Unusable) as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE
    except (PackageMissing, StateError, GateDamaged, BookUnreadable, OSError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return exit_codes.FAILED


class Scenario(msgspec.Struct, frozen=True):
    name: str
    covers: tuple[str, ...]
    title: str


class Scenarios(msgspec.Struct, frozen=True):
    """What `--list --json` prints."""

    scenarios: list[Scenario]
    v: int = 1


def _list(*, as_json: bool) -> int:
    found = [Scenario(name, tuple((one := pack(name)).covers), one.title) for name in names()]
    if as_json:
        print(msgspec.json.encode(Scenarios(found)).decode())
    else:
        print("\n".join(f"{one.name:22} {', '.join(one.covers):18} {one.title}" for one in found))
    return exit_codes.OK


class TerminalUnnamed(Exception):
    """A real terminal, and the configuration does not say which; one line."""


class _Unusable(Exception):
    """One line that names flag or key."""


def _require_usable(arguments: argparse.Namespace) -> None:
    """Before anything is made. Raises PackUnknown or _Unusable; whether there can be listened is seen later."""
    if arguments.play:
        pack(arguments.play)
    host, colon, port = (arguments.listen or "localhost:1").rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) < 1 << 16):
        raise _Unusable(f"--listen {arguments.listen}: is not HOST:PORT")


def _config(arguments: argparse.Namespace) -> Config:
    if arguments.resolved is not None:
        return recorded(arguments.resolved.read_text("utf-8"))
    overrides: dict[str, object] = {}
    if arguments.simulated or arguments.play:
        overrides["terminal.kind"] = "simulated"
    if arguments.play:
        overrides["terminal.play"] = arguments.play
    return configured(arguments, overrides)


def _host(config: Config, folder: StateFolder, arguments: argparse.Namespace) -> int:
    """Lock, connect, serve, until somebody ends it. One owner per account, and one per program of a terminal."""
    ended = Asked()

    def asked(number: int, frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    with ExitStack() as held:
        held.enter_context(AccountLock(folder.terminal / "lock"))
        for lock in terminal_locks(config.terminal):
            held.enter_context(AccountLock(lock))
        logs.set_up(folder.terminal, console_level="ERROR" if arguments.alone_s else "INFO")
        clock = ToldClock(SystemClock())
        broker = _broker(config, folder, clock)
        service = _service(config, folder, broker, ended, clock)
        server = _server(config, folder, service, arguments.listen)
        kill_port = FrameServer(
            folder.terminal_kill, service.kill_reply, name="kill port", started_utc_ms=SystemClock().now_utc_ms()
        )
        server.start()
        kill_port.start()
        served = Served("terminal", config.account.name, as_json=arguments.json)
        served.says("serving", f"the terminal host of {config.account.name}")
        try:
            _serve(broker, service, ended, arguments.alone_s)
        finally:
            kill_port.stop()
            server.stop()
    return served.ended(exit_codes.OK)


def _serve(broker: Mt5Broker, service: TerminalService, ended: Asked, alone_s: float) -> None:
    """Connected as long as it can be; the terminal's clock is looked at meanwhile."""
    tried_s, said = -RECONNECT_S, ""
    while not ended.wait(_PULSE_S):
        if broker.identity is None and monotonic_s() - tried_s >= RECONNECT_S:
            tried_s = monotonic_s()
            try:
                service.alone(broker.connect)
            except NotConnected as error:
                if str(error) != said:
                    said = str(error)
                    logger.error("the terminal cannot be reached: {}", said)
            else:
                said = ""
        if alone_s and service.silent_s > alone_s:
            logger.info("no supervisor for {:.0f} s: the host ends", alone_s)
            return


def _broker(config: Config, folder: StateFolder, clock: ToldClock) -> Mt5Broker:
    terminal = config.terminal
    symbols = [*config.symbols, *(symbol for strategy in config.strategy.values() for symbol in strategy.symbols)]
    cents = 10**config.account.currency_digits
    commissions = {name: round(config.symbols[name].commission_per_lot * cents) for name in symbols if name in config.symbols}
    return Mt5Broker(
        _package(config, folder),
        Expected(terminal.login, terminal.server, terminal.path or None, terminal.real_login)
        if terminal.kind == "mt5"
        else Expected(),
        ServerTime(
            folder.terminal / "server-time",
            _clock_changed,
        ),
        path=terminal.path if terminal.kind == "mt5" else "",
        now_utc_ms=clock.now_utc_ms,
        monotonic_s=monotonic_s,
        commission_cents=commissions,
        spec_store=folder.terminal / "specs",
    )


def _clock_changed(before_ms: int, now_ms: int) -> None:
    logger.error("the broker's clock went from UTC{:+.2f} h to UTC{:+.2f} h", before_ms / 3.6e6, now_ms / 3.6e6)


def _package(config: Config, folder: StateFolder) -> Package:
    """Raises PackageMissing; of the simulated one AccountFileInvalid, PackUnknown, BookUnreadable."""
    if config.terminal.kind == "mt5":
        return load()
    from evenkeel.adapters.simulated.api import MetaTrader5Like
    from evenkeel.adapters.simulated.configured import opened_of

    if config.terminal.play:
        pack(config.terminal.play)
    for strategy in config.strategy.values():
        for symbol in strategy.symbols:
            spec_for(symbol, config)
    return MetaTrader5Like(opened=opened_of(config), store=folder.simulated / "book")


def _service(config: Config, folder: StateFolder, broker: Mt5Broker, ended: Asked, clock: ToldClock) -> TerminalService:
    terminal, kill_epoch = config.terminal, KillEpoch(folder.kill_epoch)

    def epoch() -> int:
        kill = kill_epoch.read()
        return NEVER_EPOCH if kill == UNREADABLE else kill.epoch

    return TerminalService(
        broker,
        DurableGate(folder.terminal / "gate"),
        Budget(terminal.requests_per_minute, terminal.requests_for_closes_ratio, monotonic_s),
        epoch_on_disk=epoch,
        monotonic_s=monotonic_s,
        silent_limit_s=terminal.supervisor_silent_s,
        build=build_id(),
        on_leave=ended.set,
        on_time=clock.tell,
    )


def _server(config: Config, folder: StateFolder, service: TerminalService, listen: str | None) -> FrameServer:
    started_utc_ms = SystemClock().now_utc_ms()
    if listen is None:
        return FrameServer(folder.terminal, service.reply, name="terminal host", started_utc_ms=started_utc_ms, idle_s=3600.0)
    from evenkeel.adapters.terminal_host.pinned import PinInvalid, listener, read_key, server_context

    try:
        key = _host_key(folder.terminal / "key") if not config.terminal.key_file else read_key(Path(config.terminal.key_file))
        return FrameServer(
            folder.terminal,
            service.reply,
            name="terminal host",
            started_utc_ms=started_utc_ms,
            listen=listener(listen),
            tls=server_context(pins_of(config.terminal)),
            token=key,
            idle_s=3600.0,
        )
    except PinInvalid as error:
        raise _Unusable(f"--listen {listen}: {error}") from error


def pins_of(terminal: TerminalConfig) -> "Pins":
    """Raises PinInvalid when one of the three is not configured."""
    from evenkeel.adapters.terminal_host.pinned import PinInvalid, Pins

    named = {
        "certificate": terminal.certificate,
        "private_key": terminal.private_key,
        "peer_certificate": terminal.peer_certificate,
    }
    missing = [name for name, value in named.items() if not value]
    if missing:
        raise PinInvalid(f"set [terminal] {', '.join(missing)}: another machine is served with pinned certificates only")
    return Pins(*map(Path, named.values()))


def _host_key(path: Path) -> str:
    """Drawn at the first start; the person copies the file to the other machine."""
    from evenkeel.adapters.os import write_durably
    from evenkeel.adapters.terminal_host.pinned import read_key

    if not path.exists():
        write_durably(path, os.urandom(32).hex().encode())
        logger.info("a key was drawn: copy {} to the supervisor's machine, as [terminal] key_file", path)
    return read_key(path)


def terminal_locks(terminal: TerminalConfig) -> list[Path]:
    """One terminal program and one login have one owner, whatever the accounts are called. Raises TerminalUnnamed."""
    if terminal.kind != "mt5":
        return []
    named = {"path": terminal.path, "login": terminal.login, "server": terminal.server}
    missing = [name for name, value in named.items() if not value]
    if missing:
        raise TerminalUnnamed(
            f"set [terminal] {', '.join(missing)}: no order goes to a terminal that merely happens to be there"
        )
    folder = private_folder(state_root() / "terminals")
    plain = (plain_path(terminal.path), f"{terminal.login}@{terminal.server}".casefold())
    return [folder / hashlib.sha256(one.encode()).hexdigest()[:24] for one in plain]
