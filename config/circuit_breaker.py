"""When a market counts as out of itself, in levels, and what follows (trading_rules 3.7)."""

from typing import Annotated, Final

from msgspec import Meta

from evenkeel.config.units import Multiple, Name, Off, Pct, Seconds, Table

Steps = Annotated[tuple[Annotated[float, Meta(gt=0, le=100_000)], ...], Meta(min_length=1, max_length=4)] | Off
"""Where YELLOW, ORANGE, RED and BLACK begin, rising; with fewer numbers the graver levels are not reached by it."""
SomeMinutes = Annotated[float, Meta(gt=0, le=100_000)]
Pair = Annotated[tuple[Name, ...], Meta(min_length=2, max_length=2)]

STEPS: Final = (
    "atr_ratio",
    "spread_ratio",
    "move_atr",
    "gap_atr",
    "volatility_pct",
    "price_change_pct",
    "correlation_change",
    "silence_s",
    "errors_per_hour",
)
"""The keys that are `Steps`."""


class CircuitBreakerConfig(Table, frozen=True):
    """Each trigger has its steps; the highest level that any of them reaches counts, for a symbol or (errors) the account.

    ATRs are of `atr_bars` bars: M15 for `atr_ratio` and `volatility_pct`, M5 for moves and gaps. `size_pct` are the shares of
    new volume at YELLOW and ORANGE. After RED or BLACK `restart_minutes` are the lengths of: frozen, exits only, and entries
    at the two shares of `restart_size_pct`.
    """

    enabled: bool = True
    atr_ratio: Steps = (2.0, 3.0, 5.0, 8.0)
    spread_ratio: Steps = (3.0, 5.0, 10.0)
    move_atr: Steps = (4.0, 6.0, 10.0)
    gap_atr: Steps = (2.0, 5.0, 10.0)
    volatility_pct: Steps = (5.0, 10.0, 20.0, 40.0)
    price_change_pct: Steps = (3.0, 7.0, 15.0, 30.0)
    correlation_pairs: tuple[Pair, ...] = ()
    correlation_change: Steps = (0.6, 0.9, 1.2)
    silence_s: Steps = (60.0, 300.0)
    errors_per_hour: Steps = (5.0, 10.0, 20.0)
    atr_bars: Annotated[int, Meta(ge=2, le=1000)] = 14
    baseline_days: Annotated[int, Meta(ge=1, le=60)] = 20
    size_pct: Annotated[tuple[Pct, ...], Meta(min_length=2, max_length=2)] = (50.0, 25.0)
    tighten_atr: Multiple | Off = 1.0
    quiet_minutes: SomeMinutes = 15.0
    restart_minutes: Annotated[tuple[SomeMinutes, ...], Meta(min_length=4, max_length=4)] = (30.0, 15.0, 30.0, 30.0)
    restart_size_pct: Annotated[tuple[Pct, ...], Meta(min_length=2, max_length=2)] = (25.0, 50.0)
    sample_s: Seconds = 5.0
