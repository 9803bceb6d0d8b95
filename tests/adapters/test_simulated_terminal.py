"""The simulated terminal: what a broker does with orders, levels and money, and each fault that can be written for it."""

import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from evenkeel.adapters.broker import Answer, Broker
from evenkeel.adapters.simulated.faults import Call, Fault, FaultKind, FaultScript
from evenkeel.adapters.simulated.server.book import BookUnreadable
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.messages.broker_gateway import (
    BrokerPosition,
    CloseRequest,
    Deal,
    DealEntry,
    DealReason,
    OpenRequest,
    Outcome,
    StopRequest,
)
from evenkeel.messages.market import DailyRange, Direction, PointWorth, Quote, SymbolSpec

BUY, SELL = Direction.BUY, Direction.SELL
EURUSD = SymbolSpec(
    spec_id=1,
    symbol="EURUSD",
    digits=5,
    contract_size=100_000,
    steps_per_lot=100,
    volume_min_steps=2,
    volume_max_steps=5_000,
    stops_level_points=10,
    worth=PointWorth(100, 1),
    notional_cents_per_lot=10_000_000,
    typical_spread_points=10,
    commission_cents_per_lot=350,
)
GBPUSD = msgspec.structs.replace(EURUSD, spec_id=2, symbol="GBPUSD")
SPECS = {"EURUSD": EURUSD, "GBPUSD": GBPUSD}


def worth(spec: SymbolSpec, points: int, volume_steps: int, close_price_points: int) -> int:
    """One point of one step is one cent."""
    return points * volume_steps


def terminal(*, balance_cents: int = 1_000_000, faults: Sequence[Fault] = (), **options: Any) -> SimulatedTerminal:
    return SimulatedTerminal(
        SPECS,
        start_balance_cents=balance_cents,
        currency="USD",
        currency_digits=2,
        leverage=100,
        profit_cents=worth,
        faults=FaultScript(tuple(faults)),
        **options,
    )


def quoted(bid_points: int = 110_000, ask_points: int = 110_010, **options: Any) -> SimulatedTerminal:
    broker = terminal(**options)
    broker.on_quote("EURUSD", 1_000, bid_points, ask_points)
    return broker


def order(direction: Direction = BUY, **changes: Any) -> OpenRequest:
    request = OpenRequest(
        symbol="EURUSD",
        spec_id=1,
        direction=direction,
        volume_steps=10,
        price_points=110_010 if direction is BUY else 110_000,
        deviation_points=5,
        stop_points=0,
        target_points=0,
        slot=0,
    )
    return msgspec.structs.replace(request, **changes)


def closing(ticket: int = 1001) -> CloseRequest:
    return CloseRequest(symbol="EURUSD", ticket=ticket, direction=BUY, remaining_steps=0)


def stops(stop_points: int, target_points: int = 0, *, ticket: int = 1001) -> StopRequest:
    return StopRequest(symbol="EURUSD", ticket=ticket, stop_points=stop_points, target_points=target_points)


def only_position(broker: Broker) -> BrokerPosition:
    positions = broker.positions()
    assert positions is not None
    (position,) = positions
    return position


def last_deal(broker: Broker) -> Deal:
    deals = broker.deals(0)
    assert deals
    return deals[-1]


def balance_cents(broker: Broker) -> int:
    account = broker.account()
    assert account is not None
    return account.balance_cents


def is_refused(answer: Answer, code: int) -> bool:
    return answer.outcome is Outcome.REJECTED and answer.code == code and answer.ticket == 0


# Opening


@pytest.mark.parametrize("direction, fill_points", [(BUY, 110_010), (SELL, 110_000)])
def test_an_open_fills_at_the_ask_or_the_bid(direction: Direction, fill_points: int) -> None:
    broker = quoted()

    answer = broker.open_position(order(direction), 77)

    assert (answer.outcome, answer.code, answer.ticket) == (Outcome.ACCEPTED, 10009, 1001)
    assert (answer.price_points, answer.volume_steps) == (fill_points, 10)
    position, deal = only_position(broker), last_deal(broker)
    assert (position.open_points, position.magic, position.opened_utc_ms) == (fill_points, 77, 1_000)
    assert (deal.deal_ticket, deal.position_ticket, deal.direction) == (5001, 1001, direction)
    assert (deal.entry, deal.reason, deal.magic) == (DealEntry.IN, DealReason.EXPERT, 77)


def test_each_open_is_a_position_of_its_own() -> None:
    broker = quoted()
    tickets = [broker.open_position(order(direction), 7).ticket for direction in (BUY, BUY, SELL)]
    assert tickets == [1001, 1002, 1003]


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"symbol": "USDJPY"}, 10013),
        ({"spec_id": 9}, 10013),
        ({"volume_steps": 1}, 10014),
        ({"volume_steps": 5_001}, 10014),
        ({"price_points": 0}, 10015),
        ({"stop_points": 109_991}, 10016),
        ({"stop_points": 110_500}, 10016),
        ({"target_points": 110_009}, 10016),
        ({"price_points": 110_016}, 10004),
        ({"price_points": 110_004}, 10004),
        ({"symbol": "GBPUSD", "spec_id": 2}, 10021),
        ({"volume_steps": 1_001}, 10019),
    ],
)
def test_an_order_that_breaks_a_rule_is_rejected_and_leaves_nothing(changes: dict[str, Any], code: int) -> None:
    broker = quoted()

    answer = broker.open_position(order(**changes), 7)

    assert is_refused(answer, code)
    assert broker.positions() == ()
    assert broker.deals(0) == ()


@pytest.mark.parametrize("asked_points", [110_005, 110_015])
def test_a_price_within_the_deviation_is_filled_at_the_current_one(asked_points: int) -> None:
    assert quoted().open_position(order(price_points=asked_points), 7).price_points == 110_010


@pytest.mark.parametrize("direction, stop_points, target_points", [(BUY, 109_990, 110_010), (SELL, 110_020, 110_000)])
def test_levels_may_stand_exactly_the_stops_level_away(direction: Direction, stop_points: int, target_points: int) -> None:
    answer = quoted().open_position(order(direction, stop_points=stop_points, target_points=target_points), 7)
    assert answer.outcome is Outcome.ACCEPTED


def test_margin_counts_what_is_open_already() -> None:
    broker = quoted(balance_cents=1_010_000)
    assert broker.open_position(order(volume_steps=600), 7).outcome is Outcome.ACCEPTED
    assert is_refused(broker.open_position(order(volume_steps=600), 8), 10019)


# Money


def test_the_balance_moves_by_deals_and_the_equity_with_the_price() -> None:
    broker = quoted()
    broker.open_position(order(), 7)
    broker.on_quote("EURUSD", 2_000, 110_110, 110_120)

    account = broker.account()

    assert account is not None
    assert account.balance_cents == 1_000_000 - 35
    assert account.equity_cents == account.balance_cents + 100 * 10
    assert account.margin_cents == 10_000_000 * 10 // 100 // 100
    assert (account.currency, account.currency_digits, account.leverage) == ("USD", 2, 100)


def test_a_close_books_profit_and_the_second_commission() -> None:
    broker = quoted()
    broker.open_position(order(), 7)
    broker.on_quote("EURUSD", 2_000, 110_110, 110_120)

    answer = broker.close_position(closing(), 10, 9)

    deal = last_deal(broker)
    assert (answer.outcome, answer.code, answer.price_points, answer.volume_steps) == (Outcome.ACCEPTED, 10009, 110_110, 10)
    assert (deal.entry, deal.direction, deal.magic, deal.time_utc_ms) == (DealEntry.OUT, SELL, 9, 2_000)
    assert (deal.profit_cents, deal.commission_cents, deal.swap_cents) == (1_000, -35, 0)
    assert balance_cents(broker) == 1_000_000 + 1_000 - 70
    assert broker.positions() == ()


def test_commission_of_a_broken_cent_is_rounded_up() -> None:
    broker = quoted()
    broker.open_position(order(volume_steps=3), 7)
    assert last_deal(broker).commission_cents == -11


# Closing and levels


def test_a_partial_close_leaves_the_rest_under_the_same_ticket() -> None:
    broker = quoted()
    broker.open_position(order(stop_points=109_900), 7)

    broker.close_position(closing(), 4, 7)

    position = only_position(broker)
    assert (position.ticket, position.volume_steps, position.stop_points) == (1001, 6, 109_900)
    assert last_deal(broker).volume_steps == 4


@pytest.mark.parametrize("ticket, volume_steps, code", [(1009, 10, 10036), (1001, 11, 10038), (1001, 1, 10014)])
def test_a_close_that_cannot_be_is_rejected(ticket: int, volume_steps: int, code: int) -> None:
    broker = quoted()
    broker.open_position(order(), 7)
    assert is_refused(broker.close_position(closing(ticket), volume_steps, 7), code)
    assert only_position(broker).volume_steps == 10


def test_a_ticket_of_another_symbol_is_rejected() -> None:
    broker = quoted()
    broker.open_position(order(), 7)
    broker.on_quote("GBPUSD", 1_000, 120_000, 120_010)
    in_pounds = {"symbol": "GBPUSD"}
    assert is_refused(broker.close_position(msgspec.structs.replace(closing(), **in_pounds), 10, 7), 10013)
    assert is_refused(broker.set_stops(msgspec.structs.replace(stops(109_900), **in_pounds)), 10013)


def test_a_rest_below_the_minimum_can_be_closed_whole() -> None:
    broker = quoted()
    broker.open_position(order(volume_steps=3), 7)
    broker.close_position(closing(), 2, 7)
    assert broker.close_position(closing(), 1, 7).outcome is Outcome.ACCEPTED


def test_both_levels_are_replaced() -> None:
    broker = quoted()
    broker.open_position(order(stop_points=109_900, target_points=110_200), 7)

    answer = broker.set_stops(stops(109_950))

    assert (answer.outcome, answer.code) == (Outcome.ACCEPTED, 10009)
    assert (only_position(broker).stop_points, only_position(broker).target_points) == (109_950, 0)


def test_the_same_levels_again_are_accepted_as_no_change() -> None:
    broker = quoted()
    broker.open_position(order(stop_points=109_900), 7)
    answer = broker.set_stops(stops(109_900))
    assert (answer.outcome, answer.code) == (Outcome.ACCEPTED, 10025)


@pytest.mark.parametrize("request_, code", [(stops(109_995), 10016), (stops(109_900, ticket=1009), 10036)])
def test_levels_that_cannot_be_are_rejected(request_: StopRequest, code: int) -> None:
    broker = quoted()
    broker.open_position(order(stop_points=109_950), 7)
    assert is_refused(broker.set_stops(request_), code)
    assert only_position(broker).stop_points == 109_950


# What the broker does by itself


@pytest.mark.parametrize(
    "direction, levels, quote, reason, close_points",
    [
        (BUY, (109_900, 0), (109_900, 109_930), DealReason.STOP, 109_900),
        (BUY, (0, 110_200), (110_200, 110_230), DealReason.TARGET, 110_200),
        (SELL, (110_100, 0), (110_070, 110_100), DealReason.STOP, 110_100),
        (SELL, (0, 109_800), (109_770, 109_800), DealReason.TARGET, 109_800),
        (BUY, (109_900, 0), (109_000, 109_030), DealReason.STOP, 109_000),
        (SELL, (110_100, 0), (111_000, 111_030), DealReason.STOP, 111_030),
        (BUY, (0, 110_200), (111_000, 111_030), DealReason.TARGET, 111_000),
    ],
)
def test_a_level_is_executed_at_the_quote_that_reaches_it(
    direction: Direction, levels: tuple[int, int], quote: tuple[int, int], reason: DealReason, close_points: int
) -> None:
    broker = quoted()
    broker.open_position(order(direction, stop_points=levels[0], target_points=levels[1]), 7)

    assert broker.on_quote("EURUSD", 2_000, *quote)

    deal = last_deal(broker)
    assert (deal.reason, deal.price_points, deal.magic, deal.time_utc_ms) == (reason, close_points, 7, 2_000)
    assert broker.positions() == ()


@pytest.mark.parametrize("direction, quote", [(BUY, (109_901, 110_200)), (SELL, (109_801, 110_099))])
def test_a_quote_between_the_levels_does_nothing(direction: Direction, quote: tuple[int, int]) -> None:
    broker = quoted()
    levels = (109_900, 110_200) if direction is BUY else (110_100, 109_800)
    broker.open_position(order(direction, stop_points=levels[0], target_points=levels[1]), 7)
    assert not broker.on_quote("EURUSD", 2_000, *quote)
    assert only_position(broker)


def test_a_level_of_another_symbol_is_left_alone() -> None:
    broker = quoted()
    broker.open_position(order(stop_points=109_900), 7)
    assert not broker.on_quote("GBPUSD", 2_000, 100, 110)


def test_stop_out_comes_at_the_first_quote_below_half_of_the_margin() -> None:
    broker = quoted(balance_cents=12_000)
    broker.open_position(order(volume_steps=10), 7)  # margin 10,000 cents; equity 11,965 less 10 cents a point
    level_points = 110_010 - (11_965 - 5_000) // 10

    assert not broker.on_quote("EURUSD", 2_000, level_points, level_points + 10)
    assert broker.on_quote("EURUSD", 3_000, level_points - 1, level_points + 9)
    assert (last_deal(broker).reason, last_deal(broker).price_points) == (DealReason.STOP_OUT, level_points - 1)


def test_stop_out_takes_the_position_that_loses_most_and_spares_the_rest() -> None:
    broker = quoted(balance_cents=30_000)
    broker.open_position(order(volume_steps=20), 7)
    broker.open_position(order(SELL, volume_steps=5), 8)

    broker.on_quote("EURUSD", 2_000, 110_010 - 1_200, 110_010 - 1_190)

    assert last_deal(broker).position_ticket == 1001
    assert only_position(broker).ticket == 1002


@pytest.mark.parametrize("seed", range(5))
def test_the_margin_level_never_stays_below_the_stop_out(seed: int) -> None:
    """Two symbols drift together: the bands that let quiet quotes pass must not hide a stop-out."""
    draw, broker = random.Random(seed), terminal(balance_cents=80_000)
    bids = {"EURUSD": 110_000, "GBPUSD": 120_000}
    for symbol, bid in bids.items():
        broker.on_quote(symbol, 1, bid, bid + 10)
        for direction in (BUY, BUY, SELL):
            broker.person_opens(symbol, direction, draw.randint(5, 12))
    for step in range(4_000):
        symbol = draw.choice(list(bids))
        bids[symbol] += draw.randint(-14, 7)
        broker.on_quote(symbol, step, bids[symbol], bids[symbol] + draw.randint(1, 20))
        account = broker.account()
        assert account is not None
        assert 2 * account.equity_cents >= account.margin_cents or not broker.positions()
    assert last_deal(broker).reason is DealReason.STOP_OUT


def test_a_person_may_open_and_close_by_hand() -> None:
    broker = quoted()

    ticket = broker.person_opens("EURUSD", SELL, 5)

    assert (only_position(broker).ticket, only_position(broker).magic) == (ticket, 0)
    broker.person_closes(ticket)
    assert (last_deal(broker).reason, last_deal(broker).magic) == (DealReason.CLIENT, 0)
    assert broker.positions() == ()


# Readings


def test_deals_are_read_after_a_ticket() -> None:
    broker = quoted()
    for magic in (1, 2, 3):
        broker.open_position(order(), magic)
    deals = broker.deals(5001)
    assert deals is not None
    assert [deal.deal_ticket for deal in deals] == [5002, 5003]


def test_an_unknown_symbol_has_no_quote_no_days_and_no_specification() -> None:
    broker = terminal()
    assert broker.quote("EURUSD") is None
    assert broker.symbol("USDJPY") is None
    assert broker.daily_ranges("USDJPY", 5) == ()


def test_the_last_finished_days_are_read() -> None:
    days = [DailyRange(high_points=n + 2, low_points=n, close_points=n + 1) for n in range(5)]
    broker = terminal(daily={"EURUSD": days})
    assert broker.daily_ranges("EURUSD", 2) == days[3:]
    assert broker.daily_ranges("EURUSD", 9) == days
    assert broker.daily_ranges("EURUSD", 0) == []


def test_the_newest_ticks_are_kept() -> None:
    broker = terminal(keep_ticks=3)
    for time_utc_ms in range(5):
        broker.on_quote("EURUSD", time_utc_ms, 110_000, 110_010)
    ticks = broker.ticks("EURUSD", 3)
    assert ticks == (Quote(3, 110_000, 110_010), Quote(4, 110_000, 110_010))
    assert [tick.time_utc_ms for tick in broker.ticks("EURUSD", 0) or ()] == [2, 3, 4]


def test_recorded_ticks_are_shown_up_to_the_newest_quote_only() -> None:
    recorded = [Quote(time_utc_ms, 110_000, 110_010) for time_utc_ms in range(500, 2_000, 500)]
    assert quoted(recorded_ticks=lambda symbol, from_utc_ms: recorded).ticks("EURUSD", 0) == recorded[:2]


# Faults


@pytest.mark.parametrize(
    "fault, code",
    [(Fault(FaultKind.REQUOTE, Call.OPEN, 1), 10004), (Fault(FaultKind.REJECT, Call.OPEN, 1, code=10018), 10018)],
)
def test_a_scripted_refusal_comes_once(fault: Fault, code: int) -> None:
    broker = quoted(faults=[fault])
    assert is_refused(broker.open_position(order(), 7), code)
    assert broker.open_position(order(), 8).outcome is Outcome.ACCEPTED


def test_a_fault_waits_for_its_call() -> None:
    broker = quoted(faults=[Fault(FaultKind.REQUOTE, Call.OPEN, 2)])
    outcomes = [broker.open_position(order(), magic).outcome for magic in (1, 2, 3)]
    assert outcomes == [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.ACCEPTED]


@pytest.mark.parametrize("kind, positions", [(FaultKind.LOST_BEFORE, 0), (FaultKind.LOST_AFTER, 1)])
def test_a_lost_reply_is_unknown_whatever_was_executed(kind: FaultKind, positions: int) -> None:
    broker = quoted(faults=[Fault(kind, Call.OPEN, 1)])

    answer = broker.open_position(order(), 7)

    assert (answer.outcome, answer.ticket) == (Outcome.UNKNOWN, 0)
    assert len(broker.positions() or ()) == positions


def test_a_lost_close_may_have_happened() -> None:
    broker = quoted(faults=[Fault(FaultKind.LOST_AFTER, Call.CLOSE, 1)])
    broker.open_position(order(), 7)
    assert broker.close_position(closing(), 10, 7).outcome is Outcome.UNKNOWN
    assert is_refused(broker.close_position(closing(), 10, 7), 10036)


def test_a_late_open_is_filled_at_the_quote_of_its_own_symbol_when_it_comes() -> None:
    broker = quoted(faults=[Fault(FaultKind.LATE, Call.OPEN, 1, after_quotes=2)])
    assert broker.open_position(order(), 7).outcome is Outcome.UNKNOWN

    assert not broker.on_quote("EURUSD", 2_000, 110_100, 110_110)
    assert not broker.on_quote("GBPUSD", 2_500, 120_000, 120_010)
    assert broker.on_quote("EURUSD", 3_000, 110_200, 110_210)

    assert (only_position(broker).open_points, only_position(broker).opened_utc_ms) == (110_210, 3_000)
    assert not broker.on_quote("EURUSD", 4_000, 110_300, 110_310)


def test_late_levels_are_set_when_they_come() -> None:
    broker = quoted(faults=[Fault(FaultKind.LATE, Call.SET_STOPS, 1)])
    broker.open_position(order(), 7)
    broker.set_stops(stops(109_900))
    assert only_position(broker).stop_points == 0
    assert not broker.on_quote("EURUSD", 2_000, 110_000, 110_010)
    assert broker.on_quote("EURUSD", 3_000, 109_900, 109_910)


@pytest.mark.parametrize("on", [Call.OPEN, Call.DEALS])
def test_delayed_history_shows_the_deal_only_after_more_quotes(on: Call) -> None:
    broker = quoted(faults=[Fault(FaultKind.DELAYED_HISTORY, on, 1, after_quotes=2)])
    assert broker.open_position(order(), 7).outcome is Outcome.ACCEPTED

    assert broker.deals(0) == ()
    broker.on_quote("EURUSD", 2_000, 110_000, 110_010)
    assert broker.deals(0) == ()
    broker.on_quote("GBPUSD", 3_000, 120_000, 120_010)
    assert last_deal(broker).deal_ticket == 5001


@pytest.mark.parametrize(
    "on, read",
    [
        (Call.POSITIONS, lambda broker: broker.positions()),
        (Call.DEALS, lambda broker: broker.deals(0)),
        (Call.ACCOUNT, lambda broker: broker.account()),
    ],
)
def test_an_unreadable_reading_is_none_once(on: Call, read: Callable[[Broker], object]) -> None:
    broker = quoted(faults=[Fault(FaultKind.UNREADABLE, on, 1)])
    assert read(broker) is None
    assert read(broker) is not None


def test_an_empty_reading_hides_what_exists() -> None:
    broker = quoted(faults=[Fault(FaultKind.EMPTY, Call.POSITIONS, 1)])
    broker.open_position(order(), 7)
    assert broker.positions() == ()
    assert only_position(broker)


@pytest.mark.parametrize(
    "kind, on, nth", [(FaultKind.EMPTY, Call.OPEN, 1), (FaultKind.LATE, Call.DEALS, 1), (FaultKind.LATE, Call.OPEN, 0)]
)
def test_a_fault_that_cannot_be_is_not_written(kind: FaultKind, on: Call, nth: int) -> None:
    with pytest.raises(ValueError):
        Fault(kind, on, nth)


def test_a_call_has_one_fault() -> None:
    with pytest.raises(ValueError, match="two faults"):
        FaultScript((Fault(FaultKind.LATE, Call.OPEN, 1), Fault(FaultKind.REQUOTE, Call.OPEN, 1)))


# The file


def test_the_account_survives_our_process(tmp_path: Path) -> None:
    store = tmp_path / "book"
    before = quoted(store=store)
    before.open_position(order(stop_points=109_900), 7)
    before.open_position(order(SELL), 8)
    before.close_position(closing(1002), 10, 8)
    before.set_stops(stops(109_950))

    after = terminal(store=store, balance_cents=1)

    assert after.positions() == before.positions()
    assert after.deals(0) == before.deals(0)
    assert after.account() == before.account()
    assert after.quote("EURUSD") == Quote(1_000, 110_000, 110_010)
    assert after.on_quote("EURUSD", 2_000, 109_940, 109_950)
    assert (last_deal(after).deal_ticket, last_deal(after).price_points) == (5004, 109_940)
    assert after.person_opens("EURUSD", BUY, 2) == 1005  # the orders that closed had a ticket each


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    store = tmp_path / "book"
    quoted(store=store).person_opens("EURUSD", BUY, 2)
    store.write_bytes(store.read_bytes()[:-9])
    with pytest.raises(BookUnreadable, match=r"\A.*book: not a broker's book: .*\Z"):
        terminal(store=store)


def test_a_book_of_other_symbols_is_refused(tmp_path: Path) -> None:
    quoted(store=tmp_path / "book").person_opens("EURUSD", BUY, 2)
    with pytest.raises(BookUnreadable, match="EURUSD"):
        SimulatedTerminal(
            {"GBPUSD": GBPUSD},
            start_balance_cents=1,
            currency="USD",
            currency_digits=2,
            leverage=100,
            profit_cents=worth,
            store=tmp_path / "book",
        )


# Threads


def test_orders_and_quotes_from_two_threads_leave_whole_accounts() -> None:
    broker = quoted(balance_cents=10**9)

    def trade() -> None:
        for magic in range(300):
            ticket = broker.open_position(order(deviation_points=10_000, stop_points=105_000), magic).ticket
            broker.close_position(closing(ticket), 10, magic)

    trader = threading.Thread(target=trade)
    trader.start()
    for time_utc_ms in range(3_000):
        broker.on_quote("EURUSD", time_utc_ms, 110_000 + time_utc_ms % 50, 110_010 + time_utc_ms % 50)
    trader.join()

    deals = broker.deals(0)
    assert deals is not None
    assert [deal.deal_ticket for deal in deals] == list(range(5001, 5601))
    assert balance_cents(broker) == 10**9 + sum(deal.profit_cents + deal.commission_cents for deal in deals)
