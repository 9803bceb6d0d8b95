import numpy as np
import pytest
from broken_strategies import BarByBar, Rising, Shouts

from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.strategy import StrategyBroken, answered, foreseen, foreseen_ticks, streamed
from evenkeel.rules.strategy_check import synthetic_bars

BARS = synthetic_bars(seed=2, count=200)


class Wrong(Rising):
    def __init__(self, answers):
        super().__init__()
        self._answers = answers

    def signals(self, bars: Bars):
        return self._answers


class Higher:
    """Buys on every quote above the one before."""

    def __init__(self):
        self.before = 10**9

    def on_tick(self, time_utc_ms, bid_points, ask_points):
        is_higher, self.before = bid_points > self.before, bid_points
        return int(is_higher)


def test_both_ways_of_asking_give_the_same():
    assert (foreseen(Rising(), BARS) == streamed(Rising(), BARS)).all()


def test_a_strategy_without_signals_is_asked_bar_by_bar():
    assert np.flatnonzero(foreseen(BarByBar(), BARS))[:2].tolist() == [9, 19]


def test_nothing_is_said_before_the_window_is_full():
    class Loud(BarByBar):
        window_bars = 50

    assert np.flatnonzero(foreseen(Loud(), BARS))[0] == 49


@pytest.mark.parametrize(
    "answers, words",
    [
        (np.zeros(3), "shape (3,) for 200 bars"),
        (np.full(200, 2), f"answered 2 at {BARS.open_utc_ms[0]}"),
        (np.full(200, np.nan), "answered nan"),
        (np.full(200, "x"), "answered x"),
    ],
)
def test_answers_that_are_none_are_refused_with_the_bar(answers, words):
    with pytest.raises(StrategyBroken, match="signals: ") as refused:
        foreseen(Wrong(answers), BARS)
    assert words in str(refused.value)


def test_an_answer_bar_by_bar_that_is_none_is_refused():
    with pytest.raises(StrategyBroken, match="on_bar: answered 2 at"):
        foreseen(Shouts(), BARS)
    with pytest.raises(StrategyBroken, match="here: answered 7"):
        answered(7, "here")


def test_what_a_users_own_code_does_wrong_is_one_line():
    class Broken(Rising):
        def on_bar(self, bar):
            return bar.volume

    class BrokenOnce(Rising):
        def signals(self, bars):
            return bars.volume

    with pytest.raises(StrategyBroken, match="on_bar: AttributeError: 'Bar' object has no attribute 'volume'"):
        streamed(Broken(), BARS)
    with pytest.raises(StrategyBroken, match="signals: AttributeError: 'Bars' object has no attribute 'volume'"):
        foreseen(BrokenOnce(), BARS)


def test_quotes_are_shown_in_order_and_each_once():
    strategy, column = Higher(), np.array([5, 6, 6, 7], np.int64)
    assert foreseen_ticks(strategy, column, column, column).tolist() == [0, 1, 0, 1]
    assert foreseen_ticks(strategy, column[:1], column[:1] + 3, column[:1]).tolist() == [1]
