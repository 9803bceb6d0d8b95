from fractions import Fraction

import msgspec
import pytest
from orders import SPEC

from evenkeel.messages.market import Direction, PointWorth, Quote, Side
from evenkeel.messages.position import ExitReason
from evenkeel.rules.exits import (
    Levels,
    cost_cents_per_lot,
    emergency_distance,
    exit_reason,
    levels_for,
    retry_delay_ms,
    watches_for,
)

BUY, SELL = Direction.BUY, Direction.SELL
CHARGED = msgspec.structs.replace(SPEC, commission_cents_per_lot=350)
LONG = Levels(stop_points=900, target_points=1100, emergency_points=850)
SHORT = Levels(stop_points=1100, target_points=900, emergency_points=1150)


@pytest.mark.parametrize("direction, levels", [(BUY, LONG), (SELL, SHORT)])
def test_levels_lie_on_their_sides_of_the_entry(direction, levels):
    distances = {"stop_distance_points": 100, "target_distance_points": 100, "emergency_distance_points": 150}
    assert levels_for(direction, entry_points=1000, **distances) == levels


@pytest.mark.parametrize(
    "direction, levels, price, reason",
    [
        (BUY, LONG, 901, None),
        (BUY, LONG, 900, ExitReason.STOP),
        (BUY, LONG, 851, ExitReason.STOP),
        (BUY, LONG, 850, ExitReason.EMERGENCY),
        (BUY, LONG, 1, ExitReason.EMERGENCY),
        (BUY, LONG, 1099, None),
        (BUY, LONG, 1100, ExitReason.TARGET),
        (SELL, SHORT, 1099, None),
        (SELL, SHORT, 1100, ExitReason.STOP),
        (SELL, SHORT, 1150, ExitReason.EMERGENCY),
        (SELL, SHORT, 901, None),
        (SELL, SHORT, 900, ExitReason.TARGET),
    ],
)
def test_a_level_counts_from_where_price_is_at_it_and_the_gravest_names_the_exit(direction, levels, price, reason):
    quote = Quote(0, price, 5000) if direction is BUY else Quote(0, 1, price)
    assert exit_reason(direction, levels, quote) is reason


def test_without_target_and_emergency_only_the_stop_ends_a_position():
    bare = Levels(900, None, None)
    assert exit_reason(BUY, bare, Quote(0, 9999, 9999)) is None
    assert exit_reason(BUY, bare, Quote(0, 1, 2)) is ExitReason.STOP


def test_a_long_position_is_watched_on_the_bid_and_a_short_one_on_the_ask():
    long, short = watches_for(7, 2, BUY, LONG), watches_for(7, 2, SELL, SHORT)
    assert [(w.name, w.side, w.rising, w.level_points) for w in long] == [
        ("7/emergency/2", Side.BID, False, 850),
        ("7/stop/2", Side.BID, False, 900),
        ("7/target/2", Side.BID, True, 1100),
    ]
    assert [(w.side, w.rising) for w in short] == [(Side.ASK, True), (Side.ASK, True), (Side.ASK, False)]


@pytest.mark.parametrize(
    "emergency_r, stop, cost_cents, points",
    [
        (-1.5, 50, 0, 75),
        (-1.5, 51, 0, 77),  # 76.5: rounded up, for R must be reached
        (-1.5, 50, 700, 68),  # $7 a lot are 7 points
        (-1.5, 50, 750, 68),  # 67.5
        (-0.1, 50, 700, 1),  # the cost alone is beyond it: at once, but never at the entry itself
    ],
)
def test_the_emergency_level_is_where_the_loss_with_costs_reaches_that_many_r(emergency_r, stop, cost_cents, points):
    assert emergency_distance(emergency_r, stop, SPEC, Fraction(cost_cents)) == points


def test_costs_count_in_points_of_what_a_point_is_worth():
    yen = msgspec.structs.replace(SPEC, worth=PointWorth(133, 2))  # 66.50 cents
    assert emergency_distance(-1.5, 50, yen, Fraction(665)) == 65


def test_before_the_deal_both_commissions_are_the_usual_one():
    assert cost_cents_per_lot(CHARGED, 10, None) == 700


def test_the_deal_tells_what_the_entry_really_cost():
    assert cost_cents_per_lot(CHARGED, 10, -50) == 350 + 500  # 50 cents of a tenth of a lot
    assert cost_cents_per_lot(CHARGED, 10, 20) == 350 - 200  # a rebate


def test_a_refused_close_is_asked_for_again_later_each_time_up_to_a_bound():
    assert [retry_delay_ms(refused, 1000, 30_000) for refused in (1, 2, 3, 5, 6, 500)] == [
        1000,
        2000,
        4000,
        16000,
        30000,
        30000,
    ]
