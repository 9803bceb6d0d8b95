"""Statistics over closed trades: what the deals paid, nothing annualised, nothing estimated."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from evenkeel.messages.market import Direction
from evenkeel.messages.position import PositionClosed


class Report(msgspec.Struct, frozen=True):
    """Money is net: profit, commission and swap together. Losses are negative, the drawdown is positive.

    `average_r` None: no trade had a stop; `exits` counts trades by the reason of their close.
    """

    trades: int
    won: int
    net_cents: int
    gross_profit_cents: int
    gross_loss_cents: int
    largest_loss_cents: int
    drawdown_max_cents: int
    average_r: float | None
    exits: dict[str, int]

    @property
    def win_ratio(self) -> float | None:
        """Won trades of all trades; None without trades."""
        return self.won / self.trades if self.trades else None

    @property
    def profit_factor(self) -> float | None:
        """Gross profit for each cent of gross loss; None without a loss."""
        return self.gross_profit_cents / -self.gross_loss_cents if self.gross_loss_cents else None


def report_of(closed: Sequence[PositionClosed]) -> Report:
    """`closed` in the order of their closes, which is what the drawdown is about. A trade that nets 0 is not won."""
    nets_cents = [trade.net_cents for trade in closed]
    rs = [r for trade in closed if (r := r_multiple(trade)) is not None]
    return Report(
        trades=len(closed),
        won=sum(net_cents > 0 for net_cents in nets_cents),
        net_cents=sum(nets_cents),
        gross_profit_cents=sum(net_cents for net_cents in nets_cents if net_cents > 0),
        gross_loss_cents=sum(net_cents for net_cents in nets_cents if net_cents < 0),
        largest_loss_cents=min(0, *nets_cents) if nets_cents else 0,
        drawdown_max_cents=drawdown_max_cents(nets_cents),
        average_r=sum(rs) / len(rs) if rs else None,
        exits=dict(Counter(trade.reason.value for trade in closed).most_common()),
    )


def r_multiple(trade: PositionClosed) -> float | None:
    """Points won for each point between entry and first stop, before costs; None for a trade without a stop."""
    risk_points = abs(trade.entry_points - trade.first_stop_points) if trade.first_stop_points else 0
    won_points = trade.close_points - trade.entry_points
    if trade.direction is Direction.SELL:
        won_points = -won_points
    return won_points / risk_points if risk_points else None


def drawdown_max_cents(nets_cents: Sequence[int]) -> int:
    """The deepest fall of the running sum below its highest value so far, the 0 before the first trade included."""
    equity_cents = peak_cents = deepest_cents = 0
    for net_cents in nets_cents:
        equity_cents += net_cents
        peak_cents = max(peak_cents, equity_cents)
        deepest_cents = max(deepest_cents, peak_cents - equity_cents)
    return deepest_cents
