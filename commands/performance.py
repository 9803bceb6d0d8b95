"""`evenkeel performance`: what the closed trades earned, by day, week, month, strategy, symbol or exit reason."""

import argparse
import sys
from typing import Final

import msgspec

from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.tables import columns, table
from evenkeel.commands.trades import Trades, add_filters, trades_in, wanted_by
from evenkeel.rules.performance import BY, By, Figures, figures_of, performance
from evenkeel.rules.view import decimal_of
from evenkeel.runtime.journal import JournalError

TOTAL: Final = "total"
EXPLANATION: Final = """\
Money is net: profit, commission and swap together, from the broker's deals.
  won       trades with a net above 0, of all
  factor    gross profit for each unit of gross loss; - without a loss
  R         mean of a trade's net over what it risked: entry to first stop, whole volume
  drawdown  deepest fall of the running sum below its peak, over the trades of the row
Days are trading days ([trading_calendar]); weeks are ISO weeks.
"""


class PerformanceReport(msgspec.Struct, frozen=True):
    """What `--json` prints. Money is in cents of `currency`, which has `currency_digits`."""

    account: str
    currency: str
    currency_digits: int
    by: By
    total: Figures
    groups: list[Figures]
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument("--by", choices=BY, default="day", help="one row for each of these (default: %(default)s)")
    add_filters(parser)


def run(arguments: argparse.Namespace) -> int:
    """0, also without trades; 1 when the journal cannot be read."""
    try:
        folder = StateFolder(state_root(), arguments.account)
        found = trades_in(folder.journal, wanted_by(arguments))
    except StateError as error:
        print(f"performance: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (JournalError, msgspec.DecodeError) as error:
        print(f"performance: the journal cannot be read: {error}", file=sys.stderr)
        return exit_codes.FAILED
    closed = [trade.closed for trade in found.trades]
    rows = performance(closed, found.specs, arguments.by)
    total = figures_of(TOTAL, closed, found.specs)
    if arguments.json:
        named = (arguments.account, found.currency, found.currency_digits, arguments.by)
        print(msgspec.json.encode(PerformanceReport(*named, total, rows)).decode())
    elif total.trades:
        print("\n".join(_lines(arguments.by, [*rows, total], found)))
    else:
        print("no closed trades")
    return exit_codes.OK


def _lines(by: By, rows: list[Figures], found: Trades) -> list[str]:
    money = f"net {found.currency}".strip()
    header = (by, "trades", "won", money, "costs", "factor", "R", "drawdown")
    cells = [
        (
            row.group,
            str(row.trades),
            "-" if row.win_ratio is None else f"{row.win_ratio:.0%}",
            decimal_of(row.net_cents, found.currency_digits),
            decimal_of(row.costs_cents, found.currency_digits),
            "-" if row.profit_factor is None else f"{row.profit_factor:.2f}",
            "-" if row.expectancy_r is None else f"{row.expectancy_r:+.2f}",
            decimal_of(row.drawdown_max_cents, found.currency_digits),
        )
        for row in rows
    ]
    return table(header, cells, left_aligned=(by,), width=columns())
