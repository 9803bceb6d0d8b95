"""The closed trades of a journal, for `performance` and `history`. Only reads, also while the supervisor runs."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.flags import SINCE_HELP, since_utc_ms
from evenkeel.commands.why.records import said_of
from evenkeel.messages.broker_gateway import AccountRead
from evenkeel.messages.market import SymbolSpec, SymbolSpecified
from evenkeel.messages.position import ExitReason, PositionClosed
from evenkeel.rules.performance import strategy_of
from evenkeel.rules.view_state import ViewState
from evenkeel.runtime.journal import JournalError


class Trade(NamedTuple):
    """`seq` is the record of its close: `evenkeel why seq N`."""

    seq: int
    closed: PositionClosed


class Trades(NamedTuple):
    """In the order of the journal. `specs` by symbol and spec_id; `account` as last read, None before the first reading."""

    trades: list[Trade]
    specs: dict[tuple[str, int], SymbolSpec]
    account: AccountRead | None

    @property
    def currency(self) -> str:
        return self.account.currency if self.account else ""

    @property
    def currency_digits(self) -> int:
        return self.account.currency_digits if self.account else 2


def add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--symbol", help="trades in this symbol alone")
    parser.add_argument("--strategy", help="trades of this strategy alone, by its name in the configuration")
    parser.add_argument(
        "--reason", choices=sorted(reason.value for reason in ExitReason), help="trades that ended for this reason alone"
    )
    parser.add_argument("--since", type=since_utc_ms, metavar="TIME", help=f"trades closed since then: {SINCE_HELP}")


def is_filtered(arguments: argparse.Namespace) -> bool:
    return any(value is not None for value in (arguments.symbol, arguments.strategy, arguments.reason, arguments.since))


def wanted_by(arguments: argparse.Namespace) -> Callable[[PositionClosed], bool]:
    """What the flags of `add_filters` let through."""
    symbol, strategy, reason, since = arguments.symbol, arguments.strategy, arguments.reason, arguments.since

    def is_wanted(closed: PositionClosed) -> bool:
        return (
            (symbol is None or closed.symbol == symbol)
            and (strategy is None or strategy_of(closed) == strategy)
            and (reason is None or closed.reason.value == reason)
            and (since is None or closed.closed_utc_ms >= since)
        )

    return is_wanted


def trades_asked_for(arguments: argparse.Namespace) -> tuple[StateFolder, Trades] | int:
    """The account's folder and its trades that the flags of `add_filters` let through; a status where one line says why not."""
    try:
        folder = StateFolder(state_root(), arguments.account)
        return folder, trades_in(folder.journal, wanted_by(arguments))
    except StateError as error:
        print(f"{arguments.command}: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (JournalError, msgspec.DecodeError) as error:
        print(f"{arguments.command}: the journal cannot be read: {error}", file=sys.stderr)
        return exit_codes.FAILED


def trades_in(folder: Path, is_wanted: Callable[[PositionClosed], bool]) -> Trades:
    """Raises JournalError, or msgspec's for another build's message. A folder without a journal holds no trades."""
    known = ViewState()
    trades: list[Trade] = []
    specs: dict[tuple[str, int], SymbolSpec] = {}
    with DayFiles(folder) as files:
        for said in said_of(files, (PositionClosed, SymbolSpecified), known=known):
            if isinstance(said.message, SymbolSpecified):
                specs[said.message.spec.symbol, said.message.spec.spec_id] = said.message.spec
            elif is_wanted(said.message):
                trades.append(Trade(said.record.seq, said.message))
    return Trades(trades, specs, known.account)
