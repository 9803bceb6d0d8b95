"""A long position of EURUSD: bought at 110010, app stop 109960, app target 110110, stop at the broker 109660."""

import msgspec
import pytest
from orders import opened

from evenkeel.config.schema import CatastropheStopConfig
from evenkeel.messages.market import Direction, Side, Watch
from evenkeel.messages.protection import Gap
from evenkeel.rules.protection import (
    Ward,
    alarm,
    arm,
    armed_levels,
    gap_of,
    move_entry,
    stops_for,
    ward_of,
    wide_stop_points,
)

LEVELS = {"stop": 109_960, "target": 110_110, "emergency": 109_900}


def ward(**changed: object) -> Ward:
    made = ward_of(opened())
    arm(made, LEVELS)
    return msgspec.structs.replace(made, **changed)


def gap(of: Ward, *, needs_broker_stop: bool = True, is_taken_over: bool = False) -> Gap | None:
    return gap_of(of, needs_broker_stop=needs_broker_stop, is_taken_over=is_taken_over)


@pytest.mark.parametrize(
    "broker_stop_points, lacks",
    [(109_660, None), (109_661, None), (109_960, None), (109_659, Gap.BROKER_STOP_FAR), (0, Gap.NO_BROKER_STOP)],
)
def test_the_broker_s_stop_may_be_nearer_than_its_bound_but_no_point_farther(broker_stop_points, lacks):
    assert gap(ward(broker_stop_points=broker_stop_points)) is lacks


@pytest.mark.parametrize("broker_stop_points, lacks", [(110_360, None), (110_361, Gap.BROKER_STOP_FAR)])
def test_of_a_short_position_farther_is_higher(broker_stop_points, lacks):
    sold = ward(direction=Direction.SELL, bound_points=110_360, broker_stop_points=broker_stop_points)
    assert gap(sold) is lacks


def test_any_stop_will_do_where_no_bound_is_known():
    assert gap(ward(bound_points=0, broker_stop_points=100_000)) is None


def test_levels_that_nobody_waits_for_are_missing_unless_the_broker_holds_the_stop():
    assert gap(ward(is_armed=False)) is Gap.LEVELS_NOT_ARMED
    assert gap(ward(is_armed=False, broker_stop_points=109_960)) is None


def test_without_a_stop_at_the_broker_by_name_only_armed_levels_count():
    assert gap(ward(broker_stop_points=0, bound_points=0), needs_broker_stop=False) is None
    assert gap(ward(broker_stop_points=0, is_armed=False), needs_broker_stop=False) is Gap.LEVELS_NOT_ARMED


@pytest.mark.parametrize(
    "broker_stop_points, lacks", [(109_960, None), (109_959, Gap.BROKER_STOP_FAR), (0, Gap.NO_BROKER_STOP)]
)
def test_what_is_taken_over_needs_the_app_s_own_stop_at_the_broker(broker_stop_points, lacks):
    held = ward(broker_stop_points=broker_stop_points, is_armed=False)
    assert gap(held, is_taken_over=True) is lacks
    assert gap(held, needs_broker_stop=False, is_taken_over=True) is lacks


def test_levels_are_armed_by_ticket_and_the_last_arming_counts():
    watches = [
        Watch("1001/stop/2", Side.BID, False, 109_950),
        Watch("1001/target/2", Side.BID, True, 110_120),
        Watch("1002/emergency/1", Side.BID, False, 109_000),
    ]
    assert armed_levels(watches) == {1001: {"stop": 109_950, "target": 110_120}, 1002: {"emergency": 109_000}}


def test_a_position_is_armed_by_its_stop_alone():
    made = ward_of(opened())
    arm(made, {"target": 110_110})
    assert not made.is_armed
    arm(made, {"stop": 109_955})
    assert (made.is_armed, made.stop_points, made.target_points) == (True, 109_955, 0)


def test_the_price_of_the_deal_moves_levels_that_are_not_armed_yet():
    made = ward_of(opened())
    move_entry(made, 110_015, 12)
    assert (made.stop_points, made.target_points, made.volume_steps) == (109_965, 110_115, 12)
    armed = ward()
    move_entry(armed, 110_015, 12)
    assert armed.stop_points == 109_960


@pytest.mark.parametrize(
    "changed, points",
    [
        ({}, 109_660),
        ({"bound_points": 0}, 109_910),
        ({"bound_points": 0, "direction": Direction.SELL, "stop_points": 110_060}, 110_110),
        ({"bound_points": 0, "stop_points": 0}, 0),
    ],
)
def test_a_wide_stop_is_the_bound_or_twice_the_app_s_own_distance(changed, points):
    assert wide_stop_points(CatastropheStopConfig(), ward(**changed)) == points


def test_the_app_s_target_goes_with_its_own_stop_alone():
    assert stops_for(ward(), 109_960).target_points == 110_110
    assert stops_for(ward(), 109_660).target_points == 0


def test_an_alarm_is_given_once():
    held = ward()
    assert [len(alarm(held, Gap.NO_BROKER_STOP, 109_660)) for _ in range(3)] == [1, 0, 0]


def test_the_wide_stop_is_as_far_as_the_first_stop_demands_wherever_the_app_s_stop_has_moved_to():
    followed = ward(bound_points=0, stop_points=110_030, first_stop_points=109_960)
    assert wide_stop_points(CatastropheStopConfig(), followed) == 109_910
