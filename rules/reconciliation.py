"""What we believe about the broker, held against what the broker says. The broker is the truth for what exists."""

from collections.abc import Container, Mapping, Sequence

import msgspec

from evenkeel.messages.broker_gateway import BrokerPosition, Deal, DealReason
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction
from evenkeel.messages.position import ClosedBy, ExitReason
from evenkeel.rules.order_intents import StopIntent


class Believed(msgspec.Struct):
    """A position of ours as we believe it to be; money accumulates from its deals. `stop_points` and `target_points` are
    the app's levels at the entry, `broker_stop_points` and `own_target_points` our levels at the broker (0: none by name);
    `held_stop_points` and `broker_target_points` are what it was last known to hold there, a person's perhaps (stop None: no
    reading yet). `doubted` were asked for, and nobody knows whether they were set. `priced_steps` is the volume of its
    opening deals, `priced_point_steps` the sum of their price times volume; `asked` why we last asked for a close that no
    deal has fulfilled; `absent_readings` counts those that lacked it before any had shown it. `tight_stop_points` is where the
    app's stop was moved to, 0: never."""

    ticket: int
    symbol: str
    spec_id: int
    direction: Direction
    volume_steps: int
    volume_left_steps: int
    entry_points: int
    stop_points: int
    target_points: int
    broker_stop_points: int
    reserved_cents: int
    opened_utc_ms: int
    lineage: Lineage
    priced_steps: int = 0
    priced_point_steps: int = 0
    asked: ExitReason | None = None
    stop_failures: int = 0
    profit_cents: int = 0
    commission_cents: int = 0
    swap_cents: int = 0
    held_stop_points: int | None = None
    broker_target_points: int = 0
    own_target_points: int = 0
    doubted: StopIntent | None = None
    absent_readings: int = 0
    tight_stop_points: int = 0


def differences(
    believed: Mapping[int, Believed], foreign: Mapping[int, BrokerPosition], positions: Sequence[BrokerPosition]
) -> list[str]:
    """What does not match, one line each; positions that are neither believed nor known as foreign count too."""
    seen = {position.ticket: position for position in positions}
    said = [f"position {ticket} is not at the broker" for ticket in believed if ticket not in seen]
    for ticket, position in seen.items():
        if ticket in believed:
            ours = believed[ticket].volume_left_steps
            if position.volume_steps != ours:
                said.append(f"position {ticket} has {position.volume_steps} steps at the broker, {ours} here")
        elif ticket not in foreign:
            said.append(f"position {ticket} is unknown here")
    return said


def unmanaged(believed: Mapping[int, Believed], children: Container[str]) -> list[str]:
    """Positions of ours in symbols that have no actor any more: their stop at the broker is all that they have."""
    left = [position for position in believed.values() if f"position/{position.symbol}" not in children]
    return [f"position {position.ticket} in {position.symbol} has nobody who manages it" for position in left]


def cause_of_close(deal: Deal, position: Believed, asked: ExitReason | None) -> tuple[ExitReason, ClosedBy]:
    """Why a deal closed: our own command's reason if it answers one, else what the broker records; never profit's sign."""
    match deal.reason:
        case DealReason.EXPERT | DealReason.OTHER:
            return (asked, ClosedBy.APP) if asked is not None else (ExitReason.UNEXPLAINED, ClosedBy.BROKER)
        case DealReason.STOP if position.held_stop_points not in (None, 0, position.broker_stop_points):
            return ExitReason.PERSON, ClosedBy.PERSON
        case DealReason.STOP:
            at_app_stop = position.broker_stop_points in (position.stop_points, position.tight_stop_points or None)
            return (ExitReason.STOP if at_app_stop else ExitReason.CATASTROPHE), ClosedBy.BROKER
        case DealReason.TARGET:
            return ExitReason.TARGET, ClosedBy.BROKER
        case DealReason.STOP_OUT:
            return ExitReason.STOP_OUT, ClosedBy.BROKER
        case DealReason.CLIENT:
            return ExitReason.PERSON, ClosedBy.PERSON
