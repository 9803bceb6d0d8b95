"""`evenkeel doctor`: what is missing for a terminal, and what it says of itself. Reads only, but for `--measure`."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from time import sleep
from typing import Final

import msgspec

from evenkeel.adapters.mt5.examine import Finding, examine, plain
from evenkeel.adapters.mt5.measure import Measured, NotMeasurable, measure
from evenkeel.adapters.mt5.module import Expected, NotConnected, Package, PackageMissing, connect, load
from evenkeel.adapters.os import AccountLock, AlreadyRunning, StateError, state_root
from evenkeel.adapters.outlets import AddressUnusable, outlets_of
from evenkeel.adapters.rehearsals import MEASURED, note
from evenkeel.adapters.secrets import SecretError, secret
from evenkeel.adapters.simulated.account_file import AccountFileInvalid
from evenkeel.adapters.simulated.packs import PackUnknown
from evenkeel.adapters.simulated.server.book import BookUnreadable
from evenkeel.adapters.simulated.server.terms import Assumptions
from evenkeel.adapters.state_folder import ENDPOINT_NAME, StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.configured import add_config_flags, configured
from evenkeel.commands.tables import folded
from evenkeel.commands.terminal import TerminalUnnamed, terminal_locks
from evenkeel.config.load import ConfigInvalid
from evenkeel.config.schema import Config
from evenkeel.config.secret_names import secret_names
from evenkeel.rules.promotion import Rehearsed
from evenkeel.rules.symbols import UnknownSymbol
from evenkeel.runtime.clock import SystemClock, monotonic_s

REMEDY_AT: Final = 19
"""The column at which the words of a finding begin."""
TIMEOUT_MS: Final = 60_000
TICK_S: Final = 5.0


class Report(msgspec.Struct):
    """What `--json` prints. `fit`: nothing stands in the way of trading."""

    fit: bool
    findings: list[Finding]
    measured: list[Measured] = []
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_flags(parser)
    parser.add_argument("--symbol", action="append", help="look at this symbol too; may repeat")
    parser.add_argument("--measure", metavar="SYMBOL", help="on a DEMO account: trade the smallest volume to check assumptions")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    try:
        config = configured(arguments)
        folder = StateFolder(state_root(), config.account.name)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    except StateError as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE
    report = Report(False, list(_secrets(config)))
    try:
        _fill(report, arguments, config, folder)
    except NotMeasurable as error:
        report.findings.append(Finding("measure", "bad", str(error)))
    if report.measured:
        _note(folder, config, arguments.measure, report.measured)
    report.fit = not any(finding.state == "bad" for finding in report.findings)
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    else:
        _print(report)
    return exit_codes.OK if report.fit else exit_codes.FAILED


def _note(folder: StateFolder, config: Config, symbol: str, measured: Sequence[Measured]) -> None:
    """For `evenkeel promote`."""
    odd = sum(one.differs for one in measured)
    login = config.terminal.login if config.terminal.kind == "mt5" else None
    where = "the simulated terminal" if login is None else f"login {login}"
    words = f"{symbol} on {where}, {len(measured)} measured, {odd} differ"
    try:
        note(folder.rehearsals, MEASURED, Rehearsed(SystemClock().now_utc_ms(), words, odd, login))
    except (StateError, OSError) as error:
        print(f"doctor: what was measured cannot be noted: {error}", file=sys.stderr)


def _fill(report: Report, arguments: argparse.Namespace, config: Config, folder: StateFolder) -> None:
    """Raises NotMeasurable."""
    report.findings.append(_told_outside(config))
    running = _host(folder)
    if running is not None:
        report.findings.append(running)
        if config.terminal.kind == "mt5":
            return  # one process at a time: a second one would take the connection away
    with ExitStack() as held:
        try:
            for lock in terminal_locks(config.terminal):
                held.enter_context(AccountLock(lock))
        except (TerminalUnnamed, AlreadyRunning) as error:
            report.findings.append(Finding("terminal", "bad", str(error)))
            return
        _look(report, arguments, config)


def _look(report: Report, arguments: argparse.Namespace, config: Config) -> None:
    """Raises NotMeasurable."""
    try:
        package = _package(config)
        path = config.terminal.path if config.terminal.kind == "mt5" else ""
        connect(package, path=path, timeout_ms=TIMEOUT_MS)
    except PackageMissing as error:
        remedy = "on Windows: pip install evenkeel; elsewhere see docs/connect-a-terminal.md"
        report.findings.append(Finding("package", "bad", str(error), remedy))
        return
    except (AccountFileInvalid, PackUnknown, BookUnreadable, UnknownSymbol) as error:
        report.findings.append(Finding("account file", "bad", str(error)))
        return
    except NotConnected as error:
        remedy = "is the terminal installed there, started once, logged in, and not run as another user or as administrator?"
        report.findings.append(Finding("connection", "bad", str(error), remedy))
        return
    terminal, clock = config.terminal, SystemClock()
    expected = (
        Expected(terminal.login, terminal.server, terminal.path or None, terminal.real_login)
        if terminal.kind == "mt5"
        else Expected()
    )
    symbols = [symbol for strategy in config.strategy.values() for symbol in strategy.symbols]
    wanted = list(dict.fromkeys([*symbols, *(arguments.symbol or ()), *([arguments.measure] if arguments.measure else ())]))
    try:
        report.findings += examine(package, expected, wanted, clock.now_utc_ms())
        if arguments.measure and any(one.name == "account" and one.state == "bad" for one in report.findings):
            raise NotMeasurable("the terminal is not on the account of the configuration")
        if arguments.measure:
            report.measured += measure(
                package,
                arguments.measure,
                msgspec.to_builtins(Assumptions()),
                now_utc_ms=clock.now_utc_ms,
                monotonic_s=monotonic_s,
                sleep=sleep,
            )
    finally:
        package.shutdown()


def _secrets(config: Config) -> Iterator[Finding]:
    """Each secret that the configuration names. Trading needs none of them."""
    for path, name in secret_names(config):
        key = ".".join(path)
        try:
            yield Finding(f"secret {name}", "good", f"{key}: {secret(name).source}")
        except SecretError as error:
            yield Finding(f"secret {name}", "odd", f"{key}: {error}")


def _told_outside(config: Config) -> Finding:
    """Whether each outlet has what it needs. Nothing is sent."""
    if not config.notifier.outlet:
        return Finding("notifier", "odd", "nobody outside is told anything", "name a [notifier.outlet.NAME]")
    try:
        outlets = outlets_of(config.notifier)
    except (SecretError, AddressUnusable) as error:
        return Finding("notifier", "bad", str(error), "set the secret where it says")
    return Finding("notifier", "good", f"tells {' '.join(outlets)}; evenkeel notify --test tries them")


def _host(folder: StateFolder) -> Finding | None:
    """The terminal host that runs for the account, if one does."""
    from evenkeel.adapters.terminal_host import verbs
    from evenkeel.adapters.terminal_host.client import HostLink, LinkDown, ReplyLost
    from evenkeel.adapters.terminal_host.keeper import local_connect

    link = HostLink(local_connect(folder.terminal / ENDPOINT_NAME), TICK_S)
    try:
        replied = link.ask(verbs.Hello())
    except LinkDown:
        return None
    except ReplyLost:
        return Finding("terminal host", "bad", "it does not answer", "the supervisor restarts it; by hand: end its process")
    finally:
        link.close()
    assert isinstance(replied, verbs.Identified)
    text = f"process {replied.pid}, login {replied.login} at {replied.server}"
    if replied.refusal:
        return Finding("terminal host", "bad", f"{text}: {replied.refusal}", "what it says must be mended at the terminal")
    return Finding("terminal host", "good", text)


def _package(config: Config) -> Package:
    """A simulated one is another than the host's: the same account file, an account of its own."""
    if config.terminal.kind == "mt5":
        return load()
    from evenkeel.adapters.simulated.api import MetaTrader5Like
    from evenkeel.adapters.simulated.configured import opened_of

    return MetaTrader5Like(opened=opened_of(config))


def _print(report: Report) -> None:
    for finding in report.findings:
        print(folded(plain(finding), indent=REMEDY_AT))
    if report.measured:
        print(f"\n{'assumption':26} {'assumed':>14} {'found':>14}")
        for one in report.measured:
            print(f"{one.name:26} {one.assumed:>14} {one.found:>14} {'  differs' if one.differs else ''}")
    print("\nfit to trade" if report.fit else "\nnot fit to trade: see NO above")
