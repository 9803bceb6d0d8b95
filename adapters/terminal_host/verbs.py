"""What a supervisor may ask of a terminal host, and what it answers. Strict, bounded, and all there is."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from evenkeel.adapters.control_frames import FRAME_BYTES_MAX
from evenkeel.messages.broker_gateway import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    Cash,
    CloseRequest,
    Deal,
    OpenRequest,
    Outcome,
    StopRequest,
)
from evenkeel.messages.market import DailyRange, Quote, SymbolSpec
from evenkeel.messages.operator import Mode

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Symbol = Annotated[str, Meta(pattern=r"\A[\x21-\x7e][\x20-\x7e]{0,28}\Z")]
Count = Annotated[int, Meta(ge=1, le=1_000)]
Steps = Annotated[int, Meta(ge=1, le=10**9)]

DEALS_AT_ONCE: Final = 200
QUOTES_AT_ONCE: Final = 1_500
POSITIONS_MAX: Final = 400
ORDERS_MAX: Final = 400
_POINTS_MAX: Final = 2**53


class _Words(msgspec.Struct, frozen=True, tag=str.lower, forbid_unknown_fields=True):
    pass


class Hello(_Words, frozen=True):
    """Who are you? Answered by Identified."""


class Beat(_Words, frozen=True):
    """The supervisor lives. What it says of mode, kill epoch and intents is what the gate goes by: of all opens up to
    `answered_intent_id` only `unresolved` are still open questions. `utc_ms` is the run's clock, which the host goes by too, so
    that nobody who sets a clock makes two of them; 0: not told. Answered by Beaten."""

    mode: Mode
    epoch: Number
    answered_intent_id: Number
    unresolved: Annotated[tuple[Number, ...], Meta(max_length=1_000)] = ()
    utc_ms: Number = 0


class Open(_Words, frozen=True):
    """Answered by Answered; VOID is the gate's or the account's refusal. Like the other orders it is not carried out any more
    when it has waited `within_ms` in the host: whoever asked has given it up. `beaten_ms` is the host's time at the beat before
    it (0: none): an open that a frozen host finds later than `within_ms` after that is too late, however it waited."""

    intent_id: Number
    epoch: Number
    magic: Number
    request: OpenRequest
    within_ms: Number = 0
    beaten_ms: Number = 0


class Close(_Words, frozen=True):
    volume_steps: Steps
    magic: Number
    request: CloseRequest
    within_ms: Number = 0


class SetStops(_Words, frozen=True):
    request: StopRequest
    within_ms: Number = 0


class ReadPositions(_Words, frozen=True):
    pass


class ReadOrders(_Words, frozen=True):
    pass


class ReadDeals(_Words, frozen=True):
    """At most DEALS_AT_ONCE of them are answered, the oldest."""

    after_ticket: Number


class ReadCash(_Words, frozen=True):
    """At most DEALS_AT_ONCE of them are answered, the oldest."""

    after_ticket: Number


class ReadAccount(_Words, frozen=True):
    pass


class ReadSymbol(_Words, frozen=True):
    name: Symbol


class ReadQuote(_Words, frozen=True):
    symbol: Symbol


class ReadTicks(_Words, frozen=True):
    """At most QUOTES_AT_ONCE are answered, the oldest, after the first `skip` of them."""

    symbol: Symbol
    from_utc_ms: Number
    skip: Number = 0


class ReadDays(_Words, frozen=True):
    symbol: Symbol
    count: Count


class KillNow(_Words, frozen=True):
    """At the kill port: nothing that was decided under a lower epoch is opened from now on. Answered by Beaten."""

    epoch: Number


class Leave(_Words, frozen=True):
    """End the process in order."""


Verb = (
    Hello
    | Beat
    | Open
    | Close
    | SetStops
    | ReadPositions
    | ReadOrders
    | ReadDeals
    | ReadCash
    | ReadAccount
    | ReadSymbol
    | ReadQuote
    | ReadTicks
    | ReadDays
    | KillNow
    | Leave
)


class Identified(_Words, frozen=True):
    """`refusal`: why nothing is opened there; "" for nothing."""

    pid: int
    build: str
    login: int
    server: str
    refusal: str


class Beaten(_Words, frozen=True):
    """`at_ms` is the host's own monotonic time: an open that names it says how old its beat is."""

    epoch: int
    refusal: str
    at_ms: Number = 0


class Answered(_Words, frozen=True):
    outcome: Outcome
    ticket: int
    price_points: int
    volume_steps: int
    code: int
    detail: str


class Positions(_Words, frozen=True):
    positions: tuple[BrokerPosition, ...]


class Orders(_Words, frozen=True):
    orders: tuple[BrokerOrder, ...]


class Deals(_Words, frozen=True):
    deals: tuple[Deal, ...]
    more: bool


class CashMovements(_Words, frozen=True):
    cash: tuple[Cash, ...]
    more: bool


class Account(_Words, frozen=True):
    account: AccountRead


class Terms(_Words, frozen=True):
    spec: SymbolSpec


class Quoted(_Words, frozen=True):
    quote: Quote


class Ticks(_Words, frozen=True):
    quotes: tuple[Quote, ...]
    more: bool


class Days(_Words, frozen=True):
    days: tuple[DailyRange, ...]


class Unreadable(_Words, frozen=True):
    """The terminal did not tell. Never "nothing there"."""


class Malformed(_Words, frozen=True):
    """The request was none of the verbs, or out of its bounds; nothing was done."""

    reason: str


Reply = (
    Identified
    | Beaten
    | Answered
    | Positions
    | Orders
    | Deals
    | CashMovements
    | Account
    | Terms
    | Quoted
    | Ticks
    | Days
    | Unreadable
    | Malformed
)

_encoder = msgspec.msgpack.Encoder()
_verbs: msgspec.msgpack.Decoder[Verb] = msgspec.msgpack.Decoder(Verb)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def encode(words: Verb | Reply) -> bytes:
    return _encoder.encode(words)


def verb(body: bytes) -> Verb:
    """Raises ValueError or RecursionError: not one of ours, or a number outside its bounds."""
    asked = _verbs.decode(body)
    if isinstance(asked, Open | Close | SetStops):
        _check(asked.request)
    return asked


def reply(body: bytes) -> Reply:
    """Raises ValueError or RecursionError."""
    return _replies.decode(body)


def _check(request: OpenRequest | CloseRequest | StopRequest) -> None:
    """The bounds that messages inside the house need not carry."""
    for name in request.__struct_fields__:
        value = getattr(request, name)
        if isinstance(value, int) and not 0 <= value < _POINTS_MAX:
            raise ValueError(f"{name} {value}: out of bounds")
    if not 0 < len(request.symbol) <= 29:
        raise ValueError("symbol: 1 to 29 characters")
    if isinstance(request, OpenRequest) and not 0 < request.volume_steps <= 10**9:
        raise ValueError(f"volume_steps {request.volume_steps}: out of bounds")


assert FRAME_BYTES_MAX >= QUOTES_AT_ONCE * 40, "a full answer fits a frame"
