import pytest

from evenkeel.rules.indicators.atr import Atr, atr_after, atr_millipoints, true_range


def atr_of(bars: list[tuple[int, int, int]], period: int) -> int | None:
    atr = Atr()
    for high, low, close in bars:
        atr = atr_after(atr, period, high_points=high, low_points=low, close_points=close)
    return atr_millipoints(atr, period)


@pytest.mark.parametrize("previous_close, expected", [(None, 10), (105, 10), (120, 20), (90, 20)])
def test_the_true_range_reaches_to_the_close_before(previous_close, expected):
    assert true_range(110, 100, previous_close) == expected


def test_the_first_average_is_a_plain_mean():
    assert atr_of([(110, 100, 105), (125, 105, 110)], 2) == 15_000


def test_each_later_bar_moves_the_average_by_one_part():
    assert atr_of([(110, 100, 105), (125, 105, 110), (115, 110, 112)], 2) == 10_000  # (15 + 5) / 2


def test_there_is_no_average_before_the_period_is_full():
    assert atr_of([(110, 100, 105)], 2) is None


def test_a_steady_range_stays_exact_for_ever():
    assert atr_of([(110, 103, 105)] * 10_000, 14) == 7000
