"""What is found in all prices at once is what the breaker finds in one bar, one sample at a time."""

import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.config.circuit_breaker import CircuitBreakerConfig
from evenkeel.messages.market import BarClosed, Quote
from evenkeel.rules.bar_columns import Bars, minutes_of
from evenkeel.rules.circuit_breaker import Market, market_after, market_reading, quiet_ms
from evenkeel.rules.correlation import HOURS_KEPT, HourCloses, minute_closed
from evenkeel.rules.foresight import HourCourse, MarketCourse, running_medians, usual_spreads, wide_samples
from evenkeel.rules.sizing import PPM, ppm_of
from evenkeel.rules.spreads import Spreads, baseline_points, lower_median, record

MONDAY_UTC_MS = 1_767_571_200_000
TYPICAL_POINTS = 12


def column(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


def minutes(seed: int, count: int) -> Bars:
    """Restless and quiet spells, missing minutes and silent hours."""
    dice = random.Random(seed)
    open_utc_ms, price, rows = MONDAY_UTC_MS, 110_000, []
    for index in range(count):
        open_utc_ms += 60_000 * dice.choice((1, 1, 1, 2, 60 if dice.random() < 0.05 else 1))
        reach = 40 if index // 90 % 2 else 4
        low, high = price - dice.randrange(reach), price + dice.randrange(reach)
        opened, price = dice.randint(low, high), dice.randint(low, high)
        rows.append((open_utc_ms, opened, high, low, price, price + 1, dice.choice((0, 8, 9, 10, 60)), 5))
    return Bars(*(column(list(values)) for values in zip(*rows, strict=True)))


def heard(bars: Bars) -> list[BarClosed]:
    """Each closed by the next one's first quote; the last one is not closed."""
    rows = [[int(value) for value in row] for row in zip(*bars, strict=True)]
    return [
        BarClosed("EURUSD", 1, "M1", *row[:7], 0, row[7], Quote(after[0], after[1], after[1] + 1), False)
        for row, after in pairwise(rows)
    ]


@given(st.lists(st.integers(0, 20), max_size=60), st.integers(1, 12))
def test_a_running_median_is_the_lower_median_of_the_last_values(values: list[int], count_max: int) -> None:
    expected = [lower_median(values[max(0, end - count_max) : end]) for end in range(1, len(values) + 1)]
    assert running_medians(column(values), count_max).tolist() == expected


@pytest.mark.parametrize("changes", [{}, {"baseline_days": 1, "atr_bars": 5}, {"atr_ratio": "off", "gap_atr": "off"}])
def test_the_course_of_a_market_is_that_of_a_fold(changes: dict[str, Any]) -> None:
    config = CircuitBreakerConfig(**{"price_change_pct": (0.08,), "volatility_pct": (0.05,), "atr_ratio": (1.3, 2.0)} | changes)
    bars = minutes(seed=3, count=9_000)
    course = MarketCourse(config, bars)
    market, trips = Market(), []
    for number, bar in enumerate(heard(bars)):
        assert course.market_after(number) == market
        after = market_after(config, market, bar)
        if market_reading(config, market, after, bar) is not None:
            trips.append(number)
        market = after
    assert len(market.usual.values) >= 24
    assert len(trips) > 100
    assert course.trips == trips


@pytest.mark.parametrize("trigger", ["move_atr", "gap_atr", "price_change_pct", "atr_ratio", "volatility_pct"])
def test_each_trigger_of_prices_is_foreseen_alone(trigger: str) -> None:
    low = {"move_atr": 1.5, "gap_atr": 0.5, "price_change_pct": 0.08, "atr_ratio": 1.3, "volatility_pct": 0.04}[trigger]
    off = dict.fromkeys(("move_atr", "gap_atr", "price_change_pct", "atr_ratio", "volatility_pct"), "off")
    config = CircuitBreakerConfig(**off | {trigger: (low,)})  # type: ignore[arg-type]
    bars = minutes(seed=6, count=5_000)
    market, trips = Market(), []
    for number, bar in enumerate(heard(bars)):
        before, market = market, market_after(config, market, bar)
        if market_reading(config, before, market, bar) is not None:
            trips.append(number)
    assert trips
    assert MarketCourse(config, bars).trips == trips


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 30, 80])
def test_few_bars_trip_nothing(count: int) -> None:
    config = CircuitBreakerConfig(gap_atr="off")
    assert MarketCourse(config, minutes(1, 100).cut(0, count)).trips == []


def test_the_hourly_closes_are_those_of_a_fold() -> None:
    bars, closes = minutes(seed=4, count=6_000), HourCloses()
    course, dice = HourCourse(bars), random.Random(4)
    for number, bar in enumerate(heard(bars), start=1):
        minute_closed(closes, bar.open_utc_ms, bar.close_points)
        if dice.random() < 0.2:
            assert course.after(number) == closes
    assert len(closes.hours) == HOURS_KEPT


def test_the_usual_spread_is_that_of_a_fold() -> None:
    bars = minutes(seed=5, count=20_000)
    spreads, expected = Spreads(), []
    for open_utc_ms, spread_points in zip(bars.open_utc_ms.tolist(), bars.spread_points.tolist(), strict=True):
        expected.append(baseline_points(spreads, open_utc_ms, TYPICAL_POINTS))
        record(spreads, open_utc_ms, spread_points)
    assert len(set(expected)) > 2
    assert usual_spreads(bars, TYPICAL_POINTS).tolist() == expected


@pytest.mark.parametrize("seed", range(5))
def test_every_sample_that_trips_is_among_the_wide_ones(seed: int) -> None:
    config = CircuitBreakerConfig(quiet_minutes=10)
    dice = random.Random(seed)
    times, spreads_points = [MONDAY_UTC_MS + 7], [10]
    for _ in range(4_000):
        times.append(times[-1] + dice.choice((0, 900, 5_000, 12_000, 1_500_000 if dice.random() < 0.02 else 1)))
        spreads_points.append(dice.choice((8, 9, 10, 11, 35)))
    bids = np.full(len(times), 110_000, np.int64)
    bars = minutes_of(column(times), bids, bids + column(spreads_points))
    usual = usual_spreads(bars, TYPICAL_POINTS)
    found = wide_samples(config, 5_000, column(times), column(spreads_points), bars, usual)
    spreads, closed, expected = Spreads(), 0, []
    for index in range(len(times) - 1):
        while bars.open_utc_ms[closed] + 60_000 <= times[index]:
            record(spreads, int(bars.open_utc_ms[closed]), int(bars.spread_points[closed]))
            closed += 1
        for sample in range(-(-times[index] // 5_000) * 5_000, times[index + 1], 5_000):
            median = baseline_points(spreads, sample, TYPICAL_POINTS)
            if median and sample - times[index] < quiet_ms(config) and spreads_points[index] * PPM >= median * ppm_of(3.0):
                expected.append(sample)
    assert expected
    assert set(expected) <= set(found)
    assert len(found) < len(expected) * 2 + 100
