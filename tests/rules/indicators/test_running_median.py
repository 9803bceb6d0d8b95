from hypothesis import given
from hypothesis import strategies as some

from evenkeel.rules.indicators.running_median import RunningMedian, running_median, running_median_after
from evenkeel.rules.spreads import lower_median


@given(some.lists(some.integers(0, 9), min_size=1, max_size=80), some.integers(1, 20))
def test_it_is_the_lower_median_of_the_last_values(values: list[int], count_max: int) -> None:
    median = RunningMedian()
    for end, value in enumerate(values, start=1):
        median = running_median_after(median, count_max, value)
        assert running_median(median) == lower_median(values[max(0, end - count_max) : end])
        assert sorted(median.values) == list(median.rising)


def test_there_is_none_of_too_few_values() -> None:
    median = running_median_after(RunningMedian(), 10, 5)
    assert (running_median(RunningMedian()), running_median(median, 2), running_median(median, 1)) == (None, None, 5)
