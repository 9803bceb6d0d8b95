from typing import Any

import msgspec
import pytest

from evenkeel.messages.broker_gateway import AccountRead, Cash, CashKind, CashMoved
from evenkeel.messages.entry import DenialReason, Lineage, OrderDenied
from evenkeel.messages.market import Direction
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.snapshots import Loop, Snapshot, Tally, count, snapshot_of

LINEAGE = Lineage("strategy", "ma_cross", proposal_id="EURUSD-1")


def opened(ticket: int) -> PositionOpened:
    return PositionOpened(ticket, "EURUSD", 1, Direction.BUY, 10, 110_000, 109_900, 110_200, 0, 1_000, 1_000, LINEAGE)


def closed(ticket: int, net_cents: int, reason: ExitReason = ExitReason.STOP) -> PositionClosed:
    return PositionClosed(
        *(ticket, "EURUSD", 1, Direction.BUY, 10, 110_000, 109_900, 109_900, 110_200, 1_000, 2_000),
        *(reason, ClosedBy.APP, net_cents, 0, 0, net_cents, 1_000, "2026-01-05", LINEAGE),
    )


def read(equity_cents: int) -> AccountRead:
    return AccountRead(1_000_000, equity_cents, 0, "USD", 2, 100)


def denied(by: str) -> OrderDenied:
    return OrderDenied("EURUSD-2", "EURUSD", Direction.BUY, by, DenialReason.POSITIONS, 5, 4, "count", LINEAGE)


def after(*messages: Any) -> Snapshot:
    tally = Tally()
    for message in messages:
        count(tally, message)
    return snapshot_of(tally, Loop(), utc_ms=1, written_utc_ms=2, alarms=0, lost=0)


def day(name: str) -> TradingDayStarted:
    return TradingDayStarted(name, 0, 1, 1)


def test_before_anything_is_known_nothing_is_claimed() -> None:
    empty = after()
    assert (empty.balance_cents, empty.equity_cents, empty.day_cents, empty.win_ratio, empty.drawdown_ppm) == (None,) * 5


def test_the_win_ratio_is_of_all_trades_whatever_day_it_is() -> None:
    shown = after(opened(1), closed(1, 50), opened(2), closed(2, -20), day("2026-01-06"), opened(3), closed(3, 0))
    assert (shown.win_ratio, shown.trades, shown.won, shown.day_trades) == (pytest.approx(1 / 3), 3, 1, 1)
    assert (shown.total_net_cents, shown.day_net_cents) == (30, 0)


def test_the_drawdown_is_of_equity_with_what_floats_and_the_deepest_stays() -> None:
    shown = after(read(1_000_000), read(900_000), read(950_000))
    assert (shown.drawdown_ppm, shown.drawdown_max_ppm) == (50_000, 100_000)


def test_a_withdrawal_is_neither_drawdown_nor_loss_of_the_day() -> None:
    withdrawn = CashMoved(Cash(5, CashKind.BALANCE, -400_000, "", 0))
    shown = after(read(1_000_000), day("2026-01-06"), withdrawn, read(600_000))
    assert (shown.drawdown_max_ppm, shown.day_cents) == (0, 0)


def test_a_position_that_is_told_twice_is_opened_once() -> None:
    shown = after(opened(1), msgspec.structs.replace(opened(1), provisional=False))
    assert (shown.positions, shown.decisions.opened) == (1, 1)


def test_an_order_that_never_became_a_position_is_no_trade() -> None:
    shown = after(opened(1), closed(1, 0, ExitReason.NEVER_OPENED))
    assert (shown.positions, shown.trades) == (0, 0)


def test_refusals_are_counted_by_who_refused() -> None:
    shown = after(denied("position/EURUSD"), denied("position/GBPUSD"), denied("risk_limit"))
    assert shown.decisions.denied == {"position": 2, "risk_limit": 1}
