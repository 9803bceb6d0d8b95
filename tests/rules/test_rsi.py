import itertools

import numpy as np
import pytest

from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.bars import Bar
from evenkeel.rules.indicators.rsi import rsi_of_window
from evenkeel.rules.rsi import WINDOW_PERIODS, Rsi
from evenkeel.rules.strategy import foreseen, streamed
from evenkeel.rules.strategy_check import first_difference, synthetic_bars

LOW, HIGH = 300_000, 700_000


def answers(closes: list[int], period: int = 2) -> list[int]:
    strategy = Rsi(period, low_ppm=LOW, high_ppm=HIGH)
    return [strategy.on_bar(Bar(0, close, close, close, close, close, 1, 1)) for close in closes]


def test_it_buys_when_the_index_comes_back_up_through_low():
    falling = list(range(200, 170, -1))
    assert answers([*falling, 180, 190])[-2:] == [1, 0]


def test_it_sells_when_the_index_comes_back_down_through_high():
    rising = list(range(100, 130))
    assert answers([*rising, 120, 110])[-2:] == [-1, 0]


def test_it_is_silent_until_its_window_is_full():
    closes = [*range(200, 181, -1), 195]
    assert len(closes) == 2 * WINDOW_PERIODS
    assert answers(closes) == [0] * len(closes)


def test_prices_that_do_not_move_are_no_reason_for_anything():
    assert answers([100] * 60) == [0] * 60


@pytest.mark.parametrize("period", [2, 14])
def test_both_forms_answer_alike_and_from_the_window_alone(period):
    bars = synthetic_bars(seed=period, count=60 * period)
    assert first_difference(lambda: Rsi(period, low_ppm=LOW, high_ppm=HIGH), bars, samples=20, seed=1) is None
    assert set(streamed(Rsi(period, low_ppm=LOW, high_ppm=HIGH), bars).tolist()) == {-1, 0, 1}


def test_all_at_once_it_equals_the_definition():
    bars = synthetic_bars(seed=3, count=300)
    closes, size = bars.close_points.tolist(), WINDOW_PERIODS * 3 + 1
    index = [rsi_of_window(closes[end - size : end], 3) for end in range(size, len(closes) + 1)]
    expected = [0] * size
    for before, now in itertools.pairwise(index):
        expected.append(int(before < LOW <= now) - int(before > HIGH >= now))
    assert foreseen(Rsi(3, low_ppm=LOW, high_ppm=HIGH), bars).tolist() == expected


def test_too_few_bars_have_no_answer():
    bars = Bars(*(np.arange(3, dtype=np.int64) for _ in range(8)))
    assert Rsi(14, low_ppm=LOW, high_ppm=HIGH).signals(bars).tolist() == [0, 0, 0]
