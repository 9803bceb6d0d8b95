"""The port to a broker, in domain words. The simulated terminal and MetaTrader 5 stand behind it.

Integers in points, steps and cents only: an implementation translates at its own edge. `None` always means "could not be
read", never "nothing there". No method raises for what a broker may answer; a lost reply is Outcome.UNKNOWN.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

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


class Answer(NamedTuple):
    """What a call came to. `ticket` is the position's; price and volume are 0 where the broker said none."""

    outcome: Outcome
    ticket: int = 0
    price_points: int = 0
    volume_steps: int = 0
    code: int = 0
    detail: str = ""


class Broker(Protocol):
    def open_position(
        self, request: OpenRequest, magic: int, *, intent_id: int = 0, epoch: int = 0, within_ms: int = 0
    ) -> Answer:
        """Send a market order once, with `comment_for(magic)` as its comment. Number and kill epoch of the intent are for
        whoever has a gate of its own: it may answer VOID, also when the order was `within_ms` on its way (0: never)."""
        ...

    def close_position(self, request: CloseRequest, volume_steps: int, magic: int) -> Answer:
        """Close `volume_steps` of the position by ticket."""
        ...

    def set_stops(self, request: StopRequest) -> Answer:
        """Replace the position's stop and target at the broker."""
        ...

    def positions(self) -> Sequence[BrokerPosition] | None:
        """Every open position of the account, by ticket."""
        ...

    def orders(self) -> Sequence[BrokerOrder] | None:
        """Every order that waits at the broker, by ticket."""
        ...

    def deals(self, after_ticket: int) -> Sequence[Deal] | None:
        """History deals with a ticket above `after_ticket`, in order. May lag behind what was executed."""
        ...

    def cash(self, after_ticket: int) -> Sequence[Cash] | None:
        """The history's other lines with a ticket above `after_ticket`, in order: together with the deals all money."""
        ...

    def account(self) -> AccountRead | None: ...

    def symbol(self, name: str) -> SymbolSpec | None:
        """Its terms; digits and steps stay what they were while something is open in it."""
        ...

    def quote(self, symbol: str) -> Quote | None:
        """The newest quote."""
        ...

    def ticks(self, symbol: str, from_utc_ms: int) -> Sequence[Quote] | None:
        """Quotes with a time of `from_utc_ms` or later, up to the newest, in order."""
        ...

    def daily_ranges(self, symbol: str, count: int) -> Sequence[DailyRange] | None:
        """The last `count` finished days, oldest first; fewer where the terminal has fewer."""
        ...
