"""What the view keeps for its limits beside what it shows anyway: the start balance, trades of finished days, gross losses,
requests of the day, refusals of the broker in a row.

Told as risk_limit counts it, from the messages that the reporter hears.
"""

from typing import Final

import msgspec

from evenkeel.messages.broker_gateway import (
    AccountRead,
    CashMoved,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
)
from evenkeel.messages.entry import OpenPosition, OrderDenied
from evenkeel.messages.operator import ModeChanged
from evenkeel.messages.position import ClosedBy, CloseFailed, CloseFailure, PositionClosed
from evenkeel.messages.risk_limit import LimitReached
from evenkeel.rules.money import capital_cents_of

DAYS_KEPT: Final = 100
FLOOR: Final = "balance_floor_pct"
LIFETIME: Final = "loss_tiers.lifetime"


class GrossLoss(msgspec.Struct, frozen=True, array_like=True, gc=False):
    day_cents: int = 0
    lifetime_cents: int = 0


class LimitsSeen(msgspec.Struct):
    """`day_trades` are those of finished trading days that had any, oldest first; `lost` by strategy. `asked` are the proposals
    of counted requests that have not come back: one that never left us is counted no more.

    `is_at_floor` and `is_lifetime_reached` wait for a person: a rearm begins those two anew.
    """

    start_balance_cents: int | None = None
    day_trades: list[int] = []
    lost: dict[str, GrossLoss] = {}
    is_at_floor: bool = False
    is_lifetime_reached: bool = False
    requests_today: int = 0
    asked: list[str] = []
    rejects_in_a_row: int = 0


OfRequests = OpenPosition | OrderDenied | OrderRejected | OrderOutcomeUnknown | OrderOutcomeResolved | CloseFailed


def heard(seen: LimitsSeen, message: AccountRead | CashMoved | ModeChanged | LimitReached) -> None:
    match message:
        case AccountRead():
            if seen.start_balance_cents is None:
                seen.start_balance_cents = message.balance_cents + message.credit_cents
        case CashMoved(cash):
            if seen.start_balance_cents is not None:
                seen.start_balance_cents += capital_cents_of(cash)
        case ModeChanged():
            seen.is_at_floor = seen.is_at_floor or message.reason.startswith(FLOOR)
        case LimitReached():
            seen.is_lifetime_reached = seen.is_lifetime_reached or message.limit == LIFETIME


def requested(seen: LimitsSeen, message: OfRequests) -> None:
    match message:
        case OpenPosition(proposal_id=proposal_id):
            seen.requests_today, seen.asked = seen.requests_today + 1, [*seen.asked, proposal_id]
        case OrderDenied(proposal_id=proposal_id):
            if proposal_id in seen.asked:
                seen.requests_today = max(0, seen.requests_today - 1)
                _came_back(seen, proposal_id)
        case OrderRejected(proposal_id=proposal_id):
            seen.rejects_in_a_row += 1
            _came_back(seen, proposal_id)
        case OrderOutcomeUnknown():
            seen.rejects_in_a_row += 1
        case OrderOutcomeResolved(proposal_id=proposal_id):
            _came_back(seen, proposal_id)
        case CloseFailed(failure=failure):
            seen.rejects_in_a_row += failure is CloseFailure.REJECTED


def opened(seen: LimitsSeen, proposal_id: str) -> None:
    """By an order of ours."""
    seen.rejects_in_a_row = 0
    _came_back(seen, proposal_id)


def closed(seen: LimitsSeen, message: PositionClosed) -> None:
    if message.by is ClosedBy.APP:
        seen.rejects_in_a_row = 0


def _came_back(seen: LimitsSeen, proposal_id: str) -> None:
    seen.asked = [asked for asked in seen.asked if asked != proposal_id]


def lost(seen: LimitsSeen, closed: PositionClosed, trading_day: str) -> None:
    """What a trade lost net counts for its strategy, for the day only if it was closed on it."""
    if closed.net_cents < 0:
        name, day_cents = closed.lineage.strategy, -closed.net_cents if closed.trading_day >= trading_day else 0
        before = seen.lost.get(name, GrossLoss())
        seen.lost[name] = GrossLoss(before.day_cents + day_cents, before.lifetime_cents - closed.net_cents)


def day_began(seen: LimitsSeen, trades_before: int) -> None:
    """`trades_before` were opened on the day that is over; a day without any is none, as at weekends."""
    seen.requests_today = 0
    if trades_before:
        seen.day_trades = [*seen.day_trades, trades_before][-DAYS_KEPT:]
    seen.lost = {name: GrossLoss(0, one.lifetime_cents) for name, one in seen.lost.items()}


def rearmed(seen: LimitsSeen, account: AccountRead | None) -> None:
    seen.day_trades = []
    if seen.is_at_floor and account is not None:
        seen.start_balance_cents, seen.is_at_floor = account.balance_cents + account.credit_cents, False
    if seen.is_lifetime_reached:
        seen.lost, seen.is_lifetime_reached = {name: GrossLoss(one.day_cents) for name, one in seen.lost.items()}, False


def days_in_a_row(seen: LimitsSeen, trades_per_day: int) -> int:
    """The newest finished days that reached the limit, without one between that did not."""
    below = (at for at, trades in enumerate(reversed(seen.day_trades)) if trades < trades_per_day)
    return next(below, len(seen.day_trades))
