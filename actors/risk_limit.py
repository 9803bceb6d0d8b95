"""The account's hard limits: alone turns a proposal into an order, with its worst case reserved before it leaves."""

from typing import assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import (
    AccountRead,
    CashMoved,
    DealDone,
    ForeignOrderGone,
    ForeignOrderSeen,
    ForeignPositionGone,
    ForeignPositionSeen,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
)
from evenkeel.messages.circuit_breaker import BreakerChanged
from evenkeel.messages.entry import EntryProposed, OpenPosition, OrderDenied
from evenkeel.messages.market import BarClosed, DailyBarsRead, Direction, SymbolSpecified
from evenkeel.messages.operator import CommandDone, LimitsLowered, TradingRearmed
from evenkeel.messages.position import (
    ClosedBy,
    CloseFailed,
    CloseFailure,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
    StopTightened,
)
from evenkeel.messages.recovery import ChainEnded, FreeRecovery, ReserveRecovery
from evenkeel.messages.system import Message
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules import chain_trips, limit_measures, limit_trips
from evenkeel.rules.catastrophe_stop import daily_atr_points
from evenkeel.rules.dual_orders import Part, judged, parts_of
from evenkeel.rules.entries import Refusal
from evenkeel.rules.exits import sign
from evenkeel.rules.frequency import request_counted, request_not_sent, slippage_points_max
from evenkeel.rules.lineage import is_fresh
from evenkeel.rules.order_size import Sized
from evenkeel.rules.reload import InForce
from evenkeel.rules.risk_limit import (
    CANNOT_BE_SIZED,
    RiskState,
    entry_refusal,
    entry_refusals,
    expiry_utc_ms,
    needs_equity,
)
from evenkeel.rules.sizing import (
    Expected,
    Holding,
    Reservation,
    cents_for,
    foreign_holding_of,
    holding_of,
    loss_per_step,
    priced,
    reduced,
    tightened,
)

Heard = (
    SymbolSpecified
    | DailyBarsRead
    | AccountRead
    | TradingDayStarted
    | TradingRearmed
    | BarClosed
    | EntryProposed
    | OrderDenied
    | OrderRejected
    | OrderOutcomeUnknown
    | OrderOutcomeResolved
    | PositionOpened
    | PositionPriced
    | PositionReduced
    | PositionClosed
    | CloseFailed
    | ForeignPositionSeen
    | ForeignPositionGone
    | ForeignOrderSeen
    | ForeignOrderGone
    | DealDone
    | CashMoved
    | ReserveRecovery
    | FreeRecovery
    | ChainEnded
    | BreakerChanged
    | StopTightened
    | LimitsLowered
)


class RiskLimit:
    """Entries only: nothing here delays or refuses an exit."""

    name = limit_trips.NAME

    def __init__(self, config: Config) -> None:
        self.state = RiskState()
        self._in_force = InForce(config)
        self._judged, self._needs_samples_of_judged = config.limits, needs_equity(config.limits)

    @property
    def config(self) -> Config:
        """As it is in force."""
        return self._in_force.at(self.state.lowered)

    @property
    def _needs_samples(self) -> bool:
        limits = self.config.limits
        if limits is not self._judged:
            self._judged, self._needs_samples_of_judged = limits, needs_equity(limits)
        return self._needs_samples_of_judged

    def handle(self, message: Heard, now_utc_ms: int) -> list[Message]:
        match message:
            case DealDone() | CashMoved() | AccountRead():
                return limit_measures.money_told(self.config, self.state, message)
            case BarClosed():
                return limit_measures.bar_closed(self.config, self.state, message, is_sampled=self._needs_samples)
            case EntryProposed():
                return self._answer(message, now_utc_ms)
            case LimitsLowered():
                return self._lowered(message)
            case OrderDenied() | OrderRejected() | OrderOutcomeUnknown() | OrderOutcomeResolved():
                return self._order(message, now_utc_ms)
            case CloseFailed():
                is_refused = message.failure is CloseFailure.REJECTED
                return limit_trips.broker_refused(self.config.limits, self.state, now_utc_ms) if is_refused else []
            case PositionOpened() | PositionPriced() | PositionReduced() | PositionClosed():
                return self._position(message, now_utc_ms)
            case ReserveRecovery():
                return [chain_trips.recovery_asked(self.config, self.state, message, now_utc_ms)]
            case FreeRecovery() | ChainEnded() | BreakerChanged() | StopTightened():
                return self._chains(message)
            case ForeignPositionSeen() | ForeignPositionGone() | ForeignOrderSeen() | ForeignOrderGone():
                self._foreign(message)
                return limit_trips.exposure_changed(self.config.limits, self.state)
            case SymbolSpecified() | DailyBarsRead():
                return self._terms(message)
            case TradingDayStarted() | TradingRearmed():
                limit_measures.begun_anew(self.config, self.state, message)
                return []
            case _:
                assert_never(message)

    def _lowered(self, message: LimitsLowered) -> list[Message]:
        said: list[Message] = []
        if message.limits != self.state.lowered:
            self.state.lowered = message.limits
            said = limit_trips.limits_lowered(self.config, self.state)
        return [*said, CommandDone(message.command_id, "in force")] if message.command_id else said

    def mark(self, symbol: str, close_points: int, close_ask_points: int) -> list[Message]:
        """Take in the close of an M1 bar: nothing where the symbol is not exposed or no limit needs samples."""
        if not self._needs_samples:
            return []
        return limit_measures.closes_marked(self.config, self.state, symbol, close_points, close_ask_points)

    def _answer(self, proposal: EntryProposed, now_utc_ms: int) -> list[Message]:
        """Each order of it apart; the second is judged with the first one reserved."""
        refusal = entry_refusal(self.config, self.state, proposal, now_utc_ms)
        if refusal is not None:
            return [self._denied(part, refusal) for part in parts_of(proposal)]
        first, *second = judged(self.config, self.state, proposal)
        said = [self._verdict(first, now_utc_ms)]
        for part in second:
            late = entry_refusal(self.config, self.state, part.proposal, now_utc_ms)
            said.append(self._verdict(part if late is None else part._replace(verdict=late), now_utc_ms))
        return said

    def refusals(self, proposal: EntryProposed, now_utc_ms: int, *, of_second: bool = False) -> list[Refusal]:
        """Every limit that stands against `proposal` now, the one that is answered with first. Changes nothing.

        Of two orders those against the first, or those against the second beside it.
        """
        found = list(entry_refusals(self.config, self.state, proposal, now_utc_ms))
        if any(refusal.reason in CANNOT_BE_SIZED for refusal in found):
            return found
        part, *second = judged(self.config, self.state, proposal)
        if of_second and second and isinstance(part.verdict, Sized):
            beside = self._beside(part, part.verdict, now_utc_ms)
            (part,) = second
            found = list(entry_refusals(self.config, beside, part.proposal, now_utc_ms))
        return [*found, part.verdict] if isinstance(part.verdict, Refusal) else found

    def _verdict(self, part: Part, now_utc_ms: int) -> Message:
        match part.verdict:
            case Refusal():
                return self._denied(part.proposal, part.verdict)
            case Sized():
                return self._reserved(part.proposal, part.verdict, part.broker_target_points, now_utc_ms)
            case _:
                assert_never(part.verdict)

    def _denied(self, proposal: EntryProposed, refusal: Refusal) -> OrderDenied:
        return OrderDenied(
            proposal_id=proposal.proposal_id,
            symbol=proposal.symbol,
            direction=proposal.direction,
            by=self.name,
            reason=refusal.reason,
            measured=refusal.measured,
            limit=refusal.limit,
            unit=refusal.unit,
            lineage=proposal.lineage,
            detail=refusal.detail,
        )

    def _reserved(self, proposal: EntryProposed, order: Sized, broker_target_points: int, now_utc_ms: int) -> OpenPosition:
        limits, state, lineage = self.config.limits, self.state, proposal.lineage
        state.requests = request_counted(limits.requests, state.requests, now_utc_ms)
        state.book.reservations[proposal.proposal_id] = self._reservation(proposal, order, now_utc_ms)
        return OpenPosition(
            proposal_id=proposal.proposal_id,
            symbol=proposal.symbol,
            spec_id=proposal.spec_id,
            direction=proposal.direction,
            quote=proposal.quote,
            volume_steps=order.volume_steps,
            stop_distance_points=proposal.stop_distance_points,
            target_distance_points=proposal.target_distance_points,
            catastrophe_distance_points=order.catastrophe_distance_points,
            deviation_points=limits.slippage_points,
            reserved_cents=order.risk_cents,
            expires_utc_ms=expiry_utc_ms(limits, proposal, now_utc_ms),
            lineage=lineage,
            bound_by=order.bound_by,
            broker_target_distance_points=broker_target_points,
        )

    def _reservation(self, proposal: EntryProposed, order: Sized, now_utc_ms: int) -> Reservation:
        lineage = proposal.lineage
        at_stop = loss_per_step(proposal.stop_distance_points, self.state.book.specs[proposal.symbol])
        return Reservation(
            symbol=proposal.symbol,
            direction=proposal.direction,
            volume_steps=order.volume_steps,
            risk_cents=order.risk_cents,
            is_fresh=is_fresh(lineage),
            asked_utc_ms=now_utc_ms,
            fill=self._expected(proposal),
            strategy=lineage.strategy,
            chain_id=lineage.chain_id,
            stop_cents=cents_for(order.volume_steps, at_stop),
        )

    def _beside(self, part: Part, order: Sized, now_utc_ms: int) -> RiskState:
        """A copy of the state, with that order reserved."""
        state, book = self.state, self.state.book
        reservation = self._reservation(part.proposal, order, now_utc_ms)
        return msgspec.structs.replace(
            state,
            requests=request_counted(self.config.limits.requests, state.requests, now_utc_ms),
            book=msgspec.structs.replace(book, reservations={**book.reservations, part.proposal.proposal_id: reservation}),
        )

    def _expected(self, proposal: EntryProposed) -> Expected | None:
        floor_points = self.config.entry.spread_points_floor
        most_points = slippage_points_max(self.config.limits.slippage, proposal.spread_median_points, floor_points)
        price_points = proposal.quote.ask_points if proposal.direction is Direction.BUY else proposal.quote.bid_points
        return None if most_points is None else Expected(price_points, most_points)

    def _order(
        self, message: OrderDenied | OrderRejected | OrderOutcomeUnknown | OrderOutcomeResolved, now_utc_ms: int
    ) -> list[Message]:
        """What became of an order that did not open; one that may be executed keeps what is reserved for it."""
        state = self.state
        match message:
            case OrderDenied():
                reservation = state.book.reservations.pop(message.proposal_id, None)
                if reservation is not None:
                    state.requests = request_not_sent(state.requests, reservation.asked_utc_ms)
                return []
            case OrderRejected():
                state.book.reservations.pop(message.proposal_id, None)
                return limit_trips.broker_refused(self.config.limits, state, now_utc_ms)
            case OrderOutcomeUnknown():
                return limit_trips.broker_refused(self.config.limits, state, now_utc_ms)
            case OrderOutcomeResolved():
                state.book.reservations.pop(message.proposal_id, None)
                return []
            case _:
                assert_never(message)

    def _position(
        self, message: PositionOpened | PositionPriced | PositionReduced | PositionClosed, now_utc_ms: int
    ) -> list[Message]:
        limits, state, holdings = self.config.limits, self.state, self.state.book.holdings
        said: list[Message] = []
        match message:
            case PositionOpened():
                said = self._opened(message, now_utc_ms)
            case PositionPriced() if message.ticket in holdings:
                said = self._priced(message, holdings[message.ticket], now_utc_ms)
            case PositionReduced() if message.ticket in holdings:
                holdings[message.ticket] = reduced(holdings[message.ticket], message)
            case PositionClosed() if message.ticket in holdings:
                del holdings[message.ticket]
                if message.by is ClosedBy.APP:
                    limit_trips.broker_served(state)
                said = limit_trips.trade_closed(limits, state, message.net_cents, now_utc_ms)
                said += chain_trips.trade_closed(self.config, state, message, now_utc_ms)
            case PositionPriced() | PositionReduced() | PositionClosed():
                pass  # closed already: its deal came late
            case _:
                assert_never(message)
        return [*said, *limit_trips.exposure_changed(limits, state)]

    def _opened(self, opened: PositionOpened, now_utc_ms: int) -> list[Message]:
        """The reservation becomes the position's, and an order of ours from a fresh signal counts as a trade, once."""
        book = self.state.book
        reservation = book.reservations.pop(opened.lineage.proposal_id, None)
        before = book.holdings.get(opened.ticket)
        book.holdings[opened.ticket] = holding_of(opened, reservation)
        is_ours = (before is None or before.is_foreign) and not opened.adopted
        if not is_ours:
            return []
        limit_trips.broker_served(self.state)
        said = chain_trips.order_accepted(self.config, self.state, opened, now_utc_ms)
        if is_fresh(opened.lineage):
            said += limit_trips.trade_opened(self.config.limits, self.state, now_utc_ms)
        return said

    def _priced(self, deal: PositionPriced, holding: Holding, now_utc_ms: int) -> list[Message]:
        """A fill that slipped counts once, however many deals tell of it."""
        self.state.book.holdings[deal.ticket] = now = priced(holding, deal)
        if holding.fill is None:
            return []
        slipped_points = sign(holding.direction) * (deal.entry_points - holding.fill.price_points)
        if slipped_points <= holding.fill.slippage_points_max:
            return []
        self.state.book.holdings[deal.ticket] = msgspec.structs.replace(now, fill=None)
        return limit_trips.fill_slipped(self.config.limits, self.state, slipped_points, holding.fill, now_utc_ms)

    def _chains(self, message: FreeRecovery | ChainEnded | BreakerChanged | StopTightened) -> list[Message]:
        holdings = self.state.book.holdings
        match message:
            case FreeRecovery() | ChainEnded():
                chain_trips.chain_freed(self.state, message)
            case BreakerChanged():
                chain_trips.breaker_changed(self.state, message)
            case StopTightened():
                if message.ticket in holdings:
                    holdings[message.ticket] = tightened(holdings[message.ticket], message.stop_points)
            case _:
                assert_never(message)
        return []

    def _foreign(self, message: ForeignPositionSeen | ForeignPositionGone | ForeignOrderSeen | ForeignOrderGone) -> None:
        """Somebody else's waiting order counts as the exposure that it may become, where its symbol's terms are known."""
        reservations = self.state.book.reservations
        match message:
            case ForeignOrderSeen(ticket=ticket, symbol=symbol, direction=direction, volume_steps=volume_steps):
                if symbol in self.state.book.specs:
                    reservations[f"order {ticket}"] = Reservation(symbol, direction, volume_steps, risk_cents=0, is_fresh=False)
            case ForeignOrderGone(ticket=ticket):
                reservations.pop(f"order {ticket}", None)
            case ForeignPositionSeen():
                self.state.book.holdings[message.ticket] = foreign_holding_of(message)
            case ForeignPositionGone():
                self.state.book.holdings.pop(message.ticket, None)
            case _:
                assert_never(message)

    def _terms(self, message: SymbolSpecified | DailyBarsRead) -> list[Message]:
        match message:
            case SymbolSpecified(spec=spec):
                before = self.state.book.specs.get(spec.symbol)
                if before is not None and before.digits != spec.digits:
                    self.state.daily_atr_points.pop(spec.symbol, None)  # it was in other points
                    self.state.hours.pop(spec.symbol, None)
                self.state.book.specs[spec.symbol] = spec
                if any(held.symbol == spec.symbol for held in self.state.book.holdings.values()):
                    return limit_trips.exposure_changed(self.config.limits, self.state)
            case DailyBarsRead():
                atr_points = daily_atr_points(message.days, self.config.catastrophe_stop.daily_atr_days)
                if atr_points is not None:
                    self.state.daily_atr_points[message.symbol] = atr_points
            case _:
                assert_never(message)
        return []
