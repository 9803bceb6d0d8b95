"""What position/SYMBOL remembers, and the life of an open position: its plan, its levels, the asks for its close."""

from fractions import Fraction
from typing import Final

import msgspec

from evenkeel.config.schema import Config, ExitConfig
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction, Quote, SymbolSpec, Watch
from evenkeel.messages.operator import Mode
from evenkeel.messages.position import (
    CloseFailure,
    ClosePosition,
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
)
from evenkeel.rules.entries import distance_points
from evenkeel.rules.exits import (
    Levels,
    cost_cents_per_lot,
    emergency_distance,
    is_served,
    levels_for,
    retry_delay_ms,
    watches_for,
)
from evenkeel.rules.symbols import points_per_pip

A_PERSON_ASKS: Final = (ExitReason.OPERATOR, ExitReason.FLATTEN)
OfTheBroker = PositionOpened | PositionPriced | PositionReduced | PositionClosed


class Closing(msgspec.Struct):
    """A close that was asked for. `refused` counts refusals in a row; while `waiting` nothing is at the broker."""

    reason: ExitReason
    remaining_steps: int
    refused: int = 0
    waiting: bool = False


class ManagedPosition(msgspec.Struct):
    """A position and its plan; distances were frozen at entry, levels follow the deal's price and commission.

    `armed` and `asked` count the armings of its levels and the asks for a close: a later one supersedes the earlier ones.
    `shelved` is an exit that the mode did not serve: it is asked for when a milder one does.
    """

    ticket: int
    direction: Direction
    volume_steps: int
    entry_points: int
    stop_distance_points: int
    target_distance_points: int | None
    levels: Levels
    lineage: Lineage
    opened_utc_ms: int
    armed: int = 0
    asked: int = 0
    closing: Closing | None = None
    shelved: ExitReason | None = None


class Attempt(msgspec.Struct):
    """A proposal in flight: `number` counts those for one signal, `expires_utc_ms` is that of the first (0: never)."""

    number: int
    expires_utc_ms: int
    spread_median_points: int


class PositionState(msgspec.Struct):
    """`pending` is the proposal in flight by slot: from the proposal until it is refused, opened or known not to exist;
    `attempts` which try it is.

    `early` came before the symbol's terms, without which nothing can be planned: it waits for them.
    """

    spec: SymbolSpec | None = None
    mode: Mode = Mode.CLOSE_ONLY
    proposals: int = 0
    pending: dict[int, str] = {}
    attempts: dict[int, Attempt] = {}
    positions: dict[int, ManagedPosition] = {}
    cooldown_until_utc_ms: int = 0
    early: list[OfTheBroker] = []


def managed(config: Config, spec: SymbolSpec, opened: PositionOpened) -> ManagedPosition:
    """The plan of a position; one that came without (adopted) gets the configured distances."""
    pip = points_per_pip(spec, config)
    stop = abs(opened.entry_points - opened.stop_points) if opened.stop_points else distance_points(config.entry.stop_pips, pip)
    target = abs(opened.target_points - opened.entry_points) if opened.target_points else None
    cost = cost_cents_per_lot(spec, opened.volume_steps, None)
    return ManagedPosition(
        ticket=opened.ticket,
        direction=opened.direction,
        volume_steps=opened.volume_steps,
        entry_points=opened.entry_points,
        stop_distance_points=stop,
        target_distance_points=target,
        levels=_levels(config.exit, spec, opened.direction, opened.entry_points, stop, target, cost),
        lineage=opened.lineage,
        opened_utc_ms=opened.opened_utc_ms,
    )


def levels_once_priced(config: ExitConfig, spec: SymbolSpec, position: ManagedPosition, commission_cents: int) -> Levels:
    """Its levels from what its opening deals say was paid."""
    return _levels(
        config,
        spec,
        position.direction,
        position.entry_points,
        position.stop_distance_points,
        position.target_distance_points,
        cost_cents_per_lot(spec, position.volume_steps, commission_cents),
    )


def _levels(
    config: ExitConfig,
    spec: SymbolSpec,
    direction: Direction,
    entry_points: int,
    stop_points: int,
    target_points: int | None,
    cost: Fraction,
) -> Levels:
    """The levels of an entry with its distances of stop and target, and `cost` in cents per lot."""
    emergency_r = config.emergency_r
    return levels_for(
        direction,
        entry_points=entry_points,
        stop_distance_points=stop_points,
        target_distance_points=target_points,
        emergency_distance_points=None if emergency_r == "off" else emergency_distance(emergency_r, stop_points, spec, cost),
    )


def watches_of(position: ManagedPosition) -> tuple[Watch, ...]:
    """Those of its latest arming."""
    return watches_for(position.ticket, position.armed, position.direction, position.levels)


def cool_down(config: Config, state: PositionState, from_utc_ms: int) -> None:
    cooldown_ms = round(config.entry.cooldown_minutes * 60_000)
    state.cooldown_until_utc_ms = max(state.cooldown_until_utc_ms, from_utc_ms + cooldown_ms)


def close_wanted(position: ManagedPosition, mode: Mode, reason: ExitReason, remaining_steps: int) -> bool:
    """Note that it is to be closed; whether that is to be asked for now.

    While a close is on its way another reason changes nothing, unless it leaves less or a person asks; one that waits to be
    asked again is asked now. The broker is never asked for more than what is there.
    """
    if remaining_steps >= position.volume_steps:
        return False
    if not is_served(mode, reason):
        position.shelved = reason
        return False
    closing = position.closing
    if closing is None or remaining_steps < closing.remaining_steps:
        position.closing = Closing(reason, remaining_steps)
        return True
    return closing.waiting or reason in A_PERSON_ASKS


def ask_to_close(position: ManagedPosition, symbol: str, quote: Quote | None = None) -> ClosePosition:
    closing = position.closing
    assert closing is not None, "there is something to ask for"
    closing.waiting = False
    position.asked += 1
    return ClosePosition(position.ticket, symbol, closing.remaining_steps, closing.reason, position.asked, quote)


def wait_to_ask_again(config: ExitConfig, closing: Closing, failure: CloseFailure) -> int:
    """Nothing is at the broker any more; in how many milliseconds it is asked again: longer with each refusal in a row."""
    closing.waiting = True
    closing.refused = closing.refused + 1 if failure is CloseFailure.REJECTED else 0
    if not closing.refused:
        return 0
    return retry_delay_ms(closing.refused, round(config.retry_min_s * 1000), round(config.retry_max_s * 1000))


def is_asked_again(position: ManagedPosition, mode: Mode) -> bool:
    """Its wait is over: whether the close is still wanted; one that the mode does not serve by now is shelved."""
    closing = position.closing
    if closing is None or not closing.waiting:
        return False
    if not is_served(mode, closing.reason):
        position.shelved, position.closing = closing.reason, None
        return False
    return True


def reduce_to(position: ManagedPosition, volume_steps: int) -> None:
    """Part of it left; a close that would leave no less is done with."""
    position.volume_steps = volume_steps
    if position.closing is not None and position.closing.remaining_steps >= volume_steps:
        position.closing = None
