"""`evenkeel run`: the supervisor of one account, until somebody stops it.

The terminal lives in a process of its own, which this one starts. Only recorded quotes (--ticks) and market time (--speed) are
served by a simulated terminal in this process, because there the clock follows the prices.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import FrameType

from loguru import logger

from evenkeel.adapters import logs
from evenkeel.adapters.os import AccountLock, AlreadyRunning, StateError, state_root
from evenkeel.adapters.simulated.server.book import BookUnreadable
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.strategy.making import StrategyUnusable
from evenkeel.adapters.terminal_host.keeper import HostDidNotStart
from evenkeel.commands import exit_codes
from evenkeel.commands.check_strategy import unfit
from evenkeel.commands.hosted import hosted
from evenkeel.commands.live import Inside, LiveSystem, Market, Outside, inside, not_before, symbols_of, synthetic_market
from evenkeel.config.load import ConfigInvalid, load
from evenkeel.config.schema import Config
from evenkeel.messages.market import Quote
from evenkeel.rules.strategy import StrategyBroken
from evenkeel.rules.symbols import UnknownSymbol, spec_for, typical_price
from evenkeel.runtime.clock import SystemClock
from evenkeel.runtime.journal import JournalError
from evenkeel.runtime.threaded import BootFailed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="TOML file over the defaults")
    parser.add_argument("--account", help="name of the account's state folder (default: the configuration's)")
    parser.add_argument("--ticks", type=Path, help="serve recorded quotes instead of the synthetic market")
    parser.add_argument(
        "--force-strategy",
        metavar="NAME",
        action="append",
        help="run this strategy of your own although its two forms differ; may repeat",
    )
    parser.add_argument("--symbol", help="the symbol of --ticks (default: the only one of the strategies)")
    parser.add_argument("--digits", type=int, help="decimals of the symbol's prices")
    parser.add_argument("--speed", type=float, help="market time over real time; other than 1 the run's clock is market time")


def run(arguments: argparse.Namespace) -> int:
    try:
        overrides = {"account.name": arguments.account} if arguments.account else {}
        config = load(arguments.config, overrides=overrides)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    try:
        outside, symbols = _outside(arguments, config)
        _require_fit_strategies(arguments, config, symbols)
        folder = StateFolder(state_root(), config.account.name)
        folder.create()
        with AccountLock(folder.lock):
            logs.set_up(folder.logs)
            system = LiveSystem(config, folder, outside, on_fatal=die)
            return _serve(system)
    except AlreadyRunning as error:
        print(f"account {config.account.name}: {error}", file=sys.stderr)
        return exit_codes.REFUSED
    except (_InputUnusable, UnknownSymbol, StrategyUnusable) as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE
    except (_StrategyRefused, StrategyBroken) as error:
        print(error, file=sys.stderr)
        return exit_codes.REFUSED
    except (StateError, BookUnreadable, JournalError, BootFailed, HostDidNotStart, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return exit_codes.FAILED


def die(reason: str) -> None:
    """End the process at once: only a new one helps. What is not durable yet was never promised."""
    logger.critical("ending the process: {}", reason)
    os._exit(exit_codes.RESTART)


class _InputUnusable(Exception):
    """One line that names flag or file."""


class _StrategyRefused(Exception):
    """A line each."""


def _require_fit_strategies(arguments: argparse.Namespace, config: Config, symbols: tuple[str, ...]) -> None:
    forced = arguments.force_strategy or []
    for name in forced:
        if name not in config.strategy:
            raise _InputUnusable(
                f"--force-strategy {name}: no strategy of the configuration; there is {', '.join(config.strategy)}"
            )
    specs = {symbol: spec_for(symbol, config, digits=arguments.digits) for symbol in symbols}
    lines = unfit(config, specs, forced)
    if lines:
        raise _StrategyRefused("\n".join(lines))


def _serve(system: LiveSystem) -> int:
    def asked(number: int, frame: FrameType | None) -> None:
        system.ask_stop(signal.Signals(number).name)

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    sys.setswitchinterval(0.0005)  # shorter waits for the interpreter's lock; measured to cost no throughput
    system.boot()
    mode = "is on: evenkeel start" if system.config.trading.enabled else "is off in the configuration"
    logger.info("account {} serves {}; trading {}", system.config.account.name, " ".join(system.specs), mode)
    while not system.ended.wait(0.2):
        if system.source.ended:
            system.ask_stop("the end of the recorded quotes")
        if system.journal_failure is not None and system.is_flat_or_protected():
            system.ask_stop(f"a failed journal: {system.journal_failure}")
    logger.info("stopping in order: {}", system.stop_asked_by)
    late = system.stop(f"stopped by {system.stop_asked_by}")
    for name in late:
        logger.error("{} did not end in time", name)
    if system.journal_failure is not None:
        return exit_codes.RESTART
    return exit_codes.FAILED if late else exit_codes.OK


def _outside(arguments: argparse.Namespace, config: Config) -> tuple[Callable[[LiveSystem], Outside], tuple[str, ...]]:
    speed = config.simulated.speed if arguments.speed is None else arguments.speed
    if not 0 < speed <= 100_000:
        raise _InputUnusable(f"--speed {speed}: not between 0 and 100000")
    symbols = (arguments.symbol,) if arguments.symbol else symbols_of(config)
    if arguments.ticks is not None:
        return inside(_recorded(arguments, config, symbols, speed), symbols=symbols, digits=arguments.digits), symbols
    if not symbols:
        raise _InputUnusable("no strategy names a symbol: add symbols to a [strategy.NAME] table, or say --symbol")
    if speed == 1.0:
        return hosted(symbols, config_file=arguments.config), symbols
    if config.terminal.kind != "simulated":
        raise _InputUnusable(f"--speed {speed}: a real terminal has only real time")

    def synthetic(system: LiveSystem, made: Inside) -> Market:
        return synthetic_market(system, made, speed=speed, start_utc_ms=SystemClock().now_utc_ms(), is_live=False)

    return inside(synthetic, symbols=symbols, digits=arguments.digits), symbols


def _recorded(
    arguments: argparse.Namespace, config: Config, symbols: tuple[str, ...], speed: float
) -> Callable[[LiveSystem, Inside], Market]:
    from evenkeel.adapters.history import HistoryUnreadable, TickFile, merged  # numpy, only for recorded quotes

    if len(symbols) != 1:
        raise _InputUnusable(f"--ticks needs one symbol, here are {len(symbols)}: say --symbol")
    symbol = symbols[0]
    typical: Fraction | None = typical_price(symbol, config)
    file = TickFile(arguments.ticks, symbol, spec_for(symbol, config, digits=arguments.digits), typical)
    try:
        for _ in file.blocks():
            pass  # checked to the end before anything trades on it
    except HistoryUnreadable as error:
        raise _InputUnusable(str(error)) from error

    def quotes() -> Iterator[tuple[str, Quote]]:
        for stretch in merged([file]):
            for _, name, *price in stretch.in_order():
                yield name, Quote(*price)

    return lambda system, _: Market(not_before(quotes(), system.last_utc_ms), {}, speed, is_live=False)
