"""What one closed bar costs each indicator: its state taken on, and its reading."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from evenkeel.commands.bench.figures import Figure, rounds_ns
from evenkeel.messages.market import Direction
from evenkeel.rules.bars import PERIOD_MS, Bar
from evenkeel.rules.indicators.adx import Adx, adx_after, adx_ppm
from evenkeel.rules.indicators.atr import Atr, atr_after, atr_millipoints
from evenkeel.rules.indicators.pearson import Pair, pair_after, pair_ppm
from evenkeel.rules.indicators.rsi import Rsi, rsi_after, rsi_ppm
from evenkeel.rules.indicators.running_median import RunningMedian, running_median, running_median_after
from evenkeel.rules.indicators.swings import is_beyond_swing, range_against_points
from evenkeel.rules.indicators.trend import trend_score
from evenkeel.rules.indicators.window import Window, window_after

BARS_A_ROUND: Final = 2_000
PERIOD: Final = 14
MEDIAN_BARS: Final = 60
RUN_BARS: Final = 3


def bar_costs(seconds: float) -> Iterator[Figure]:
    """Each kernel over a walk of chance, `seconds` each."""
    bars = _walk(BARS_A_ROUND)
    kernels: dict[str, Callable[[list[Bar]], None]] = {
        "atr": _atr,
        "adx": _adx,
        "rsi": _rsi,
        "trend": _trend,
        "swings": _swings,
        "pair": _pair,
        "running_median": _running_median,
    }
    for name, kernel in kernels.items():
        found_ns = sorted(rounds_ns(partial(partial, kernel, bars), seconds))
        values = {"median_ns": found_ns[len(found_ns) // 2] / BARS_A_ROUND, "best_ns": found_ns[0] / BARS_A_ROUND}
        yield Figure(f"indicators.{name}", f"one closed bar: {name}", len(found_ns) * BARS_A_ROUND, values)


def _walk(count: int) -> list[Bar]:
    dice, price, bars = random.Random(1), 110_000, list[Bar]()
    for index in range(count):
        opened, price = price, price + dice.randint(-50, 50)
        high, low = max(opened, price) + dice.randint(0, 20), min(opened, price) - dice.randint(0, 20)
        bars.append(Bar(index * PERIOD_MS["M15"], opened, high, low, price, price + 10, 10, 100))
    return bars


def _atr(bars: list[Bar]) -> None:
    atr = Atr()
    for bar in bars:
        atr = atr_after(atr, PERIOD, high_points=bar.high_points, low_points=bar.low_points, close_points=bar.close_points)
        atr_millipoints(atr, PERIOD)


def _adx(bars: list[Bar]) -> None:
    adx = Adx()
    for bar in bars:
        adx = adx_after(adx, PERIOD, high_points=bar.high_points, low_points=bar.low_points, close_points=bar.close_points)
        adx_ppm(adx, PERIOD)


def _rsi(bars: list[Bar]) -> None:
    rsi = Rsi()
    for bar in bars:
        rsi = rsi_after(rsi, PERIOD, bar.close_points)
        rsi_ppm(rsi, PERIOD)


def _trend(bars: list[Bar]) -> None:
    window = Window()
    for bar in bars:
        window = _window_after(window, bar)
        trend_score(window)


def _swings(bars: list[Bar]) -> None:
    window = Window()
    for bar in bars:
        window = _window_after(window, bar)
        range_against_points(window, Direction.BUY, RUN_BARS)
        is_beyond_swing(window, Direction.BUY, RUN_BARS)


def _window_after(window: Window, bar: Bar) -> Window:
    return window_after(
        window,
        open_points=bar.open_points,
        high_points=bar.high_points,
        low_points=bar.low_points,
        close_points=bar.close_points,
    )


def _pair(bars: list[Bar]) -> None:
    """Both symbols' bar counts as one."""
    pair = Pair()
    for bar in bars:
        pair = pair_after(pair, is_other=False, open_utc_ms=bar.open_utc_ms, close_points=bar.close_points)
        pair = pair_after(pair, is_other=True, open_utc_ms=bar.open_utc_ms, close_points=bar.high_points)
        pair_ppm(pair)


def _running_median(bars: list[Bar]) -> None:
    median = RunningMedian()
    for bar in bars:
        median = running_median_after(median, MEDIAN_BARS, bar.close_points)
        running_median(median)
