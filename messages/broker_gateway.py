"""Between the gateway that decides and the edge that calls: intents, answers, readings and deals, in domain words."""

from enum import StrEnum

import msgspec

from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction
from evenkeel.messages.system import Message, Observation


class Outcome(StrEnum):
    """What became of a call. VOID: the last gate did not send it. UNKNOWN is a state, never an error to retry."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    VOID = "void"


class DealEntry(StrEnum):
    IN = "in"
    OUT = "out"


class DealReason(StrEnum):
    """Who caused a deal, as the broker records it."""

    EXPERT = "expert"
    CLIENT = "client"
    STOP = "stop"
    TARGET = "target"
    STOP_OUT = "stop_out"
    OTHER = "other"


class OpenRequest(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A market order at `price_points` give or take `deviation_points`; levels 0 mean none."""

    symbol: str
    spec_id: int
    direction: Direction
    volume_steps: int
    price_points: int
    deviation_points: int
    stop_points: int
    target_points: int
    slot: int


class CloseRequest(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Leave `remaining_steps` of `ticket`; the edge reads the present volume and asks only for the difference."""

    symbol: str
    ticket: int
    direction: Direction
    remaining_steps: int


class StopRequest(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Set the broker's own stop and target of `ticket`; both are replaced, 0 removes."""

    symbol: str
    ticket: int
    stop_points: int
    target_points: int


class CallTerminal(Message, frozen=True):
    """The intent: journaled before it is sent, sent at most once. Answered by `TerminalAnswered`.

    `epoch` is the kill epoch it was decided under; `expires_utc_ms` 0 never expires.
    """

    intent_id: int
    magic: int
    epoch: int
    expires_utc_ms: int
    request: OpenRequest | CloseRequest | StopRequest


class TerminalAnswered(Observation, frozen=True):
    """What the terminal said of an intent. `code` is the broker's own number, 0 where it said none."""

    intent_id: int
    outcome: Outcome
    ticket: int
    price_points: int
    volume_steps: int
    code: int
    detail: str
    undurable: bool = False


class Deal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of the broker's history. Money is signed, in cents of the account. `direction` is the deal's own side."""

    deal_ticket: int
    position_ticket: int
    symbol: str
    spec_id: int
    direction: Direction
    entry: DealEntry
    volume_steps: int
    price_points: int
    profit_cents: int
    commission_cents: int
    swap_cents: int
    magic: int
    reason: DealReason
    time_utc_ms: int


class DealDone(Observation, frozen=True):
    """A deal of the broker's history, once, in the order of its tickets."""

    deal: Deal


class BrokerPosition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    ticket: int
    symbol: str
    spec_id: int
    direction: Direction
    volume_steps: int
    open_points: int
    stop_points: int
    target_points: int
    magic: int
    opened_utc_ms: int


class ReadTerminal(Message, frozen=True):
    """Look now: answered by `PositionsRead`, or by nothing when the terminal cannot be read."""

    reading_id: int


class PositionsRead(Observation, frozen=True):
    """A complete reading: every open position of the account. `reading_id` 0 is one that nobody asked for.

    `last_deal_ticket` is the newest deal that the edge had said before it read.
    """

    reading_id: int
    positions: tuple[BrokerPosition, ...]
    last_deal_ticket: int


class AccountRead(Observation, frozen=True):
    """Balance and equity in cents; taken when no deal came in between, so the balance is that of all deals said before."""

    balance_cents: int
    equity_cents: int
    margin_cents: int
    currency: str
    currency_digits: int
    leverage: int


class OrderRejected(Message, frozen=True):
    """The broker refused an open for good; another try would be a new intent."""

    proposal_id: str
    symbol: str
    direction: Direction
    intent_id: int
    code: int
    detail: str
    lineage: Lineage


class OrderOutcomeUnknown(Message, frozen=True):
    """Nobody knows whether it was executed. It keeps its reservation and locks until a reading or a deal resolves it."""

    proposal_id: str
    symbol: str
    direction: Direction
    intent_id: int
    detail: str
    lineage: Lineage


class OrderOutcomeResolved(Message, frozen=True):
    """An unknown open turned out not to exist: two equal complete readings and no deal. (A fill is `PositionOpened(late)`.)"""

    proposal_id: str
    symbol: str
    direction: Direction
    intent_id: int
    lineage: Lineage


class BrokerAgreed(Message, frozen=True):
    """Two equal complete readings match what we believe: entries may be opened again."""

    positions: int


class BrokerDisagreed(Message, frozen=True):
    """A reading does not match what we believe; entries are closed until two do."""

    detail: str


class ForeignPositionSeen(Message, frozen=True):
    """Not ours: counted in exposure, blocks the opposite direction, never touched."""

    ticket: int
    symbol: str
    spec_id: int
    direction: Direction
    volume_steps: int
    open_points: int


class ForeignPositionGone(Message, frozen=True):
    ticket: int
    symbol: str
