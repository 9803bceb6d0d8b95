"""A live system: everything that `run` and `demo` start, and nothing that they show."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

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
from evenkeel.adapters.notifier import Notifier
from evenkeel.adapters.os import require_local
from evenkeel.adapters.outbox import Outbox
from evenkeel.adapters.outbox import opened as outbox_opened
from evenkeel.adapters.outlets import OutletCourier, outlets_of
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.reporter import Reporter
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.storage import Storage
from evenkeel.adapters.view import view_writer
from evenkeel.adapters.world import World
from evenkeel.commands.asked import Asked
from evenkeel.commands.onlookers import Log, health_rows, onlookers
from evenkeel.commands.reloading import Again, Next, Reloaded, Reloading
from evenkeel.commands.runs import LiveRun, last_utc_ms
from evenkeel.commands.segment import Opening, note_journal, opening_of, run_started
from evenkeel.config.load import canonical, identity
from evenkeel.config.schema import Config
from evenkeel.messages.market import SymbolSpec
from evenkeel.messages.operator import ACCOUNT, CommandDone, CommandRefused, HoldPlaced, Mode
from evenkeel.messages.system import RunStarted
from evenkeel.rules.lineage import plugins
from evenkeel.rules.trading_calendar import trading_day
from evenkeel.runtime.clock import Clock, SystemClock
from evenkeel.runtime.leases import Broken, Leases, Progress
from evenkeel.runtime.publisher import SUPERVISOR
from evenkeel.supervisor import has_shield

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


class Source(QuoteSource, Protocol):
    @property
    def ended(self) -> bool:
        """Nothing comes any more."""
        ...


def unchanged(config: Config) -> Config:
    return config


class Outside(NamedTuple):
    """What a live system stands on: a broker, its terms, a clock and quotes. `adapted` is what it makes of a configuration.

    One of the two ends it: `leave` where another system of this process goes on with what lives in other processes.
    `host_ns` is when the process that owns the terminal last answered (monotonic), where there is one.
    """

    specs: Mapping[str, SymbolSpec]
    broker: Broker
    clock: Clock
    source: Source
    close: Callable[[], None] = lambda: None
    patience_s: float = 0.0
    adapted: Callable[[Config], Config] = unchanged
    leave: Callable[[], None] | None = None
    host_ns: Callable[[], int | None] | None = None


class LiveSystem:
    """One account's processes-worth of parts. The caller holds the account's lock.

    `outside` is made when the journal is open, for it goes on where the journal ends. `again` is where `config` comes from,
    None where it cannot be read again; `reloaded` how this segment came to be, None at a start of the process. `config` becomes
    what the actors are made of, without what was lowered since.
    Errors: BookUnreadable, JournalError, StateError, BootFailed, HostDidNotStart, SecretError, AddressUnusable; then nothing is
    left open.
    """

    def __init__(
        self,
        config: Config,
        folder: StateFolder,
        outside: Callable[["LiveSystem"], Outside],
        *,
        force_tcp: bool = False,
        on_fatal: Callable[[str], None],
        log: Log | None = None,
        again: Again | None = None,
        reloaded: Reloaded | None = None,
    ) -> None:
        self.folder, self._reloaded, self._again = folder, reloaded, again
        self.next: Next | None = None
        self.ended = Asked()
        self.stops_asked: list[str] = []
        self.leases = Leases()
        self.kill_epoch = KillEpoch(folder.kill_epoch)
        calendar = config.trading_calendar
        self._restored = folder.restored()
        self._outlets = outlets_of(config.notifier)
        self._outbox: Outbox | None = None
        require_local(folder.journal)
        self._chains = chain_stores(config, folder.chains)
        self._journal = LmdbJournal.open(
            folder.journal,
            day_of=lambda utc_ms: trading_day(utc_ms, calendar.day_boundary, calendar.zone),
            map_size=config.journal.map_mb << 20,
        )
        self._view = view_writer(folder.view)
        self._on_fatal, self._log = on_fatal, log
        self.board = QuoteBoard()
        self.gate = Gate()
        self.config = config
        self._journal_progress = Progress(self.leases.grant(JOURNAL, JOURNAL_LEASE_S))
        self._outside: Outside | None = None
        try:
            self._outbox = outbox_opened(folder.notices) if self._outlets else None
            self._outside = outside(self)
            self.specs, self.broker, self.clock, self.source, *_ = self._outside
            opening = self._opening(self._outside.adapted(config))
            self.config = opening.config
            self.run = self._live_run(opening, force_tcp)
            self._journal.on_durable(self._journal_heard)
        except BaseException:
            self._journal.close(clean=False)
            self._let_go()
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
        if (asked := self._reloaded) is not None:
            refused, done = CommandRefused(asked.command_id, asked.refused), CommandDone(asked.command_id, "in force")
            self.run.host.say(SUPERVISOR, [refused if asked.refused else done])
        if self._journal.flush(STOP_DEADLINE_S):
            note_journal(self.folder.segment, self._journal.durable_seq)
            self.folder.forget_restored()

    def ask_stop(self, by: str) -> None:
        """From any thread. Each time counts, up to STOPS_KEPT."""
        if len(self.stops_asked) < STOPS_KEPT:
            self.stops_asked.append(by)
        self.ended.set()

    def ask_next(self, asked: Next) -> None:
        """End in order, for another segment of this process. From any thread."""
        self.next = asked
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

    def stop(self, reason: str, *, leave: bool = False) -> list[str]:
        """End in order; returns children that did not end in time. `leave` what another system of this process goes on with."""
        late = self.run.stop(reason, STOP_DEADLINE_S)
        note_journal(self.folder.segment, self._journal.durable_seq)
        self._let_go(leave=leave)
        return late

    def _let_go(self, *, leave: bool = False) -> None:
        self._view.close()
        if self._outbox is not None:
            self._outbox.close()
        for store in self._chains.values():
            store.close()
        if self._outside is not None:
            end = self._outside.leave if leave else None
            (end or self._outside.close)()

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

    def _opening(self, wanted: Config) -> Opening:
        is_own = self._restored is None and self._reloaded is None
        return opening_of(self.folder.segment, wanted, build_id()) if is_own else Opening(wanted)

    def _live_run(self, opening: Opening, force_tcp: bool) -> LiveRun:
        assert self._outside is not None
        started_utc_ms = SystemClock().now_utc_ms()
        started = self._run_started(opening, started_utc_ms)
        self.reloading = self._reloading(opening.lowering)
        return LiveRun(
            self._world(),
            self._journal,
            started,
            more_edges={
                "reporter": self._reporter,
                **({"notifier": partial(self._notifier, self._outbox)} if self._outbox is not None else {}),
                "storage": self._storage,
                **onlookers(self, self._journal, self._outside.host_ns, self._log),
                "control": lambda: self._control(started_utc_ms, force_tcp),
            },
            on_fatal=self._on_fatal,
            on_journal_failed=self._journal_failed,
            on_look=self.leases.grant(SUPERVISION, SUPERVISION_LEASE_S),
            lowering=opening.lowering,
        )

    def _reloading(self, lowering: str) -> Reloading:
        assert self._outside is not None
        return Reloading(
            self._again,
            opened_with=self.config,
            lowering=lowering,
            adapted=self._outside.adapted,
            segment_file=self.folder.segment,
            say=lambda messages: self.run.host.say(SUPERVISOR, messages),
            child=lambda name: self.run.host.child(name),
            begin=self.ask_next,
        )

    def _run_started(self, opening: Opening, started_utc_ms: int) -> RunStarted:
        return run_started(
            self.folder.segment,
            build=build_id(),
            configuration=identity(self.config),  # with what the outside made of it: the actors answer by that
            account=self.config.account.name,
            installation=self.folder.installation_id(),
            crashed=self._journal.last_seq > 0 and not self._journal.was_clean,
            now_utc_ms=started_utc_ms,
            journal_seq=self._journal.last_seq,
            restored=self._restored is not None,
            settings=canonical(self.config).decode(),
            lowering=opening.lowering,
            is_same=opening.is_same,
            reloaded=self._reloaded is not None,
            raised=self._reloaded.raised if self._reloaded else "",
        )

    def _world(self) -> World:
        assert self._outside is not None
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
            on_reload=lambda asked: self.reloading.reload(asked),
        )

    def _reporter(self) -> Reporter:
        return Reporter(
            self.config,
            self.board,
            children=lambda: self.run.host.status(),
            write=self._view.put,
            health=lambda: health_rows(self),
        )

    def _notifier(self, outbox: Outbox) -> Notifier:
        real = SystemClock()
        return Notifier(
            self.config.notifier,
            self.config.account.name,
            outbox,
            {name: OutletCourier(outlet, real.monotonic_ns) for name, outlet in self._outlets.items()},
            utc_ms=real.now_utc_ms,
            monotonic_ns=real.monotonic_ns,
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


def symbols_of(config: Config) -> tuple[str, ...]:
    """Every symbol that a strategy trades, in the order of the configuration."""
    return tuple(dict.fromkeys(symbol for strategy in config.strategy.values() for symbol in strategy.symbols))
