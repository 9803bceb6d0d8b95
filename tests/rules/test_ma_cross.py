from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from evenkeel.messages.market import Direction
from evenkeel.rules.ma_cross import MaWindow, crossing


def signals(closes: list[int], fast: int, slow: int) -> list[Direction | None]:
    window = MaWindow()
    return [crossing(window, close, fast=fast, slow=slow) for close in closes]


def signals_by_definition(closes: list[int], fast: int, slow: int) -> list[Direction | None]:
    def difference(i: int) -> Fraction | None:
        """Mean of the last `fast` minus mean of the last `slow` at bar i; None without `slow` bars."""
        if i + 1 < slow:
            return None
        return Fraction(sum(closes[i + 1 - fast : i + 1]), fast) - Fraction(sum(closes[i + 1 - slow : i + 1]), slow)

    found: list[Direction | None] = []
    for i in range(len(closes)):
        now, before = difference(i), difference(i - 1)
        if now is None or before is None or now == 0:
            found.append(None)
        elif now > 0:
            found.append(Direction.BUY if before <= 0 else None)
        else:
            found.append(Direction.SELL if before >= 0 else None)
    return found


@pytest.mark.parametrize(
    "closes, last",
    [
        ([10, 10, 10, 12], Direction.BUY),
        ([10, 10, 10, 8], Direction.SELL),
        ([10, 10, 10, 10], None),
        ([10, 10, 12], None),
        ([10, 11, 12, 13], None),
    ],
)
def test_the_fast_average_leaves_the_slow_one(closes, last):
    assert signals(closes, fast=1, slow=3)[-1] is last


def test_only_the_last_closes_are_kept():
    window = MaWindow()
    for close in range(1000):
        crossing(window, close, fast=2, slow=5)
    assert window.closes == [995, 996, 997, 998, 999]


@settings(max_examples=100, deadline=None)
@given(
    closes=some.lists(some.integers(100_000, 100_006), max_size=60),
    lengths=some.tuples(some.integers(1, 6), some.integers(1, 6)),
)
def test_bar_by_bar_it_equals_the_definition(closes, lengths):
    fast, slow = lengths[0], lengths[0] + lengths[1]
    assert signals(closes, fast, slow) == signals_by_definition(closes, fast, slow)
