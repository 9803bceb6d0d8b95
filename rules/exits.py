"""When a position is closed: the exit hierarchy, as price levels (trading_rules 5.1, 5.2).

0 kill switch, 1 emergency R, 2 stop, 3 target, 4 time stop. R is measured against the risk frozen at entry, costs included,
also where the stop has moved since.
"""

from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from typing import Final, NamedTuple

from evenkeel.messages.market import Direction, Quote, Side, SymbolSpec, Watch
from evenkeel.messages.operator import Mode
from evenkeel.messages.position import ExitReason

DISCRETIONARY: Final = frozenset({ExitReason.TIME, ExitReason.SIGNAL, ExitReason.REVERSAL})
"""Exits that nothing forces: FREEZE keeps the position instead. Stop, target, emergency, protection and persons are served
in every mode."""
TRAIL: Final = "trail"
"""The name of the watch at which a stop follows the price; the others are named after their exits."""


class Levels(NamedTuple):
    """Prices at which a position ends, and at `trail_points` its stop follows; None: there is no such level."""

    stop_points: int
    target_points: int | None
    emergency_points: int | None
    trail_points: int | None = None


def sign(direction: Direction) -> int:
    return 1 if direction is Direction.BUY else -1


def exit_side(direction: Direction) -> Side:
    """A long position is closed at the bid, a short one at the ask."""
    return Side.BID if direction is Direction.BUY else Side.ASK


def exit_price(direction: Direction, quote: Quote) -> int:
    return quote.bid_points if direction is Direction.BUY else quote.ask_points


def levels_for(
    direction: Direction,
    *,
    entry_points: int,
    stop_distance_points: int,
    target_distance_points: int | None,
    emergency_distance_points: int | None,
) -> Levels:
    s = sign(direction)
    return Levels(
        entry_points - s * stop_distance_points,
        None if target_distance_points is None else entry_points + s * target_distance_points,
        None if emergency_distance_points is None else entry_points - s * emergency_distance_points,
    )


def cost_cents_per_lot(spec: SymbolSpec, volume_steps: int, entry_commission_cents: int | None) -> Fraction:
    """Both commissions: the exit's as the terms say, the entry's as its deals say (signed; None: no deal yet)."""
    usual = Fraction(spec.commission_cents_per_lot)
    if entry_commission_cents is None:
        return 2 * usual
    return usual - Fraction(entry_commission_cents * spec.steps_per_lot, volume_steps)


def emergency_distance(emergency_r: float, stop_distance_points: int, spec: SymbolSpec, cost_cents_per_lot: Fraction) -> int:
    """Points of loss at which R_net, costs included, is at or below `emergency_r` (negative); rounded up.

    The risk of 1 R is the stop distance alone, so costs bring the level nearer. At least one point.
    """
    cost_points = cost_cents_per_lot * spec.worth.denominator / spec.worth.numerator
    distance = -exactly(emergency_r) * stop_distance_points - cost_points
    return max(1, -(-distance.numerator // distance.denominator))


@cache
def exactly(configured: float) -> Fraction:
    """The decimal that a person wrote. There are few, and reading one takes as long as all the rest of a trade's levels."""
    return Fraction(str(configured))


def exit_reason(direction: Direction, levels: Levels, quote: Quote) -> ExitReason | None:
    """The first of the hierarchy that `quote` reaches; levels count when price is at or beyond them."""
    price, s = exit_price(direction, quote), sign(direction)
    if levels.emergency_points is not None and s * (price - levels.emergency_points) <= 0:
        return ExitReason.EMERGENCY
    if s * (price - levels.stop_points) <= 0:
        return ExitReason.STOP
    if levels.target_points is not None and s * (price - levels.target_points) >= 0:
        return ExitReason.TARGET
    return None


def watches_for(ticket: int, generation: int, direction: Direction, levels: Levels) -> tuple[Watch, ...]:
    """One watch a level, named `ticket/exit/generation`: a later generation of a level is another watch."""
    side = exit_side(direction)
    falls = direction is Direction.SELL  # a short position loses when price rises
    wanted = (
        (ExitReason.EMERGENCY.value, falls, levels.emergency_points),
        (ExitReason.STOP.value, falls, levels.stop_points),
        (ExitReason.TARGET.value, not falls, levels.target_points),
        (TRAIL, not falls, levels.trail_points),
    )
    return tuple(
        Watch(f"{ticket}/{name}/{generation}", side, rising, level) for name, rising, level in wanted if level is not None
    )


def guarded_tickets(watches: Iterable[Watch]) -> set[int]:
    """The positions of which a level on the losing side is among `watches`; those of other owners count for none."""
    parts = [watch.name.split("/") for watch in watches]
    losing = (ExitReason.EMERGENCY.value, ExitReason.STOP.value)
    return {int(part[0]) for part in parts if len(part) == 3 and part[0].isdigit() and part[1] in losing}


def is_nearer(direction: Direction, stop_points: int, than_points: int) -> bool:
    """A stop at `stop_points` ends the trade sooner than one at `than_points`."""
    return sign(direction) * (stop_points - than_points) > 0


def is_served(mode: Mode, reason: ExitReason) -> bool:
    """Whether a close for `reason` goes to the broker in `mode`. Under FLATTEN everything does: it is to be closed anyhow."""
    return mode is not Mode.FREEZE or reason not in DISCRETIONARY


def retry_delay_ms(attempts: int, first_ms: int, last_ms: int) -> int:
    """How long to wait after the `attempts`-th refused close: doubling, bounded; a close is asked for until it is flat."""
    return min(last_ms, first_ms << min(attempts - 1, 16))
