"""The figures of an account over its minute snapshots (trading_rules 2.6): capital, the last hour, day and week, decisions.

Everything is of the snapshots that are given and of their own clock; now is the newest of them.
"""

from bisect import bisect_right
from collections.abc import Iterable
from statistics import fmean, median, stdev
from typing import Final

import msgspec

from evenkeel.rules.snapshots import Snapshot

HOUR_MS: Final = 3_600_000
WINDOWS_MS: Final = {"1 h": HOUR_MS, "24 h": 24 * HOUR_MS, "7 d": 7 * 24 * HOUR_MS}
QUOTES_A_RATE: Final = 1_000


class Capital(msgspec.Struct, frozen=True):
    """Equity, what floats included, over the snapshots that know it. The sample standard deviation needs two."""

    snapshots: int
    mean_cents: float
    median_cents: float
    stdev_cents: float | None
    min_cents: int
    max_cents: int


class Recent(msgspec.Struct, frozen=True):
    """From the newest snapshot at or before now - `window`; where there is none so old, from the oldest: not `is_whole`.

    `net_cents` is of the trades closed since, after costs, `net_ratio` its share of the equity at the beginning.
    `equity_change_cents` also has what floats, and what came or went without a trade. `snapshots` are those since.
    """

    window: str
    is_whole: bool
    from_utc_ms: int
    net_cents: int
    net_ratio: float | None
    equity_change_cents: int | None
    trades: int
    snapshots: int


class AccountFigures(msgspec.Struct, frozen=True, kw_only=True):
    """`trades`, `won` and `win_ratio` are lifetime, so is `drawdown_max_ppm`, which is of equity with what floats.

    A decision is an order that was opened or refused; `quotes` were looked at meanwhile, over all processes. Time that goes
    back (a demonstration begins anew) counts as standing still.
    """

    from_utc_ms: int
    to_utc_ms: int
    snapshots: int
    positions: int
    trades: int
    won: int
    win_ratio: float | None
    total_net_cents: int
    day_net_cents: int
    day_trades: int
    drawdown_ppm: int | None
    drawdown_max_ppm: int
    capital: Capital | None
    recent: list[Recent]
    decisions: int
    quotes: int
    decisions_per_1000_quotes: float | None


class _Series(msgspec.Struct):
    """One entry a snapshot, those of `equity_cents` that nobody knows None."""

    utc_ms: list[int] = []
    equity_cents: list[int | None] = []
    net_cents: list[int] = []
    trades: list[int] = []


def account_figures(snapshots: Iterable[Snapshot]) -> AccountFigures | None:
    """`snapshots` oldest first, taken one at a time; None without any."""
    series, newest, decisions, quotes = _Series(), None, 0, 0
    for one in snapshots:
        series.utc_ms.append(one.utc_ms if newest is None else max(one.utc_ms, series.utc_ms[-1]))
        series.equity_cents.append(one.equity_cents)
        series.net_cents.append(one.total_net_cents)
        series.trades.append(one.trades)
        if newest is not None:
            decisions += max(0, _decided(one) - _decided(newest))
            quotes += one.loop.quotes - newest.loop.quotes if one.loop.quotes >= newest.loop.quotes else one.loop.quotes
        newest = one
    if newest is None:
        return None
    return AccountFigures(
        from_utc_ms=series.utc_ms[0],
        to_utc_ms=series.utc_ms[-1],
        snapshots=len(series.utc_ms),
        positions=newest.positions,
        trades=newest.trades,
        won=newest.won,
        win_ratio=newest.win_ratio,
        total_net_cents=newest.total_net_cents,
        day_net_cents=newest.day_net_cents,
        day_trades=newest.day_trades,
        drawdown_ppm=newest.drawdown_ppm,
        drawdown_max_ppm=newest.drawdown_max_ppm,
        capital=capital_of([cents for cents in series.equity_cents if cents is not None]),
        recent=[_recent(series, window, length_ms) for window, length_ms in WINDOWS_MS.items()],
        decisions=decisions,
        quotes=quotes,
        decisions_per_1000_quotes=decisions * QUOTES_A_RATE / quotes if quotes else None,
    )


def capital_of(equity_cents: list[int]) -> Capital | None:
    if not equity_cents:
        return None
    spread = stdev(equity_cents) if len(equity_cents) > 1 else None
    low, high = min(equity_cents), max(equity_cents)
    return Capital(len(equity_cents), fmean(equity_cents), median(equity_cents), spread, low, high)


def _decided(snapshot: Snapshot) -> int:
    return snapshot.decisions.opened + sum(snapshot.decisions.denied.values())


def _recent(series: _Series, window: str, length_ms: int) -> Recent:
    since_utc_ms = series.utc_ms[-1] - length_ms
    before = bisect_right(series.utc_ms, since_utc_ms)
    first = max(0, before - 1)
    net_cents = series.net_cents[-1] - series.net_cents[first]
    base_cents, now_cents = series.equity_cents[first], series.equity_cents[-1]
    return Recent(
        window=window,
        is_whole=before > 0,
        from_utc_ms=series.utc_ms[first],
        net_cents=net_cents,
        net_ratio=net_cents / base_cents if base_cents is not None and base_cents > 0 else None,
        equity_change_cents=None if base_cents is None or now_cents is None else now_cents - base_cents,
        trades=series.trades[-1] - series.trades[first],
        snapshots=len(series.utc_ms) - first,
    )
