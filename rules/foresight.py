"""What breaker and limits will find in prices that are all known: for a replay, which asks before it serves them.

The same numbers as rules/spreads.py, indicators/atr.py, circuit_breaker.py and correlation.py find one bar at a time.
"""

from bisect import insort
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from evenkeel.config.schema import CircuitBreakerConfig
from evenkeel.rules.bar_columns import Bars, Column, longer
from evenkeel.rules.circuit_breaker import BASELINE_BARS_MIN, Baseline, hold_ms
from evenkeel.rules.correlation import HOURS_KEPT, HourCloses
from evenkeel.rules.indicators.atr import Atr
from evenkeel.rules.sizing import PPM, ppm_of
from evenkeel.rules.spreads import HOUR_BARS_MAX, HOUR_BARS_MIN, RECENT_BARS_MAX, RECENT_BARS_MIN

_HOUR_MS: Final = 3_600_000
_HOURS_PER_WEEK: Final = 168
_WINDOWS_AT_ONCE: Final = 8_192


class AtrCourse:
    """A symbol's average true range over all its closed M1 bars. `trips` are the numbers of the bars that trip by it."""

    def __init__(self, config: CircuitBreakerConfig, bars: Bars) -> None:
        self._config, self._bars = config, bars
        self._totals_millipoints = list(_totals_millipoints(bars, config.atr_bars))
        first = config.atr_bars - 1  # the bar from which there is an average
        self._averages_millipoints = [total // config.atr_bars for total in self._totals_millipoints[first:]]
        self.trips: list[int] = self._trips(np.array(self._averages_millipoints, np.int64))

    def baseline_after(self, count: int) -> Baseline:
        """What the breaker remembers after the first `count` bars."""
        if count == 0:
            return Baseline()
        period, history = self._config.atr_bars, max(0, count - self._config.atr_bars)
        atr = Atr(min(count, period), int(self._bars.close_points[count - 1]), self._totals_millipoints[count - 1])
        return Baseline(atr, tuple(self._averages_millipoints[max(0, history - self._config.baseline_bars) : history]))

    def _trips(self, averages: Column) -> list[int]:
        least = min(BASELINE_BARS_MIN, self._config.baseline_bars)
        if len(averages) <= least:
            return []
        medians, now = running_medians(averages, self._config.baseline_bars)[:-1], averages[1:]  # each with those before it
        is_trip = (medians > 0) & (now * PPM >= medians * ppm_of(self._config.atr_ratio))
        is_trip[: least - 1] = False
        numbers: list[int] = (np.flatnonzero(is_trip) + self._config.atr_bars).tolist()
        return numbers


class HourCourse:
    """A symbol's hourly closes over all its M1 bars."""

    def __init__(self, minutes: Bars) -> None:
        hours = longer(minutes, "H1")
        self._minutes = minutes
        self._hours, self._close_points = hours.open_utc_ms // _HOUR_MS, hours.close_points

    def after(self, count: int) -> HourCloses:
        """What the limits remember after the first `count` bars, of which there is one at least."""
        hour = int(self._minutes.open_utc_ms[count - 1]) // _HOUR_MS
        end = int(self._hours.searchsorted(hour))
        start = max(0, end - HOURS_KEPT + 1)
        closed, closes = self._hours[start:end].tolist(), self._close_points[start:end].tolist()
        return HourCloses([*closed, hour], [*closes, int(self._minutes.close_points[count - 1])])


def usual_spreads(minutes: Bars, typical_points: int) -> Column:
    """While each M1 bar is open: the usual spread at a time in its hour, from the bars before it."""
    count = minutes.size
    usual = np.full(count, typical_points, np.int64)
    if count <= RECENT_BARS_MIN:
        return usual
    usual[1:] = running_medians(minutes.spread_points, RECENT_BARS_MAX)[:-1]
    usual[:RECENT_BARS_MIN] = typical_points
    hour = minutes.open_utc_ms // _HOUR_MS % _HOURS_PER_WEEK
    order = np.argsort(hour, kind="stable")
    for same_hour in np.split(order, np.flatnonzero(np.diff(hour[order])) + 1):
        if len(same_hour) > HOUR_BARS_MIN:
            of_hour = running_medians(minutes.spread_points[same_hour], HOUR_BARS_MAX)
            usual[same_hour[HOUR_BARS_MIN:]] = of_hour[HOUR_BARS_MIN - 1 : -1]
    return usual


def wide_samples(
    config: CircuitBreakerConfig, every_ms: int, time_utc_ms: Column, spread_points: Column, minutes: Bars, usual: Column
) -> list[int]:
    """The sample times, rising, at which the spread of the quote before may trip; every one that does trip is among them.

    `usual` is `usual_spreads` of `minutes`, which has the minute of each quote.
    """
    first = -(-time_utc_ms // every_ms) * every_ms
    until = np.append(time_utc_ms[1:], np.iinfo(np.int64).max)
    until = np.minimum(until, time_utc_ms + hold_ms(config))
    minute = minutes.open_utc_ms.searchsorted(time_utc_ms, side="right") - 1
    usual_now = usual[minute]
    is_wide = (usual_now > 0) & (spread_points * PPM >= usual_now * ppm_of(config.spread_ratio))
    is_other_hour = until > (minutes.open_utc_ms[minute] // _HOUR_MS + 1) * _HOUR_MS  # another spread is usual then
    indexes = np.flatnonzero((first < until) & (is_wide | is_other_hour))
    spans = zip(first[indexes].tolist(), until[indexes].tolist(), strict=True)
    return sorted({sample for start, end in spans for sample in range(start, end, every_ms)})


def running_medians(values: Column, count_max: int) -> Column:
    """At each value the lower median of it and those before it, at most `count_max` of them."""
    medians = np.empty(len(values), np.int64)
    short = min(count_max, len(values))
    ordered: list[int] = []
    for index, value in enumerate(values[:short].tolist()):
        insort(ordered, value)
        medians[index] = ordered[index // 2]
    middle = (count_max - 1) // 2
    for start in range(count_max, len(values), _WINDOWS_AT_ONCE):
        end = min(start + _WINDOWS_AT_ONCE, len(values))
        windows = sliding_window_view(values[start - count_max + 1 : end], count_max)
        medians[start:end] = np.partition(windows, middle, axis=1)[:, middle]
    return medians


def _totals_millipoints(bars: Bars, period: int) -> Iterator[int]:
    """The average true range in thousandths of a point times the period, after each bar."""
    if not bars.size:
        return
    before = np.concatenate([bars.low_points[:1], bars.close_points[:-1]])  # the first bar has only its own range
    ranges = (np.maximum(bars.high_points, before) - np.minimum(bars.low_points, before)) * 1000
    total = 0
    for index, entering in enumerate(ranges.tolist()):
        total += entering - (total // period if index >= period else 0)
        yield total
