"""Stops and volumes by symbol and by what the account holds, and what a strategy's logic makes of them (trading_rules 1.4).

The tables are in pips and lots, as a person reads them.
"""

from bisect import bisect_right
from typing import Final, Literal, NamedTuple

from evenkeel.config.chains import Logic
from evenkeel.rules.recovery_levels import NAME_LETTERS

TIERS: Final = (5_000, 10_000, 25_000, 50_000, 100_000)
"""Balances, in units of the account's currency, from which each column of the tables counts."""
TIER_LOTS: Final = (0.01, 0.05, 0.1, 0.2, 0.5)
_MAJORS: Final = ("GBPUSD", "AUDUSD", "USDCAD", "NZDUSD")
_YEN_CROSSES: Final = ("EURJPY", "GBPJPY", "AUDJPY")
STOP_PIPS: Final[dict[Literal["sl_1", "sl_2"], dict[str, tuple[int, ...]]]] = {
    "sl_1": {
        "EURUSD": (150, 150, 50, 40, 40),
        **dict.fromkeys(_MAJORS, (150, 150, 50, 40, 50)),
        "USDJPY": (166, 166, 55, 44, 55),
        **dict.fromkeys(_YEN_CROSSES, (111, 111, 41, 44, 44)),
        "XAUUSD": (1000, 1500, 500, 500, 600),
    },
    "sl_2": {
        "EURUSD": (100, 100, 35, 30, 30),
        **dict.fromkeys(_MAJORS, (120, 120, 40, 35, 40)),
        "USDJPY": (130, 130, 45, 38, 45),
        **dict.fromkeys(_YEN_CROSSES, (80, 80, 30, 35, 35)),
        "XAUUSD": (500, 800, 300, 300, 200),
    },
}


class Factors(NamedTuple):
    """What a logic multiplies volume and stop by, and its window in minutes (None: as configured)."""

    volume: float = 1.0
    stop: float = 1.0
    window_minutes: float | None = None


FACTORS: Final[dict[Logic, Factors]] = {
    "off": Factors(),
    "logic1": Factors(1.25, 1.0, 30.0),
    "logic2": Factors(1.0, 1.5, 45.0),
    "logic3": Factors(0.625, 2.5, 120.0),
}


def tier_of(balance: int) -> int:
    """The largest tier that a balance (units of the currency) reaches; the lowest one below all of them."""
    return TIERS[max(0, bisect_right(TIERS, balance) - 1)]


def table_stop_pips(system: Literal["pips", "sl_1", "sl_2"], symbol: str, tier: int) -> float | None:
    """Pips of the table; None where it does not have the symbol, or where no table is asked for."""
    row = None if system == "pips" else STOP_PIPS[system].get(symbol[:NAME_LETTERS])
    return None if row is None else float(row[TIERS.index(tier)])


def tier_lots(tier: int) -> float:
    return TIER_LOTS[TIERS.index(tier)]


def consensus_factor(score: int) -> float:
    """What a signal's consensus score of 0 to 9 makes of the volume: 0.2 to 1.0."""
    assert 0 <= score <= 9, "a consensus score is 0 to 9"
    if score <= 3:
        return round(0.2 + 0.1 * score, 2)
    if score <= 6:
        return round(0.5 + 0.1 * (score - 3), 2)
    return 1.0 if score == 9 else round(0.8 + 0.05 * (score - 6), 2)
