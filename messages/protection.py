"""What every open position needs whoever manages it: a stop at the broker, levels in the app, closes that are answered."""

from enum import StrEnum

from evenkeel.messages.broker_gateway import Outcome
from evenkeel.messages.system import Message


class Gap(StrEnum):
    """What a position's protection lacks. `BROKER_STOP_FAR` is farther from the price than it may be."""

    NO_BROKER_STOP = "no_broker_stop"
    BROKER_STOP_FAR = "broker_stop_far"
    LEVELS_NOT_ARMED = "levels_not_armed"
    CLOSE_UNANSWERED = "close_unanswered"


class PositionUnprotected(Message, frozen=True):
    """An alarm: repair is in progress, then a close. Followed by PositionProtected or PositionClosed.

    `broker_stop_points` is what the broker holds (0: none), `wanted_points` what it is to hold (0: that is not known).
    """

    ticket: int
    symbol: str
    spec_id: int
    gap: Gap
    broker_stop_points: int
    wanted_points: int


class PositionProtected(Message, frozen=True):
    """The alarm is over."""

    ticket: int
    symbol: str


class SymbolTakenOver(Message, frozen=True):
    """Its position actor cannot be relied on: the broker gets the app's stops and targets, what has no acceptable stop is
    closed, nothing is opened. Until a person rearms."""

    symbol: str
    reason: str


class SymbolGivenBack(Message, frozen=True):
    """A person has rearmed and its position actor serves: exits are the app's again."""

    symbol: str


class SetStops(Message, frozen=True):
    """The broker is to hold these levels from now on, 0 none, in the place of what it held. Answered by StopsSet or
    StopsRefused."""

    ticket: int
    symbol: str
    spec_id: int
    stop_points: int
    target_points: int


class StopsSet(Message, frozen=True):
    ticket: int
    symbol: str
    spec_id: int
    stop_points: int
    target_points: int


class StopsRefused(Message, frozen=True):
    """Not set, or (UNKNOWN) nobody knows: the next reading will show."""

    ticket: int
    symbol: str
    outcome: Outcome
    code: int
    detail: str
