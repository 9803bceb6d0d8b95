import pytest

from evenkeel.messages.market import Direction
from evenkeel.rules.indicators.trend import Trend, is_aligned, trend_of, trend_score
from evenkeel.rules.indicators.window import WINDOW_BARS, Window, window_after

BUY, SELL = Direction.BUY, Direction.SELL
FLAT = [(110, 90, 100)] * WINDOW_BARS


def window_of(bars: list[tuple[int, int, int]]) -> Window:
    """Of (high, low, close); the trend does not look at opens."""
    window = Window()
    for high, low, close in bars:
        window = window_after(window, open_points=close, high_points=high, low_points=low, close_points=close)
    return window


def score_of(*last: tuple[int, int, int]) -> int | None:
    """After a row of bars that are all the same, and `last`."""
    return trend_score(window_of([*FLAT, *last]))


def test_a_climb_has_all_three_votes():
    assert trend_score(window_of([(i + 1, i - 1, i) for i in range(WINDOW_BARS)])) == 3


def test_a_fall_has_all_three_votes_against():
    assert trend_score(window_of([(1 - i, -1 - i, -i) for i in range(WINDOW_BARS)])) == -3


@pytest.mark.parametrize(
    "last, score",
    [
        ([(109, 91, 101)], 2),  # averages and closes, no new extreme
        ([(110, 91, 101)], 3),  # touching the highest high is enough
        ([(109, 90, 101)], 1),  # a new low against a higher close
        ([(120, 80, 101)], 2),  # an outside bar votes for neither side
        ([(109, 91, 100)], 0),  # equal averages and closes have no vote
        ([(109, 91, 103), (108, 92, 101)], 0),  # the averages lead up, the last close is lower
    ],
)
def test_each_vote_counts_one(last, score):
    assert score_of(*last) == score


def test_prices_that_stand_still_have_no_trend():
    assert trend_of(score_of()) is Trend.NEUTRAL


def test_only_the_four_bars_before_are_held_against_the_last():
    spike = (500, 91, 100)
    quiet = (109, 91, 100)
    assert score_of(spike, quiet, quiet, quiet, (112, 92, 101)) == 2
    assert score_of(spike, quiet, quiet, quiet, quiet, (112, 92, 101)) == 3


@pytest.mark.parametrize(
    "score, trend",
    [
        (3, Trend.BULLISH),
        (2, Trend.BULLISH),
        (1, Trend.NEUTRAL),
        (-1, Trend.NEUTRAL),
        (-2, Trend.BEARISH),
        (-3, Trend.BEARISH),
        (None, None),
    ],
)
def test_two_votes_of_three_make_a_trend(score, trend):
    assert trend_of(score) is trend


@pytest.mark.parametrize("trend, aligned", [(Trend.BULLISH, [BUY]), (Trend.BEARISH, [SELL]), (Trend.NEUTRAL, []), (None, [])])
def test_a_neutral_or_unknown_trend_is_aligned_with_nobody(trend, aligned):
    assert [direction for direction in (BUY, SELL) if is_aligned(direction, trend)] == aligned


def test_a_missing_bar_is_no_trend():
    climb = [(i + 1, i - 1, i) for i in range(WINDOW_BARS - 1)]
    assert trend_score(window_of(climb)) is None
