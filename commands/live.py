"""A live system: everything that `run` and `demo` start, and nothing that they show."""

import itertools
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec
from loguru import logger

from evenkeel.adapters.broker import Broker
from evenkeel.adapters.build import build_id
from evenkeel.adapters.chain_store import StoreUnusable
from evenkeel.adapters.control import ControlEdge
from evenkeel.adapters.control_channel import ControlServer
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.kill_epoch import UNREADABLE, KillEpoch
from evenkeel.adapters.lmdb_chains import Declared, LmdbChains
from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.adapters.market_feed_state import QuoteSource
from evenkeel.adapters.os import require_local
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.reporter import Reporter
from evenkeel.adapters.simulated.market import SimulatedSource, SyntheticMarket
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.storage import Storage
from evenkeel.adapters.view import ViewWriter
from evenkeel.adapters.world import World
from evenkeel.commands.segment import note_journal, run_started
from evenkeel.config.load import identity
from evenkeel.config.schema import Config, ProtectionConfig
from evenkeel.messages.market import DailyRange, Quote, SymbolSpec
from evenkeel.messages.operator import ACCOUNT, HoldPlaced, Mode
from evenkeel.messages.system import RunStarted
from evenkeel.rules.lineage import plugins
from evenkeel.rules.symbols import profit_rule, spec_for, typical_price
from evenkeel.rules.trading_calendar import trading_day
from evenkeel.runtime.clock import Clock, MarketClock, SteadyClock, SystemClock
from evenkeel.runtime.leases import Broken, Leases, Progress
from evenkeel.runtime.publisher import SUPERVISOR
from evenkeel.supervisor import LiveRun, has_shield, last_utc_ms

WAIT_S_MAX: Final = 86_400.0
NEVER_EPOCH: Final = 2**62
"""Above every epoch that an order can carry: what an unreadable kill epoch counts as at the gate."""
STOP_DEADLINE_S: Final = 10.0
STOPS_KEPT: Final = 16
SUPERVISION: Final = "the supervising thread"
SUPERVISION_LEASE_S: Final = 10.0
"""Longer than the journal may take when a child's next incarnation reads from it what its box missed."""
JOURNAL: Final = "the journal's writer"
JOURNAL_LEASE_S: Final = 5.0
LOST_JOURNAL: Final = "journal"


class Market(NamedTuple):
    """Quotes in the order of time, and how fast market time runs. `is_live`: the run's clock is UTC, not market time."""

    quotes: Iterable[tuple[str, Quote]]
    daily: dict[str, tuple[DailyRange, ...]]
    speed: float
    is_live: bool


class Source(QuoteSource, Protocol):
    @property
    def ended(self) -> bool:
        """Nothing comes any more."""
        ...


class Outside(NamedTuple):
    """What a live system stands on: a broker, its terms, a clock and quotes. `config` with what the outside makes of it."""

    config: Config
    specs: Mapping[str, SymbolSpec]
    broker: Broker
    clock: Clock
    source: Source
    close: Callable[[], None] = lambda: None
    patience_s: float = 0.0


class LiveSystem:
    """One account's processes-worth of parts. The caller holds the account's lock.

    `outside` is made when the journal is open, for it goes on where the journal ends. Errors: BookUnreadable, JournalError,
    StateError, BootFailed, HostDidNotStart.
    """

    def __init__(
        self,
        config: Config,
        folder: StateFolder,
        outside: Callable[["LiveSystem"], Outside],
        *,
        force_tcp: bool = False,
        on_fatal: Callable[[str], None],
    ) -> None:
        self.folder = folder
        self.ended = threading.Event()
        self.stops_asked: list[str] = []
        self.leases = Leases()
        self.kill_epoch = KillEpoch(folder.kill_epoch)
        calendar = config.trading_calendar
        self._restored = folder.restored()
        self._chains = chain_stores(config, folder.chains)
        require_local(folder.journal)
        self._journal = LmdbJournal.open(
            folder.journal,
            day_of=lambda utc_ms: trading_day(utc_ms, calendar.day_boundary, calendar.zone),
            map_size=config.journal.map_mb << 20,
        )
        self._view = ViewWriter(folder.view)
        self._on_fatal = on_fatal
        self.board = QuoteBoard()
        self.gate = Gate()
        self.config = config
        self._journal_progress = Progress(self.leases.grant(JOURNAL, JOURNAL_LEASE_S))
        self._outside = outside(self)
        self.config, self.specs, self.broker, self.clock, self.source, *_ = self._outside
        self._identity = identity(self.config)  # with what the outside made of it: the actors answer by that
        try:
            self.run = self._live_run(force_tcp)
            self._journal.on_durable(self._journal_heard)
        except BaseException:
            self._outside.close()
            raise

    @property
    def last_utc_ms(self) -> int:
        """The run's clock at the last record of the journal, 0 for a new one."""
        return last_utc_ms(self._journal)

    @property
    def journal_failure(self) -> str | None:
        """Why nothing becomes durable any more; None while it does."""
        return self._journal.failure

    def boot(self) -> None:
        """Every child serves, and what is remembered beside the journal says that this run is in it. Raises BootFailed."""
        self.run.boot()
        if self._journal.flush(STOP_DEADLINE_S):
            note_journal(self.folder.segment, self._journal.durable_seq)
            self.folder.forget_restored()

    def ask_stop(self, by: str) -> None:
        """From any thread. Each time counts, up to STOPS_KEPT."""
        if len(self.stops_asked) < STOPS_KEPT:
            self.stops_asked.append(by)
        self.ended.set()

    @property
    def stop_asked_by(self) -> str | None:
        """Who asked first."""
        return self.stops_asked[0] if self.stops_asked else None

    def is_flattening(self) -> bool:
        """The mode is FLATTEN, and something of ours is open still."""
        return self.gate.mode is Mode.FLATTEN and bool(self.held())

    def broken_leases(self) -> list[Broken]:
        """Who does not show any more that it lives. Called by the main loop; never waits."""
        if self.journal_failure is None:
            self._journal_progress.look(done=self._journal.durable_seq, wanted=self.run.publisher.last_seq)
        return self.leases.broken()

    def stop(self, reason: str) -> list[str]:
        """End in order; returns children that did not end in time."""
        late = self.run.stop(reason, STOP_DEADLINE_S)
        note_journal(self.folder.segment, self._journal.durable_seq)
        self._view.close()
        for store in self._chains.values():
            store.close()
        self._outside.close()
        return late

    def is_flat_or_protected(self) -> bool:
        """Every position of ours has a stop at the broker, by the last reading; asks nobody, so it never waits."""
        terminal = self.run.host.child("terminal")
        seen = None if terminal is None else terminal.state.positions
        stops = {position.ticket: position.stop_points for position in seen or ()}
        return seen is not None and all(stops.get(ticket, 0) for ticket in self.held())

    def held(self) -> list[int]:
        """Tickets of ours, as the gateway believes at this moment; read from another thread, in one step."""
        gateway = self.run.host.child("broker_gateway")
        return [] if gateway is None else list(gateway.state.book.positions)

    def _live_run(self, force_tcp: bool) -> LiveRun:
        started_utc_ms = SystemClock().now_utc_ms()
        started = self._run_started(started_utc_ms)
        return LiveRun(
            self._world(),
            self._journal,
            started,
            more_edges={
                "reporter": self._reporter,
                "storage": self._storage,
                "control": lambda: self._control(started_utc_ms, force_tcp),
            },
            on_fatal=self._on_fatal,
            on_journal_failed=self._journal_failed,
            on_look=self.leases.grant(SUPERVISION, SUPERVISION_LEASE_S),
        )

    def _run_started(self, started_utc_ms: int) -> RunStarted:
        return run_started(
            self.folder.segment,
            build=build_id(),
            configuration=self._identity,
            account=self.config.account.name,
            installation=self.folder.installation_id(),
            crashed=self._journal.last_seq > 0 and not self._journal.was_clean,
            now_utc_ms=started_utc_ms,
            journal_seq=self._journal.last_seq,
            restored=self._restored is not None,
        )

    def _world(self) -> World:
        return World(
            config=self.config,
            specs=self.specs,
            broker=self.broker,
            clock=self.clock,
            board=self.board,
            gate=self.gate,
            history=self.broker.ticks,
            kill_epoch=self.epoch,
            source=self.source,
            journal=self._journal,
            reading_every_ms=round(self.config.broker_gateway.reconcile_s * 1000),
            patience_s=self._outside.patience_s,
            chain_store=self._chains.__getitem__,
        )

    def _control(self, started_utc_ms: int, force_tcp: bool) -> ControlEdge:
        return ControlEdge(
            lambda handler: ControlServer(
                self.folder.control, handler, started_utc_ms=started_utc_ms, build=build_id(), force_tcp=force_tcp
            ),
            gate=self.gate,
            kill_epoch=self.kill_epoch,
            view=lambda what: self.run.host.child("reporter").current(what),
            wake=lambda: self.run.host.wake("control"),
            on_stop=self.ask_stop,
            strategies=tuple(self.config.strategy),
            plugins=plugins(self.config),
            has_shield=has_shield(self.config),
        )

    def _reporter(self) -> Reporter:
        return Reporter(
            self.config,
            self.board,
            children=lambda: self.run.host.status(),
            write=self._view.put,
        )

    def _storage(self) -> Storage:
        journal, account = self.config.journal, self.config.account.name
        backups = Path(journal.backup_folder or self.folder.backups)
        command = [sys.executable, "-m", "evenkeel.cli", "backup", "--account", account, "--to", str(backups), "--json"]
        command += ["--hourly", str(journal.backups_hourly), "--daily", str(journal.backups_daily)]
        return Storage(
            journal,
            account,
            self._journal,
            self.folder.journal,
            backups=backups,
            backup_command=command,
            utc_ms=SystemClock().now_utc_ms,
            monotonic_ns=SystemClock().monotonic_ns,
        )

    def epoch(self) -> int:
        """The kill epoch on disk."""
        kill = self.kill_epoch.read()
        return NEVER_EPOCH if kill == UNREADABLE else kill.epoch

    def _journal_heard(self) -> None:
        """On the journal's thread, after each commit. When it has given up, whoever looks is told without waiting for the next
        message: nothing new is opened, also what was durable before and waits at the gate; exits go on."""
        if self._journal.failure is not None:
            self.gate.shut(LOST_JOURNAL)
            self.run.host.say(
                SUPERVISOR, [HoldPlaced(LOST_JOURNAL, ACCOUNT, f"the journal is closed: {self._journal.failure}", 0)]
            )

    def _journal_failed(self, reason: str) -> None:
        logger.critical("the journal is closed: {}; nothing new is opened, exits go on", reason)


def chain_stores(config: Config, folder: Path) -> dict[str, LmdbChains]:
    """Of each strategy with chains its own in `folder`. Raises ChainTypeDiffers; one that is damaged stops nobody else."""
    calendar = config.trading_calendar

    def day_of(utc_ms: int) -> str:
        return trading_day(utc_ms, calendar.day_boundary, calendar.zone)

    stores = {
        name: LmdbChains(folder / name, Declared(name, config.strategy[name].chain_type), day_of) for name in plugins(config)
    }
    for name, store in stores.items():
        try:
            store.check()
        except StoreUnusable as error:
            logger.error("the chains of {} cannot be stored: {}", name, error)
    return stores


def with_real_waits(config: Config, speed: float) -> Config:
    """What waits for an answer waits as long in real time as it says: the expiry of intents, protection. The run's clock is
    market time: unscaled, the milliseconds from decision to order would be seconds on it, and an accelerated market must
    expire nothing. No more than a configuration may say, or the recorded one could not be read back."""
    faster, expiry_s, protection = max(1.0, speed), config.limits.intent_expiry_s, config.protection

    def slower(seconds: float) -> float:
        return min(seconds * faster, WAIT_S_MAX)

    limits = config.limits
    if expiry_s != "off":
        limits = msgspec.structs.replace(limits, intent_expiry_s=slower(expiry_s))
    protection = ProtectionConfig(grace_s=slower(protection.grace_s), close_answer_s=slower(protection.close_answer_s))
    return msgspec.structs.replace(config, limits=limits, protection=protection)


def symbols_of(config: Config) -> tuple[str, ...]:
    """Every symbol that a strategy trades, in the order of the configuration."""
    return tuple(dict.fromkeys(symbol for strategy in config.strategy.values() for symbol in strategy.symbols))


def simulated_terminal(
    config: Config, specs: Mapping[str, SymbolSpec], daily: Mapping[str, Sequence[DailyRange]], store: Path | None
) -> SimulatedTerminal:
    account = config.account
    rules = {symbol: profit_rule(symbol, config) for symbol in specs}
    return SimulatedTerminal(
        specs,
        start_balance_cents=round(account.start_balance * 10**account.currency_digits),
        currency=account.currency,
        currency_digits=account.currency_digits,
        leverage=account.leverage,
        profit_cents=lambda spec, points, steps, close: rules[spec.symbol](spec, points, steps, close),
        daily=daily,
        store=store,
    )


def inside(
    market: Callable[["LiveSystem", "Inside"], Market], *, symbols: Iterable[str] = (), digits: int | None = None
) -> Callable[[LiveSystem], Outside]:
    """The simulated terminal in this process, for market time and recorded quotes. The book lies in the account's folder."""

    def outside(system: LiveSystem) -> Outside:
        config, names = system.config, tuple(symbols) or symbols_of(system.config)
        specs = {name: spec_for(name, config, digits=digits, spec_id=at) for at, name in enumerate(names, 1)}
        daily: dict[str, Sequence[DailyRange]] = {}
        terminal = simulated_terminal(config, specs, daily, system.folder.simulated / "book")
        chosen = market(system, Inside(specs, terminal))
        daily.update(chosen.daily)
        quotes = iter(chosen.quotes)
        first = list(itertools.islice(quotes, 1))
        clock: Clock = (
            SteadyClock(SystemClock(), not_before_utc_ms=system.last_utc_ms)
            if chosen.is_live
            else MarketClock(first[0][1].time_utc_ms if first else 0)
        )
        source = SimulatedSource(
            itertools.chain(first, quotes),
            terminal,
            speed=chosen.speed,
            clock=clock if isinstance(clock, MarketClock) else None,
            monotonic_ns=clock.monotonic_ns,
        )
        expiring = config if chosen.is_live else with_real_waits(config, chosen.speed)
        return Outside(expiring, specs, terminal, clock, source)

    return outside


class Inside(NamedTuple):
    """What a market inside is made for."""

    specs: Mapping[str, SymbolSpec]
    terminal: SimulatedTerminal

    @property
    def last_quotes(self) -> dict[str, Quote]:
        """The newest quote of each symbol that the terminal remembers from before."""
        quotes = {name: self.terminal.quote(name) for name in self.specs}
        return {name: quote for name, quote in quotes.items() if quote is not None}


def synthetic_market(system: LiveSystem, inside: Inside, *, speed: float, start_utc_ms: int, is_live: bool) -> Market:
    """The seeded market of the configuration from `start_utc_ms` on, or from where the journal ends, near the last quotes."""
    start_utc_ms = max(start_utc_ms, system.last_utc_ms + 1)
    config, specs = system.config, inside.specs
    prices = {name: round((typical_price(name, config) or 1) * 10**spec.digits) for name, spec in specs.items()}
    every_ms = round(config.simulated.quote_every_s * 1000)
    market = SyntheticMarket(
        specs,
        seed=config.simulated.seed,
        start_utc_ms=start_utc_ms,
        quote_every_ms=every_ms,
        typical_price_points=prices,
    )
    for name, quote in inside.last_quotes.items():
        market.resume(name, quote)
    market.skip_to(start_utc_ms)
    return Market(market, {name: tuple(market.daily(name)) for name in specs}, speed, is_live)


def not_before(quotes: Iterable[tuple[str, Quote]], utc_ms: int) -> Iterator[tuple[str, Quote]]:
    """Recorded quotes from where the journal ends."""
    return ((symbol, quote) for symbol, quote in quotes if quote.time_utc_ms > utc_ms)
