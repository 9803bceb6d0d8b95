"""What the recovery actor knows of each re-entry chain beside the chain itself, and how it is written down.

Every change of a chain is given to the store of its plugin, one write at a time; an order is asked for only when the chain that
says so has been written. Otherwise nothing waits for a write.
"""

from typing import Final

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.chain_store import SaveChain
from evenkeel.messages.entry import Lineage, OrderKind
from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.messages.recovery import Chain, ChainEnded, ChainState, ChainStatus, ChainStepped
from evenkeel.messages.system import Message
from evenkeel.rules.chain_writes import Writing, next_write
from evenkeel.rules.exits import sign
from evenkeel.rules.recovery import ENDED, NO_CHAIN, ChainEvent, is_allowed, public_status
from evenkeel.rules.recovery_market import Market

NAME: Final = "recovery"
CHAINS_MAX: Final = 256
"""An order A beyond them is a trade without a chain."""
STEP_OF: Final = {
    ChainState.AWAITING_TP: OrderKind.TP_CONTINUATION,
    ChainState.AWAITING_EXIT: OrderKind.EXIT_CONTINUATION,
    ChainState.RECOVERY_MODE: OrderKind.SL_RECOVERY,
}
"""The order that each wait is for."""
WAIT_FOR: Final = {kind: state for state, kind in STEP_OF.items()}


class Saga(msgspec.Struct):
    """A chain on its way. `lineage` is its first order's; `ticket` the trade that is open, 0 for none.

    `stop_points` is where the open trade's stop was moved to, None where it was not; `target_distance_points` its target's, 0
    for none. `doom` is why it ends as soon as what is open or on its way has an end. `is_reserved`: the limits keep a recovery
    for it, or were asked to. `ready_utc_ms` is before when it does not look at prices; while `is_armed` the watch of number
    `armed` is. An order is asked for at `quote`, `tries` counts those asked for, `rejects` the broker's refusals of the last;
    `is_asked` while there is no answer, and `is_doubted` when that may have been one.
    """

    chain: Chain
    lineage: Lineage
    ticket: int
    stop_points: int | None = None
    target_distance_points: int = 0
    doom: str = ""
    is_reserved: bool = False
    is_hedge_asked: bool = False
    is_wait_said: bool = False
    ready_utc_ms: int = 0
    armed: int = 0
    is_armed: bool = False
    quote: Quote | None = None
    spread_median_points: int = 0
    tries: int = 0
    rejects: int = 0
    is_asked: bool = False
    is_doubted: bool = False
    writing: Writing = msgspec.field(default_factory=Writing)


class Trade(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An open position of a strategy with chains."""

    symbol: str
    direction: Direction
    opened_utc_ms: int


class RecoveryState(msgspec.Struct):
    """Markets by symbol, sagas by chain, trades by ticket; `blocked` directions by symbol; the last kill's `epoch`."""

    markets: dict[str, Market] = {}
    sagas: dict[str, Saga] = {}
    trades: dict[int, Trade] = {}
    blocked: dict[str, list[Direction]] = {}
    epoch: int = 0


def begun(config: Config, opened: PositionOpened) -> Saga:
    """The chain of an order A that was filled."""
    strategy = config.strategy.get(opened.lineage.strategy)
    is_short = strategy is not None and strategy.chain_type == "v6"
    distance = sign(opened.direction) * (opened.entry_points - opened.stop_points)
    chain = Chain(
        chain_id=opened.lineage.chain_id,
        plugin=opened.lineage.strategy,
        symbol=opened.symbol,
        spec_id=opened.spec_id,
        direction=opened.direction,
        state=ChainState.ACTIVE,
        version=0,
        level=1,
        level_max=config.recovery.levels_max_v6 if is_short else config.recovery.levels_max_v3,
        volume_steps=opened.volume_steps,
        first_ticket=opened.ticket,
        first_entry_points=opened.entry_points,
        first_stop_distance_points=distance,
        last_entry_points=opened.entry_points,
        last_stop_distance_points=distance,
        created_utc_ms=opened.opened_utc_ms,
        updated_utc_ms=opened.opened_utc_ms,
        tickets=(opened.ticket,),
        step=OrderKind.TP_TRAIL.value,
    )
    return Saga(chain, opened.lineage, opened.ticket, target_distance_points=target_distance_of(opened))


def target_distance_of(opened: PositionOpened) -> int:
    return abs(opened.target_points - opened.entry_points) if opened.target_points else 0


def alter(saga: Saga, **facts: object) -> Chain:
    """Other facts of the chain; its state is not one of them."""
    assert "state" not in facts, "a state is left by a step"
    saga.chain = msgspec.structs.replace(saga.chain, **facts)
    return saga.chain


def step(
    saga: Saga, event: ChainEvent, after: ChainState, *, ticket: int = 0, detail: str = "", net_cents: int = 0
) -> ChainStepped:
    """Into another state, as the table allows and in no other way."""
    chain, before = saga.chain, saga.chain.state.value
    if event is ChainEvent.OPENED:
        before = NO_CHAIN
    assert is_allowed(before, event, after), f"{chain.chain_id}: no step from {before!r} to {after} by {event}"
    saga.chain = msgspec.structs.replace(chain, state=after)
    told = NAME, chain.plugin, chain.chain_id, chain.symbol, before, after.value, event.value, chain.level
    return ChainStepped(*told, ticket or (chain.tickets[-1] if chain.tickets else 0), detail, net_cents)


def ended(saga: Saga, reason: str, now_utc_ms: int, *, is_stale: bool = False) -> ChainEnded:
    """Said beside the step into its last state."""
    chain = alter(saga, reason=reason, ended_utc_ms=now_utc_ms)
    status = ChainStatus.STALE if is_stale else public_status(chain.state)
    net_cents = chain.won_cents - chain.lost_cents
    return ChainEnded(chain.plugin, chain.chain_id, chain.symbol, status, reason, net_cents)


def is_live(saga: Saga) -> bool:
    return saga.chain.state not in ENDED


def book(saga: Saga, net_cents: int) -> None:
    """What a trade of the chain, or its hedge, has brought; a loss counts as a positive number of its own."""
    chain = saga.chain
    alter(saga, won_cents=chain.won_cents + max(0, net_cents), lost_cents=chain.lost_cents + max(0, -net_cents))


def over(saga: Saga, closed: PositionClosed) -> int:
    """Its trade is over: money and prices as the deals say. Answers with its own gap: from its stop, as that was last, to its
    entry; 0 or less where the stop had been moved there or beyond."""
    chain, gap_points = saga.chain, saga.chain.last_stop_distance_points
    if saga.stop_points is not None:
        gap_points = sign(chain.direction) * (chain.last_entry_points - saga.stop_points)
    alter(saga, last_close_points=closed.close_points, began_utc_ms=closed.closed_utc_ms, until_utc_ms=0)
    saga.ticket, saga.stop_points, saga.tries = 0, None, 0
    book(saga, closed.net_cents)
    return gap_points


def stop_of(chain: Chain) -> int:
    """The price of the last trade's stop."""
    return chain.last_entry_points - sign(chain.direction) * chain.last_stop_distance_points


def recovery_id(chain: Chain) -> str:
    """Of the trade that is recovered, or was closed last."""
    return f"{chain.chain_id}/{chain.recovery_ticket}"


def timer(what: str, chain: Chain) -> str:
    return f"{what}/{chain.chain_id}"


def watch_name(saga: Saga) -> str:
    return f"{saga.chain.chain_id}/{saga.armed}"


def urgency(saga: Saga) -> tuple[bool, int, int, int, str]:
    """Which of several goes first: continuations before recoveries; then highest profit, longest running, newest step."""
    chain = saga.chain
    profit_cents = chain.won_cents - chain.lost_cents
    is_hunt = chain.step == OrderKind.SL_RECOVERY
    return is_hunt, -profit_cents, chain.created_utc_ms, -chain.updated_utc_ms, chain.chain_id


def write(saga: Saga, now_utc_ms: int) -> list[Message]:
    """Give the chain to its store, if there is something new to write and no write is on its way."""
    chain = next_write(saga.writing, saga.chain, now_utc_ms)
    if chain is None:
        return []
    saga.chain = chain
    return [SaveChain(NAME, chain.plugin, chain)]
