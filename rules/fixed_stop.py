"""Order B's stop: a sum of money, and the distance at which an order of some volume loses it (trading_rules 1.8, 1.9)."""

from fractions import Fraction
from math import floor
from typing import Final

from evenkeel.config.chains import Logic, ProfitBookingConfig
from evenkeel.messages.market import SymbolSpec

STOP_BY_LOGIC: Final[dict[Logic, int]] = {"logic1": 20, "logic2": 40, "logic3": 50}
"""In units of the account's currency, of stop system "sl_1_1"."""


def money_cents(configured: float, currency_digits: int) -> int:
    """A sum of the configuration in cents of the account, rounded down: 6.99 are 699, never 698."""
    unit: int = 10**currency_digits
    return floor(Fraction(str(configured)) * unit)


def fixed_stop_cents(config: ProfitBookingConfig, logic: Logic, level: int, currency_digits: int) -> int:
    """What an order of `level` may lose at its stop by price alone, less that level's reduction; rounded down.

    Under "sl_1_1" a strategy without a logic risks `fixed_stop` as well.
    """
    amount = STOP_BY_LOGIC.get(logic, config.fixed_stop) if config.stop_system == "sl_1_1" else config.fixed_stop
    unit: int = 10**currency_digits
    reductions = config.stop_reductions_pct
    kept = 1 - Fraction(str(reductions[level])) / 100 if level < len(reductions) else Fraction(1)
    return floor(Fraction(str(amount)) * unit * kept)


def fixed_stop_points(stop_cents: int, volume_steps: int, spec: SymbolSpec) -> int:
    """The distance at which `volume_steps` lose at most `stop_cents`, costs aside; rounded down, so 0 where one point of that
    volume is worth more. The worth is the broker's: a table of pip values has made such stops ten times too tight."""
    worth = Fraction(spec.worth.numerator, spec.worth.denominator)
    return floor(stop_cents * spec.steps_per_lot / (worth * volume_steps))
