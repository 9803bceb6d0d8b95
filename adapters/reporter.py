"""The reporter edge: keeps the view of the run, writes it down once a second, and puts what happens into the log.

It hears and says nothing. A view that cannot be written harms nobody: `current` still answers from memory.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, Protocol, assert_never

import msgspec
from loguru import logger

from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import (
    AccountRead,
    BrokerAgreed,
    BrokerDisagreed,
    ForeignPositionGone,
    ForeignPositionSeen,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
)
from evenkeel.messages.entry import OrderDenied
from evenkeel.messages.market import FeedGap, Quote, QuotesResumed, QuotesStale, SymbolSpecified
from evenkeel.messages.operator import HoldEnded, HoldPlaced, ModeChanged, StopRun, TradingRearmed
from evenkeel.messages.position import CloseFailed, PositionClosed, PositionOpened, PositionPriced, PositionReduced
from evenkeel.messages.system import (
    ChildDown,
    ChildServing,
    LettersDead,
    Message,
    MessageParked,
    RunStarted,
    RunStopped,
)
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.view import Heard, View, ViewState, decimal_of, fold, lots_of, noted, view_of
from evenkeel.runtime.clock import SystemClock
from evenkeel.runtime.edge import At
