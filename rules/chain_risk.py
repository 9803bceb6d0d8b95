"""What one chain may lose altogether, in R of its first trade (limits.md, chain_risk_budget_r).

R is the worst case of the first trade at the app's stop, commissions and the allowance for slippage included. Against it stands
what would be lost if everything of the chain came to its stop, commissions included: what is open and on its way, recoveries
that wait, and the next order; less what the chain has booked, more what it has lost.
"""

from fractions import Fraction
from typing import Final

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage, OrderKind
from evenkeel.messages.market import SymbolSpec
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.rules.entries import Refusal
from evenkeel.rules.lineage import budget_chain, is_fresh, is_recovery, plugins
from evenkeel.rules.sizing import Book, Reservation, cents_for, exposures, loss_at_stop_cents, loss_per_step, ppm_of, share_of

ENDED_KEPT_MAX: Final = 256
"""Ended chains whose late closes still find them."""
_SHIELDS: Final = frozenset({OrderKind.SHIELD_A.value, OrderKind.SHIELD_B.value})


class ChainRisk(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`booked_cents` is the net of the chain's closed trades, negative when it lost; hedged: shields were opened for it."""

    r_cents: int
    booked_cents: int = 0
    is_hedged: bool = False
    is_ended: bool = False


def chain_opened(chains: dict[str, ChainRisk], opened: PositionOpened, worst_cents: int) -> None:
    """The first trade of a chain measures it by its worst case."""
    lineage, chain_id = opened.lineage, budget_chain(opened.lineage.chain_id)
    if is_fresh(lineage):
        chains.setdefault(lineage.chain_id, ChainRisk(worst_cents))
    elif lineage.order_kind in _SHIELDS and chain_id in chains:
        chains[chain_id] = msgspec.structs.replace(chains[chain_id], is_hedged=True)


def chain_booked(chains: dict[str, ChainRisk], closed: PositionClosed) -> None:
    chain_id = budget_chain(closed.lineage.chain_id)
    if chain_id in chains:
        chain = chains[chain_id]
        chains[chain_id] = msgspec.structs.replace(chain, booked_cents=chain.booked_cents + closed.net_cents)


def chain_ended(chains: dict[str, ChainRisk], chain_id: str) -> None:
    """The longest ended are forgotten first."""
    if chain_id not in chains:
        return
    chains[chain_id] = msgspec.structs.replace(chains.pop(chain_id), is_ended=True)
    ended = [known for known, chain in chains.items() if chain.is_ended]
    for known in ended[: max(0, len(ended) - ENDED_KEPT_MAX)]:
        del chains[known]


def open_cents(config: Config, book: Book, chain_id: str) -> int:
    """What the chain loses when everything of it that is open or on its way comes to its stop, legs of its hedge to the level
    at which they are closed."""
    total_cents = 0
    for part in exposures(book):
        if budget_chain(part.chain_id) == chain_id:
            spec = book.specs[part.symbol]
            stop_cents = part.stop_cents if isinstance(part, Reservation) else loss_at_stop_cents(part, spec, slippage_points=0)
            is_leg = part.chain_id != chain_id
            total_cents += leg_cents(config, stop_cents, part.volume_steps, spec) if is_leg else stop_cents
    return total_cents


def leg_cents(config: Config, stop_cents: int, volume_steps: int, spec: SymbolSpec) -> int:
    """What a leg of a hedge loses until price is back at the recovery's level, where it is closed (trading_rules 1.12 B).

    `stop_cents` is what it would lose at its stop, commissions included; rounded up.
    """
    costs_cents = cents_for(volume_steps, loss_per_step(0, spec))
    return costs_cents - share_of(costs_cents - stop_cents, ppm_of(config.recovery.sl_hunt.level_ratio))


def chain_refusal(
    config: Config, chains: dict[str, ChainRisk], book: Book, proposal: EntryProposed, volume_steps: int, waiting: int
) -> Refusal | None:
    """An order of that volume would let its chain lose more than its budget. A fresh order is the measure itself.

    `waiting` recoveries of the chain, this one included, have no order yet. A chain that nobody knows has no budget.
    """
    lineage = proposal.lineage
    if config.limits.chain_risk_budget_r == "off" or is_fresh(lineage) or lineage.strategy not in plugins(config):
        return None
    chain_id, spec = budget_chain(lineage.chain_id), book.specs[proposal.symbol]
    chain = chains.get(chain_id)
    if chain is None:
        return Refusal(DenialReason.CHAIN_RISK_BUDGET, detail=f"nothing is known of chain {lineage.chain_id}")
    is_hedged = chain.is_hedged or lineage.order_kind in _SHIELDS
    budget_r = config.limits.chain_risk_budget_hedged_r if is_hedged else config.limits.chain_risk_budget_r
    if budget_r == "off":
        return None
    next_cents = cents_for(volume_steps, loss_per_step(proposal.stop_distance_points, spec))
    if lineage.order_kind in _SHIELDS:
        next_cents = leg_cents(config, next_cents, volume_steps, spec)
    others = max(0, waiting - is_recovery(lineage.order_kind))
    waiting_cents = _waiting_cents(config, chain, lineage) * others
    worst_cents = open_cents(config, book, chain_id) + waiting_cents + next_cents - chain.booked_cents
    most_cents = chain.r_cents * ppm_of(budget_r) // ppm_of(1)
    if worst_cents > most_cents:
        return Refusal(DenialReason.CHAIN_RISK_BUDGET, worst_cents, most_cents, "cents")
    return None


def _waiting_cents(config: Config, chain: ChainRisk, lineage: Lineage) -> int:
    """What a recovery that waits will risk, about: its share of a trade like the first."""
    of_pyramid = lineage.order_kind in (OrderKind.PROFIT_RECOVERY, OrderKind.PROFIT_TRAIL)
    ratio = config.profit_booking.sl_hunt.stop_ratio if of_pyramid else config.recovery.sl_hunt.stop_ratio
    return cents_for(1, Fraction(str(ratio)) * chain.r_cents)
