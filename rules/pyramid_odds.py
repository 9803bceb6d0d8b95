"""What a configured pyramid can earn and lose, and how likely that is (trading_rules 1.9): for a person to see beforehand.

Before costs, and as if orders won and lost by chance, each by itself; those of one level, in one market, do not.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import msgspec

from evenkeel.config.chains import Logic, ProfitBookingConfig
from evenkeel.rules.fixed_stop import fixed_stop_cents
from evenkeel.rules.profit_booking import target_cents

WIN_RATE_SHOWN: Final = 0.7
"""Of an order, for which the likelihood of a full sweep is told."""


class LevelOdds(msgspec.Struct, frozen=True):
    """One level: what its orders earn when all win and cost when all stop, and when each recovery of them is lost as well.

    `before_cents` is what the levels below have earned by then. `break_even_ratio` is the share of won orders from which on
    one pays; `sweep_ratio` how likely all of the level's orders win at WIN_RATE_SHOWN.
    """

    level: int
    is_enabled: bool
    orders: int
    target_cents: int
    stop_cents: int
    worst_cents: int
    before_cents: int
    break_even_ratio: float
    sweep_ratio: float


class PyramidOdds(msgspec.Struct, frozen=True):
    """The levels, and all that can be reached together: a level counts while it and all below it are enabled.

    `worst_cents` is the most that the chain can have lost at its end.
    """

    levels: tuple[LevelOdds, ...]
    level_max: int
    orders: int
    target_cents: int
    worst_cents: int


def pyramid_odds(config: ProfitBookingConfig, logic: Logic, currency_digits: int) -> PyramidOdds:
    levels = tuple(_levels(config, logic, currency_digits))
    off = (level.level for level in levels if not level.is_enabled)
    reached = levels[: next(off, len(levels))]
    return PyramidOdds(
        levels=levels,
        level_max=len(reached) - 1,
        orders=sum(level.orders for level in reached),
        target_cents=sum(level.target_cents for level in reached),
        worst_cents=max(level.worst_cents - level.before_cents for level in reached),
    )


def _levels(config: ProfitBookingConfig, logic: Logic, currency_digits: int) -> Iterator[LevelOdds]:
    """Level 0 is the signal's own order, so it is there."""
    hunt, before_cents = config.sl_hunt, 0
    hunts = sum(Fraction(str(hunt.stop_ratio)) ** n for n in range(1, hunt.attempts_max + 1)) if hunt.enabled else 0
    for level, orders in enumerate(config.multipliers):
        target = target_cents(config, level, currency_digits)
        stop = fixed_stop_cents(config, logic, level, currency_digits)
        yield LevelOdds(
            level=level,
            is_enabled=level == 0 or level in config.levels_enabled,
            orders=orders,
            target_cents=orders * target,
            stop_cents=orders * stop,
            worst_cents=orders * round(stop * (1 + hunts)),
            before_cents=before_cents,
            break_even_ratio=stop / (stop + target),
            sweep_ratio=WIN_RATE_SHOWN**orders,
        )
        before_cents += orders * target
