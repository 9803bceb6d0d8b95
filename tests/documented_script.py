"""A day with the official MetaTrader5 package, written only against its public documentation on mql5.com.
The module is a parameter, so that the very same calls run against the real package and against a simulated one."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

EURUSD, USDJPY, UNKNOWN = "EURUSD", "USDJPY", "NOSUCHSYMBOL"
MAGIC, COMMENT = 20250101, "documented script"
FOK_ALLOWED, IOC_ALLOWED = 1, 2  # the bits of symbol_info().filling_mode
RATE_FIELDS = ("time", "open", "high", "low", "close", "tick_volume", "spread", "real_volume")
TICK_FIELDS = ("time", "bid", "ask", "last", "volume", "time_msc", "flags", "volume_real")


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    for _ in range(400):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited twenty seconds in vain: {what}")


def wait_for(call: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """What the call answers, as soon as that is neither None nor empty."""
    return wait_until(lambda: [got for got in [call(*args, **more)] if got is not None and len(got)], f"{args} {more}")[0]


def same(left: Any, right: Any, tolerance: float = 1e-8) -> bool:
    return bool(np.allclose(left, right, rtol=0.0, atol=tolerance))


def server_now(mt5: Any) -> datetime:
    return datetime.fromtimestamp(mt5.symbol_info_tick(EURUSD).time, tz=UTC)


def history_window(mt5: Any) -> tuple[datetime, datetime]:
    """The trade server may run hours beside UTC, so the window is generous on both sides."""
    now = datetime.now(UTC)
    return min(now, server_now(mt5)) - timedelta(days=1), max(now, server_now(mt5)) + timedelta(days=1)


def market_request(mt5: Any, symbol: str, order_type: int, volume: float, **more: Any) -> dict[str, Any]:
    tick, mode = mt5.symbol_info_tick(symbol), mt5.symbol_info(symbol).filling_mode
    filling = mt5.ORDER_FILLING_IOC if mode & IOC_ALLOWED else mt5.ORDER_FILLING_FOK
    price = tick.ask if order_type == mt5.ORDER_TYPE_BUY else tick.bid
    request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": volume, "type": order_type, "price": price}
    request |= {"deviation": 20, "magic": MAGIC, "comment": COMMENT, "type_time": mt5.ORDER_TIME_GTC, "type_filling": filling}
    return request | more


def send(mt5: Any, request: dict[str, Any]) -> Any:
    result = mt5.order_send(request)
    assert result is not None, mt5.last_error()
    assert result.retcode == mt5.TRADE_RETCODE_DONE, f"{result.retcode} {result.comment} for {request}"
    assert result.request.action == request["action"]
    return result


def position_of(mt5: Any, ticket: int) -> Any:
    return wait_for(mt5.positions_get, ticket=ticket)[0]


def greet(mt5: Any, facts: dict[str, Any], say: list[str]) -> None:
    assert mt5.last_error()[0] == mt5.RES_S_OK
    version, terminal, account = mt5.version(), mt5.terminal_info(), mt5.account_info()
    say.append(f"version {version}")
    say.extend(f"{name} = {value}" for about in (terminal, account) for name, value in about._asdict().items())
    assert all((terminal.connected, terminal.trade_allowed, account.trade_allowed, account.trade_expert))
    assert account.trade_mode != mt5.ACCOUNT_TRADE_MODE_REAL, "this script trades: never on a real account"
    assert account.margin_mode == mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
    assert (mt5.positions_total(), mt5.orders_total()) == (0, 0)
    assert same(account.equity, account.balance + account.credit, 0.005)
    facts.update(build=version[1], currency=account.currency, leverage=account.leverage, balance_start=account.balance)


def look_at_symbols(mt5: Any, facts: dict[str, Any], say: list[str]) -> None:
    total, everything = mt5.symbols_total(), mt5.symbols_get()
    euro, others = mt5.symbols_get(group="*EUR*"), mt5.symbols_get(group="*,!*EUR*")
    assert total == len(everything) == len(euro) + len(others)
    assert all("EUR" in symbol.name for symbol in euro)
    assert not any("EUR" in symbol.name for symbol in others)
    pair = (USDJPY, EURUSD)
    assert all(mt5.symbol_select(name, True) for name in pair), mt5.last_error()
    wait_until(lambda: all(tick is not None and tick.time > 0 for tick in map(mt5.symbol_info_tick, pair)), "first ticks")
    for name in pair:
        info, tick = mt5.symbol_info(name), mt5.symbol_info_tick(name)
        assert (info.name, info.select, info.visible) == (name, True, True)
        assert info.volume_min <= 0.04 <= info.volume_max
        assert tick.ask >= tick.bid > 0
        assert tick.time_msc // 1000 == tick.time
        say.append(f"{name} {tick.bid} / {tick.ask} of {info._asdict()}")
    gap = (datetime.now(UTC) - server_now(mt5)).total_seconds()
    facts.update(symbols=total, euro_symbols=len(euro), filling_mode=info.filling_mode, clock_gap_seconds=gap)


def calculate(mt5: Any, facts: dict[str, Any]) -> None:
    info, tick = mt5.symbol_info(EURUSD), mt5.symbol_info_tick(EURUSD)
    margin = mt5.order_calc_margin(mt5.ORDER_TYPE_BUY, EURUSD, 0.1, tick.ask)
    further = tick.ask + 100 * info.point
    gain = mt5.order_calc_profit(mt5.ORDER_TYPE_BUY, EURUSD, 0.1, tick.ask, further)
    loss = mt5.order_calc_profit(mt5.ORDER_TYPE_SELL, EURUSD, 0.1, tick.ask, further)
    yen = mt5.order_calc_profit(mt5.ORDER_TYPE_BUY, USDJPY, 0.1, 150.0, 151.0)
    if mt5.account_info().currency == info.currency_profit:
        assert same(gain, 10 * info.trade_contract_size * info.point, 0.011)
    check = mt5.order_check(market_request(mt5, EURUSD, mt5.ORDER_TYPE_BUY, 0.1))
    assert check is not None, mt5.last_error()
    assert (check.retcode, check.request.symbol) == (0, EURUSD), check.comment
    assert min(margin, gain, yen, check.margin) > 0 > loss
    facts.update(margin=margin, gain=gain, loss=loss, yen_gain=yen, check=check._asdict())


def trade_one_position(mt5: Any, facts: dict[str, Any]) -> None:
    info, tick = mt5.symbol_info(EURUSD), mt5.symbol_info_tick(EURUSD)
    away = (500 + 2 * info.trade_stops_level) * info.point
    sl, tp = round(tick.bid - away, info.digits), round(tick.ask + away, info.digits)
    result = send(mt5, market_request(mt5, EURUSD, mt5.ORDER_TYPE_BUY, 0.1, sl=sl, tp=tp))
    ticket = int(result.order)
    assert same(result.volume, 0.1)
    position = position_of(mt5, ticket)
    assert (position.symbol, position.type, position.magic) == (EURUSD, mt5.POSITION_TYPE_BUY, MAGIC)
    assert (position.ticket, position.identifier, position.comment) == (ticket, ticket, COMMENT)
    assert same((position.volume, position.sl, position.tp), (0.1, sl, tp))
    for held in (mt5.positions_get(), mt5.positions_get(symbol=EURUSD), mt5.positions_get(group="*EUR*")):
        assert [position.ticket for position in held] == [ticket]
    assert not mt5.positions_get(group="*JPY*")
    assert mt5.account_info().margin > 0
    facts.update(position=ticket, deal=result.deal, open_price=position.price_open, reason=position.reason)
    sl, tp = round(sl - 50 * info.point, info.digits), round(tp + 50 * info.point, info.digits)
    send(mt5, {"action": mt5.TRADE_ACTION_SLTP, "symbol": EURUSD, "position": ticket, "sl": sl, "tp": tp, "magic": MAGIC})
    wait_until(lambda: same((position_of(mt5, ticket).sl, position_of(mt5, ticket).tp), (sl, tp)), "the new stops")
    send(mt5, market_request(mt5, EURUSD, mt5.ORDER_TYPE_SELL, 0.04, position=ticket))
    wait_until(lambda: same(position_of(mt5, ticket).volume, 0.06), "the smaller position")


def place_pending_orders(mt5: Any, facts: dict[str, Any]) -> None:
    info, tick = mt5.symbol_info(EURUSD), mt5.symbol_info_tick(EURUSD)
    step, tickets = (500 + 2 * info.trade_stops_level) * info.point, []
    for order_type in (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_STOP):
        price = round(tick.bid - step, info.digits)
        request = market_request(mt5, EURUSD, order_type, 0.1, action=mt5.TRADE_ACTION_PENDING, price=price)
        ticket = send(mt5, {**request, "type_filling": mt5.ORDER_FILLING_RETURN}).order
        order = wait_for(mt5.orders_get, ticket=ticket)[0]
        assert (order.ticket, order.symbol, order.type, order.magic) == (ticket, EURUSD, order_type, MAGIC)
        assert (order.state, order.type_time) == (mt5.ORDER_STATE_PLACED, mt5.ORDER_TIME_GTC)
        assert same((order.price_open, order.volume_initial, order.volume_current), (price, 0.1, 0.1))
        tickets.append(ticket)
    for found in (mt5.orders_get(), mt5.orders_get(symbol=EURUSD), mt5.orders_get(group="*EUR*")):
        assert {order.ticket for order in found} == set(tickets)
    assert not mt5.orders_get(group="*JPY*")
    for ticket in tickets:
        change_and_remove(mt5, ticket, round(tick.bid - 1.5 * step, info.digits))
    facts["pending"] = tickets


def change_and_remove(mt5: Any, ticket: int, price: float) -> None:
    change = {"action": mt5.TRADE_ACTION_MODIFY, "order": ticket, "symbol": EURUSD, "price": price, "sl": 0.0, "tp": 0.0}
    send(mt5, change | {"type_time": mt5.ORDER_TIME_GTC})
    wait_until(lambda: same(mt5.orders_get(ticket=ticket)[0].price_open, price), "the new order price")
    send(mt5, {"action": mt5.TRADE_ACTION_REMOVE, "order": ticket})
    wait_until(lambda: not mt5.orders_get(ticket=ticket), "the removal")
    (past,) = wait_for(mt5.history_orders_get, ticket=ticket)
    assert (past.ticket, past.state) == (ticket, mt5.ORDER_STATE_CANCELED)


def close_by_opposite(mt5: Any, facts: dict[str, Any]) -> None:
    long, short = facts["position"], send(mt5, market_request(mt5, EURUSD, mt5.ORDER_TYPE_SELL, 0.1)).order
    assert (position_of(mt5, short).type, mt5.positions_total()) == (mt5.POSITION_TYPE_SELL, 2), "hedging keeps both sides"
    send(mt5, {"action": mt5.TRADE_ACTION_CLOSE_BY, "position": long, "position_by": short, "magic": MAGIC})
    wait_until(lambda: not mt5.positions_get(ticket=long), "the end of the long position")
    assert same(position_of(mt5, short).volume, 0.04)


def use_helpers(mt5: Any, facts: dict[str, Any]) -> None:
    """Buy, Sell and Close name no filling, which means fill or kill."""
    if not all(mt5.symbol_info(name).filling_mode & FOK_ALLOWED for name in (EURUSD, USDJPY)):
        assert mt5.Buy(EURUSD, 0.1).retcode == mt5.TRADE_RETCODE_INVALID_FILL
        facts["helpers"] = "fill or kill is not allowed here"
        return
    for result in (mt5.Buy(EURUSD, 0.1, comment="helper"), mt5.Sell(EURUSD, 0.1), mt5.Sell(USDJPY, 0.1)):
        assert result is not None, mt5.last_error()
        assert result.retcode == mt5.TRADE_RETCODE_DONE, result.comment
        position_of(mt5, result.order)
    assert mt5.Close(USDJPY, ticket=result.order) is True
    wait_until(lambda: not mt5.positions_get(symbol=USDJPY), "the closed yen position")
    assert mt5.Close(EURUSD) is True
    wait_until(lambda: not mt5.positions_get(symbol=EURUSD), "the closed euro positions")
    facts["helpers"] = "used"


def read_rates_and_ticks(mt5: Any, facts: dict[str, Any]) -> None:
    now = server_now(mt5)
    frames = (mt5.TIMEFRAME_M1, 60), (mt5.TIMEFRAME_M15, 900), (mt5.TIMEFRAME_H1, 3600), (mt5.TIMEFRAME_D1, 86400)
    for frame, seconds in frames:
        start = now - timedelta(seconds=10 * seconds)
        upto = wait_for(mt5.copy_rates_from, EURUSD, frame, now, 10)
        last = wait_for(mt5.copy_rates_from_pos, EURUSD, frame, 0, 10)
        span = wait_for(mt5.copy_rates_range, EURUSD, frame, start, now)
        for rates in (upto, last, span):
            assert (type(rates), rates.dtype.names) == (np.ndarray, RATE_FIELDS)
            assert len(rates) <= 11
            assert (np.diff(rates["time"]) > 0).all()
            assert (rates["time"] % seconds == 0).all()
            assert (rates["high"] >= np.maximum(rates["open"], rates["close"])).all()
            assert (rates["low"] <= np.minimum(rates["open"], rates["close"])).all()
        assert upto["time"][-1] <= now.timestamp()
        assert start.timestamp() <= span["time"][0] <= span["time"][-1] <= now.timestamp()
        facts[f"rates_{seconds}"] = (len(upto), len(last), len(span))
    hour = now - timedelta(hours=1)
    some = wait_for(mt5.copy_ticks_from, EURUSD, hour, 100, mt5.COPY_TICKS_ALL)
    span = wait_for(mt5.copy_ticks_range, EURUSD, hour, now, mt5.COPY_TICKS_INFO)
    for ticks in (some, span):
        assert (type(ticks), ticks.dtype.names, len(some) <= 100) == (np.ndarray, TICK_FIELDS, True)
        assert (ticks["time_msc"] // 1000 == ticks["time"]).all()
        assert (np.diff(ticks["time_msc"]) >= 0).all()
        assert (ticks["ask"] >= ticks["bid"]).all()
        assert ticks["time"][0] >= hour.timestamp()
    facts["ticks"] = (len(some), len(span))


def look_at_the_book(mt5: Any, facts: dict[str, Any]) -> None:
    facts["book_added"] = mt5.market_book_add(EURUSD)
    if facts["book_added"]:
        book = mt5.market_book_get(EURUSD) or ()  # many brokers publish no depth of market
        assert all(entry.price > 0 and entry.type in (mt5.BOOK_TYPE_SELL, mt5.BOOK_TYPE_BUY) for entry in book)
        assert mt5.market_book_release(EURUSD)
        facts["book_entries"] = len(book)


def make_mistakes(mt5: Any, facts: dict[str, Any]) -> None:
    errors = facts["errors"] = {}
    for name, *more in (("symbol_info",), ("symbol_info_tick",), ("copy_rates_from_pos", mt5.TIMEFRAME_M1, 0, 1)):
        assert getattr(mt5, name)(UNKNOWN, *more) is None, name
        errors[name] = mt5.last_error()
        assert mt5.last_error()[0] < 0, name
    assert not mt5.symbol_select(UNKNOWN, True)
    for name, wrong in {"comment": "c" * 32, "volume": 1}.items():
        assert mt5.order_send({**market_request(mt5, EURUSD, mt5.ORDER_TYPE_BUY, 0.1), name: wrong}) is None
        errors[name] = mt5.last_error()
        assert mt5.last_error()[0] == mt5.RES_E_INVALID_PARAMS, name
    assert mt5.positions_total() == 0


def close_everything(mt5: Any) -> None:
    for order in mt5.orders_get() or ():
        send(mt5, {"action": mt5.TRADE_ACTION_REMOVE, "order": order.ticket})
    for held in mt5.positions_get() or ():
        opposite = mt5.ORDER_TYPE_SELL if held.type == mt5.POSITION_TYPE_BUY else mt5.ORDER_TYPE_BUY
        send(mt5, market_request(mt5, held.symbol, opposite, held.volume, position=held.ticket))
    wait_until(lambda: mt5.positions_total() == 0 and mt5.orders_total() == 0, "an account without positions and orders")


def settle(mt5: Any, facts: dict[str, Any], known: set[int]) -> None:
    window, ticket = history_window(mt5), facts["position"]
    deals, orders = mt5.history_deals_get(*window), mt5.history_orders_get(*window)
    assert (mt5.history_deals_total(*window), mt5.history_orders_total(*window)) == (len(deals), len(orders))
    assert all("EUR" in deal.symbol for deal in mt5.history_deals_get(*window, group="*EUR*"))
    assert set(facts["pending"]) < {order.ticket for order in orders}
    (deal,) = mt5.history_deals_get(ticket=ticket)
    assert (deal.ticket, deal.order, deal.position_id, deal.magic) == (facts["deal"], ticket, ticket, MAGIC)
    assert (deal.type, deal.entry) == (mt5.DEAL_TYPE_BUY, mt5.DEAL_ENTRY_IN)
    (order,) = mt5.history_orders_get(ticket=ticket)
    assert (order.state, order.type, order.position_id) == (mt5.ORDER_STATE_FILLED, mt5.ORDER_TYPE_BUY, ticket)
    assert ticket in {past.ticket for past in mt5.history_orders_get(position=ticket)}
    entries = [deal.entry for deal in mt5.history_deals_get(position=ticket)]
    assert entries == [mt5.DEAL_ENTRY_IN, mt5.DEAL_ENTRY_OUT, mt5.DEAL_ENTRY_OUT_BY]
    new, account = [deal for deal in deals if deal.ticket not in known], mt5.account_info()
    assert same(sum(deal.volume if deal.entry == mt5.DEAL_ENTRY_IN else -deal.volume for deal in new), 0.0)
    change = round(account.balance - facts["balance_start"], 2)
    assert change == round(sum(deal.profit + deal.commission + deal.swap + deal.fee for deal in new), 2)
    assert same(account.margin, 0.0)
    facts.update(deals=len(new), balance_change=change, balance_end=account.balance)


def main(mt5: Any) -> dict[str, object]:
    facts: dict[str, Any] = {}
    say: list[str] = []
    assert mt5.initialize(), mt5.last_error()
    try:
        greet(mt5, facts, say)
        look_at_symbols(mt5, facts, say)
        known = {deal.ticket for deal in mt5.history_deals_get(*history_window(mt5))}
        try:
            trading = (calculate, make_mistakes, trade_one_position, place_pending_orders, close_by_opposite, use_helpers)
            for step in (*trading, read_rates_and_ticks, look_at_the_book):
                step(mt5, facts)
        finally:
            close_everything(mt5)
        settle(mt5, facts, known)
    finally:
        mt5.shutdown()
    return {**facts, "say": say}


if __name__ == "__main__":
    import MetaTrader5

    main(MetaTrader5)
