"""What position/SYMBOL remembers, and the life of an open position: its plan, its levels, the asks for its close."""

from typing import Final, NamedTuple

import msgspec

from evenkeel.config.chains import RecoveryConfig
from evenkeel.config.schema import Config, ExitConfig
from evenkeel.messages.entry import Lineage, OrderKind, SignalRaised
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
    exit_price,
    is_nearer,
    is_served,
    levels_for,
    retry_delay_ms,
    sign,
    watches_for,
)
from evenkeel.rules.lineage import is_fresh, plugins, signal_of, starts_recovery
from evenkeel.rules.symbols import points_per_pip
from evenkeel.rules.trailing import Trail, next_gain, stop_gain_at, trail_of

A_PERSON_ASKS: Final = (ExitReason.OPERATOR, ExitReason.FLATTEN)
HEDGES: Final = (OrderKind.SHIELD_A, OrderKind.SHIELD_B)
DERIVED_KEPT: Final = 256
"""Orders of chains that are remembered; a chain's own steps are far fewer while the trade before them is still of interest."""
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
    `shelved` is an exit that the mode did not serve: it is asked for when a milder one does. `tight_stop_points` is where the
    stop was moved to, None: never.
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
    tight_stop_points: int | None = None


class Plan(NamedTuple):
    """What an order of a chain is proposed with; target 0: none, volume 0: what the limits allow."""

    stop_distance_points: int
    target_distance_points: int
    volume_steps: int


class Attempt(msgspec.Struct):
    """A proposal in flight: `number` counts those for one signal, `expires_utc_ms` is that of the first (0: never).

    `lineage` is the proposal's. `plan` None: it has the configured one.
    """

    number: int
    expires_utc_ms: int
    spread_median_points: int
    lineage: Lineage | None = None
    plan: Plan | None = None


class Trade(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last fresh order of a strategy with chains in a direction that was opened."""

    chain_id: str
    opened_utc_ms: int


class Derived(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an order owes its being to; there is never a second one for the same."""

    parent_ticket: int
    order_kind: str
    number: int


class Waiting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A chain that takes the next signal of its strategy in this direction for its own."""

    plugin: str
    direction: Direction


class PositionState(msgspec.Struct):
    """`pending` is the proposal in flight by slot: from the proposal until it is refused, opened or known not to exist;
    `attempts` which try it is.

    `early` came before the symbol's terms, without which nothing can be planned: it waits for them. `trades` is by
    "STRATEGY/DIRECTION", `derived` has the orders of chains that were opened, newest last; `waiting` is by chain, and its
    length is bounded by who has the chains. Of `shielded` directions and while a breaker is at its last level in one of
    `halted` scopes nothing stays open. `tier` is what the balance belongs to, 0: nobody said yet. `lowered`: see LimitsLowered.
    """

    spec: SymbolSpec | None = None
    mode: Mode = Mode.CLOSE_ONLY
    proposals: int = 0
    pending: dict[int, str] = {}
    attempts: dict[int, Attempt] = {}
    positions: dict[int, ManagedPosition] = {}
    cooldown_until_utc_ms: int = 0
    early: list[OfTheBroker] = []
    trades: dict[str, Trade] = {}
    derived: list[Derived] = []
    waiting: dict[str, Waiting] = {}
    shielded: list[Direction] = []
    halted: list[str] = []
    tier: int = 0
    lowered: str = ""


def managed(config: Config, spec: SymbolSpec, opened: PositionOpened) -> ManagedPosition:
    """The plan of a position; one that came without (adopted) gets the configured distances."""
    pip = points_per_pip(spec, config)
    stop = abs(opened.entry_points - opened.stop_points) if opened.stop_points else distance_points(config.entry.stop_pips, pip)
    target = abs(opened.target_points - opened.entry_points) if opened.target_points else None
    position = ManagedPosition(
        ticket=opened.ticket,
        direction=opened.direction,
        volume_steps=opened.volume_steps,
        entry_points=opened.entry_points,
        stop_distance_points=stop,
        target_distance_points=target,
        levels=Levels(opened.stop_points, None, None),
        lineage=opened.lineage,
        opened_utc_ms=opened.opened_utc_ms,
    )
    position.levels = levels_once_priced(config, spec, position, None)
    return position


def levels_once_priced(config: Config, spec: SymbolSpec, position: ManagedPosition, commission_cents: int | None) -> Levels:
    """Its levels from what its opening deals say was paid (None: no deal yet), its stop where it was moved to if that is
    nearer."""
    emergency_r, stop = config.exit.emergency_r, position.stop_distance_points
    cost = cost_cents_per_lot(spec, position.volume_steps, commission_cents)
    levels = levels_for(
        position.direction,
        entry_points=position.entry_points,
        stop_distance_points=stop,
        target_distance_points=position.target_distance_points,
        emergency_distance_points=None if emergency_r == "off" else emergency_distance(emergency_r, stop, spec, cost),
    )
    tight = position.tight_stop_points
    if tight is None or not is_nearer(position.direction, tight, levels.stop_points):
        tight = levels.stop_points
    return _with_stop(config.recovery, position, levels, tight)


def tightened(config: RecoveryConfig, position: ManagedPosition, stop_points: int) -> Levels | None:
    """Its levels with the stop there; None when that is no nearer."""
    if not is_nearer(position.direction, stop_points, position.levels.stop_points):
        return None
    return _with_stop(config, position, position.levels, stop_points)


def trailed_stop_points(config: RecoveryConfig, position: ManagedPosition, quote: Quote) -> int | None:
    """Where its stop follows to at this price; None where it is not trailed, or has not come so far."""
    trail, s = _trail(config, position), sign(position.direction)
    if trail is None:
        return None
    gain = stop_gain_at(trail, s * (exit_price(position.direction, quote) - position.entry_points))
    return None if gain is None else position.entry_points + s * gain


def first_stop_points(position: ManagedPosition) -> int:
    """Where its stop was at the entry, by what its deals say was paid."""
    return position.entry_points - sign(position.direction) * position.stop_distance_points


def _with_stop(config: RecoveryConfig, position: ManagedPosition, levels: Levels, stop_points: int) -> Levels:
    """The stop there, and the next price at which it follows, unless the target comes first."""
    trail, s = _trail(config, position), sign(position.direction)
    if trail is None:
        return levels._replace(stop_points=stop_points)
    gain = next_gain(trail, s * (stop_points - position.entry_points))
    is_beyond_target = position.target_distance_points is not None and gain >= position.target_distance_points
    return levels._replace(stop_points=stop_points, trail_points=None if is_beyond_target else position.entry_points + s * gain)


def _trail(config: RecoveryConfig, position: ManagedPosition) -> Trail | None:
    """Of order A and its continuations alone."""
    is_trailed = starts_recovery(position.lineage.order_kind)
    return trail_of(config, position.stop_distance_points) if is_trailed else None


def watches_of(position: ManagedPosition) -> tuple[Watch, ...]:
    """Those of its latest arming."""
    return watches_for(position.ticket, position.armed, position.direction, position.levels)


def cool_down(config: Config, state: PositionState, from_utc_ms: int) -> None:
    cooldown_ms = round(config.entry.cooldown_minutes * 60_000)
    state.cooldown_until_utc_ms = max(state.cooldown_until_utc_ms, from_utc_ms + cooldown_ms)


def reversed_by(config: Config, state: PositionState, signal: SignalRaised, now_utc_ms: int) -> list[int]:
    """Tickets of its strategy's own trades that the signal contradicts, if the strategy has chains and they are past their
    first minutes (trading_rules 1.7). Hedges stay: they are opposite on purpose."""
    if config.recovery.reversal_exit == "off" or signal.lineage.strategy not in plugins(config):
        return []
    grace_ms = round(config.recovery.reversal_grace_minutes * 60_000)
    return [
        position.ticket
        for position in state.positions.values()
        if position.lineage.strategy == signal.lineage.strategy
        and position.direction is not signal.direction
        and position.lineage.order_kind not in HEDGES
        and now_utc_ms - position.opened_utc_ms >= grace_ms
    ]


def unwanted(config: Config, state: PositionState, opened: PositionOpened) -> ExitReason | None:
    """Why it is closed as soon as it is there: it was on its way when nothing like it was to be opened any more. What a
    person has adopted stays where no mode says otherwise."""
    if opened.late and config.broker_gateway.late_fill == "close":
        return ExitReason.LATE_FILL
    if state.mode is Mode.FLATTEN:
        return ExitReason.FLATTEN
    if opened.adopted:
        return None
    if opened.direction in state.shielded:
        return ExitReason.SHIELD
    return ExitReason.BREAKER if state.halted else None


def note_opened(state: PositionState, opened: PositionOpened) -> None:
    """What is opened is not opened a second time for the same reason."""
    lineage = opened.lineage
    if not is_fresh(lineage):
        state.derived = [*state.derived, derived_of(lineage)][-DERIVED_KEPT:]
    elif lineage.order_kind != OrderKind.SINGLE and not opened.adopted:
        state.trades[f"{lineage.strategy}/{opened.direction}"] = Trade(signal_of(lineage.chain_id), opened.opened_utc_ms)


def derived_of(lineage: Lineage) -> Derived:
    return Derived(lineage.parent_ticket, lineage.order_kind, lineage.number)


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
