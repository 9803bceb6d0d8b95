"""Which slot of its symbol an order gets, and how many trades a symbol may have at once.

One trade is what one signal opened, whatever became of it: order A, order B and what is derived from them count once. Derived
orders are held to no count of trades (trading_rules 6), only to the slots that there are.
"""

from typing import Final

from evenkeel.config.schema import Config
from evenkeel.messages.entry import DenialReason, Lineage, OrderKind
from evenkeel.rules.entries import Refusal
from evenkeel.rules.lineage import is_fresh, signal_of
from evenkeel.rules.position import PositionState

SLOTS_MAX: Final = 64
"""Of a symbol: two chains with all that may ever be open of each, and room for what a person adopts."""


def slot_refusal(config: Config, state: PositionState, lineage: Lineage, orders: int) -> Refusal | None:
    """There is no slot for so many orders more, or the symbol has its trades."""
    is_closing = any(position.closing is not None for position in state.positions.values())
    reason = DenialReason.CLOSING if is_closing else DenialReason.SLOT_TAKEN
    if is_fresh(lineage):
        trades, most = _trades_beside(state, lineage), _trades_max(config, lineage.strategy)
        if trades >= most:
            return Refusal(reason, trades, most, "count")
    taken = len(_taken(state))
    return Refusal(reason, taken, SLOTS_MAX, "count") if taken + orders > SLOTS_MAX else None


def free_slots(state: PositionState, asked: int, orders: int) -> list[int]:
    """The slot that was asked for, else the first free one, and the next free ones after it."""
    taken = _taken(state)
    free = [slot for slot in range(len(taken) + orders) if slot not in taken]
    first = asked if asked not in taken else free[0]
    others = [slot for slot in free if slot != first]
    return [first, *sorted(others, key=lambda slot: (slot < first, slot))[: orders - 1]]


def _taken(state: PositionState) -> list[int]:
    """By positions, and by orders in flight or of unknown outcome; adopted positions may share one."""
    return [*(position.lineage.slot for position in state.positions.values()), *state.pending]


def _trades_beside(state: PositionState, lineage: Lineage) -> int:
    """Those of other signals: another try for an order does not stand in its own way, nor does its sibling."""
    held = [position.lineage for position in state.positions.values()]
    held += [attempt.lineage for attempt in state.attempts.values() if attempt.lineage is not None]
    singles = sum(one.order_kind == OrderKind.SINGLE for one in held)
    signals = {signal_of(one.chain_id) for one in held if one.order_kind != OrderKind.SINGLE}
    return singles + len(signals - {signal_of(lineage.chain_id)})


def _trades_max(config: Config, strategy: str) -> int:
    """How many trades the symbol may have when this strategy wants one more."""
    declared = config.strategy[strategy].slots if strategy in config.strategy else 1
    return max(config.limits.per_symbol_slots, declared)
