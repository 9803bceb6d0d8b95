"""How a re-entry chain ends, and what it leaves behind: nothing armed, nothing set, nothing reserved (trading_rules 1.3).

As in all steps of a chain, each function changes the saga and answers with what is to be said; nothing here writes it down.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from evenkeel.config.schema import Config
from evenkeel.messages.entry import OrderKind
from evenkeel.messages.market import Direction, DisarmWatches
from evenkeel.messages.position import PositionClosed
from evenkeel.messages.recovery import ChainState, ChainWaitOver, FreeRecovery
from evenkeel.messages.system import CancelTimer, Message
from evenkeel.rules.recovery import WAITING, ChainEvent
from evenkeel.rules.recovery_market import Market
from evenkeel.rules.recovery_sagas import NAME, WAIT_FOR, Saga, ended, is_live, recovery_id, step, timer, watch_name

OPPOSED: Final = "opposite signal"


class Around(NamedTuple):
    """What a step looks at beside the saga: the configuration, the symbol's market, its blocked directions, and the time."""

    config: Config
    market: Market
    blocked: Sequence[Direction]
    now_utc_ms: int


def cancel(around: Around, saga: Saga, event: ChainEvent) -> list[Message]:
    """What it waited for will not come: its window is over, a signal leads the other way, its direction is blocked.

    Said of any chain: one whose trade is open is not concerned; one whose order or hedge is on its way is when that fails.
    """
    chain, reasons = saga.chain, {ChainEvent.OPPOSITE: OPPOSED, ChainEvent.SHIELDED: "the direction is shielded"}
    if not _may_be_cancelled(saga):
        is_on_its_way = chain.state in (ChainState.PLACING, ChainState.HEDGED)
        saga.is_opposed = saga.is_opposed or (event is ChainEvent.OPPOSITE and is_on_its_way)
        return []
    wait = WAIT_FOR.get(OrderKind(chain.step)) if chain.state is ChainState.PLACING else chain.state
    is_target = wait is ChainState.AWAITING_TP
    is_hunt = wait in (ChainState.RECOVERY_MODE, ChainState.ACTIVE)
    reason = reasons.get(event, "recovery window timeout" if is_hunt else "window over")
    return finish(around, saga, event, ChainState.COMPLETED if is_target else ChainState.STOPPED, reason)


def halt(around: Around, saga: Saga, reason: str) -> list[Message]:
    """A person or a kill ends it: at once where it waits, else when its trade, order or hedge has an end."""
    if not is_live(saga):
        return []
    if not _may_be_cancelled(saga):
        saga.doom = saga.doom or reason
        return []
    return stop(around, saga, ChainEvent.HALTED, reason)


def doomed_by_shield(saga: Saga) -> None:
    """Its direction was blocked while it was hedged."""
    if saga.chain.state is ChainState.HEDGED and saga.is_hedge_asked:
        saga.doom = saga.doom or "the direction is shielded"


def _may_be_cancelled(saga: Saga) -> bool:
    """Nothing of it is open or on its way."""
    state = saga.chain.state
    is_unasked = state is ChainState.PLACING and not saga.is_asked
    is_unhedged = state is ChainState.HEDGED and not saga.is_hedge_asked
    is_asking = state is ChainState.ACTIVE and not saga.ticket
    return is_live(saga) and (state in WAITING or is_unasked or is_unhedged or is_asking)


def stop(around: Around, saga: Saga, event: ChainEvent, reason: str, told: str = "") -> list[Message]:
    return finish(around, saga, event, ChainState.STOPPED, reason, told)


def finish(around: Around, saga: Saga, event: ChainEvent, after: ChainState, reason: str, told: str = "") -> list[Message]:
    """No more steps: every wait is over, and what was kept for it is free."""
    said = [*forget(saga), *free(saga)]
    detail = f"{told}: {reason}" if told else reason
    return [step(saga, event, after, detail=detail), *said, ended(saga, reason, around.now_utc_ms)]


def end_stopped(
    around: Around, saga: Saga, event: ChainEvent, reason: str, end: PositionClosed, told: str, *, is_stale: bool = False
) -> list[Message]:
    """With the trade that has just ended."""
    return end_with(around, saga, event, ChainState.STOPPED, reason, end, told, is_stale=is_stale)


def end_with(
    around: Around,
    saga: Saga,
    event: ChainEvent,
    after: ChainState,
    reason: str,
    end: PositionClosed,
    told: str,
    *,
    is_stale: bool = False,
) -> list[Message]:
    stepped = step(saga, event, after, ticket=end.ticket, detail=f"{told}: {reason}", net_cents=end.net_cents)
    return [stepped, ended(saga, reason, around.now_utc_ms, is_stale=is_stale)]


def forget(saga: Saga) -> list[Message]:
    """Whatever it waited for."""
    chain, said = saga.chain, disarm(saga)
    saga.quote, saga.is_asked, saga.is_doubted = None, False, False
    if not saga.ticket:
        said += [CancelTimer(NAME, timer("window", chain)), CancelTimer(NAME, timer("look", chain))]
    if saga.is_wait_said:
        saga.is_wait_said = False
        said.append(ChainWaitOver(chain.plugin, chain.chain_id, chain.symbol))
    return said


def free(saga: Saga) -> list[Message]:
    """The recovery is over, or will not be."""
    if not saga.is_reserved:
        return []
    saga.is_reserved = False
    return [FreeRecovery(recovery_id(saga.chain))]


def disarm(saga: Saga) -> list[Message]:
    if not saga.is_armed:
        return []
    saga.is_armed = False
    return [DisarmWatches(NAME, saga.chain.symbol, (watch_name(saga),))]
