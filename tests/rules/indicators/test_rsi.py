import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from evenkeel.rules.indicators.rsi import INT64_POINTS_MAX, Rsi, rsi_after, rsi_of_window, rsi_of_windows, rsi_ppm


def rsi_of(closes: list[int], period: int) -> int | None:
    rsi = Rsi()
    for close in closes:
        rsi = rsi_after(rsi, period, close)
    return rsi_ppm(rsi, period)


def test_the_first_index_is_of_plain_means():
    assert rsi_of([100, 103, 102], 2) == 750_000  # 3 up, 1 down


def test_each_later_move_counts_for_one_part():
    assert rsi_of([100, 103, 102, 102], 2) == 750_000
    assert rsi_of([100, 103, 102, 107], 2) == 928_571  # (1.5 + 5) / (1.5 + 5 + 0.5)


@pytest.mark.parametrize(
    "closes, expected", [([1, 2, 3, 4], 1_000_000), ([4, 3, 2, 1], 0), ([5, 5, 5, 5], None), ([1, 2], None)]
)
def test_its_ends(closes, expected):
    assert rsi_of(closes, 2) == expected


CLOSES = some.lists(some.integers(100_000, 100_006), min_size=2, max_size=30)


@settings(max_examples=60, deadline=None)
@given(closes=CLOSES, period=some.integers(1, 4), scale=some.sampled_from([1, INT64_POINTS_MAX // 6]))
def test_a_window_at_once_is_the_window_bar_by_bar(closes, period, scale):
    scaled = [close * scale for close in closes]
    size = period + 3
    windows = [scaled[end - size : end] for end in range(size, len(scaled) + 1)]
    expected = [rsi_of(window, period) for window in windows]
    assert [rsi_of_window(window, period) for window in windows] == expected
    found = rsi_of_windows(np.array(scaled, np.int64), period, size).tolist()
    assert found == [-1 if one is None else one for one in expected]
