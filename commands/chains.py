"""`evenkeel chains`: the chains of each strategy, out of their stores; and a person's word that ends one.

Only reads the stores, so it works while the supervisor runs and while it does not.
"""

import argparse
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.chain_store import StoreUnusable
from evenkeel.adapters.lmdb_chains import opened_to_read
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.view import ViewError, read_view
from evenkeel.commands import exit_codes
from evenkeel.commands.order import WAIT_MS, asked, show, who
from evenkeel.commands.tables import columns, table
from evenkeel.messages.profit_booking import Pyramid
from evenkeel.messages.recovery import ChainStatus
from evenkeel.rules import profit_booking, recovery
from evenkeel.rules.chain_store import NOT_IN_JOURNAL, Row, is_over, newest_first
from evenkeel.rules.instants import utc_text
from evenkeel.rules.view import decimal_of

HEADER: Final = ("plugin", "chain", "symbol", "side", "status", "state", "level", "trades", "booked", "waits until")
LEFT_ALIGNED: Final = ("plugin", "chain", "symbol", "side", "status", "state", "waits until")


class ChainRow(msgspec.Struct, frozen=True):
    """A chain as it was last written. `kind` is "re-entry" or "pyramid"; `booked_cents` the net of its ended trades; `trades`
    those that a re-entry chain had, or the orders of a pyramid's level. `until_utc_ms` 0: it waits for no time."""

    plugin: str
    chain_type: str
    kind: str
    chain_id: str
    symbol: str
    direction: str
    status: str
    state: str
    level: int
    level_max: int
    trades: int
    tickets: tuple[int, ...]
    booked_cents: int
    until_utc_ms: int
    created_utc_ms: int
    updated_utc_ms: int
    ended_utc_ms: int
    reason: str
    version: int


class ChainsReport(msgspec.Struct, frozen=True):
    """What `--json` prints. `unreadable` are the stores that cannot be read, each with why."""

    chains: list[ChainRow]
    unreadable: dict[str, str]
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--plugin", help="this strategy alone, by its name in the configuration")
    parser.add_argument("--all", action="store_true", help="those that are over as well")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--stop", metavar="CHAIN", help="end this chain of --plugin and close what is open of it")
    what.add_argument("--diagram", action="store_true", help="print the states of a re-entry chain as a Mermaid diagram")


def run(arguments: argparse.Namespace) -> int:
    """0, 1 when a store cannot be read, 2 for a name that is none; of --stop the status that `close` would have."""
    if arguments.diagram:
        print(recovery.diagram(), end="")
        return exit_codes.OK
    try:
        folder = StateFolder(state_root(), arguments.account)
        if arguments.stop is not None:
            return _stop(folder, arguments)
        if not folder.folder.is_dir():
            raise FileNotFoundError(f"there is no account {arguments.account!r}: no folder {folder.folder}")
        report = read(folder.chains, arguments.plugin, with_ended=arguments.all)
    except (StateError, OSError, ValueError) as error:
        print(f"chains: {error}", file=sys.stderr)
        return exit_codes.USAGE if isinstance(error, ValueError | StateError) else exit_codes.FAILED
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    elif report.chains or not report.unreadable:
        print("\n".join(_lines(report, arguments.plugin, _money_digits(folder.view))))
    for why in report.unreadable.values():
        print(f"chains: {why}; no chain in it takes a step until it is moved away and the supervisor started", file=sys.stderr)
    return exit_codes.FAILED if report.unreadable else exit_codes.OK


def read(folder: Path, plugin: str | None, *, with_ended: bool) -> ChainsReport:
    """The stores in `folder`, newest chain first. One that cannot be read hides no other. Raises ValueError for a plugin that
    has none."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if plugin is not None and plugin not in names:
        has = f"those that have one: {' '.join(names)}" if names else "no strategy has one"
        raise ValueError(f"{plugin!r} has no store of chains here; {has}")
    rows: list[tuple[str, Row]] = []
    unreadable: dict[str, str] = {}
    for name in names if plugin is None else [plugin]:
        try:
            rows += _stored(folder / name, with_ended=with_ended)
        except StoreUnusable as error:
            unreadable[name] = str(error)
    types = {row.chain_id: chain_type for chain_type, row in rows}
    return ChainsReport([_shown(row, types[row.chain_id]) for row in newest_first(row for _, row in rows)], unreadable)


def _stored(folder: Path, *, with_ended: bool) -> Iterator[tuple[str, Row]]:
    store = opened_to_read(folder)
    if store is None:
        return
    try:
        for row in store.all() if with_ended else store.active():
            yield store.declared.chain_type, row
    finally:
        store.close()


def _stop(folder: StateFolder, arguments: argparse.Namespace) -> int:
    if arguments.plugin is None:
        raise ValueError("--stop needs --plugin: a chain belongs to its strategy")
    told = {"command_id": uuid.uuid4().hex, "by": who(), "wait_ms": WAIT_MS}
    told |= {"plugin": arguments.plugin, "chain_id": arguments.stop}
    outcome, status = asked(folder.endpoint, "chains --stop", msgspec.convert(told, channel.StopChain))
    show(outcome, as_json=arguments.json)
    return status


def _shown(row: Row, chain_type: str) -> ChainRow:
    return ChainRow(
        plugin=row.plugin,
        chain_type=chain_type,
        kind="pyramid" if isinstance(row, Pyramid) else "re-entry",
        chain_id=row.chain_id,
        symbol=row.symbol,
        direction=row.direction.value,
        status=_status(row).value,
        state=row.state.value,
        level=row.level,
        level_max=row.level_max,
        trades=len(row.orders) if isinstance(row, Pyramid) else row.trades,
        tickets=tuple(order.ticket for order in row.orders) if isinstance(row, Pyramid) else row.tickets,
        booked_cents=row.booked_cents - row.lost_cents if isinstance(row, Pyramid) else row.won_cents - row.lost_cents,
        until_utc_ms=0 if isinstance(row, Pyramid) or is_over(row) else row.until_utc_ms,
        created_utc_ms=row.created_utc_ms,
        updated_utc_ms=row.updated_utc_ms,
        ended_utc_ms=row.ended_utc_ms,
        reason=row.reason,
        version=row.version,
    )


def _status(row: Row) -> ChainStatus:
    if isinstance(row, Pyramid):
        return profit_booking.public_status(row.state)
    return ChainStatus.STALE if row.reason == NOT_IN_JOURNAL else recovery.public_status(row.state)


class _Account(msgspec.Struct):
    currency_digits: int


class _Glance(msgspec.Struct):
    """The little of a View that is needed here."""

    account: _Account | None = None


def _money_digits(folder: Path) -> int:
    """Of the account's currency, as the last view had it; 2 while there is none."""
    try:
        view = read_view(folder)
        glance = _Glance() if view is None else msgspec.json.decode(view, type=_Glance)
    except (ViewError, msgspec.DecodeError):
        return 2
    return 2 if glance.account is None else glance.account.currency_digits


def _lines(report: ChainsReport, plugin: str | None, money_digits: int) -> list[str]:
    if not report.chains:
        return [f"no chains of {plugin}" if plugin else "no chains"]
    return table(HEADER, [_cells(row, money_digits) for row in report.chains], left_aligned=LEFT_ALIGNED, width=columns())


def _cells(row: ChainRow, money_digits: int) -> tuple[str, ...]:
    until = utc_text(row.until_utc_ms) if row.until_utc_ms else "-"
    ended = f"over: {row.reason.replace('_', ' ')}" if row.ended_utc_ms else until
    level = f"{row.level}/{row.level_max}"
    named = row.plugin, row.chain_id, row.symbol, row.direction
    return (*named, row.status, row.state, level, str(row.trades), decimal_of(row.booked_cents, money_digits), ended)
