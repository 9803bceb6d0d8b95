"""What the limits are measured against, as money, days and bars change it.

Each function takes in one thing that happened, changes the state and returns what is to be said about it.
"""

from typing import assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import AccountRead, CashMoved, Deal, DealDone, DealEntry
from evenkeel.messages.market import BarClosed
from evenkeel.messages.operator import TradingRearmed
from evenkeel.messages.system import Message
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules import chain_trips, limit_trips, loss_tiers, recovery_safety, seen_deals
from evenkeel.rules.correlation import HourCloses, minute_closed
from evenkeel.rules.frequency import RequestCounts, day_counted
from evenkeel.rules.losses import DrawdownStep, at_day_start, at_week_start, rearmed, shifted
from evenkeel.rules.margin import MarginStep
from evenkeel.rules.money import capital_cents_of
from evenkeel.rules.risk_limit import RiskState
from evenkeel.rules.sizing import floating_cents, marked, realized


def money_told(config: Config, state: RiskState, message: AccountRead | DealDone | CashMoved) -> list[Message]:
    """An equity sample from each: the broker's own, or the balance with credit and what floats at the last marks."""
    match message:
        case AccountRead():
            balance_cents = message.balance_cents + message.credit_cents
            state.balance_cents, state.leverage, state.margin_cents = balance_cents, message.leverage, message.margin_cents
            if state.start_balance_cents is None:
                state.start_balance_cents = balance_cents
            sampled = limit_trips.equity_sampled(config, state, message.equity_cents)
        case DealDone(deal=deal):
            _settle(state, deal)
            sampled = equity_of_ours(config, state)
        case CashMoved(cash=cash):
            if _is_new(state, cash.deal_ticket) and state.balance_cents is not None:
                state.balance_cents += cash.amount_cents
                capital_cents = capital_cents_of(cash)
                state.marks = shifted(state.marks, capital_cents)
                if state.start_balance_cents is not None:
                    state.start_balance_cents += capital_cents
            sampled = equity_of_ours(config, state)
        case _:
            assert_never(message)
    return [*sampled, *chain_trips.balance_changed(config, state)]


def bar_closed(config: Config, state: RiskState, bar: BarClosed, *, is_sampled: bool) -> list[Message]:
    """Of M1. A late bar tells how symbols move together, but nothing of what equity is now."""
    if bar.timeframe != "M1":
        return []
    if config.limits.correlated_risk_pct != "off":
        minute_closed(state.hours.setdefault(bar.symbol, HourCloses()), bar.open_utc_ms, bar.close_points)
    if bar.late or not is_sampled:
        return []
    return closes_marked(config, state, bar.symbol, bar.close_points, bar.close_ask_points)


def closes_marked(config: Config, state: RiskState, symbol: str, close_points: int, close_ask_points: int) -> list[Message]:
    """The closing bid and ask of a bar: nothing where the symbol is not exposed."""
    holdings = state.book.holdings
    of_symbol = {
        ticket: marked(held, close_points, close_ask_points) for ticket, held in holdings.items() if held.symbol == symbol
    }
    holdings.update(of_symbol)
    return equity_of_ours(config, state) if of_symbol else []


def equity_of_ours(config: Config, state: RiskState) -> list[Message]:
    if state.balance_cents is None:
        return []
    return limit_trips.equity_sampled(config, state, state.balance_cents + floating_cents(state.book))


def begun_anew(config: Config, state: RiskState, message: TradingDayStarted | TradingRearmed) -> None:
    match message:
        case TradingDayStarted():
            state.counts = day_counted(state.counts, config.limits.trades_per_day)
            state.requests = RequestCounts(0, state.requests.latest_utc_ms)
            state.marks, state.day_loss = at_day_start(state.marks), None
            state.tier_losses = loss_tiers.at_day_start(state.tier_losses)
            recovery_safety.day_started(state.recoveries, message.day)
            state.day_ends_utc_ms = message.ends_utc_ms
            if message.started_utc_ms >= state.week_ends_utc_ms:
                state.marks, state.week_loss = at_week_start(state.marks), None
                state.week_ends_utc_ms = message.week_ends_utc_ms
        case TradingRearmed():
            state.counts = msgspec.structs.replace(state.counts, days_at_limit=0)
            state.marks, state.drawdown, state.losses_in_a_row = rearmed(state.marks), DrawdownStep.NONE, 0
            state.margin_step, state.tier_losses = MarginStep.NONE, loss_tiers.rearmed(state.tier_losses)
            if state.is_at_floor:
                state.start_balance_cents, state.is_at_floor = state.balance_cents, False
        case _:
            assert_never(message)


def _settle(state: RiskState, deal: Deal) -> None:
    """What a deal realizes stops floating at once; the position itself shrinks when its owner is told."""
    if not _is_new(state, deal.deal_ticket):
        return
    if state.balance_cents is not None:
        state.balance_cents += deal.profit_cents + deal.commission_cents + deal.swap_cents
    holding = state.book.holdings.get(deal.position_ticket)
    if holding and deal.entry is DealEntry.OUT:
        state.book.holdings[deal.position_ticket] = realized(holding, deal.volume_steps)


def _is_new(state: RiskState, ticket: int) -> bool:
    """Counted now; a replaced terminal edge may tell of a line of the history again."""
    is_new = seen_deals.is_new(ticket, state.deal_ticket, state.recent_deals)
    state.deal_ticket = seen_deals.keep(ticket, state.deal_ticket, state.recent_deals)
    return is_new
