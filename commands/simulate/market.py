"""A world's prices: seeded quotes of several symbols, with the troubles of real markets drawn into them.

Only sums and products of uniform numbers make them, so a seed gives the same quotes on every machine.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evenkeel.messages.market import DailyRange, Quote, SymbolSpec

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
_WEEKEND_MS: Final = 48 * 3_600_000
_FRIDAY_CLOSE_MS: Final = 22 * 3_600_000
"""Of a Friday, UTC."""
_MINUTE_DEVIATION: Final = 0.00024
_REGIME_MINUTES: Final = 25
_DAILY_DAYS: Final = 30

Floats = NDArray[np.float64]
Row = tuple[int, str, int, int, int]
"""When it comes (UTC milliseconds), symbol, bid and ask in points; 0, or the stamp of a quote that lies: the feed sees it."""


class Trouble(NamedTuple):
    """One of the market's faults, by its number, from that time on."""

    name: str
    utc_ms: int


class WorldMarket:
    """`spread_points` and `price_points` by symbol are where it begins; one quote of each symbol in `quote_every_ms`."""

    def __init__(
        self, specs: Mapping[str, SymbolSpec], price_points: Mapping[str, int], *, seed: int, quote_every_ms: int
    ) -> None:
        self._specs, self._every_ms = specs, quote_every_ms
        self._noise = {symbol: np.random.RandomState(_seed_of(seed, at)) for at, symbol in enumerate(specs)}
        self._price = {symbol: float(points) for symbol, points in price_points.items()}
        self._anchor = dict(self._price)
        self._random = Random(f"{seed}-market")

    def daily(self) -> dict[str, Sequence[DailyRange]]:
        """The finished days before the start, oldest first."""
        return {symbol: tuple(self._a_day(price) for _ in range(_DAILY_DAYS)) for symbol, price in self._price.items()}

    def rows(
        self,
        from_utc_ms: int,
        to_utc_ms: int,
        troubles: Sequence[Trouble] = (),
        on_fault: Callable[[str], None] = lambda name: None,
    ) -> list[Row]:
        """The quotes of that stretch in the order of time; none at the weekend. `on_fault` hears of each trouble drawn in."""
        times = np.arange(from_utc_ms, to_utc_ms, self._every_ms, dtype=np.int64)
        times = times[_is_open(times)]
        if not times.size:
            return []
        found: list[Row] = []
        first_of_week = _first_after_pause(times)
        troubles = [one._replace(utc_ms=first_of_week) if one.name == "F29" else one for one in troubles]
        shocks = [(trouble, self._random.choice(list(self._specs)), self._random.random()) for trouble in troubles]
        for trouble, _, _ in shocks:
            on_fault(trouble.name)
        for symbol, spec in self._specs.items():
            found += self._of_symbol(
                symbol, spec, times, [(t, size) for t, whose, size in shocks if whose == symbol or t.name == "F33"]
            )
        found.sort(key=lambda row: row[0])  # stable: of one time in the order of the symbols
        return found

    def _of_symbol(
        self, symbol: str, spec: SymbolSpec, times: NDArray[np.int64], shocks: Sequence[tuple[Trouble, float]]
    ) -> list[Row]:
        noise, count = self._noise[symbol], times.size
        jitter = (noise.random_sample(count) * self._every_ms * 0.8).astype(np.int64)
        steps = self._steps(noise, count)
        spread = spec.typical_spread_points * (0.8 + 0.5 * noise.random_sample(count))
        stamps = times + jitter
        keep = np.ones(count, dtype=bool)
        lies: list[Row] = []
        for trouble, size in shocks:
            self._shock(trouble, size, stamps, steps, spread, keep, lies, symbol)
        prices = self._walk(symbol, steps)
        bids = np.maximum(1, np.rint(prices - spread / 2).astype(np.int64))
        asks = bids + np.maximum(1, np.rint(spread).astype(np.int64))
        rows: list[Row] = [
            (time, symbol, bid, ask, 0)
            for time, bid, ask in zip(stamps[keep].tolist(), bids[keep].tolist(), asks[keep].tolist(), strict=True)
        ]
        return rows + [self._lie(row, rows) for row in lies]

    def _steps(self, noise: np.random.RandomState, count: int) -> Floats:
        """Relative changes: calm and wild spells, with and without a trend."""
        minutes = self._every_ms / MINUTE_MS
        bell = (noise.random_sample((count, 4)).sum(axis=1) - 2.0) * 3**0.5
        spells = max(1, int(count * minutes / _REGIME_MINUTES) + 1)
        wild = 0.5 + 1.3 * noise.random_sample(spells)
        trend = (noise.random_sample(spells) - 0.5) * 0.0001
        spell = (np.arange(count) * spells // count).astype(np.int64)
        steps: Floats = bell * wild[spell] * (_MINUTE_DEVIATION * minutes**0.5) + trend[spell] * minutes
        return steps

    def _walk(self, symbol: str, steps: Floats) -> Floats:
        """Prices by their steps, pulled back to an anchor from block to block so that no symbol walks away."""
        price, anchor, blocks = self._price[symbol], self._anchor[symbol], []
        block = max(1, round(10 * MINUTE_MS / self._every_ms))
        for start in range(0, steps.size, block):
            path = price * (1.0 + np.cumsum(steps[start : start + block]))
            np.maximum(path, 2.0, out=path)
            price = float(path[-1])
            price += (anchor - price) * 0.05
            blocks.append(path)
        self._price[symbol] = price
        return np.concatenate(blocks)

    def _shock(
        self,
        trouble: Trouble,
        size: float,
        stamps: NDArray[np.int64],
        steps: Floats,
        spread: Floats,
        keep: NDArray[np.bool_],
        lies: list[Row],
        symbol: str,
    ) -> None:
        at = int(stamps.searchsorted(trouble.utc_ms))
        if at >= stamps.size:
            return

        def until(ms: int) -> int:
            return int(stamps.searchsorted(trouble.utc_ms + ms))

        sign = 1.0 if size < 0.5 else -1.0
        match trouble.name:
            case "F26":
                steps[at] += sign * 0.25
                keep[at : until(40 * MINUTE_MS)] = False
                spread[at : until(60 * MINUTE_MS)] *= 60
            case "F27":
                end = until(2 * MINUTE_MS)
                steps[at:end] += sign * 0.09 / max(1, end - at)
                keep[until(60_000) : until(70_000)] = False
                back = until(30 * MINUTE_MS)
                steps[end:back] -= sign * 0.08 / max(1, back - end)
                spread[at:back] *= 8
            case "F28":
                spread[at : until(15 * MINUTE_MS)] *= 20
            case "F29":
                steps[at] += sign * (0.004 + 0.02 * size)
            case "F30":
                keep[at : until(int(20_000 + size * 200_000))] = False
                lies += [(int(stamps[at]) + k * 50, symbol, k, 0, 1) for k in range(4)]
            case "F31":
                end = until(MINUTE_MS)
                steps[at:end] *= 6
            case "F32":
                end = until(20 * MINUTE_MS)
                waves = np.where(np.arange(end - at) // max(1, round(90_000 / self._every_ms)) % 2 == 0, 1.0, -1.0)
                steps[at:end] += waves * 0.0012 / max(1.0, 90_000 / self._every_ms)
            case "F33":
                end = until(5 * MINUTE_MS)
                steps[at:end] -= 0.02 / max(1, end - at)
            case _:
                raise AssertionError(f"{trouble.name} is no trouble of the market")

    def _lie(self, row: Row, rows: Sequence[Row]) -> Row:
        """A quote that is none: crossed, of the past, of nothing, of the future and crossed."""
        utc_ms, symbol, kind, _, _ = row
        _, _, bid, ask, _ = rows[0] if rows else (0, symbol, 1, 2, 0)
        lie = ((ask + 5, bid, utc_ms), (bid, ask, utc_ms - 3_600_000), (1, 0, utc_ms), (ask, bid - 3, utc_ms + 3_600_000))[kind]
        return utc_ms, symbol, *lie

    def _a_day(self, price: float) -> DailyRange:
        up, down = (1 + self._random.uniform(0.002, 0.008)), (1 - self._random.uniform(0.002, 0.008))
        return DailyRange(high_points=round(price * up), low_points=round(price * down), close_points=round(price))


def quote_of(row: Row) -> Quote:
    return Quote(row[0], row[2], row[3])


def _is_open(times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """From Sunday 22:00 to Friday 22:00, UTC. The epoch's first day was a Thursday."""
    since_friday_close = (times - (DAY_MS + _FRIDAY_CLOSE_MS)) % (7 * DAY_MS)
    is_open: NDArray[np.bool_] = since_friday_close >= _WEEKEND_MS
    return is_open


def _first_after_pause(times: NDArray[np.int64]) -> int:
    """The first quote after a weekend, or the first of all where there is none."""
    pauses = np.flatnonzero(np.diff(times) > _WEEKEND_MS // 2)
    return int(times[pauses[0] + 1]) if pauses.size else int(times[0])


def _seed_of(seed: int, at: int) -> int:
    return (seed * 1_000_003 + at * 7_919) % 2**32
