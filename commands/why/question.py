"""What may be asked of a journal: a number, a thing by its kind and number, a proposal, a chain, or the newest of a topic."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from evenkeel.messages.broker_gateway import (
    BrokerAgreed,
    BrokerDisagreed,
    ForeignPositionGone,
    ForeignPositionSeen,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
)
from evenkeel.messages.circuit_breaker import BreakerChanged
from evenkeel.messages.entry import OrderDenied
from evenkeel.messages.market import FeedGap, QuotesResumed, QuotesStale
from evenkeel.messages.operator import CommandRefused, HoldEnded, HoldPlaced, ModeChanged
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.messages.recovery import ChainEnded, ChainStepped
from evenkeel.messages.shield import ShieldLowered, ShieldRaised
from evenkeel.messages.system import ChildDown, LettersDead, Message, MessageParked, RunStarted


class BadQuestion(Exception):
    """One line that names the word."""


class Topic(NamedTuple):
    """The newest record of `kinds` that `is_meant`."""

    kinds: tuple[type[Message], ...]
    about: str
    is_meant: Callable[[Any], bool] = lambda message: True


class Numbered(NamedTuple):
    """`what` is ticket, deal, intent or seq; "" is whichever of ticket, deal and seq there is, in this order."""

    what: str
    number: int


class Proposal(NamedTuple):
    proposal_id: str


class OfChain(NamedTuple):
    chain_id: str


Question = Topic | Numbered | Proposal | OfChain

TOPICS: Final[Mapping[str, Topic]] = {
    "trade": Topic((PositionClosed,), "the last position that was closed"),
    "refusal": Topic((OrderDenied, OrderRejected), "the last entry that was refused, by us or by the broker"),
    "rejection": Topic((OrderRejected,), "the last order that the broker refused"),
    "unknown": Topic(
        (OrderOutcomeUnknown, OrderOutcomeResolved), "the last order of which nobody knew whether it was executed"
    ),
    "mode": Topic((ModeChanged,), "the last change of the mode"),
    "hold": Topic((HoldPlaced, HoldEnded), "the last hold on entries"),
    "breaker": Topic(
        (HoldPlaced, BreakerChanged),
        "the last level or hold of the circuit breaker",
        lambda said: isinstance(said, BreakerChanged) or said.who == "circuit_breaker",
    ),
    "chain": Topic((ChainStepped, ChainEnded), "the chain that took the last step, whole"),
    "shield": Topic((ShieldRaised, ShieldLowered), "the last shield that was raised or lowered"),
    "restart": Topic((RunStarted, ChildDown, MessageParked, LettersDead), "the last start, crash or parked message"),
    "start": Topic((RunStarted,), "the last start of the process"),
    "crash": Topic((ChildDown, MessageParked), "the last crash of a part"),
    "agreement": Topic((BrokerAgreed, BrokerDisagreed), "whether broker and journal agree"),
    "foreign": Topic((ForeignPositionSeen, ForeignPositionGone), "the last position that is not ours"),
    "adopted": Topic((PositionOpened,), "the last position that was adopted", lambda opened: opened.adopted),
    "quotes": Topic((QuotesStale, QuotesResumed, FeedGap), "the last trouble with quotes"),
    "command": Topic((CommandRefused,), "the last command that was refused"),
}
NUMBERED: Final = ("ticket", "deal", "intent", "seq")
CHAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.#-]{0,31}-[0-9a-z]+-[0-9]+(/b)?")
PROPOSAL: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.#-]{0,31}-[0-9]+")


def question_of(words: Sequence[str]) -> Question:
    """`1004`, `deal 51`, `seq 812`, `EURUSD-3`, `EURUSD-mk1v2x3y-3` or the name of a topic; raises BadQuestion."""
    match words:
        case [number] if number.isdecimal():
            return Numbered("", int(number))
        case [what, number] if what in NUMBERED and number.isdecimal():
            return Numbered(what, int(number))
        case [name] if name in TOPICS:
            return TOPICS[name]
        case [name] | ["chain", name] if CHAIN.fullmatch(name):
            return OfChain(name)
        case [name] | ["proposal", name] if PROPOSAL.fullmatch(name):
            return Proposal(name)
        case [what, *_] if what in NUMBERED:
            raise BadQuestion(f"{' '.join(words)!r} is nothing that can be asked for; {what} takes a number: {what} 12")
        case _:
            near = difflib.get_close_matches(words[0], [*TOPICS, *NUMBERED], n=1)
            hint = (
                f"; did you mean {near[0]!r}?"
                if near
                else f"; it is a number, a proposal, a chain or one of {', '.join(TOPICS)}"
            )
            raise BadQuestion(f"{' '.join(words)!r} is nothing that can be asked for{hint}")
