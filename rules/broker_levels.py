"""Stop and target of our positions at the broker, when somebody moves them (ARCHITECTURE "When a person interferes").

A stop that is nearer to the price than ours is kept: it only takes risk away. One that was removed or is farther away is set
again. A target is the person's own affair.
"""

from evenkeel.messages.broker_gateway import BrokerPosition, LevelsMoved
from evenkeel.rules.exits import sign
from evenkeel.rules.reconciliation import Believed


def moved(position: Believed, seen: BrokerPosition) -> LevelsMoved | None:
    """Take in what the broker holds; what somebody changed since the last reading is said once. A stop that is back where we
    want it is nothing to say."""
    before = position.broker_stop_points if position.held_stop_points is None else position.held_stop_points
    stop_moved = seen.stop_points not in (before, position.broker_stop_points)
    target_moved = seen.target_points != position.broker_target_points
    position.held_stop_points, position.broker_target_points = seen.stop_points, seen.target_points
    if not stop_moved and not target_moved:
        return None
    kept = not is_unprotected(position, seen)
    return LevelsMoved(seen.ticket, seen.symbol, seen.spec_id, seen.stop_points, seen.target_points, kept)


def is_unprotected(position: Believed, seen: BrokerPosition) -> bool:
    """It needs a stop at the broker, and there is none, or one farther away than ours."""
    if not position.broker_stop_points:
        return False
    nearer_points = sign(position.direction) * (seen.stop_points - position.broker_stop_points)
    return not seen.stop_points or nearer_points < 0
