"""profit_booking: the pyramid of each order B: books its orders one by one, recovers stopped ones, opens the next level."""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.chain_store import ChainNotSaved, ChainSaved
from evenkeel.messages.entry import DenialReason, EntryProposed, OrderDenied, OrderKind
from evenkeel.messages.market import ArmWatches, BarClosed, PricesReached, Quote, Side, SymbolSpec, SymbolSpecified, Watch
from evenkeel.messages.operator import CommandDone, CommandRefused
from evenkeel.messages.position import (
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
    ReducePosition,
    StopTightened,
)
from evenkeel.messages.profit_booking import OrderStatus, PyramidState
from evenkeel.messages.recovery import FreeRecovery, StopChain
from evenkeel.messages.risk_limit import RecoveryRefused, RecoveryReserved
from evenkeel.messages.shield import ShieldRaised
from evenkeel.messages.system import Message, SetTimer, TimerDue
from evenkeel.rules.booking_level import commission_cents
from evenkeel.rules.booking_steps import (
    Around,
    altered,
    arm_booking,
    arm_hunt,
    ask,
    changed,
    closed,
    crossed,
    disarm,
    end_chain,
    failed,
    lose_hunt,
    opened,
    place,
    proposed_again,
    requoted,
    wait_turn,
)
from evenkeel.rules.bookings import (
    NAME,
    ON_ITS_WAY,
    TIMEFRAME,
    Booking,
    Market,
    ProfitBookingState,
    Step,
    bookings_of,
    chain_ended,
    holding,
    is_drained,
    numbered,
    stepped,
    waiting_at,
    write,
    write_timer,
)
from evenkeel.rules.chain_writes import is_awaited, not_written, write_again, written
from evenkeel.rules.entries import PRICE_MOVED
from evenkeel.rules.indicators.trend import is_aligned, trend_in
from evenkeel.rules.indicators.window import window_after
from evenkeel.rules.lineage import is_fresh
from evenkeel.rules.profit_booking import LIVE, begun, is_pyramid, order_numbered
from evenkeel.rules.texts import price_text

OURS: Final = (OrderKind.PROFIT_TRAIL.value, OrderKind.PROFIT_RECOVERY.value)
MAY_COME: Final = (OrderStatus.PLACING, OrderStatus.WAITING)

Refused = OrderDenied | OrderRejected | OrderOutcomeResolved
Heard = (
    SymbolSpecified
    | BarClosed
    | PricesReached
    | TimerDue
    | Refused
    | OrderOutcomeUnknown
    | EntryProposed
    | PositionOpened
    | PositionPriced
    | PositionReduced
    | PositionClosed
    | StopTightened
    | RecoveryReserved
    | RecoveryRefused
    | ChainSaved
    | ChainNotSaved
    | ShieldRaised
    | StopChain
)


class ProfitBooking:
    """It alone books these orders; the symbol's actor alone closes what it asks to be closed, and asks until that is done."""

    name = NAME

    def __init__(self, config: Config) -> None:
        self.state = ProfitBookingState()
        self._config = config

    def handle(self, message: Heard, now_utc_ms: int, /) -> Sequence[Message]:
        said = list(self._heard(message, now_utc_ms))
        for booking in tuple(self.state.bookings.values()):
            said += self._settled(booking, now_utc_ms)
        return said

    def _heard(self, message: Heard, now_utc_ms: int) -> Sequence[Message]:
        match message:
            case SymbolSpecified():
                return self._specified(message.spec, now_utc_ms)
            case BarClosed():
                return self._bar(message, now_utc_ms) if message.timeframe == TIMEFRAME else ()
            case PricesReached():
                return self._reached(message, now_utc_ms)
            case TimerDue():
                return self._timer(message.name, now_utc_ms)
            case OrderDenied() | OrderRejected() | OrderOutcomeResolved():
                return self._refused(message, now_utc_ms)
            case OrderOutcomeUnknown():
                return self._unknown(message)
            case EntryProposed():
                return self._proposed(message)
            case PositionOpened():
                return self._opened(message, now_utc_ms)
            case PositionPriced() | PositionReduced() | StopTightened():
                return self._altered(message, now_utc_ms)
            case PositionClosed():
                return self._closed(message, now_utc_ms)
            case RecoveryReserved() | RecoveryRefused():
                return self._reservation(message, now_utc_ms)
            case ChainSaved() | ChainNotSaved():
                return self._store_answered(message, now_utc_ms)
            case ShieldRaised():
                return self._shield(message)
            case StopChain():
                return self._stop(message)
            case _:
                assert_never(message)

    def _settled(self, booking: Booking, now_utc_ms: int) -> list[Message]:
        """What follows of any change: the pyramid is written down; one that has ended and is written is forgotten."""
        said: list[Message] = []
        if is_drained(booking) and booking.pyramid.ended_utc_ms == 0:
            booking.pyramid = msgspec.structs.replace(booking.pyramid, ended_utc_ms=now_utc_ms)
            said.append(chain_ended(booking))
        said += write(booking, now_utc_ms)
        if booking.pyramid.ended_utc_ms and not booking.writing.is_on_its_way:
            del self.state.bookings[booking.pyramid.chain_id]
        return said

    def _around(self, symbol: str, now_utc_ms: int) -> Around:
        return Around(self._config, self._market(symbol), now_utc_ms)

    def _market(self, symbol: str) -> Market:
        return self.state.markets.setdefault(symbol, Market())

    def _specified(self, spec: SymbolSpec, now_utc_ms: int) -> list[Message]:
        """New terms: every level anew. Where a point or a step is no longer the same, nothing that waits means anything."""
        market = self._market(spec.symbol)
        before, market.spec = market.spec, spec
        said: list[Message] = []
        for booking in bookings_of(self.state, spec.symbol):
            is_other = before is not None and (before.digits, before.steps_per_lot) != (spec.digits, spec.steps_per_lot)
            if is_other and booking.pyramid.state in LIVE:
                said += end_chain(booking, PyramidState.STOPPED, "the symbol has other terms")
            for order in booking.pyramid.orders:
                said += arm_booking(self._around(spec.symbol, now_utc_ms), booking, order)
        return said

    def _bar(self, bar: BarClosed, now_utc_ms: int) -> list[Message]:
        market = self._market(bar.symbol)
        market.window = window_after(
            market.window,
            open_points=bar.open_points,
            high_points=bar.high_points,
            low_points=bar.low_points,
            close_points=bar.close_points,
        )
        market.spread_median_points = bar.spread_median_points
        around, trend = self._around(bar.symbol, now_utc_ms), trend_in(market.window)
        return [
            said
            for booking, order in waiting_at(self.state, bar.symbol, Step.BAR)
            if is_aligned(booking.pyramid.direction, trend)
            for said in arm_hunt(around, booking, order)
        ]

    def _reached(self, reached: PricesReached, now_utc_ms: int) -> list[Message]:
        """Bookings go before recoveries, and those before orders that wait for no price."""
        around, said = self._around(reached.symbol, now_utc_ms), list[Message]()
        by_number = [
            (booking, number, watch)
            for booking in bookings_of(self.state, reached.symbol)
            for number, watch in booking.watches.items()
            if watch.name in reached.names
        ]
        hunts: list[tuple[Booking, int]] = []
        for booking, number, watch in by_number:
            del booking.watches[number]
            ticket, _, what = watch.name.partition("/")
            if what.startswith("book"):
                said.append(ReducePosition(int(ticket), reached.symbol, 0, ExitReason.BOOKED))
            else:
                hunts.append((booking, number))
        for booking, number in hunts:
            order = order_numbered(booking.pyramid, number)
            assert order is not None, "a level is complete only when nothing of it waits"
            said += crossed(around, booking, order, reached.quote)
        if f"any/{around.market.asked}" in reached.names:
            around.market.is_asked = False
            for booking, order in waiting_at(self.state, reached.symbol, Step.QUOTE):
                said += self._ask(around, booking, order.number, reached.quote)
        return said

    def _ask(self, around: Around, booking: Booking, number: int, quote: Quote) -> list[Message]:
        """Unless one before it has ended the chain."""
        order = order_numbered(booking.pyramid, number)
        if order is None or booking.pyramid.state not in LIVE:
            return []
        return ask(around, booking, order, quote)

    def _timer(self, name: str, now_utc_ms: int) -> list[Message]:
        what, _, rest = name.partition("/")
        number, _, chain_id = rest.partition("/")
        if what == "window":
            return self._window_over(int(number), now_utc_ms)
        if what == "write":
            if chain_id in self.state.bookings:
                write_again(self.state.bookings[chain_id].writing)
            return []
        found = numbered(self.state, chain_id, int(number))
        if found is None:
            return []
        booking, order = found
        around, step = self._around(booking.pyramid.symbol, now_utc_ms), booking.steps.get(order.number)
        if what == "try" and step is Step.REQUOTED:
            return failed(around, booking, order, "requoted")
        if step is (Step.PAUSE if what == "try" else Step.SPREAD):
            if order.ticket:
                return arm_hunt(around, booking, order)
            place(booking, order)
        return []

    def _window_over(self, ticket: int, now_utc_ms: int) -> list[Message]:
        """A recovery that is on its way to the broker is waited for."""
        for booking in self.state.bookings.values():
            for order in booking.pyramid.orders:
                is_waiting = booking.steps.get(order.number, Step.SENT) not in ON_ITS_WAY
                if order.parent_ticket == ticket and order.ticket == ticket and is_waiting:
                    around = self._around(booking.pyramid.symbol, now_utc_ms)
                    return lose_hunt(around, booking, order, "window over", f"order {order.number}")
        return []

    def _refused(self, refused: Refused, now_utc_ms: int) -> list[Message]:
        """One that is known not to exist is not asked for again: it might still come. A repetition was refused because the
        same order is on its way or open, so that one's own outcome counts; so it does while the next try is waited for."""
        found = numbered(self.state, refused.lineage.chain_id, refused.lineage.number)
        if found is None or refused.lineage.order_kind not in OURS:
            return []
        booking, order = found
        is_repetition = isinstance(refused, OrderDenied) and refused.reason is DenialReason.DUPLICATE
        if booking.steps.get(order.number) not in ON_ITS_WAY or is_repetition:
            return []
        around = self._around(refused.symbol, now_utc_ms)
        match refused:
            case OrderDenied(reason=DenialReason.REQUESTS_PER_SECOND):
                return wait_turn(around, booking, order)
            case OrderDenied():
                told = f"{refused.by} {refused.reason.value}"
            case OrderRejected() if refused.quote is not None and refused.code in PRICE_MOVED:
                return requoted(around, booking, order)
            case OrderRejected():
                told = f"broker {refused.code}"
            case OrderOutcomeResolved():
                told = "it was never executed"
            case _:
                assert_never(refused)
        is_final = isinstance(refused, OrderOutcomeResolved)
        return failed(around, booking, order, told, is_final=is_final)

    def _proposed(self, proposal: EntryProposed) -> list[Message]:
        found = numbered(self.state, proposal.lineage.chain_id, proposal.lineage.number)
        if found is None or found[0].steps.get(found[1].number) is not Step.REQUOTED:
            return []
        return proposed_again(*found)

    def _unknown(self, unknown: OrderOutcomeUnknown) -> list[Message]:
        """Nothing is asked for in its place until somebody knows."""
        found = numbered(self.state, unknown.lineage.chain_id, unknown.lineage.number)
        if found is not None and unknown.lineage.order_kind in OURS and found[1].number in found[0].steps:
            booking, order = found
            booking.steps[order.number] = Step.SENT
            changed(booking, order, status=OrderStatus.PLACING)
            return disarm(booking, order.number)
        return []

    def _opened(self, fill: PositionOpened, now_utc_ms: int) -> list[Message]:
        kind = fill.lineage.order_kind
        around = self._around(fill.symbol, now_utc_ms)
        if kind == OrderKind.SHIELD_B.value or (kind == OrderKind.PROFIT_TRAIL.value and is_fresh(fill.lineage)):
            return self._begun(around, fill)
        if kind not in OURS:
            return []
        found = numbered(self.state, fill.lineage.chain_id, fill.lineage.number)
        if found is not None and found[1].status in MAY_COME:
            return opened(around, *found, fill)
        if holding(self.state, fill.ticket) is not None:
            return []
        return [ReducePosition(fill.ticket, fill.symbol, 0, ExitReason.CHAIN)]  # nobody would ever book it

    def _begun(self, around: Around, fill: PositionOpened) -> list[Message]:
        chain_id = fill.lineage.chain_id
        if chain_id in self.state.bookings:
            return []
        spec = around.market.spec
        cost_cents = 0 if spec is None else commission_cents(spec, fill.volume_steps)
        pyramid = begun(self._config.profit_booking, fill, cost_cents)
        booking = self.state.bookings[chain_id] = Booking(pyramid, fill.lineage, fill.ticket)
        said: list[Message] = [stepped(booking, "", "begun", fill.ticket, f"order 1 at {price_text(fill.entry_points, spec)}")]
        return [*said, *arm_booking(around, booking, pyramid.orders[0])]

    def _altered(self, alteration: PositionPriced | PositionReduced | StopTightened, now_utc_ms: int) -> list[Message]:
        found = holding(self.state, alteration.ticket)
        if found is None:
            return []
        booking, order = found
        around = self._around(alteration.symbol, now_utc_ms)
        return altered(around, booking, order, alteration)

    def _closed(self, end: PositionClosed, now_utc_ms: int) -> list[Message]:
        found = holding(self.state, end.ticket)
        return [] if found is None else closed(self._around(end.symbol, now_utc_ms), *found, end)

    def _reservation(self, answer: RecoveryReserved | RecoveryRefused, now_utc_ms: int) -> list[Message]:
        chain_id, _, ticket = answer.recovery_id.rpartition("/")
        booking = self.state.bookings.get(chain_id)
        orders = () if booking is None else booking.pyramid.orders
        order = next((order for order in orders if str(order.ticket) == ticket), None)
        if booking is None or order is None or booking.steps.get(order.number) is not Step.RESERVE:
            return [FreeRecovery(answer.recovery_id)] if isinstance(answer, RecoveryReserved) else []
        around = self._around(booking.pyramid.symbol, now_utc_ms)
        match answer:
            case RecoveryReserved():
                return arm_hunt(around, booking, order)
            case RecoveryRefused():
                told = f"{answer.limit}: {answer.measured} of {answer.bound} {answer.unit}"
                return lose_hunt(around, booking, order, "recovery refused", told)
            case _:
                assert_never(answer)

    def _store_answered(self, answer: ChainSaved | ChainNotSaved, now_utc_ms: int) -> list[Message]:
        booking = self.state.bookings.get(answer.chain_id)
        if booking is None or not is_awaited(booking.writing, answer.version):
            return []
        around = self._around(booking.pyramid.symbol, now_utc_ms)
        waiting = [number for number, step in booking.steps.items() if step is Step.WRITE]
        match answer:
            case ChainSaved():
                return self._go(around, booking, waiting) if written(booking.writing, booking.pyramid) else []
            case ChainNotSaved():
                again_utc_ms = not_written(booking.writing, booking.pyramid, now_utc_ms)
                said: list[Message] = []
                if again_utc_ms is not None:
                    said.append(SetTimer(NAME, write_timer(booking.pyramid), again_utc_ms))
                for number in waiting:
                    order = order_numbered(booking.pyramid, number)
                    if order is not None and booking.steps.get(number) is Step.WRITE:
                        said += failed(around, booking, order, f"not written: {answer.failure.value}")
                return said
            case _:
                assert_never(answer)

    def _go(self, around: Around, booking: Booking, numbers: Sequence[int]) -> list[Message]:
        """What waited for the store goes, at the quote that it has or at the next one."""
        said: list[Message] = []
        for number in numbers:
            if number in booking.quotes:
                said += self._ask(around, booking, number, booking.quotes[number])
            else:
                booking.steps[number] = Step.QUOTE
        if Step.QUOTE in booking.steps.values() and not around.market.is_asked:
            said.append(self._next_quote(around.market))
        return said

    def _next_quote(self, market: Market) -> ArmWatches:
        """Any price at all is reached by the next quote."""
        assert market.spec is not None, "nothing is asked for before the terms are known"
        market.asked, market.is_asked = market.asked + 1, True
        watch = Watch(f"any/{market.asked}", Side.BID, rising=True, level_points=1)
        return ArmWatches(NAME, market.spec.symbol, market.spec.spec_id, (watch,))

    def _shield(self, raised: ShieldRaised) -> list[Message]:
        return [
            said
            for booking in bookings_of(self.state, raised.symbol)
            if booking.pyramid.direction is raised.direction and booking.pyramid.state in LIVE
            for said in end_chain(booking, PyramidState.STOPPED, "shield")
        ]

    def _stop(self, stop: StopChain) -> list[Message]:
        """Other chains are not its to stop, and another plugin's are nobody's."""
        if not is_pyramid(stop.chain_id):
            return []
        booking = self.state.bookings.get(stop.chain_id)
        if booking is None or booking.pyramid.plugin != stop.plugin or booking.pyramid.state not in LIVE:
            return [CommandRefused(stop.command_id, f"{stop.plugin} has no live chain {stop.chain_id}")]
        said = end_chain(booking, PyramidState.STOPPED, f"stopped by {stop.by}")
        return [*said, CommandDone(stop.command_id, f"chain {stop.chain_id} is stopped")]
