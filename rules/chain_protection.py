"""No recovery that risks what its chain has earned (trading_rules 1.10.3, chain level)."""

from fractions import Fraction
from typing import Final, Literal, NamedTuple

Mode = Literal["off", "aggressive", "balanced", "conservative", "very_conservative"]


class Threshold(NamedTuple):
    """A profit of at least so much, in units of the account's currency, and more than so many times what may be lost."""

    loss_multiple: float
    profit_min: int


THRESHOLDS: Final[dict[Mode, Threshold]] = {
    "aggressive": Threshold(3.5, 15),
    "balanced": Threshold(6, 20),
    "conservative": Threshold(9, 30),
    "very_conservative": Threshold(15, 50),
}


def is_protected(mode: Mode, *, profit_cents: int, loss_cents: int, currency_digits: int) -> bool:
    """Whether a chain with this profit ends with it, rather than risk `loss_cents` for a recovery."""
    threshold = THRESHOLDS.get(mode)
    if threshold is None:
        return False
    multiple = Fraction(str(threshold.loss_multiple))
    return profit_cents >= threshold.profit_min * 10**currency_digits and profit_cents > multiple * loss_cents
