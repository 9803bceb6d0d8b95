"""`evenkeel run`: the supervisor of one account, until somebody stops it.

The terminal lives in a process of its own, which this one starts. Only recorded quotes (--ticks) and market time (--speed) are
served by a simulated terminal in this process, because there the clock follows the prices.
"""

import argparse
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Final, Protocol

from loguru import logger

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters import logs
from evenkeel.adapters.build import build_id
from evenkeel.adapters.hidden import HIDDEN
from evenkeel.adapters.os import AccountLock, AlreadyRunning, StateError, state_root
from evenkeel.adapters.service_manager import ServiceManager
from evenkeel.adapters.simulated.server.book import BookUnreadable
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.strategy.making import StrategyUnusable
from evenkeel.adapters.terminal_host.keeper import HostDidNotStart
from evenkeel.commands import exit_codes
from evenkeel.commands.check_strategy import unfit
from evenkeel.commands.configured import add_config_flags, configured
from evenkeel.commands.hosted import hosted
from evenkeel.commands.live import (
    JOURNAL,
    Inside,
    LiveSystem,
    Market,
    Outside,
    Source,
    inside,
    not_before,
    symbols_of,
    synthetic_market,
)
from evenkeel.commands.run_words import first_words_of, last_words_of, say
from evenkeel.commands.served import Served
from evenkeel.config.load import ConfigInvalid
from evenkeel.config.schema import Config
from evenkeel.messages.market import Quote
from evenkeel.rules.strategy import StrategyBroken
from evenkeel.rules.symbols import UnknownSymbol, spec_for, typical_price
from evenkeel.runtime.clock import SystemClock
from evenkeel.runtime.journal import JournalError
from evenkeel.runtime.leases import Broken
from evenkeel.runtime.threaded import BootFailed

TICK_S: Final = 0.2
PING_S: Final = 1.0
STOPS_THAT_INSIST: Final = 2


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
    signals = Signals()
    try:
        outside, symbols = _outside(arguments, config)
        _require_fit_strategies(arguments, config, symbols)
        folder = StateFolder(state_root(), config.account.name)
        folder.create()
        with AccountLock(folder.lock):
            logs.set_up(folder.logs)
            system = LiveSystem(config, folder, outside, on_fatal=die)
            served = Served("run", config.account.name, as_json=arguments.json)
            return served.ended(_serve(system, signals, ServiceManager(os.environ), arguments, served))
    except StoppedEarly as stopped:
        print(f"account {config.account.name}: stopped by {stopped} before it served", file=sys.stderr)
        return exit_codes.OK
    except AlreadyRunning as error:
        print(f"account {config.account.name}: {error}; {_who_runs(folder)}; end that one first", file=sys.stderr)
        return exit_codes.REFUSED
    except (_InputUnusable, UnknownSymbol, StrategyUnusable) as error:
        print(HIDDEN.shown(str(error)), file=sys.stderr)
        return exit_codes.USAGE
    except (_StrategyRefused, StrategyBroken) as error:
        print(HIDDEN.shown(str(error)), file=sys.stderr)
        return exit_codes.REFUSED
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


class StoppedEarly(BaseException):
    """A stop signal while the parts were being put together; named by the signal. Nothing but the way out may catch it."""


class Signals:
    """SIGTERM and SIGINT. Until `serve` the first breaks off what is being put together; from then on they ask for an end in
    order."""

    def __init__(self) -> None:
        self._ask: Callable[[str], None] | None = None
        signal.signal(signal.SIGTERM, self._came)
        signal.signal(signal.SIGINT, self._came)

    def serve(self, ask: Callable[[str], None]) -> None:
        self._ask = ask

    def _came(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._ask is None:
            self._ask = _ignore  # what is broken off is let go of in peace
            raise StoppedEarly(name)
        self._ask(name)


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


def _serve(system: LiveSystem, signals: Signals, manager: ServiceManager, arguments: argparse.Namespace, served: Served) -> int:
    signals.serve(system.ask_stop)
    faulthandler.enable()  # who is killed for silence says where its threads are
    sys.setswitchinterval(0.0005)  # shorter waits for the interpreter's lock; measured to cost no throughput
    system.boot()
    mode = "is on: evenkeel start" if system.config.trading.enabled else "is off in the configuration"
    words = f"account {system.config.account.name} serves {' '.join(system.specs)}; trading {mode}"
    logger.info(words)
    manager.ready(words)
    served.says("serving", words)
    say(first_words_of(system, arguments))
    try:
        MainLoop(system, manager, die).run()
    except Exception as error:  # noqa: BLE001  the edge of the process: without its main loop it must not go on
        logger.opt(exception=error).critical("the main loop has ended")
        die(f"the main loop has ended: {error!r}")
    logger.info("stopping in order: {}", system.stop_asked_by)
    manager.stopping(f"stopped by {system.stop_asked_by}")
    last_words = last_words_of(system)
    late = system.stop(f"stopped by {system.stop_asked_by}")
    for name in late:
        logger.error("{} did not end in time", name)
    say(last_words)
    if system.journal_failure is not None:
        return exit_codes.RESTART
    return exit_codes.FAILED if late else exit_codes.OK


def _ignore(by: str) -> None:
    """Asked already."""


class Watched(Protocol):
    """What the main loop looks at: a LiveSystem."""

    @property
    def source(self) -> Source: ...

    @property
    def ended(self) -> threading.Event: ...

    @property
    def stops_asked(self) -> Sequence[str]: ...

    @property
    def journal_failure(self) -> str | None: ...

    def ask_stop(self, by: str) -> None: ...

    def broken_leases(self) -> Sequence[Broken]: ...

    def is_flat_or_protected(self) -> bool: ...

    def is_flattening(self) -> bool: ...


class MainLoop:
    """Looks whether everybody lives, says so to whoever started the process, and sees when it is time to end. Never waits for a
    broker, a disk or a lock: what silences it is a process that hangs. `end_now` is for what only a new process mends."""

    def __init__(self, system: Watched, manager: ServiceManager, end_now: Callable[[str], None]) -> None:
        self._system, self._manager, self._end_now = system, manager, end_now
        self._writer_is_late = self._has_said_why = False

    def run(self) -> None:
        """Returns when the process is to end in order."""
        pause = threading.Event()
        while not self.look():
            pause.wait(TICK_S)

    def look(self) -> bool:
        """Once; true when the process is to end in order. A flatten goes on until nothing of ours is open, unless the end is
        asked for again."""
        system = self._system
        self._manager.alive()
        self._look_at_leases()
        if not system.ended.is_set() and system.source.ended:
            system.ask_stop("the end of the recorded quotes")
        if not system.ended.is_set() and system.journal_failure is not None and system.is_flat_or_protected():
            system.ask_stop(f"a failed journal: {system.journal_failure}")
        if not system.ended.is_set():
            return False
        if len(system.stops_asked) >= STOPS_THAT_INSIST or not system.is_flattening():
            return True
        if not self._has_said_why:
            self._has_said_why = True
            logger.warning("{}: positions are being flattened first; ask again to end without", system.stops_asked[0])
        return False

    def _look_at_leases(self) -> None:
        """Everybody but the journal's writer is missed: only a new process helps. Without the writer exits go on, and nothing
        new passes the gate; a new process would wait for the same disk."""
        broken = self._system.broken_leases()
        for name, silent_s in broken:
            if name != JOURNAL:
                self._end_now(f"{name} has not shown that it lives for {silent_s:.1f} s")
        late = next((silent_s for name, silent_s in broken if name == JOURNAL), None)
        if late is not None and not self._writer_is_late:
            words = f"{JOURNAL} has stood still for {late:.1f} s: nothing new is opened, exits go on"
            logger.critical(words)
            self._manager.status(words)
        if late is None and self._writer_is_late:
            logger.warning("{} gets on again", JOURNAL)
        self._writer_is_late = late is not None


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
