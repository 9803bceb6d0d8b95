"""Prices of a pyramid's orders: where one has earned its target, and where one that was stopped is tried again."""

from bisect import bisect_left
from fractions import Fraction
from math import ceil, floor

from evenkeel.messages.market import Direction, SymbolSpec, Watch
from evenkeel.messages.profit_booking import PyramidOrder
from evenkeel.rules.bands import FAR_POINTS
from evenkeel.rules.exits import exit_side, sign
from evenkeel.rules.sizing import cents_for
from evenkeel.rules.symbols import ProfitRule


def commission_cents(spec: SymbolSpec, volume_steps: int) -> int:
    """Of one side, as the terms say; rounded up."""
    return cents_for(volume_steps, Fraction(spec.commission_cents_per_lot, spec.steps_per_lot))


def net_at(order: PyramidOrder, direction: Direction, spec: SymbolSpec, profit: ProfitRule, price_points: int) -> int:
    """Cents that the order's present trade comes to when the rest of it is closed at `price_points`.

    Price move, what closed parts of it brought, the commission of opening as far as deals tell, that of closing as the terms
    say, and the swap that deals have told; a swap that the broker will only charge with the close is not in it.
    """
    moved_points = sign(direction) * (price_points - order.entry_points)
    moved_cents = profit(spec, moved_points, order.volume_steps, price_points)
    told_cents = order.banked_cents + order.commission_cents + order.swap_cents
    return moved_cents + told_cents - commission_cents(spec, order.volume_steps)


def booking_level(order: PyramidOrder, direction: Direction, spec: SymbolSpec, profit: ProfitRule, target_cents: int) -> int:
    """The first price on the way into profit at which `net_at` is `target_cents` at least: there it is never less."""
    s, entry = sign(direction), order.entry_points
    moves = range(1 - entry, FAR_POINTS) if direction is Direction.BUY else range(-FAR_POINTS, entry)
    place = bisect_left(moves, target_cents, key=lambda moved: net_at(order, direction, spec, profit, entry + s * moved))
    return entry + s * moves[min(place, len(moves) - 1)]


def hunt_level(order: PyramidOrder, direction: Direction, level_ratio: float) -> int:
    """So much of the order's own gap back from its stop to its entry; rounded toward the entry (trading_rules 1.6.2)."""
    s = sign(direction)
    stop_points = order.entry_points - s * order.stop_distance_points
    return stop_points + s * ceil(Fraction(str(level_ratio)) * order.stop_distance_points)


def hunt_stop_points(order: PyramidOrder, stop_ratio: float) -> int:
    """The distance of the recovery's own stop, of the same gap; rounded down, at least a point."""
    return max(1, floor(Fraction(str(stop_ratio)) * order.stop_distance_points))


def beyond(name: str, direction: Direction, level_points: int) -> Watch:
    """Price at `level_points` or further the position's way, on the side that would close it."""
    return Watch(name, exit_side(direction), rising=direction is Direction.BUY, level_points=level_points)
