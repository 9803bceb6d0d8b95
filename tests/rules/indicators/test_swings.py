import pytest

from evenkeel.messages.market import Direction
from evenkeel.rules.indicators.swings import (
    RUN_BARS_MAX,
    SWING_BARS,
    is_beyond_swing,
    range_against_points,
    swing_high_points,
    swing_low_points,
)
from evenkeel.rules.indicators.window import Window, window_after

BUY, SELL = Direction.BUY, Direction.SELL
FLAT = [(100, 110, 90, 100)] * SWING_BARS
FALL = [(100, 104, 94, 96), (96, 97, 88, 91), (91, 92, 84, 89)]


def window_of(bars: list[tuple[int, int, int, int]]) -> Window:
    """Of (open, high, low, close)."""
    window = Window()
    for open_points, high, low, close in bars:
        window = window_after(window, open_points=open_points, high_points=high, low_points=low, close_points=close)
    return window


def mirrored(bars: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    return [(200 - open_points, 200 - low, 200 - high, 200 - close) for open_points, high, low, close in bars]


def test_the_swing_is_the_extreme_of_the_ten_bars_before_the_run():
    window = window_of([(0, 999, -999, 0), *FLAT, *FALL])
    assert (swing_low_points(window, 3), swing_high_points(window, 3)) == (90, 110)


def test_without_a_run_the_last_bar_is_part_of_the_swing():
    assert swing_low_points(window_of([*FLAT, *FALL])) == 84


def test_there_is_no_swing_of_fewer_bars():
    window = window_of([*FLAT[1:], *FALL])
    assert (swing_low_points(window, 3), swing_high_points(window, 3)) == (None, None)
    assert not is_beyond_swing(window, BUY, 3)


def test_a_run_has_the_range_from_its_highest_high_to_its_lowest_low():
    assert range_against_points(window_of(FALL), BUY, 3) == 104 - 84
    assert range_against_points(window_of(mirrored(FALL)), SELL, 3) == 104 - 84


@pytest.mark.parametrize("odd", [(96, 97, 88, 96), (96, 99, 88, 98)])
def test_one_bar_that_did_not_close_against_the_direction_ends_the_run(odd):
    assert range_against_points(window_of([FALL[0], odd, FALL[2]]), BUY, 3) is None


def test_a_fall_is_no_run_against_a_sell_and_two_bars_are_none_of_three():
    assert range_against_points(window_of(FALL), SELL, 3) is None
    assert range_against_points(window_of(FALL[1:]), BUY, 3) is None


@pytest.mark.parametrize("close, expected", [(91, False), (90, False), (89, True)])
def test_only_a_close_beyond_the_swing_breaks_it(close, expected):
    fall = [*FALL[:2], (91, 92, 84, close)]
    assert is_beyond_swing(window_of([*FLAT, *fall]), BUY, 3) is expected
    assert is_beyond_swing(window_of(mirrored([*FLAT, *fall])), SELL, 3) is expected


@pytest.mark.parametrize("count", [0, RUN_BARS_MAX + 1])
def test_a_run_that_the_window_cannot_hold_is_a_mistake(count):
    with pytest.raises(AssertionError):
        range_against_points(window_of(FALL), BUY, count)
