"""What every broker behind the port does: the simulated package in this process, through a terminal host, and, where the
environment names a demo account on Windows, the real one (EVENKEEL_DEMO_SYMBOL, a terminal that is logged in)."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from evenkeel.adapters.broker import Broker
from evenkeel.adapters.frame_server import FrameServer
from evenkeel.adapters.gate import DurableGate
from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.mt5.broker import DAY_MS, Mt5Broker
from evenkeel.adapters.mt5.module import Expected, load
from evenkeel.adapters.mt5.server_time import ServerTime
from evenkeel.adapters.simulated.account_file import default_account
from evenkeel.adapters.simulated.api import MetaTrader5Like
from evenkeel.adapters.simulated.server.terms import Assumptions
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.budget import Budget
from evenkeel.adapters.terminal_host.client import HostedBroker, HostLink
from evenkeel.adapters.terminal_host.keeper import local_connect
from evenkeel.adapters.terminal_host.service import TerminalService
from evenkeel.messages.broker_gateway import (
    CashKind,
    CloseRequest,
    DealEntry,
    DealReason,
    OpenRequest,
    Outcome,
    StopRequest,
)
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode
from evenkeel.rules.magic import magic_for, magic_in
from evenkeel.rules.money import balance_cents_of
from evenkeel.runtime.clock import ManualClock, SystemClock, monotonic_s

NOW_UTC_MS = 1_767_600_000_000
SYMBOL = "EURUSD"


class Stage(NamedTuple):
    broker: Broker
    advance: Callable[[float], None]
    package: Any
    symbol: str


class Ahead(ManualClock):
    def pass_s(self, seconds: float) -> None:
        self.advance_to(self.now_utc_ms() + round(seconds * 1000))


def connected(tmp_path: Path, clock: Ahead, **changes: Any) -> tuple[Mt5Broker, MetaTrader5Like]:
    package = MetaTrader5Like(opened=msgspec.structs.replace(default_account(), **changes), clock=clock)
    broker = Mt5Broker(
        package,
        Expected(),
        ServerTime(None),
        now_utc_ms=clock.now_utc_ms,
        monotonic_s=lambda: clock.monotonic_ns() / 1e9,
        spec_store=tmp_path / "specs",
    )
    broker.connect()
    broker.quote(SYMBOL)  # the server's clock is known when a tick comes that was not there before
    clock.pass_s(3)
    broker.quote(SYMBOL)
    return broker, package


@pytest.fixture(params=["inside", "host", "real"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    if request.param == "real":
        yield real_stage()
        return
    clock = Ahead(NOW_UTC_MS)
    broker, package = connected(tmp_path, clock)
    clock.pass_s(5)
    if request.param == "inside":
        yield Stage(broker, clock.pass_s, package, SYMBOL)
        return
    service = TerminalService(
        broker,
        DurableGate(tmp_path / "gate"),
        Budget(1000, 0.5, monotonic_s),
        epoch_on_disk=lambda: 0,
        monotonic_s=monotonic_s,
        silent_limit_s=60.0,
        build="test",
        on_leave=lambda: None,
    )
    server = FrameServer(tmp_path / "host", service.reply, name="host", started_utc_ms=1)
    server.start()
    link = HostLink(local_connect(server.endpoint_file), 10.0)
    beaten = link.ask(verbs.Beat(Mode.RUN, 0, 0))
    assert isinstance(beaten, verbs.Beaten)
    assert (beaten.epoch, beaten.refusal) == (0, "")
    yield Stage(HostedBroker(link, link), clock.pass_s, package, SYMBOL)
    link.close()
    server.stop()


def real_stage() -> Stage:
    symbol = os.environ.get("EVENKEEL_DEMO_SYMBOL")
    if sys.platform != "win32" or not symbol:
        pytest.skip("no demo account of the real MetaTrader 5 is named here: EVENKEEL_DEMO_SYMBOL, on Windows")
    import time

    broker = Mt5Broker(load(), Expected(), ServerTime(None), now_utc_ms=SystemClock().now_utc_ms, monotonic_s=monotonic_s)
    broker.connect()
    assert broker.identity is not None
    assert broker.identity.trade_mode == "demo", "only a demo account is traded by a test"
    return Stage(broker, lambda seconds: time.sleep(seconds), None, symbol)


def opening(stage: Stage, direction: Direction = Direction.BUY, **changes: Any) -> OpenRequest:
    spec, quote = stage.broker.symbol(stage.symbol), stage.broker.quote(stage.symbol)
    assert spec is not None
    assert quote is not None
    price_points = quote.ask_points if direction is Direction.BUY else quote.bid_points
    request = OpenRequest(stage.symbol, spec.spec_id, direction, spec.volume_min_steps * 2, price_points, 500, 0, 0, 0)
    return msgspec.structs.replace(request, **changes)


def opened(stage: Stage, magic: int = 77, intent_id: int = 1, **changes: Any) -> int:
    answer = stage.broker.open_position(opening(stage, **changes), magic, intent_id=intent_id)
    assert answer.outcome is Outcome.ACCEPTED, answer
    return answer.ticket


def test_an_open_is_seen_as_a_position_and_a_deal_of_its_magic(stage: Stage) -> None:
    ticket = opened(stage)

    positions, deals = stage.broker.positions(), stage.broker.deals(0)
    assert positions is not None
    assert deals is not None
    (held,) = [one for one in positions if one.ticket == ticket]
    assert (held.symbol, held.direction, held.magic) == (stage.symbol, Direction.BUY, 77)
    deal = next(one for one in deals if one.position_ticket == ticket)
    assert (deal.entry, deal.magic, deal.volume_steps, deal.price_points) == (
        DealEntry.IN,
        77,
        held.volume_steps,
        held.open_points,
    )


def test_the_comment_of_an_order_stands_in_its_position_and_its_deal(stage: Stage) -> None:
    magic = magic_for(7, 1)
    ticket = opened(stage, magic)
    positions, deals = stage.broker.positions(), stage.broker.deals(0)
    assert positions is not None
    assert deals is not None
    (held,) = [one for one in positions if one.ticket == ticket]
    deal = next(one for one in deals if one.position_ticket == ticket)
    assert (magic_in(held.comment), magic_in(deal.comment)) == (magic, magic)
    assert (held.reason, deal.reason) == (DealReason.EXPERT, DealReason.EXPERT)


def test_part_of_a_position_is_closed_then_the_rest(stage: Stage) -> None:
    ticket = opened(stage)
    positions = stage.broker.positions()
    assert positions is not None
    (held,) = [one for one in positions if one.ticket == ticket]
    half = held.volume_steps // 2
    request = CloseRequest(stage.symbol, ticket, held.direction, half)

    assert stage.broker.close_position(request, half, 78).outcome is Outcome.ACCEPTED
    positions = stage.broker.positions()
    assert positions is not None
    assert [one.volume_steps for one in positions if one.ticket == ticket] == [half]

    assert stage.broker.close_position(request, half, 79).outcome is Outcome.ACCEPTED
    positions, deals = stage.broker.positions(), stage.broker.deals(0)
    assert positions is not None
    assert deals is not None
    assert [one for one in positions if one.ticket == ticket] == []
    assert [one.entry for one in deals if one.position_ticket == ticket] == [DealEntry.IN, DealEntry.OUT, DealEntry.OUT]


def test_stops_are_set_and_the_same_again_is_no_failure(stage: Stage) -> None:
    ticket = opened(stage)
    quote = stage.broker.quote(stage.symbol)
    assert quote is not None
    request = StopRequest(stage.symbol, ticket, quote.bid_points - 500, quote.bid_points + 900)

    assert stage.broker.set_stops(request).outcome is Outcome.ACCEPTED
    assert stage.broker.set_stops(request).outcome is Outcome.ACCEPTED

    positions = stage.broker.positions()
    assert positions is not None
    (held,) = [one for one in positions if one.ticket == ticket]
    assert (held.stop_points, held.target_points) == (request.stop_points, request.target_points)


def test_a_position_that_is_gone_is_a_definite_reject(stage: Stage) -> None:
    ticket = opened(stage)
    positions = stage.broker.positions()
    assert positions is not None
    (held,) = [one for one in positions if one.ticket == ticket]
    request = CloseRequest(stage.symbol, ticket, held.direction, 0)
    assert stage.broker.close_position(request, held.volume_steps, 78).outcome is Outcome.ACCEPTED

    answer = stage.broker.close_position(request, held.volume_steps, 79)

    assert (answer.outcome, answer.code) == (Outcome.REJECTED, 10036)


def test_a_stop_on_the_wrong_side_is_refused_whole(stage: Stage) -> None:
    request = opening(stage)
    wrong = msgspec.structs.replace(request, stop_points=request.price_points + 5_000)
    answer = stage.broker.open_position(wrong, 80, intent_id=9)
    assert (answer.outcome, answer.code) == (Outcome.REJECTED, 10016)


def test_terms_that_are_not_the_present_ones_are_never_sent(stage: Stage) -> None:
    request = msgspec.structs.replace(opening(stage), spec_id=999)
    answer = stage.broker.open_position(request, 80, intent_id=9)
    assert (answer.outcome, answer.detail) == (Outcome.VOID, DenialReason.SPEC_UNKNOWN.value)


def test_ticks_come_in_order_from_the_asked_time_up_to_the_newest_quote(stage: Stage) -> None:
    stage.advance(3)
    quote = stage.broker.quote(stage.symbol)
    assert quote is not None
    ticks = stage.broker.ticks(stage.symbol, quote.time_utc_ms - 60_000)
    assert ticks
    times = [one.time_utc_ms for one in ticks]
    assert times == sorted(times)
    assert times[0] >= quote.time_utc_ms - 60_000
    assert ticks[-1] == quote


def test_the_last_finished_days_have_highs_above_their_lows(stage: Stage) -> None:
    days = stage.broker.daily_ranges(stage.symbol, 30)
    assert days
    assert len(days) == 30
    assert all(day.high_points >= day.close_points >= day.low_points for day in days)


def test_the_account_says_what_it_holds(stage: Stage) -> None:
    account = stage.broker.account()
    assert account is not None
    assert account.leverage > 0
    assert account.equity_cents != 0


def test_the_history_holds_every_cent_of_the_balance(stage: Stage) -> None:
    before, ticket = stage.broker.account(), opened(stage)
    positions = stage.broker.positions()
    assert before is not None
    assert positions is not None
    (held,) = [one for one in positions if one.ticket == ticket]
    last = max(one.deal_ticket for one in stage.broker.deals(0) or ())
    stage.advance(5)
    assert stage.broker.close_position(CloseRequest(stage.symbol, ticket, held.direction, 0), held.volume_steps, 78)
    after, deals = stage.broker.account(), stage.broker.deals(0)
    assert after is not None
    assert deals is not None
    moved = [balance_cents_of(one) for one in deals if one.position_ticket == ticket]
    assert after.balance_cents - before.balance_cents == sum(moved)
    assert stage.broker.cash(last) == [] or not stage.package


# Of the simulated package alone: what a test may do to its world


@pytest.fixture
def clock() -> Ahead:
    return Ahead(NOW_UTC_MS)


def test_the_terms_keep_their_number_through_the_death_of_the_process(tmp_path: Path, clock: Ahead) -> None:
    first, _ = connected(tmp_path, clock)
    spec = first.symbol("USDJPY")

    again, _ = connected(tmp_path, clock)

    assert spec is not None
    assert again.symbol("USDJPY") == spec
    assert spec.spec_id == 2


def test_a_lost_connection_reads_as_nothing_and_mends_itself(tmp_path: Path, clock: Ahead) -> None:
    broker, package = connected(tmp_path, clock)
    clock.pass_s(1)
    assert broker.quote(SYMBOL) is not None
    package.session.disconnect()
    assert broker.positions() is None  # tried too soon after the last time
    clock.pass_s(6)
    assert broker.positions() is None
    assert broker.positions() == []


def test_a_terminal_that_is_on_another_account_is_not_believed_and_gets_no_order(tmp_path: Path, clock: Ahead) -> None:
    package = MetaTrader5Like(opened=default_account(), clock=clock)
    expected = Expected(login=5_000_001)
    broker = Mt5Broker(package, expected, ServerTime(None), now_utc_ms=clock.now_utc_ms, monotonic_s=lambda: 0.0)
    broker.connect()
    broker.quote(SYMBOL)
    clock.pass_s(2)
    broker.quote(SYMBOL)
    there = Stage(broker, clock.pass_s, package, SYMBOL)
    ticket = opened(there)
    request = opening(there)

    package.session.login = 4711

    assert (broker.positions(), broker.deals(0)) == (None, None)
    answer = broker.open_position(request, 78, intent_id=2)
    assert (answer.outcome, answer.detail) == (Outcome.VOID, "account_mismatch")
    assert broker.refusal == "the terminal is on login 4711, the configuration names 5000001"
    package.session.login = 5_000_001
    assert [one.ticket for one in broker.positions() or ()] == [ticket]


def test_a_terminal_without_its_broker_shows_no_positions_that_anybody_believes(tmp_path: Path, clock: Ahead) -> None:
    broker, package = connected(tmp_path, clock)
    package.session.connected = False
    assert broker.positions() is None


def test_the_history_is_asked_a_day_ahead_of_our_clock(tmp_path: Path, clock: Ahead) -> None:
    broker, _ = connected(tmp_path, clock, assumptions=Assumptions(server_zone="UTC+3"))
    clock.pass_s(2)
    there = Stage(broker, clock.pass_s, None, SYMBOL)
    ticket = opened(there)
    deals = broker.deals(0)
    assert deals is not None
    assert [one.position_ticket for one in deals] == [ticket]
    assert abs(deals[0].time_utc_ms - clock.now_utc_ms()) < 5_000  # the server's clock is three hours ahead
    assert DAY_MS > 3 * 3_600_000


def test_a_lost_reply_is_unknown_whether_or_not_it_was_carried_out(tmp_path: Path, clock: Ahead) -> None:
    market = msgspec.structs.replace(default_account().market, play="")
    broker, package = connected(tmp_path, clock, market=market)
    clock.pass_s(2)
    there = Stage(broker, clock.pass_s, package, SYMBOL)
    request = opening(there)
    from evenkeel.adapters.simulated.faults import Call
    from evenkeel.adapters.simulated.packs import CallEvent
    from evenkeel.adapters.simulated.play import Troubles

    for number, kind in enumerate(("lost_before", "lost_after")):
        package.session._troubles = Troubles([CallEvent(kind=kind, on=(Call.OPEN,))], 1)  # type: ignore[arg-type]
        assert broker.open_position(request, 80 + number, intent_id=number).outcome is Outcome.UNKNOWN
    assert [one.magic for one in broker.positions() or ()] == [81]


def test_a_position_that_nobody_can_understand_stops_new_ones_and_hinders_no_close(tmp_path: Path, clock: Ahead) -> None:
    broker, package = connected(tmp_path, clock)
    there = Stage(broker, clock.pass_s, package, SYMBOL)
    ticket, request = opened(there), opening(there)
    server = package.session.server
    server.replace_terms(msgspec.structs.replace(server.symbols["GBPUSD"], shown_tick_value=0.0))
    package.order_send({"action": 1, "symbol": "GBPUSD", "volume": 0.1, "type": 0, "type_filling": 1})

    positions, deals = broker.positions(), broker.deals(0)

    assert positions is not None
    assert deals is not None
    assert [one.ticket for one in positions] == [ticket]
    answer = broker.open_position(request, 78, intent_id=2)
    assert (answer.outcome, answer.detail) == (Outcome.VOID, "unreconciled")
    close = CloseRequest(SYMBOL, ticket, Direction.BUY, 0)
    assert broker.close_position(close, positions[0].volume_steps, 79).outcome is Outcome.ACCEPTED


def test_a_close_goes_out_even_where_the_broker_says_that_it_takes_no_filling(tmp_path: Path, clock: Ahead) -> None:
    broker, package = connected(tmp_path, clock)
    there = Stage(broker, clock.pass_s, package, SYMBOL)
    ticket = opened(there)
    server = package.session.server
    server.replace_terms(msgspec.structs.replace(server.symbols[SYMBOL], filling_mask=0))
    broker.symbol(SYMBOL)
    assert broker.positions()
    answer = broker.close_position(CloseRequest(SYMBOL, ticket, Direction.BUY, 0), 2, 79)
    assert (answer.outcome, answer.code) == (Outcome.REJECTED, 10030)


def test_stops_of_a_position_that_could_not_be_read_are_unknown_not_refused(tmp_path: Path, clock: Ahead) -> None:
    broker, package = connected(tmp_path, clock)
    ticket = opened(Stage(broker, clock.pass_s, package, SYMBOL))
    broker._tickets.clear()  # as a new process begins
    package.session.connected = False
    assert broker.set_stops(StopRequest(SYMBOL, ticket, 100_000, 0)).outcome is Outcome.UNKNOWN


def test_what_is_no_trade_is_cash_and_all_lines_together_are_the_balance(tmp_path: Path, clock: Ahead) -> None:
    broker, package = connected(tmp_path, clock)
    book = package.session.server.book
    opened(Stage(broker, clock.pass_s, package, SYMBOL))
    for kind, cents in ((mt5.DEAL_TYPE_BALANCE, 50_000), (mt5.DEAL_TYPE_CREDIT, 9_900), (mt5.DEAL_TYPE_CHARGE, -20_00)):
        book.operate(kind, cents, "by hand")
    account, deals, cash = broker.account(), broker.deals(0), broker.cash(0)
    assert account is not None
    assert deals is not None
    assert cash is not None
    assert [one.kind for one in cash] == [CashKind.BALANCE, CashKind.BALANCE, CashKind.CREDIT, CashKind.CHARGE]
    assert sum(balance_cents_of(one) for one in (*deals, *cash)) == account.balance_cents
    assert account.credit_cents == 9_900
    assert [one.deal_ticket for one in broker.cash(cash[1].deal_ticket) or ()] == [one.deal_ticket for one in cash[2:]]


def test_digits_that_change_while_something_is_open_are_taken_up_when_it_is_flat(tmp_path: Path, clock: Ahead) -> None:
    broker, package = connected(tmp_path, clock)
    ticket = opened(Stage(broker, clock.pass_s, package, SYMBOL))
    before, request = broker.symbol(SYMBOL), opening(Stage(broker, clock.pass_s, package, SYMBOL))
    assert before is not None
    told = package.symbol_info(SYMBOL)

    class Rounded:
        """As before, with a digit less."""

        digits, trade_tick_size = before.digits - 1, told.trade_tick_size * 10

        def __getattr__(self, name: str) -> object:
            return getattr(told, name)

    package.symbol_info = lambda name: Rounded()  # type: ignore[attr-defined]
    assert broker.symbol(SYMBOL) == before
    answer = broker.open_position(request, 78, intent_id=2)
    assert (answer.outcome, answer.detail) == (Outcome.VOID, "spec_unknown")
    (held,) = broker.positions() or ()
    close = CloseRequest(SYMBOL, ticket, Direction.BUY, 0)
    assert broker.close_position(close, held.volume_steps, 79).outcome is Outcome.ACCEPTED
    after = broker.symbol(SYMBOL)
    assert after is not None
    assert (after.digits, after.spec_id) == (before.digits - 1, before.spec_id + 1)


def test_orders_that_wait_are_shown_with_their_side_volume_and_price(tmp_path: Path, clock: Ahead) -> None:
    broker, package = connected(tmp_path, clock)
    assert broker.orders() == []
    quote = broker.quote(SYMBOL)
    assert quote is not None
    price = (quote.bid_points - 1_000) / 10**5
    request = {
        "action": 5,
        "symbol": SYMBOL,
        "volume": 0.1,
        "type": mt5.ORDER_TYPE_BUY_LIMIT,
        "price": price,
        "type_filling": 2,
    }
    assert package.order_send(request).retcode == 10009
    (order,) = broker.orders() or ()
    assert (order.symbol, order.direction, order.volume_steps) == (SYMBOL, Direction.BUY, 10)
    assert (order.price_points, order.magic, order.comment) == (quote.bid_points - 1_000, 0, "")
    package.session.connected = False
    assert broker.orders() is None


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), None, "x"])
def test_whatever_a_terminal_tells_of_a_symbol_no_reading_raises(tmp_path: Path, clock: Ahead, odd: object) -> None:
    broker, package = connected(tmp_path, clock)

    class Odd:
        def __getattr__(self, name: str) -> object:
            return odd

    package.symbol_info = lambda name: Odd()  # type: ignore[attr-defined]
    readings = (broker.symbol("USDJPY"), broker.quote("USDJPY"), broker.daily_ranges("USDJPY", 3), broker.ticks("USDJPY", 0))
    assert readings == (None, None, None, None)
