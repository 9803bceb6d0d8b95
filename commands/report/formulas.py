"""Every statistic of a page: its name, its number with the unit, and how it comes about."""

from collections.abc import Callable
from typing import Final, NamedTuple

from evenkeel.commands.report.markup import Cell
from evenkeel.commands.report.numbers import Money, count, percent, plain, r_text
from evenkeel.rules.run_statistics import Statistics


class Figure(NamedTuple):
    """`shown` takes the statistics and the money of their account."""

    name: str
    shown: Callable[[Statistics, Money], str | Cell]
    formula: str


def known(cents: int, statistics: Statistics, money: Money) -> str | Cell:
    """Nothing where no quote is known."""
    return money.cell(cents if statistics.costs.fills_known else None)


FIGURES: Final = (
    Figure("Trades", lambda s, money: count(s.trades), "positions that are closed; what is open at the end is not among them"),
    Figure("Won", lambda s, money: count(s.won), "trades with net > 0"),
    Figure("Win rate", lambda s, money: percent(s.win_ratio), "won / trades"),
    Figure("Net", lambda s, money: money.cell(s.net_cents), "sum over the trades of profit + commission + swap"),
    Figure("Gross profit", lambda s, money: money.cell(s.gross_profit_cents), "sum of net over the trades with net > 0"),
    Figure("Gross loss", lambda s, money: money.cell(s.gross_loss_cents), "sum of net over the trades with net < 0"),
    Figure("Profit factor", lambda s, money: plain(s.profit_factor), "gross profit / -gross loss; none without a loss"),
    Figure("Expectancy", lambda s, money: money.cell(s.expectancy_cents), "net / trades: what a trade made on average"),
    Figure(
        *("Average R", lambda s, money: r_text(s.average_r)),
        "mean over the trades with a first stop of points won / points between entry and first stop, before costs",
    ),
    Figure(
        *("Profit before costs", lambda s, money: money.cell(s.profit_cents)),
        "sum of what the prices made, spread and slippage included: net - commission - swap",
    ),
    Figure(
        *("Spread", lambda s, money: known(s.costs.spread_cents, s, money)),
        "sum over the fills of -(ask - bid) / 2 x volume x worth of a point, of the quote that the order was decided on",
    ),
    Figure(
        *("Slippage", lambda s, money: known(s.costs.slippage_cents, s, money)),
        "sum over the fills of (ask - price) of what bought, (price - bid) of what sold, x volume x worth of a point, against"
        " the same quote",
    ),
    Figure("Commission", lambda s, money: money.cell(s.commission_cents), "sum of the deals' commission, fees among it"),
    Figure("Swap", lambda s, money: money.cell(s.swap_cents), "sum of the deals' swap"),
    Figure("Largest loss", lambda s, money: money.cell(s.largest_loss_cents), "smallest net of a trade; 0 without a loss"),
    Figure(
        *("Max drawdown, closed", lambda s, money: money.text(s.closed_drawdown_max_cents)),
        "largest of (highest sum of nets so far - sum of nets), in the order of the closes, from 0 on",
    ),
    Figure(
        *("Max drawdown of equity", lambda s, money: money.text(s.equity_drawdown_max_cents)),
        "largest of (highest equity so far - equity), the start included, what floats included",
    ),
    Figure(
        *("Max drawdown of equity, share", lambda s, money: percent(s.equity_drawdown_max_ratio)),
        "largest of (highest equity so far - equity) / highest equity so far",
    ),
    Figure(
        *("Sharpe, daily", lambda s, money: plain(s.sharpe_daily)),
        "mean / sample standard deviation of the daily returns; a return is equity at the end of a day / equity at the end"
        " of the day before - 1, the first one against the start; days of UTC on which something was held or closed;"
        " not annualised, no rate of interest",
    ),
    Figure(
        *("Exposure time", lambda s, money: percent(s.exposure_ratio)),
        "time with at least one position open / time from the first to the last price, weekends included",
    ),
)
