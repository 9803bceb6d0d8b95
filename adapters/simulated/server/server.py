"""The trade server: quotes come in, requests are carried out or refused, and what waits for a price or an hour happens.

It has no clock: its time is that of the newest quote, as a real server's seems to be to whoever looks through a terminal.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server.bands import arm_bands
from evenkeel.adapters.simulated.server.book import Book, Filled, Why
from evenkeel.adapters.simulated.server.checks import Checks, refused
from evenkeel.adapters.simulated.server.clock import ServerClock
from evenkeel.adapters.simulated.server.free_margin import FreeMargin
from evenkeel.adapters.simulated.server.money import Money, RateMoney
from evenkeel.adapters.simulated.server.nights import end_day
from evenkeel.adapters.simulated.server.prices import Price, is_limit
from evenkeel.adapters.simulated.server.records import AccountState, Order, Position, Request, Result
from evenkeel.adapters.simulated.server.terms import AccountTerms, Assumptions, SymbolTerms
from evenkeel.rules.bands import SHUT, Band

NEVER_UTC_MS: Final = 2**62


class TradeServer:
    """`money` None: exchanged through the quotes of the symbols themselves. Not thread-safe: its terminal holds the lock.

    `next_due_utc_ms` is the first time at which something happens without a price: the day's end with its swaps, an order
    that expires. It happens at the first quote from then on, before that quote. Raises BookUnreadable.
    """

    def __init__(
        self,
        account: AccountTerms,
        symbols: Mapping[str, SymbolTerms],
        assumptions: Assumptions = Assumptions(),  # noqa: B008 - frozen
        *,
        money: Callable[[Mapping[str, Price]], Money] | None = None,
        store: Path | None = None,
        keep_ticks: int = 0,
        rates: Mapping[str, float] = {},
    ) -> None:
        self.account, self.assumptions = account, assumptions
        self.symbols: dict[str, SymbolTerms] = dict(symbols)
        self.prices: dict[str, Price] = {}
        self.clock = ServerClock(assumptions.server_zone)
        self.money: Money = (
            money(self.prices) if money else RateMoney(account, self.symbols, self.prices, assumptions.hedged_margin, rates)
        )
        self._keep_ticks = keep_ticks
        self.book = Book(account, self.symbols, self.prices, self.money, assumptions, store=store)
        for symbol, quote in self.book.kept.quotes.items():
            self.prices[symbol] = Price(*quote, keep_ticks)
        self.checks = Checks(account, self.symbols, self.prices, self.clock, assumptions, self.book)
        self._free_margin = FreeMargin(self)
        self.next_due_utc_ms = NEVER_UTC_MS
        self.count_every_quote = False
        self.arm()

    @property
    def now_utc_ms(self) -> int:
        return self.book.now_utc_ms

    # -- quotes ---------------------------------------------------------------------------------------------------------

    def on_quote(self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> bool:
        """The new quote of `symbol`; True when it made a deal or ended an order.

        Levels that it reaches are executed at its own price. Inside the band nothing can happen: that path is kept to a few
        operations, for a replay sends every quote of a year through it.
        """
        if time_utc_ms >= self.next_due_utc_ms:
            self._come_due(time_utc_ms)
        self.book.now_utc_ms = time_utc_ms
        try:
            price = self.prices[symbol]
        except KeyError:
            price = self.prices[symbol] = Price(time_utc_ms, bid_points, ask_points, self._keep_ticks)
        price.time_utc_ms, price.bid_points, price.ask_points = time_utc_ms, bid_points, ask_points
        if price.ticks is not None:
            price.ticks.append((time_utc_ms, bid_points, ask_points))
        if price.bid_floor < bid_points < price.bid_ceiling and price.ask_floor < ask_points < price.ask_ceiling:
            return False
        return self._serve(symbol)

    def restamp(self, symbol: str, time_utc_ms: int) -> None:
        """The newest quote bears another time than that at which it came."""
        price = self.prices[symbol]
        price.time_utc_ms = time_utc_ms
        if price.ticks:
            price.ticks[-1] = (time_utc_ms, price.bid_points, price.ask_points)

    def band(self, symbol: str) -> Band:
        """Strictly inside which a quote of `symbol` changes nothing here; shut before its first quote."""
        price = self.prices.get(symbol)
        return SHUT if price is None else price.band

    def pass_over(self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> None:
        """The newest of quotes that all lay inside the band and before `next_due_utc_ms`. The others leave no trace."""
        price = self.prices[symbol]
        self.book.now_utc_ms = max(self.book.now_utc_ms, time_utc_ms)
        price.time_utc_ms, price.bid_points, price.ask_points = time_utc_ms, bid_points, ask_points

    # -- requests -------------------------------------------------------------------------------------------------------

    def send(self, request: Request) -> Result:
        """Carry it out or say why not; once, now, at the newest quote."""
        refusal = self.checks.refusal(request, self.now_utc_ms) or self._free_margin.refusal(request)
        result = refusal or self._execute(request)
        self.arm()
        return result

    def place(self, request: Request) -> Result:
        """Accept it as a server does that answers before it knows: the order is there, and nothing is carried out yet."""
        refusal = self.checks.refusal(request, self.now_utc_ms) or self._free_margin.refusal(request)
        if refusal is not None:
            return refusal
        order = self._order(request, Why(request.magic, request.reason, request.comment), 0)
        order.on_the_way, order.position_id = True, request.position
        self.book.add_order(order)
        return Result(mt5.TRADE_RETCODE_PLACED, order=order.ticket, detail="Request placed")

    def end_placed(self, ticket: int, *, executed: bool) -> None:
        """What became of it, at the newest quote."""
        order = self.book.kept.orders.get(ticket)
        if order is None:
            return
        order.on_the_way = False
        held = self.book.positions.get(order.position_id) if order.position_id else None
        why = Why(order.magic, order.reason, order.comment)
        if not executed or (order.position_id and held is None):
            self.book.end_order(order, mt5.ORDER_STATE_REJECTED)
        elif held is not None:
            del self.book.kept.orders[ticket]
            self.book.leave(held, min(order.volume_left_steps, held.volume_steps), why)
        else:
            self.book.enter(order, order.volume_left_steps, why)
            order.volume_left_steps = 0
            self.book.end_order(order, mt5.ORDER_STATE_FILLED)
        self.arm()

    def check(self, request: Request) -> tuple[Result, AccountState]:
        """What `send` would say, and the account afterwards."""
        refusal = self.checks.refusal(request, self.now_utc_ms)
        market = (mt5.TRADE_RETCODE_MARKET_CLOSED, mt5.TRADE_RETCODE_PRICE_OFF, mt5.TRADE_RETCODE_REQUOTE)
        if refusal is not None and refusal.retcode in market and not self.assumptions.check_asks_the_market:
            refusal = None
        refusal = refusal or self._free_margin.refusal(request)
        state = self.state()
        margin_cents = state.margin_cents + (self._free_margin.more_cents(request) if refusal is None else 0)
        return refusal or Result(0, detail="Done"), _account_state(
            state.balance_cents, state.credit_cents, state.profit_cents, margin_cents
        )

    def state(self) -> AccountState:
        kept = self.book.kept
        floating = sum(self.book.profit_cents(one) + one.swap_cents for one in kept.positions.values())
        return _account_state(kept.balance_cents, kept.credit_cents, floating, self.margin_cents())

    def margin_cents(self) -> int:
        return sum(map(self.money.held_cents, self._by_symbol().values()))

    def replace_terms(self, terms: SymbolTerms) -> None:
        """The broker changes a symbol; positions stay as they are."""
        self.symbols[terms.name] = terms
        self.arm()

    def set_account(self, account: AccountTerms) -> None:
        """The broker changes the account's terms."""
        self.account = self.book.account = self.checks.account = account

    def set_zone(self, zone: str) -> None:
        """The server's clock is put to another zone."""
        self.clock = self.checks.clock = ServerClock(zone)

    def close_at_market(self, position: Position, why: Why) -> Filled:
        """By the broker's own hand, whatever the rules say."""
        filled = self.book.leave(position, position.volume_steps, why)
        self.arm()
        return filled

    def _execute(self, request: Request) -> Result:
        why = Why(request.magic, request.reason, request.comment[: self.assumptions.comment_characters_kept])
        match request.action:
            case mt5.TRADE_ACTION_DEAL if request.position:
                return self._close(request, why)
            case mt5.TRADE_ACTION_DEAL:
                return self._open(request, why)
            case mt5.TRADE_ACTION_PENDING:
                order = self._order(request, why, self.checks.expiration_utc_ms(request, self.now_utc_ms))
                self.book.add_order(order)
                return self._done(order=order.ticket, volume_steps=order.volume_steps)
            case mt5.TRADE_ACTION_SLTP:
                held = self.checks.position_of(request)
                assert held is not None
                self.book.set_levels(held, request.sl_points or 0, request.tp_points or 0)
                return Result(mt5.TRADE_RETCODE_DONE, detail="Request executed")
            case mt5.TRADE_ACTION_MODIFY:
                return self._modify(request)
            case mt5.TRADE_ACTION_REMOVE:
                order = self.book.orders[request.order]
                self.book.end_order(order, mt5.ORDER_STATE_CANCELED)
                return self._done(order=order.ticket, volume_steps=order.volume_left_steps)
            case _:
                one, other = self.book.positions[request.position], self.book.positions[request.position_by]
                filled = self.book.close_by(one, other, why)
                return self._done(deal=filled.deal, order=filled.order, price_points=filled.price_points)

    def _open(self, request: Request, why: Why) -> Result:
        assert request.volume_steps is not None
        terms = self.symbols[request.symbol]
        there_steps = min(request.volume_steps, terms.liquidity_steps or request.volume_steps)
        if there_steps < request.volume_steps and request.type_filling == mt5.ORDER_FILLING_FOK:
            return refused(self.assumptions.fok_unfilled_code, f"only {there_steps} steps are there")
        order = self._order(request, why, 0)
        filled = self.book.enter(order, there_steps, why)
        order.volume_left_steps -= there_steps
        if order.volume_left_steps and request.type_filling == mt5.ORDER_FILLING_RETURN:
            order.state = mt5.ORDER_STATE_PARTIAL
            self.book.add_order(order)
        else:
            self.book.end_order(order, mt5.ORDER_STATE_CANCELED if order.volume_left_steps else mt5.ORDER_STATE_FILLED)
        code = mt5.TRADE_RETCODE_DONE_PARTIAL if order.volume_left_steps else mt5.TRADE_RETCODE_DONE
        return self._filled(filled, there_steps, request.symbol, code)

    def _close(self, request: Request, why: Why) -> Result:
        assert request.volume_steps is not None
        held = self.book.positions[request.position]
        terms = self.symbols[held.symbol]
        there_steps = min(request.volume_steps, terms.liquidity_steps or request.volume_steps)
        if there_steps < request.volume_steps and request.type_filling == mt5.ORDER_FILLING_FOK:
            return refused(self.assumptions.fok_unfilled_code, f"only {there_steps} steps are there")
        magic = held.magic if self.assumptions.close_keeps_magic else why.magic
        filled = self.book.leave(
            held,
            there_steps,
            why._replace(magic=magic),
            asked_steps=request.volume_steps,
            filling=request.type_filling,
        )
        part = there_steps < request.volume_steps
        code = mt5.TRADE_RETCODE_DONE_PARTIAL if part else mt5.TRADE_RETCODE_DONE
        return self._filled(filled, there_steps, held.symbol, code)

    def _modify(self, request: Request) -> Result:
        order = self.book.orders[request.order]
        order.price_points, order.stoplimit_points = request.price_points or 0, request.stoplimit_points or 0
        order.sl_points, order.tp_points = request.sl_points or 0, request.tp_points or 0
        order.type_time = request.type_time
        order.expiration_utc_ms = self.checks.expiration_utc_ms(request._replace(symbol=order.symbol), self.now_utc_ms)
        self.book.save()
        return self._done(order=order.ticket, volume_steps=order.volume_left_steps)

    def _order(self, request: Request, why: Why, expiration_utc_ms: int) -> Order:
        assert request.volume_steps is not None
        return Order(
            ticket=self.book.next_order_ticket(),
            symbol=request.symbol,
            type=request.type,
            volume_steps=request.volume_steps,
            volume_left_steps=request.volume_steps,
            price_points=request.price_points or 0,
            stoplimit_points=request.stoplimit_points or 0,
            sl_points=request.sl_points or 0,
            tp_points=request.tp_points or 0,
            type_filling=request.type_filling,
            type_time=request.type_time,
            expiration_utc_ms=expiration_utc_ms,
            magic=why.magic,
            reason=why.reason,
            comment=why.comment,
            setup_utc_ms=self.now_utc_ms,
        )

    def _filled(self, filled: Filled, volume_steps: int, symbol: str, code: int) -> Result:
        price = self.prices[symbol]
        deal = filled.deal if self.assumptions.result_has_deal else 0
        return Result(
            code, deal, filled.order, volume_steps, filled.price_points, price.bid_points, price.ask_points, "Request executed"
        )

    def _done(self, *, deal: int = 0, order: int = 0, volume_steps: int = 0, price_points: int = 0) -> Result:
        return Result(mt5.TRADE_RETCODE_DONE, deal, order, volume_steps, price_points, detail="Request executed")

    # -- what happens by itself -----------------------------------------------------------------------------------------

    def _serve(self, symbol: str) -> bool:
        """A quote outside the band: the server's own exits first, then pending orders, then the stop-out."""
        before = self.book.kept.last_deal_ticket, len(self.book.orders)
        self._take_exits(symbol)
        self._activate(symbol)
        self._stop_out()
        self.arm()
        return (self.book.kept.last_deal_ticket, len(self.book.orders)) != before

    def _take_exits(self, symbol: str) -> None:
        price = self.prices[symbol]
        for position in self.book.held(symbol):
            reason = price.exit_reason(position)
            if reason is not None:
                level = position.sl_points if reason == mt5.DEAL_REASON_SL else position.tp_points
                word = "sl" if reason == mt5.DEAL_REASON_SL else "tp"
                self._leave_whole(position, reason, f"[{word} {self._price_text(symbol, level)}]")

    def _leave_whole(self, position: Position, reason: int, comment: str) -> None:
        """The server's own close: its deal carries the magic of the position."""
        told = comment if self.assumptions.comment_of_exits else position.comment
        self.book.leave(position, position.volume_steps, Why(position.magic, reason, told))

    def _activate(self, symbol: str) -> None:
        price = self.prices[symbol]
        for order in [one for one in self.book.orders.values() if one.symbol == symbol]:
            if not price.reaches(order):
                continue
            if order.type >= mt5.ORDER_TYPE_BUY_STOP_LIMIT and not order.triggered:
                order.triggered = True
                self.book.save()
                if not price.reaches(order):
                    continue
            self._fill(order)

    def _fill(self, order: Order) -> None:
        """At the newest quote; without the margin for it the order is rejected."""
        terms = self.symbols[order.symbol]
        is_rest = order.type <= mt5.ORDER_TYPE_SELL
        side = mt5.ORDER_TYPE_BUY if order.is_buy else mt5.ORDER_TYPE_SELL
        request = Request(mt5.TRADE_ACTION_DEAL, order.symbol, order.volume_left_steps, type=side)
        limits = is_limit(order.type) or order.type >= mt5.ORDER_TYPE_BUY_STOP_LIMIT
        if not is_rest and self._free_margin.refusal(request) is not None:
            self.book.end_order(order, mt5.ORDER_STATE_REJECTED)
            return
        there_steps = min(order.volume_left_steps, terms.liquidity_steps or order.volume_left_steps)
        if there_steps < order.volume_left_steps and order.type_filling == mt5.ORDER_FILLING_FOK and not limits:
            self.book.end_order(order, mt5.ORDER_STATE_CANCELED)
            return
        self.book.enter(order, there_steps, Why(order.magic, order.reason, order.comment))
        order.volume_left_steps -= there_steps
        if not order.volume_left_steps:
            self.book.end_order(order, mt5.ORDER_STATE_FILLED)
        elif order.type_filling == mt5.ORDER_FILLING_IOC:
            self.book.end_order(order, mt5.ORDER_STATE_CANCELED)
        else:
            order.state = mt5.ORDER_STATE_PARTIAL
            self.book.save()

    def _stop_out(self) -> None:
        """While the account is below the limit: pending orders go first, then the position that loses most."""
        while self.book.positions and self._slack_cents() < 0:
            if self.assumptions.pending_margin_ratio and self.book.orders:
                self.book.end_order(next(iter(self.book.orders.values())), mt5.ORDER_STATE_CANCELED)
                continue
            state = self.state()
            losing_most = min(self.book.positions.values(), key=lambda one: self.book.profit_cents(one) + one.swap_cents)
            self._leave_whole(losing_most, mt5.DEAL_REASON_SO, f"so {state.level_pct:.1f}%")

    def _slack_cents(self) -> int:
        """What may still be lost before the stop-out."""
        state = self.state()
        if self.account.stop_out_in_money:
            return state.equity_cents - round(self.account.stop_out * float(10**self.account.currency_digits))
        return (state.equity_cents * 10_000 - state.margin_cents * round(self.account.stop_out * 100)) // 10_000

    def _come_due(self, now_utc_ms: int) -> None:
        for order in list(self.book.orders.values()):
            if order.expiration_utc_ms and order.expiration_utc_ms <= now_utc_ms:
                self.book.now_utc_ms = max(self.book.now_utc_ms, order.expiration_utc_ms)
                self.book.end_order(order, mt5.ORDER_STATE_EXPIRED)
        kept = self.book.kept
        while kept.day_end_utc_ms and kept.day_end_utc_ms <= now_utc_ms:
            if not self.book.positions:
                kept.day_end_utc_ms = self.clock.day_end_utc_ms(now_utc_ms)
                break
            end_day(kept.day_end_utc_ms, self)
            kept.day_end_utc_ms = self.clock.day_end_utc_ms(kept.day_end_utc_ms)
        self._stop_out()
        self.arm()

    def arm(self) -> None:
        """After any change: each symbol's band anew, and when something is due next."""
        exposed = self._by_symbol()
        arm_bands(self.prices, exposed, self.book, self.money, self._slack_cents() if exposed else 0)
        if self.count_every_quote:
            for price in self.prices.values():
                price.shut_band()
        self.next_due_utc_ms = self._next_due_utc_ms()

    def _next_due_utc_ms(self) -> int:
        due = [order.expiration_utc_ms for order in self.book.orders.values() if order.expiration_utc_ms]
        kept = self.book.kept
        charged = any(self.symbols[one.symbol].swap_mode for one in self.book.positions.values())
        if charged and not kept.day_end_utc_ms:
            kept.day_end_utc_ms = self.clock.day_end_utc_ms(self.now_utc_ms)
        if not charged:
            kept.day_end_utc_ms = 0
        return min([*due, kept.day_end_utc_ms or NEVER_UTC_MS], default=NEVER_UTC_MS)

    def _by_symbol(self) -> dict[str, list[Position]]:
        by_symbol = defaultdict[str, list[Position]](list)
        for position in self.book.positions.values():
            by_symbol[position.symbol].append(position)
        return by_symbol

    def _price_text(self, symbol: str, points: int) -> str:
        digits = self.symbols[symbol].digits
        return f"{points / 10**digits:.{digits}f}"


def _account_state(balance_cents: int, credit_cents: int, profit_cents: int, margin_cents: int) -> AccountState:
    equity_cents = balance_cents + credit_cents + profit_cents
    level_pct = equity_cents * 100 / margin_cents if margin_cents else 0.0
    free_cents = equity_cents - margin_cents
    return AccountState(balance_cents, credit_cents, profit_cents, equity_cents, margin_cents, free_cents, level_pct)
