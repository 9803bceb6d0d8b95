"""What the durable messages say of chains and shields, and where an order of a chain breaks its promise."""

from collections.abc import Iterator
from typing import Final

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderRejected
from evenkeel.messages.entry import Lineage, OpenPosition, OrderDenied, OrderKind
from evenkeel.messages.market import Direction
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.recovery import ChainEnded
from evenkeel.messages.shield import ShieldLowered, ShieldRaised
from evenkeel.messages.system import Message

ALLOWED_CAUSES: Final[dict[OrderKind, tuple[ExitReason, ...]]] = {
    OrderKind.TP_CONTINUATION: (ExitReason.TARGET,),
    OrderKind.SL_RECOVERY: (ExitReason.STOP,),
    OrderKind.EXIT_CONTINUATION: (ExitReason.OPERATOR, ExitReason.PERSON, ExitReason.SIGNAL, ExitReason.REVERSAL),
    OrderKind.PROFIT_RECOVERY: (ExitReason.STOP,),
    OrderKind.SHIELD_A: (ExitReason.STOP,),
    OrderKind.SHIELD_B: (ExitReason.STOP,),
}
"""What ended the trade that an order follows (DESIGN 9.10). A pyramid's next level follows from a whole level."""
RESUMED: Final = (OrderKind.SL_RECOVERY, OrderKind.TP_CONTINUATION)
"""After a recovery that did not lose the chain goes on as after a target, whatever closed it."""
CLOSED_KEPT: Final = 500
BUDGET_SLACK: Final = 1.02
"""Cents are rounded up, order by order."""


class Ended(msgspec.Struct, frozen=True):
    """How a trade of a chain ended."""

    kind: str
    reason: ExitReason
    net_cents: int


class ChainFacts(msgspec.Struct):
    """A chain, as its orders and deals tell: the first trade's volume, what was booked, what each order loses at its stop.

    Losses are in points times steps, which are worth the same in one symbol; `r_cents` and `r_point_steps` are the first
    trade's worst case, with the allowance for slippage.
    """

    first_steps: int = 0
    r_cents: int = 0
    r_point_steps: int = 0
    booked_cents: int = 0
    at_stop: dict[str, int] = {}
    recoveries: dict[int, int] = {}


class ChainsAndShields:
    """`at` counts messages, so that what was decided before a shield was heard of can be told from what came after it."""

    def __init__(self) -> None:
        self.at = 0
        self.chains: dict[str, ChainFacts] = {}
        self.ended: dict[int, Ended] = {}
        self.shields: dict[tuple[str, Direction], int] = {}

    def hear(self, message: Message) -> None:
        self.at += 1
        match message:
            case ShieldRaised(symbol=symbol, direction=direction):
                self.shields[symbol, direction] = self.at
            case ShieldLowered(symbol=symbol, direction=direction):
                self.shields.pop((symbol, direction), None)
            case OpenPosition(lineage=lineage) if _is_of_chain(lineage):
                facts = self.chains.setdefault(lineage.chain_id, ChainFacts())
                facts.at_stop[message.proposal_id] = message.stop_distance_points * message.volume_steps
                if not facts.r_cents:
                    facts.first_steps, facts.r_cents = message.volume_steps, message.reserved_cents
                    facts.r_point_steps = (message.stop_distance_points + message.deviation_points) * message.volume_steps
            case OrderDenied(lineage=lineage) | OrderRejected(lineage=lineage) | OrderOutcomeResolved(lineage=lineage) if (
                lineage.chain_id in self.chains
            ):
                self.chains[lineage.chain_id].at_stop.pop(message.proposal_id, None)
            case PositionOpened(lineage=lineage) if _is_of_chain(lineage):
                self._opened(message)
            case PositionClosed(lineage=lineage) if _is_of_chain(lineage):
                self._closed(message)
            case ChainEnded(chain_id=chain_id):
                self.chains.pop(chain_id, None)
            case _:
                pass

    def _opened(self, opened: PositionOpened) -> None:
        lineage = opened.lineage
        facts = self.chains.setdefault(lineage.chain_id, ChainFacts())
        facts.at_stop[lineage.proposal_id] = abs(opened.entry_points - opened.stop_points) * opened.volume_steps
        if lineage.order_kind in (OrderKind.SL_RECOVERY, OrderKind.PROFIT_RECOVERY):
            facts.recoveries[opened.ticket] = lineage.parent_ticket

    def _closed(self, closed: PositionClosed) -> None:
        lineage = closed.lineage
        self.ended[closed.ticket] = Ended(lineage.order_kind, closed.reason, closed.net_cents)
        if len(self.ended) > CLOSED_KEPT:
            del self.ended[next(iter(self.ended))]
        facts = self.chains.get(lineage.chain_id)
        if facts is not None:
            facts.booked_cents += closed.net_cents
            facts.at_stop.pop(lineage.proposal_id, None)

    def broken_by(self, order: OpenPosition, config: Config) -> Iterator[str]:
        """How `order`, which was heard, breaks the promise of its chain."""
        lineage = order.lineage
        if not _is_of_chain(lineage) or not lineage.parent_ticket:
            return
        kind, parent = OrderKind(lineage.order_kind), self.ended.get(lineage.parent_ticket)
        facts = self.chains.get(lineage.chain_id)
        if parent is not None and kind in ALLOWED_CAUSES:
            goes_on = kind in RESUMED and parent.kind == OrderKind.SL_RECOVERY and parent.net_cents >= 0
            if parent.reason not in ALLOWED_CAUSES[kind] and not goes_on:
                yield f"{kind.value} after {parent.reason.value} of {lineage.parent_ticket}"
        if facts is None or not facts.r_point_steps:
            return
        if order.volume_steps > facts.first_steps:
            yield f"{kind.value} of {order.volume_steps} steps, the first trade had {facts.first_steps}"
        if kind is OrderKind.SL_RECOVERY and len(facts.recoveries) >= config.recovery.sl_hunt.attempts_max:
            yield f"recovery {len(facts.recoveries) + 1} of chain {lineage.chain_id}"
        if kind is OrderKind.PROFIT_RECOVERY and lineage.parent_ticket in facts.recoveries.values():
            yield f"a second recovery of {lineage.parent_ticket}"
        budget_r = config.limits.chain_risk_budget_r
        if budget_r != "off":
            worst = sum(facts.at_stop.values()) * facts.r_cents / facts.r_point_steps - facts.booked_cents
            if worst > budget_r * facts.r_cents * BUDGET_SLACK:
                yield f"{worst:.0f} cents at risk in {lineage.chain_id}, its first trade risked {facts.r_cents}"

    def shielded_since(self, symbol: str, direction: Direction) -> int | None:
        """The count of the message that raised a shield against it, None while there is none."""
        return self.shields.get((symbol, direction))


def _is_of_chain(lineage: Lineage) -> bool:
    return lineage.order_kind != OrderKind.SINGLE
