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
from evenkeel.messages.market import BarClosed, DailyBarsRead, SymbolSpecified
from evenkeel.messages.operator import HoldPlaced, LowerMode, Mode, TradingRearmed
from evenkeel.messages.position import PositionClosed, PositionOpened, PositionPriced, PositionReduced
from evenkeel.messages.system import Message
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules import seen_deals
from evenkeel.rules.catastrophe_stop import daily_atr_points
from evenkeel.rules.entries import Refusal
from evenkeel.rules.money import capital_cents_of
from evenkeel.rules.risk_limit import (
    DrawdownStep,
    RiskState,
    Sized,
    at_day_start,
    day_counted,
    day_loss_reached,
    drawdown_reached,
    entry_refusal,
    expiry_utc_ms,
    hour_end_utc_ms,
    needs_equity,
    rearmed,
    sampled,
    shifted,
    sized,
    trade_counted,
    trades_in_hour,
)
from evenkeel.rules.sizing import Reservation, floating_cents, foreign_holding_of, holding_of, marked, priced, realized, reduced

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
    | ForeignPositionSeen
    | ForeignPositionGone
    | ForeignOrderSeen
    | ForeignOrderGone
    | DealDone
    | CashMoved
)


class RiskLimit:
    """Entries only: nothing here delays or refuses an exit."""

    name = "risk_limit"

    def __init__(self, config: Config) -> None:
        self.config, self.state = config, RiskState()
        self._needs_samples = needs_equity(config.limits)

    def handle(self, message: Heard, now_utc_ms: int) -> list[Message]:
        match message:
            case BarClosed() | DealDone() | CashMoved() | AccountRead():
                return self._money(message)
            case EntryProposed():
                return self._answer(message, now_utc_ms)
            case OrderDenied() | OrderRejected() | OrderOutcomeResolved():
                self.state.book.reservations.pop(message.proposal_id, None)
                return []
            case OrderOutcomeUnknown():
                return []  # it may be executed: what is reserved stays reserved
            case PositionOpened() | PositionPriced() | PositionReduced() | PositionClosed():
                return self._position(message, now_utc_ms)
            case ForeignPositionSeen() | ForeignPositionGone() | ForeignOrderSeen() | ForeignOrderGone():
                return self._foreign(message)
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
        limits = self.config.limits
        self.state.book.reservations[proposal.proposal_id] = Reservation(
            symbol=proposal.symbol,
            volume_steps=order.volume_steps,
            risk_cents=order.risk_cents,
            is_fresh=proposal.lineage.level == 0,
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

    def _position(
        self, message: PositionOpened | PositionPriced | PositionReduced | PositionClosed, now_utc_ms: int
    ) -> list[Message]:
        holdings = self.state.book.holdings
        match message:
            case PositionOpened():
                return self._opened(message, now_utc_ms)
            case PositionPriced() if message.ticket in holdings:
                holdings[message.ticket] = priced(holdings[message.ticket], message)
            case PositionReduced() if message.ticket in holdings:
                holdings[message.ticket] = reduced(holdings[message.ticket], message)
            case PositionClosed():
                holdings.pop(message.ticket, None)
            case PositionPriced() | PositionReduced():
                pass  # closed already: its deal came late
            case _:
                assert_never(message)
        return []

    def _opened(self, opened: PositionOpened, now_utc_ms: int) -> list[Message]:
        """The reservation becomes the position's, and an order of ours from a fresh signal counts as a trade, once."""
        book = self.state.book
        reservation = book.reservations.pop(opened.lineage.proposal_id, None)
        before = book.holdings.get(opened.ticket)
        book.holdings[opened.ticket] = holding_of(opened, reservation)
        is_new = before is None or before.is_foreign
        return self._count_trade(now_utc_ms) if is_new and not opened.adopted and opened.lineage.level == 0 else []

    def _count_trade(self, now_utc_ms: int) -> list[Message]:
        limits, state = self.config.limits, self.state
        state.counts = trade_counted(state.counts, now_utc_ms)
        said: list[Message] = []
        if limits.trades_per_hour != "off" and trades_in_hour(state.counts, now_utc_ms) >= limits.trades_per_hour:
            said += self._hold(f"trades_per_hour: {limits.trades_per_hour} opened", hour_end_utc_ms(now_utc_ms))
        if limits.trades_per_day != "off" and state.counts.today >= limits.trades_per_day:
            said += self._hold(f"trades_per_day: {limits.trades_per_day} opened", state.day_ends_utc_ms)
            days = state.counts.days_at_limit + 1
            if limits.trades_limit_days_max != "off" and days >= limits.trades_limit_days_max:
                said.append(self._lower(Mode.CLOSE_ONLY, f"trades_per_day: reached on {days} days in a row"))
        return said

    def _foreign(
        self, message: ForeignPositionSeen | ForeignPositionGone | ForeignOrderSeen | ForeignOrderGone
    ) -> list[Message]:
        """Somebody else's waiting order counts as the exposure that it may become, where its symbol's terms are known."""
        reservations = self.state.book.reservations
        match message:
            case ForeignOrderSeen(ticket=ticket, symbol=symbol, volume_steps=volume_steps):
                if symbol in self.state.book.specs:
                    reservations[f"order {ticket}"] = Reservation(symbol, volume_steps, risk_cents=0, is_fresh=False)
            case ForeignOrderGone(ticket=ticket):
                reservations.pop(f"order {ticket}", None)
            case ForeignPositionSeen():
                self.state.book.holdings[message.ticket] = foreign_holding_of(message)
            case ForeignPositionGone():
                self.state.book.holdings.pop(message.ticket, None)
            case _:
                assert_never(message)
        return []

    def _terms(self, message: SymbolSpecified | DailyBarsRead) -> list[Message]:
        match message:
            case SymbolSpecified(spec=spec):
                before = self.state.book.specs.get(spec.symbol)
                if before is not None and before.digits != spec.digits:
                    self.state.daily_atr_points.pop(spec.symbol, None)  # it was in other points
                self.state.book.specs[spec.symbol] = spec
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
                state.marks, state.day_loss = at_day_start(state.marks), None
                state.day_ends_utc_ms = message.ends_utc_ms
            case TradingRearmed():
                state.counts = msgspec.structs.replace(state.counts, days_at_limit=0)
                state.marks, state.drawdown = rearmed(state.marks), DrawdownStep.NONE
            case _:
                assert_never(message)
        return []

    def _money(self, message: AccountRead | DealDone | CashMoved | BarClosed) -> list[Message]:
        """An equity sample from each: the broker's own, or the balance with credit and what floats at the last marks."""
        state = self.state
        match message:
            case AccountRead():
                state.balance_cents = message.balance_cents + message.credit_cents
                return self._sample(message.equity_cents)
            case DealDone(deal=deal):
                self._settle(deal)
                return self._sample_own()
            case CashMoved(cash=cash):
                if self._is_new(cash.deal_ticket) and state.balance_cents is not None:
                    state.balance_cents += cash.amount_cents
                    state.marks = shifted(state.marks, capital_cents_of(cash))
                return self._sample_own()
            case BarClosed():
                is_for_sampling = message.timeframe == "M1" and not message.late
                return self.mark(message.symbol, message.close_points, message.close_ask_points) if is_for_sampling else []
            case _:
                assert_never(message)

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
        self.state.marks = sampled(self.state.marks, equity_cents)
        return [*self._after_day_loss(), *self._after_drawdown()]

    def _after_day_loss(self) -> list[Message]:
        state = self.state
        if state.day_loss is not None:
            return []
        fall = state.day_loss = day_loss_reached(self.config.limits.day_loss_pct, state.marks)
        if fall is None:
            return []
        return self._hold(f"day_loss_pct: lost {fall.cents} of {fall.limit_cents} cents", state.day_ends_utc_ms)

    def _after_drawdown(self) -> list[Message]:
        """Said when a graver step is reached, not while equity stays there."""
        before = self.state.drawdown
        self.state.drawdown, fall = drawdown_reached(self.config.limits.drawdown, self.state.marks)
        if fall is None or self.state.drawdown <= max(before, DrawdownStep.HALVE):
            return []
        mode = Mode.FLATTEN if self.state.drawdown is DrawdownStep.FLATTEN else Mode.CLOSE_ONLY
        return [self._lower(mode, f"drawdown_pct: {fall.cents} of {fall.limit_cents} cents below the peak")]

    def _hold(self, reason: str, until_utc_ms: int) -> list[Message]:
        """Says nothing while a longer hold of ours stands: the gateway would take the shorter one in its place."""
        if until_utc_ms < self.state.hold_until_utc_ms:
            return []
        self.state.hold_until_utc_ms = until_utc_ms
        return [HoldPlaced(who=self.name, scope="account", reason=reason, until_utc_ms=until_utc_ms)]

    def _lower(self, mode: Mode, reason: str) -> LowerMode:
        return LowerMode(mode=mode, by=self.name, reason=reason)
