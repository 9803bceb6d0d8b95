"""Statistics over closed trades."""

import pytest

from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed
from evenkeel.rules.report import drawdown_max_cents, r_multiple, report_of


def closed(
    net_cents: int = 0,
    *,
    direction: Direction = Direction.BUY,
    entry: int = 110_000,
    close: int = 110_000,
    first_stop: int = 109_900,
    reason: ExitReason = ExitReason.STOP,
) -> PositionClosed:
    return PositionClosed(
        ticket=1,
        symbol="EURUSD",
        spec_id=1,
        direction=direction,
        volume_steps=10,
        entry_points=entry,
        close_points=close,
        first_stop_points=first_stop,
        target_points=0,
        opened_utc_ms=0,
        closed_utc_ms=1,
        reason=reason,
        by=ClosedBy.APP,
        profit_cents=net_cents + 7,
        commission_cents=-7,
        swap_cents=0,
        net_cents=net_cents,
        reserved_cents=0,
        trading_day="2026-01-05",
        lineage=Lineage("strategy", "ma_cross"),
    )


def test_sums_are_net_and_a_trade_that_nets_nothing_is_neither_won_nor_lost() -> None:
    report = report_of([closed(2000), closed(-1000), closed(0), closed(-1500), closed(1000)])
    assert (report.trades, report.won, report.win_ratio) == (5, 2, 0.4)
    assert (report.net_cents, report.gross_profit_cents, report.gross_loss_cents) == (500, 3000, -2500)
    assert (report.largest_loss_cents, report.profit_factor) == (-1500, 1.2)


def test_without_trades_there_are_no_ratios() -> None:
    report = report_of([])
    assert (report.win_ratio, report.profit_factor, report.average_r) == (None, None, None)
    assert (report.net_cents, report.largest_loss_cents, report.drawdown_max_cents, report.exits) == (0, 0, 0, {})


def test_without_a_loss_there_is_no_profit_factor_and_no_largest_loss() -> None:
    report = report_of([closed(10)])
    assert (report.profit_factor, report.largest_loss_cents, report.drawdown_max_cents) == (None, 0, 0)


@pytest.mark.parametrize(
    "nets_cents, deepest_cents",
    [
        ([100, -50, -60, 30], 110),
        ([-50, -60, 500], 110),  # the start balance is a peak too
        ([100, -50, 200, -70], 70),
        ([100, -50, 200, -40], 50),
    ],
)
def test_the_drawdown_is_the_deepest_fall_below_the_highest_equity_before(nets_cents: list[int], deepest_cents: int) -> None:
    assert drawdown_max_cents(nets_cents) == deepest_cents


@pytest.mark.parametrize(
    "trade, r",
    [
        (closed(entry=110_000, close=110_200, first_stop=109_900), 2.0),
        (closed(entry=110_000, close=109_850, first_stop=109_900), -1.5),
        (closed(direction=Direction.SELL, entry=110_000, close=109_800, first_stop=110_100), 2.0),
        (closed(direction=Direction.SELL, entry=110_000, close=110_100, first_stop=110_100), -1.0),
        (closed(first_stop=0), None),
    ],
)
def test_r_is_points_won_for_each_point_risked(trade: PositionClosed, r: float | None) -> None:
    assert r_multiple(trade) == r


def test_the_average_r_leaves_out_trades_without_a_stop() -> None:
    trades = [closed(close=110_200), closed(close=109_900), closed(close=110_300, first_stop=0)]
    assert report_of(trades).average_r == 0.5


def test_exits_are_counted_by_reason_the_most_frequent_first() -> None:
    trades = [closed(reason=ExitReason.TARGET), closed(), closed(), closed(reason=ExitReason.EMERGENCY)]
    assert list(report_of(trades).exits.items()) == [("stop", 2), ("target", 1), ("emergency", 1)]
