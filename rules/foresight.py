"""What breaker and limits will find in prices that are all known: for a replay, which asks before it serves them.

The same numbers as rules/spreads.py, indicators/atr.py, circuit_breaker.py and correlation.py find one bar at a time.
"""

from bisect import insort
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from evenkeel.config.circuit_breaker import CircuitBreakerConfig, Steps
from evenkeel.rules.bar_columns import Bars, Column, longer
from evenkeel.rules.bars import PERIOD_MS
from evenkeel.rules.circuit_breaker import BASELINE_MIN, M5_MS, M15_MS, Market, Minute, baseline_max, quiet_ms, steps_ppm
from evenkeel.rules.correlation import HOURS_KEPT, HourCloses
from evenkeel.rules.indicators.atr import Atr
from evenkeel.rules.indicators.running_median import RunningMedian
from evenkeel.rules.sizing import PPM
from evenkeel.rules.spreads import HOUR_BARS_MAX, HOUR_BARS_MIN, RECENT_BARS_MAX, RECENT_BARS_MIN

_HOUR_MS: Final = 3_600_000
_HOURS_PER_WEEK: Final = 168
_WINDOWS_AT_ONCE: Final = 8_192
_NEARLY: Final = 1 - 1e-9
"""What products of 64 bits would not hold is compared as floats, and a hair beside the step still counts."""

Flags = NDArray[np.bool_]


class AtrCourse:
    """The average true range of a timeframe over all M1 bars. `before` counts, of each M1 bar, the bars closed before it;
    `averages_millipoints` are those after each, 0 while there is none."""

    def __init__(self, minutes: Bars, timeframe: str, period: int) -> None:
        bars, index = longer(minutes, timeframe), minutes.open_utc_ms // PERIOD_MS[timeframe]
        self.before = np.cumsum(np.diff(index, prepend=index[:1]) != 0)
        self.hours, self.close_points = bars.open_utc_ms // _HOUR_MS, bars.close_points
        self._period, self._totals_millipoints = period, np.array(list(_totals_millipoints(bars, period)), np.int64)
        self.averages_millipoints = self._totals_millipoints // period
        self.averages_millipoints[: period - 1] = 0

    def after(self, count: int) -> Atr:
        """After so many bars."""
        if count == 0:
            return Atr()
        return Atr(min(count, self._period), int(self.close_points[count - 1]), int(self._totals_millipoints[count - 1]))


class MarketCourse:
    """A symbol over all its M1 bars, of which the last may go on. `trips` are the numbers of the bars that show a level.

    Bars that are nearly one may be among them, never one of them missing: whoever hears a bar looks for itself.
    """

    def __init__(self, config: CircuitBreakerConfig, minutes: Bars) -> None:
        self._config, self._minutes = config, minutes
        self._m5, self._m15 = (AtrCourse(minutes, timeframe, config.atr_bars) for timeframe in ("M5", "M15"))
        is_sample = np.diff(self._m15.hours, prepend=-1) != 0
        is_sample[config.atr_bars - 1 : config.atr_bars - 1 + BASELINE_MIN] = True
        is_sample[: config.atr_bars - 1] = False
        self._samples_by = np.cumsum(is_sample)
        self._samples = self._m15.averages_millipoints[is_sample]
        self._usual = RunningMedian()
        self._usual_count = 0
        self.trips: list[int] = np.flatnonzero(self._moves() | self._averages()).tolist()

    def market_after(self, count: int) -> Market:
        """What the breaker remembers after the first `count` bars, which were closed by the one after them."""
        if count == 0:
            return Market()
        minutes = self._minutes
        last_utc_ms = int(minutes.open_utc_ms[count - 1])
        start = int(minutes.open_utc_ms.searchsorted(last_utc_ms - M15_MS, side="right"))
        recent = (column[start:count].tolist() for column in (minutes.open_utc_ms, minutes.high_points, minutes.low_points))
        m5, m15 = int(self._m5.before[count]), int(self._m15.before[count])
        samples = int(self._samples_by[m15 - 1]) if m15 else 0
        hour = int(self._m15.hours[m15 - 1]) if samples else -1
        return Market(tuple(map(Minute, *recent)), self._m5.after(m5), self._m15.after(m15), self._usual_of(samples), hour)

    def _usual_of(self, count: int) -> RunningMedian:
        """After so many samples. It changes once an hour, and is asked for at every bar that is passed over."""
        if count != self._usual_count:
            values = self._samples[max(0, count - baseline_max(self._config)) : count].tolist()
            self._usual, self._usual_count = RunningMedian(tuple(values), tuple(sorted(values))), count
        return self._usual

    def _moves(self) -> Flags:
        """Of each bar: whether its last five minutes, or the first price after it, show a level."""
        minutes, config = self._minutes, self._config
        high, low = minutes.high_points.copy(), minutes.low_points.copy()
        for back in range(1, M5_MS // PERIOD_MS["M1"]):
            earlier = minutes.open_utc_ms[:-back] > minutes.open_utc_ms[back:] - M5_MS
            high[back:] = np.where(earlier, np.maximum(high[back:], minutes.high_points[:-back]), high[back:])
            low[back:] = np.where(earlier, np.minimum(low[back:], minutes.low_points[:-back]), low[back:])
        range_points = high - low
        gap_points = np.abs(np.append(minutes.open_points[1:], minutes.close_points[-1:]) - minutes.close_points)
        atr = np.append(0, self._m5.averages_millipoints)[self._m5.before]
        is_move = _reached(config.move_atr, range_points * 1000, atr) | _reached(config.gap_atr, gap_points * 1000, atr)
        share = _reached(config.price_change_pct, np.maximum(range_points, gap_points) * 100, minutes.close_points)
        return is_move | share

    def _averages(self) -> Flags:
        """Of each bar: whether it closes an M15 bar after which the average true range shows a level."""
        averages, before, config = self._m15.averages_millipoints, self._m15.before, self._config
        medians = np.append(0, running_medians(self._samples, baseline_max(config)))[self._samples_by]
        medians[self._samples_by < BASELINE_MIN] = 0
        found = _reached(config.atr_ratio, averages, medians)
        found |= _reached(config.volatility_pct, averages * 100, self._m15.close_points * 1000)
        ends = np.append(np.diff(before) != 0, False)  # the last bar is not closed
        flags: Flags = ends & found[before]
        return flags


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


def first_of_hours(minutes: Bars) -> list[int]:
    """The numbers of the first M1 bar of each UTC hour."""
    numbers: list[int] = np.flatnonzero(np.diff(minutes.open_utc_ms // _HOUR_MS, prepend=-1)).tolist()
    return numbers


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
    lowest_ppm = next(iter(steps_ppm(config.spread_ratio)), None)
    if lowest_ppm is None:
        return []
    first = -(-time_utc_ms // every_ms) * every_ms
    until = np.append(time_utc_ms[1:], np.iinfo(np.int64).max)
    until = np.minimum(until, time_utc_ms + quiet_ms(config))
    minute = minutes.open_utc_ms.searchsorted(time_utc_ms, side="right") - 1
    usual_now = usual[minute]
    is_wide = (usual_now > 0) & (spread_points * PPM >= usual_now * lowest_ppm)
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


def _reached(steps: Steps, values: Column, bases: Column) -> Flags:
    """Which values reach the lowest step as a multiple of their base; none of a base that is not above 0."""
    lowest_ppm = next(iter(steps_ppm(steps)), None)
    if lowest_ppm is None:
        return np.zeros(len(values), np.bool_)
    flags: Flags = (bases > 0) & (values >= bases * (lowest_ppm / PPM * _NEARLY))
    return flags


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
