"""Bars made of arrays are the bars that are made of one quote after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from evenkeel.messages.market import BarClosed, PointWorth, Quote, SymbolSpec
from evenkeel.rules.bar_columns import Bars, longer, minutes_of, minutes_of_blocks
from evenkeel.rules.bars import OpenBar, bar_of, closed, opened_by, with_minute, with_minutes

SPEC = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 1, 10)
STEPS_MS = some.sampled_from([0, 1, 15_000, 59_999, 60_000, 200_000, 4_000_000])
QUOTES = some.lists(some.tuples(STEPS_MS, some.integers(90, 110), some.integers(0, 9)), max_size=60)


def columns(quotes: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, bid and ask of (step, bid, spread)."""
    rows = np.array(quotes, np.int64).reshape(-1, 3)
    return 1_767_571_200_000 + np.cumsum(rows[:, 0]), rows[:, 1], rows[:, 1] + rows[:, 2]


def one_by_one(quotes: list[tuple[int, int, int]]) -> list[OpenBar]:
    found, minute = [], None
    for time, bid, ask in zip(*(column.tolist() for column in columns(quotes)), strict=True):
        if minute is not None and time < minute.ends_utc_ms:
            minute.bids.append(bid)
            minute.asks.append(ask)
        else:
            found += [] if minute is None else [bar_of(minute)]
            minute = opened_by(Quote(time, bid, ask))
    return [*found, bar_of(minute)] if minute else []


def as_closed(bar: OpenBar, timeframe: str) -> BarClosed:
    return closed(bar, timeframe, SPEC, spread_median_points=0, quote=Quote(0, 0, 0), late=False)


def rows(bars: Bars) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in bars), strict=True))


def row(bar: BarClosed) -> tuple[int, ...]:
    prices = bar.open_points, bar.high_points, bar.low_points, bar.close_points, bar.close_ask_points
    return bar.open_utc_ms, *prices, bar.spread_points, bar.quotes


@given(QUOTES)
def test_minutes_are_those_of_one_quote_after_the_other(quotes: list[tuple[int, int, int]]) -> None:
    assert rows(minutes_of(*columns(quotes))) == [row(as_closed(bar, "M1")) for bar in one_by_one(quotes)]


@given(QUOTES, some.integers(1, 20))
def test_blocks_of_any_size_make_the_same_minutes(quotes: list[tuple[int, int, int]], size: int) -> None:
    whole = columns(quotes)
    blocks = [tuple(column[start : start + size] for column in whole) for start in range(0, len(quotes), size)]
    assert rows(minutes_of_blocks(blocks)) == rows(minutes_of(*whole)) if quotes else not blocks


@pytest.mark.parametrize("timeframe", ["M5", "H1", "D1"])
@given(quotes=QUOTES)
def test_longer_bars_are_those_of_one_minute_after_the_other(timeframe: str, quotes: list[tuple[int, int, int]]) -> None:
    found: list[OpenBar] = []
    for minute in one_by_one(quotes):
        same = found[-1:] if found and minute.open_utc_ms < found[-1].ends_utc_ms else []
        found[len(found) - len(same) :] = [with_minute(same[0] if same else None, as_closed(minute, "M1"), timeframe)]
    assert rows(longer(minutes_of(*columns(quotes)), timeframe)) == [row(as_closed(bar, timeframe)) for bar in found]


@pytest.mark.parametrize("timeframe", ["M5", "H1"])
@given(quotes=QUOTES, cut=some.integers(0, 60))
def test_the_open_bar_after_many_minutes_is_that_of_one_after_the_other(
    timeframe: str, quotes: list[tuple[int, int, int]], cut: int
) -> None:
    minutes = minutes_of(*columns(quotes))
    if not minutes.size:
        return
    last = minutes.size - 1
    cut = min(cut, last)
    bar = with_minutes(None, minutes.cut(0, cut), timeframe, int(minutes.open_utc_ms[cut]))
    bar = with_minutes(bar, minutes.cut(cut, last), timeframe, now_utc_ms := int(minutes.open_utc_ms[last]))
    expected: OpenBar | None = None
    for minute in one_by_one(quotes)[:-1]:
        expected = with_minute(expected, as_closed(minute, "M1"), timeframe)
    is_open = expected is not None and now_utc_ms < expected.ends_utc_ms
    assert bar == (expected if is_open else None)
