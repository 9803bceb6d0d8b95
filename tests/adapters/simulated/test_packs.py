"""Every scenario can be played by somebody who is careless, and each kind of trouble is what it says."""

from typing import Any

import pytest
from msgspec.structs import replace

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.account_file import default_account
from evenkeel.adapters.simulated.api import MetaTrader5Like
from evenkeel.adapters.simulated.faults import Call
from evenkeel.adapters.simulated.packs import FOREVER_S, BrokerEvent, CallEvent, MarketEvent, Pack, names, pack
from evenkeel.runtime.clock import ManualClock

START_UTC_MS = 1_709_632_800_000
"""Tuesday, 5 March 2024, 10:00 UTC."""
MAGIC = 4711
ALL_TIME = (0, 2_000_000_000)
IDS = {f"F{number}" for number in range(1, 34)} | {f"PM{number}" for number in range(2, 21) if number != 5}
RETCODES = {value for name, value in vars(mt5).items() if name.startswith("TRADE_RETCODE_")}
ERRORS = {value for name, value in vars(mt5).items() if name.startswith("RES_E_")}


class Played:
    """A terminal that plays `events`, and its time. `slept` are the seconds that calls took."""

    def __init__(self, *events: MarketEvent | BrokerEvent | CallEvent, play: str = "", quote_every_s: float = 0.5) -> None:
        account = default_account()
        market = replace(account.market, play=play, quote_every_s=quote_every_s)
        scenario = Pack(
            title="written for one test",
            covers=(),
            expect="",
            market=tuple(event for event in events if isinstance(event, MarketEvent)),
            broker=tuple(event for event in events if isinstance(event, BrokerEvent)),
            call=tuple(event for event in events if isinstance(event, CallEvent)),
        )
        self.clock, self.slept = ManualClock(START_UTC_MS), list[float]()
        self.mt5 = MetaTrader5Like(
            opened=replace(account, market=market),
            clock=self.clock,
            scenario=None if play else scenario,
            sleep=self.slept.append,
        )
        assert self.mt5.initialize()

    def at(self, seconds: float) -> "Played":
        self.clock.advance_to(START_UTC_MS + round(seconds * 1000))
        return self

    def tick(self, symbol: str = "EURUSD") -> Any:
        return self.mt5.symbol_info_tick(symbol)

    def buy(self, symbol: str = "EURUSD", volume: float = 0.1, *, stop_share: float = 0.01, filling: int = 1) -> Any:
        tick, digits = self.tick(symbol), self.mt5.symbol_info(symbol).digits
        request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": volume, "type": mt5.ORDER_TYPE_BUY}
        request |= {"price": tick.ask, "sl": round(tick.ask * (1 - stop_share), digits), "magic": MAGIC, "comment": "mine"}
        return self.mt5.order_send(request | {"type_filling": filling})

    def close(self, position: Any) -> Any:
        tick, is_buy = self.tick(position.symbol), position.type == mt5.POSITION_TYPE_BUY
        request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": position.symbol, "volume": position.volume, "type": int(is_buy)}
        request |= {"price": tick.bid if is_buy else tick.ask, "position": position.ticket, "type_filling": 1}
        return self.mt5.order_send(request)

    def positions(self) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self.mt5.positions_get()
        return found

    def deals(self) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self.mt5.history_deals_get(*ALL_TIME)
        return found

    def balance_by_deals(self) -> float:
        """Credit stands beside the balance."""
        trades = [deal for deal in self.deals() if deal.type != mt5.DEAL_TYPE_CREDIT]
        return float(sum(deal.profit + deal.commission + deal.swap + deal.fee for deal in trades))


def moments_s(scenario: Pack) -> list[float]:
    """When a script looks: now and then, and often where something begins or ends; last when all that is late has come."""
    edges = [at for event in scenario.market for at in (event.from_s, event.to_s) if at < FOREVER_S]
    edges += [at for event in scenario.call for at in (event.from_s, event.to_s) if at < FOREVER_S]
    edges += [event.at_s for event in scenario.broker]
    end = round(max(edges) + max((event.seconds for event in scenario.call), default=0.0) + 120)
    often = {edge + away for edge in edges for away in range(-20, 41, 4)}
    return sorted(at for at in {*often, *range(0, end, max(4, end // 100)), end} if 0 <= at <= end)


class Naive:
    """Buys, sells and closes without a thought, and remembers what it was answered."""

    def __init__(self, played: Played) -> None:
        self.played, self.failures, self.retcodes = played, set[int](), set[int]()

    def step(self, number: int) -> None:
        module, symbol = self.played.mt5, ("EURUSD", "GBPUSD", "USDJPY")[number % 3]
        self.seen(module.account_info(), module.AccountInfo)
        self.seen(module.symbol_info(symbol), module.SymbolInfo)
        self.seen_all(module.orders_get(), module.TradeOrder)
        self.seen_all(module.history_deals_get(*ALL_TIME), module.TradeDeal)
        tick = self.seen(module.symbol_info_tick(symbol), module.Tick)
        held = self.seen_all(module.positions_get(symbol=symbol), module.TradePosition)
        if tick is None or tick.ask <= 0 or tick.bid <= 0:
            return
        if len(held) > 1 or (held and number % 4 == 0):
            self.send(symbol, tick, position=held[0])
        elif number % 2 == 0:
            self.send(symbol, tick)

    def send(self, symbol: str, tick: Any, position: Any = None) -> None:
        """A market order with a stop, or a close."""
        digits = 3 if symbol.endswith("JPY") else 5
        request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": 0.05, "type": mt5.ORDER_TYPE_BUY}
        request |= {"price": tick.ask, "sl": round(tick.bid * 0.99, digits), "magic": MAGIC, "type_filling": 1}
        if position is not None:
            request |= {"position": position.ticket, "volume": position.volume, "type": 1 - position.type, "sl": 0.0}
        result = self.seen(self.played.mt5.order_send(request), self.played.mt5.OrderSendResult)
        if result is not None:
            assert result.retcode in RETCODES
            self.retcodes.add(result.retcode)

    def seen(self, answer: Any, kind: Any) -> Any:
        """What it is documented to be, or None with an error that is."""
        if answer is None:
            code, text = self.played.mt5.last_error()
            assert code in ERRORS, (code, text)
            self.failures.add(code)
            if code < mt5.RES_E_INTERNAL_FAIL:
                self.played.mt5.initialize()
            return None
        assert type(answer) is kind, answer
        return answer

    def seen_all(self, answer: Any, kind: Any) -> tuple[Any, ...]:
        if answer is None:
            self.seen(answer, tuple)
            return ()
        assert type(answer) is tuple
        assert all(type(one) is kind for one in answer)
        found: tuple[Any, ...] = answer
        return found


# -- all of them ---------------------------------------------------------------------------------------------------------


def test_every_fault_of_broker_and_market_and_every_post_mortem_has_a_scenario() -> None:
    covered = {one for name in names() for one in pack(name).covers}

    assert sorted(IDS - covered) == []
    assert sorted(covered - IDS) == []


def test_a_scenario_is_named_for_the_fault_that_it_covers() -> None:
    for name in names():
        if name[0] == "f" and name[1:3].isdigit():
            assert f"F{int(name[1:3])}" in pack(name).covers, name


@pytest.mark.parametrize("name", names())
def test_a_scenario_says_in_plain_words_what_happens_and_what_is_expected(name: str) -> None:
    told = pack(name)

    for text in (told.title, told.expect):
        assert 10 < len(text) < 140
        assert text[0].islower() or text[0].isdigit()
        assert not text.endswith(".")
    assert told.market or told.broker or told.call


@pytest.mark.parametrize("name", names())
def test_a_scenario_ends_after_it_began_and_changes_symbols_that_are_there(name: str) -> None:
    told, symbols = pack(name), default_account().symbols

    assert all(event.from_s < event.to_s for event in told.market)
    assert all(event.from_s < event.to_s for event in told.call)
    assert all(symbol in symbols for event in told.market for symbol in event.symbols)
    assert all(not event.symbol or event.symbol in symbols for event in told.broker)


@pytest.mark.parametrize("name", names())
def test_a_scenario_is_played_to_its_end_with_documented_answers_and_exact_money(name: str) -> None:
    moments = moments_s(pack(name))
    played = Played(play=name, quote_every_s=max(1.0, min(20.0, moments[-1] / 1000)))
    naive = Naive(played)

    for number, at_s in enumerate(moments):
        played.at(at_s)
        naive.step(number)

    assert played.mt5.initialize()
    info = played.mt5.account_info()
    assert round(info.balance * 100) == round(played.balance_by_deals() * 100)
    assert round(info.equity * 100) == round((info.balance + info.credit + info.profit) * 100)
    assert any(deal.position_id for deal in played.deals())


@pytest.mark.parametrize("name", ["duplicate-after-timeout", "f06-empty-although-positions", "gbp-2016"])
def test_a_scenario_is_the_same_each_time(name: str) -> None:
    def deals() -> list[Any]:
        played = Played(play=name, quote_every_s=2.0)
        naive = Naive(played)
        for number in range(60):
            played.at(number * 5)
            naive.step(number)
        return [tuple(deal) for deal in played.at(700).deals()]

    assert deals() == deals()


# -- calls ---------------------------------------------------------------------------------------------------------------


def test_a_reply_lost_after_the_order_leaves_a_position_and_answers_none() -> None:
    played = Played(CallEvent(kind="lost_after", on=(Call.OPEN,), from_s=60)).at(70)

    assert played.buy() is None
    assert played.mt5.last_error()[0] == mt5.RES_E_INTERNAL_FAIL
    assert [(one.magic, one.volume) for one in played.positions()] == [(MAGIC, 0.1)]


def test_an_order_lost_before_it_arrived_leaves_nothing_and_answers_none() -> None:
    played = Played(CallEvent(kind="lost_before", on=(Call.OPEN,), from_s=60)).at(70)

    assert played.buy() is None
    assert played.at(600).positions() == ()


def test_a_late_order_is_filled_at_the_price_of_its_time() -> None:
    fall = MarketEvent(kind="shift", from_s=80, to_s=90, percent=-0.5)
    played = Played(CallEvent(kind="late", on=(Call.OPEN,), from_s=60, seconds=60), fall).at(70)
    asked = played.tick().ask

    assert played.buy() is None
    assert played.at(129).positions() == ()
    (held,) = played.at(131).positions()
    assert held.magic == MAGIC
    assert 0.993 < held.price_open / asked < 0.997
    assert START_UTC_MS + 129_000 <= held.time_msc <= START_UTC_MS + 131_000


def test_a_placed_order_is_answered_so_and_executed_later() -> None:
    played = Played(CallEvent(kind="placed", on=(Call.OPEN,), seconds=10)).at(70)

    result = played.buy()

    assert (result.retcode, result.deal) == (mt5.TRADE_RETCODE_PLACED, 0)
    assert result.order > 0
    assert played.positions() == ()
    assert len(played.at(81).positions()) == 1


def test_a_placed_order_that_is_executed_later_keeps_the_ticket_that_was_told() -> None:
    played = Played(CallEvent(kind="placed", on=(Call.OPEN,), seconds=10)).at(70)

    result = played.buy()

    assert [one.ticket for one in played.at(81).positions()] == [result.order]


def test_a_placed_order_that_is_refused_never_comes() -> None:
    played = Played(CallEvent(kind="placed_refused", on=(Call.OPEN,))).at(70)

    assert played.buy().retcode == mt5.TRADE_RETCODE_PLACED
    assert played.at(1000).positions() == ()


def test_a_return_code_is_answered_in_place_of_an_order() -> None:
    played = Played(CallEvent(kind="retcode", on=(Call.OPEN,), to_s=80, code=mt5.TRADE_RETCODE_REQUOTE)).at(70)

    assert played.buy().retcode == mt5.TRADE_RETCODE_REQUOTE
    assert played.positions() == ()
    assert played.at(81).buy().retcode == mt5.TRADE_RETCODE_DONE


def test_only_the_call_with_the_number_goes_wrong() -> None:
    played = Played(CallEvent(kind="unreadable", on=(Call.POSITIONS,), nth=2))

    assert [played.mt5.positions_get() for _ in range(3)] == [(), None, ()]
    assert played.mt5.last_error() == (mt5.RES_S_OK, "Success")


def test_a_dead_terminal_breaks_the_connection_until_it_is_initialized() -> None:
    played = Played(CallEvent(kind="dead", on=(Call.POSITIONS,), nth=1)).at(70)

    assert played.mt5.positions_get() is None
    assert played.mt5.last_error()[0] == mt5.RES_E_INTERNAL_FAIL_RECEIVE == -10002
    assert played.mt5.account_info() is None
    assert played.mt5.last_error()[0] == mt5.RES_E_INTERNAL_FAIL_CONNECT == -10004
    assert played.mt5.initialize()
    assert played.positions() == ()


def test_a_restart_breaks_the_connection_and_keeps_the_positions() -> None:
    played = Played(BrokerEvent(kind="restart", at_s=60)).at(30)
    played.buy()

    assert played.at(61).mt5.positions_get() is None
    assert played.mt5.initialize()
    assert len(played.positions()) == 1


def test_a_hanging_call_takes_its_time_and_answers() -> None:
    played = Played(CallEvent(kind="hang", on=(Call.POSITIONS,), seconds=65))

    assert played.positions() == ()
    assert played.slept == [65]


def test_an_empty_read_is_empty_although_there_is_a_position() -> None:
    played = Played(CallEvent(kind="empty", on=(Call.POSITIONS,), from_s=60, to_s=70)).at(30)
    played.buy()

    assert played.at(65).positions() == ()
    assert len(played.at(71).positions()) == 1


def test_slippage_fills_worse_on_both_sides() -> None:
    played = Played(CallEvent(kind="slip", on=(Call.OPEN, Call.CLOSE), points=200)).at(70)
    tick = played.tick()

    bought = played.buy()
    (held,) = played.positions()
    closed = played.close(held)

    assert bought.price == held.price_open == pytest.approx(tick.ask + 0.002)
    assert closed.price == pytest.approx(tick.bid - 0.002)
    assert (played.tick().bid, played.tick().ask) == (tick.bid, tick.ask)


@pytest.mark.parametrize("kind, magic, comment", [("no_magic", 0, "mine"), ("no_comment", MAGIC, "")])
def test_the_server_loses_one_mark_and_keeps_the_other(kind: Any, magic: int, comment: str) -> None:
    played = Played(CallEvent(kind=kind, on=(Call.OPEN,))).at(70)

    played.buy()

    assert [(one.magic, one.comment) for one in played.positions()] == [(magic, comment)]
    assert [(one.magic, one.comment) for one in played.deals() if one.position_id] == [(magic, comment)]


def test_about_the_share_of_calls_goes_wrong() -> None:
    played = Played(CallEvent(kind="unreadable", on=(Call.DEALS,), rate=0.5))

    answers = [played.mt5.history_deals_get(*ALL_TIME) for _ in range(200)]

    assert 70 < sum(answer is None for answer in answers) < 130


# -- quotes --------------------------------------------------------------------------------------------------------------


def test_in_a_silence_there_is_no_newer_quote() -> None:
    played = Played(MarketEvent(kind="silence", from_s=60, to_s=120)).at(60)
    last = played.tick()

    assert played.at(119).tick() == last
    assert played.at(123).tick().time_msc > START_UTC_MS + 119_000


def test_a_frozen_price_has_new_times() -> None:
    played = Played(MarketEvent(kind="frozen", from_s=60, to_s=120)).at(62)
    first = played.tick()
    later = played.at(118).tick()

    assert (first.bid, first.ask) == (later.bid, later.ask)
    assert later.time_msc > first.time_msc + 50_000
    assert played.at(240).tick().bid != first.bid


def test_a_spread_is_so_many_times_as_wide_round_the_same_middle() -> None:
    calm, wide = (
        Played(*events).at(90).tick() for events in ((), (MarketEvent(kind="spread", from_s=60, to_s=120, times=20),))
    )

    assert wide.ask - wide.bid == pytest.approx(20 * (calm.ask - calm.bid), abs=1e-9)
    assert wide.ask + wide.bid == pytest.approx(calm.ask + calm.bid, abs=2.1e-5)


def test_a_gap_goes_through_a_stop_and_is_filled_at_the_first_quote() -> None:
    silence = MarketEvent(kind="silence", from_s=60, to_s=300)
    played = Played(silence, MarketEvent(kind="shift", from_s=60, to_s=61, percent=-4)).at(50)
    bought, stop = played.buy().price, played.positions()[0].sl

    assert len(played.at(299).positions()) == 1
    assert played.at(310).positions() == ()
    *_, out = played.deals()
    assert out.reason == mt5.DEAL_REASON_SL
    assert out.price < stop - 0.02
    assert 0.955 < out.price / bought < 0.965


def test_a_shift_stays_and_moves_all_symbols_where_none_is_named() -> None:
    played = Played(MarketEvent(kind="shift", from_s=60, to_s=120, percent=-5))
    selected = ("EURUSD", "GBPUSD", "USDJPY", "USDCHF")
    before = [played.at(55).tick(symbol).bid for symbol in selected]
    after = [played.at(180).tick(symbol).bid for symbol in selected]

    assert all(0.94 < now / then < 0.96 for now, then in zip(after, before, strict=True))


def test_crossed_quotes_have_the_bid_above_the_ask() -> None:
    played = Played(MarketEvent(kind="crossed", from_s=60, to_s=120)).at(90)

    assert played.tick().bid > played.tick().ask
    assert played.at(130).tick().bid < played.tick().ask


def test_prices_of_zero_reach_the_terminal() -> None:
    played = Played(MarketEvent(kind="zero", from_s=60, to_s=120)).at(90)

    assert (played.tick().bid, played.tick().ask) == (0.0, 0.0)


def test_quotes_from_the_past_are_stamped_earlier() -> None:
    played = Played(MarketEvent(kind="backwards", from_s=60, to_s=120, seconds=30)).at(100)

    assert START_UTC_MS + 65_000 < played.tick().time_msc <= START_UTC_MS + 70_000


def test_quotes_from_the_future_are_stamped_later() -> None:
    played = Played(MarketEvent(kind="future", from_s=60, to_s=120, seconds=30)).at(100)

    assert START_UTC_MS + 125_000 < played.tick().time_msc <= START_UTC_MS + 130_000


def test_quotes_from_the_future_hold_up_no_other_quotes() -> None:
    played = Played(MarketEvent(kind="future", from_s=60, to_s=120, seconds=30, symbols=("EURUSD",))).at(85)

    assert played.tick("GBPUSD").time_msc > START_UTC_MS + 80_000


def test_a_burst_is_so_many_ticks_in_place_of_one() -> None:
    calm, burst = (
        len(Played(*events).at(120).mt5.copy_ticks_range("EURUSD", *ALL_TIME, mt5.COPY_TICKS_ALL))
        for events in ((), (MarketEvent(kind="burst", from_s=60, to_s=120, times=10),))
    )

    assert 4 * calm < burst < 7 * calm


def test_repeated_quotes_come_twice() -> None:
    played = Played(MarketEvent(kind="repeat", from_s=60, to_s=120)).at(110)
    ticks = played.mt5.copy_ticks_range("EURUSD", START_UTC_MS // 1000 + 65, START_UTC_MS // 1000 + 105, mt5.COPY_TICKS_ALL)

    stamps = [int(tick["time_msc"]) for tick in ticks]
    assert len(stamps) > 40
    assert len(stamps) == 2 * len(set(stamps))


def test_jitter_goes_up_and_down_in_turn() -> None:
    played = Played(MarketEvent(kind="jitter", from_s=60, to_s=600, percent=1, seconds=30))

    bids = [played.at(second).tick().bid for second in (80, 110, 140, 170)]

    assert bids[0] > bids[1] + 0.015 < bids[2] > bids[3] + 0.015


# -- broker, person and terminal -----------------------------------------------------------------------------------------


def test_the_button_for_automatic_trading_refuses_orders_with_10027() -> None:
    played = Played(BrokerEvent(kind="algo_button", at_s=60, value=False), BrokerEvent(kind="algo_button", at_s=90, value=True))

    assert played.at(70).buy().retcode == mt5.TRADE_RETCODE_CLIENT_DISABLES_AT == 10027
    assert played.mt5.terminal_info().trade_allowed is False
    assert played.at(91).buy().retcode == mt5.TRADE_RETCODE_DONE


def test_a_terminal_without_its_server_refuses_orders_with_10031() -> None:
    played = Played(BrokerEvent(kind="connected", at_s=60, value=False)).at(70)

    assert played.buy().retcode == mt5.TRADE_RETCODE_CONNECTION == 10031
    assert played.mt5.terminal_info().connected is False


@pytest.mark.parametrize("kind, code", [("trade_allowed", 10017), ("trade_expert", 10026)])
def test_the_server_forbids_trading(kind: Any, code: int) -> None:
    played = Played(BrokerEvent(kind=kind, at_s=60, value=False)).at(70)

    assert played.buy().retcode == code
    assert getattr(played.mt5.account_info(), kind) is False


def test_a_disabled_api_sends_no_order() -> None:
    played = Played(BrokerEvent(kind="api_disabled", at_s=60, value=True)).at(70)

    assert played.buy() is None
    assert played.mt5.last_error()[0] == mt5.RES_E_AUTO_TRADING_DISABLED


def test_another_login_and_another_server_are_seen_in_the_account() -> None:
    played = Played(
        BrokerEvent(kind="login", at_s=60, value=7_000_007),
        BrokerEvent(kind="server_name", at_s=60, value="Other-Server"),
        BrokerEvent(kind="trade_mode_of_account", at_s=60, value=mt5.ACCOUNT_TRADE_MODE_REAL),
    )
    before, after = played.at(50).mt5.account_info(), played.at(61).mt5.account_info()

    assert (before.login, before.server, before.trade_mode) == (5_000_001, "Evenkeel-Simulated", 0)
    assert (after.login, after.server, after.trade_mode) == (7_000_007, "Other-Server", mt5.ACCOUNT_TRADE_MODE_REAL)


def test_a_netting_account_is_one_from_the_start() -> None:
    played = Played(BrokerEvent(kind="margin_mode", at_s=0, value=mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING))

    assert played.mt5.account_info().margin_mode == mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING
    played.at(10).buy()
    played.buy()
    assert [one.volume for one in played.positions()] == [0.2]


def test_a_new_position_is_seen_only_after_the_lag() -> None:
    played = Played(BrokerEvent(kind="visible_lag_ms", at_s=60, value=5000)).at(70)

    assert played.buy().retcode == mt5.TRADE_RETCODE_DONE
    assert played.at(74).positions() == ()
    assert len(played.at(76).positions()) == 1


def test_a_position_that_was_there_before_the_lag_began_stays_visible() -> None:
    played = Played(BrokerEvent(kind="visible_lag_ms", at_s=60, value=5000)).at(30)
    played.buy()

    assert len(played.at(50).positions()) == 1
    assert len(played.at(62).positions()) == 1


def test_a_closed_position_is_still_seen_during_the_lag() -> None:
    played = Played(BrokerEvent(kind="visible_lag_ms", at_s=60, value=5000)).at(65)
    played.buy()
    (held,) = played.at(80).positions()

    assert played.close(held).retcode == mt5.TRADE_RETCODE_DONE
    assert len(played.at(84).positions()) == 1
    assert played.close(held).retcode == mt5.TRADE_RETCODE_POSITION_CLOSED
    assert played.at(86).positions() == ()


def test_a_deal_is_in_the_history_only_after_the_lag() -> None:
    played = Played(BrokerEvent(kind="history_lag_ms", at_s=60, value=60_000)).at(100)
    played.buy()

    assert [deal for deal in played.at(150).deals() if deal.position_id] == []
    assert len(played.positions()) == 1
    assert len([deal for deal in played.at(161).deals() if deal.position_id]) == 1


def test_a_person_opens_a_position_without_a_magic_number() -> None:
    played = Played(BrokerEvent(kind="person_opens", at_s=60, symbol="GBPUSD", value=-0.05)).at(61)

    (held,) = played.positions()
    assert (held.symbol, held.type, held.volume, held.magic) == ("GBPUSD", mt5.POSITION_TYPE_SELL, 0.05, 0)
    assert held.reason == mt5.POSITION_REASON_CLIENT


def test_a_person_removes_the_stops_and_nothing_else() -> None:
    played = Played(BrokerEvent(kind="person_removes_stops", at_s=60)).at(30)
    played.buy()
    (before,), (after,) = played.positions(), played.at(61).positions()

    assert before.sl > 0
    assert after.sl == after.tp == 0
    assert (after.ticket, after.volume) == (before.ticket, before.volume)


def test_a_person_moves_the_stops_away_by_points() -> None:
    played = Played(BrokerEvent(kind="person_moves_stops", at_s=60, value=50)).at(30)
    played.buy()
    (before,), (after,) = played.positions(), played.at(61).positions()

    assert before.sl - after.sl == pytest.approx(0.0005)


def test_a_person_closes_half_and_then_all() -> None:
    played = Played(BrokerEvent(kind="person_closes_half", at_s=60), BrokerEvent(kind="person_closes_all", at_s=90)).at(30)
    played.buy()

    assert [one.volume for one in played.at(61).positions()] == [0.05]
    assert played.at(91).positions() == ()
    outs = [deal for deal in played.deals() if deal.entry == mt5.DEAL_ENTRY_OUT]
    assert [(deal.volume, deal.reason, deal.magic) for deal in outs] == [(0.05, mt5.DEAL_REASON_CLIENT, 0)] * 2


def test_a_broker_closes_all_by_stop_out() -> None:
    played = Played(BrokerEvent(kind="broker_closes_all", at_s=60)).at(30)
    played.buy()

    assert played.at(61).positions() == ()
    assert played.deals()[-1].reason == mt5.DEAL_REASON_SO


@pytest.mark.parametrize(
    "kind, deal_type",
    [
        ("deposit", mt5.DEAL_TYPE_BALANCE),
        ("correction", mt5.DEAL_TYPE_CORRECTION),
        ("dividend", mt5.DEAL_DIVIDEND),
        ("commission", mt5.DEAL_TYPE_COMMISSION_DAILY),
    ],
)
def test_money_that_comes_or_goes_is_a_deal_and_moves_the_balance(kind: Any, deal_type: int) -> None:
    played = Played(BrokerEvent(kind=kind, at_s=60, value=-1234)).at(61)

    deal = played.deals()[-1]
    assert (deal.type, deal.profit, deal.symbol) == (deal_type, -12.34, "")
    assert played.mt5.account_info().balance == 9987.66


def test_credit_stands_beside_the_balance() -> None:
    played = Played(BrokerEvent(kind="credit", at_s=60, value=25_000)).at(61)

    info = played.mt5.account_info()
    assert (info.balance, info.credit, info.equity) == (10_000.0, 250.0, 10_250.0)
    assert (played.deals()[-1].type, played.deals()[-1].profit) == (mt5.DEAL_TYPE_CREDIT, 250.0)


def test_thin_liquidity_fills_a_part() -> None:
    played = Played(BrokerEvent(kind="liquidity", at_s=60, value=0.03)).at(61)

    result = played.buy()

    assert (result.retcode, result.volume) == (mt5.TRADE_RETCODE_DONE_PARTIAL, 0.03)
    assert [one.volume for one in played.positions()] == [0.03]


def test_stops_may_be_no_closer_than_the_new_level() -> None:
    played = Played(BrokerEvent(kind="stops_level", at_s=60, value=500)).at(61)

    assert played.buy(stop_share=0.002).retcode == mt5.TRADE_RETCODE_INVALID_STOPS
    assert played.positions() == ()
    assert played.buy(stop_share=0.01).retcode == mt5.TRADE_RETCODE_DONE


def test_a_higher_margin_blocks_more_of_the_account() -> None:
    played = Played(BrokerEvent(kind="margin_ratio", at_s=60, value=4)).at(30)
    before = played.mt5.order_calc_margin(mt5.ORDER_TYPE_BUY, "EURUSD", 1.0, 1.085)

    assert played.at(61).mt5.order_calc_margin(mt5.ORDER_TYPE_BUY, "EURUSD", 1.0, 1.085) == pytest.approx(4 * before, rel=0.01)


def test_other_digits_leave_the_price_where_it_is() -> None:
    played = Played(BrokerEvent(kind="digits", at_s=60, symbol="EURUSD", value=4)).at(50)
    before = played.tick().bid

    assert played.at(65).mt5.symbol_info("EURUSD").digits == 4
    assert played.tick().bid == pytest.approx(before, rel=0.01)


def test_another_step_of_volume_leaves_positions_as_large_as_they_are() -> None:
    played = Played(BrokerEvent(kind="volume_step", at_s=60, symbol="EURUSD", value=0.1)).at(30)
    played.buy(volume=0.2)

    assert played.at(61).mt5.symbol_info("EURUSD").volume_step == 0.1
    assert [one.volume for one in played.positions()] == [0.2]


def test_the_worth_of_a_tick_is_told_as_the_scenario_says() -> None:
    played = Played(BrokerEvent(kind="tick_value", at_s=60, value=0.0))

    assert played.at(30).mt5.symbol_info("USDJPY").trade_tick_value > 0
    assert played.at(61).mt5.symbol_info("USDJPY").trade_tick_value == 0


def test_a_symbol_that_is_taken_away_trades_no_more() -> None:
    played = Played(BrokerEvent(kind="spec_removed", at_s=60, symbol="EURUSD")).at(61)

    assert played.mt5.symbol_info("EURUSD") is None
    request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.1, "type": mt5.ORDER_TYPE_BUY}
    assert played.mt5.order_send(request).retcode == mt5.TRADE_RETCODE_TRADE_DISABLED


def test_another_zone_of_the_server_shows_in_its_stamps() -> None:
    played = Played(BrokerEvent(kind="server_zone", at_s=60, value="UTC+3"))

    assert played.at(50).tick().time_msc - START_UTC_MS == pytest.approx(50_000, abs=3000)
    assert played.at(70).tick().time_msc - START_UTC_MS == pytest.approx(70_000 + 3 * 3_600_000, abs=3000)
