import pytest

from evenkeel.rules.indicators.adx import Adx, adx_after, adx_ppm, minus_di_ppm, plus_di_ppm

PERIOD = 2
BARS = [(10, 8, 9), (12, 9, 11), (13, 7, 8), (16, 10, 15), (15, 9, 10)]


def adx_of(bars: list[tuple[int, int, int]], period: int = PERIOD) -> Adx:
    adx = Adx()
    for high, low, close in bars:
        adx = adx_after(adx, period, high_points=high, low_points=low, close_points=close)
    return adx


def test_a_share_is_the_smoothed_movement_over_the_smoothed_range():
    adx = adx_of(BARS[:3])  # up 2 / 2 of the second bar, down 2 of the third; ranges 3 / 2 + 6
    assert (plus_di_ppm(adx, PERIOD), minus_di_ppm(adx, PERIOD)) == (133_333, 266_666)


def test_the_first_average_is_the_mean_of_the_first_indexes():
    assert adx_ppm(adx_of(BARS[:4]), PERIOD) == 444_444  # of 1 / 3 and 2.5 / 4.5


def test_each_later_bar_moves_the_average_by_one_part():
    assert adx_ppm(adx_of(BARS), PERIOD) == 260_683  # 444_444 and 0.25 / 3.25


@pytest.mark.parametrize("reading, needs", [(plus_di_ppm, 3), (minus_di_ppm, 3), (adx_ppm, 4)])
def test_there_is_no_reading_before_its_bars_are_there(reading, needs):
    assert reading(adx_of(BARS[: needs - 1]), PERIOD) is None
    assert reading(adx_of(BARS[:needs]), PERIOD) is not None


def test_prices_that_never_move_have_no_share_and_no_trend():
    adx = adx_of([(10, 10, 10)] * 50)
    assert (plus_di_ppm(adx, PERIOD), minus_di_ppm(adx, PERIOD), adx_ppm(adx, PERIOD)) == (None, None, 0)


def test_a_bar_that_reaches_as_far_up_as_down_moves_neither_share_up():
    adx = adx_of([*BARS[:3], (15, 5, 10)])  # 0.5 and 1 of a range of 13.75
    assert (plus_di_ppm(adx, PERIOD), minus_di_ppm(adx, PERIOD)) == (36_363, 72_727)


def test_a_climb_without_a_step_back_is_all_trend():
    adx = adx_of([(10 + i, 8 + i, 9 + i) for i in range(60)], 14)
    assert (adx_ppm(adx, 14), minus_di_ppm(adx, 14)) == (1_000_000, 0)
