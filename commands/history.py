"""`evenkeel history`: the closed trades out of the journal, newest first."""

import argparse
import sys
from typing import Final

import msgspec

from evenkeel.commands import exit_codes
from evenkeel.commands.flags import count
from evenkeel.commands.tables import columns, table
from evenkeel.commands.trades import Trade, Trades, add_filters, trades_asked_for
from evenkeel.messages.market import Direction
from evenkeel.messages.position import ClosedBy, ExitReason
from evenkeel.rules.instants import duration_text, utc_text
from evenkeel.rules.performance import net_r, strategy_of
from evenkeel.rules.view import decimal_of, lots_of

TRADES_SHOWN: Final = 20
HEADER: Final = ("closed", "ticket", "symbol", "side", "lots", "entry", "exit", "net", "R", "held", "reason", "strategy")
LEFT_ALIGNED: Final = ("closed", "symbol", "side", "held", "reason", "strategy")


class ClosedTrade(msgspec.Struct, frozen=True, kw_only=True):
    """Prices and volume are decimals in the symbol's digits, null where its terms are not known any more. `r` is net."""

    seq: int
    ticket: int
    symbol: str
    direction: Direction
    volume_lots: str | None
    entry: str | None
    exit: str | None
    opened_utc_ms: int
    closed_utc_ms: int
    trading_day: str
    reason: ExitReason
    by: ClosedBy
    profit_cents: int
    commission_cents: int
    swap_cents: int
    net_cents: int
    r: float | None
    strategy: str
    chain_id: str


class HistoryReport(msgspec.Struct, frozen=True):
    """What `--json` prints; `more` is how many older trades the flags let through and `--lines` did not."""

    account: str
    currency: str
    currency_digits: int
    trades: list[ClosedTrade]
    more: int
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser)
    parser.add_argument("-n", "--lines", type=count, default=TRADES_SHOWN, help="how many trades (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """0, also without trades; 1 when the journal cannot be read."""
    asked = trades_asked_for(arguments)
    if isinstance(asked, int):
        return asked
    _, found = asked
    newest = sorted(found.trades, key=lambda trade: (trade.closed.closed_utc_ms, trade.seq), reverse=True)
    shown = [_shown(trade, found) for trade in newest[: arguments.lines]]
    more = len(newest) - len(shown)
    if arguments.json:
        named = (arguments.account, found.currency, found.currency_digits)
        print(msgspec.json.encode(HistoryReport(*named, shown, more)).decode())
        return exit_codes.OK
    rows = [_row(trade, found.currency_digits) for trade in shown]
    lines = table(HEADER, rows, left_aligned=LEFT_ALIGNED, width=columns()) if rows else ["no closed trades"]
    print("\n".join(lines))
    if more:
        print(f"history: {more} older: -n {len(newest)} shows all", file=sys.stderr)
    return exit_codes.OK


def _shown(trade: Trade, found: Trades) -> ClosedTrade:
    closed = trade.closed
    spec = found.specs.get((closed.symbol, closed.spec_id))
    r = net_r(closed, found.specs)
    return ClosedTrade(
        seq=trade.seq,
        ticket=closed.ticket,
        symbol=closed.symbol,
        direction=closed.direction,
        volume_lots=lots_of(closed.volume_steps, spec) if spec else None,
        entry=decimal_of(closed.entry_points, spec.digits) if spec else None,
        exit=decimal_of(closed.close_points, spec.digits) if spec else None,
        opened_utc_ms=closed.opened_utc_ms,
        closed_utc_ms=closed.closed_utc_ms,
        trading_day=closed.trading_day,
        reason=closed.reason,
        by=closed.by,
        profit_cents=closed.profit_cents,
        commission_cents=closed.commission_cents,
        swap_cents=closed.swap_cents,
        net_cents=closed.net_cents,
        r=None if r is None else round(r, 4),
        strategy=strategy_of(closed),
        chain_id=closed.lineage.chain_id,
    )


def _row(trade: ClosedTrade, currency_digits: int) -> tuple[str, ...]:
    return (
        utc_text(trade.closed_utc_ms),
        str(trade.ticket),
        trade.symbol,
        trade.direction.value,
        trade.volume_lots or "?",
        trade.entry or "?",
        trade.exit or "?",
        decimal_of(trade.net_cents, currency_digits),
        "?" if trade.r is None else f"{trade.r:+.2f}",
        duration_text(max(0, trade.closed_utc_ms - trade.opened_utc_ms)),
        f"{trade.reason.value} ({trade.by.value})",
        trade.strategy,
    )
