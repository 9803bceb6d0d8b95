"""Stop and target of our positions at the broker: where ours belong, and what becomes of those that somebody moves
(docs/design/interference.md).

A stop that is nearer to the price than ours is kept: it only takes risk away. One that was removed or is farther away is set
again. A target is the person's own affair.
"""

from evenkeel.messages.broker_gateway import BrokerPosition, LevelsMoved
from evenkeel.messages.protection import SetStops
from evenkeel.rules.exits import sign
from evenkeel.rules.order_intents import StopIntent
from evenkeel.rules.reconciliation import Believed


def moved(position: Believed, seen: BrokerPosition) -> LevelsMoved | None:
    """Take in what the broker holds; what somebody changed since the last reading is said once. A stop that is back where we
    want it is nothing to say, nor are levels that we asked for without learning what came of it."""
    if position.doubted is not None and _shows(seen, position.doubted):
        were_set(position, position.doubted)
    before = position.broker_stop_points if position.held_stop_points is None else position.held_stop_points
    stop_moved = seen.stop_points not in (before, position.broker_stop_points)
    target_moved = seen.target_points != position.broker_target_points
    position.held_stop_points, position.broker_target_points = seen.stop_points, seen.target_points
    if not stop_moved and not target_moved:
        return None
    kept = not is_unprotected(position, seen)
    return LevelsMoved(seen.ticket, seen.symbol, seen.spec_id, seen.stop_points, seen.target_points, kept)


def asked(position: Believed, order: SetStops) -> StopIntent:
    """What is sent when ours are to be others: a nearer stop and another target that a person has set stay."""
    held_points, s = position.held_stop_points, sign(position.direction)
    is_persons = held_points not in (None, 0, position.broker_stop_points)
    is_nearer = bool(held_points) and s * ((held_points or 0) - order.stop_points) > 0
    stop_points = held_points if held_points and is_persons and (is_nearer or not order.stop_points) else order.stop_points
    is_target_persons = position.broker_target_points != position.own_target_points
    target_points = position.broker_target_points if is_target_persons else order.target_points
    named = position.ticket, position.symbol, order.spec_id
    return StopIntent(*named, stop_points, target_points, True, order.stop_points, order.target_points)


def repair(position: Believed, seen: BrokerPosition) -> StopIntent:
    """Our stop again, with the target that is there."""
    stop_points, named = position.broker_stop_points, (seen.ticket, seen.symbol, seen.spec_id)
    return StopIntent(*named, stop_points, seen.target_points, False, stop_points, position.own_target_points)


def were_set(position: Believed, intent: StopIntent) -> None:
    """The broker holds what was asked for, however we learned it."""
    position.broker_stop_points, position.held_stop_points = intent.own_stop_points, intent.stop_points
    position.own_target_points, position.broker_target_points = intent.own_target_points, intent.target_points
    position.stop_failures, position.doubted = 0, None


def _shows(seen: BrokerPosition, intent: StopIntent) -> bool:
    return (seen.stop_points, seen.target_points) == (intent.stop_points, intent.target_points)


def is_unprotected(position: Believed, seen: BrokerPosition) -> bool:
    """It needs a stop at the broker, and there is none, or one farther away than ours."""
    if not position.broker_stop_points:
        return False
    nearer_points = sign(position.direction) * (seen.stop_points - position.broker_stop_points)
    return not seen.stop_points or nearer_points < 0
