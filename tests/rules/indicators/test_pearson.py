import itertools
from statistics import correlation

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from evenkeel.rules.indicators.pearson import PAIR_MOVES, WAITING_MAX, Moments, Pair, pair_after, pair_ppm, pearson_ppm

MINUTE_MS = 60_000
ONE = [100_000 + (i * 37) % 101 for i in range(200)]
OTHER = [70_000 + (i * 53) % 97 + (i * 37) % 101 for i in range(200)]
NOTHING = Pair()


def after(bars: list[tuple[bool, int, int]], pair: Pair = NOTHING) -> Pair:
    """Of (is_other, minute, close)."""
    for is_other, minute, close in bars:
        pair = pair_after(pair, is_other=is_other, open_utc_ms=minute * MINUTE_MS, close_points=close)
    return pair


def in_turn(one: list[int], other: list[int]) -> list[tuple[bool, int, int]]:
    closes = enumerate(zip(one, other, strict=True))
    return [bar for i, (x, y) in closes for bar in ((False, i, x), (True, i, y))]


def moves(closes: list[int]) -> list[int]:
    return [after - before for before, after in itertools.pairwise(closes)]


def test_it_is_the_correlation_of_the_last_sixty_moves():
    pair = after(in_turn(ONE, OTHER))
    expected = correlation(moves(ONE)[-PAIR_MOVES:], moves(OTHER)[-PAIR_MOVES:])
    assert pair_ppm(pair) == pytest.approx(expected * 1e6, abs=1)


@pytest.mark.parametrize(
    "other, expected", [(ONE, 1_000_000), ([3 * x for x in ONE], 1_000_000), ([-x for x in ONE], -1_000_000)]
)
def test_twins_move_alike_and_mirrors_against_each_other(other, expected):
    assert pair_ppm(after(in_turn(ONE, other))) == expected


def test_there_is_no_reading_before_sixty_moves():
    assert pair_ppm(after(in_turn(ONE[:PAIR_MOVES], OTHER[:PAIR_MOVES]))) is None
    assert pair_ppm(after(in_turn(ONE[: PAIR_MOVES + 1], OTHER[: PAIR_MOVES + 1]))) is not None


def test_a_price_that_never_moved_tells_nothing():
    assert pair_ppm(after(in_turn(ONE, [70_000] * len(ONE)))) is None
    assert pearson_ppm(Moments()) is None


def test_a_bar_that_only_one_of_them_has_takes_no_part():
    bars = in_turn(ONE, OTHER)
    gappy = [bar for bar in bars if bar[:2] not in ((False, 150), (True, 160), (True, 161))]
    both = [i for i in range(len(ONE)) if i not in (150, 160, 161)]
    without = after([bar for bar in bars if bar[1] in both])
    assert (after(gappy).moves, after(gappy).moments) == (without.moves, without.moments)


@settings(max_examples=20, deadline=None)
@given(some.lists(some.booleans(), min_size=400, max_size=400))
def test_whoever_closes_first_the_pairs_are_the_same(turns):
    """As long as neither is more than WAITING_MAX bars ahead."""
    one, other = [bar for bar in in_turn(ONE, OTHER) if not bar[0]], [bar for bar in in_turn(ONE, OTHER) if bar[0]]
    mixed: list[tuple[bool, int, int]] = []
    for is_other in turns:
        ahead = len(one) - len(other) if is_other else len(other) - len(one)
        takes_other = is_other if ahead < WAITING_MAX else not is_other
        source = (other if takes_other else one) or one or other
        if source:
            mixed.append(source.pop(0))
    mixed += one + other
    assert after(mixed).moments == after(in_turn(ONE, OTHER)).moments


def test_a_bar_that_comes_twice_changes_nothing():
    bars = in_turn(ONE, OTHER)
    once = after(bars)
    assert after(bars[-6:], once) == once
    assert after([(False, 500, 1), (False, 500, 2)], once) == after([(False, 500, 1)], once)


def test_while_one_is_silent_no_more_than_so_many_of_the_other_wait():
    pair = after([(True, minute, 1) for minute in range(1_000)])
    assert (len(pair.waiting), pair.waiting[-1]) == (WAITING_MAX, (999 * MINUTE_MS, 1))
