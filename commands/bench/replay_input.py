"""Files to replay: recorded ticks twice, their bars a million times over, waves of trades, a year of ten symbols."""

from pathlib import Path
from typing import Final

import numpy as np

from evenkeel.adapters.history import HistoryUnreadable
from evenkeel.rules.bar_columns import Column, minutes_of
from evenkeel.rules.bars import PERIOD_MS

LATER_MS: Final = 21 * PERIOD_MS["D1"]
YEAR_MS: Final = 364 * PERIOD_MS["D1"]
START_UTC_MS: Final = 1_398_902_400_000
SYNTHETIC_TICKS: Final = 532_903
BARS: Final = 1_000_000
WAVE: Final = 40
WAVE_FOOT_POINTS: Final = 110_000
YEAR_TICKS: Final = 12_600_000
"""Of one symbol, as many a day as in two weeks of a liquid pair (48,000), 260 days."""
GROUP_ROWS: Final = 1_000_000
YEAR_SYMBOLS: Final = {
    "EURUSD": 1.1,
    "GBPUSD": 1.3,
    "AUDUSD": 0.7,
    "NZDUSD": 0.65,
    "USDCAD": 1.3,
    "USDCHF": 0.9,
    "USDJPY": 110.0,
    "EURGBP": 0.85,
    "EURJPY": 125.0,
    "GBPJPY": 145.0,
}
YEAR_CROSSES: Final = {"EURGBP": 1.4, "EURJPY": 0.009, "GBPJPY": 0.009}
"""About what one unit of the quote currency is worth in USD, where neither side is USD."""


def twice(ticks: Path, out: Path) -> None:
    """The ticks, and the same ticks 21 days later. Raises HistoryUnreadable."""
    import polars as pl

    try:
        once = pl.read_parquet(ticks, columns=["time_msc", "bid", "ask"])
    except (pl.exceptions.PolarsError, OSError) as error:
        raise HistoryUnreadable(
            f"--ticks {ticks}: is no parquet with time_msc, bid, ask: {str(error).splitlines()[0]}"
        ) from error
    pl.concat([once, once.with_columns(pl.col("time_msc") + LATER_MS)]).write_parquet(out)


def synthetic(out: Path, *, rows: int = SYNTHETIC_TICKS, seed: int = 1, price: float = 1.1, span_ms: int = LATER_MS) -> None:
    """A random walk of ticks over at most `span_ms`, written some rows at a time."""
    import polars as pl

    dice = np.random.default_rng(seed)
    digits = 3 if price > 20 else 5
    time_utc_ms, point = float(START_UTC_MS), 0
    parts: list[Path] = []
    for first in range(0, rows, GROUP_ROWS):
        count = min(GROUP_ROWS, rows - first)
        times = time_utc_ms + np.cumsum(dice.exponential(span_ms / rows / 1.01, count))
        points = point + np.cumsum(dice.integers(-1, 2, count))
        time_utc_ms, point = float(times[-1]), int(points[-1])
        bids = round(price * 10**digits) + points
        asks = bids + dice.integers(6, 14, count)
        frame = {"time_msc": times.astype(np.int64), "bid": bids / 10**digits, "ask": asks / 10**digits}
        parts.append(out.with_suffix(f".{len(parts)}"))
        pl.DataFrame(frame).write_parquet(parts[-1])
    pl.scan_parquet(parts, glob=False).sink_parquet(out, row_group_size=GROUP_ROWS)
    for part in parts:
        part.unlink()


def bars_of(ticks: Path, out: Path, digits: int = 5) -> int:
    """The M1 bars of the ticks, again and again until there are about a million; how many."""
    import polars as pl

    frame = pl.read_parquet(ticks, columns=["time_msc", "bid", "ask"])
    bids, asks = (_points(frame[name].to_numpy(), digits) for name in ("bid", "ask"))
    minutes = minutes_of(frame["time_msc"].to_numpy(), bids, np.maximum(bids, asks))
    times = BARS // minutes.size
    span_ms = int(minutes.open_utc_ms[-1] - minutes.open_utc_ms[0]) + PERIOD_MS["M1"]
    later = np.repeat(np.arange(times) * span_ms, minutes.size)
    columns = {"time": np.tile(minutes.open_utc_ms, times) + later}
    for side, offset in (("bid", 0), ("ask", minutes.spread_points)):
        prices = (minutes.open_points, minutes.high_points, minutes.low_points, minutes.close_points)
        for stage, points in zip(("open", "high", "low", "close"), prices, strict=True):
            columns[f"{side}_{stage}"] = np.tile((points + offset) / 10**digits, times)
    pl.DataFrame(columns).write_parquet(out)
    return times * minutes.size


def waves(out: Path, count: int, digits: int = 5) -> None:
    """One trade each: up by 30 points from the foot, and back, 40 quotes in 20 minutes."""
    import polars as pl

    phase = np.tile(np.minimum(np.arange(WAVE), WAVE - np.arange(WAVE)), count)
    bids = (WAVE_FOOT_POINTS + 2 * phase) / 10**digits
    asks = (WAVE_FOOT_POINTS + 2 * phase + 1) / 10**digits
    times = START_UTC_MS + np.arange(WAVE * count) * 30_000
    pl.DataFrame({"time_msc": times, "bid": bids, "ask": asks}).write_parquet(out)


def _points(prices: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", digits: int) -> Column:
    points: Column = np.rint(prices * 10**digits).astype(np.int64)
    return points
