"""When a symbol is not itself: spread against its median, ATR against its own (trading_rules 3.7).

Absolute percentages are of crypto scale and would never fire on currencies, so both are ratios to the symbol's baseline.
"""

from typing import Final

import msgspec

from evenkeel.config.schema import CircuitBreakerConfig
from evenkeel.messages.market import BarClosed, SampleDue
from evenkeel.rules.indicators.atr import Atr, atr_after, atr_millipoints
from evenkeel.rules.sizing import PPM, ppm_of
from evenkeel.rules.spreads import lower_median

BASELINE_BARS_MIN: Final = 60


class Baseline(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A symbol's ATR after its last M1 bar, and the ones before, oldest first, at most `baseline_bars`."""

    atr: Atr = Atr()
    atrs_millipoints: tuple[int, ...] = ()


def hold_ms(config: CircuitBreakerConfig) -> int:
    return round(config.hold_minutes * 60_000)


def spread_trip(config: CircuitBreakerConfig, sample: SampleDue) -> str | None:
    """Why the spread trips, with the numbers. No median yet, or a quote older than a hold lasts, says nothing."""
    spread_points = sample.quote.ask_points - sample.quote.bid_points
    median_points = sample.spread_median_points
    if median_points == 0 or sample.age_ms >= hold_ms(config):
        return None
    if spread_points * PPM < median_points * ppm_of(config.spread_ratio):
        return None
    return f"spread of {spread_points} points is {config.spread_ratio:g} times its median {median_points} or more"


def baseline_after(config: CircuitBreakerConfig, baseline: Baseline, bar: BarClosed) -> Baseline:
    """Takes in a closed M1 bar; the ATR until now joins the history that the next one is compared with."""
    before = atr_millipoints(baseline.atr, config.atr_bars)
    history = baseline.atrs_millipoints if before is None else (*baseline.atrs_millipoints, before)
    atr = atr_after(
        baseline.atr,
        config.atr_bars,
        high_points=bar.high_points,
        low_points=bar.low_points,
        close_points=bar.close_points,
    )
    return Baseline(atr, history[-config.baseline_bars :])


def atr_trip(config: CircuitBreakerConfig, baseline: Baseline) -> str | None:
    """Why the ATR trips, with the numbers; None while the history is short (60 values, or all that is configured)."""
    now = atr_millipoints(baseline.atr, config.atr_bars)
    history = baseline.atrs_millipoints
    if now is None or len(history) < min(BASELINE_BARS_MIN, config.baseline_bars):
        return None
    median = lower_median(history)
    if median == 0 or now * PPM < median * ppm_of(config.atr_ratio):
        return None
    return f"ATR of {now // 1000} points is {config.atr_ratio:g} times its median {median // 1000} or more"
