from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.bars import Bar
from evenkeel.rules.ma_cross import MaCross


def bars(closes: list[int]) -> Bars:
    count = len(closes)
    return Bars(
        *(
            np.array(column, np.int64)
            for column in ([60_000 * i for i in range(count)], *[closes] * 5, [1] * count, [1] * count)
        )
    )


def signals(closes: list[int], fast: int, slow: int) -> list[int]:
    strategy = MaCross(fast, slow)
    return [strategy.on_bar(Bar(0, close, close, close, close, close, 1, 1)) for close in closes]


def signals_by_definition(closes: list[int], fast: int, slow: int) -> list[int]:
    def difference(i: int) -> Fraction | None:
        """Mean of the last `fast` minus mean of the last `slow` at bar i; None without `slow` bars."""
        if i + 1 < slow:
            return None
        return Fraction(sum(closes[i + 1 - fast : i + 1]), fast) - Fraction(sum(closes[i + 1 - slow : i + 1]), slow)

    found: list[int] = []
    for i in range(len(closes)):
        now, before = difference(i), difference(i - 1)
        if now is None or before is None or now == 0:
            found.append(0)
        elif now > 0:
            found.append(1 if before <= 0 else 0)
        else:
            found.append(-1 if before >= 0 else 0)
    return found


@pytest.mark.parametrize(
    "closes, last",
    [
        ([10, 10, 10, 12], 1),
        ([10, 10, 10, 8], -1),
        ([10, 10, 10, 10], 0),
        ([10, 10, 12], 0),
        ([10, 11, 12, 13], 0),
    ],
)
def test_the_fast_average_leaves_the_slow_one(closes, last):
    assert signals(closes, fast=1, slow=3)[-1] == last


@settings(max_examples=100, deadline=None)
@given(
    closes=some.lists(some.integers(100_000, 100_006), max_size=60),
    lengths=some.tuples(some.integers(1, 6), some.integers(1, 6)),
)
def test_bar_by_bar_it_equals_the_definition(closes, lengths):
    fast, slow = lengths[0], lengths[0] + lengths[1]
    assert signals(closes, fast, slow) == signals_by_definition(closes, fast, slow)
    assert MaCross(fast, slow).signals(bars(closes)).tolist() == signals_by_definition(closes, fast, slow)
