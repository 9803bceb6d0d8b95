"""Closed trades by what they have in common: day, week, month, strategy, symbol, exit reason. Net of costs throughout.

R is what a trade risked: the move from its entry to its first stop, of its whole volume, at the worth that its symbol's
terms had then.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

from evenkeel.messages.market import SymbolSpec
from evenkeel.messages.position import ExitReason, PositionClosed
from evenkeel.rules.report import report_of

By = Literal["day", "week", "month", "strategy", "symbol", "reason"]
BY: Final[tuple[By, ...]] = get_args(By)
OF_TIME: Final[tuple[By, ...]] = ("day", "week", "month")
UNKNOWN: Final = "unknown"
SpecsById = Mapping[tuple[str, int], SymbolSpec]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of the trades of one group. Money is in cents and net; `costs_cents` (commission and swap) is part of it, negative
    where it was paid.

    `win_ratio` is of all trades, a trade that nets 0 is not won. `profit_factor` is gross profit for each cent of gross
    loss, None without a loss. `expectancy_r` is the mean of net money over money at risk, None where no trade had a stop
    and known terms. `drawdown_max_cents` is the deepest fall of the group's own running sum below its peak.
    """

    group: str
    trades: int
    won: int
    net_cents: int
    costs_cents: int
    gross_profit_cents: int
    gross_loss_cents: int
    win_ratio: float | None
    profit_factor: float | None
    expectancy_r: float | None
    drawdown_max_cents: int


def performance(closed: Sequence[PositionClosed], specs: SpecsById, by: By) -> list[Figures]:
    """A row for each group: groups of time in their order, others by what they earned, best first."""
    groups: dict[str, list[PositionClosed]] = {}
    for trade in closed:
        groups.setdefault(group_of(trade, by), []).append(trade)
    rows = [figures_of(name, trades, specs) for name, trades in groups.items()]
    if by in OF_TIME:
        return sorted(rows, key=lambda row: row.group)
    return sorted(rows, key=lambda row: (-row.net_cents, row.group))


def figures_of(group: str, closed: Sequence[PositionClosed], specs: SpecsById) -> Figures:
    """An order that never became a position is no trade."""
    trades = sorted((one for one in closed if one.reason is not ExitReason.NEVER_OPENED), key=lambda one: one.closed_utc_ms)
    report = report_of(trades)
    rs = [r for trade in trades if (r := net_r(trade, specs)) is not None]
    return Figures(
        group=group,
        trades=report.trades,
        won=report.won,
        net_cents=report.net_cents,
        costs_cents=sum(trade.commission_cents + trade.swap_cents for trade in trades),
        gross_profit_cents=report.gross_profit_cents,
        gross_loss_cents=report.gross_loss_cents,
        win_ratio=report.win_ratio,
        profit_factor=report.profit_factor,
        expectancy_r=sum(rs) / len(rs) if rs else None,
        drawdown_max_cents=report.drawdown_max_cents,
    )


def net_r(trade: PositionClosed, specs: SpecsById) -> float | None:
    """Net money for each cent at risk; None for a trade without a stop, or in terms that are not known any more."""
    spec = specs.get((trade.symbol, trade.spec_id))
    if spec is None or not trade.first_stop_points or not trade.entry_points:
        return None
    risk_points = abs(trade.entry_points - trade.first_stop_points)
    worth = risk_points * trade.volume_steps * spec.worth.numerator
    return trade.net_cents * spec.worth.denominator * spec.steps_per_lot / worth if worth else None


def strategy_of(trade: PositionClosed) -> str:
    """Who wanted it: a strategy by its name, else what the order came from."""
    return trade.lineage.strategy or trade.lineage.origin


def group_of(trade: PositionClosed, by: By) -> str:
    """Days are trading days; a week is ISO's, which begins on a Monday."""
    match by:
        case "day":
            return trade.trading_day or UNKNOWN
        case "week":
            return _week_of(trade.trading_day)
        case "month":
            return trade.trading_day[:7] or UNKNOWN
        case "strategy":
            return strategy_of(trade)
        case "symbol":
            return trade.symbol
        case "reason":
            return trade.reason.value


def _week_of(day: str) -> str:
    if not day:
        return UNKNOWN
    year, week, _ = datetime.date.fromisoformat(day).isocalendar()
    return f"{year}-W{week:02d}"
