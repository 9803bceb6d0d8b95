"""Days that became famous, as the packs of the simulated terminal play them: what the circuit breaker makes of each.

Two calm hours go before, and somebody wants to buy every half a minute.
"""

import pytest
from famous_days import BREAKER, Day

from evenkeel.config.circuit_breaker import STEPS
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import HoldPlaced
from evenkeel.messages.position import ClosedBy, ClosePosition, ExitReason, PositionClosed, PositionOpened

UNTOUCHED = {
    "entry.stop_pips": 600.0,
    "circuit_breaker.tighten_atr": "off",
    "limits.risk_per_trade_pct": 5.0,
}
"""Only the broker ends a position."""


def only(**steps: object) -> dict[str, object]:
    """A breaker with these triggers and no other."""
    return {f"circuit_breaker.{key}": steps.get(key, "off") for key in STEPS}


def bought(day: Day) -> Day:
    day.until(30)
    day.signal(Direction.BUY)
    assert day.opened() == 1
    return day


def test_pm2_a_floor_that_falls_costs_one_gap_and_nothing_is_opened_until_a_person_has_looked() -> None:
    day = bought(Day("chf-2015", "EURUSD"))
    day.until(2_510, wants=Direction.SELL)  # no quote since 120
    while_open = day.opened()
    day.until(9_000, wants=Direction.SELL)
    [closed] = day.said(PositionClosed)
    assert closed.close_points < 80_000
    assert len(day.said(ClosePosition)) <= 1
    assert day.opened() == while_open == 1
    assert BreakerLevel.BLACK in day.reached()
    assert [hold.until_utc_ms for hold in day.said(HoldPlaced) if hold.who == BREAKER][-1] == 0


@pytest.mark.parametrize(
    "trigger, steps, by_s",
    [("move_atr", (4.0, 6.0, 10.0), 180), ("spread_ratio", (3.0, 5.0, 10.0), 190), ("silence_s", (4.0, 6.0, 8.0), 245)],
)
def test_pm3_speed_spread_and_missing_quotes_each_halt_entries(trigger: str, steps: object, by_s: int) -> None:
    day = Day("gbp-2016", "GBPUSD", **only(**{trigger: steps})).until(by_s)
    assert day.reached()[-1] is BreakerLevel.RED
    before = day.opened()
    day.until(by_s + 600, wants=Direction.BUY)
    assert day.opened() == before
    assert day.denied_by_the_breaker()


def test_pm3_the_bounce_alone_opens_nothing_and_the_restart_is_small() -> None:
    day = Day("gbp-2016", "GBPUSD", **only(move_atr=(4.0, 6.0, 10.0), spread_ratio=(3.0, 5.0, 10.0))).until(180)
    day.until(1_800, wants=Direction.BUY)  # price is back
    assert day.scene.terminal.quote("GBPUSD").bid_points > 120_000  # type: ignore[union-attr]
    assert day.opened() == 0
    last_red_s = 415  # the spread was wide until then
    day.until(last_red_s + 44 * 60, wants=Direction.BUY)
    assert day.opened() == 0
    sizes = [change.size_ppm for change in day.until(last_red_s + 150 * 60).said(BreakerChanged) if change.phase > 2]
    assert sizes[0] == 250_000
    assert day.reached()[-1] is BreakerLevel.NORMAL


def test_pm4_what_the_broker_closes_is_the_brokers_and_is_not_bought_again() -> None:
    day = bought(Day("jpy-2019", "USDJPY", **UNTOUCHED))
    day.until(1_500, wants=Direction.BUY)
    [closed] = day.said(PositionClosed)
    assert (closed.reason, closed.by) == (ExitReason.STOP_OUT, ClosedBy.BROKER)
    assert day.opened() == 1
    assert day.denied_by_the_breaker()


def test_pm13_a_wide_spread_at_the_rollover_opens_nothing_brings_no_stop_nearer_and_costs_no_position() -> None:
    day = bought(Day("rollover", "EURUSD"))
    day.until(960, wants=Direction.SELL)
    assert BreakerLevel.RED in day.reached()
    assert {change.atr_points for change in day.said(BreakerChanged)} == {0}
    assert day.opened() == 1
    day.until(960 + 44 * 60, wants=Direction.SELL)
    assert day.opened() == 1
    assert day.said(PositionClosed) == []
    assert len(day.said(PositionOpened)) == 1
