"""A market that nobody has to be connected to: seeded quotes without end, and the source that serves quotes in time."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Final

from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.messages.market import DailyRange, Quote, SymbolSpec
from evenkeel.runtime.clock import MarketClock

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
WAIT_S_MAX: Final = 1.0

# Shares of the price. A minute moves EURUSD by 2 or 3 pips; the pull to an anchor keeps a day within about 0.8 %.
_MINUTE_DEVIATION: Final = 0.00024
_ANCHOR_MINUTE_DEVIATION: Final = 0.00003
_ANCHOR_PULL_MS: Final = 40 * MINUTE_MS
_TREND_PER_MINUTE: Final = 0.00005
_JUMP: Final = (0.0002, 0.0005)
_DAY_CHANGE: Final = 0.0025
_DAY_TAIL: Final = (0.0005, 0.0025)

_TRENDS: Final = (1, -1, 0, 0)
_VOLATILITIES: Final = (0.6, 0.9, 1.2, 1.7)
_REGIME_MS: Final = (8 * MINUTE_MS, 40 * MINUTE_MS)
_VOLATILITY_PULL_MS: Final = 3 * MINUTE_MS
_WIDE_EVERY_MS: Final = 3 * HOUR_MS
_WIDE_MS: Final = (20_000, 60_000)
_WIDE_SPREAD: Final = (3.0, 8.0)
_USUAL_SPREAD: Final = (0.8, 1.3)
_JUMP_EVERY_MS: Final = 4 * HOUR_MS
_JUMP_SILENCE_MS: Final = (5_000, 30_000)
_JITTER: Final = (0.4, 1.6)


class SyntheticMarket:
    """An endless iterator of (symbol, quote) in the order of time, round the clock, every day.

    Each symbol walks by itself between trends and ranges, calm and wild spells, with wider spreads and small gaps now and
    then. The same seed gives the same quotes on every machine: only sums, products and square roots make them.
    """

    def __init__(
        self,
        specs: Mapping[str, SymbolSpec],
        *,
        seed: int,
        start_utc_ms: int,
        quote_every_ms: int,
        typical_price_points: Mapping[str, int],
        daily_days: int = 30,
    ) -> None:
        self._walks = {
            symbol: _Walk(
                Random(f"{seed}-{symbol}"),
                spread_points=spec.typical_spread_points,
                price_points=typical_price_points[symbol],
                start_utc_ms=start_utc_ms,
                quote_every_ms=quote_every_ms,
            )
            for symbol, spec in specs.items()
        }
        self._daily = {
            symbol: _days_before(Random(f"{seed}-{symbol}-daily"), typical_price_points[symbol], daily_days) for symbol in specs
        }

    def __iter__(self) -> "SyntheticMarket":
        return self

    def __next__(self) -> tuple[str, Quote]:
        symbol = min(self._walks, key=self._due_utc_ms)
        return symbol, self._walks[symbol].step()

    def daily(self, symbol: str) -> Sequence[DailyRange]:
        """The finished days before the start, oldest first; the last one closes at the typical price."""
        return self._daily[symbol]

    def skip_to(self, utc_ms: int) -> None:
        """No quote before `utc_ms`; prices go on from where they are."""
        for walk in self._walks.values():
            walk.skip_to(utc_ms)

    def resume(self, symbol: str, last: Quote) -> None:
        """Go on near `last`, and after it."""
        self._walks[symbol].resume(last)

    def _due_utc_ms(self, symbol: str) -> int:
        return self._walks[symbol].next_utc_ms


class SimulatedSource:
    """Serves quotes of `market` when their time has come, to the terminal before anybody else; the feed's QuoteSource.

    Market time runs at `speed` times real time from the first look on. Used by one thread.
    """

    def __init__(
        self,
        market: Iterator[tuple[str, Quote]],
        terminal: SimulatedTerminal,
        *,
        speed: float,
        clock: MarketClock | None,
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._market, self._terminal, self._clock = market, terminal, clock
        self._speed, self._monotonic_ns = speed, monotonic_ns
        self._next = next(market, None)
        self._began: tuple[int, int] | None = None

    @property
    def ended(self) -> bool:
        """Every quote was taken."""
        return self._next is None

    def take(self) -> tuple[str, Quote] | None:
        """The next quote if it is due; the terminal has served it and the clock shows its time. None: not yet, or ended."""
        if self._next is None or self._due_in_ms(self._next[1]) > 0:
            return None
        symbol, quote = taken = self._next
        if self._clock is not None:
            self._clock.advance_to(quote.time_utc_ms)
        self._terminal.on_quote(symbol, quote.time_utc_ms, quote.bid_points, quote.ask_points)
        self._next = next(self._market, None)
        return taken

    def wait_s(self) -> float:
        """Real seconds until the next quote is due, at most WAIT_S_MAX; that after the end as well."""
        if self._next is None:
            return WAIT_S_MAX
        return min(WAIT_S_MAX, max(0.0, self._due_in_ms(self._next[1]) / 1000 / self._speed))

    def _due_in_ms(self, quote: Quote) -> float:
        """Market time from now to `quote`."""
        now_ns = self._monotonic_ns()
        if self._began is None:
            self._began = (now_ns, quote.time_utc_ms)
        began_ns, began_utc_ms = self._began
        return quote.time_utc_ms - began_utc_ms - (now_ns - began_ns) * self._speed / 1e6


class _Walk:
    """One symbol's prices: mean reverting round an anchor that wanders, with a trend and a volatility by regime."""

    def __init__(
        self, random: Random, *, spread_points: int, price_points: int, start_utc_ms: int, quote_every_ms: int
    ) -> None:
        self._random, self._spread_points, self._quote_every_ms = random, spread_points, quote_every_ms
        self._price = self._anchor = float(price_points)
        self._volatility = 1.0
        self._now_utc_ms = self._wide_until_utc_ms = start_utc_ms
        self.next_utc_ms = start_utc_ms + int(quote_every_ms * random.random())
        self._begin_regime()

    def step(self) -> Quote:
        """The next quote."""
        elapsed_ms, self._now_utc_ms = self.next_utc_ms - self._now_utc_ms, self.next_utc_ms
        if self._now_utc_ms >= self._regime_until_utc_ms:
            self._begin_regime()
        self._move(elapsed_ms)
        spread_points = self._spread(elapsed_ms)
        bid_points = max(1, round(self._price - spread_points / 2))
        pause_ms = max(1, round(self._quote_every_ms * self._random.uniform(*_JITTER)))
        self.next_utc_ms += pause_ms + self._silence_ms(elapsed_ms)
        return Quote(self._now_utc_ms, bid_points, bid_points + spread_points)

    def skip_to(self, utc_ms: int) -> None:
        skipped_ms = max(0, utc_ms - self.next_utc_ms)
        self._now_utc_ms += skipped_ms
        self.next_utc_ms += skipped_ms

    def resume(self, last: Quote) -> None:
        self._price = self._anchor = (last.bid_points + last.ask_points) / 2
        self.skip_to(last.time_utc_ms + self._quote_every_ms)

    def _begin_regime(self) -> None:
        self._trend = self._random.choice(_TRENDS)
        self._volatility_level = self._random.choice(_VOLATILITIES)
        self._regime_until_utc_ms = self._now_utc_ms + int(self._random.uniform(*_REGIME_MS))

    def _move(self, elapsed_ms: int) -> None:
        minutes = elapsed_ms / MINUTE_MS
        self._volatility += (self._volatility_level - self._volatility) * min(1.0, elapsed_ms / _VOLATILITY_PULL_MS)
        self._anchor *= 1 + _ANCHOR_MINUTE_DEVIATION * math.sqrt(minutes) * _bell(self._random)
        drift = _TREND_PER_MINUTE * self._trend * minutes
        noise = _MINUTE_DEVIATION * self._volatility * math.sqrt(minutes) * _bell(self._random)
        self._price *= 1 + drift + noise
        self._price += (self._anchor - self._price) * min(1.0, elapsed_ms / _ANCHOR_PULL_MS)

    def _spread(self, elapsed_ms: int) -> int:
        if self._random.random() * _WIDE_EVERY_MS < elapsed_ms:
            self._wide_until_utc_ms = self._now_utc_ms + int(self._random.uniform(*_WIDE_MS))
        is_wide = self._now_utc_ms < self._wide_until_utc_ms
        return max(1, round(self._spread_points * self._random.uniform(*(_WIDE_SPREAD if is_wide else _USUAL_SPREAD))))

    def _silence_ms(self, elapsed_ms: int) -> int:
        """Now and then the quotes pause and come back a small gap away: the pause, mostly none."""
        if self._random.random() * _JUMP_EVERY_MS >= elapsed_ms:
            return 0
        self._price *= 1 + self._random.choice((1, -1)) * self._random.uniform(*_JUMP)
        return int(self._random.uniform(*_JUMP_SILENCE_MS))


def _days_before(random: Random, last_close_points: int, count: int) -> tuple[DailyRange, ...]:
    """`count` days, oldest first, made backwards from the close of the last one."""
    days: list[DailyRange] = []
    close = float(last_close_points)
    for _ in range(count):
        opened = close * (1 - _DAY_CHANGE * _bell(random))
        high = max(opened, close) * (1 + random.uniform(*_DAY_TAIL))
        low = min(opened, close) * (1 - random.uniform(*_DAY_TAIL))
        days.append(DailyRange(high_points=round(high), low_points=round(low), close_points=round(close)))
        close = opened
    return tuple(reversed(days))


def _bell(random: Random) -> float:
    """About normal, mean 0, deviation 1, never beyond 3.5: four uniform numbers, for their sum rounds alike everywhere."""
    return (random.random() + random.random() + random.random() + random.random() - 2.0) * math.sqrt(3)
