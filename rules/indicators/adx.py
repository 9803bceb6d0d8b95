"""Directional movement: which way bars reach (+DI, -DI) and how one-sidedly (ADX), after Wilder 1978.

Shares are millionths: an ADX that others print as 25 is 250,000 here.
"""

from typing import Final

import msgspec

from evenkeel.rules.indicators.atr import smoothed, true_range
from evenkeel.rules.sizing import PPM

NANO: Final = 1_000_000_000
"""So fine that hours without a move leave the shares right to a millionth."""


class Adx(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """On its way: the last bar, and averages times the period. `changes` counts bars after the first, up to 2 * period - 1."""

    changes: int = 0
    high_points: int | None = None
    low_points: int = 0
    close_points: int = 0
    plus_nanopoints: int = 0
    minus_nanopoints: int = 0
    range_nanopoints: int = 0
    total_ppm: int = 0


def adx_after(adx: Adx, period: int, *, high_points: int, low_points: int, close_points: int) -> Adx:
    """Takes in one closed bar; `period` is 2 at least and stays the same. The totals start as those of TA-Lib do.

    They begin with a plain sum of `period` - 1 changes; the average of the index with a plain mean of `period` of them. A bar
    at which there is no movement either way leaves the average as it is.
    """
    assert period >= 2, f"period {period} must be at least 2"
    if adx.high_points is None:
        return Adx(0, high_points, low_points, close_points)
    plus_points, minus_points = _movements(high_points - adx.high_points, adx.low_points - low_points)
    range_points = true_range(high_points, low_points, adx.close_points)
    is_full = adx.changes >= period - 1
    plus, minus, reach = (
        smoothed(total, period, points * NANO, is_full=is_full)
        for total, points in (
            (adx.plus_nanopoints, plus_points),
            (adx.minus_nanopoints, minus_points),
            (adx.range_nanopoints, range_points),
        )
    )
    total_ppm = adx.total_ppm
    if is_full and plus + minus > 0:
        index_ppm = abs(plus - minus) * PPM // (plus + minus)
        total_ppm = smoothed(total_ppm, period, index_ppm, is_full=adx.changes >= 2 * period - 1)
    changes = min(adx.changes + 1, 2 * period - 1)
    return Adx(changes, high_points, low_points, close_points, plus, minus, reach, total_ppm)


def adx_ppm(adx: Adx, period: int) -> int | None:
    """0 is no trend at all, PPM one without a step back. None until 2 * `period` bars were taken in."""
    return adx.total_ppm // period if adx.changes >= 2 * period - 1 else None


def plus_di_ppm(adx: Adx, period: int) -> int | None:
    """The upward share of the range; None until `period` + 1 bars were taken in, and while prices have not moved at all."""
    return _share_ppm(adx.plus_nanopoints, adx, period)


def minus_di_ppm(adx: Adx, period: int) -> int | None:
    """The downward share of the range; None as for `plus_di_ppm`."""
    return _share_ppm(adx.minus_nanopoints, adx, period)


def _movements(up_points: int, down_points: int) -> tuple[int, int]:
    """Only the larger reach beyond the bar before counts; of two equal ones neither does."""
    plus = up_points if up_points > max(down_points, 0) else 0
    minus = down_points if down_points > max(up_points, 0) else 0
    return plus, minus


def _share_ppm(movement_nanopoints: int, adx: Adx, period: int) -> int | None:
    if adx.changes < period or adx.range_nanopoints == 0:
        return None
    return movement_nanopoints * PPM // adx.range_nanopoints
