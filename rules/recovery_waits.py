"""What a re-entry chain waits for: a recovery of the limits, a hedge, the time, a bar, a price (trading_rules 1.5 to 1.7)."""

from typing import Final, assert_never

from evenkeel.config.schema import Config
from evenkeel.messages.market import ArmWatches, Direction, Watch
from evenkeel.messages.recovery import ChainState, ChainWaits
from evenkeel.messages.shield import HedgeEnd, HedgeEnded
from evenkeel.messages.system import Message, SetTimer
from evenkeel.rules.exits import exit_side
from evenkeel.rules.recovery import WAITING, ChainEvent
from evenkeel.rules.recovery_ends import OPPOSED, Around, cancel, disarm, stop
from evenkeel.rules.recovery_levels import beyond_points, recovery_level
from evenkeel.rules.recovery_market import stands_against
from evenkeel.rules.recovery_sagas import NAME, STEP_OF, Saga, alter, book, step, stop_of, timer, watch_name
from evenkeel.rules.recovery_windows import window_ends_utc_ms
from evenkeel.rules.symbols import points_per_pip
from evenkeel.rules.texts import money_text

ANY_PRICE_POINTS: Final = 1
"""Every price is at or beyond it."""


def reserved(around: Around, saga: Saga) -> list[Message]:
    """The limits keep a recovery: its window is that of the stop, whenever this is."""
    chain = saga.chain
    if chain.until_utc_ms <= around.now_utc_ms:
        return stop(around, saga, ChainEvent.WINDOW_OVER, "recovery window timeout")
    if not around.config.shield.hedge.enabled:
        return wait(around, saga, ChainEvent.RESERVED, ChainState.RECOVERY_MODE, chain.recovery_ticket)
    stepped = step(saga, ChainEvent.RESERVED, ChainState.HEDGED, ticket=chain.recovery_ticket)
    return [stepped, *arm(around, saga, ANY_PRICE_POINTS)]


def hedge_ended(around: Around, saga: Saga, told: HedgeEnded) -> list[Message]:
    """Price is back, or there never was a hedge: the plain hunt. Otherwise the hedge's end is the chain's."""
    saga.is_hedge_asked = False
    book(saga, told.net_cents)
    if saga.doom:
        return stop(around, saga, ChainEvent.HALTED, saga.doom, told.detail)
    if saga.is_opposed:
        return stop(around, saga, ChainEvent.HEDGE_ENDED, OPPOSED, told.detail)
    match told.end:
        case HedgeEnd.REFUSED | HedgeEnd.KILLED if saga.chain.until_utc_ms > around.now_utc_ms:
            detail = f"hedge {told.end.value}, net {money_text(told.net_cents, around.config.account)}: {told.detail}"
            ticket = saga.chain.recovery_ticket
            return wait(around, saga, ChainEvent.HEDGE_ENDED, ChainState.RECOVERY_MODE, ticket, detail)
        case HedgeEnd.REFUSED | HedgeEnd.KILLED:
            return stop(around, saga, ChainEvent.HEDGE_ENDED, "recovery window timeout", told.detail)
        case HedgeEnd.STOPPED | HedgeEnd.EXPIRED:
            return stop(around, saga, ChainEvent.HEDGE_ENDED, f"hedge {told.end.value}", told.detail)
        case _:
            assert_never(told.end)


def wait(
    around: Around, saga: Saga, event: ChainEvent, state: ChainState, ticket: int, told: str = "", net_cents: int = 0
) -> list[Message]:
    """For a price, inside the window that began with the deal; one that is over already ends the chain at once."""
    until_utc_ms = saga.chain.until_utc_ms or window_end(around, saga, state)
    chain = alter(saga, until_utc_ms=until_utc_ms, step=STEP_OF[state].value)
    stepped = step(saga, event, state, ticket=ticket, detail=told, net_cents=net_cents)
    if chain.direction in around.blocked:
        return [stepped, *cancel(around, saga, ChainEvent.SHIELDED)]
    if until_utc_ms <= around.now_utc_ms:
        return [stepped, *cancel(around, saga, ChainEvent.WINDOW_OVER)]
    saga.ready_utc_ms = max(_first_look_utc_ms(around.config, saga), around.now_utc_ms)
    said: list[Message] = [stepped, SetTimer(NAME, timer("window", chain), until_utc_ms)]
    if state is ChainState.AWAITING_TP:
        saga.is_wait_said = True
        said.append(ChainWaits(chain.plugin, chain.chain_id, chain.symbol, chain.direction))
    return [*said, *look(around, saga)]


def window_end(around: Around, saga: Saga, state: ChainState) -> int:
    """Of a wait that began with the deal."""
    chain, config = saga.chain, around.config
    return window_ends_utc_ms(config, state, plugin=chain.plugin, symbol=chain.symbol, began_utc_ms=chain.began_utc_ms)


def _first_look_utc_ms(config: Config, saga: Saga) -> int:
    """Some time lies after the end of the trade, and between two re-entries."""
    recovery, chain = config.recovery, saga.chain
    wait_s: float = 0.0
    if chain.state is ChainState.AWAITING_TP:
        wait_s = recovery.tp_continuation.wait_s
    elif chain.state is ChainState.RECOVERY_MODE:
        wait_s = max(recovery.wait_s, recovery.sl_hunt.wait_s)
    between_ms = round(recovery.wait_s * 1000) if chain.stepped_utc_ms else 0
    return max(chain.began_utc_ms + round(wait_s * 1000), chain.stepped_utc_ms + between_ms)


def look(around: Around, saga: Saga) -> list[Message]:
    """Wait for its price while nothing else is missing; else for what can change that: the time, or the next bar."""
    chain = saga.chain
    if chain.state not in WAITING or around.market.spec is None:
        return []
    if around.now_utc_ms < saga.ready_utc_ms:
        return [*disarm(saga), SetTimer(NAME, timer("look", chain), saga.ready_utc_ms)]
    if missing(around, saga) is not None:
        return disarm(saga)
    return [] if saga.is_armed else arm(around, saga, _level(around, saga))


def missing(around: Around, saga: Saga) -> str | None:
    is_recovery = saga.chain.state is ChainState.RECOVERY_MODE
    return stands_against(around.config.recovery.sl_hunt, around.market, saga.chain.direction, is_recovery=is_recovery)


def _level(around: Around, saga: Saga) -> int:
    """The price that the chain waits for."""
    recovery, chain, spec = around.config.recovery, saga.chain, around.market.spec
    assert spec is not None, "nothing is waited for before the terms are known"
    if chain.state is ChainState.RECOVERY_MODE:
        return hunt_level(around.config, saga)
    is_target = chain.state is ChainState.AWAITING_TP
    pips = recovery.tp_continuation.gap_pips if is_target else recovery.exit_continuation.reversion_pips
    return beyond_points(chain.direction, chain.last_close_points, pips, points_per_pip(spec, around.config))


def hunt_level(config: Config, saga: Saga) -> int:
    """From the stopped trade's own stop, a share of its own gap."""
    chain, ratio = saga.chain, config.recovery.sl_hunt.level_ratio
    return recovery_level(chain.direction, stop_points=stop_of(chain), gap_points=chain.last_stop_distance_points, ratio=ratio)


def arm(around: Around, saga: Saga, level_points: int) -> list[Message]:
    """The side on which such a trade is closed; the level itself counts. Any price is beyond ANY_PRICE_POINTS."""
    saga.armed, saga.is_armed, chain, spec = saga.armed + 1, True, saga.chain, around.market.spec
    assert spec is not None, "nothing is armed before the terms are known"
    is_rising = chain.direction is Direction.BUY or level_points == ANY_PRICE_POINTS
    watch = Watch(watch_name(saga), exit_side(chain.direction), is_rising, level_points)
    return [ArmWatches(NAME, chain.symbol, spec.spec_id, (watch,))]
