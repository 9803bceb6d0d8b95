"""What orders do to positions, deals and balance on both kinds of account, computed by hand from metatrader5.md 2.3 to 3.5.

A point of one lot of EURUSD is one dollar throughout; quotes have no spread unless two prices are given.
"""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server.records import Deal, Order, Position, Request, Result
from evenkeel.adapters.simulated.server.server import TradeServer
from evenkeel.adapters.simulated.server.terms import AccountTerms, Assumptions, SymbolTerms

BUY, SELL = mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL
FOK, IOC, RETURN = mt5.ORDER_FILLING_FOK, mt5.ORDER_FILLING_IOC, mt5.ORDER_FILLING_RETURN
START_CENTS = 100_000_00


def utc_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


class Story:
    """A server with EURUSD quoted at 1.10000 on Monday, 2 March 2026, 10:00 UTC."""

    def __init__(self, *, netting: bool = False, zone: str = "UTC", assume: dict[str, Any] | None = None, **terms: Any) -> None:
        mode = mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING if netting else mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
        account = AccountTerms(start_balance_cents=START_CENTS, margin_mode=mode)
        self.server = TradeServer(
            account, {"EURUSD": SymbolTerms(name="EURUSD", **terms)}, Assumptions(server_zone=zone, **(assume or {}))
        )
        self.now_ms = utc_ms("2026-03-02 10:00")
        self.quote(110_000)

    def quote(self, bid_points: int, ask_points: int | None = None, at: str | None = None) -> bool:
        self.now_ms = utc_ms(at) if at else self.now_ms + 1000
        return self.server.on_quote("EURUSD", self.now_ms, bid_points, bid_points if ask_points is None else ask_points)

    def try_deal(self, side: int, steps: int, **more: Any) -> Result:
        return self.server.send(Request(mt5.TRADE_ACTION_DEAL, "EURUSD", steps, type=side, **more))

    def deal(self, side: int, steps: int, **more: Any) -> Result:
        result = self.try_deal(side, steps, **more)
        assert result.retcode == mt5.TRADE_RETCODE_DONE, result
        return result

    def try_pending(self, kind: int, price: int, steps: int = 100, **more: Any) -> Result:
        return self.server.send(Request(mt5.TRADE_ACTION_PENDING, "EURUSD", steps, price, type=kind, **more))

    def pending(self, kind: int, price: int, steps: int = 100, **more: Any) -> int:
        result = self.try_pending(kind, price, steps, **more)
        assert result.is_done, result
        return result.order

    @property
    def positions(self) -> list[Position]:
        return list(self.server.book.kept.positions.values())

    @property
    def only(self) -> Position:
        (position,) = self.positions
        return position

    @property
    def deals(self) -> list[Deal]:
        return self.server.book.kept.deals

    @property
    def last(self) -> Deal:
        return self.deals[-1]

    @property
    def balance_cents(self) -> int:
        return self.server.state().balance_cents

    def done(self, ticket: int) -> Order:
        (order,) = (one for one in self.server.book.kept.done_orders if one.ticket == ticket)
        return order

    def adds_up(self) -> bool:
        """Credit stands beside the balance, so its line does not count."""
        return self.balance_cents == START_CENTS + sum(
            deal.net_cents for deal in self.deals if deal.type != mt5.DEAL_TYPE_CREDIT
        )


def price(position: Position) -> Fraction:
    return Fraction(position.open_cost, position.open_parts)


# -- netting ------------------------------------------------------------------------------------------------------------


def netted_long() -> Story:
    """0.30 at 1.10000 and 0.10 at 1.10400: 0.40 at 1.10100."""
    story = Story(netting=True)
    story.deal(BUY, 30)
    story.quote(110_400)
    story.deal(BUY, 10)
    return story


def test_netting_adds_to_the_one_position_at_the_average_price_by_volume() -> None:
    story = netted_long()
    assert (story.only.volume_steps, price(story.only)) == (40, 110_100)
    first, second = story.deals
    assert (first.entry, second.entry) == (mt5.DEAL_ENTRY_IN, mt5.DEAL_ENTRY_IN)
    assert first.position_id == second.position_id == story.only.identifier == story.only.ticket == first.order


def test_an_average_price_need_not_be_a_whole_point() -> None:
    story = Story(netting=True)
    story.deal(BUY, 10)
    story.quote(110_001)
    story.deal(BUY, 20)
    assert price(story.only) == Fraction(330_002, 3)
    story.quote(110_010)
    story.deal(SELL, 30)
    assert story.last.profit_cents == 2_80  # 10 points of 0.10 + 9 points of 0.20
    assert story.adds_up()


def test_netting_reduces_by_the_opposite_order_and_keeps_the_price() -> None:
    story = netted_long()
    story.quote(110_500)
    story.deal(SELL, 10)
    assert (story.only.volume_steps, price(story.only)) == (30, 110_100)
    assert (story.last.entry, story.last.volume_steps, story.last.profit_cents) == (mt5.DEAL_ENTRY_OUT, 10, 40_00)
    assert story.last.position_id == story.only.identifier
    assert story.balance_cents == START_CENTS + 40_00


def test_netting_closes_by_an_opposite_order_of_the_same_volume() -> None:
    story = netted_long()
    story.quote(110_000)
    story.deal(SELL, 40)
    assert not story.positions
    assert (story.last.entry, story.last.type, story.last.profit_cents) == (mt5.DEAL_ENTRY_OUT, mt5.DEAL_TYPE_SELL, -40_00)
    assert story.adds_up()


def test_netting_reverses_by_one_deal_and_the_identifier_stays() -> None:
    story = netted_long()
    identifier = story.only.identifier
    story.quote(110_600)
    order = story.deal(SELL, 50).order
    assert len(story.deals) == 3
    assert (story.last.entry, story.last.volume_steps, story.last.price_cost) == (mt5.DEAL_ENTRY_INOUT, 50, 110_600)
    assert story.last.profit_cents == 200_00  # 500 points of 0.40
    assert (story.only.identifier, story.only.ticket) == (identifier, order)
    assert (story.only.type, story.only.volume_steps, price(story.only)) == (mt5.POSITION_TYPE_SELL, 10, 110_600)
    assert story.last.position_id == identifier
    story.quote(110_500)
    story.deal(BUY, 10)
    assert story.last.profit_cents == 10_00
    assert not story.positions
    assert story.balance_cents == START_CENTS + 210_00
    assert story.adds_up()


def test_a_netted_position_can_be_closed_by_its_ticket() -> None:
    story = netted_long()
    story.deal(SELL, 15, position=story.only.ticket)
    assert story.only.volume_steps == 25
    assert story.last.profit_cents == 45_00  # 300 points of 0.15


def test_after_a_full_close_a_new_position_begins() -> None:
    story = netted_long()
    first = story.only.identifier
    story.deal(SELL, 40)
    order = story.deal(SELL, 10).order
    assert (story.only.identifier, story.only.ticket) == (order, order)
    assert order != first


def test_an_increasing_order_replaces_stop_and_target_and_zero_clears_them() -> None:
    story = Story(netting=True)
    story.deal(BUY, 10, sl_points=109_000, tp_points=112_000)
    story.deal(BUY, 10, sl_points=109_500)
    assert (story.only.sl_points, story.only.tp_points) == (109_500, 0)
    story.deal(BUY, 10)
    assert (story.only.sl_points, story.only.tp_points) == (0, 0)


def test_a_reducing_order_keeps_stop_and_target() -> None:
    story = Story(netting=True)
    story.deal(BUY, 30, sl_points=109_000, tp_points=112_000)
    story.deal(SELL, 10)
    assert (story.only.sl_points, story.only.tp_points) == (109_000, 112_000)


def test_a_reversing_order_brings_its_own_stop_and_target() -> None:
    story = Story(netting=True)
    story.deal(BUY, 10, sl_points=109_000, tp_points=112_000)
    story.deal(SELL, 30, sl_points=111_000)
    assert (story.only.sl_points, story.only.tp_points) == (111_000, 0)


def test_a_pending_order_is_netted_with_the_position_there_is() -> None:
    story = Story(netting=True)
    story.deal(BUY, 30)
    story.pending(mt5.ORDER_TYPE_SELL_LIMIT, 110_200, 10)
    story.quote(110_200)
    assert (story.only.volume_steps, story.last.entry, story.last.profit_cents) == (20, mt5.DEAL_ENTRY_OUT, 20_00)


def test_netting_knows_no_close_by() -> None:
    story = netted_long()
    request = Request(mt5.TRADE_ACTION_CLOSE_BY, position=story.only.ticket, position_by=story.only.ticket)
    assert story.server.send(request).retcode == mt5.TRADE_RETCODE_INVALID


# -- hedging ------------------------------------------------------------------------------------------------------------


def test_hedging_opens_a_second_position_by_an_opposite_order_without_a_position() -> None:
    story = Story()
    one, two = story.deal(BUY, 30).order, story.deal(SELL, 30).order
    assert [(held.ticket, held.identifier, held.type) for held in story.positions] == [(one, one, 0), (two, two, 1)]
    assert [deal.entry for deal in story.deals] == [mt5.DEAL_ENTRY_IN, mt5.DEAL_ENTRY_IN]


def test_hedging_opens_a_position_for_every_order_of_the_same_side() -> None:
    story = Story()
    story.deal(BUY, 30)
    story.quote(110_400)
    story.deal(BUY, 10)
    assert [(held.volume_steps, price(held)) for held in story.positions] == [(30, 110_000), (10, 110_400)]


def test_a_partial_close_keeps_the_ticket() -> None:
    story = Story()
    ticket = story.deal(BUY, 100, magic=7).order
    story.quote(110_100)
    story.deal(SELL, 30, position=ticket)
    assert (story.only.ticket, story.only.identifier, story.only.volume_steps, price(story.only)) == (
        ticket,
        ticket,
        70,
        110_000,
    )
    assert (story.last.entry, story.last.position_id, story.last.profit_cents) == (mt5.DEAL_ENTRY_OUT, ticket, 30_00)
    story.deal(SELL, 70, position=ticket)
    assert not story.positions
    assert story.balance_cents == START_CENTS + 100_00
    assert story.adds_up()


def test_a_position_keeps_its_magic_and_a_close_carries_that_of_the_request() -> None:
    story = Story()
    ticket = story.deal(BUY, 100, magic=7).order
    story.deal(SELL, 30, position=ticket, magic=8)
    assert (story.only.magic, story.last.magic) == (7, 8)


REFUSED_CLOSES = [
    (SELL, 101, 0, mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME),
    (SELL, 100, 1, mt5.TRADE_RETCODE_POSITION_CLOSED),
    (BUY, 100, 0, mt5.TRADE_RETCODE_INVALID),
]


@pytest.mark.parametrize("side, steps, beside, code", REFUSED_CLOSES)
def test_a_close_of_too_much_or_nothing_or_on_the_same_side_is_refused(side: int, steps: int, beside: int, code: int) -> None:
    story = Story()
    ticket = story.deal(BUY, 100).order
    assert story.try_deal(side, steps, position=ticket + beside).retcode == code
    assert len(story.deals) == 1


def test_levels_are_both_replaced_and_the_same_again_are_no_change() -> None:
    story = Story()
    ticket = story.deal(BUY, 100, sl_points=109_000, tp_points=112_000).order
    request = Request(mt5.TRADE_ACTION_SLTP, "EURUSD", position=ticket, sl_points=109_500)
    assert story.server.send(request).is_done
    assert (story.only.sl_points, story.only.tp_points) == (109_500, 0)
    assert story.server.send(request).retcode == mt5.TRADE_RETCODE_NO_CHANGES


# -- close by -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("larger_first", [True, False])
def test_close_by_takes_the_smaller_volume_from_both_and_leaves_the_rest(larger_first: bool) -> None:
    story = Story()
    long = story.deal(BUY, 30).order
    story.quote(110_500)
    short = story.deal(SELL, 10).order
    story.quote(111_000, 111_020)  # neither this price nor its spread matters
    one, two = (long, short) if larger_first else (short, long)
    result = story.server.send(Request(mt5.TRADE_ACTION_CLOSE_BY, position=one, position_by=two, magic=9))
    assert result.is_done
    outs = story.deals[2:]
    assert [deal.entry for deal in outs] == [mt5.DEAL_ENTRY_OUT_BY, mt5.DEAL_ENTRY_OUT_BY]
    assert [deal.volume_steps for deal in outs] == [10, 10]
    assert {deal.position_id: deal.price_cost for deal in outs} == {long: 110_500, short: 110_000}
    assert sorted(deal.profit_cents for deal in outs) == [0, 50_00]  # 500 points of 0.10, once
    assert (story.only.ticket, story.only.identifier, story.only.volume_steps) == (long, long, 20)
    assert price(story.only) == 110_000
    order = story.done(result.order)
    assert (order.type, order.position_id, order.position_by_id) == (mt5.ORDER_TYPE_CLOSE_BY, one, two)
    assert {deal.order for deal in outs} == {result.order}
    assert story.balance_cents == START_CENTS + 50_00
    assert story.adds_up()


def test_close_by_of_equal_volumes_leaves_nothing() -> None:
    story = Story()
    long, short = story.deal(BUY, 10).order, story.deal(SELL, 10).order
    assert story.server.send(Request(mt5.TRADE_ACTION_CLOSE_BY, position=long, position_by=short)).is_done
    assert not story.positions


def test_close_by_wants_opposite_positions_and_a_symbol_that_allows_it() -> None:
    story = Story()
    one, two = story.deal(BUY, 10).order, story.deal(BUY, 10).order
    assert story.server.send(Request(mt5.TRADE_ACTION_CLOSE_BY, position=one, position_by=two)).retcode == 10013
    story = Story(order_mask=63)
    one, two = story.deal(BUY, 10).order, story.deal(SELL, 10).order
    assert story.server.send(Request(mt5.TRADE_ACTION_CLOSE_BY, position=one, position_by=two)).retcode == 10013


# -- pending orders -----------------------------------------------------------------------------------------------------

# type, its price, a quote that does not reach it, one that does and what it is filled at, one that leaps over it likewise
PENDING = [
    (mt5.ORDER_TYPE_BUY_LIMIT, 109_900, (109_899, 109_901), (109_890, 109_900, 109_900), (109_840, 109_850, 109_850)),
    (mt5.ORDER_TYPE_SELL_LIMIT, 110_100, (110_099, 110_101), (110_100, 110_110, 110_100), (110_150, 110_160, 110_150)),
    (mt5.ORDER_TYPE_BUY_STOP, 110_100, (110_095, 110_099), (110_090, 110_100, 110_100), (110_140, 110_150, 110_150)),
    (mt5.ORDER_TYPE_SELL_STOP, 109_900, (109_901, 109_899), (109_900, 109_910, 109_900), (109_850, 109_860, 109_850)),
]


@pytest.mark.parametrize("leaps", [False, True])
@pytest.mark.parametrize("kind, at, near, touch, gap", PENDING)
def test_a_pending_order_waits_for_its_side_and_is_filled_at_the_quote(
    kind: int, at: int, near: tuple[int, int], touch: tuple[int, int, int], gap: tuple[int, int, int], leaps: bool
) -> None:
    """Limits gain by a gap, stops lose by it."""
    story = Story()
    ticket = story.pending(kind, at, magic=5)
    story.quote(*near)
    assert not story.positions
    bid, ask, filled = gap if leaps else touch
    assert story.quote(bid, ask)
    assert (story.only.ticket, story.only.is_buy, price(story.only)) == (ticket, kind % 2 == 0, filled)
    assert (story.last.order, story.last.entry, story.last.magic) == (ticket, mt5.DEAL_ENTRY_IN, 5)
    assert not story.server.book.kept.orders
    assert (story.done(ticket).state, story.done(ticket).volume_left_steps) == (mt5.ORDER_STATE_FILLED, 0)
    assert story.done(ticket).position_id == ticket


def test_a_buy_stop_limit_becomes_a_limit_when_the_ask_rises_to_its_stop() -> None:
    story = Story()
    ticket = story.pending(mt5.ORDER_TYPE_BUY_STOP_LIMIT, 110_100, stoplimit_points=110_050)
    story.quote(110_030, 110_040)  # below its limit, yet it is none
    assert not story.positions
    story.quote(110_100, 110_110)
    assert not story.positions
    story.quote(110_045, 110_051)
    assert not story.positions
    story.quote(110_030, 110_045)
    assert (story.only.ticket, story.only.is_buy, price(story.only)) == (ticket, True, 110_045)


def test_a_sell_stop_limit_becomes_a_limit_when_the_bid_falls_to_its_stop() -> None:
    story = Story()
    ticket = story.pending(mt5.ORDER_TYPE_SELL_STOP_LIMIT, 109_900, stoplimit_points=109_950)
    story.quote(109_960, 109_970)
    assert not story.positions
    story.quote(109_900, 109_990)
    assert not story.positions
    story.quote(109_949, 109_960)
    assert not story.positions
    story.quote(109_955, 109_960)
    assert (story.only.ticket, story.only.is_buy, price(story.only)) == (ticket, False, 109_955)


WRONG_SIDES = [
    (mt5.ORDER_TYPE_BUY_LIMIT, 110_010, 0),
    (mt5.ORDER_TYPE_SELL_LIMIT, 110_000, 0),
    (mt5.ORDER_TYPE_BUY_STOP, 110_010, 0),
    (mt5.ORDER_TYPE_SELL_STOP, 110_000, 0),
    (mt5.ORDER_TYPE_BUY_STOP_LIMIT, 110_010, 110_000),
    (mt5.ORDER_TYPE_SELL_STOP_LIMIT, 110_000, 110_005),
    (mt5.ORDER_TYPE_BUY_STOP_LIMIT, 110_100, 110_101),  # the limit is above the stop
    (mt5.ORDER_TYPE_SELL_STOP_LIMIT, 109_900, 109_899),
]


@pytest.mark.parametrize("kind, at, limit", WRONG_SIDES)
def test_a_pending_order_on_the_wrong_side_of_the_price_is_refused(kind: int, at: int, limit: int) -> None:
    story = Story()
    story.quote(110_000, 110_010)
    assert story.try_pending(kind, at, stoplimit_points=limit).retcode == mt5.TRADE_RETCODE_INVALID_PRICE


def test_the_stops_level_keeps_pending_orders_and_levels_away() -> None:
    story = Story(stops_level_points=50)
    assert story.try_pending(mt5.ORDER_TYPE_BUY_LIMIT, 109_951).retcode == mt5.TRADE_RETCODE_INVALID_PRICE
    assert story.try_pending(mt5.ORDER_TYPE_BUY_LIMIT, 109_950).is_done
    assert story.try_deal(BUY, 10, sl_points=109_951).retcode == mt5.TRADE_RETCODE_INVALID_STOPS
    assert story.try_deal(BUY, 10, sl_points=109_950).is_done


def test_a_pending_order_hands_its_levels_to_the_position() -> None:
    story = Story()
    story.pending(mt5.ORDER_TYPE_BUY_LIMIT, 109_900, sl_points=109_800, tp_points=110_000)
    story.quote(109_900)
    assert (story.only.sl_points, story.only.tp_points) == (109_800, 110_000)
    story.quote(110_000)
    assert (story.last.reason, story.last.profit_cents) == (mt5.DEAL_REASON_TP, 100_00)


def test_a_removed_order_is_cancelled_and_waits_no_more() -> None:
    story = Story()
    ticket = story.pending(mt5.ORDER_TYPE_BUY_LIMIT, 109_900)
    assert story.server.send(Request(mt5.TRADE_ACTION_REMOVE, order=ticket)).is_done
    story.quote(109_800)
    assert not story.positions
    assert story.done(ticket).state == mt5.ORDER_STATE_CANCELED


def test_a_modified_order_waits_at_its_new_price() -> None:
    story = Story()
    ticket = story.pending(mt5.ORDER_TYPE_BUY_LIMIT, 109_900)
    assert story.server.send(Request(mt5.TRADE_ACTION_MODIFY, order=ticket, price_points=109_800)).is_done
    story.quote(109_900)
    assert not story.positions
    story.quote(109_800)
    assert story.only.ticket == ticket


# -- expirations --------------------------------------------------------------------------------------------------------


def server_s(text: str) -> int:
    return utc_ms(text) // 1000


EXPIRATIONS = [
    # zone, type_time, expiration by the server's clock, the last second of the order, the first without it (UTC)
    ("UTC", mt5.ORDER_TIME_DAY, None, "2026-03-02 23:59:59", "2026-03-03 00:00:00"),
    ("UTC+3", mt5.ORDER_TIME_DAY, None, "2026-03-02 20:59:59", "2026-03-02 21:00:00"),
    ("UTC", mt5.ORDER_TIME_SPECIFIED, "2026-03-02 12:30", "2026-03-02 12:29:59", "2026-03-02 12:30:00"),
    ("UTC+3", mt5.ORDER_TIME_SPECIFIED, "2026-03-02 15:30", "2026-03-02 12:29:59", "2026-03-02 12:30:00"),
    ("UTC", mt5.ORDER_TIME_SPECIFIED_DAY, "2026-03-04 08:00", "2026-03-04 23:59:59", "2026-03-05 00:00:00"),
    ("UTC+3", mt5.ORDER_TIME_SPECIFIED_DAY, "2026-03-04 08:00", "2026-03-04 20:59:59", "2026-03-04 21:00:00"),
    ("NEW_YORK_CLOSE", mt5.ORDER_TIME_SPECIFIED_DAY, "2026-03-09 00:00", "2026-03-09 20:59:59", "2026-03-09 21:00:00"),
]


@pytest.mark.parametrize("lives", [True, False])
@pytest.mark.parametrize("zone, kind, until, last, first", EXPIRATIONS)
def test_an_order_lives_until_the_server_says_it_is_over(
    zone: str, kind: int, until: str | None, last: str, first: str, lives: bool
) -> None:
    story = Story(zone=zone)
    expiration = server_s(until) if until else 0
    ticket = story.pending(mt5.ORDER_TYPE_BUY_LIMIT, 109_900, type_time=kind, expiration_server_s=expiration)
    story.quote(109_900, at=last if lives else first)
    assert bool(story.positions) is lives
    assert story.done(ticket).state == (mt5.ORDER_STATE_FILLED if lives else mt5.ORDER_STATE_EXPIRED)


def test_an_order_without_an_end_outlives_the_day() -> None:
    story = Story()
    story.pending(mt5.ORDER_TYPE_BUY_LIMIT, 109_900, type_time=mt5.ORDER_TIME_GTC)
    story.quote(109_900, at="2026-06-01 10:00")
    assert story.positions


def test_an_expiration_that_is_over_or_not_allowed_is_refused() -> None:
    past = {"type_time": mt5.ORDER_TIME_SPECIFIED, "expiration_server_s": server_s("2026-03-02 10:00")}
    assert Story().try_pending(mt5.ORDER_TYPE_BUY_LIMIT, 109_900, **past).retcode == mt5.TRADE_RETCODE_INVALID_EXPIRATION
    only_gtc = Story(expiration_mask=mt5.SYMBOL_EXPIRATION_GTC)
    day = only_gtc.try_pending(mt5.ORDER_TYPE_BUY_LIMIT, 109_900, type_time=mt5.ORDER_TIME_DAY)
    assert day.retcode == mt5.TRADE_RETCODE_INVALID_EXPIRATION


def test_orders_of_a_symbol_with_daily_orders_end_with_the_day() -> None:
    story = Story(gtc_mode=mt5.SYMBOL_ORDERS_DAILY)
    ticket = story.pending(mt5.ORDER_TYPE_BUY_LIMIT, 109_900, type_time=mt5.ORDER_TIME_GTC)
    story.quote(110_000, at="2026-03-03 00:00")
    assert ticket not in story.server.book.kept.orders


# -- liquidity ----------------------------------------------------------------------------------------------------------

THIN = {"liquidity_steps": 30, "execution": mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE}


def test_immediate_or_cancel_takes_what_is_there() -> None:
    story = Story(**THIN)
    result = story.try_deal(BUY, 100, type_filling=IOC)
    assert (result.retcode, result.volume_steps) == (mt5.TRADE_RETCODE_DONE_PARTIAL, 30)
    assert mt5.TRADE_RETCODE_DONE_PARTIAL == 10010
    assert story.only.volume_steps == 30
    order = story.done(result.order)
    assert (order.state, order.volume_steps, order.volume_left_steps) == (mt5.ORDER_STATE_CANCELED, 100, 70)
    story.quote(110_000)
    assert story.only.volume_steps == 30


def test_a_close_that_was_filled_in_part_leaves_a_cancelled_order_with_its_rest() -> None:
    story = Story(**THIN)
    ticket = story.deal(BUY, 30, type_filling=IOC).order
    story.server.replace_terms(SymbolTerms(name="EURUSD", liquidity_steps=10, execution=THIN["execution"]))
    result = story.try_deal(SELL, 30, type_filling=IOC, position=ticket)
    assert (result.retcode, result.volume_steps, story.only.volume_steps) == (mt5.TRADE_RETCODE_DONE_PARTIAL, 10, 20)
    order = story.done(result.order)
    assert (order.state, order.volume_steps, order.volume_left_steps) == (mt5.ORDER_STATE_CANCELED, 30, 20)


@pytest.mark.parametrize("code", [10006, 10007])
def test_fill_or_kill_takes_all_or_nothing(code: int) -> None:
    story = Story(**THIN, assume={"fok_unfilled_code": code})
    assert story.try_deal(BUY, 31, type_filling=FOK).retcode == code
    assert not story.positions
    assert story.try_deal(BUY, 30, type_filling=FOK).retcode == mt5.TRADE_RETCODE_DONE


@pytest.mark.parametrize("netting", [False, True])
def test_what_an_order_by_return_still_wants_is_filled_on_the_next_quotes(netting: bool) -> None:
    story = Story(netting=netting, **THIN)
    result = story.try_deal(BUY, 70, type_filling=RETURN, sl_points=109_000)
    assert (result.is_done, result.volume_steps) == (True, 30)
    (rest,) = story.server.book.kept.orders.values()
    assert (rest.ticket, rest.state, rest.volume_left_steps) == (result.order, mt5.ORDER_STATE_PARTIAL, 40)
    story.quote(110_070)
    assert (story.only.volume_steps, rest.volume_left_steps) == (60, 10)
    story.quote(110_140)
    assert (story.only.ticket, story.only.volume_steps, story.only.sl_points) == (result.order, 70, 109_000)
    assert price(story.only) == 110_050  # (30 x 0 + 30 x 70 + 10 x 140) / 70 = 50 points above
    assert [deal.volume_steps for deal in story.deals] == [30, 30, 10]
    assert {deal.order for deal in story.deals} == {result.order}
    assert not story.server.book.kept.orders
    assert story.done(result.order).state == mt5.ORDER_STATE_FILLED


def test_on_a_hedging_account_the_rest_of_an_order_leaves_levels_that_were_set_since() -> None:
    """Only netting replaces them by those of the increasing order."""
    story = Story(**THIN)
    ticket = story.try_deal(BUY, 60, type_filling=RETURN).order
    assert story.server.send(Request(mt5.TRADE_ACTION_SLTP, "EURUSD", position=ticket, sl_points=109_000)).is_done
    story.quote(110_000)
    assert (story.only.volume_steps, story.only.sl_points) == (60, 109_000)


def test_a_market_order_by_return_is_for_exchanges_only() -> None:
    assert Story().try_deal(BUY, 10, type_filling=RETURN).retcode == mt5.TRADE_RETCODE_INVALID_FILL


def test_a_limit_order_by_return_is_filled_in_parts() -> None:
    story = Story(liquidity_steps=30)
    ticket = story.pending(mt5.ORDER_TYPE_BUY_LIMIT, 109_900, 50, type_filling=RETURN)
    story.quote(109_900)
    assert (story.only.volume_steps, story.server.book.kept.orders[ticket].state) == (30, mt5.ORDER_STATE_PARTIAL)
    story.quote(109_901)
    assert story.only.volume_steps == 30
    story.quote(109_899)
    assert (story.only.volume_steps, story.done(ticket).state) == (50, mt5.ORDER_STATE_FILLED)


# -- stop and target ----------------------------------------------------------------------------------------------------

EXITS = [
    # side, its levels, a quote that reaches neither, one that does, then of the deal: price, reason, comment, profit
    (BUY, 108_500, 0, (108_501, 108_511), (108_500, 108_510), 108_500, 4, "[sl 1.08500]", -1500_00),
    (BUY, 108_500, 0, (108_501, 108_511), (108_450, 108_460), 108_450, 4, "[sl 1.08500]", -1550_00),
    (BUY, 0, 112_000, (111_999, 112_009), (112_000, 112_010), 112_000, 5, "[tp 1.12000]", 2000_00),
    (BUY, 0, 112_000, (111_999, 112_009), (112_050, 112_060), 112_050, 5, "[tp 1.12000]", 2050_00),
    (SELL, 111_500, 0, (111_489, 111_499), (111_490, 111_500), 111_500, 4, "[sl 1.11500]", -1500_00),
    (SELL, 111_500, 0, (111_489, 111_499), (111_540, 111_550), 111_550, 4, "[sl 1.11500]", -1550_00),
    (SELL, 0, 108_000, (107_995, 108_001), (107_990, 108_000), 108_000, 5, "[tp 1.08000]", 2000_00),
]


@pytest.mark.parametrize("netting", [False, True])
@pytest.mark.parametrize("side, sl, tp, near, reached, at, reason, comment, cents", EXITS)
def test_stop_and_target_close_at_the_quote_that_reaches_them(
    side: int,
    sl: int,
    tp: int,
    near: tuple[int, int],
    reached: tuple[int, int],
    at: int,
    reason: int,
    comment: str,
    cents: int,
    netting: bool,
) -> None:
    """Longs are watched on the bid, shorts on the ask."""
    story = Story(netting=netting)
    ticket = story.deal(side, 100, sl_points=sl, tp_points=tp, magic=7).order
    story.quote(*near)
    assert story.positions
    assert story.quote(*reached)
    assert not story.positions
    deal = story.last
    assert (deal.entry, deal.position_id, deal.price_cost, deal.profit_cents) == (mt5.DEAL_ENTRY_OUT, ticket, at, cents)
    assert (deal.reason, deal.comment, deal.magic) == (reason, comment, 7)
    assert (story.done(deal.order).reason, story.done(deal.order).state) == (reason, mt5.ORDER_STATE_FILLED)
    assert story.adds_up()


# -- the balance --------------------------------------------------------------------------------------------------------


def test_a_deposit_and_a_charge_move_the_balance() -> None:
    story = Story()
    ticket = story.server.book.operate(mt5.DEAL_TYPE_BALANCE, 500_00, "deposit")
    assert (story.last.ticket, story.last.type, story.last.symbol, story.last.net_cents) == (ticket, 2, "", 500_00)
    story.server.book.operate(mt5.DEAL_TYPE_CHARGE, -20_00, "data feed")
    assert story.balance_cents == START_CENTS + 480_00
    assert story.adds_up()


def test_credit_raises_the_equity_and_leaves_the_balance() -> None:
    story = Story()
    story.server.book.operate(mt5.DEAL_TYPE_CREDIT, 300_00, "credit")
    state = story.server.state()
    assert (state.balance_cents, state.credit_cents, state.equity_cents) == (START_CENTS, 300_00, START_CENTS + 300_00)
    assert (story.last.type, story.last.symbol, story.last.profit_cents) == (mt5.DEAL_TYPE_CREDIT, "", 300_00)
    assert story.adds_up()


@pytest.mark.parametrize("netting", [False, True])
def test_the_balance_is_the_start_and_the_net_of_all_deals(netting: bool) -> None:
    story = Story(
        netting=netting,
        commission_cents_per_lot=3_50,
        swap_mode=mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT,
        swap_long=-7.0,
        swap_short=1.0,
    )
    assert story.adds_up()
    # EURUSD moves through a week; orders come from a fixed list
    moves = [137, -251, 88, 402, -333, -91, 510, -275, 64, -120]
    at = 110_000
    for day, move in enumerate(moves, start=3):
        at += move
        story.quote(at, at + 12, at=f"2026-03-{day:02} 09:00")
        story.deal(BUY if move % 2 else SELL, 10 + 7 * (day % 4), sl_points=0)
        assert story.adds_up()
        held = story.positions[0] if story.positions else None
        if held is not None and day % 3 == 0:
            story.deal(SELL if held.is_buy else BUY, min(5, held.volume_steps), position=held.ticket)
            assert story.adds_up()
        story.server.book.operate(mt5.DEAL_TYPE_CORRECTION, 3 * move, "correction")
        assert story.adds_up()
    for held in story.positions:
        story.deal(SELL if held.is_buy else BUY, held.volume_steps, position=held.ticket)
    assert story.adds_up()
    state = story.server.state()
    assert (state.profit_cents, state.margin_cents) == (0, 0)
    assert any(deal.swap_cents for deal in story.deals)


def test_commission_of_a_reversal_is_that_of_its_whole_volume() -> None:
    story = Story(netting=True, commission_cents_per_lot=10_00)
    story.deal(BUY, 30)
    story.deal(SELL, 50)
    assert [deal.commission_cents for deal in story.deals] == [-3_00, -5_00]
    assert story.adds_up()
