import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as some

from evenkeel.rules.price_bars import bars_of
from evenkeel.rules.price_checks import BARS, QUOTES, PriceRows

M1, M5 = 60_000, 300_000


def blocks(rows: list[tuple[int, ...]], at_once: int) -> list[PriceRows]:
    made = []
    for start in range(0, len(rows), at_once):
        times, *prices = (np.array(column, np.int64) for column in zip(*rows[start : start + at_once], strict=True))
        made.append(PriceRows(times, tuple(prices), np.arange(start, start + len(times))))
    return made


def rows_of(found: list[PriceRows]) -> list[tuple[int, ...]]:
    return [row for block in found for row in zip(block.time_ms.tolist(), *(p.tolist() for p in block.prices), strict=True)]


STEPS = some.lists(some.tuples(some.integers(1, 90_000), some.integers(100, 120), some.integers(0, 9)), min_size=1, max_size=40)


@settings(max_examples=50, deadline=None)
@given(steps=STEPS, at_once=some.integers(1, 7))
def test_each_bar_is_its_quotes_however_they_are_cut(steps, at_once):
    rows, time = [], 0
    for step, bid, spread in steps:
        time += step
        rows.append((time, bid, bid + spread))
    expected = []
    for minute in sorted({time // M1 for time, _, _ in rows}):
        sides = list(zip(*((bid, ask) for time, bid, ask in rows if time // M1 == minute), strict=True))
        expected.append((minute * M1, *(price for side in sides for price in (side[0], max(side), min(side), side[-1]))))
    minutes = list(bars_of(blocks(rows, at_once), QUOTES, M1))
    assert rows_of(minutes) == expected
    assert rows_of(list(bars_of(minutes, BARS, M5))) == rows_of(list(bars_of(blocks(rows, 100), QUOTES, M5)))
