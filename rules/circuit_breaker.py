"""How far a market is from itself, trigger by trigger (trading_rules 3.7).

Ratios are to the symbol's own baseline, because absolute percentages are of the scale of cryptocurrencies and would seldom be
reached by currencies; they are tried beside them, and the higher level counts. All of it comes of M1 bars, which make the M5
and M15 bars here, and of samples of the spread. Volatility is the ATR of M15 bars, on which a lively hour is not yet far from
the median of all hours; moves within minutes are measured in ATRs of M5 bars. What follows of a level is in
rules/circuit_breaker_levels.py.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

import msgspec

from evenkeel.config.circuit_breaker import CircuitBreakerConfig, Steps
from evenkeel.messages.circuit_breaker import BreakerLevel
from evenkeel.messages.market import BarClosed, SampleDue
from evenkeel.rules.bars import PERIOD_MS
from evenkeel.rules.correlation import HourCloses, correlation_ppm
from evenkeel.rules.indicators.atr import Atr, atr_after, atr_millipoints
from evenkeel.rules.indicators.running_median import RunningMedian, running_median, running_median_after
from evenkeel.rules.sizing import PPM, ppm_of

LEVELS: Final = tuple(BreakerLevel)
BASELINE_MIN: Final = 12
"""ATRs in the baseline, from which it counts: so many M15 bars at first, then one an hour."""
M5_MS: Final = PERIOD_MS["M5"]
M15_MS: Final = PERIOD_MS["M15"]
HOUR_MS: Final = PERIOD_MS["H1"]
CORRELATIONS_MAX: Final = 60
CORRELATIONS_MIN: Final = 24
_HOURS_PER_DAY: Final = 24


class Reading(NamedTuple):
    """A level that a trigger shows, and why, with the numbers. `atr_points`: how near stops are to come, 0 where they stay."""

    level: BreakerLevel
    reason: str
    atr_points: int = 0

    @property
    def rank(self) -> int:
        return LEVELS.index(self.level)


class Minute(msgspec.Struct, frozen=True, array_like=True, gc=False):
    open_utc_ms: int
    high_points: int
    low_points: int


class Market(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A symbol after its last M1 bar: the minutes of the last fifteen, the ATRs of closed M5 and M15 bars, and samples.

    A sample is taken of the M15 ATR at each of the first BASELINE_MIN bars that have one, then at the first of each hour.
    """

    minutes: tuple[Minute, ...] = ()
    m5: Atr = Atr()
    m15: Atr = Atr()
    usual: RunningMedian = RunningMedian()
    sampled_hour: int = -1


def baseline_max(config: CircuitBreakerConfig) -> int:
    return config.baseline_days * _HOURS_PER_DAY


def market_after(config: CircuitBreakerConfig, market: Market, bar: BarClosed) -> Market:
    """Takes in a closed M1 bar. The quote that closed it closes the longer ones, too, when it is of a later period."""
    from_utc_ms = bar.open_utc_ms - M15_MS
    kept = [minute for minute in market.minutes if minute.open_utc_ms > from_utc_ms]
    minutes = (*kept, Minute(bar.open_utc_ms, bar.high_points, bar.low_points))
    m5 = _atr_after(config, market.m5, minutes, bar, M5_MS)
    m15 = _atr_after(config, market.m15, minutes, bar, M15_MS)
    average, hour = atr_millipoints(m15, config.atr_bars), bar.open_utc_ms // HOUR_MS
    is_known = len(market.usual.values) >= BASELINE_MIN and hour == market.sampled_hour
    if m15 is market.m15 or average is None or is_known:
        return Market(minutes, m5, m15, market.usual, market.sampled_hour)
    return Market(minutes, m5, m15, running_median_after(market.usual, baseline_max(config), average), hour)


def _atr_after(config: CircuitBreakerConfig, atr: Atr, minutes: Sequence[Minute], bar: BarClosed, period_ms: int) -> Atr:
    """The same one while the period goes on."""
    period = bar.open_utc_ms // period_ms
    if bar.quote.time_utc_ms // period_ms == period:
        return atr
    of_period = [minute for minute in minutes if minute.open_utc_ms // period_ms == period]
    return atr_after(
        atr,
        config.atr_bars,
        high_points=max(minute.high_points for minute in of_period),
        low_points=min(minute.low_points for minute in of_period),
        close_points=bar.close_points,
    )


def market_reading(config: CircuitBreakerConfig, before: Market, after: Market, bar: BarClosed) -> Reading | None:
    """What the bar shows that led from `before` to `after`: the highest level of all that prices show; None below YELLOW.

    A move is measured in ATRs from before it, so that it does not hide behind itself.
    """
    atr = atr_millipoints(before.m5, config.atr_bars)
    recent = [minute for minute in after.minutes[-5:] if minute.open_utc_ms > bar.open_utc_ms - M5_MS]
    range_points = max([minute.high_points for minute in recent]) - min([minute.low_points for minute in recent])
    gap_points = abs(bar.quote.bid_points - bar.close_points)
    moved_points = max(range_points, gap_points)
    found = [
        _reading(config.move_atr, range_points * 1000, atr, "range of 5 minutes", "the ATR", 1000),
        _reading(config.gap_atr, gap_points * 1000, atr, "gap", "the ATR", 1000),
        _share(config.price_change_pct, moved_points * 1000, bar.close_points, "price change"),
    ]
    if after.m15 is not before.m15:
        found.append(volatility_reading(config, after))
    reading = highest(found)
    return None if reading is None else reading._replace(atr_points=_near_points(config, after, moved_points))


def volatility_reading(config: CircuitBreakerConfig, market: Market) -> Reading | None:
    """Of the average true range, which lasts until the next M15 bar has closed."""
    now, usual = atr_millipoints(market.m15, config.atr_bars), running_median(market.usual, BASELINE_MIN)
    if now is None:
        return None
    ratio = _reading(config.atr_ratio, now, usual, "ATR", "its median", 1000)
    reading = highest([ratio, _share(config.volatility_pct, now, market.m15.close_points or 0, "ATR")])
    return None if reading is None else reading._replace(atr_points=_near_points(config, market, 0))


def spread_reading(config: CircuitBreakerConfig, sample: SampleDue) -> Reading | None:
    """Of the spread. No median yet, or a quote older than a quiet period, says nothing. It brings no stop nearer: where only
    the spread is wide, prices have not moved."""
    if sample.age_ms >= quiet_ms(config):
        return None
    spread_points = sample.quote.ask_points - sample.quote.bid_points
    return _reading(config.spread_ratio, spread_points, sample.spread_median_points, "spread", "its median", 1)


def pair_reading(config: CircuitBreakerConfig, pair: str, correlations_ppm: tuple[int, ...]) -> Reading | None:
    """Of two symbols' correlation now against the oldest that is kept; None while few are."""
    if len(correlations_ppm) < CORRELATIONS_MIN:
        return None
    now, then = correlations_ppm[-1], correlations_ppm[0]
    rank, step = _reached(config.correlation_change, abs(now - then), PPM)
    if rank == 0:
        return None
    text = f"correlation of {pair} is {now / PPM:.2f} after {then / PPM:.2f}, a change of {step:g} or more"
    return Reading(LEVELS[rank], text)


def known_pairs(config: CircuitBreakerConfig, symbols: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The pairs of which both symbols are there, by "ONE OTHER"."""
    return {" ".join(pair): pair for pair in config.correlation_pairs if all(symbol in symbols for symbol in pair)}


def correlations_after(
    correlations_ppm: tuple[int, ...], pair: tuple[str, ...], hours: Mapping[str, HourCloses]
) -> tuple[int, ...]:
    """With that of the hours until now, where it is known; at most CORRELATIONS_MAX."""
    nothing = HourCloses()
    found = correlation_ppm(hours.get(pair[0], nothing), hours.get(pair[1], nothing))
    return correlations_ppm if found is None else (*correlations_ppm, found)[-CORRELATIONS_MAX:]


def silence_reading(config: CircuitBreakerConfig, silent_ms: int) -> Reading | None:
    rank, step = _reached(config.silence_s, silent_ms, 1000)
    return None if rank == 0 else Reading(LEVELS[rank], f"no quote for {silent_ms / 1000:g} s, {step:g} s or more")


def next_silence_ms(config: CircuitBreakerConfig, silent_ms: int) -> int | None:
    """The length of a silence that is more than this one, and the next step; None when there is none."""
    steps = [] if config.silence_s == "off" else [round(step * 1000) for step in config.silence_s]
    return next((step for step in steps if step > silent_ms), None)


def errors_kept(config: CircuitBreakerConfig, errors_utc_ms: tuple[int, ...], now_utc_ms: int) -> tuple[int, ...]:
    """Those of the last hour; no more than the highest step counts."""
    count = 0 if config.errors_per_hour == "off" else math.ceil(config.errors_per_hour[-1])
    return tuple(utc_ms for utc_ms in errors_utc_ms if utc_ms > now_utc_ms - HOUR_MS)[-count:] if count else ()


def errors_reading(config: CircuitBreakerConfig, count: int) -> Reading | None:
    rank, step = _reached(config.errors_per_hour, count, 1)
    return None if rank == 0 else Reading(LEVELS[rank], f"{count} errors in an hour, {step:g} or more")


def highest(found: Iterable[Reading | None]) -> Reading | None:
    """The gravest, of equals the first."""
    return max((reading for reading in found if reading is not None), key=lambda reading: reading.rank, default=None)


def quiet_ms(config: CircuitBreakerConfig) -> int:
    return round(config.quiet_minutes * 60_000)


@cache
def steps_ppm(steps: Steps) -> tuple[int, ...]:
    """The steps as exact numbers, lowest first; none of a trigger that is off."""
    return () if steps == "off" else tuple(ppm_of(step) for step in steps)


def _reached(steps: Steps, value: int, base: int) -> tuple[int, float]:
    """How many steps `value` reaches as a multiple of `base`, and the highest of them."""
    rank = 0
    for step_ppm in steps_ppm(steps):
        if value * PPM < base * step_ppm:
            break
        rank += 1
    return rank, float(steps[rank - 1]) if rank else 0.0


def _reading(steps: Steps, value: int, base: int | None, what: str, against: str, unit: int) -> Reading | None:
    """`value` and `base` are `unit`ths of a point."""
    if not base:
        return None
    rank, step = _reached(steps, value, base)
    if rank == 0:
        return None
    text = f"{what} of {value // unit} points is {step:g} times {against} {base // unit} or more"
    return Reading(LEVELS[rank], text)


def _share(steps: Steps, millipoints: int, price_points: int, what: str) -> Reading | None:
    """In percent of the price."""
    if price_points <= 0:
        return None
    rank, step = _reached(steps, millipoints * 100, price_points * 1000)
    if rank == 0:
        return None
    return Reading(LEVELS[rank], f"{what} of {millipoints // 1000} points is {step:g} % of the price or more")


def _near_points(config: CircuitBreakerConfig, market: Market, moved_points: int) -> int:
    """How near stops are to come: ATRs, or as many of what was just moved, which an average learns late. Rounded nearer."""
    if config.tighten_atr == "off":
        return 0
    atr = atr_millipoints(market.m15, config.atr_bars) or 0
    return max(1, max(atr, moved_points * 1000) * ppm_of(config.tighten_atr) // (1000 * PPM))
