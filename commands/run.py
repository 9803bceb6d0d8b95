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
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

from loguru import logger

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters import logs
from evenkeel.adapters.build import build_id
from evenkeel.adapters.hidden import HIDDEN
from evenkeel.adapters.os import HANGUP, AccountLock, AlreadyRunning, StateError, state_root
from evenkeel.adapters.outlets import AddressUnusable, outlets_of
from evenkeel.adapters.secrets import SecretError
from evenkeel.adapters.service_manager import ServiceManager
from evenkeel.adapters.simulated.server.book import BookUnreadable
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.strategy.making import StrategyUnusable
from evenkeel.adapters.terminal_host.keeper import HostDidNotStart
from evenkeel.commands import exit_codes
from evenkeel.commands.check_strategy import unfit
from evenkeel.commands.configured import add_config_flags, configured
from evenkeel.commands.hosted import KeptHost, hosted, stays
from evenkeel.commands.inside import Inside, Market, inside, not_before, synthetic_market
from evenkeel.commands.interrupts import is_importing
from evenkeel.commands.live import LiveSystem, Outside, symbols_of
from evenkeel.commands.onlookers import Log
from evenkeel.commands.reloading import Again, Reloaded
from evenkeel.commands.run_words import first_words_of, last_words_of, say
from evenkeel.commands.segments import Making, Segments, Words, reload_lowered
from evenkeel.commands.served import Served
from evenkeel.config.load import ConfigInvalid
from evenkeel.config.schema import Config
from evenkeel.messages.market import Quote
from evenkeel.rules.strategy import StrategyBroken
from evenkeel.rules.symbols import UnknownSymbol, spec_for, typical_price
from evenkeel.runtime.clock import SystemClock
from evenkeel.runtime.journal import JournalError
from evenkeel.runtime.threaded import BootFailed

PING_S: Final = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_flags(parser)
    parser.add_argument("--ticks", type=Path, help="serve recorded quotes instead of the synthetic market")
    parser.add_argument(
        "--force-strategy",
        metavar="NAME",
        action="append",
        help="run this strategy of your own although its two forms differ; may repeat",
    )
    parser.add_argument("--symbol", help="the symbol of --ticks (default: the only one of the strategies)")
    parser.add_argument("--digits", type=int, choices=range(9), metavar="N", help="decimals of the symbol's prices, 0 to 8")
    parser.add_argument("--speed", type=float, help="market time over real time; other than 1 the run's clock is market time")
    parser.add_argument("--json", action="store_true", help="a line of JSON when it serves, and one when it has ended")


def run(arguments: argparse.Namespace) -> int:
    try:
        config = configured(arguments)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    try:
        return _run(arguments, config, Signals())
    except StoppedEarly as stopped:
        print(f"account {config.account.name}: stopped by {stopped} before it served", file=sys.stderr)
        return exit_codes.OK


def _run(arguments: argparse.Namespace, config: Config, signals: "Signals") -> int:
    try:
        kept = KeptHost()
        outside = _outside(arguments, config, kept)
        _require_fit_strategies(arguments, config, _symbols(arguments, config))
        folder = StateFolder(state_root(), config.account.name)
        folder.create()
        with AccountLock(folder.lock):
            making = _making(arguments, folder, kept, outside, logs.set_up(folder.logs))
            served = Served("run", config.account.name, as_json=arguments.json)
            words = Words(
                serving=partial(served.says, "serving"),
                first=lambda system: say(first_words_of(system, arguments)),
                last=_last_words,
            )

            def serve(system: LiveSystem) -> None:
                signals.serve(system.ask_stop, partial(reload_lowered, system))

            manager = ServiceManager(os.environ)
            return served.ended(Segments(making, config, serve=serve, words=words, manager=manager, end_now=die).run())
    except AlreadyRunning as error:
        print(f"account {config.account.name}: {error}; {_who_runs(folder)}; end that one first", file=sys.stderr)
        return exit_codes.REFUSED
    except (_InputUnusable, UnknownSymbol, StrategyUnusable) as error:
        print(HIDDEN.shown(str(error)), file=sys.stderr)
        return exit_codes.USAGE
    except (_StrategyRefused, StrategyBroken) as error:
        print(HIDDEN.shown(str(error)), file=sys.stderr)
        return exit_codes.REFUSED
    except (SecretError, AddressUnusable) as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    except (StateError, BookUnreadable, JournalError) as error:
        print(HIDDEN.shown(f"{type(error).__name__}: {error}"), file=sys.stderr)
        return exit_codes.FAILED
    except (BootFailed, HostDidNotStart, OSError) as error:
        print(HIDDEN.shown(f"{type(error).__name__}: {error}"), file=sys.stderr)
        return exit_codes.RESTART


def die(reason: str) -> None:
    """End the process at once: only a new one helps. What is not durable yet was never promised."""
    logger.critical("ending the process: {}", reason)
    os._exit(exit_codes.RESTART)


def _who_runs(folder: StateFolder) -> str:
    """Of whom the account's lock is; an older build beside a newer one is what a deployment must not end in."""
    try:
        found = channel.ask(folder.endpoint, channel.Ping(), PING_S)
    except channel.ControlError as error:
        return f"who holds it does not serve ({error})"
    build = found.build if isinstance(found, channel.Pong) else "unknown"
    return f"a supervisor of {'the same build' if build == build_id() else f'build {build}, this is {build_id()}'}"


class StoppedEarly(KeyboardInterrupt):
    """A stop signal while the parts were being put together; named by the signal. Nothing but the way out may catch it."""


class Signals:
    """SIGTERM and SIGINT. Until `serve` the first breaks off what is being put together; from then on they ask for an end in
    order. Without a terminal of its own a process takes a hang-up, where there is such a signal, for the wish to reload."""

    def __init__(self) -> None:
        self._ask: Callable[[str], None] | None = None
        self._reload: Callable[[], None] | None = None
        self._came_early = ""
        self._is_breaking_off = False
        signal.signal(signal.SIGTERM, self._came)
        signal.signal(signal.SIGINT, self._came)
        if HANGUP is not None and not os.isatty(0):
            signal.signal(HANGUP, self._hung_up)

    def serve(self, ask: Callable[[str], None], reload: Callable[[], None] = lambda: None) -> None:
        """From now on they are for this one, as is one that came during an import or was swallowed."""
        self._ask, self._reload = ask, reload
        if self._came_early:
            ask(self._came_early)

    def _came(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._ask is not None:
            self._ask(name)
            return
        self._came_early = self._came_early or name
        if not self._is_breaking_off and not is_importing(frame):
            self._is_breaking_off = True  # what is broken off is let go of in peace
            raise StoppedEarly(name)

    def _hung_up(self, number: int, frame: FrameType | None) -> None:
        if self._reload is not None:
            self._reload()


class _InputUnusable(Exception):
    """One line that names flag or file."""


class _StrategyRefused(Exception):
    """A line each."""


def _require_fit_strategies(arguments: argparse.Namespace, config: Config, symbols: tuple[str, ...]) -> None:
    forced = arguments.force_strategy or []
    for name in forced:
        if name not in config.strategy:
            raise _InputUnusable(
                f"--force-strategy {name}: no strategy of the configuration; there is {', '.join(config.strategy) or 'none'}"
            )
    specs = {symbol: spec_for(symbol, config, digits=arguments.digits) for symbol in symbols}
    lines = unfit(config, specs, forced)
    if lines:
        raise _StrategyRefused("\n".join(lines))


def _last_words(system: LiveSystem) -> Callable[[], None]:
    """They tell of what is open before the end, and are said after it."""
    words = last_words_of(system)
    return lambda: say(words)


def _making(
    arguments: argparse.Namespace,
    folder: StateFolder,
    kept: KeptHost,
    first: Callable[[LiveSystem], Outside],
    log: Log | None,
) -> Making:
    """`first` is the outside of the first segment."""
    again = Again(
        read=partial(configured, arguments),
        unfit=partial(_unfit, arguments),
        symbols=partial(_symbols, arguments),
    )

    def make(config: Config, reloaded: Reloaded | None) -> LiveSystem:
        outside = first if reloaded is None else _outside(arguments, config, kept)
        return LiveSystem(config, folder, outside, on_fatal=die, log=log, again=again, reloaded=reloaded)

    return Making(make, stays)


def _unfit(arguments: argparse.Namespace, config: Config) -> list[str]:
    """What the next segment could not begin with, a line each."""
    try:
        if arguments.ticks is None:  # recorded quotes are of one symbol, whatever the configuration says
            _outside(arguments, config, KeptHost())
        _require_fit_strategies(arguments, config, _symbols(arguments, config))
        outlets_of(config.notifier)
    except (_InputUnusable, UnknownSymbol, StrategyUnusable, _StrategyRefused, StrategyBroken) as error:
        return str(error).splitlines()
    except (SecretError, AddressUnusable) as error:
        return [str(error)]
    return []


def _symbols(arguments: argparse.Namespace, config: Config) -> tuple[str, ...]:
    return (arguments.symbol,) if arguments.symbol else symbols_of(config)


def _outside(arguments: argparse.Namespace, config: Config, kept: KeptHost) -> Callable[[LiveSystem], Outside]:
    """Raises _InputUnusable; nothing is opened yet."""
    speed = config.simulated.speed if arguments.speed is None else arguments.speed
    if not 0 < speed <= 100_000:
        raise _InputUnusable(f"--speed {speed}: not between 0 and 100000")
    symbols = _symbols(arguments, config)
    if arguments.ticks is not None:
        return inside(_recorded(arguments, config, symbols, speed), symbols=symbols, digits=arguments.digits)
    if not symbols:
        raise _InputUnusable("no strategy names a symbol: add symbols to a [strategy.NAME] table, or say --symbol")
    if speed == 1.0:
        return hosted(symbols, kept=kept)
    if config.terminal.kind != "simulated":
        raise _InputUnusable(f"--speed {speed}: a real terminal has only real time")

    def synthetic(system: LiveSystem, made: Inside) -> Market:
        return synthetic_market(system, made, speed=speed, start_utc_ms=SystemClock().now_utc_ms(), is_live=False)

    return inside(synthetic, symbols=symbols, digits=arguments.digits)


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
