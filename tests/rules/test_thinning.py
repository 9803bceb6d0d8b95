import numpy as np

from evenkeel.rules.thinning import Stretch, thinned


def test_a_long_series_keeps_its_extremes_in_so_many_stretches_at_most() -> None:
    values = np.arange(10_000) % 100
    values[5_000] = 900
    found = thinned(np.arange(10_000) * 1_000, values, values, values, stretches_max=20)
    assert len(found) == 20
    assert max(one.high for one in found) == 900
    assert found[-1] == Stretch(9_999_000, 0, 99, 99)


def test_stretches_without_samples_are_left_out() -> None:
    times, values = np.array([0, 1, 100]), np.array([5, 3, 8])
    assert thinned(times, values, values, values, stretches_max=10) == [Stretch(1, 3, 5, 3), Stretch(100, 8, 8, 8)]
    assert thinned(times[:0], values[:0], values[:0], values[:0], stretches_max=10) == []
