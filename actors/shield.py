"""shield: blocks a direction that the market runs against, and hedges stopped trades where that is switched on.

It closes nothing itself: `ShieldRaised` is what position actors, the gateway and the chains act on, in one instant; what is
not closed in time is asked for again until it is.
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import (
    AccountRead,
    CashMoved,
    DealDone,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
)
from evenkeel.messages.entry import OrderDenied
from evenkeel.messages.market import BarClosed, PricesReached, SymbolSpec, SymbolSpecified
from evenkeel.messages.position import PositionClosed, PositionOpened, PositionPriced, StopTightened
from evenkeel.messages.recovery import StopChain
from evenkeel.messages.shield import HedgeWanted, LowerShield
from evenkeel.messages.system import Message, TimerDue
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules import hedge, shield
from evenkeel.rules.hedge import Hedges
from evenkeel.rules.money import balance_cents_of
from evenkeel.rules.shield import Blocks


class ShieldState(msgspec.Struct):
    blocks: Blocks = msgspec.field(default_factory=Blocks)
    hedges: Hedges = msgspec.field(default_factory=Hedges)


OfPositions = PositionOpened | PositionPriced | PositionClosed | StopTightened
OfOrders = OrderDenied | OrderRejected | OrderOutcomeUnknown | OrderOutcomeResolved
Heard = (
    SymbolSpecified
    | PricesReached
    | BarClosed
    | TimerDue
    | OfPositions
    | OfOrders
    | AccountRead
    | DealDone
    | CashMoved
    | HedgeWanted
    | StopChain
    | LowerShield
)


class Shield:
    """With `shield.enabled` off it watches nothing, and is there for hedges alone."""

    name = shield.NAME

    def __init__(self, config: Config) -> None:
        self.config, self.state = config, ShieldState()

    def handle(self, message: Heard, now_utc_ms: int, /) -> Sequence[Message]:
        blocks, hedges = self.state.blocks, self.state.hedges
        match message:
            case SymbolSpecified():
                return self._specified(message.spec)
            case PricesReached():
                fired = shield.reached(self.config.shield, blocks, message, now_utc_ms)
                return [*fired, *hedge.price_is_back(hedges, message.names)]
            case BarClosed():
                return shield.bar_closed(self.config.shield, blocks, message, now_utc_ms) if self.config.shield.enabled else ()
            case TimerDue():
                return self._timer(message, now_utc_ms)
            case PositionOpened() | PositionPriced() | PositionClosed() | StopTightened():
                return self._position(message, now_utc_ms)
            case OrderDenied() | OrderRejected() | OrderOutcomeUnknown() | OrderOutcomeResolved():
                return hedge.leg_told(hedges, message, now_utc_ms)
            case TradingDayStarted():
                hedge.day_started(hedges, message)
                return ()
            case AccountRead():
                hedge.account_read(hedges, message)
                return ()
            case DealDone():
                hedges.moved_cents += balance_cents_of(message.deal)
                return ()
            case CashMoved():
                hedges.moved_cents += balance_cents_of(message.cash)
                return ()
            case HedgeWanted():
                return hedge.begin(self.config, hedges, message, now_utc_ms)
            case StopChain():
                return hedge.chain_stopped(hedges, message)
            case LowerShield():
                return shield.lower(blocks, message)
            case _:
                assert_never(message)

    def _specified(self, spec: SymbolSpec) -> list[Message]:
        self.state.hedges.specs[spec.symbol] = spec
        return shield.specified(self.state.blocks, spec)

    def _position(self, message: OfPositions, now_utc_ms: int) -> list[Message]:
        """The legs of a hedge are trades like any other, watched in their own direction."""
        blocks, hedges, config = self.state.blocks, self.state.hedges, self.config.shield
        match message:
            case PositionOpened():
                watched = shield.opened(config, blocks, message, now_utc_ms) if config.enabled else []
                return [*watched, *hedge.leg_opened(hedges, message)]
            case PositionPriced():
                return shield.priced(config, blocks, message)
            case PositionClosed():
                hedge.loss_counted(self.config, hedges, message)
                return [*shield.closed(config, blocks, message, now_utc_ms), *hedge.leg_closed(hedges, message)]
            case StopTightened():
                return shield.tightened(config, blocks, message)
            case _:
                assert_never(message)

    def _timer(self, due: TimerDue, now_utc_ms: int) -> list[Message]:
        blocks, hedges = self.state.blocks, self.state.hedges
        what, _, which = due.name.partition("/")
        match what:
            case "forget":
                exposure = blocks.exposures.get(int(which))
                return [] if exposure is None else shield.forget(blocks, exposure)
            case "look":
                return shield.look(blocks, which, now_utc_ms)
            case "lower":
                return shield.time_over(blocks, which, now_utc_ms)
            case "answer":
                return hedge.unanswered(hedges, which)
            case "window":
                return hedge.window_over(hedges, which)
            case _:
                raise AssertionError(f"the shield sets no timer {due.name}")
