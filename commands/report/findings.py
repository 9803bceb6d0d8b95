"""What a page is made of: the part of a back-test's JSON that is drawn, and the same of a recorded run.

Unreadable     a file is no result of `--json`, or one of an older version
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from evenkeel.commands.backtest.report import Account, BacktestResult, OpenTrade, Refusals, Trade
from evenkeel.rules.account_figures import AccountFigures
from evenkeel.rules.equity_curve import Day
from evenkeel.rules.instants import utc_text
from evenkeel.rules.run_difference import Decision
from evenkeel.rules.run_statistics import Statistics
from evenkeel.rules.thinning import Stretch

BYTES_MAX: Final = 256 * 1024 * 1024
"""Of a file that is read: about a million trades."""


class Unreadable(Exception):
    """One line that names the file."""


class Findings(msgspec.Struct, frozen=True):
    """The names and meanings are those of `BacktestResult`. `journal_sha256` "": of a recorded run, which has a number,
    and `of_account` over its minute snapshots, where it has any."""

    symbol: str
    trades: list[Trade]
    open: list[OpenTrade]
    days: list[Day]
    refusals: list[Refusals]
    account: Account
    strategy: str
    settings: dict[str, Any]
    digits: dict[str, int]
    from_utc_ms: int
    to_utc_ms: int
    statistics: Statistics
    equity: list[Stretch]
    drawdown: list[Stretch]
    prices: dict[str, list[Stretch]]
    journal_sha256: str = ""
    v: int = 1
    of_account: AccountFigures | None = None

    @property
    def title(self) -> str:
        return f"{self.strategy} on {self.symbol.replace(',', ', ')}"

    @property
    def span(self) -> str:
        return f"{utc_text(self.from_utc_ms)} to {utc_text(self.to_utc_ms)}"


def findings_of(result: BacktestResult) -> Findings:
    return msgspec.convert(result, Findings, from_attributes=True)


def read(path: Path) -> Findings:
    """Raises Unreadable."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise Unreadable(f"{path}: has more than {BYTES_MAX:,} bytes")
        return msgspec.json.decode(path.read_bytes(), type=Findings)
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: is no result of this version's backtest --json: {error}") from error


def decisions_of(findings: Findings) -> list[Decision]:
    """Each opening and each close."""
    trades: list[Trade | OpenTrade] = [*findings.trades, *findings.open]
    opened = [_opening(trade, findings.digits) for trade in trades]
    return [*opened, *(_close(trade, findings.digits) for trade in findings.trades)]


def price_text(price: float, digits: int) -> str:
    return f"{price:.{digits}f}"


def _opening(trade: Trade | OpenTrade, digits: dict[str, int]) -> Decision:
    price = price_text(trade.open_price, digits[trade.symbol])
    return Decision(trade.open_utc_ms, trade.symbol, "opened", f"{trade.direction} {trade.volume_lots:g} lots at {price}")


def _close(trade: Trade, digits: dict[str, int]) -> Decision:
    price = price_text(trade.close_price, digits[trade.symbol])
    text = f"{trade.direction} {trade.volume_lots:g} lots at {price} by {trade.reason}"
    return Decision(trade.close_utc_ms, trade.symbol, "closed", text)
