"""Why a server refuses a request: the first rule that it breaks, in the documented order (metatrader5.md 2.5)."""

from collections.abc import Mapping
from typing import Final, Protocol

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server.clock import ServerClock
from evenkeel.adapters.simulated.server.prices import Price
from evenkeel.adapters.simulated.server.records import Order, Position, Request, Result
from evenkeel.adapters.simulated.server.terms import AccountTerms, Assumptions, SymbolTerms

_DEALS: Final = (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL)
_STOP_LIMITS: Final = (mt5.ORDER_TYPE_BUY_STOP_LIMIT, mt5.ORDER_TYPE_SELL_STOP_LIMIT)
_LIMITS: Final = (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT)
_ASKS_PRICE: Final = (mt5.SYMBOL_TRADE_EXECUTION_REQUEST, mt5.SYMBOL_TRADE_EXECUTION_INSTANT)
_ORDER_BITS: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 8, 7: 8}


class Held(Protocol):
    """What the checks look at."""

    @property
    def positions(self) -> Mapping[int, Position]: ...

    @property
    def orders(self) -> Mapping[int, Order]: ...


class Checks:
    """All but the account's money, which the server itself adds last."""

    def __init__(
        self,
        account: AccountTerms,
        symbols: Mapping[str, SymbolTerms],
        prices: Mapping[str, Price],
        clock: ServerClock,
        assumptions: Assumptions,
        book: Held,
    ) -> None:
        self.account, self._symbols, self._prices, self.clock = account, symbols, prices, clock
        self._assumptions, self._book = assumptions, book

    def refusal(self, request: Request, now_utc_ms: int) -> Result | None:
        """None: nothing but the margin can still stand in its way."""
        if not self.account.trade_allowed:
            return refused(mt5.TRADE_RETCODE_TRADE_DISABLED, "trading is disabled for the account")
        if request.reason == mt5.ORDER_REASON_EXPERT and not self.account.trade_expert:
            return refused(mt5.TRADE_RETCODE_SERVER_DISABLES_AT, "the server disables automatic trading")
        match request.action:
            case mt5.TRADE_ACTION_DEAL:
                return self._deal(request, now_utc_ms)
            case mt5.TRADE_ACTION_PENDING:
                return self._pending(request, now_utc_ms)
            case mt5.TRADE_ACTION_SLTP:
                return self._sltp(request, now_utc_ms)
            case mt5.TRADE_ACTION_MODIFY | mt5.TRADE_ACTION_REMOVE:
                return self._change(request, now_utc_ms)
            case mt5.TRADE_ACTION_CLOSE_BY:
                return self._close_by(request, now_utc_ms)
            case _:
                return refused(mt5.TRADE_RETCODE_INVALID, f"no action {request.action}")

    def position_of(self, request: Request) -> Position | None:
        """By ticket; on a netting account the symbol's only one will do."""
        if request.position:
            return self._book.positions.get(request.position)
        if self.account.is_hedging:
            return None
        return next((one for one in self._book.positions.values() if one.symbol == request.symbol), None)

    # -- actions --------------------------------------------------------------------------------------------------------

    def _deal(self, request: Request, now_utc_ms: int) -> Result | None:
        terms = self._symbols.get(request.symbol)
        if terms is None or request.type not in _DEALS:
            return refused(mt5.TRADE_RETCODE_INVALID, f"no market order of type {request.type} in {request.symbol!r}")
        if not terms.order_mask & mt5.SYMBOL_ORDER_MARKET:
            return refused(mt5.TRADE_RETCODE_INVALID_ORDER, f"{terms.name} takes no market orders")
        held = self._book.positions.get(request.position) if request.position else None
        closes = bool(request.position)
        return (
            self._trade_mode(terms, request, closes=closes)
            or self._volume(terms, request, held)
            or self._deal_filling(terms, request.type_filling)
            or self._deal_price(terms, request)
            or (None if closes else self._stops_on_open(terms, request))
            or self._session(terms, now_utc_ms)
            or self._quoted(terms)
            or self._deviation(terms, request)
            or (self._closing(request, held) if closes else self._opposite(request))
            or (None if closes else self._room(terms, request))
        )

    def _pending(self, request: Request, now_utc_ms: int) -> Result | None:
        terms = self._symbols.get(request.symbol)
        if terms is None or request.type not in range(2, 8):
            return refused(mt5.TRADE_RETCODE_INVALID, f"no pending order of type {request.type} in {request.symbol!r}")
        if not terms.order_mask & _ORDER_BITS[request.type]:
            return refused(mt5.TRADE_RETCODE_INVALID_ORDER, f"{terms.name} takes no orders of type {request.type}")
        return (
            self._trade_mode(terms, request, closes=False)
            or self._volume(terms, request, None)
            or self._pending_filling(terms, request)
            or self._expiration(terms, request, now_utc_ms)
            or self._session_and_quote(terms, now_utc_ms, before=self._pending_price(terms, request))
            or self._order_count()
            or self._room(terms, request, pending=True)
        )

    def _sltp(self, request: Request, now_utc_ms: int) -> Result | None:
        held = self.position_of(request)
        if held is None:
            return refused(self._assumptions.position_gone_code, f"no position {request.position}")
        if held.symbol != request.symbol:
            return refused(self._assumptions.wrong_symbol_code, f"position {held.ticket} is in {held.symbol}")
        terms = self._symbols[held.symbol]
        if (request.sl_points, request.tp_points) == (held.sl_points, held.tp_points):
            return refused(mt5.TRADE_RETCODE_NO_CHANGES, "no changes")
        return (
            self._levels(terms, request, is_buy=held.is_buy, from_points=None)
            or self._session(terms, now_utc_ms)
            or self._frozen_position(terms, held)
        )

    def _change(self, request: Request, now_utc_ms: int) -> Result | None:
        order = self._book.orders.get(request.order)
        if order is None:
            return refused(self._assumptions.unknown_ticket_code, f"no order {request.order}")
        terms = self._symbols[order.symbol]
        frozen = self._session(terms, now_utc_ms) or self._frozen_order(terms, order)
        if request.action == mt5.TRADE_ACTION_REMOVE:
            return frozen
        wanted = request._replace(type=order.type, symbol=order.symbol, volume_steps=order.volume_left_steps)
        expiration_utc_ms = self.expiration_utc_ms(wanted, now_utc_ms)
        after = (
            wanted.price_points,
            wanted.stoplimit_points,
            wanted.sl_points,
            wanted.tp_points,
            wanted.type_time,
            expiration_utc_ms,
        )
        before = (order.price_points, order.stoplimit_points, order.sl_points, order.tp_points, order.type_time)
        if after == (*before, order.expiration_utc_ms):
            return refused(mt5.TRADE_RETCODE_NO_CHANGES, "no changes")
        return self._expiration(terms, wanted, now_utc_ms) or self._pending_price(terms, wanted) or frozen

    def _close_by(self, request: Request, now_utc_ms: int) -> Result | None:
        one, other = (self._book.positions.get(ticket) for ticket in (request.position, request.position_by))
        code = self._assumptions.close_by_refused_code
        if not self.account.is_hedging:
            return refused(code, "only on hedging accounts")
        if one is None or other is None:
            return refused(self._assumptions.position_gone_code, f"no position {request.position} or {request.position_by}")
        if one.symbol != other.symbol or one.is_buy is other.is_buy:
            return refused(code, f"{one.ticket} and {other.ticket} are not opposite positions of one symbol")
        terms = self._symbols[one.symbol]
        if not terms.order_mask & mt5.SYMBOL_ORDER_CLOSEBY:
            return refused(code, f"{terms.name} does not allow it")
        return self._session(terms, now_utc_ms)

    # -- rules, in their order ------------------------------------------------------------------------------------------

    def _trade_mode(self, terms: SymbolTerms, request: Request, *, closes: bool) -> Result | None:
        match terms.trade_mode:
            case mt5.SYMBOL_TRADE_MODE_DISABLED:
                return refused(mt5.TRADE_RETCODE_TRADE_DISABLED, f"trading in {terms.name} is disabled")
            case mt5.SYMBOL_TRADE_MODE_LONGONLY if not closes and request.type % 2 == 1:
                return refused(mt5.TRADE_RETCODE_LONG_ONLY, "only long positions")
            case mt5.SYMBOL_TRADE_MODE_SHORTONLY if not closes and request.type % 2 == 0:
                return refused(mt5.TRADE_RETCODE_SHORT_ONLY, "only short positions")
            case mt5.SYMBOL_TRADE_MODE_CLOSEONLY if not closes:
                return refused(mt5.TRADE_RETCODE_CLOSE_ONLY, "only closing")
            case _:
                return None

    def _volume(self, terms: SymbolTerms, request: Request, held: Position | None) -> Result | None:
        steps = request.volume_steps
        if steps is None or steps <= 0 or (steps % terms.volume_step_steps and not (held and steps >= held.volume_steps)):
            return refused(mt5.TRADE_RETCODE_INVALID_VOLUME, f"no whole steps of 1/{terms.steps_per_lot} lot")
        if held is not None and steps >= held.volume_steps:
            return None  # the rest may be smaller than the minimum; more than there is has a code of its own
        if not terms.volume_min_steps <= steps <= terms.volume_max_steps:
            return refused(
                mt5.TRADE_RETCODE_INVALID_VOLUME, f"{steps} steps, not {terms.volume_min_steps} to {terms.volume_max_steps}"
            )
        return None

    def _deal_filling(self, terms: SymbolTerms, filling: int) -> Result | None:
        bits = {mt5.ORDER_FILLING_FOK: mt5.SYMBOL_FILLING_FOK, mt5.ORDER_FILLING_IOC: mt5.SYMBOL_FILLING_IOC}
        if terms.execution in _ASKS_PRICE:
            allowed = filling == mt5.ORDER_FILLING_FOK or (
                filling == mt5.ORDER_FILLING_IOC and self._assumptions.instant_allows_ioc
            )
        elif filling == mt5.ORDER_FILLING_RETURN:
            allowed = terms.execution == mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE
        else:
            allowed = bool(terms.filling_mask & bits.get(filling, 0))
        return None if allowed else refused(mt5.TRADE_RETCODE_INVALID_FILL, "Unsupported filling mode")

    def _pending_filling(self, terms: SymbolTerms, request: Request) -> Result | None:
        filling = request.type_filling
        if filling == mt5.ORDER_FILLING_BOC:
            exchange = terms.execution == mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE
            may = request.type in (*_LIMITS, *_STOP_LIMITS) and exchange
            allowed = may and bool(terms.filling_mask & mt5.SYMBOL_FILLING_BOC)
        elif self._assumptions.pending_filling == "return":
            allowed = filling == mt5.ORDER_FILLING_RETURN
        elif self._assumptions.pending_filling == "mask":
            allowed = bool(terms.filling_mask & (1 << filling)) and filling != mt5.ORDER_FILLING_RETURN
        else:
            allowed = filling in (mt5.ORDER_FILLING_FOK, mt5.ORDER_FILLING_IOC, mt5.ORDER_FILLING_RETURN)
        return None if allowed else refused(mt5.TRADE_RETCODE_INVALID_FILL, "Unsupported filling mode")

    def _expiration(self, terms: SymbolTerms, request: Request, now_utc_ms: int) -> Result | None:
        if request.type_time not in range(4):
            return refused(mt5.TRADE_RETCODE_INVALID, f"no type_time {request.type_time}")
        if not terms.expiration_mask & (1 << request.type_time):
            return refused(mt5.TRADE_RETCODE_INVALID_EXPIRATION, f"{terms.name} does not allow type_time {request.type_time}")
        wants = request.type_time >= mt5.ORDER_TIME_SPECIFIED
        expiration_utc_ms = self.expiration_utc_ms(request, now_utc_ms)
        if wants and (not request.expiration_server_s or expiration_utc_ms <= now_utc_ms):
            return refused(mt5.TRADE_RETCODE_INVALID_EXPIRATION, f"expiration {request.expiration_server_s} is not to come")
        return None

    def expiration_utc_ms(self, request: Request, now_utc_ms: int) -> int:
        """0: never. A day ends at the server's midnight."""
        server_ms = request.expiration_server_s * 1000
        match request.type_time:
            case mt5.ORDER_TIME_DAY:
                return self.clock.day_end_utc_ms(now_utc_ms)
            case mt5.ORDER_TIME_SPECIFIED:
                return self.clock.utc_ms(server_ms)
            case mt5.ORDER_TIME_SPECIFIED_DAY:
                return self.clock.day_end_utc_ms(self.clock.utc_ms(server_ms))
            case _:
                terms = self._symbols.get(request.symbol)
                ends = terms is not None and terms.gtc_mode != mt5.SYMBOL_ORDERS_GTC
                return self.clock.day_end_utc_ms(now_utc_ms) if ends else 0

    def _deal_price(self, terms: SymbolTerms, request: Request) -> Result | None:
        if terms.execution not in _ASKS_PRICE:
            return None  # ignored there
        if not request.price_points or request.price_points < 0 or request.price_points % terms.tick_size_points:
            return refused(mt5.TRADE_RETCODE_INVALID_PRICE, "Invalid price")
        return None

    def _pending_price(self, terms: SymbolTerms, request: Request) -> Result | None:
        wanted, limit = request.price_points, request.stoplimit_points
        needs_limit = request.type in _STOP_LIMITS
        prices = [wanted, limit] if needs_limit else [wanted]
        if any(not price or price < 0 or price % terms.tick_size_points for price in prices):
            return refused(mt5.TRADE_RETCODE_INVALID_PRICE, "Invalid price")
        assert wanted is not None
        price = self._prices.get(terms.name)
        if price is not None:
            is_buy = request.type % 2 == 0
            away_points = wanted - price.entry_points(is_buy)
            if (request.type in _LIMITS) is is_buy:
                away_points = -away_points
            if away_points < max(1, terms.stops_level_points):
                return refused(mt5.TRADE_RETCODE_INVALID_PRICE, f"{wanted} is on the wrong side of {price}, or too near")
        if needs_limit:
            assert limit is not None
            below = self._assumptions.stop_limit_rule == "limit_below_stop"
            difference = (wanted - limit) * (1 if request.type % 2 == 0 else -1) * (1 if below else -1)
            if difference < 0:
                return refused(mt5.TRADE_RETCODE_INVALID_PRICE, f"limit {limit} does not suit stop {wanted}")
        from_points = limit if needs_limit else wanted
        return self._levels(terms, request, is_buy=request.type % 2 == 0, from_points=from_points)

    def _stops_on_open(self, terms: SymbolTerms, request: Request) -> Result | None:
        if (request.sl_points or request.tp_points) and not self._assumptions.stops_allowed_on_open:
            return refused(mt5.TRADE_RETCODE_INVALID_STOPS, "this server takes stops only afterwards")
        return self._levels(terms, request, is_buy=request.type == mt5.ORDER_TYPE_BUY, from_points=None)

    def _levels(self, terms: SymbolTerms, request: Request, *, is_buy: bool, from_points: int | None) -> Result | None:
        """Stop and target on their sides of the closing price, or of the order's own, at least the stops level away."""
        sl_points, tp_points = request.sl_points, request.tp_points
        if sl_points is None or tp_points is None or sl_points < 0 or tp_points < 0:
            return refused(mt5.TRADE_RETCODE_INVALID_STOPS, "stop or target is no whole point")
        price = self._prices.get(terms.name)
        if from_points is None and price is None:
            return None
        now_points = from_points if from_points is not None else price.exit_points(is_buy) if price else 0
        near, sign = max(1, terms.stops_level_points), 1 if is_buy else -1
        stop_stands = not sl_points or sign * (now_points - sl_points) >= near
        target_stands = not tp_points or sign * (tp_points - now_points) >= near
        if stop_stands and target_stands:
            return None
        return refused(mt5.TRADE_RETCODE_INVALID_STOPS, f"stop {sl_points}, target {tp_points} at {price}")

    def _session_and_quote(self, terms: SymbolTerms, now_utc_ms: int, *, before: Result | None) -> Result | None:
        return before or self._session(terms, now_utc_ms) or self._quoted(terms)

    def _session(self, terms: SymbolTerms, now_utc_ms: int) -> Result | None:
        if self.is_open(terms, now_utc_ms):
            return None
        return refused(mt5.TRADE_RETCODE_MARKET_CLOSED, "Market closed")

    def is_open(self, terms: SymbolTerms, now_utc_ms: int) -> bool:
        if not terms.sessions:
            return True
        minute = self.clock.week_minute(now_utc_ms)
        return any(start <= minute < end for start, end in terms.sessions)

    def _quoted(self, terms: SymbolTerms) -> Result | None:
        return None if terms.name in self._prices else refused(mt5.TRADE_RETCODE_PRICE_OFF, f"no quote of {terms.name} yet")

    def _deviation(self, terms: SymbolTerms, request: Request) -> Result | None:
        price = self._prices[terms.name]
        now_points = price.entry_points(request.type == mt5.ORDER_TYPE_BUY)
        assert request.price_points is not None or terms.execution not in _ASKS_PRICE
        if terms.execution in _ASKS_PRICE and abs(now_points - (request.price_points or 0)) > request.deviation:
            asked, bid, ask = (
                f"{points / 10**terms.digits:.{terms.digits}f}"
                for points in (request.price_points or 0, price.bid_points, price.ask_points)
            )
            detail = f"Requote: asked for {asked} give or take {request.deviation} points, the price is {bid}/{ask}"
            return refused(mt5.TRADE_RETCODE_REQUOTE, detail)._replace(bid_points=price.bid_points, ask_points=price.ask_points)
        return None

    def _closing(self, request: Request, held: Position | None) -> Result | None:
        assert request.volume_steps is not None
        if held is None:
            return refused(self._assumptions.position_gone_code, f"no position {request.position}")
        if held.symbol != request.symbol:
            return refused(self._assumptions.wrong_symbol_code, f"position {held.ticket} is in {held.symbol}")
        if held.is_buy is (request.type == mt5.ORDER_TYPE_BUY):
            return refused(self._assumptions.same_side_close_code, f"position {held.ticket} is on the same side")
        if request.volume_steps > held.volume_steps:
            return refused(mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME, f"{request.volume_steps} steps of {held.volume_steps}")
        if any(
            order.position_id == held.identifier and order.is_buy is not held.is_buy for order in self._book.orders.values()
        ):
            return refused(mt5.TRADE_RETCODE_CLOSE_ORDER_EXIST, f"position {held.ticket} is being closed")
        if self.account.fifo_close and held.ticket != self._oldest(held):
            return refused(mt5.TRADE_RETCODE_FIFO_CLOSE, f"position {self._oldest(held)} is older")
        return self._frozen_position(self._symbols[held.symbol], held)

    def _oldest(self, held: Position) -> int:
        return min(one.ticket for one in self._book.positions.values() if one.symbol == held.symbol and one.type == held.type)

    def _opposite(self, request: Request) -> Result | None:
        if not (self.account.is_hedging and self.account.hedging_prohibited):
            return None
        opposite = mt5.POSITION_TYPE_SELL if request.type == mt5.ORDER_TYPE_BUY else mt5.POSITION_TYPE_BUY
        if any(one.symbol == request.symbol and one.type == opposite for one in self._book.positions.values()):
            return refused(mt5.TRADE_RETCODE_HEDGE_PROHIBITED, "opposite positions are prohibited")
        return None

    def _order_count(self) -> Result | None:
        if self.account.orders_max and len(self._book.orders) >= self.account.orders_max:
            return refused(mt5.TRADE_RETCODE_LIMIT_ORDERS, f"{self.account.orders_max} pending orders at most")
        return None

    def _room(self, terms: SymbolTerms, request: Request, *, pending: bool = False) -> Result | None:
        assert request.volume_steps is not None
        is_buy = request.type % 2 == 0
        same = [one.volume_steps for one in self._book.positions.values() if one.symbol == terms.name and one.is_buy is is_buy]
        same += [
            one.volume_left_steps for one in self._book.orders.values() if one.symbol == terms.name and one.is_buy is is_buy
        ]
        if terms.volume_limit_steps and sum(same) + request.volume_steps > terms.volume_limit_steps:
            return refused(mt5.TRADE_RETCODE_LIMIT_VOLUME, f"{terms.volume_limit_steps} steps in one direction at most")
        if not pending and self.account.positions_max and len(self._book.positions) >= self.account.positions_max:
            return refused(mt5.TRADE_RETCODE_LIMIT_POSITIONS, f"{self.account.positions_max} positions at most")
        return None

    def _frozen_position(self, terms: SymbolTerms, held: Position) -> Result | None:
        price, level = self._prices.get(held.symbol), terms.freeze_level_points
        if not level or price is None:
            return None
        now_points = price.exit_points(held.is_buy)
        if any(one and abs(now_points - one) <= level for one in (held.sl_points, held.tp_points)):
            return refused(mt5.TRADE_RETCODE_FROZEN, f"within {level} points of its stop or target")
        return None

    def _frozen_order(self, terms: SymbolTerms, order: Order) -> Result | None:
        price, level = self._prices.get(order.symbol), terms.freeze_level_points
        if level and price is not None and abs(price.entry_points(order.is_buy) - order.price_points) <= level:
            return refused(mt5.TRADE_RETCODE_FROZEN, f"within {level} points of its price")
        return None


def refused(retcode: int, detail: str) -> Result:
    return Result(retcode, detail=detail)
