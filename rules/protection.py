"""What protects a position, and what it lacks (DESIGN 10): a stop at the broker within its bound, and the app's own levels.

A *ward* is a position of ours as it looks from outside its actor: levels as they were armed, stops as readings show them.
"""

from collections.abc import Iterable

import msgspec

from evenkeel.config.schema import CatastropheStopConfig
from evenkeel.messages.market import Direction, Watch
from evenkeel.messages.position import ExitReason, PositionOpened
from evenkeel.messages.protection import Gap, PositionUnprotected, SetStops
from evenkeel.rules.catastrophe_stop import app_stop_multiple_points
from evenkeel.rules.exits import sign


class AskedClose(msgspec.Struct):
    """A close without an end so far; at `due_utc_ms` it is asked for again. `generation` is that of the ask, negative when
    protection asked; `refused` counts refusals in a row."""

    reason: ExitReason
    remaining_steps: int
    generation: int
    due_utc_ms: int
    refused: int = 0


class Ward(msgspec.Struct):
    """Prices in points, 0 none: `stop` and `target` are the app's, `broker_stop` what the broker holds, `bound` the farthest
    stop at the broker that will do (0: not known), `first_stop` where the app's was before it was moved nearer (0: it was not).
    `since_utc_ms` is when it began to lack something or was last repaired;
    `repairs` counts since then."""

    ticket: int
    symbol: str
    spec_id: int
    direction: Direction
    strategy: str
    volume_steps: int
    entry_points: int
    stop_points: int
    target_points: int
    bound_points: int
    broker_stop_points: int
    is_armed: bool = False
    since_utc_ms: int | None = None
    is_alarmed: bool = False
    repairs: int = 0
    close: AskedClose | None = None
    chain_id: str = ""
    first_stop_points: int = 0


def ward_of(opened: PositionOpened) -> Ward:
    """The broker's stop went with the order, or was seen there."""
    return Ward(
        ticket=opened.ticket,
        symbol=opened.symbol,
        spec_id=opened.spec_id,
        direction=opened.direction,
        strategy=opened.lineage.strategy,
        volume_steps=opened.volume_steps,
        entry_points=opened.entry_points,
        stop_points=opened.stop_points,
        target_points=opened.target_points,
        bound_points=opened.broker_stop_points,
        broker_stop_points=opened.broker_stop_points,
        chain_id=opened.lineage.chain_id,
    )


def gap_of(ward: Ward, *, needs_broker_stop: bool, is_taken_over: bool) -> Gap | None:
    """What it lacks. Of a symbol that is taken over the app's own stop is to be at the broker; there, no level of the app
    need be armed. `needs_broker_stop` false: the stop at the broker is off by name."""
    has_app_stop = is_within(ward, ward.stop_points)
    if is_taken_over:
        bound_points = ward.stop_points or ward.bound_points
    else:
        bound_points = ward.bound_points
    if needs_broker_stop or is_taken_over:
        if not ward.broker_stop_points:
            return Gap.NO_BROKER_STOP
        if bound_points and not is_within(ward, bound_points):
            return Gap.BROKER_STOP_FAR
    return None if is_taken_over or ward.is_armed or has_app_stop else Gap.LEVELS_NOT_ARMED


def is_within(ward: Ward, bound_points: int) -> bool:
    """The broker holds a stop that is no farther than `bound_points`."""
    if not ward.broker_stop_points or not bound_points:
        return False
    return sign(ward.direction) * (ward.broker_stop_points - bound_points) >= 0


def wide_stop_points(config: CatastropheStopConfig, ward: Ward) -> int:
    """Its bound, or for a position that came without one what its own first stop alone demands, for no market is at hand
    here; 0: nobody knows."""
    first_points = ward.first_stop_points or ward.stop_points
    if ward.bound_points or not first_points:
        return ward.bound_points
    distance_points = app_stop_multiple_points(config, abs(ward.entry_points - first_points))
    return ward.entry_points - sign(ward.direction) * distance_points


def stops_for(ward: Ward, stop_points: int) -> SetStops:
    """The app's target goes with the app's own stop, none with a wider one."""
    target_points = ward.target_points if stop_points == ward.stop_points else 0
    return SetStops(ward.ticket, ward.symbol, ward.spec_id, stop_points, target_points)


def alarm(ward: Ward, gap: Gap, wanted_points: int) -> list[PositionUnprotected]:
    """Once, until it is over."""
    if ward.is_alarmed:
        return []
    ward.is_alarmed = True
    return [PositionUnprotected(ward.ticket, ward.symbol, ward.spec_id, gap, ward.broker_stop_points, wanted_points)]


def arm(ward: Ward, levels: dict[str, int]) -> None:
    """The app's levels wait for a price: the stop at least."""
    if ExitReason.STOP in levels:
        ward.is_armed = True
        ward.stop_points = levels[ExitReason.STOP]
        ward.target_points = levels.get(ExitReason.TARGET, 0)


def armed_levels(watches: Iterable[Watch]) -> dict[int, dict[str, int]]:
    """By ticket and exit: watches of positions are named `ticket/exit/generation`."""
    levels: dict[int, dict[str, int]] = {}
    for watch in watches:
        ticket, exit_name, _ = watch.name.split("/")
        levels.setdefault(int(ticket), {})[exit_name] = watch.level_points
    return levels


def move_entry(ward: Ward, entry_points: int, volume_steps: int) -> None:
    """The opening deals say what was paid; levels that are not armed yet move along."""
    moved = entry_points - ward.entry_points
    ward.entry_points, ward.volume_steps = entry_points, volume_steps
    if not ward.is_armed:
        ward.stop_points += moved if ward.stop_points else 0
        ward.target_points += moved if ward.target_points else 0
