"""A position's life after the order: opened, priced by its deal, asked to close, closed, with the reason."""

from enum import StrEnum

from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.system import Message


class ExitReason(StrEnum):
    EMERGENCY = "emergency"
    STOP = "stop"
    TARGET = "target"
    TIME = "time"
    OPERATOR = "operator"
    FLATTEN = "flatten"
    LATE_FILL = "late_fill"
    UNPROTECTED = "unprotected"
    CATASTROPHE = "catastrophe"
    STOP_OUT = "stop_out"
    PERSON = "person"
    UNEXPLAINED = "unexplained"
    NEVER_OPENED = "never_opened"
    MARGIN = "margin"
    SIGNAL = "signal"
    REVERSAL = "reversal"
    BOOKED = "booked"
    SHIELD = "shield"
    BREAKER = "breaker"
    CHAIN = "chain"


class ClosedBy(StrEnum):
    APP = "app"
    BROKER = "broker"
    PERSON = "person"


class CloseFailure(StrEnum):
    """Why a close has not happened. The position's owner asks again with a new generation until the broker shows it gone."""

    REJECTED = "rejected"
    STILL_OPEN = "still_open"


class PositionOpened(Message, frozen=True):
    """The broker has it. `provisional`: price from the answer or a reading; `PositionPriced` brings the deal's.

    `adopted` came without an order of ours in flight; `late` answers an order whose outcome was unknown.
    `stop_points` and `target_points` are the app's price levels; `broker_stop_points` 0 means none at the broker.
    """

    ticket: int
    symbol: str
    spec_id: int
    direction: Direction
    volume_steps: int
    entry_points: int
    stop_points: int
    target_points: int
    broker_stop_points: int
    reserved_cents: int
    opened_utc_ms: int
    lineage: Lineage
    provisional: bool = True
    adopted: bool = False
    late: bool = False


class PositionPriced(Message, frozen=True):
    """The opening deals so far: mean price, volume and commission from the broker's records."""

    ticket: int
    symbol: str
    spec_id: int
    entry_points: int
    volume_steps: int
    commission_cents: int


class ClosePosition(Message, frozen=True):
    """Leave `remaining_steps` of the position. Answered by PositionClosed, PositionReduced or CloseFailed.

    `generation` counts the asks of one position; the broker is never asked for more than what is there.
    """

    ticket: int
    symbol: str
    remaining_steps: int
    reason: ExitReason
    generation: int
    quote: Quote | None = None


class ReducePosition(Message, frozen=True):
    """Somebody other than its owner wants a position smaller. Answered by what `ClosePosition` is answered by.

    Ignored when the position is gone or no larger, or a close that leaves no more is on its way and no person asks.
    """

    ticket: int
    symbol: str
    remaining_steps: int
    reason: ExitReason


class TightenStop(Message, frozen=True):
    """The app's stop of a position is to be at `stop_points`, if that is nearer than it was. Answered by StopTightened; one
    that is no nearer, or of a position that is gone, is ignored."""

    ticket: int
    symbol: str
    spec_id: int
    stop_points: int


class StopTightened(Message, frozen=True):
    """The app's stop moved, never away from the price. `first_stop_points` is where it was at the entry."""

    ticket: int
    symbol: str
    spec_id: int
    stop_points: int
    first_stop_points: int


class CloseScope(Message, frozen=True):
    """Everything of ours in `scope` (the account, a symbol, "strategy/NAME", "chain/ID") is to be closed. Answered for each
    position as `ReducePosition` is."""

    scope: str
    reason: ExitReason


class CloseFailed(Message, frozen=True):
    ticket: int
    symbol: str
    generation: int
    failure: CloseFailure
    detail: str


class PositionReduced(Message, frozen=True):
    """Part of it left by a deal; `volume_steps` is what remains."""

    ticket: int
    symbol: str
    spec_id: int
    volume_steps: int
    close_points: int
    profit_cents: int
    reason: ExitReason


class PositionClosed(Message, frozen=True):
    """The broker's deals say that it is gone. Money comes from deals alone; `net_cents` is all parts together."""

    ticket: int
    symbol: str
    spec_id: int
    direction: Direction
    volume_steps: int
    entry_points: int
    close_points: int
    first_stop_points: int
    target_points: int
    opened_utc_ms: int
    closed_utc_ms: int
    reason: ExitReason
    by: ClosedBy
    profit_cents: int
    commission_cents: int
    swap_cents: int
    net_cents: int
    reserved_cents: int
    trading_day: str
    lineage: Lineage
