import pytest

from evenkeel.rules.run_statistics import exposure_ratio, sharpe_daily


def test_the_sharpe_of_a_day_is_the_mean_of_the_daily_returns_for_each_standard_deviation() -> None:
    assert sharpe_daily(100, [110, 99]) == pytest.approx(0.0)  # +10 % and -10 %
    assert sharpe_daily(100, [110, 132]) == pytest.approx(0.15 / 0.0707106781)


@pytest.mark.parametrize(("start", "equity"), [(100, [110]), (100, [100, 100]), (100, [0, 100]), (0, [1, 2]), (100, [])])
def test_a_sharpe_that_is_not_defined_is_none(start: int, equity: list[int]) -> None:
    assert sharpe_daily(start, equity) is None


def test_time_with_two_positions_counts_once_and_what_is_outside_not_at_all() -> None:
    assert exposure_ratio([(10, 30), (20, 40), (90, None), (-5, 5)], 0, 100) == pytest.approx((5 + 30 + 10) / 100)
    assert exposure_ratio([], 0, 100) == 0
    assert exposure_ratio([], 5, 5) is None
