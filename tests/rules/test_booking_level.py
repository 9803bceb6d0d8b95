"""Where an order of a pyramid is booked, to the point, and where a stopped one is tried again."""

import msgspec
import pytest
from builders import config_of, specs_of
from hypothesis import given
from hypothesis import strategies as some
from orders import SPEC

from evenkeel.messages.market import Direction, Side, Watch
from evenkeel.messages.profit_booking import OrderStatus, PyramidOrder
from evenkeel.rules.booking_level import beyond, booking_level, commission_cents, hunt_level, hunt_stop_points, net_at
from evenkeel.rules.exits import sign
from evenkeel.rules.symbols import profit_rule

BUY, SELL = Direction.BUY, Direction.SELL
CONFIG = config_of()
SPECS = specs_of(CONFIG, ("EURUSD", "USDJPY", "XAUUSD"))


def order(**facts):
    known = {"entry_points": 110_010, "stop_distance_points": 100, "volume_steps": 10}
    return PyramidOrder(1, 0, OrderStatus.OPEN, 1001, **(known | facts))


def level(of, direction=BUY, spec=SPEC, target_cents=700):
    return booking_level(of, direction, spec, profit_rule(spec.symbol, CONFIG), target_cents)


@pytest.mark.parametrize("direction, points", [(BUY, 110_080), (SELL, 109_940)])
def test_without_costs_it_is_the_target_s_distance(direction, points):
    assert level(order(), direction) == points


def test_both_commissions_and_a_swap_that_is_told_are_earned_first():
    spec = msgspec.structs.replace(SPEC, commission_cents_per_lot=350)
    assert commission_cents(spec, 10) == 35
    assert level(order(commission_cents=-35, swap_cents=-11), spec=spec) == 110_010 + 79


def test_what_a_part_has_brought_is_earned_already():
    assert level(order(volume_steps=5, banked_cents=300)) == 110_010 + 80


@given(
    some.sampled_from(sorted(SPECS)),
    some.sampled_from([BUY, SELL]),
    some.integers(1, 50_000),
    some.integers(1, 5_000),
    some.integers(-20_000, 0),
    some.integers(-20_000, 20_000),
    some.integers(0, 2_000),
)
def test_there_the_net_is_never_less_than_the_target_and_one_point_nearer_it_is(
    symbol, direction, target_cents, steps, commission, banked, usual_cents
):
    spec = msgspec.structs.replace(SPECS[symbol], commission_cents_per_lot=usual_cents)
    typical = {"EURUSD": 110_010, "USDJPY": 111_111, "XAUUSD": 150_050}[symbol]
    of = order(entry_points=typical, volume_steps=steps, commission_cents=commission, banked_cents=banked)
    profit = profit_rule(symbol, CONFIG)
    points = booking_level(of, direction, spec, profit, target_cents)
    nearer = points - sign(direction)
    assert net_at(of, direction, spec, profit, points) >= target_cents > net_at(of, direction, spec, profit, nearer)


@pytest.mark.parametrize(
    "direction, entry, gap, points",
    [(BUY, 200_000, 1000, 199_700), (SELL, 120_000, 500, 120_150), (BUY, 110_000, 245, 109_927)],
)
def test_a_stopped_order_is_tried_again_at_seventy_percent_of_its_own_gap(direction, entry, gap, points):
    assert hunt_level(order(entry_points=entry, stop_distance_points=gap), direction, 0.7) == points


@pytest.mark.parametrize("gap, points", [(100, 50), (101, 50), (1, 1)])
def test_its_stop_is_half_of_the_gap_and_never_more(gap, points):
    assert hunt_stop_points(order(stop_distance_points=gap), 0.5) == points


def test_levels_wait_on_the_side_that_closes():
    assert beyond("x", BUY, 7) == Watch("x", Side.BID, True, 7)
    assert beyond("x", SELL, 7) == Watch("x", Side.ASK, False, 7)
