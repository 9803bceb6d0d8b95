"""What a run is judged by, over its closed trades, its equity and its days. Nothing is annualised, nothing estimated."""

from collections.abc import Iterable, Sequence
from math import isfinite
from statistics import fmean, stdev

import msgspec

from evenkeel.messages.position import PositionClosed
from evenkeel.rules.equity_curve import Day
from evenkeel.rules.execution_costs import CostSums
from evenkeel.rules.report import report_of


class Statistics(msgspec.Struct, frozen=True):
    """Money is net where it says nothing else; losses and costs are negative, drawdowns positive. None: not defined here.

    `expectancy_cents` and `average_r` are means over the trades; `profit_cents` is before commission and swap, and
    `costs` are in it.
    """

    trades: int
    won: int
    win_ratio: float | None
    net_cents: int
    gross_profit_cents: int
    gross_loss_cents: int
    profit_factor: float | None
    expectancy_cents: float | None
    average_r: float | None
    largest_loss_cents: int
    closed_drawdown_max_cents: int
    equity_drawdown_max_cents: int
    equity_drawdown_max_ratio: float
    sharpe_daily: float | None
    exposure_ratio: float | None
    profit_cents: int
    commission_cents: int
    swap_cents: int
    exits: dict[str, int]
    costs: CostSums = CostSums(0, 0, 0, 0)


def statistics_of(
    closed: Sequence[PositionClosed],
    *,
    start_cents: int,
    days: Sequence[Day],
    drawdown: tuple[int, float],
    held: Iterable[tuple[int, int | None]],
    from_utc_ms: int,
    to_utc_ms: int,
    costs: CostSums,
) -> Statistics:
    """`closed` in the order of their closes; `drawdown` of equity: money, share; `held`: from, to (None: still)."""
    report = report_of(closed)
    return Statistics(
        trades=report.trades,
        won=report.won,
        win_ratio=report.win_ratio,
        net_cents=report.net_cents,
        gross_profit_cents=report.gross_profit_cents,
        gross_loss_cents=report.gross_loss_cents,
        profit_factor=report.profit_factor,
        expectancy_cents=report.net_cents / report.trades if report.trades else None,
        average_r=report.average_r,
        largest_loss_cents=report.largest_loss_cents,
        closed_drawdown_max_cents=report.drawdown_max_cents,
        equity_drawdown_max_cents=drawdown[0],
        equity_drawdown_max_ratio=drawdown[1],
        sharpe_daily=sharpe_daily(start_cents, [day.equity_cents for day in days]),
        exposure_ratio=exposure_ratio(held, from_utc_ms, to_utc_ms),
        profit_cents=sum(trade.profit_cents for trade in closed),
        commission_cents=sum(trade.commission_cents for trade in closed),
        swap_cents=sum(trade.swap_cents for trade in closed),
        exits=report.exits,
        costs=costs,
    )


def sharpe_daily(start_cents: int, equity_cents: Sequence[int]) -> float | None:
    """Mean / sample standard deviation of each day's equity / that of the day before - 1; the first day's before is the start.

    Not annualised, without a rate of interest. None with fewer than two days, no spread, or equity that was not positive.
    """
    before = [start_cents, *equity_cents[:-1]]
    if len(equity_cents) < 2 or min(before) <= 0:
        return None
    returns = [now / then - 1 for then, now in zip(before, equity_cents, strict=True)]
    spread = stdev(returns)
    return fmean(returns) / spread if spread and isfinite(spread) else None


def exposure_ratio(held: Iterable[tuple[int, int | None]], from_utc_ms: int, to_utc_ms: int) -> float | None:
    """The share of the time in which at least one position was open; weekends count as time. None when no time passed."""
    if to_utc_ms <= from_utc_ms:
        return None
    covered_ms, reached_utc_ms = 0, from_utc_ms
    for start_utc_ms, end_utc_ms in sorted((start, to_utc_ms if end is None else end) for start, end in held):
        start_utc_ms, end_utc_ms = max(start_utc_ms, reached_utc_ms), min(end_utc_ms, to_utc_ms)
        if end_utc_ms > start_utc_ms:
            covered_ms += end_utc_ms - start_utc_ms
            reached_utc_ms = end_utc_ms
    return covered_ms / (to_utc_ms - from_utc_ms)
