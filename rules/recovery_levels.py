"""Prices and distances of a re-entry chain's orders (trading_rules 1.4 to 1.7). Distances round down, toward less risk; what
is a least distance, and what price must come back, rounds up."""

from math import ceil, floor
from typing import Final, Literal, NamedTuple

from evenkeel.config.chains import RecoveryConfig
from evenkeel.messages.market import Direction, Quote, SymbolSpec
from evenkeel.rules.exits import exactly, sign

Mode = Literal["adaptive", "aggressive", "balanced", "conservative"]
REDUCTIONS_PCT: Final[dict[Mode, int]] = {"aggressive": 40, "balanced": 30, "conservative": 20}
ADAPTIVE_PCT: Final = {
    "XAUUSD": 35,
    "EURUSD": 25,
    "GBPJPY": 38,
    "BTCUSD": 40,
    "USDJPY": 22,
    "AUDUSD": 28,
    "NZDUSD": 28,
    "USDCAD": 26,
    "XAGUSD": 36,
    "GBPUSD": 32,
    "EURGBP": 27,
    "EURJPY": 30,
    "AUDJPY": 33,
    "NZDJPY": 33,
    "USDCHF": 24,
    "EURCHF": 22,
    "GBPAUD": 31,
    "GBPNZD": 31,
    "AUDCAD": 27,
    "AUDNZD": 23,
}
ADAPTIVE_OTHERS_PCT: Final = 30
COMPOUND_LEVELS: Final = 5
DEEP_PCT: Final = 20
"""Of the first trade's stop, beyond COMPOUND_LEVELS."""
NAME_LETTERS: Final = 6
"""Some brokers add to the name of a pair."""


class Terms(NamedTuple):
    """What distances are held against: the symbol's terms, its pip, and the spread of now."""

    spec: SymbolSpec
    points_per_pip: int
    spread_points: int


def reduction_pct(mode: Mode, symbol: str) -> int:
    """How much nearer the stop is with each level."""
    if mode == "adaptive":
        return ADAPTIVE_PCT.get(symbol[:NAME_LETTERS], ADAPTIVE_OTHERS_PCT)
    return REDUCTIONS_PCT[mode]


def level_stop_points(config: RecoveryConfig, terms: Terms, *, first_points: int, level: int) -> int:
    """Of the trade at `level` of a chain whose first trade had `first_points`: each level reduces the one before."""
    assert level >= 1, "levels count from 1"
    if level > COMPOUND_LEVELS:
        return max(first_points * DEEP_PCT // 100, least_stop_points(config, terms))
    kept_pct = 100 - reduction_pct(config.stop_reduction, terms.spec.symbol)
    reduced: int = first_points * kept_pct ** (level - 1) // 100 ** (level - 1)
    return max(reduced, least_stop_points(config, terms))


def tight_stop_points(config: RecoveryConfig, terms: Terms, gap_points: int) -> int:
    """Of a recovery, from the stopped trade's own gap."""
    return max(floor(exactly(config.sl_hunt.stop_ratio) * gap_points), least_stop_points(config, terms))


def least_stop_points(config: RecoveryConfig, terms: Terms) -> int:
    """`stop_pips_min`, and never nearer than the broker's stops level and two spreads."""
    floor_points = ceil(exactly(config.stop_pips_min) * terms.points_per_pip)
    return max(floor_points, terms.spec.stops_level_points + 2 * terms.spread_points)


def target_points(config: RecoveryConfig, stop_distance_points: int) -> int:
    return floor(exactly(config.rr_ratio) * stop_distance_points)


def recovery_level(direction: Direction, *, stop_points: int, gap_points: int, ratio: float) -> int:
    """The price that must come back: `ratio` of the stopped trade's own gap, from its stop toward its entry."""
    return stop_points + sign(direction) * ceil(exactly(ratio) * gap_points)


def beyond_points(direction: Direction, price_points: int, pips: float, points_per_pip: int) -> int:
    """So many pips further in the trade's direction."""
    return price_points + sign(direction) * ceil(exactly(pips) * points_per_pip)


def spread_points(quote: Quote) -> int:
    return quote.ask_points - quote.bid_points


def loss_cents(spec: SymbolSpec, *, distance_points: int, volume_steps: int) -> int:
    """What `volume_steps` lose over the distance; rounded up."""
    return -(-distance_points * volume_steps * spec.worth.numerator // (spec.worth.denominator * spec.steps_per_lot))
