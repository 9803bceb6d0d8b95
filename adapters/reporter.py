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
    BrokerDisagreed,
    ForeignOrderSeen,
    ForeignPositionSeen,
    LevelsMoved,
    MoneyDisagreed,
    OrderOutcomeUnknown,
    OrderRejected,
    TerminalUnreadable,
    WitnessesDisagree,
)
from evenkeel.messages.chain_store import ChainNotSaved
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.entry import OrderDenied
from evenkeel.messages.health import HealthAlarmed
from evenkeel.messages.market import FeedGap, Quote, QuotesStale
from evenkeel.messages.operator import (
    FlattenProgressed,
    HoldEnded,
    HoldPlaced,
    ModeChanged,
)
from evenkeel.messages.position import (
    CloseFailed,
    PositionClosed,
    PositionOpened,
)
from evenkeel.messages.protection import (
    PositionUnprotected,
    StopsRefused,
    SymbolTakenOver,
)
from evenkeel.messages.risk_limit import LimitReached, RecoveryRefused
from evenkeel.messages.shield import ShieldRaised
from evenkeel.messages.storage import StorageStrained
from evenkeel.messages.system import (
    ChildDown,
    LettersDead,
    Message,
    MessageParked,
    RunStarted,
)
from evenkeel.rules.reload import InForce
from evenkeel.rules.told import told
from evenkeel.rules.view import CheckView, Event, View
from evenkeel.rules.view_of import view_of
from evenkeel.rules.view_state import (
    Heard,
    ViewState,
    fold,
)
from evenkeel.runtime.clock import SystemClock
from evenkeel.runtime.edge import At

LOOK_EVERY_S: Final = 1.0
EVENTS_KEPT: Final = 20
EVENT_CHARACTERS_MAX: Final = 200
"""A whole view must fit into one frame of the control channel."""
_CLOCK: Final = SystemClock()
What = Literal["status", "positions", "limits"]
AT_ONCE: Final = (ModeChanged, HoldPlaced, HoldEnded, PositionOpened, PositionClosed)
"""Whoever asked for one of these looks at the view next."""


class ChildStatus(Protocol):
    """What is asked of each child that the host tells of."""

    @property
    def name(self) -> str: ...

    @property
    def serving(self) -> bool: ...

    @property
    def incarnation(self) -> int: ...


class Reporter:
    """`write` takes a view as JSON and raises OSError when it cannot keep it. `utc_ms` is real time, whatever the run's clock.

    `children` and `health`, what the checks find, are called on the reporter's thread.
    """

    poll_s: float | None = LOOK_EVERY_S

    def __init__(
        self,
        config: Config,
        board: QuoteBoard,
        *,
        children: Callable[[], Iterable[ChildStatus]],
        write: Callable[[bytes], None],
        health: Callable[[], tuple[CheckView, ...]] = lambda: (),
        utc_ms: Callable[[], int] = _CLOCK.now_utc_ms,
    ) -> None:
        self.state = ViewState(configured=config.account)
        self._in_force = InForce(config)
        self._board = board
        self._children = children
        self._write = write
        self._health = health
        self._utc_ms = utc_ms
        self._is_failing = False
        self._view = view_of(self.state, marks={}, children=(), config=config, now_utc_ms=0, written_utc_ms=0)

    def current(self, what: What = "status") -> bytes:
        """The last view as JSON, or one list of it. From any thread; `written_utc_ms` is 0 until the first look."""
        match what:
            case "status":
                return msgspec.json.encode(self._view)
            case "positions":
                return msgspec.json.encode(self._view.positions)
            case "limits":
                return msgspec.json.encode(self._view.limits)
            case _:
                assert_never(what)

    def remember(self, message: Heard, /) -> None:
        fold(self.state, message)
        text = told(self.state, message)
        if text is not None and _is_event(message):
            cut = text if len(text) <= EVENT_CHARACTERS_MAX else f"{text[: EVENT_CHARACTERS_MAX - 1]}…"
            self.state.events = [*self.state.events, Event(time_utc_ms=None, text=cut)][-EVENTS_KEPT:]

    def act(self, message: Heard, at: At, /) -> Sequence[Message]:
        """Log it, and give what `remember` kept its time."""
        text = told(self.state, message)
        if text is None:
            return ()
        if isinstance(message, RunStarted):
            self.state.started_utc_ms = self._utc_ms()
        if _is_event(message):
            self.state.events[-1] = msgspec.structs.replace(self.state.events[-1], time_utc_ms=at.time_utc_ms)
        symbol = getattr(message, "symbol", "")
        logger.bind(kind=type(message).__name__, symbol=symbol).log(_level(message), "{}", text)
        if isinstance(message, AT_ONCE):
            self._look(at.time_utc_ms)
        return ()

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        self._look(now_utc_ms)
        return ()

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        self._look(now_utc_ms)
        return ()

    def close(self) -> None:
        """Nothing to let go of: whoever gave `write` closes it."""

    def _look(self, now_utc_ms: int) -> None:
        self._view = self._seen(now_utc_ms)
        try:
            self._write(msgspec.json.encode(self._view))
        except OSError as error:
            if not self._is_failing:
                logger.error("the view cannot be written, status and positions lag behind: {}", error)
            self._is_failing = True
            return
        if self._is_failing:
            logger.info("the view is written again")
        self._is_failing = False

    def _seen(self, now_utc_ms: int) -> View:
        rows = {symbol: self._board.get(symbol) for symbol in {held.opened.symbol for held in self.state.held.values()}}
        return view_of(
            self.state,
            marks={symbol: Quote(row.time_utc_ms, row.bid_points, row.ask_points) for symbol, row in rows.items() if row},
            children=[(child.name, child.serving, child.incarnation) for child in self._children()],
            config=self._in_force.at(self.state.lowered),
            now_utc_ms=now_utc_ms,
            written_utc_ms=self._utc_ms(),
            health=self._health(),
        )


def _is_event(message: Heard) -> bool:
    """Refusals are counted by reason: as events they would crowd out the rest."""
    return not isinstance(message, OrderDenied)


def _level(message: Heard) -> str:
    """How urgent; everything that is not in the list is INFO."""
    match message:
        case (
            MessageParked()
            | OrderOutcomeUnknown()
            | PositionUnprotected()
            | SymbolTakenOver()
            | WitnessesDisagree()
            | MoneyDisagreed()
        ):
            return "ERROR"
        case HealthAlarmed():
            return "ERROR" if message.severity == 1 else "WARNING"
        case StorageStrained():
            return "ERROR" if message.stops_entries else "WARNING"
        case ChildDown() | LettersDead() | HoldPlaced() | BrokerDisagreed() | OrderRejected() | CloseFailed():
            return "WARNING"
        case (
            QuotesStale()
            | FeedGap()
            | ForeignPositionSeen()
            | ForeignOrderSeen()
            | LevelsMoved()
            | TerminalUnreadable()
            | LimitReached()
            | FlattenProgressed()
            | StopsRefused()
            | ShieldRaised()
            | RecoveryRefused()
            | ChainNotSaved()
        ):
            return "WARNING"
        case BreakerChanged() if message.level is not BreakerLevel.NORMAL:
            return "WARNING"
        case OrderDenied() if message.by.startswith("position/"):
            return "DEBUG"  # a taken slot or a cooldown is everyday life
        case _:
            return "INFO"
