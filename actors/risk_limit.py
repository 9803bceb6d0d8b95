"""The account's hard limits: alone turns a proposal into an order, with its worst case reserved before it leaves."""

from typing import assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import (
    AccountRead,
    CashMoved,
    Deal,
    DealDone,
    DealEntry,
    ForeignOrderGone,
    ForeignOrderSeen,
    ForeignPositionGone,
    ForeignPositionSeen,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
)
from evenkeel.messages.entry import EntryProposed, OpenPosition, OrderDenied
from evenkeel.messages.market import BarClosed, DailyBarsRead, Direction, SymbolSpecified
from evenkeel.messages.operator import TradingRearmed
from evenkeel.messages.position import (
    ClosedBy,
    CloseFailed,
    CloseFailure,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
)
from evenkeel.messages.system import Message
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules import limit_trips, seen_deals
from evenkeel.rules.catastrophe_stop import daily_atr_points
from evenkeel.rules.correlation import HourCloses, minute_closed
from evenkeel.rules.entries import Refusal
from evenkeel.rules.exits import sign
from evenkeel.rules.frequency import RequestCounts, day_counted, request_counted, request_not_sent, slippage_points_max
from evenkeel.rules.lineage import is_fresh
from evenkeel.rules.losses import DrawdownStep, at_day_start, at_week_start, rearmed, shifted
from evenkeel.rules.margin import MarginStep
from evenkeel.rules.money import capital_cents_of
from evenkeel.rules.risk_limit import (
    CANNOT_BE_SIZED,
    RiskState,
    Sized,
    entry_refusal,
    entry_refusals,
    expiry_utc_ms,
    needs_equity,
    sized,
)
from evenkeel.rules.sizing import (
    Expected,
    Holding,
    Reservation,
    floating_cents,
    foreign_holding_of,
    holding_of,
    marked,
    priced,
    realized,
    reduced,
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
)


class RiskLimit:
    """Entries only: nothing here delays or refuses an exit."""

    name = limit_trips.NAME

    def __init__(self, config: Config) -> None:
        self.config, self.state = config, RiskState()
        self._needs_samples = needs_equity(config.limits)

    def handle(self, message: Heard, now_utc_ms: int) -> list[Message]:
        match message:
            case BarClosed() | DealDone() | CashMoved() | AccountRead():
                return self._money(message)
            case EntryProposed():
                return self._answer(message, now_utc_ms)
            case OrderDenied() | OrderRejected() | OrderOutcomeUnknown() | OrderOutcomeResolved():
                return self._order(message, now_utc_ms)
            case CloseFailed():
                is_refused = message.failure is CloseFailure.REJECTED
                return limit_trips.broker_refused(self.config.limits, self.state, now_utc_ms) if is_refused else []
            case PositionOpened() | PositionPriced() | PositionReduced() | PositionClosed():
                return self._position(message, now_utc_ms)
            case ForeignPositionSeen() | ForeignPositionGone() | ForeignOrderSeen() | ForeignOrderGone():
                self._foreign(message)
                return limit_trips.exposure_changed(self.config.limits, self.state)
            case SymbolSpecified() | DailyBarsRead():
                return self._terms(message)
            case TradingDayStarted() | TradingRearmed():
                return self._begin_anew(message)
            case _:
                assert_never(message)

    def mark(self, symbol: str, close_points: int, close_ask_points: int) -> list[Message]:
        """Take in the close of an M1 bar: nothing where the symbol is not exposed or no limit needs samples."""
        if not self._needs_samples:
            return []
        holdings = self.state.book.holdings
        of_symbol = {
            ticket: marked(held, close_points, close_ask_points) for ticket, held in holdings.items() if held.symbol == symbol
        }
        holdings.update(of_symbol)
        return self._sample_own() if of_symbol else []

    def _answer(self, proposal: EntryProposed, now_utc_ms: int) -> list[Message]:
        refusal = entry_refusal(self.config.limits, self.state, proposal, now_utc_ms)
        match verdict := refusal or sized(self.config, self.state, proposal):
            case Refusal():
                return [self._denied(proposal, verdict)]
            case Sized():
                return [self._reserved(proposal, verdict, now_utc_ms)]
            case _:
                assert_never(verdict)

    def refusals(self, proposal: EntryProposed, now_utc_ms: int) -> list[Refusal]:
        """Every limit that stands against `proposal` now, the one that is answered with first. Changes nothing."""
        found = list(entry_refusals(self.config.limits, self.state, proposal, now_utc_ms))
        if any(refusal.reason in CANNOT_BE_SIZED for refusal in found):
            return found
        order = sized(self.config, self.state, proposal)
        return [*found, order] if isinstance(order, Refusal) else found

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

    def _reserved(self, proposal: EntryProposed, order: Sized, now_utc_ms: int) -> OpenPosition:
        limits, state = self.config.limits, self.state
        state.requests = request_counted(limits.requests, state.requests, now_utc_ms)
        state.book.reservations[proposal.proposal_id] = Reservation(
            symbol=proposal.symbol,
            direction=proposal.direction,
            volume_steps=order.volume_steps,
            risk_cents=order.risk_cents,
            is_fresh=is_fresh(proposal.lineage),
            asked_utc_ms=now_utc_ms,
            fill=self._expected(proposal),
        )
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
            lineage=proposal.lineage,
            bound_by=order.bound_by,
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
        if is_ours:
            limit_trips.broker_served(self.state)
        is_trade = is_ours and is_fresh(opened.lineage)
        return limit_trips.trade_opened(self.config.limits, self.state, now_utc_ms) if is_trade else []

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

    def _begin_anew(self, message: TradingDayStarted | TradingRearmed) -> list[Message]:
        state = self.state
        match message:
            case TradingDayStarted():
                state.counts = day_counted(state.counts, self.config.limits.trades_per_day)
                state.requests = RequestCounts(0, state.requests.latest_utc_ms)
                state.marks, state.day_loss = at_day_start(state.marks), None
                state.day_ends_utc_ms = message.ends_utc_ms
                if message.started_utc_ms >= state.week_ends_utc_ms:
                    state.marks, state.week_loss = at_week_start(state.marks), None
                    state.week_ends_utc_ms = message.week_ends_utc_ms
            case TradingRearmed():
                state.counts = msgspec.structs.replace(state.counts, days_at_limit=0)
                state.marks, state.drawdown, state.losses_in_a_row = rearmed(state.marks), DrawdownStep.NONE, 0
                state.margin_step = MarginStep.NONE
                if state.is_at_floor:
                    state.start_balance_cents, state.is_at_floor = state.balance_cents, False
            case _:
                assert_never(message)
        return []

    def _money(self, message: AccountRead | DealDone | CashMoved | BarClosed) -> list[Message]:
        """An equity sample from each: the broker's own, or the balance with credit and what floats at the last marks."""
        state = self.state
        match message:
            case AccountRead():
                balance_cents = message.balance_cents + message.credit_cents
                state.balance_cents, state.leverage, state.margin_cents = balance_cents, message.leverage, message.margin_cents
                if state.start_balance_cents is None:
                    state.start_balance_cents = balance_cents
                return self._sample(message.equity_cents)
            case DealDone(deal=deal):
                self._settle(deal)
                return self._sample_own()
            case CashMoved(cash=cash):
                if self._is_new(cash.deal_ticket) and state.balance_cents is not None:
                    state.balance_cents += cash.amount_cents
                    capital_cents = capital_cents_of(cash)
                    state.marks = shifted(state.marks, capital_cents)
                    if state.start_balance_cents is not None:
                        state.start_balance_cents += capital_cents
                return self._sample_own()
            case BarClosed():
                return self._bar(message)
            case _:
                assert_never(message)

    def _bar(self, bar: BarClosed) -> list[Message]:
        """A late bar tells how symbols move together, but nothing of what equity is now."""
        if bar.timeframe != "M1":
            return []
        if self.config.limits.correlated_risk_pct != "off":
            minute_closed(self.state.hours.setdefault(bar.symbol, HourCloses()), bar.open_utc_ms, bar.close_points)
        return [] if bar.late else self.mark(bar.symbol, bar.close_points, bar.close_ask_points)

    def _sample_own(self) -> list[Message]:
        balance_cents = self.state.balance_cents
        return [] if balance_cents is None else self._sample(balance_cents + floating_cents(self.state.book))

    def _settle(self, deal: Deal) -> None:
        """What a deal realizes stops floating at once; the position itself shrinks when its owner is told."""
        state = self.state
        if not self._is_new(deal.deal_ticket):
            return
        if state.balance_cents is not None:
            state.balance_cents += deal.profit_cents + deal.commission_cents + deal.swap_cents
        holding = state.book.holdings.get(deal.position_ticket)
        if holding and deal.entry is DealEntry.OUT:
            state.book.holdings[deal.position_ticket] = realized(holding, deal.volume_steps)

    def _is_new(self, ticket: int) -> bool:
        """Counted now; a replaced terminal edge may tell of a line of the history again."""
        state = self.state
        is_new = seen_deals.is_new(ticket, state.deal_ticket, state.recent_deals)
        state.deal_ticket = seen_deals.keep(ticket, state.deal_ticket, state.recent_deals)
        return is_new

    def _sample(self, equity_cents: int) -> list[Message]:
        return limit_trips.equity_sampled(self.config.limits, self.state, equity_cents)
