import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.bars import Bar
from evenkeel.rules.breakout import Breakout
from evenkeel.rules.strategy_check import first_difference, synthetic_bars

Candle = tuple[int, int, int]
CHANNEL = [(110, 100, 105), (108, 101, 105), (109, 102, 105)]


def answers(candles: list[Candle], lookback: int) -> list[int]:
    strategy = Breakout(lookback)
    return [strategy.on_bar(Bar(0, close, high, low, close, close, 1, 1)) for high, low, close in candles]


def by_definition(candles: list[Candle], lookback: int) -> list[int]:
    def side(i: int) -> int | None:
        before = candles[i - lookback : i] if i >= lookback else []
        if not before:
            return None
        close = candles[i][2]
        return (close > max(high for high, _, _ in before)) - (close < min(low for _, low, _ in before))

    found = []
    for i in range(len(candles)):
        now, before = side(i), side(i - 1)
        found.append(0 if now is None or before is None or now == before else now)
    return found


@pytest.mark.parametrize("close, expected", [(111, 1), (110, 0), (99, -1), (100, 0)])
def test_a_close_beyond_the_channel_speaks_and_one_that_touches_it_does_not(close, expected):
    bars = [(105, 105, 105), *CHANNEL, (max(close, 105), min(close, 105), close)]
    assert answers(bars, lookback=3)[-1] == expected


def test_only_the_first_close_outside_speaks():
    assert answers([(105, 105, 105), *CHANNEL, (111, 105, 111), (112, 111, 112)], lookback=3)[-2:] == [1, 0]


CLOSES = some.lists(some.tuples(some.integers(0, 3), some.integers(0, 3), some.integers(100, 106)), max_size=40)


@settings(max_examples=50, deadline=None)
@given(parts=CLOSES, lookback=some.integers(1, 5))
def test_both_forms_equal_the_definition(parts, lookback):
    candles = [(close + up, close - down, close) for up, down, close in parts]
    expected = by_definition(candles, lookback)
    assert answers(candles, lookback) == expected
    high, low, close = (np.array(column, np.int64) for column in (zip(*candles, strict=True) if candles else ((), (), ())))
    bars = Bars(close, close, high, low, close, close, close, close)
    assert Breakout(lookback).signals(bars).tolist() == expected


def test_it_answers_from_its_window_alone():
    assert first_difference(lambda: Breakout(20), synthetic_bars(seed=1, count=600), samples=50, seed=1) is None
