"""Each kernel beside TA-Lib, over a walk of chance and thousands of real bars.

TA-Lib reckons in floats, the kernels in integers that are rounded at every bar: MILLIONTHS_OFF and MILLIPOINTS_OFF are what
that may come to. TA-Lib's ATR leaves out the first bar, ours has its range: a difference that loses 1 part in 14 a bar.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
import talib
from builders import shared_data

from evenkeel.messages.market import Direction
from evenkeel.rules.indicators.adx import Adx, adx_after, adx_ppm, minus_di_ppm, plus_di_ppm
from evenkeel.rules.indicators.atr import Atr, atr_after, atr_millipoints
from evenkeel.rules.indicators.pearson import PAIR_MOVES, Pair, pair_after, pair_ppm
from evenkeel.rules.indicators.rsi import Rsi, rsi_after, rsi_ppm
from evenkeel.rules.indicators.swings import (
    SWING_BARS,
    is_beyond_swing,
    range_against_points,
    swing_high_points,
    swing_low_points,
)
from evenkeel.rules.indicators.trend import BREAK_BARS, FAST_BARS, SLOW_BARS, trend_score
from evenkeel.rules.indicators.window import WINDOW_BARS, Window, window_after

BARS = 6_000
PERIOD = 14
RUN = 3
BUY, SELL = Direction.BUY, Direction.SELL
MILLIPOINTS_OFF = 1
MILLIONTHS_OFF = 2
SAME_FROM = 400
"""From here on the first bar's part in an ATR is less than a thousandth of a point."""

Floats = Any


class Columns(NamedTuple):
    """In points, as the floats that TA-Lib wants."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats

    def rows(self) -> list[tuple[int, int, int, int]]:
        return [tuple(int(value) for value in row) for row in zip(*self, strict=True)]  # type: ignore[misc]


def chance() -> Columns:
    """A walk with quiet and restless spells, and bars that do not move at all."""
    dice, price, rows = random.Random(6), 100_000, []
    for index in range(2_000):
        reach = (200, 3, 0, 40)[index // 70 % 4]
        opened = price + dice.randint(-reach, reach)
        price = opened + dice.randint(-reach, reach)
        rows.append((opened, max(opened, price) + dice.randint(0, reach), min(opened, price) - dice.randint(0, reach), price))
    return Columns(*np.array(rows, float).T)


def recorded(name: str, names: Sequence[str], digits: int) -> pl.DataFrame:
    """Times and the columns `names` in points."""
    path = shared_data(name)
    if not path.exists():
        pytest.skip(f"needs {name} in shared/data beside the project")
    return pl.read_parquet(path).select("time", *((pl.col(column) * 10**digits).round() for column in names))


def recorded_bars(name: str, prefix: str, digits: int) -> Columns:
    names = [f"{prefix}{price}" for price in Columns._fields]
    frame = recorded(name, names, digits).head(BARS)
    assert len(frame) == BARS
    return Columns(*(frame[column].to_numpy() for column in names))


SOURCES: dict[str, Callable[[], Columns]] = {
    "chance": chance,
    "EURUSD H1": lambda: recorded_bars("bars_EURUSD_H1_oanda.parquet", "bid_", 5),
    "XAUUSD H1": lambda: recorded_bars("bars_XAUUSD_H1_mt5_ejtrader.parquet", "", 2),
    "NZDUSD M1": lambda: recorded_bars("bars_NZDUSD_M1_oanda_201405.parquet", "bid_", 5),
}


@pytest.fixture(scope="module", params=SOURCES)
def bars(request: pytest.FixtureRequest) -> Columns:
    return SOURCES[request.param]()


@pytest.fixture(scope="module")
def windows(bars: Columns) -> list[Window]:
    """After each bar."""
    window, found = Window(), []
    for opened, high, low, close in bars.rows():
        window = window_after(window, open_points=opened, high_points=high, low_points=low, close_points=close)
        found.append(window)
    return found


@pytest.fixture(scope="module")
def adxs(bars: Columns) -> list[Adx]:
    """After each bar."""
    adx, found = Adx(), []
    for _, high, low, close in bars.rows():
        adx = adx_after(adx, PERIOD, high_points=high, low_points=low, close_points=close)
        found.append(adx)
    return found


def floats(readings: Sequence[int | None]) -> Floats:
    return np.array([np.nan if reading is None else reading for reading in readings], float)


def assert_same(readings: Sequence[int | None], theirs: Floats, *, off: float = 0, start: int = 0) -> None:
    """None where TA-Lib has none, and no more than `off` away elsewhere, from bar `start` on."""
    np.testing.assert_allclose(floats(readings)[start:], theirs[start:], rtol=0, atol=off)


def test_the_average_true_range(bars: Columns) -> None:
    atr, found = Atr(), []
    for _, high, low, close in bars.rows():
        atr = atr_after(atr, PERIOD, high_points=high, low_points=low, close_points=close)
        found.append(atr_millipoints(atr, PERIOD))
    theirs = talib.ATR(bars.high, bars.low, bars.close, PERIOD) * 1000
    assert_same(found, theirs, off=MILLIPOINTS_OFF, start=SAME_FROM)


def test_the_average_directional_index_from_its_first_reading_on(bars: Columns, adxs: list[Adx]) -> None:
    theirs = talib.ADX(bars.high, bars.low, bars.close, PERIOD) * 10_000
    assert_same([adx_ppm(adx, PERIOD) for adx in adxs], theirs, off=MILLIONTHS_OFF)


@pytest.mark.parametrize("reading, talibs", [(plus_di_ppm, talib.PLUS_DI), (minus_di_ppm, talib.MINUS_DI)])
def test_the_directional_shares_from_their_first_reading_on(bars: Columns, adxs: list[Adx], reading: Any, talibs: Any) -> None:
    theirs = talibs(bars.high, bars.low, bars.close, PERIOD) * 10_000
    assert_same([reading(adx, PERIOD) for adx in adxs], theirs, off=MILLIONTHS_OFF)


def test_the_relative_strength_from_its_first_reading_on(bars: Columns) -> None:
    rsi, found = Rsi(), []
    for _, _, _, close in bars.rows():
        rsi = rsi_after(rsi, PERIOD, close)
        found.append(rsi_ppm(rsi, PERIOD))
    theirs = talib.RSI(bars.close, PERIOD) * 10_000
    assert_same(found, theirs, off=MILLIONTHS_OFF)
    assert np.nanmax(theirs) - np.nanmin(theirs) > 500_000


def test_the_trend_score_is_what_averages_and_extremes_say(bars: Columns, windows: list[Window]) -> None:
    averages = np.sign(talib.SMA(bars.close, FAST_BARS) - talib.SMA(bars.close, SLOW_BARS))
    closes = np.sign(bars.close[1:] - bars.close[:-1])
    highs = bars.high[1:] >= talib.MAX(bars.high, BREAK_BARS)[:-1]
    lows = bars.low[1:] <= talib.MIN(bars.low, BREAK_BARS)[:-1]
    theirs = averages[1:] + closes + highs.astype(float) - lows.astype(float)
    first = WINDOW_BARS - 1
    found = [trend_score(window) for window in windows]
    assert found[:first] == [None] * first
    assert_same(found[1:], theirs, start=first - 1)
    assert set(found[first:]) == set(range(-3, 4))


def test_the_swing_is_the_extreme_before_the_run(bars: Columns, windows: list[Window]) -> None:
    low, high = talib.MIN(bars.low, SWING_BARS)[:-RUN], talib.MAX(bars.high, SWING_BARS)[:-RUN]
    assert_same([swing_low_points(window, RUN) for window in windows[RUN:]], low)
    assert_same([swing_high_points(window, RUN) for window in windows[RUN:]], high)


@pytest.mark.parametrize("direction, away", [(BUY, -1), (SELL, 1)])
def test_a_run_against_a_direction_breaks_the_swing(
    bars: Columns, windows: list[Window], direction: Direction, away: int
) -> None:
    is_run = talib.SUM(((bars.close - bars.open) * away > 0).astype(float), RUN) == RUN
    reach = np.where(is_run, talib.MAX(bars.high, RUN) - talib.MIN(bars.low, RUN), np.nan)
    assert_same([range_against_points(window, direction, RUN) for window in windows], reach)
    swing = talib.MIN(bars.low, SWING_BARS) if away < 0 else talib.MAX(bars.high, SWING_BARS)
    is_beyond = (bars.close[RUN:] - swing[:-RUN]) * away > 0
    assert [is_beyond_swing(window, direction, RUN) for window in windows[RUN:]] == is_beyond.tolist()
    assert (is_run[RUN:] & is_beyond).sum() > 10


def chance_pairs() -> tuple[list[int], Floats, Floats]:
    dice, x, y, rows = random.Random(60), 100_000, 70_000, []
    for minute in range(2_000):
        common = dice.randint(-30, 30)
        x, y = x + common + dice.randint(-20, 20), y + common * (1 - minute // 500) + dice.randint(-20, 20)
        rows.append((x, y))
    return [minute * 60_000 for minute in range(2_000)], *np.array(rows, float).T


def recorded_pairs() -> tuple[list[int], Floats, Floats]:
    """The minutes that both have."""
    one = recorded("bars_EURUSD_M1_oanda_201405.parquet", ["bid_close"], 5)
    other = recorded("bars_NZDUSD_M1_oanda_201405.parquet", ["bid_close"], 5)
    both = one.join(other, on="time", suffix="_other").sort("time").head(BARS)
    assert len(both) == BARS
    return both["time"].to_list(), both["bid_close"].to_numpy(), both["bid_close_other"].to_numpy()


@pytest.mark.parametrize("source", [chance_pairs, recorded_pairs])
def test_the_correlation_of_two_symbols(source: Callable[[], tuple[list[int], Floats, Floats]]) -> None:
    times, one, other = source()
    pair, found = Pair(), []
    for open_utc_ms, x, y in zip(times, one.astype(int).tolist(), other.astype(int).tolist(), strict=True):
        pair = pair_after(pair, is_other=False, open_utc_ms=open_utc_ms, close_points=x)
        pair = pair_after(pair, is_other=True, open_utc_ms=open_utc_ms, close_points=y)
        found.append(pair_ppm(pair))
    theirs = talib.CORREL(np.diff(one), np.diff(other), PAIR_MOVES) * 1e6
    assert_same(found[1:], theirs, off=MILLIONTHS_OFF)
    assert np.nanmax(theirs) - np.nanmin(theirs) > 500_000
