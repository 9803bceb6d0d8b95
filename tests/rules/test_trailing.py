import pytest

from evenkeel.config.chains import RecoveryConfig
from evenkeel.rules.trailing import next_gain, stop_gain_at, trail_of

TRAIL = trail_of(RecoveryConfig(), 50)


@pytest.mark.parametrize(
    "gain, stop_gain", [(-50, None), (0, None), (24, None), (25, 0), (37, 0), (38, 12), (49, 12), (50, 25), (100, 75)]
)
def test_the_stop_follows_half_a_risk_behind_in_steps_of_a_quarter(gain, stop_gain):
    assert stop_gain_at(TRAIL, gain) == stop_gain


@pytest.mark.parametrize("stop_gain, gain", [(-50, 25), (-1, 25), (0, 38), (12, 50), (13, 50), (24, 50), (25, 63)])
def test_the_next_step_is_the_first_that_moves_the_stop(stop_gain, gain):
    assert next_gain(TRAIL, stop_gain) == gain


@pytest.mark.parametrize("stop_distance", [1, 2, 3, 7, 50, 997])
@pytest.mark.parametrize("start, step", [(0.5, 0.25), (0.1, 0.03), (1.0, 2.0)])
def test_each_step_reached_moves_the_stop_forward_and_leaves_it_behind_the_price(stop_distance, start, step):
    trail = trail_of(RecoveryConfig(trailing_start_ratio=start, trailing_step_ratio=step), stop_distance)
    stop_gain = -stop_distance
    for _ in range(40):
        gain = next_gain(trail, stop_gain)
        before, stop_gain = stop_gain, stop_gain_at(trail, gain)
        assert before < stop_gain < gain
        assert (stop_gain_at(trail, gain - 1) or before) <= before


def test_trailing_is_switched_off_by_name():
    assert trail_of(RecoveryConfig(trailing_start_ratio="off"), 50) is None
