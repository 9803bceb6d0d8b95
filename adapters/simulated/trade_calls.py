"""The calls of the simulated package that trade, and those that read what came of it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated import structs
from evenkeel.adapters.simulated.arguments import (
    GROUP_UNITS_MAX,
    REQUEST_ORDER,
    Refused,
    date_s,
    fixed,
    invalid,
    matches,
    request_of,
    text,
    whole,
)
from evenkeel.adapters.simulated.faults import Call
from evenkeel.adapters.simulated.packs import CallEvent
from evenkeel.adapters.simulated.server.records import Deal, Order, Request, Result
from evenkeel.adapters.simulated.server.terms import SymbolTerms
from evenkeel.adapters.simulated.session import LOST_REPLY, Session
from evenkeel.adapters.simulated.shown import Shown, price_of

_API_DISABLED: Final = (mt5.RES_E_AUTO_TRADING_DISABLED, "Auto-Trading using Python API disabled in Terminal")
_PENDING_ACTIONS: Final = (mt5.TRADE_ACTION_PENDING, mt5.TRADE_ACTION_MODIFY, mt5.TRADE_ACTION_REMOVE)
_MINUTE_MS: Final = 60_000


class TradeCalls:
    """Bound into the module; see metatrader5.md 1.3 for each function's conventions."""

    def __init__(self, session: Session) -> None:
        self._session, self._shown = session, Shown(session)
        self._sent_utc_ms: list[int] = []

    # -- requests -------------------------------------------------------------------------------------------------------

    def order_send(self, *arguments: Any, **keywords: Any) -> Any:
        return self._session.run("order_send", None, lambda: self._send(request_of(arguments, keywords)))

    def order_check(self, *arguments: Any, **keywords: Any) -> Any:
        return self._session.run("order_check", None, lambda: self._check(request_of(arguments, keywords)))

    def order_calc_margin(self, *arguments: Any) -> Any:
        """For that order alone, whatever is open."""

        def body() -> float:
            action, symbol, volume, price = fixed(arguments, "isdd")
            terms = self._known(symbol)
            rate = self._session.server.money.margin_rate(symbol)
            if action not in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL) or rate is None:
                raise invalid("Terminal: Invalid params")
            cents = self._session.server.money.margin_cents(
                symbol, round(volume * terms.steps_per_lot), round(price * 10**terms.digits), 1, rate
            )
            return self._shown.money(cents)

        return self._session.run("order_calc_margin", None, body)

    def order_calc_profit(self, *arguments: Any) -> Any:
        def body() -> float:
            action, symbol, volume, opened, closed = fixed(arguments, "isddd")
            terms = self._known(symbol)
            if action not in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL):
                raise invalid("Terminal: Invalid params")
            points = round(closed * 10**terms.digits) - round(opened * 10**terms.digits)
            sign = 1 if action == mt5.ORDER_TYPE_BUY else -1
            steps = round(volume * terms.steps_per_lot)
            close_points = max(1, round(closed * 10**terms.digits))
            return self._shown.money(self._session.server.money.profit_cents(symbol, sign * points * steps, 1, close_points))

        return self._session.run("order_calc_profit", None, body)

    def _send(self, fields: dict[str, Any]) -> Any:
        session = self._session
        if session.api_disabled:
            raise Refused(*_API_DISABLED)
        request, terms = self._request(fields), self._meant(fields)  # before it is carried out: afterwards it may be gone
        call = _call_of(request)
        trouble = session.trouble(call)
        local = self._refused_here()
        if local is not None:
            return self._answer(local, fields, request_id=0, terms=terms)
        session.hold(session.terminal.latency_ms / 1000)
        session.request_id += 1
        result = self._execute(request, trouble)
        session.snapshot()
        return self._answer(result, fields, request_id=session.request_id, terms=terms)

    def _execute(self, request: Request, trouble: CallEvent | None) -> Result:
        """Raises Refused where no reply comes back."""
        session, send = self._session, self._session.server.send
        match None if trouble is None else trouble.kind:
            case "lost_before":
                raise Refused(*LOST_REPLY)
            case "lost_after":
                send(request)
                raise Refused(*LOST_REPLY)
            case "late":
                assert trouble is not None
                session.later(trouble.seconds, lambda: send(self._at_anyprice_of(request)) and None)
                raise Refused(*LOST_REPLY)
            case "placed" | "placed_refused":
                assert trouble is not None
                placed, executed = session.server.place(request), trouble.kind == "placed"
                session.later(trouble.seconds, lambda: session.server.end_placed(placed.order, executed=executed))
                return placed
            case "retcode":
                assert trouble is not None
                return Result(trouble.code, detail="refused, by scenario")
            case "slip":
                assert trouble is not None
                return self._slipped(request, trouble.points, send)
            case "no_magic":
                return send(request._replace(magic=0))
            case "no_comment":
                return send(request._replace(comment=""))
            case _:
                return send(request)

    def _slipped(self, request: Request, points: int, send: Callable[[Request], Result]) -> Result:
        price = self._session.server.prices.get(request.symbol)
        if price is None:
            return send(request)
        bid_points, ask_points = price.bid_points, price.ask_points
        price.bid_points, price.ask_points = max(1, bid_points - points), ask_points + points
        result = send(request)
        price.bid_points, price.ask_points = bid_points, ask_points
        self._session.server.arm()
        return result

    def _at_anyprice_of(self, request: Request) -> Request:
        return request._replace(deviation=1 << 62)

    def _check(self, fields: dict[str, Any]) -> Any:
        request = self._request(fields)
        result, state = self._session.server.check(request)
        local = self._refused_here() if result.retcode == 0 else None
        result = local or result
        level = round(state.level_pct, 2)
        money = (state.balance_cents, state.equity_cents, state.profit_cents, state.margin_cents, state.free_cents)
        values = [result.retcode, *map(self._shown.money, money), level, result.detail, self._echo(fields)]
        return structs.OrderCheckResult(values)

    def _refused_here(self) -> Result | None:
        """What the terminal refuses by itself: nothing is sent."""
        session, limit = self._session, self._session.server.assumptions.requests_per_minute_max
        if not session.algo_button:
            return Result(mt5.TRADE_RETCODE_CLIENT_DISABLES_AT, detail="AutoTrading disabled by client")
        if not session.connected:
            return Result(mt5.TRADE_RETCODE_CONNECTION, detail="No connection with trade server")
        if limit:
            now_utc_ms = session.now_utc_ms
            self._sent_utc_ms = [one for one in self._sent_utc_ms if one > now_utc_ms - _MINUTE_MS]
            if len(self._sent_utc_ms) >= limit:
                return Result(mt5.TRADE_RETCODE_TOO_MANY_REQUESTS, detail="Too many requests")
            self._sent_utc_ms.append(now_utc_ms)
        return None

    def _request(self, fields: Mapping[str, Any]) -> Request:
        terms = self._meant(fields)
        digits = 0 if terms is None else terms.digits
        return Request(
            action=fields["action"],
            symbol=fields["symbol"],
            volume_steps=_whole_number(fields["volume"] * (terms.steps_per_lot if terms else 1)),
            price_points=_whole_number(fields["price"] * 10**digits),
            stoplimit_points=_whole_number(fields["stoplimit"] * 10**digits),
            sl_points=_whole_number(fields["sl"] * 10**digits),
            tp_points=_whole_number(fields["tp"] * 10**digits),
            deviation=fields["deviation"] * (terms.points_per_shown if terms else 1),
            type=fields["type"],
            type_filling=fields["type_filling"],
            type_time=fields["type_time"],
            expiration_server_s=fields["expiration"],
            magic=fields["magic"],
            order=fields["order"],
            position=fields["position"],
            position_by=fields["position_by"],
            comment=fields["comment"],
        )

    def _meant(self, fields: Mapping[str, Any]) -> SymbolTerms | None:
        """The symbol that is named, or that of the order or position which is."""
        book, name = self._session.server.book, fields["symbol"]
        if not name:
            named = book.orders.get(fields["order"]) or book.positions.get(fields["position"])
            name = named.symbol if named is not None else ""
        return self._session.server.symbols.get(name)

    def _answer(self, result: Result, fields: dict[str, Any], *, request_id: int, terms: SymbolTerms | None = None) -> Any:
        terms = self._meant(fields) if terms is None else terms
        digits, steps = (terms.digits, terms.steps_per_lot) if terms else (0, 1)
        bid, ask = price_of(result.bid_points, digits), price_of(result.ask_points, digits)
        price, volume = price_of(result.price_points, digits), result.volume_steps / steps
        told = [result.retcode, result.deal, result.order, volume, price, bid, ask, result.detail[:63], request_id, 0]
        return structs.OrderSendResult([*told, self._echo(fields)])

    def _echo(self, fields: dict[str, Any]) -> Any:
        return structs.TradeRequest(fields[name] for name in REQUEST_ORDER)

    # -- what is there --------------------------------------------------------------------------------------------------

    def positions_total(self) -> Any:
        return self._session.run("positions_total", None, lambda: len(self._session.visible_positions()))

    def positions_get(self, *arguments: Any, **keywords: Any) -> Any:
        def body() -> Any:
            return self._chosen(arguments, keywords, self._session.visible_positions(), self._shown.position)

        return self._session.run("positions_get", None, body, call=Call.POSITIONS)

    def orders_total(self) -> Any:
        return self._session.run("orders_total", None, lambda: len(self._session.server.book.orders))

    def orders_get(self, *arguments: Any, **keywords: Any) -> Any:
        def body() -> Any:
            there = list(self._session.server.book.orders.values()) if self._session.is_own_account else []
            return self._chosen(arguments, keywords, there, self._shown.order)

        return self._session.run("orders_get", None, body, call=Call.ORDERS)

    def _chosen(
        self, arguments: tuple[Any, ...], keywords: Mapping[str, Any], there: list[Any], shown: Callable[[Any], Any]
    ) -> tuple[Any, ...]:
        """Ticket before symbol before group; unknown keywords are ignored."""
        if arguments:
            raise invalid("Unnamed arguments not allowed")
        if "ticket" in keywords:
            ticket = whole(keywords["ticket"], "ticket", "u64")
            there = [one for one in there if one.ticket == ticket]
        elif "symbol" in keywords:
            symbol = text(keywords["symbol"], "symbol")
            there = [one for one in there if one.symbol == symbol]
        elif "group" in keywords:
            mask = text(keywords["group"], "group", GROUP_UNITS_MAX)
            there = [one for one in there if matches(mask, one.symbol)]
        return tuple(map(shown, there))

    # -- what was -------------------------------------------------------------------------------------------------------

    def history_orders_total(self, *arguments: Any) -> Any:
        def body() -> int:
            from_s, to_s = fixed(arguments, "tt")
            return len(self._between(from_s, to_s, self._past_orders(), lambda one: one.done_utc_ms))

        return self._session.run("history_orders_total", None, body)

    def history_deals_total(self, *arguments: Any) -> Any:
        def body() -> int:
            from_s, to_s = fixed(arguments, "tt")
            return len(self._between(from_s, to_s, self._past_deals(), lambda one: one.time_utc_ms))

        return self._session.run("history_deals_total", None, body)

    def history_orders_get(self, *arguments: Any, **keywords: Any) -> Any:
        def body() -> Any:
            found = self._historic(
                arguments, keywords, self._past_orders(), lambda one: one.done_utc_ms, lambda one: one.position_id
            )
            return tuple(map(self._shown.order, found))

        return self._session.run("history_orders_get", None, body, call=Call.ORDERS)

    def history_deals_get(self, *arguments: Any, **keywords: Any) -> Any:
        def body() -> Any:
            found = self._historic(
                arguments, keywords, self._past_deals(), lambda one: one.time_utc_ms, lambda one: one.position_id
            )
            return tuple(map(self._shown.deal, found))

        return self._session.run("history_deals_get", None, body, call=Call.DEALS)

    def _historic(
        self,
        arguments: tuple[Any, ...],
        keywords: Mapping[str, Any],
        there: list[Any],
        when: Callable[[Any], int],
        position_of: Callable[[Any], int],
    ) -> list[Any]:
        """Two dates and only the group counts; else the ticket, then the position."""
        if len(arguments) == 2:
            found = self._between(date_s(arguments[0]), date_s(arguments[1]), there, when)
            if "group" in keywords:
                mask = text(keywords["group"], "group", GROUP_UNITS_MAX)
                found = [one for one in found if matches(mask, one.symbol)]
            return found
        if arguments:
            raise invalid("Invalid number of arguments")
        if "ticket" in keywords:
            ticket = whole(keywords["ticket"], "ticket", "u64")
            return [one for one in there if self._ticket_for_history(one) == ticket]
        if "position" in keywords:
            position = whole(keywords["position"], "position", "u64")
            return [one for one in there if position_of(one) == position]
        raise invalid()

    def _ticket_for_history(self, one: Any) -> int:
        """`history_deals_get(ticket=…)` is asked by the ticket of an order."""
        return one.order if isinstance(one, Deal) else int(one.ticket)

    def _between(self, from_s: int, to_s: int, there: list[Any], when: Callable[[Any], int]) -> list[Any]:
        server_ms = self._session.server.clock.server_ms
        return [one for one in there if from_s <= server_ms(when(one)) // 1000 <= to_s]

    def _past_deals(self) -> list[Deal]:
        if not self._session.is_own_account:
            return []
        shown_utc_ms = self._session.now_utc_ms - self._session.server.assumptions.history_lag_ms
        return [deal for deal in self._session.server.book.kept.deals if deal.time_utc_ms <= shown_utc_ms]

    def _past_orders(self) -> list[Order]:
        if not self._session.is_own_account:
            return []
        shown_utc_ms = self._session.now_utc_ms - self._session.server.assumptions.history_lag_ms
        return [order for order in self._session.server.book.kept.done_orders if order.done_utc_ms <= shown_utc_ms]

    def _known(self, symbol: str) -> SymbolTerms:
        terms = self._session.server.symbols.get(symbol)
        if terms is None or symbol in self._session.removed:
            raise Refused(mt5.RES_E_NOT_FOUND, "Terminal: Not found")
        return terms


def _whole_number(number: float) -> int | None:
    """None: it is no whole step or point, to about a hundred-millionth; nor is what is not finite."""
    if not abs(number) < 1e15:
        return None
    nearest = round(number)
    return nearest if abs(number - nearest) < 1e-6 else None


def _call_of(request: Request) -> Call:
    if request.action in _PENDING_ACTIONS:
        return Call.PENDING
    if request.action == mt5.TRADE_ACTION_SLTP:
        return Call.SET_STOPS
    return Call.CLOSE if request.position else Call.OPEN
