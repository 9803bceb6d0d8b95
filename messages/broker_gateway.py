"""Between the gateway that decides and the edge that calls: intents, answers, readings and deals, in domain words."""

from enum import StrEnum

import msgspec

from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction, Quote
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


class CashKind(StrEnum):
    """What a line of the history is that is no trade in a symbol we know. See rules/money.py for what each counts as."""

    BALANCE = "balance"
    CREDIT = "credit"
    CHARGE = "charge"
    CORRECTION = "correction"
    BONUS = "bonus"
    COMMISSION = "commission"
    INTEREST = "interest"
    DIVIDEND = "dividend"
    TAX = "tax"
    CANCELED = "canceled"
    UNKNOWN_SYMBOL = "unknown_symbol"
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
    """What the terminal said of an intent. `code` is the broker's own number, 0 where it said none.

    `quote` is the newest one when an open was refused because the price had moved, else None.
    """

    intent_id: int
    outcome: Outcome
    ticket: int
    price_points: int
    volume_steps: int
    code: int
    detail: str
    undurable: bool = False
    quote: Quote | None = None


class Deal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One trade of the broker's history. Money is signed, in cents of the account; a fee is part of the commission.

    `direction` is the deal's own side.
    """

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
    comment: str = ""


class DealDone(Observation, frozen=True):
    """A deal of the broker's history, once; in the order of its tickets but for those that the history shows late."""

    deal: Deal


class Cash(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A line of the broker's history that is no trade: a deposit, a charge, a dividend. `amount_cents` is signed.

    CREDIT moves the account's credit, every other kind its balance.
    """

    deal_ticket: int
    kind: CashKind
    amount_cents: int
    comment: str
    time_utc_ms: int


class CashMoved(Observation, frozen=True):
    """Money came or went without a trade, once for each line of the history. A deposit is no profit, a charge is a loss."""

    cash: Cash


class BrokerPosition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`reason` says who opened it, as far as the broker tells: CLIENT is a person's hand."""

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
    comment: str = ""
    reason: DealReason = DealReason.OTHER


class BrokerOrder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order that waits at the broker: a pending one, or one on its way. `price_points` 0 is at the market."""

    ticket: int
    symbol: str
    spec_id: int
    direction: Direction
    volume_steps: int
    price_points: int
    magic: int
    comment: str


class ReadTerminal(Message, frozen=True):
    """Look now: answered by `PositionsRead`, or by nothing when the terminal cannot be read.

    `with_account`: `AccountRead` follows, also when nothing in it has changed.
    """

    reading_id: int
    with_account: bool = False


class PositionsRead(Observation, frozen=True):
    """A complete reading: every open position and waiting order of the account. `reading_id` 0 is one nobody asked for.

    `last_deal_ticket` is the newest deal that the edge had said before it read.
    """

    reading_id: int
    positions: tuple[BrokerPosition, ...]
    last_deal_ticket: int
    orders: tuple[BrokerOrder, ...] = ()


class TerminalUnreadable(Observation, frozen=True):
    """Positions, orders or deals could not be read for `for_ms`. Whoever opens must wait for an agreement earned anew."""

    for_ms: int


class TerminalReadable(Observation, frozen=True):
    """They can be read again, after `for_ms` in which they could not."""

    for_ms: int


class AccountRead(Observation, frozen=True):
    """Balance, equity and credit in cents; taken when no deal came in between, so the balance is that of all deals said
    before. Equity is balance, credit and what floats."""

    balance_cents: int
    equity_cents: int
    margin_cents: int
    currency: str
    currency_digits: int
    leverage: int
    credit_cents: int = 0


class OrderRejected(Message, frozen=True):
    """The broker refused an open for good; another try is a new intent, asked for by whoever proposed it.

    `quote` is the newest one when the price had moved, else None. `volume_steps` is what had been asked for.
    """

    proposal_id: str
    symbol: str
    direction: Direction
    intent_id: int
    code: int
    detail: str
    lineage: Lineage
    quote: Quote | None = None
    volume_steps: int = 0


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


class IntentSettled(Message, frozen=True):
    """An open without a definite answer was filled, as other witnesses than its magic say: its slot at the gate is free."""

    intent_id: int


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


class ForeignOrderSeen(Message, frozen=True):
    """Somebody else's order waits at the broker: shown and counted as exposure that may come, never touched."""

    ticket: int
    symbol: str
    spec_id: int
    direction: Direction
    volume_steps: int
    price_points: int


class ForeignOrderGone(Message, frozen=True):
    ticket: int
    symbol: str


class WitnessesDisagree(Message, frozen=True):
    """Magic, comment and shape of a position do not name the same order of ours: nobody knows whose it is.

    It counts as foreign, `intent_ids` stay unknown, and its symbol is held until a person rearms or adopts it.
    """

    ticket: int
    symbol: str
    intent_ids: tuple[int, ...]
    detail: str


class LevelsMoved(Message, frozen=True):
    """Somebody changed stop or target of a position of ours at the broker; 0 is none.

    `kept`: they stay as they are. Else the stop was removed or widened, and is set again where it belongs.
    """

    ticket: int
    symbol: str
    spec_id: int
    stop_points: int
    target_points: int
    kept: bool


class MoneyDisagreed(Message, frozen=True):
    """The balance is not what it was plus every deal since. Entries are held until it is, or a person rearms."""

    expected_cents: int
    measured_cents: int


class MoneyAgreed(Message, frozen=True):
    """The balance is again what the deals make it, to the cent."""

    balance_cents: int


class AdoptPosition(Observation, frozen=True):
    """A person makes a foreign position ours. Answered by PositionOpened(adopted) and CommandDone, or CommandRefused."""

    command_id: str
    by: str
    ticket: int
