import msgspec
import pytest

from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction, PointWorth, SymbolSpec
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed
from evenkeel.rules.performance import By, figures_of, group_of, net_r, performance

USDJPY = SymbolSpec(3, "USDJPY", 3, 100_000, 100, 1, 10_000, 0, PointWorth(133, 2), 150_000, 10)
SPECS = {("USDJPY", 3): USDJPY}
WON = PositionClosed(
    7, "USDJPY", 3, Direction.SELL, 10, 150_000, 149_800, 150_100, 0, 1_000, 2_000, ExitReason.TARGET, ClosedBy.APP,
    1_330, -70, -10, 1_250, 800, "2026-01-05", Lineage("strategy", "trend"),
)  # fmt: skip


def closed(net_cents: int, day: str = "2026-01-05", at_utc_ms: int = 2_000, **changes: object) -> PositionClosed:
    return msgspec.structs.replace(WON, net_cents=net_cents, trading_day=day, closed_utc_ms=at_utc_ms, **changes)


def test_r_is_net_of_costs_over_the_money_at_risk() -> None:
    """100 points of 0.10 lots at 66.50 cents a point and lot are 665 cents."""
    assert net_r(WON, SPECS) == pytest.approx(1_250 / 665)


@pytest.mark.parametrize("changes", [{"first_stop_points": 0}, {"first_stop_points": 150_000}, {"spec_id": 4}])
def test_a_trade_without_a_stop_or_known_terms_has_no_r(changes: dict[str, int]) -> None:
    assert net_r(msgspec.structs.replace(WON, **changes), SPECS) is None


def test_figures_of_a_few_trades() -> None:
    trades = [closed(500, at_utc_ms=1), closed(-300, at_utc_ms=2), closed(-400, at_utc_ms=3), closed(0, at_utc_ms=4)]
    figures = figures_of("all", trades[::-1], SPECS)
    assert (figures.trades, figures.won, figures.win_ratio, figures.net_cents) == (4, 1, 0.25, -200)
    assert figures.profit_factor == pytest.approx(500 / 700)
    assert figures.expectancy_r == pytest.approx(-200 / 665 / 4)
    assert (figures.costs_cents, figures.drawdown_max_cents) == (-320, 700)


def test_an_order_that_never_was_a_position_is_no_trade() -> None:
    assert figures_of("all", [closed(0, reason=ExitReason.NEVER_OPENED)], SPECS).trades == 0


@pytest.mark.parametrize(
    "by, day, group",
    [
        ("day", "2026-01-01", "2026-01-01"),
        ("week", "2026-01-01", "2026-W01"),
        ("week", "2027-01-01", "2026-W53"),
        ("month", "2026-01-01", "2026-01"),
        ("week", "", "unknown"),
        ("strategy", "", "trend"),
        ("symbol", "", "USDJPY"),
        ("reason", "", "target"),
    ],
)
def test_what_a_trade_is_counted_under(by: By, day: str, group: str) -> None:
    assert group_of(closed(1, day), by) == group


def test_days_come_in_order_and_others_best_first() -> None:
    trades = [closed(5, "2026-01-06"), closed(9, "2026-01-05"), closed(50, "2026-01-06", symbol="EURUSD")]
    assert [row.group for row in performance(trades, SPECS, "day")] == ["2026-01-05", "2026-01-06"]
    assert [row.group for row in performance(trades, SPECS, "symbol")] == ["EURUSD", "USDJPY"]
