"""The table of return codes (metatrader5.md 2.5), row by row, and what decides between two: numbers, never texts."""

from typing import Any, Final

import msgspec
import pytest

from evenkeel.adapters.mt5 import constants as c
from evenkeel.adapters.simulated.account_file import MarketTerms, default_account
from evenkeel.adapters.simulated.api import MetaTrader5Like
from evenkeel.adapters.simulated.faults import Call
from evenkeel.adapters.simulated.packs import CallEvent, Pack
from evenkeel.runtime.clock import ManualClock

NOON_MS: Final = 1_789_560_000_000
"""A Wednesday, 16 September 2026, 12:00 UTC: the servers here are in UTC."""
NOON_S: Final = NOON_MS // 1000
BID, ASK = 108_500, 108_510
CLOSED: Final = ((0, 1),)
REQUEST, INSTANT, MARKET, EXCHANGE = 0, 1, 2, 3
FOK, IOC, RETURN, BOC = 0, 1, 2, 3
PENDING_PRICES: Final = {2: 1.08, 3: 1.09, 4: 1.09, 5: 1.08, 6: 1.09, 7: 1.08}
EXPERT_ERRORS: Final = (10004, 10006, 10007, 10011, 10012, 10020, 10023, 10028, 10031, 10032, 10041)


class Broker:
    """A still market of EURUSD and GBPUSD, with the terms that a test wants."""

    def __init__(
        self,
        *,
        symbol: dict[str, Any] | None = None,
        account: dict[str, Any] | None = None,
        assumptions: dict[str, Any] | None = None,
        terminal: dict[str, Any] | None = None,
        calls: tuple[CallEvent, ...] = (),
        quoted: bool = True,
    ) -> None:
        replace, base = msgspec.structs.replace, default_account()
        opened = replace(
            base,
            account=replace(base.account, **account or {}),
            assumptions=replace(base.assumptions, **assumptions or {}),
            terminal=replace(base.terminal, **terminal or {}),
            market=MarketTerms(quote_every_s=3600),
            symbols={
                "EURUSD": replace(base.symbols["EURUSD"], **symbol or {}),
                "GBPUSD": base.symbols["GBPUSD"],
            },
        )
        self.clock = ManualClock(NOON_MS)
        scenario = Pack(title="", covers=(), expect="", call=calls) if calls else None
        self.mt5 = MetaTrader5Like(opened=opened, clock=self.clock, scenario=scenario)
        assert self.mt5.initialize()
        self.server = self.mt5.session.server
        assert not self.server.prices
        if quoted:
            self.quote(BID, ASK)
            self.mt5.session.quoted("GBPUSD", NOON_MS, 127_000, 127_012)

    def quote(self, bid: int, ask: int) -> None:
        self.mt5.session.quoted("EURUSD", self.clock.now_utc_ms(), bid, ask)

    def change(self, **terms: Any) -> None:
        self.server.replace_terms(msgspec.structs.replace(self.server.symbols["EURUSD"], **terms))

    def change_account(self, **terms: Any) -> None:
        self.server.set_account(msgspec.structs.replace(self.server.account, **terms))

    def send(self, **fields: Any) -> Any:
        return self.mt5.order_send(fields)

    def buy(self, **more: Any) -> Any:
        return self.send(**deal() | more)

    def sell(self, **more: Any) -> Any:
        return self.send(**deal(type=1, price=1.085) | more)

    def close(self, ticket: int, **more: Any) -> Any:
        """Of a long position."""
        return self.sell(position=ticket, **more)

    def stops(self, ticket: int, sl: float = 0.0, tp: float = 0.0, **more: Any) -> Any:
        return self.send(action=c.TRADE_ACTION_SLTP, symbol="EURUSD", position=ticket, sl=sl, tp=tp, **more)

    def pend(self, order_type: int = 2, **more: Any) -> Any:
        return self.send(**pending(order_type) | more)

    def change_order(self, ticket: int, **fields: Any) -> Any:
        return self.send(action=c.TRADE_ACTION_MODIFY, order=ticket, **{"symbol": "EURUSD"} | fields)

    def remove(self, ticket: int) -> Any:
        return self.send(action=c.TRADE_ACTION_REMOVE, order=ticket)


def deal(**more: Any) -> dict[str, Any]:
    return {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "price": 1.0851, **more}


def pending(order_type: int = 2, **more: Any) -> dict[str, Any]:
    base = {"action": 5, "symbol": "EURUSD", "volume": 0.1, "type": order_type, "price": PENDING_PRICES[order_type]}
    if order_type in (6, 7):
        base["stoplimit"] = base["price"]
    return {**base, "type_filling": RETURN, **more}


def shape(result: Any) -> tuple[Any, ...]:
    return result.deal, result.order, result.volume, result.price, result.bid, result.ask


# -- 10008 to 10010, and the shapes of answers ----------------------------------------------------------------------------


def test_a_market_order_is_done_with_deal_order_volume_price_and_quotes() -> None:
    result = Broker().buy()
    assert result.retcode == 10009
    assert result.deal > 0
    assert result.order > 0
    assert (result.volume, result.price, result.bid, result.ask) == (0.1, 1.0851, 1.085, 1.0851)
    assert result.request_id > 0
    assert result.retcode_external == 0


def test_a_hedging_deal_makes_a_position_with_the_ticket_of_its_order() -> None:
    broker = Broker()
    result = broker.buy()
    assert [one.ticket for one in broker.mt5.positions_get()] == [result.order]


def test_a_placed_pending_order_has_an_order_and_no_deal_nor_price() -> None:
    result = Broker().pend()
    assert result.retcode in (10008, 10009)
    assert result.order > 0
    assert (result.deal, result.volume, result.price) == (0, 0.1, 0.0)


def test_changed_stops_are_done_with_nothing_else_in_the_answer() -> None:
    broker = Broker()
    result = broker.stops(broker.buy().order, 1.08, 1.09)
    assert result.retcode == 10009
    assert shape(result) == (0, 0, 0.0, 0.0, 0.0, 0.0)
    assert result.request_id > 0


def test_stops_left_out_of_a_change_are_removed() -> None:
    broker = Broker()
    ticket = broker.buy(sl=1.08, tp=1.09).order
    assert broker.send(action=6, symbol="EURUSD", position=ticket, sl=1.081).retcode == 10009
    (held,) = broker.mt5.positions_get()
    assert (held.sl, held.tp) == (1.081, 0.0)


def test_a_request_is_placed_10008_where_execution_comes_later() -> None:
    broker = Broker(calls=(CallEvent(kind="placed", on=(Call.OPEN,), seconds=5),))
    assert broker.buy().retcode == 10008
    assert broker.mt5.positions_total() == 0
    broker.clock.advance_to(NOON_MS + 6000)
    assert broker.mt5.positions_total() == 1


def test_an_immediate_or_cancel_order_is_filled_in_part_10010() -> None:
    broker = Broker(symbol={"liquidity_steps": 4})
    result = broker.buy(type_filling=IOC)
    assert (result.retcode, result.volume) == (10010, 0.04)
    assert broker.mt5.orders_total() == 0
    (order,) = broker.mt5.history_orders_get(ticket=result.order)
    assert (order.state, order.volume_initial, order.volume_current) == (c.ORDER_STATE_CANCELED, 0.1, 0.06)


def test_the_rest_of_a_return_order_stays_10010() -> None:
    broker = Broker(symbol={"liquidity_steps": 4, "execution": EXCHANGE})
    result = broker.buy(type_filling=RETURN)
    assert (result.retcode, result.volume) == (10010, 0.04)
    assert [(one.ticket, one.volume_current) for one in broker.mt5.orders_get()] == [(result.order, 0.06)]


@pytest.mark.parametrize("code", [10006, 10007])
def test_a_fill_or_kill_order_without_enough_volume_is_refused_whole(code: int) -> None:
    broker = Broker(symbol={"liquidity_steps": 4}, assumptions={"fok_unfilled_code": code})
    assert broker.buy().retcode == code
    assert broker.mt5.positions_total() == 0


@pytest.mark.parametrize("code", EXPERT_ERRORS)
def test_what_the_server_answers_by_itself_comes_back_and_changes_nothing(code: int) -> None:
    """Of rows that no rule here leads to: a dealer, a queue, a timeout."""
    broker = Broker(calls=(CallEvent(kind="retcode", on=(Call.OPEN,), code=code),))
    result = broker.buy()
    assert result.retcode == code
    assert result.request_id > 0
    assert broker.mt5.positions_total() == 0


# -- refused by the terminal ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code, terminal", [(10027, {"trade_allowed": False}), (10031, {"connected": False})])
def test_the_terminal_refuses_by_itself_with_request_id_0(code: int, terminal: dict[str, Any]) -> None:
    broker = Broker(terminal=terminal)
    result = broker.buy()
    assert (result.retcode, result.request_id) == (code, 0)
    assert shape(result) == (0, 0, 0.0, 0.0, 0.0, 0.0)
    assert broker.mt5.last_error()[0] == 1


def test_too_many_requests_are_refused_10024_with_request_id_0_until_a_minute_has_passed() -> None:
    broker = Broker(assumptions={"requests_per_minute_max": 2})
    assert [broker.buy().retcode for _ in range(3)] == [10009, 10009, 10024]
    assert broker.buy().request_id == 0
    broker.clock.advance_to(NOON_MS + 61_000)
    assert broker.buy().retcode == 10009


def test_a_forbidden_interface_answers_none_and_minus_8() -> None:
    broker = Broker(terminal={"tradeapi_disabled": True})
    assert broker.buy() is None
    assert broker.mt5.last_error()[0] == -8


def test_a_forbidden_interface_comes_before_the_button_and_the_button_before_the_connection() -> None:
    broker = Broker()
    session = broker.mt5.session
    session.api_disabled, session.algo_button, session.connected = True, False, False
    assert broker.buy() is None
    assert broker.mt5.last_error()[0] == -8
    session.api_disabled = False
    assert broker.buy().retcode == 10027
    session.algo_button = True
    assert broker.buy(action=99).retcode == 10031


def test_a_bad_argument_comes_before_a_forbidden_interface() -> None:
    broker = Broker(terminal={"tradeapi_disabled": True})
    assert broker.buy(volume=1) is None
    assert broker.mt5.last_error()[0] == -2


def test_request_ids_differ_from_one_sent_request_to_the_next() -> None:
    broker = Broker()
    first, second = broker.buy().request_id, broker.buy(volume=0.0).request_id
    assert 0 not in (first, second)
    assert first != second


# -- 10013, 10017, 10026, 10035, 10036, 10038 ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {},
        deal(action=3),
        deal(action=99),
        deal(type=2),
        deal(type=9),
        deal(symbol="NOSUCH"),
        deal(symbol=""),
        deal(symbol="eurusd"),
        pending(2, type=0),
        pending(2, type=8),
        pending(2, symbol="NOSUCH"),
        pending(2, type_time=4),
    ],
)
def test_what_is_malformed_is_invalid_10013(fields: dict[str, Any]) -> None:
    result = Broker().send(**fields)
    assert result.retcode == 10013


@pytest.mark.parametrize("code", [10013, 10035])
def test_an_unknown_order_cannot_be_changed_or_removed(code: int) -> None:
    broker = Broker(assumptions={"unknown_ticket_code": code})
    assert broker.remove(777).retcode == code
    assert broker.change_order(777, price=1.08).retcode == code


@pytest.mark.parametrize("code", [10013, 10036])
def test_a_position_that_is_gone_cannot_be_closed_or_protected(code: int) -> None:
    broker = Broker(assumptions={"position_gone_code": code})
    ticket = broker.buy().order
    assert broker.close(ticket).retcode == 10009
    assert broker.close(ticket).retcode == code
    assert broker.stops(ticket, 1.08).retcode == code


def test_by_default_a_position_that_is_gone_is_closed_10036() -> None:
    assert Broker().close(777).retcode == 10036


@pytest.mark.parametrize("code", [10013, 10035])
def test_an_order_of_the_same_side_does_not_close_a_position(code: int) -> None:
    broker = Broker(assumptions={"same_side_close_code": code})
    assert broker.buy(position=broker.buy().order).retcode == code


@pytest.mark.parametrize("code", [10013, 10035])
def test_an_order_in_another_symbol_does_not_close_a_position(code: int) -> None:
    broker = Broker(assumptions={"wrong_symbol_code": code})
    ticket = broker.buy().order
    assert broker.close(ticket, symbol="GBPUSD", price=1.27).retcode == code


def test_more_than_the_position_cannot_be_closed_10038() -> None:
    broker = Broker()
    assert broker.close(broker.buy().order, volume=0.11).retcode == 10038


def test_a_position_that_is_being_closed_cannot_be_closed_again_10039() -> None:
    broker = Broker()
    ticket, closing = broker.buy().order, broker.pend(3).order
    broker.server.book.orders[closing].position_id = ticket
    assert broker.close(ticket).retcode == 10039


@pytest.mark.parametrize("bit, types", [(2, (2, 3)), (4, (4, 5)), (8, (6, 7))])
def test_an_order_type_that_the_symbol_prohibits_is_10035(bit: int, types: tuple[int, int]) -> None:
    broker = Broker(symbol={"order_mask": 127 - bit})
    assert [broker.pend(one).retcode for one in types] == [10035, 10035]
    assert [broker.pend(one).retcode for one in range(2, 8) if one not in types] == [10009] * 4


def test_market_orders_that_the_symbol_prohibits_are_10035() -> None:
    broker = Broker(symbol={"order_mask": 126})
    assert broker.buy().retcode == 10035


def test_a_disabled_account_trades_nothing_10017() -> None:
    broker = Broker(account={"trade_allowed": False})
    assert (broker.buy().retcode, broker.pend().retcode) == (10017, 10017)


def test_a_server_that_forbids_programs_answers_10026() -> None:
    assert Broker(account={"trade_expert": False}).buy().retcode == 10026


# -- trade modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mode, buy, sell, close",
    [
        (c.SYMBOL_TRADE_MODE_DISABLED, 10017, 10017, 10017),
        (c.SYMBOL_TRADE_MODE_LONGONLY, 10009, 10042, 10009),
        (c.SYMBOL_TRADE_MODE_SHORTONLY, 10043, 10009, 10009),
        (c.SYMBOL_TRADE_MODE_CLOSEONLY, 10044, 10044, 10009),
        (c.SYMBOL_TRADE_MODE_FULL, 10009, 10009, 10009),
    ],
)
def test_the_trade_mode_says_which_deals_and_orders_are_taken(mode: int, buy: int, sell: int, close: int) -> None:
    broker = Broker()
    ticket = broker.buy().order
    broker.change(trade_mode=mode)
    assert (broker.buy().retcode, broker.sell().retcode) == (buy, sell)
    assert (broker.pend(2).retcode, broker.pend(3).retcode) == (buy, sell)
    assert broker.close(ticket).retcode == close


# -- 10014 -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("volume", [0.0, -0.1, 0.001, 0.015, 0.05, 5.01, 1e300, float("nan"), float("inf")])
def test_a_volume_below_above_or_between_the_steps_is_10014(volume: float) -> None:
    broker = Broker(symbol={"volume_min_steps": 10, "volume_max_steps": 500})
    assert broker.buy(volume=volume).retcode == 10014
    assert broker.pend(volume=volume).retcode == 10014


@pytest.mark.parametrize("volume", [0.1, 0.11, 0.1 + 0.2, 5.0])
def test_volumes_from_the_least_to_the_most_are_taken(volume: float) -> None:
    assert Broker(symbol={"volume_min_steps": 10, "volume_max_steps": 500}).buy(volume=volume).retcode == 10009


def test_less_than_the_least_volume_closes_a_position_only_as_its_whole_rest() -> None:
    broker = Broker(symbol={"volume_min_steps": 10})
    ticket = broker.buy(volume=0.15).order
    assert broker.close(ticket, volume=0.05).retcode == 10014
    assert broker.close(ticket, volume=0.1).retcode == 10009
    assert broker.close(ticket, volume=0.05).retcode == 10009


# -- 10004, 10015, 10021 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("execution", [REQUEST, INSTANT])
@pytest.mark.parametrize(
    "price, deviation, code", [(1.0851, 0, 10009), (1.0850, 9, 10004), (1.0850, 10, 10009), (1.0852, 9, 10004)]
)
def test_a_price_further_away_than_the_deviation_is_a_requote_10004(
    execution: int, price: float, deviation: int, code: int
) -> None:
    result = Broker(symbol={"execution": execution}).buy(price=price, deviation=deviation)
    assert result.retcode == code
    assert (result.bid, result.ask) == (1.085, 1.0851)


@pytest.mark.parametrize("execution", [MARKET, EXCHANGE])
def test_price_and_deviation_are_ignored_in_market_and_exchange_execution(execution: int) -> None:
    broker = Broker(symbol={"execution": execution})
    assert [broker.buy(price=price).price for price in (0.0, 1.0, 2.0)] == [1.0851] * 3


@pytest.mark.parametrize("execution", [REQUEST, INSTANT])
@pytest.mark.parametrize("price", [0.0, -1.0851, 1.08511, 1.085105, float("nan")])
def test_a_price_of_0_or_off_the_tick_size_is_10015_where_a_price_is_asked(execution: int, price: float) -> None:
    broker = Broker(symbol={"execution": execution, "tick_size_points": 5})
    assert broker.buy(price=price, deviation=1000).retcode == 10015


@pytest.mark.parametrize("order_type", [2, 3, 4, 5, 6, 7])
def test_a_pending_order_without_a_price_is_10015(order_type: int) -> None:
    assert Broker().pend(order_type, price=0.0).retcode == 10015


@pytest.mark.parametrize("order_type", [6, 7])
def test_a_stop_limit_order_without_its_limit_is_10015(order_type: int) -> None:
    assert Broker().pend(order_type, stoplimit=0.0).retcode == 10015


@pytest.mark.parametrize(
    "order_type, near, far",
    [
        (2, 1.08491, 1.08490),
        (3, 1.08519, 1.08520),
        (4, 1.08529, 1.08530),
        (5, 1.08481, 1.08480),
        (6, 1.08529, 1.08530),
        (7, 1.08481, 1.08480),
    ],
)
def test_a_pending_order_nearer_than_the_stops_level_is_10015(order_type: int, near: float, far: float) -> None:
    """From the ask for buys, from the bid for sells; at the level itself it is allowed."""
    broker = Broker(symbol={"stops_level_points": 20})
    more = {"stoplimit": 1.08} if order_type == 6 else {"stoplimit": 1.09} if order_type == 7 else {}
    assert broker.pend(order_type, price=near, **more).retcode == 10015
    assert broker.pend(order_type, price=far, **more).retcode == 10009


@pytest.mark.parametrize("order_type, price", [(2, 1.086), (3, 1.084), (4, 1.084), (5, 1.086), (6, 1.084), (7, 1.086)])
def test_a_pending_order_on_the_wrong_side_is_10015(order_type: int, price: float) -> None:
    assert Broker().pend(order_type, price=price, stoplimit=price).retcode == 10015


@pytest.mark.parametrize("rule, below, above", [("limit_below_stop", 10009, 10015), ("limit_above_stop", 10015, 10009)])
def test_the_limit_of_a_stop_limit_order_lies_on_the_side_that_the_server_wants(rule: str, below: int, above: int) -> None:
    broker = Broker(assumptions={"stop_limit_rule": rule})
    assert broker.pend(6, stoplimit=1.089).retcode == below
    assert broker.pend(6, stoplimit=1.091).retcode == above
    assert broker.pend(7, stoplimit=1.081).retcode == below
    assert broker.pend(7, stoplimit=1.079).retcode == above


def test_without_a_quote_nothing_is_dealt_10021() -> None:
    broker = Broker(quoted=False)
    assert (broker.buy().retcode, broker.pend().retcode) == (10021, 10021)


# -- 10016, 10025, 10029 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order_type, sl, tp, code",
    [
        (0, 1.08480, 0.0, 10009),
        (0, 1.08481, 0.0, 10016),
        (0, 1.08600, 0.0, 10016),
        (0, 0.0, 1.08520, 10009),
        (0, 0.0, 1.08519, 10016),
        (0, 0.0, 1.08000, 10016),
        (1, 1.08530, 0.0, 10009),
        (1, 1.08529, 0.0, 10016),
        (1, 1.08000, 0.0, 10016),
        (1, 0.0, 1.08490, 10009),
        (1, 0.0, 1.08491, 10016),
        (1, 0.0, 1.09000, 10016),
    ],
)
def test_stops_on_the_wrong_side_or_within_the_stops_level_are_10016(order_type: int, sl: float, tp: float, code: int) -> None:
    """Against the price that closes: bid for longs, ask for shorts. Alike on the deal and afterwards."""
    broker = Broker(symbol={"stops_level_points": 20})
    assert broker.buy(type=order_type, sl=sl, tp=tp).retcode == code
    assert broker.stops(broker.buy(type=order_type).order, sl, tp).retcode == code


@pytest.mark.parametrize("sl, tp", [(1.085, 0.0), (0.0, 1.085)])
def test_without_a_stops_level_a_stop_at_the_price_is_still_10016(sl: float, tp: float) -> None:
    assert Broker().buy(sl=sl, tp=tp).retcode == 10016


@pytest.mark.parametrize(
    "order_type, sl, tp, code",
    [
        (2, 1.07980, 1.08020, 10009),
        (2, 1.07981, 0.0, 10016),
        (2, 0.0, 1.08019, 10016),
        (3, 1.09020, 1.08980, 10009),
        (3, 1.09019, 0.0, 10016),
        (3, 0.0, 1.08981, 10016),
    ],
)
def test_stops_of_a_pending_order_are_measured_from_its_own_price(order_type: int, sl: float, tp: float, code: int) -> None:
    assert Broker(symbol={"stops_level_points": 20}).pend(order_type, sl=sl, tp=tp).retcode == code


def test_a_server_that_takes_stops_only_afterwards_refuses_them_on_the_deal_10016() -> None:
    broker = Broker(assumptions={"stops_allowed_on_open": False})
    assert broker.buy(sl=1.08).retcode == 10016
    assert broker.stops(broker.buy().order, 1.08).retcode == 10009


def test_a_change_that_changes_nothing_is_10025() -> None:
    broker = Broker()
    ticket, order = broker.buy(sl=1.08).order, broker.pend().order
    assert broker.stops(ticket, 1.08).retcode == 10025
    assert broker.change_order(order, price=1.08).retcode == 10025
    assert broker.change_order(order, price=1.081).retcode == 10009


def test_an_order_is_changed_by_its_ticket_without_naming_its_symbol() -> None:
    broker = Broker()
    order = broker.pend().order
    assert broker.send(action=c.TRADE_ACTION_MODIFY, order=order, price=1.081).retcode == 10009
    assert [one.price_open for one in broker.mt5.orders_get()] == [1.081]


@pytest.mark.parametrize("sl, tp", [(1.08490, 0.0), (0.0, 1.08510)])
@pytest.mark.parametrize("level, code", [(9, 10009), (10, 10029), (11, 10029)])
def test_within_the_freeze_level_a_position_is_neither_changed_nor_closed_10029(
    sl: float, tp: float, level: int, code: int
) -> None:
    broker = Broker()
    ticket = broker.buy(sl=sl, tp=tp).order
    broker.change(freeze_level_points=level)
    assert broker.stops(ticket, 1.07, 1.1).retcode == code
    broker.change(freeze_level_points=0)
    broker.stops(ticket, sl, tp)
    broker.change(freeze_level_points=level)
    assert broker.close(ticket).retcode == code


@pytest.mark.parametrize("level, code", [(509, 10009), (510, 10029)])
def test_within_the_freeze_level_an_order_is_neither_changed_nor_removed_10029(level: int, code: int) -> None:
    broker = Broker()
    order, other = broker.pend().order, broker.pend().order
    broker.change(freeze_level_points=level)
    assert broker.change_order(order, price=1.07).retcode == code
    assert broker.remove(other).retcode == code


# -- 10018, 10019 ----------------------------------------------------------------------------------------------------------


def test_outside_the_sessions_the_market_is_closed_10018() -> None:
    broker = Broker()
    ticket = broker.buy().order
    broker.change(sessions=CLOSED)
    codes = [broker.buy().retcode, broker.pend().retcode, broker.close(ticket).retcode, broker.stops(ticket, 1.08).retcode]
    assert codes == [10018] * 4


def test_a_session_begins_with_its_first_minute_and_ends_before_its_last() -> None:
    wednesday_noon = 3 * 1440 + 720
    assert Broker(symbol={"sessions": ((wednesday_noon, wednesday_noon + 1),)}).buy().retcode == 10009
    assert Broker(symbol={"sessions": ((wednesday_noon - 1, wednesday_noon),)}).buy().retcode == 10018


def test_without_free_margin_nothing_is_opened_10019() -> None:
    broker = Broker()
    assert broker.buy(volume=9.22).retcode == 10019
    assert broker.buy(volume=9.20).retcode == 10009
    assert broker.buy(volume=0.1).retcode == 10019


def test_closing_needs_no_free_margin() -> None:
    broker = Broker()
    ticket = broker.buy(volume=9.20).order
    assert broker.close(ticket, volume=9.20).retcode == 10009


@pytest.mark.parametrize("ratio, code", [(0.0, 10009), (1.0, 10019)])
def test_a_pending_order_needs_margin_where_the_server_blocks_it(ratio: float, code: int) -> None:
    assert Broker(assumptions={"pending_margin_ratio": ratio}).pend(volume=50.0).retcode == code


# -- 10022 -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "type_time, expiration, code",
    [
        (c.ORDER_TIME_GTC, 0, 10009),
        (c.ORDER_TIME_DAY, 0, 10009),
        (c.ORDER_TIME_SPECIFIED, 0, 10022),
        (c.ORDER_TIME_SPECIFIED, -5, 10022),
        (c.ORDER_TIME_SPECIFIED, NOON_S - 1, 10022),
        (c.ORDER_TIME_SPECIFIED, NOON_S + 60, 10009),
        (c.ORDER_TIME_SPECIFIED_DAY, 0, 10022),
        (c.ORDER_TIME_SPECIFIED_DAY, NOON_S - 86_400, 10022),
        (c.ORDER_TIME_SPECIFIED_DAY, NOON_S - 60, 10009),
    ],
)
def test_an_expiration_that_is_missing_or_past_is_10022(type_time: int, expiration: int, code: int) -> None:
    assert Broker().pend(type_time=type_time, expiration=expiration).retcode == code


@pytest.mark.parametrize("type_time", [0, 1, 2, 3])
def test_a_lifetime_that_the_symbol_does_not_allow_is_10022(type_time: int) -> None:
    fields = {"type_time": type_time, "expiration": NOON_S + 60 if type_time >= 2 else 0}
    assert Broker(symbol={"expiration_mask": 15 - (1 << type_time)}).pend(**fields).retcode == 10022
    assert Broker(symbol={"expiration_mask": 1 << type_time}).pend(**fields).retcode == 10009


def test_an_expiration_is_in_the_time_of_the_server() -> None:
    broker = Broker(assumptions={"server_zone": "UTC+3"})
    assert broker.pend(type_time=2, expiration=NOON_S + 60).retcode == 10022
    assert broker.pend(type_time=2, expiration=NOON_S + 3 * 3600 + 60).retcode == 10009


# -- 10030 -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", range(8))
@pytest.mark.parametrize("execution", [MARKET, EXCHANGE])
def test_a_market_order_is_filled_as_the_mask_allows_where_no_price_is_asked(execution: int, mask: int) -> None:
    """Bit 1 is FOK (0), bit 2 IOC (1); RETURN (2) needs Exchange execution and no bit; BOC (3) is for limits alone."""
    broker = Broker(symbol={"execution": execution, "filling_mask": mask})
    allowed = {FOK: bool(mask & 1), IOC: bool(mask & 2), RETURN: execution == EXCHANGE, BOC: False}
    codes = {filling: broker.buy(type_filling=filling).retcode for filling in allowed}
    assert codes == {filling: 10009 if one else 10030 for filling, one in allowed.items()}


@pytest.mark.parametrize("mask", [0, 1, 2, 7])
@pytest.mark.parametrize("execution", [REQUEST, INSTANT])
@pytest.mark.parametrize("tolerates", [True, False])
def test_fill_or_kill_is_always_allowed_where_a_price_is_asked(execution: int, mask: int, tolerates: bool) -> None:
    """IOC as the server has it, unverified."""
    broker = Broker(symbol={"execution": execution, "filling_mask": mask}, assumptions={"instant_allows_ioc": tolerates})
    codes = [broker.buy(type_filling=filling).retcode for filling in (FOK, IOC, RETURN, BOC)]
    assert codes == [10009, 10009 if tolerates else 10030, 10030, 10030]


@pytest.mark.parametrize("execution", [REQUEST, INSTANT, MARKET, EXCHANGE])
def test_book_or_cancel_is_for_limits_and_stop_limits_in_exchange_execution(execution: int) -> None:
    broker = Broker(symbol={"execution": execution, "filling_mask": 4})
    codes = [broker.pend(one, type_filling=BOC).retcode for one in range(2, 8)]
    assert codes == ([10009, 10009, 10030, 10030, 10009, 10009] if execution == EXCHANGE else [10030] * 6)
    broker.change(filling_mask=3)
    assert {broker.pend(one, type_filling=BOC).retcode for one in range(2, 8)} == {10030}


@pytest.mark.parametrize("execution", [MARKET, EXCHANGE])
@pytest.mark.parametrize("order_type", [2, 3, 6, 7])
def test_limits_and_stop_limits_may_be_return_orders_whatever_the_mask(execution: int, order_type: int) -> None:
    assert Broker(symbol={"execution": execution, "filling_mask": 0}).pend(order_type).retcode == 10009


@pytest.mark.parametrize(
    "rule, codes",
    [("any", [10009, 10009, 10009]), ("return", [10030, 10030, 10009]), ("mask", [10009, 10030, 10030])],
)
def test_which_fillings_a_pending_order_may_have_is_the_servers_habit(rule: str, codes: list[int]) -> None:
    broker = Broker(symbol={"filling_mask": 1}, assumptions={"pending_filling": rule})
    assert [broker.pend(type_filling=filling).retcode for filling in (FOK, IOC, RETURN)] == codes


def test_an_unknown_filling_is_10030() -> None:
    broker = Broker()
    assert (broker.buy(type_filling=9).retcode, broker.pend(type_filling=9).retcode) == (10030, 10030)


# -- 10033, 10034, 10040, 10045, 10046 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("most, codes", [(2, [10009, 10009, 10033]), (0, [10009] * 3)])
def test_more_pending_orders_than_the_account_may_have_are_10033(most: int, codes: list[int]) -> None:
    broker = Broker(account={"orders_max": most})
    assert [broker.pend().retcode for _ in range(3)] == codes
    assert broker.buy().retcode == 10009


def test_more_volume_in_a_direction_than_the_symbol_allows_is_10034() -> None:
    broker = Broker(symbol={"volume_limit_steps": 30})
    assert (broker.buy().retcode, broker.pend(2).retcode) == (10009, 10009)
    assert (broker.buy(volume=0.11).retcode, broker.pend(4, volume=0.11).retcode) == (10034, 10034)
    assert broker.sell(volume=0.3).retcode == 10009
    assert broker.buy().retcode == 10009


def test_more_positions_than_the_account_may_have_are_10040() -> None:
    broker = Broker(account={"positions_max": 1})
    ticket = broker.buy().order
    assert broker.sell().retcode == 10040
    assert broker.close(ticket).retcode == 10009
    assert broker.sell().retcode == 10009


def test_only_the_oldest_position_may_be_closed_where_first_in_is_first_out_10045() -> None:
    broker = Broker(account={"fifo_close": True})
    first, second = broker.buy().order, broker.buy().order
    assert broker.close(second).retcode == 10045
    assert broker.close(first).retcode == 10009
    assert broker.close(second).retcode == 10009


def test_opposite_positions_are_refused_10046_where_they_are_prohibited() -> None:
    broker = Broker(account={"hedging_prohibited": True})
    ticket = broker.buy().order
    assert broker.sell().retcode == 10046
    assert broker.buy().retcode == 10009
    assert broker.close(ticket).retcode == 10009


# -- closing by an opposite position ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [10013, 10035])
def test_only_opposite_positions_of_one_symbol_close_each_other(code: int) -> None:
    broker = Broker(assumptions={"close_by_refused_code": code})
    one, same = broker.buy().order, broker.buy().order
    other = broker.send(action=1, symbol="GBPUSD", volume=0.1, type=1).order
    opposite = broker.sell().order

    def close_by(position: int, position_by: int) -> int:
        return int(broker.send(action=c.TRADE_ACTION_CLOSE_BY, position=position, position_by=position_by).retcode)

    assert (close_by(one, same), close_by(one, other), close_by(one, one)) == (code, code, code)
    broker.change(order_mask=63)
    assert close_by(one, opposite) == code
    broker.change(order_mask=127)
    assert close_by(one, opposite) == 10009
    assert close_by(one, opposite) == 10036


def test_an_answer_to_a_request_without_a_symbol_is_in_lots_and_prices_all_the_same() -> None:
    """Removing and closing by name tickets alone."""
    broker = Broker()
    removed = broker.remove(broker.pend().order)
    assert (removed.retcode, removed.price) == (10009, 0.0)
    assert removed.volume in (0.0, 0.1)
    closed = broker.send(action=c.TRADE_ACTION_CLOSE_BY, position=broker.buy().order, position_by=broker.sell().order)
    assert closed.retcode == 10009
    assert closed.price == 0.0 or 1.0 < closed.price < 1.2


# -- which rule comes first ------------------------------------------------------------------------------------------------

DEAL_RULES: Final[tuple[tuple[int, dict[str, Any]], ...]] = (
    (10027, {"algo_button": False}),
    (10031, {"connected": False}),
    (10013, {"request": {"action": 3}}),
    (10017, {"symbol": {"trade_mode": 0}}),
    (10014, {"request": {"volume": 0.015}}),
    (10030, {"request": {"type_filling": RETURN}}),
    (10015, {"request": {"price": 0.0}}),
    (10016, {"request": {"sl": 2.0}}),
    (10018, {"symbol": {"sessions": CLOSED}}),
    (10021, {"quoted": False}),
    (10004, {"request": {"price": 1.0}}),
    (10036, {"request": {"position": 777}}),
    (10046, {"account": {"hedging_prohibited": True}}),
    (10034, {"symbol": {"volume_limit_steps": 1}}),
    (10040, {"account": {"positions_max": 1}}),
    (10019, {"request": {"volume": 50.0}}),
)
PENDING_RULES: Final[tuple[tuple[int, dict[str, Any]], ...]] = (
    *DEAL_RULES[:5],
    (10030, {"request": {"type_filling": BOC}}),
    (10022, {"request": {"type_time": 2}}),
    (10015, {"request": {"price": 0.0}}),
    (10016, {"request": {"sl": 2.0}}),
    (10018, {"symbol": {"sessions": CLOSED}}),
    (10021, {"quoted": False}),
    (10033, {"account": {"orders_max": 1}}),
    (10034, {"symbol": {"volume_limit_steps": 1}}),
    (10019, {"request": {"volume": 50.0}}),
)
UNDECIDED: Final = {(10016, 10021), (10016, 10036)}
"""Without a quote no side is wrong; and nobody says whether stops on a closing deal are looked at."""


def pairs(rules: tuple[tuple[int, dict[str, Any]], ...]) -> list[tuple[int, int]]:
    codes = [code for code, _ in rules]
    return [(one, two) for at, one in enumerate(codes) for two in codes[at + 1 :]]


def outcome(rules: tuple[tuple[int, dict[str, Any]], ...], request: dict[str, Any], *codes: int) -> int:
    """Of a request that breaks the rules of these codes; of two ways to break with one field, the first."""
    quoted = 10021 not in codes
    broker = Broker(symbol={"execution": INSTANT}, assumptions={"pending_margin_ratio": 1.0}, quoted=quoted)
    broker.mt5.session.quoted("GBPUSD", NOON_MS, 127_000, 127_012)
    there = {} if quoted else {"symbol": "GBPUSD", "price": 1.27}
    assert broker.sell(**there).retcode == 10009
    assert broker.pend(3, **there | ({} if quoted else {"price": 1.28})).retcode == 10009
    broken = [dict(rules)[code] for code in reversed(codes)]
    for one in broken:
        request = request | one.get("request", {})
        broker.change(**one.get("symbol", {}))
        broker.change_account(**one.get("account", {}))
        for name in ("algo_button", "connected"):
            if name in one:
                setattr(broker.mt5.session, name, one[name])
    return int(broker.send(**request).retcode)


@pytest.mark.parametrize("code", [code for code, _ in DEAL_RULES])
def test_a_deal_that_breaks_one_rule_gets_its_code(code: int) -> None:
    assert outcome(DEAL_RULES, deal(), code) == code


@pytest.mark.parametrize("first, second", [pair for pair in pairs(DEAL_RULES) if pair not in UNDECIDED])
def test_a_deal_that_breaks_two_rules_gets_the_code_of_the_earlier(first: int, second: int) -> None:
    assert outcome(DEAL_RULES, deal(), first, second) == first


@pytest.mark.parametrize("code", [code for code, _ in PENDING_RULES])
def test_a_pending_order_that_breaks_one_rule_gets_its_code(code: int) -> None:
    assert outcome(PENDING_RULES, pending(), code) == code


@pytest.mark.parametrize("first, second", pairs(PENDING_RULES))
def test_a_pending_order_that_breaks_two_rules_gets_the_code_of_the_earlier(first: int, second: int) -> None:
    assert outcome(PENDING_RULES, pending(), first, second) == first


# -- order_check -----------------------------------------------------------------------------------------------------------


def test_a_check_succeeds_with_0_and_says_what_the_account_would_be() -> None:
    broker = Broker()
    checked = broker.mt5.order_check(deal())
    assert (checked.retcode, checked.balance, checked.equity, checked.profit) == (0, 10_000.0, 10_000.0, 0.0)
    assert checked.margin == broker.mt5.order_calc_margin(0, "EURUSD", 0.1, 1.0851)
    assert checked.margin_free == pytest.approx(10_000.0 - checked.margin)
    assert broker.mt5.positions_total() == 0


@pytest.mark.parametrize(
    "code, more",
    [
        (10013, {"type": 9}),
        (10014, {"volume": 0.0}),
        (10015, {"price": 0.0}),
        (10016, {"sl": 2.0}),
        (10019, {"volume": 50.0}),
        (10030, {"type_filling": RETURN}),
    ],
)
def test_a_check_fails_with_the_code_that_sending_would_get(code: int, more: dict[str, Any]) -> None:
    broker = Broker(symbol={"execution": INSTANT})
    assert broker.mt5.order_check(deal(**more)).retcode == code
    assert broker.buy(**more).retcode == code


def test_10046_is_no_constant_of_the_package() -> None:
    mt5 = Broker().mt5
    assert mt5.TRADE_RETCODE_FIFO_CLOSE == 10045
    assert not hasattr(mt5, "TRADE_RETCODE_HEDGE_PROHIBITED")
    assert {getattr(mt5, name) for name in dir(mt5) if name.startswith("TRADE_RETCODE")}.isdisjoint({10005, 10037, 10046})
