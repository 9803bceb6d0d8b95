"""The profit_booking actor with a small world round it: prices, timers, a store and limits that answer, and a broker's hand.

EURUSD of tests/orders.py with 10 steps, so a point is 10 cents: a target of 7.00 is 70 points away, a stop of 10.00 is 100.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from builders import config_of
from chains import closed_by_app
from orders import SPEC

from evenkeel.actors.profit_booking import ProfitBooking
from evenkeel.messages.chain_store import ChainNotSaved, ChainSaved, SaveChain, StoreFailure
from evenkeel.messages.entry import Lineage, OrderKind, ReentryRaised
from evenkeel.messages.market import (
    ArmWatches,
    BarClosed,
    Direction,
    DisarmWatches,
    PricesReached,
    Quote,
    Side,
    SymbolSpecified,
    Watch,
)
from evenkeel.messages.position import ExitReason, PositionOpened, ReducePosition
from evenkeel.messages.profit_booking import Pyramid, PyramidOrder
from evenkeel.messages.recovery import ChainEnded, ChainStepped, FreeRecovery, ReserveRecovery
from evenkeel.messages.risk_limit import RecoveryRefused, RecoveryReserved
from evenkeel.messages.system import CancelTimer, Message, SetTimer, TimerDue
from evenkeel.runtime.actor import restore, snapshot_of

CHAIN = "EURUSD-k-1/b"
FIRST = 1001
QUARTER_MS = 900_000
STRATEGY = {"trend": {"kind": "ma_cross", "symbols": ["EURUSD"], "orders": "pyramid", "slots": 16}}


def booking_config(**overrides: object) -> Any:
    return config_of(strategy=STRATEGY, **{f"profit_booking__{key}": value for key, value in overrides.items()})


class Desk:
    """`store` and `limits` say whether they grant what they are asked; a store that `is_slow` answers when it is told to."""

    def __init__(self, config: Any = None, *, direction: Direction = Direction.BUY, spec: Any = SPEC) -> None:
        self.config, self.direction, self.spec = config or booking_config(), direction, spec
        self.actor = ProfitBooking(self.config)
        self.now_utc_ms, self.next_ticket = 0, FIRST
        self.bid, self.spread = 110_000, 10
        self.store, self.limits, self.is_slow = True, True, False
        self.unwritten: list[SaveChain] = []
        self.said: list[Message] = []
        self.heard: list[tuple[Message, int]] = []
        self.watches: dict[str, Watch] = {}
        self.timers: dict[str, int] = {}
        self.reserved: set[str] = set()
        self.written: Pyramid | None = None
        self.tell(SymbolSpecified(spec))

    def tell(self, *messages: Message) -> None:
        """And whatever store and limits answer to what is said of it."""
        waiting = list(messages)
        while waiting:
            message = waiting.pop(0)
            self.heard.append((message, self.now_utc_ms))
            for said in self.actor.handle(message, self.now_utc_ms):
                self.said.append(said)
                waiting += self._answers(said)

    def _answers(self, said: Message) -> Sequence[Message]:
        match said:
            case ArmWatches():
                self.watches |= {watch.name: watch for watch in said.watches}
            case DisarmWatches():
                for name in said.names:
                    self.watches.pop(name, None)
            case SetTimer():
                self.timers[said.name] = said.due_utc_ms
            case CancelTimer():
                self.timers.pop(said.name, None)
            case SaveChain():
                if not self.is_slow:
                    return [self._store_answers(said)]
                self.unwritten.append(said)
            case ReserveRecovery(recovery_id=wanted):
                if not self.limits:
                    return [RecoveryRefused(said.owner, wanted, "recovery_attempts", 10, 10, "count")]
                self.reserved.add(wanted)
                return [RecoveryReserved(said.owner, wanted)]
            case FreeRecovery(recovery_id=freed):
                self.reserved.discard(freed)
        return []

    def _store_answers(self, save: SaveChain) -> Message:
        assert isinstance(save.chain, Pyramid)
        self.written = save.chain if self.store else self.written
        told = save.owner, save.plugin, save.chain.chain_id, save.chain.version
        return ChainSaved(*told) if self.store else ChainNotSaved(*told, StoreFailure.UNWRITABLE, "full")

    def store_answers(self) -> None:
        """What it was asked while it was slow."""
        saves, self.unwritten = self.unwritten, []
        for save in saves:
            self.tell(self._store_answers(save))

    def quote(self, bid: int | None = None, *, spread: int | None = None) -> None:
        """One quote, with whatever it crosses."""
        self.bid, self.spread = self.bid if bid is None else bid, self.spread if spread is None else spread
        self.now_utc_ms += 100
        quote = Quote(self.now_utc_ms, self.bid, self.bid + self.spread)
        names = tuple(name for name, watch in self.watches.items() if _is_crossed(watch, quote))
        for name in names:
            del self.watches[name]
        if names:
            self.tell(PricesReached("profit_booking", self.spec.symbol, self.spec.spec_id, quote, names))

    def wait(self, seconds: float) -> None:
        """Timers fire, each at its time; no price moves."""
        until_utc_ms = self.now_utc_ms + round(seconds * 1000)
        while due := sorted((at, name) for name, at in self.timers.items() if at <= until_utc_ms):
            at, name = due[0]
            del self.timers[name]
            self.now_utc_ms = max(self.now_utc_ms, at)
            self.tell(TimerDue("profit_booking", name, at))
        self.now_utc_ms = until_utc_ms

    def bars(self, step: int | None = None, *, count: int = 20, median: int = 10) -> None:
        """Closed M15 bars that lead the way of the position; each closes `step` points further."""
        step = (10 if self.direction is Direction.BUY else -10) if step is None else step
        for number in range(count):
            close = self.bid + step * (number - count)
            said = self.spec.symbol, self.spec.spec_id, "M15", number * QUARTER_MS, close - step
            low, high = min(close, close - step), max(close, close - step)
            quote = Quote(self.now_utc_ms, self.bid, self.bid + self.spread)
            self.tell(BarClosed(*said, high, low, close, close + 10, 10, median, 100, quote))

    def begin(self, kind: OrderKind = OrderKind.PROFIT_TRAIL, chain_id: str = CHAIN, **changed: Any) -> int:
        """A fresh order B is filled; or that of a shield."""
        parent = 900 if kind is OrderKind.SHIELD_B else 0
        lineage = Lineage("signal", "trend", chain_id, parent_ticket=parent, order_kind=kind.value, slot=1, confidence=0.9)
        return self._opened(lineage, 100, 10, **changed)

    def fill(self, asked: ReentryRaised, **changed: Any) -> int:
        """The broker opens what was asked for, at the price of now."""
        return self._opened(asked.signal.lineage, asked.stop_distance_points, asked.volume_steps, **changed)

    def _opened(self, lineage: Lineage, stop: int, volume_steps: int, **changed: Any) -> int:
        s = 1 if self.direction is Direction.BUY else -1
        entry = self.bid + self.spread if s > 0 else self.bid
        ticket, self.next_ticket = self.next_ticket, self.next_ticket + 1
        fill = PositionOpened(
            ticket=ticket,
            symbol=self.spec.symbol,
            spec_id=self.spec.spec_id,
            direction=self.direction,
            volume_steps=volume_steps,
            entry_points=entry,
            stop_points=entry - s * stop,
            target_points=0,
            broker_stop_points=0,
            reserved_cents=0,
            opened_utc_ms=self.now_utc_ms,
            lineage=lineage,
        )
        self.tell(msgspec.structs.replace(fill, **changed))
        return ticket

    def close(self, ticket: int, reason: ExitReason = ExitReason.BOOKED, net_cents: int | None = None) -> None:
        """The broker's deals say that it is gone."""
        order = next(order for order in self.all_orders() if order.ticket == ticket)
        usual = {ExitReason.BOOKED: 700, ExitReason.STOP: -10 * order.stop_distance_points}.get(reason, -100)
        net_cents = usual if net_cents is None else net_cents
        closed = closed_by_app(
            self.spec,
            ticket,
            at=self.bid,
            net_cents=net_cents,
            reason=reason,
            utc_ms=self.now_utc_ms,
            direction=self.direction,
            volume_steps=order.volume_steps,
            entry_points=order.entry_points,
            lineage=Lineage("signal", "trend", CHAIN),
        )
        self.tell(closed)

    def book(self, *tickets: int) -> None:
        for ticket in tickets:
            self.close(ticket)

    def asked(self) -> list[ReentryRaised]:
        """Orders that were asked for and are not there yet, refused or given up."""
        raised = [said for said in self.said if isinstance(said, ReentryRaised)]
        newest = {said.signal.lineage.number: said for said in raised}
        on_their_way = [order.number for order in self.all_orders() if self.step(order.number) == "sent"]
        return [newest[number] for number in on_their_way]

    def level(self) -> list[int]:
        """The next quote comes, and every order that is asked for is filled; their tickets."""
        self.quote()
        return [self.fill(asked) for asked in self.asked()]

    def step(self, number: int) -> str | None:
        booking = self.actor.state.bookings.get(CHAIN)
        return None if booking is None else booking.steps.get(number)

    def all_orders(self) -> list[PyramidOrder]:
        return [order for booking in self.actor.state.bookings.values() for order in booking.pyramid.orders]

    @property
    def pyramid(self) -> Pyramid:
        """As it was given to the store last."""
        saved = [said.chain for said in self.said if isinstance(said, SaveChain)]
        assert isinstance(saved[-1], Pyramid)
        return saved[-1]

    def of(self, *kinds: Any) -> list[Any]:
        return [said for said in self.said if isinstance(said, kinds)]

    def events(self) -> list[str]:
        return [said.event for said in self.of(ChainStepped)]

    def reduced(self) -> list[tuple[int, ExitReason]]:
        return [(said.ticket, said.reason) for said in self.of(ReducePosition)]

    def ended(self) -> tuple[str, str] | None:
        ends = self.of(ChainEnded)
        return (ends[-1].status.value, ends[-1].reason) if ends else None

    def target_points(self, ticket: int) -> int | None:
        """Where the order of `ticket` is booked."""
        return next((watch.level_points for name, watch in self.watches.items() if name.startswith(f"{ticket}/book")), None)

    def hunt_points(self, ticket: int) -> int | None:
        return next((watch.level_points for name, watch in self.watches.items() if name.startswith(f"{ticket}/hunt")), None)

    def refolded(self) -> ProfitBooking:
        """What a snapshot of now brings back."""
        again = ProfitBooking(self.config)
        restore(again, snapshot_of(self.actor))
        return again


def _is_crossed(watch: Watch, quote: Quote) -> bool:
    price = quote.bid_points if watch.side is Side.BID else quote.ask_points
    return price >= watch.level_points if watch.rising else price <= watch.level_points
