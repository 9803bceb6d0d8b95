"""A re-entry chain's orders: asked for once the chain that says so is written, and what becomes of them (trading_rules 1.3)."""

import msgspec

from evenkeel.messages.entry import OrderKind, ReentryRaised, SignalRaised
from evenkeel.messages.market import Quote
from evenkeel.messages.position import ExitReason, PositionOpened, ReducePosition
from evenkeel.messages.recovery import ChainState
from evenkeel.messages.shield import HedgeWanted
from evenkeel.messages.system import Message
from evenkeel.rules.booking_steps import SPREAD_LOOK_MS
from evenkeel.rules.recovery import WAITING, ChainEvent
from evenkeel.rules.recovery_ends import Around, disarm, finish, forget
from evenkeel.rules.recovery_levels import Terms, level_stop_points, spread_points, target_points, tight_stop_points
from evenkeel.rules.recovery_market import is_too_wide, usual_spread_points
from evenkeel.rules.recovery_sagas import (
    NAME,
    STEP_OF,
    WAIT_FOR,
    Saga,
    alter,
    step,
    stop_of,
    target_distance_of,
)
from evenkeel.rules.recovery_waits import hunt_level, look, missing
from evenkeel.rules.symbols import points_per_pip
from evenkeel.rules.texts import levels_text, quote_text
from evenkeel.rules.tries import TRIES_MAX, back_off_ms


def crossed(around: Around, saga: Saga, quote: Quote) -> list[Message]:
    """Price is there. A spread that is too wide for a recovery is looked at again a second later, a bar when it closes."""
    saga.is_armed = False
    chain, hunt = saga.chain, around.config.recovery.sl_hunt
    if chain.state is ChainState.HEDGED:
        return _ask_for_hedge(around, saga, quote)
    if chain.state not in WAITING or missing(around, saga) is not None:
        return []
    if chain.state is ChainState.RECOVERY_MODE and is_too_wide(hunt, around.market, spread_points(quote)):
        saga.ready_utc_ms = around.now_utc_ms + SPREAD_LOOK_MS
        return look(around, saga)
    return place(saga, quote, usual_spread_points(around.market), quote_text(quote, around.market.spec))


def place(saga: Saga, quote: Quote, spread_median_points: int, told: str) -> list[Message]:
    """The order is asked for once the chain that says so is written."""
    saga.quote, saga.spread_median_points, saga.tries, saga.rejects = quote, spread_median_points, saga.tries + 1, 0
    said = disarm(saga)
    alter(saga, step=STEP_OF[saga.chain.state].value)
    return [*said, step(saga, ChainEvent.READY, ChainState.PLACING, detail=f"try {saga.tries}, {told}")]


def ask(around: Around, saga: Saga) -> list[Message]:
    """The chain is written: the order that it is waiting to place leaves, once."""
    quote, chain, spec = saga.quote, saga.chain, around.market.spec
    if chain.state is not ChainState.PLACING or saga.is_asked or quote is None or spec is None:
        return []
    if chain.until_utc_ms <= around.now_utc_ms:
        return failed(around, saga, "the window is over", is_final=True)
    saga.quote, saga.is_asked = None, True
    stop_points, goal_points = _distances(around, saga, Terms(spec, points_per_pip(spec, around.config), spread_points(quote)))
    lineage = msgspec.structs.replace(
        saga.lineage,
        origin=NAME,
        chain_id=chain.chain_id,
        parent_ticket=chain.tickets[-1],
        level=chain.level + (chain.step == OrderKind.TP_CONTINUATION),
        order_kind=chain.step,
        proposal_id="",
    )
    now_utc_ms, median_points = around.now_utc_ms, saga.spread_median_points
    signal = SignalRaised(chain.symbol, spec.spec_id, chain.direction, quote, now_utc_ms, median_points, lineage)
    return [ReentryRaised(chain.symbol, signal, stop_points, goal_points, chain.volume_steps)]


def _distances(around: Around, saga: Saga, terms: Terms) -> tuple[int, int]:
    """Stop and target of the order that is placed."""
    recovery, chain = around.config.recovery, saga.chain
    match OrderKind(chain.step):
        case OrderKind.SL_RECOVERY:
            stop_points = tight_stop_points(recovery, terms, chain.last_stop_distance_points)
        case OrderKind.TP_CONTINUATION:
            first_points, level = chain.first_stop_distance_points, chain.level + 1
            stop_points = level_stop_points(recovery, terms, first_points=first_points, level=level)
        case _:
            return chain.last_stop_distance_points, saga.target_distance_points
    return stop_points, target_points(recovery, stop_points)


def filled(around: Around, saga: Saga, opened: PositionOpened) -> list[Message]:
    """The broker has the order: only now it counts, as a level, a recovery or an exit continuation."""
    chain, is_recovery = saga.chain, saga.chain.step == OrderKind.SL_RECOVERY
    said = forget(saga)
    saga.ticket, saga.tries, saga.target_distance_points = opened.ticket, 0, target_distance_of(opened)
    is_continuation, is_return = chain.step == OrderKind.TP_CONTINUATION, chain.step == OrderKind.EXIT_CONTINUATION
    alter(
        saga,
        level=chain.level + is_continuation,
        tickets=(*chain.tickets, opened.ticket),
        trades=chain.trades + 1,
        last_entry_points=opened.entry_points,
        last_stop_distance_points=abs(opened.entry_points - opened.stop_points),
        recovery_attempts=chain.recovery_attempts + is_recovery,
        exit_attempts=0 if is_continuation else chain.exit_attempts + is_return,
        stepped_utc_ms=opened.opened_utc_ms,
        until_utc_ms=0,
    )
    after = ChainState.RECOVERING if is_recovery else ChainState.ACTIVE
    told = f"{chain.step} {levels_text(opened, around.market.spec)}"
    said.append(step(saga, ChainEvent.FILLED, after, ticket=opened.ticket, detail=told))
    if saga.doom:
        said.append(ReducePosition(opened.ticket, opened.symbol, 0, ExitReason.CHAIN))
    return said


def failed(around: Around, saga: Saga, told: str, *, is_final: bool = False) -> list[Message]:
    """The order was refused, or could not be written: waited for again while the window lasts, TRIES_MAX times at most."""
    chain = saga.chain
    saga.quote, saga.is_asked, saga.is_doubted = None, False, False
    wait = WAIT_FOR[OrderKind(chain.step)]
    is_hunt, detail = wait is ChainState.RECOVERY_MODE, f"try {saga.tries}: {told}"
    is_shielded = chain.direction in around.blocked
    if saga.doom or is_shielded or is_final or saga.tries >= TRIES_MAX or chain.until_utc_ms <= around.now_utc_ms:
        reason = saga.doom or ("the direction is shielded" if is_shielded else f"not placed: {told}")
        after = ChainState.COMPLETED if wait is ChainState.AWAITING_TP and not saga.doom else ChainState.STOPPED
        return finish(around, saga, ChainEvent.FAILED, after, reason, detail)
    saga.ready_utc_ms = around.now_utc_ms + back_off_ms(saga.tries)
    ticket = chain.recovery_ticket if is_hunt else 0
    return [step(saga, ChainEvent.FAILED, wait, ticket=ticket, detail=detail), *look(around, saga)]


def _ask_for_hedge(around: Around, saga: Saga, quote: Quote) -> list[Message]:
    saga.is_hedge_asked, chain, spec = True, saga.chain, around.market.spec
    assert spec is not None, "a recovery is reserved only where the terms are known"
    wanted = HedgeWanted(
        plugin=chain.plugin,
        chain_id=chain.chain_id,
        symbol=chain.symbol,
        spec_id=spec.spec_id,
        direction=chain.direction,
        parent_ticket=chain.recovery_ticket,
        level=chain.level,
        volume_steps=chain.volume_steps,
        entry_points=chain.last_entry_points,
        stop_points=stop_of(chain),
        kill_points=hunt_level(around.config, saga),
        until_utc_ms=chain.until_utc_ms,
        quote=quote,
        spread_median_points=usual_spread_points(around.market),
    )
    return [wanted]
