"""Trouble by script: what goes wrong at the simulated terminal, at which call."""

from enum import StrEnum
from typing import Final

import msgspec


class FaultKind(StrEnum):
    """What goes wrong. A lost reply is `Outcome.UNKNOWN` to the caller.

    `LATE` is executed `after_quotes` quotes of its symbol later at that quote's price, if the broker then allows it.
    `DELAYED_HISTORY` shows no deal that `deals` has not shown before, for `after_quotes` quotes of any symbol. `EMPTY` reads
    "nothing" although positions exist.
    """

    REQUOTE = "requote"
    REJECT = "reject"
    LOST_BEFORE = "lost_before"
    LOST_AFTER = "lost_after"
    LATE = "late"
    DELAYED_HISTORY = "delayed_history"
    UNREADABLE = "unreadable"
    EMPTY = "empty"


class Call(StrEnum):
    """The calls that can go wrong. `PENDING` places, changes or removes a pending order; `QUOTES` reads ticks or bars."""

    OPEN = "open"
    CLOSE = "close"
    SET_STOPS = "set_stops"
    POSITIONS = "positions"
    DEALS = "deals"
    ACCOUNT = "account"
    PENDING = "pending"
    ORDERS = "orders"
    QUOTES = "quotes"
    SYMBOLS = "symbols"


_SENT: Final = frozenset({Call.OPEN, Call.CLOSE, Call.SET_STOPS})
_READ: Final = frozenset({Call.POSITIONS, Call.DEALS, Call.ACCOUNT, Call.ORDERS})

SUITED: Final[dict[FaultKind, frozenset[Call]]] = {
    FaultKind.REQUOTE: frozenset({Call.OPEN, Call.CLOSE}),
    FaultKind.REJECT: _SENT,
    FaultKind.LOST_BEFORE: _SENT,
    FaultKind.LOST_AFTER: _SENT,
    FaultKind.LATE: _SENT,
    FaultKind.DELAYED_HISTORY: frozenset({Call.OPEN, Call.CLOSE, Call.DEALS}),
    FaultKind.UNREADABLE: _READ,
    FaultKind.EMPTY: frozenset({Call.POSITIONS}),
}


class Fault(msgspec.Struct, frozen=True):
    """`kind` happens at the `nth` call of `on`, counted from 1, once. `code` is what `REJECT` answers.

    Raises ValueError when the call cannot have this trouble.
    """

    kind: FaultKind
    on: Call
    nth: int
    code: int = 10006
    after_quotes: int = 1

    def __post_init__(self) -> None:
        if self.on not in SUITED[self.kind]:
            raise ValueError(f"{self.kind} cannot happen on {self.on}")
        if self.nth < 1 or self.after_quotes < 1:
            raise ValueError(f"nth {self.nth} and after_quotes {self.after_quotes} count from 1")


class FaultScript(msgspec.Struct, frozen=True):
    """At most one fault a call; raises ValueError for a second one."""

    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        if len({(fault.on, fault.nth) for fault in self.faults}) < len(self.faults):
            raise ValueError("two faults are written for one call")

    def at(self, call: Call, nth: int) -> Fault | None:
        """The fault of the `nth` such call."""
        return next((fault for fault in self.faults if fault.on is call and fault.nth == nth), None)
