"""`evenkeel performance`: what the closed trades earned, by day, week, month, strategy, symbol or exit reason."""

import argparse
import sys
import textwrap
from typing import Final

import msgspec

from evenkeel.adapters.snapshot_files import newest_snapshots
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.tables import columns, table
from evenkeel.commands.trades import Trades, add_filters, is_filtered, trades_asked_for
from evenkeel.rules.account_figures import AccountFigures, account_figures
from evenkeel.rules.instants import utc_text
from evenkeel.rules.performance import BY, By, Figures, figures_of, performance
from evenkeel.rules.view import decimal_of

TOTAL: Final = "total"
EXPLANATION: Final = """\
Money is net: profit, commission and swap together, from the broker's deals.
  won       trades with a net above 0, of all
  factor    gross profit for each unit of gross loss; - without a loss
  R         mean of a trade's net over what it risked: entry to first stop, whole volume
  drawdown  deepest fall of the running sum below its peak, over the trades of the row
Days are trading days ([trading_calendar]); weeks are ISO weeks.

Without a filter the account itself follows, over its newest minute snapshots (at most 10,000, a week):
  capital   equity, what floats included: mean, median, sample standard deviation, lowest, highest
  last      net of the trades closed since, its share of the equity then, and the change of equity, what floats and what
            came or went included; (from TIME) where the snapshots do not reach back so far
  drawdown  equity below its highest, now and at most
  decisions orders opened or refused, for each 1,000 quotes that were looked at
"""


class PerformanceReport(msgspec.Struct, frozen=True):
    """What `--json` prints. Money is in cents of `currency`, which has `currency_digits`.

    `exits` are the same trades by the reason of their end. `of_account` is over the newest minute snapshots, whatever is
    filtered; null without any.
    """

    account: str
    currency: str
    currency_digits: int
    by: By
    total: Figures
    groups: list[Figures]
    v: int = 1
    exits: list[Figures] = []
    of_account: AccountFigures | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument("--by", choices=BY, default="day", help="one row for each of these (default: %(default)s)")
    add_filters(parser)


def run(arguments: argparse.Namespace) -> int:
    """0, also without trades; 1 when the journal cannot be read."""
    asked = trades_asked_for(arguments)
    if isinstance(asked, int):
        return asked
    folder, found = asked
    closed = [trade.closed for trade in found.trades]
    rows = performance(closed, found.specs, arguments.by)
    total = figures_of(TOTAL, closed, found.specs)
    of_account = _of_account(folder)
    if arguments.json:
        named = (arguments.account, found.currency, found.currency_digits, arguments.by)
        exits = performance(closed, found.specs, "reason")
        report = PerformanceReport(*named, total, rows, exits=exits, of_account=of_account)
        print(msgspec.json.encode(report).decode())
        return exit_codes.OK
    print("\n".join(_lines(arguments.by, [*rows, total], found)) if total.trades else "no closed trades")
    if of_account is not None and not is_filtered(arguments):
        print("\n" + "\n".join(account_lines(of_account, found.currency, found.currency_digits, columns())))
    return exit_codes.OK


def _of_account(folder: StateFolder) -> AccountFigures | None:
    """None, and a line, where the snapshots cannot be read: the journal is what counts."""
    try:
        return account_figures(newest_snapshots(folder.snapshots))
    except OSError as error:
        print(f"performance: the snapshots cannot be read: {error.strerror}", file=sys.stderr)
        return None


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


def account_lines(figures: AccountFigures, currency: str, digits: int, width: int | None) -> list[str]:
    """In words, folded to `width`."""

    def money(cents: float | None) -> str:
        return "-" if cents is None else decimal_of(round(cents), digits)

    capital, rate = figures.capital, figures.decisions_per_1000_quotes
    lines = [f"account, {figures.snapshots:,} snapshots, money in {currency}".rstrip()]
    if capital is not None:
        lines.append(
            f"capital   mean {money(capital.mean_cents)}, median {money(capital.median_cents)}, deviation"
            f" {money(capital.stdev_cents)}, {money(capital.min_cents)} to {money(capital.max_cents)}"
        )
    for one in figures.recent:
        share = "" if one.net_ratio is None else f" ({one.net_ratio:+.2%})"
        since = "" if one.is_whole else f" (from {utc_text(one.from_utc_ms)})"
        lines.append(
            f"last {one.window:<4} net {money(one.net_cents)}{share}, equity {money(one.equity_change_cents)},"
            f" {one.trades} trades, {one.snapshots} snapshots{since}"
        )
    lines.append(f"drawdown  {share_of_ppm(figures.drawdown_ppm)}, at most {share_of_ppm(figures.drawdown_max_ppm)}")
    lines.append(f"decisions {figures.decisions:,}" + ("" if rate is None else f", {rate:.2f} for each 1,000 quotes"))
    return [part for line in lines for part in (textwrap.wrap(line, width, subsequent_indent="  ") if width else [line])]


def share_of_ppm(ppm: int | None) -> str:
    return "-" if ppm is None else f"{ppm / 1_000_000:.2%}"
