"""`evenkeel drill`: would the newest backup serve? It is put into a temporary folder, every record of it is checked, and every
actor takes its state back from it and answers its last messages again. Of the account nothing is touched; that it went well is
noted in its folder, for `evenkeel promote`.

With the configuration and the build of the run that was saved, each answer is compared with what was recorded.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from evenkeel.actors.broker_gateway import BrokerGateway
from evenkeel.adapters.backup import BackupError, BackupRefused, facts, found, unpacked
from evenkeel.adapters.build import build_id
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.rehearsals import DRILL, note
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.strategy.making import StrategyUnusable
from evenkeel.adapters.world import World
from evenkeel.commands import exit_codes
from evenkeel.commands.configured import add_config_flags, configured
from evenkeel.commands.inside import simulated_terminal
from evenkeel.config.load import ConfigInvalid, identity
from evenkeel.config.schema import Config
from evenkeel.messages.market import SymbolSpec, SymbolSpecified
from evenkeel.messages.system import RunStarted
from evenkeel.rules.instants import utc_text
from evenkeel.rules.promotion import Rehearsed
from evenkeel.runtime.clock import ManualClock, SystemClock, monotonic_s
from evenkeel.runtime.fold import ledgers_of
from evenkeel.runtime.journal import ChildSnapshot, JournalError, Record
from evenkeel.runtime.publisher import Publisher
from evenkeel.runtime.routes import RouteTable
from evenkeel.runtime.shell import Shell
from evenkeel.supervisor import CODEC, children


class Drilled(msgspec.Struct, frozen=True):
    """What `--json` prints. `compared`: the actors' answers were compared with those that were recorded."""

    backup: str
    taken_utc_ms: int
    records: int
    children: int
    compared: bool
    mode: str
    positions: int
    orders_open: int
    took_ms: int
    v: int = 1


class Known(NamedTuple):
    """What a journal says of the run that wrote it: the terms of each symbol, and how it was started last."""

    specs: dict[str, SymbolSpec]
    started: RunStarted | None
    last_utc_ms: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_flags(parser)
    parser.add_argument("--backup", type=Path, metavar="DIR", help="this one, or the newest of this folder of backups")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    try:
        config = configured(arguments)
        folder = StateFolder(state_root(), config.account.name)
        where = arguments.backup or Path(config.journal.backup_folder or folder.backups)
        backup = next(reversed(found(where, folder.account)), where)
        drilled = _drill(backup, config)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    except StateError as error:
        print(f"drill: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except BackupRefused as error:
        print(f"drill: {error}", file=sys.stderr)
        return exit_codes.REFUSED
    except (BackupError, JournalError, StrategyUnusable, msgspec.ValidationError, OSError) as error:
        print(f"drill: {type(error).__name__}: {error}", file=sys.stderr)
        return exit_codes.FAILED
    _note(folder, drilled)
    if arguments.json:
        print(msgspec.json.encode(drilled).decode())
    else:
        answers = "their last answers are those recorded" if drilled.compared else "of another build or configuration"
        print(f"{drilled.backup}: {drilled.records} records of {utc_text(drilled.taken_utc_ms)} are what was written")
        print(f"{drilled.children} children have their state back; {answers}")
        print(f"mode {drilled.mode}, {drilled.positions} positions, {drilled.orders_open} orders without an end")
        print(f"it would serve ({drilled.took_ms / 1000:.1f} s)")
    return exit_codes.OK


def _note(folder: StateFolder, drilled: Drilled) -> None:
    words = f"{drilled.backup}, {drilled.records} records, {drilled.children} children"
    try:
        note(folder.rehearsals, DRILL, Rehearsed(SystemClock().now_utc_ms(), words))
    except (StateError, OSError) as error:
        print(f"drill: it went well, but cannot be noted: {error}", file=sys.stderr)


def _drill(backup: Path, config: Config) -> Drilled:
    """Raises BackupError, JournalError, StrategyUnusable, or what a snapshot of another form raises."""
    began_s, told = monotonic_s(), facts(backup)
    with TemporaryDirectory(prefix="evenkeel-drill-") as scratch:
        records = unpacked(backup, Path(scratch) / "state")
        with DayFiles(Path(scratch) / "state" / "journal", are_copies=True) as files:
            known = _known(files.records(1))
            snapshots = files.file(files.days()[-1]).snapshots()
            shells = _shells(config, known, files, snapshots)
    gateway = next(shell.child for shell in shells if isinstance(shell.child, BrokerGateway))
    book = gateway.state.book
    return Drilled(
        backup=backup.name,
        taken_utc_ms=told.taken_utc_ms,
        records=records,
        children=len(shells),
        compared=_is_same_run(config, known),
        mode=gateway.state.guards.mode.value,
        positions=len(book.positions),
        orders_open=len(book.opens) + len(book.closes),
        took_ms=round((monotonic_s() - began_s) * 1000),
    )


def _known(records: Iterable[Record]) -> Known:
    specs: dict[str, SymbolSpec] = {}
    started: RunStarted | None = None
    last_utc_ms = 0
    for record in records:
        last_utc_ms = record.time_utc_ms
        match CODEC.decode(bytes(record.body)):
            case SymbolSpecified(spec):
                specs[spec.symbol] = spec
            case RunStarted() as run_started:
                started = run_started
            case _:
                pass
    return Known(specs, started, last_utc_ms)


def _shells(config: Config, known: Known, files: DayFiles, snapshots: dict[str, ChildSnapshot]) -> list[Shell]:
    """Every child but those that only show and speak, with its state; raises FoldDiverged when it answers otherwise."""
    terminal = simulated_terminal(config, known.specs, {}, None)
    clock = ManualClock(known.last_utc_ms)
    world = World(config, known.specs, terminal, clock, QuoteBoard(), Gate(), terminal.ticks, kill_epoch=lambda: 0)
    specs = children(world)
    ledgers = ledgers_of(files.records, snapshots, specs, CODEC, tolerant=not _is_same_run(config, known))
    publisher = Publisher(routes=RouteTable({}, children=[], said=[]), codec=CODEC, clock=clock, journal=None)
    shells = [Shell(spec, ledgers[spec.name], publisher) for spec in specs]
    for shell in shells:
        shell.rebuild()
    return shells


def _is_same_run(config: Config, known: Known) -> bool:
    started = known.started
    return started is not None and (started.build, started.configuration) == (build_id(), identity(config))
