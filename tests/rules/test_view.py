from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from orders import order

from evenkeel.config.limits import PERSONAL, PLAIN, LimitsConfig
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
from evenkeel.messages.entry import DenialReason, Lineage, OrderDenied
from evenkeel.messages.market import (
    Direction,
    PointWorth,
    Quote,
    QuotesResumed,
    QuotesStale,
    SymbolSpec,
    SymbolSpecified,
)
from evenkeel.messages.operator import (
    FlattenProgressed,
    HoldEnded,
    HoldPlaced,
    Mode,
    ModeChanged,
    ScopeFlattened,
    TradingRearmed,
)
from evenkeel.messages.position import (
    ClosedBy,
    CloseFailed,
    CloseFailure,
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
)
from evenkeel.messages.protection import Gap, PositionProtected, PositionUnprotected, SymbolGivenBack, SymbolTakenOver
from evenkeel.messages.system import ChildServing, Message, RunStarted
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.view import LimitView, View, decimal_of, lots_of
from evenkeel.rules.view_of import view_of
from evenkeel.rules.view_state import ViewState, fold

HOUR_MS = 3_600_000
EURUSD = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 11_000_000, 10)
LINEAGE = Lineage("strategy", "ma_cross", proposal_id="EURUSD-1")
STARTED = RunStarted("0.1", "c", "simulated", 7, continued=True, crashed=False)


def opened(ticket: int = 1001, direction: Direction = Direction.BUY, **changes: Any) -> PositionOpened:
    s = 1 if direction is Direction.BUY else -1
    plain = PositionOpened(
        ticket=ticket,
        symbol="EURUSD",
        spec_id=1,
        direction=direction,
        volume_steps=10,
        entry_points=110_000,
        stop_points=110_000 - s * 100,
        target_points=110_000 + s * 200,
        broker_stop_points=0,
        reserved_cents=1_000,
        opened_utc_ms=1_000,
        lineage=LINEAGE,
    )
    return msgspec.structs.replace(plain, **changes)


def closed(ticket: int = 1001, net_cents: int = -1_000) -> PositionClosed:
    money = (net_cents, 0, 0, net_cents)
    where = (110_000, 109_900, 109_900, 110_200, 1_000, 2_000)
    why = (ExitReason.STOP, ClosedBy.APP)
    return PositionClosed(ticket, "EURUSD", 1, Direction.BUY, 10, *where, *why, *money, 1_000, "2026-01-05", LINEAGE)


def account(equity_cents: int) -> AccountRead:
    return AccountRead(1_000_000, equity_cents, 0, "USD", 2, 100)


def denied(reason: DenialReason, proposal_id: str = "EURUSD-2") -> OrderDenied:
    return OrderDenied(proposal_id, "EURUSD", Direction.BUY, "position/EURUSD", reason, 1, 1, "count", LINEAGE)


def rejected(proposal_id: str = "EURUSD-3") -> OrderRejected:
    return OrderRejected(proposal_id, "EURUSD", Direction.BUY, 4, 10006, "no", LINEAGE)


def unknown(proposal_id: str = "EURUSD-1") -> OrderOutcomeUnknown:
    return OrderOutcomeUnknown(proposal_id, "EURUSD", Direction.BUY, 3, "the reply was lost", LINEAGE)


def state_after(*messages: Message) -> ViewState:
    state = ViewState()
    for message in (SymbolSpecified(EURUSD), *messages):
        fold(state, message)  # type: ignore[arg-type]
    return state


def view_after(
    *messages: Message,
    bid: int | None = None,
    ask: int | None = None,
    limits: LimitsConfig = PLAIN,
    children: Iterable[tuple[str, bool, int]] = (),
    now_utc_ms: int = 0,
) -> View:
    marks = {"EURUSD": Quote(0, bid, ask or bid)} if bid else {}
    config = Config(profile="plain", limits=limits)
    return view_of(
        state_after(*messages), marks=marks, children=children, config=config, now_utc_ms=now_utc_ms, written_utc_ms=5
    )


def limit(view: View, name: str) -> LimitView:
    return next(row for row in view.limits if row.name == name)


@pytest.mark.parametrize(
    "amount, digits, text",
    [(110_000, 5, "1.10000"), (-5, 2, "-0.05"), (-1_234, 2, "-12.34"), (1_234, 0, "1234"), (0, 2, "0.00"), (7, 3, "0.007")],
)
def test_integers_are_told_as_exact_decimals(amount: int, digits: int, text: str) -> None:
    assert decimal_of(amount, digits) == text


@pytest.mark.parametrize(
    "steps, per_lot, text", [(10, 100, "0.10"), (3, 1, "3"), (7, 1000, "0.007"), (3, 50, "0.06"), (3, 4, "0.75")]
)
def test_steps_are_told_in_lots(steps: int, per_lot: int, text: str) -> None:
    assert lots_of(steps, msgspec.structs.replace(EURUSD, steps_per_lot=per_lot)) == text


@pytest.mark.parametrize(
    "direction, bid, ask, r, profit_cents",
    [
        (Direction.BUY, 110_050, 110_090, 0.5, 500),
        (Direction.BUY, 109_900, 109_910, -1.0, -1_000),
        (Direction.SELL, 109_940, 109_950, 0.5, 500),
        (Direction.SELL, 110_080, 110_100, -1.0, -1_000),
    ],
)
def test_profit_and_r_are_measured_where_the_position_would_be_closed(
    direction: Direction, bid: int, ask: int, r: float, profit_cents: int
) -> None:
    (position,) = view_after(opened(direction=direction), bid=bid, ask=ask).positions
    assert (position.r, position.profit_cents) == (r, profit_cents)


def test_a_position_is_shown_in_decimals_of_its_symbol() -> None:
    (position,) = view_after(opened(), bid=110_050).positions
    shown = (position.volume_lots, position.entry, position.stop, position.target, position.mark, position.strategy)
    assert shown == ("0.10", "1.10000", "1.09900", "1.10200", "1.10050", "ma_cross")


def test_without_a_quote_there_is_neither_profit_nor_r() -> None:
    (position,) = view_after(opened()).positions
    assert (position.mark, position.r, position.profit_cents) == (None, None, None)


def test_a_loss_that_is_no_whole_cent_is_shown_larger() -> None:
    jpy = msgspec.structs.replace(EURUSD, worth=PointWorth(6_650, 101))
    (position,) = view_after(SymbolSpecified(jpy), opened(volume_steps=1), bid=109_999).positions
    assert position.profit_cents == -1


def test_the_deal_moves_entry_and_levels_but_not_the_risk() -> None:
    view = view_after(opened(), PositionPriced(1001, "EURUSD", 1, 110_010, 10, 0), bid=109_960)
    (position,) = view.positions
    assert (position.entry, position.stop, position.target, position.r) == ("1.10010", "1.09910", "1.10210", -0.5)


def test_an_adopted_position_is_shown_with_the_stop_that_the_app_gives_it() -> None:
    adopted = opened(stop_points=0, target_points=0, adopted=True, lineage=Lineage("adopted", ""))
    (position,) = view_after(adopted, bid=110_000).positions
    assert (position.stop, position.target, position.strategy) == ("1.09800", None, "adopted")


def test_a_position_shrinks_and_goes() -> None:
    smaller = PositionReduced(1001, "EURUSD", 1, 4, 110_050, 300, ExitReason.OPERATOR)
    (position,) = view_after(opened(), smaller).positions
    assert position.volume_lots == "0.04"
    assert view_after(opened(), smaller, closed()).positions == ()


def test_a_close_that_failed_is_shown_until_part_of_it_happens() -> None:
    failed = CloseFailed(1001, "EURUSD", 1, CloseFailure.REJECTED, "10006")
    assert view_after(opened(), failed).positions[0].closing
    reduced = PositionReduced(1001, "EURUSD", 1, 4, 110_050, 300, ExitReason.OPERATOR)
    assert not view_after(opened(), failed, reduced).positions[0].closing


def test_positions_that_are_not_ours_are_shown_apart() -> None:
    seen = ForeignPositionSeen(9, "XAUUSD", 1, Direction.SELL, 5, 200_000)
    view = view_after(seen, ForeignPositionSeen(8, "EURUSD", 1, Direction.BUY, 5, 110_000))
    assert [(row.ticket, row.volume_lots, row.entry) for row in view.foreign] == [(9, None, None), (8, "0.05", "1.10000")]
    assert view_after(seen, ForeignPositionGone(9, "XAUUSD")).foreign == ()


@pytest.mark.parametrize(
    "end", [OrderOutcomeResolved("EURUSD-1", "EURUSD", Direction.BUY, 3, LINEAGE), opened(late=True)], ids=["absent", "filled"]
)
def test_an_order_of_unknown_outcome_is_shown_until_somebody_knows(end: Message) -> None:
    assert [order.proposal_id for order in view_after(unknown()).unknown_orders] == ["EURUSD-1"]
    assert view_after(unknown(), end).unknown_orders == ()


def test_today_counts_closed_trades_and_refusals_of_the_trading_day() -> None:
    spread = denied(DenialReason.SPREAD)
    day = (opened(), closed(net_cents=500), opened(1002), closed(1002), spread, spread, rejected())
    today = view_after(*day).today
    assert (today.trades, today.won, today.net_cents) == (2, 1, -500)
    assert today.refusals == {"spread": 2, "rejected_by_broker": 1}
    tomorrow = view_after(*day, TradingDayStarted("2026-01-06", 0, 1))
    assert (tomorrow.today.trades, tomorrow.today.refusals, tomorrow.trading_day) == (0, {}, "2026-01-06")


def test_mode_epoch_and_agreement_are_the_last_that_were_said() -> None:
    view = view_after(ModeChanged(Mode.RUN, 2, "test", "start"), BrokerAgreed(0))
    assert (view.mode, view.epoch, view.agreed) == (Mode.RUN, 2, True)
    assert not view_after(BrokerAgreed(0), BrokerDisagreed("position 7")).agreed
    assert not view_after(BrokerAgreed(0), STARTED).agreed


def test_holds_end_by_time_by_word_or_by_a_person() -> None:
    timed = HoldPlaced("circuit_breaker", "EURUSD", "spread", 100)
    lasting = HoldPlaced("supervision", "account", "crashed twice", 0)
    assert [hold.who for hold in view_after(timed, lasting, now_utc_ms=99).holds] == ["circuit_breaker", "supervision"]
    assert [hold.who for hold in view_after(timed, lasting, now_utc_ms=100).holds] == ["supervision"]
    assert view_after(timed, HoldEnded("circuit_breaker", "EURUSD")).holds == ()
    assert view_after(lasting, TradingRearmed("test", 1)).holds == ()


def test_what_is_flattened_is_shown_until_it_is_flat_or_a_person_rearms() -> None:
    account = FlattenProgressed("account", (1001, 1002), (7,))
    said = (FlattenProgressed("EURUSD", (1001,), ()), account, ScopeFlattened("EURUSD", ()))
    assert [(one.scope, one.tickets, one.foreign) for one in view_after(*said).flattening] == [("account", (1001, 1002), (7,))]
    assert view_after(*said, TradingRearmed("me", 1)).flattening == ()


def test_what_has_closed_is_not_shown_as_still_to_be_flattened() -> None:
    shown = view_after(opened(1001), FlattenProgressed("account", (1001, 1002), ()), closed(1001))
    assert [one.tickets for one in shown.flattening] == [(1002,)]


def test_an_unprotected_position_is_shown_until_it_is_protected_or_closed() -> None:
    alarms = [PositionUnprotected(ticket, "EURUSD", 1, Gap.NO_BROKER_STOP, 0, 109_660) for ticket in (1001, 1002)]
    said = (*alarms, PositionProtected(1001, "EURUSD"))
    assert [one.ticket for one in view_after(*said).unprotected] == [1002]
    assert view_after(*said, closed(1002)).unprotected == ()


def test_a_symbol_that_is_taken_over_is_shown_until_it_is_given_back() -> None:
    taken = SymbolTakenOver("EURUSD", "boom")
    assert view_after(taken).taken_over == ("EURUSD",)
    assert view_after(taken, SymbolGivenBack("EURUSD")).taken_over == ()


def test_restarts_count_since_the_process_started() -> None:
    first, again = ChildServing("risk_limit", 1), ChildServing("risk_limit", 2)
    children = [("risk_limit", True, 2)]
    (child,) = view_after(STARTED, first, again, children=children).children
    assert (child.name, child.serving, child.incarnation, child.restarts) == ("risk_limit", True, 2, 1)
    assert view_after(STARTED, first, again, STARTED, first, children=children).children[0].restarts == 0


def test_symbols_without_quotes_are_named() -> None:
    assert view_after(QuotesStale("EURUSD", 6_000)).stale == ("EURUSD",)
    assert view_after(QuotesStale("EURUSD", 6_000), QuotesResumed("EURUSD")).stale == ()


def test_limits_that_are_off_are_not_shown() -> None:
    assert view_after(account(1_000_000), opened(), limits=PLAIN).limits == ()


def test_positions_count_what_is_open_foreign_and_unknown() -> None:
    foreign = ForeignPositionSeen(9, "XAUUSD", 1, Direction.SELL, 5, 200_000)
    row = limit(view_after(opened(), foreign, unknown("EURUSD-2"), limits=PERSONAL), "positions_max")
    assert (row.used, row.limit, row.unit, row.room_ratio) == (3, 5, "count", 0.4)


def test_trades_are_counted_as_risk_limit_counts_them() -> None:
    messages = (opened(), opened(1002, adopted=True), opened(1003, lineage=Lineage("recovery", "", level=1)), closed())
    in_hour = view_after(*messages, limits=PERSONAL, now_utc_ms=HOUR_MS - 1)
    assert (limit(in_hour, "trades_per_day").used, limit(in_hour, "trades_per_hour").used) == (1, 1)
    later = view_after(*messages, limits=PERSONAL, now_utc_ms=HOUR_MS)
    assert (limit(later, "trades_per_day").used, limit(later, "trades_per_hour").used) == (1, 0)


def test_limits_in_money_wait_for_the_first_reading() -> None:
    assert {row.unit for row in view_after(limits=PERSONAL).limits} == {"count"}


def test_losses_are_measured_from_the_day_and_from_the_peak() -> None:
    view = view_after(
        account(1_000_000), TradingDayStarted("2026-01-06", 0, 1), account(1_100_000), account(990_000), limits=PERSONAL
    )
    day, drawdown = limit(view, "day_loss_pct"), limit(view, "drawdown")
    assert (day.used, day.limit) == (10_000, 30_000)
    assert (drawdown.used, drawdown.limit) == (110_000, 132_000), "10 % below the peak, 12 % are next"


def test_the_week_is_measured_from_its_own_start() -> None:
    days = [TradingDayStarted("2026-01-06", 0, 1, 2), TradingDayStarted("2026-01-07", 1, 2, 2)]
    week = limit(
        view_after(account(1_000_000), days[0], account(980_000), days[1], account(970_000), limits=PERSONAL), "week_loss_pct"
    )
    assert (week.used, week.limit) == (30_000, 60_000)
    next_week = view_after(account(1_000_000), account(980_000), TradingDayStarted("2026-01-11", 2, 3, 9), limits=PERSONAL)
    assert limit(next_week, "week_loss_pct").used == 0


def test_a_request_counts_for_the_trading_day_unless_it_never_left_us() -> None:
    sent, kept_back = order(proposal_id="EURUSD-1"), order(proposal_id="EURUSD-2")
    refused_before_it = denied(DenialReason.SPREAD, "EURUSD-3")
    messages = [account(1_000_000), sent, kept_back, refused_before_it, denied(DenialReason.QUOTE_AGE)]
    row = limit(view_after(*messages, limits=PERSONAL), "requests")
    assert (row.used, row.limit) == (1, 500)
    assert limit(view_after(*messages, TradingDayStarted("2026-01-07", 1, 2), limits=PERSONAL), "requests").used == 0


def test_refusals_of_the_broker_are_counted_until_a_request_does_what_it_should() -> None:
    refused = [order(), rejected("EURUSD-1"), order(proposal_id="EURUSD-2"), unknown("EURUSD-2")]
    row = limit(view_after(*refused, limits=PERSONAL), "rejects")
    assert (row.used, row.limit) == (2, 5)
    assert limit(view_after(*refused, opened(1002), limits=PERSONAL), "rejects").used == 0


def test_losses_in_a_row_are_counted_until_a_trade_does_not_lose() -> None:
    losses = [opened(1001), closed(1001, net_cents=-5), opened(1002), closed(1002, net_cents=-5)]
    row = limit(view_after(*losses, limits=PERSONAL), "consecutive_losses")
    assert (row.used, row.limit) == (2, 3), "the next of three steps"
    assert limit(view_after(*losses, opened(1003), closed(1003, net_cents=0), limits=PERSONAL), "consecutive_losses").used == 0


def test_after_a_rearm_the_peak_is_where_equity_is() -> None:
    view = view_after(account(1_000_000), account(900_000), TradingRearmed("test", 1), limits=PERSONAL)
    assert limit(view, "drawdown").used == 0


def test_open_risk_is_the_worst_case_of_what_is_open() -> None:
    row = limit(view_after(account(1_000_000), opened(), limits=PERSONAL), "open_risk_pct")
    assert (row.used, row.limit, row.room_ratio) == (1_200, 30_000, 0.96), "100 points, 20 of slippage, 0.10 lots"


def test_a_reached_limit_has_no_room() -> None:
    view = view_after(*(opened(1000 + n) for n in range(7)), limits=PERSONAL)
    assert limit(view, "positions_max").room_ratio == 0.0


def test_a_view_is_json_that_says_its_version() -> None:
    view = view_after(STARTED, account(1_000_000), opened(), bid=110_050, limits=PERSONAL, children=[("clock", True, 1)])
    body = msgspec.json.encode(view)
    assert msgspec.json.decode(body)["v"] == 1
    assert msgspec.json.decode(body, type=View) == view


def test_the_state_survives_a_snapshot() -> None:
    state = state_after(STARTED, account(1_000_000), opened(), unknown("EURUSD-2"), HoldPlaced("a", "account", "b", 0))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=ViewState) == state
