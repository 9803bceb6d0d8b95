"""Several symbols in one order of time, whatever blocks their quotes come in."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from evenkeel.adapters.history import Counts, Quotes, Stretch, merged


class Blocks:
    """Recorded quotes of one symbol, cut into blocks."""

    def __init__(self, symbol: str, times: list[int], size: int) -> None:
        self.symbol, self.counts, self.sha256 = symbol, Counts(len(times), 0, 0), ""
        self._times, self._size = times, size

    def blocks(self) -> Iterator[Quotes]:
        rows = np.arange(len(self._times))
        whole = Quotes(np.array(self._times, np.int64), rows + 100, rows + 110, rows)
        for start in range(0, len(rows), self._size):
            yield whole.cut(start, start + self._size)


SOURCE = some.tuples(some.lists(some.integers(0, 3) | some.just(50), max_size=30), some.integers(1, 8))
SOURCES = some.lists(SOURCE, min_size=1, max_size=4)


def blocks_of(drawn: list[tuple[list[int], int]]) -> list[Blocks]:
    return [Blocks(f"S{at}", np.cumsum(steps).tolist(), size) for at, (steps, size) in enumerate(drawn)]


def in_one_order(sources: list[Blocks]) -> list[tuple[int, str, int, int, int]]:
    rows = [(row, one.symbol, time, row + 100, row + 110) for one in sources for row, time in enumerate(one._times)]
    return sorted(rows, key=lambda quote: quote[2])


def served(stretches: list[Stretch]) -> list[tuple[int, str, int, int, int]]:
    return [quote for stretch in stretches for quote in stretch.in_order()]


@given(SOURCES)
def test_the_order_is_that_of_time_then_source_then_file(drawn: list[tuple[list[int], int]]) -> None:
    sources = blocks_of(drawn)
    assert served(list(merged(sources))) == in_one_order(sources)


@given(SOURCES)
def test_a_stretch_tells_the_same_order_in_its_arrays(drawn: list[tuple[list[int], int]]) -> None:
    for stretch in merged(blocks_of(drawn)):
        order = list(stretch.in_order())
        assert stretch.size == len(order) > 0
        assert stretch.time_utc_ms.tolist() == [quote[2] for quote in order]
        for symbol, quotes, position in zip(stretch.symbols, stretch.quotes, stretch.position, strict=True):
            assert [(order[place][0], order[place][1]) for place in position] == [(row, symbol) for row in quotes.row]


@given(some.lists(SOURCE, min_size=2, max_size=4))
def test_no_time_is_divided_between_two_stretches(drawn: list[tuple[list[int], int]]) -> None:
    stretches = list(merged(blocks_of(drawn)))
    for one, following in pairwise(stretches):
        assert one.time_utc_ms[-1] < following.time_utc_ms[0]


def test_blocks_of_one_source_are_passed_through() -> None:
    stretches = list(merged([Blocks("S0", [1, 2, 2, 3, 9], 2)]))
    assert [stretch.size for stretch in stretches] == [2, 2, 1]
    assert stretches[1].position[0].tolist() == [0, 1]
