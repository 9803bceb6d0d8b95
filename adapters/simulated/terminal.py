"""The simulated terminal behind the Broker port, in this process: a hedging account with Instant execution.

A thin face of the trade server (server/), for replays and demonstrations: without latency, lag, sessions or swap. Everything
else that a server does is shown by the other face, the module `MetaTrader5`. It fails as it is told to (faults.py).
"""

import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, assert_never

import msgspec

from evenkeel.adapters.broker import Answer
from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.mt5.translate import SIDES, outcome_of
from evenkeel.adapters.simulated import told
from evenkeel.adapters.simulated.faults import Call, Fault, FaultKind, FaultScript
from evenkeel.adapters.simulated.server import records
from evenkeel.adapters.simulated.server.book import Why
from evenkeel.adapters.simulated.server.server import TradeServer
from evenkeel.adapters.simulated.server.spec_money import ProfitCents, SpecMoney, terms_of
from evenkeel.adapters.simulated.server.terms import AccountTerms, Assumptions, SymbolTerms
from evenkeel.messages.broker_gateway import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    Cash,
    CloseRequest,
    Deal,
    OpenRequest,
    Outcome,
    StopRequest,
)
from evenkeel.messages.market import DailyRange, Direction, Quote, SymbolSpec
from evenkeel.rules.bands import Band
from evenkeel.rules.magic import comment_for

_ANY_POINTS: Final = 1 << 62
_OPPOSITE: Final = {mt5.POSITION_TYPE_BUY: mt5.ORDER_TYPE_SELL, mt5.POSITION_TYPE_SELL: mt5.ORDER_TYPE_BUY}


class SimulatedTerminal:
    """Implements `adapters.broker.Broker`; `on_quote` is how the market reaches it.

    `profit_cents(spec, points, volume_steps, close_price_points)` is the worth of a move. `recorded_ticks(symbol,
    from_utc_ms)` stands in for the terminal's own tick history of `keep_ticks` quotes a symbol (0 keeps none). With `store`
    the account survives our process: it is read back from that file, which may raise BookUnreadable. `terms` say more of a
    symbol than its spec does: swaps, sessions.

    Every method may be called from any thread: one lock is held throughout. `keeps_magic` and `keeps_comment` say what the
    server leaves of the marks of an order that opens.
    """

    def __init__(
        self,
        specs: Mapping[str, SymbolSpec],
        *,
        start_balance_cents: int,
        currency: str,
        currency_digits: int,
        leverage: int,
        profit_cents: ProfitCents,
        faults: FaultScript | None = None,
        daily: Mapping[str, Sequence[DailyRange]] = {},
        store: Path | None = None,
        recorded_ticks: Callable[[str, int], Sequence[Quote]] | None = None,
        keep_ticks: int = 20_000,
        terms: Mapping[str, SymbolTerms] = {},
    ) -> None:
        self.keeps_magic = self.keeps_comment = True
        self._specs, self._daily, self._recorded_ticks = specs, daily, recorded_ticks
        account = AccountTerms(
            currency=currency,
            currency_digits=currency_digits,
            leverage=leverage,
            start_balance_cents=start_balance_cents,
            orders_max=0,
        )
        self._server = TradeServer(
            account,
            {symbol: terms.get(symbol) or terms_of(spec, currency) for symbol, spec in specs.items()},
            Assumptions(),
            money=lambda prices: SpecMoney(specs, profit_cents, leverage),
            store=store,
            keep_ticks=keep_ticks if recorded_ticks is None else 0,
        )
        self._prices, self._book = self._server.prices, self._server.book
        self._lock = threading.Lock()
        self._faults, self._calls = faults or FaultScript(), Counter[Call]()
        self._late: list[_LateRequest] = []
        self._history_quotes_left, self._history_shown_ticket = 0, 0
        self._arm()

    @property
    def due_utc_ms(self) -> int:
        """When something happens at the server without a price; at the first quote from then on."""
        return self._server.next_due_utc_ms

    def on_quote(self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> bool:
        """The new quote of `symbol`; True when it made a deal. See TradeServer."""
        with self._lock:
            if not self._server.count_every_quote:
                return self._server.on_quote(symbol, time_utc_ms, bid_points, ask_points)
            ticket_before = self._book.kept.last_deal_ticket
            self._server.on_quote(symbol, time_utc_ms, bid_points, ask_points)
            self._execute_late(symbol)
            self._history_quotes_left = max(0, self._history_quotes_left - 1)
            self._arm()
            return self._book.kept.last_deal_ticket != ticket_before

    def band(self, symbol: str) -> Band:
        """Strictly inside which a quote of `symbol` changes nothing here; shut before its first quote."""
        return self._server.band(symbol)

    def pass_over(self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> None:
        """The newest of quotes that all lay inside the band: for a replay that jumps. The others leave no trace."""
        self._server.pass_over(symbol, time_utc_ms, bid_points, ask_points)

    def open_position(
        self, request: OpenRequest, magic: int, *, intent_id: int = 0, epoch: int = 0, within_ms: int = 0
    ) -> Answer:
        at_any_price = msgspec.structs.replace(request, deviation_points=_ANY_POINTS)
        return self._send(
            Call.OPEN, request.symbol, lambda: self._open(request, magic), late=lambda: self._open(at_any_price, magic)
        )

    def close_position(self, request: CloseRequest, volume_steps: int, magic: int) -> Answer:
        return self._send(Call.CLOSE, request.symbol, lambda: self._close(request, volume_steps, magic))

    def set_stops(self, request: StopRequest) -> Answer:
        return self._send(Call.SET_STOPS, request.symbol, lambda: self._set_stops(request))

    def positions(self) -> Sequence[BrokerPosition] | None:
        with self._lock:
            fault = self._fault(Call.POSITIONS)
            if fault is None:
                return tuple(told.position_of(one, self._specs[one.symbol]) for one in self._book.positions.values())
            return None if fault.kind is FaultKind.UNREADABLE else ()

    def orders(self) -> Sequence[BrokerOrder] | None:
        with self._lock:
            if self._fault(Call.ORDERS) is not None:
                return None
            waiting = (order for order in self._book.orders.values() if not order.position_id)
            return tuple(told.order_of(order, self._specs[order.symbol]) for order in waiting)

    def deals(self, after_ticket: int) -> Sequence[Deal] | None:
        with self._lock:
            if self._fault(Call.DEALS) is not None:
                return None
            if not self._history_quotes_left:
                self._history_shown_ticket = self._book.kept.last_deal_ticket
            deals = self._book.deals_between(after_ticket, self._history_shown_ticket)
            return tuple(told.deal_of(deal, self._specs[deal.symbol]) for deal in deals if deal.symbol)

    def cash(self, after_ticket: int) -> Sequence[Cash] | None:
        with self._lock:
            lines = self._book.deals_between(after_ticket, self._book.kept.last_deal_ticket)
            return tuple(told.cash_of(line) for line in lines if not line.symbol)

    def account(self) -> AccountRead | None:
        with self._lock:
            if self._fault(Call.ACCOUNT) is not None:
                return None
            state, terms = self._server.state(), self._server.account
            return AccountRead(
                balance_cents=state.balance_cents,
                equity_cents=state.equity_cents,
                margin_cents=state.margin_cents,
                currency=terms.currency,
                currency_digits=terms.currency_digits,
                leverage=terms.leverage,
                credit_cents=state.credit_cents,
            )

    def symbol(self, name: str) -> SymbolSpec | None:
        return self._specs.get(name)

    def quote(self, symbol: str) -> Quote | None:
        with self._lock:
            price = self._prices.get(symbol)
            return None if price is None else Quote(price.time_utc_ms, price.bid_points, price.ask_points)

    def ticks(self, symbol: str, from_utc_ms: int) -> Sequence[Quote] | None:
        """What the terminal has of them: they may begin later than `from_utc_ms`."""
        newest = self.quote(symbol)
        if newest is None:
            return ()
        if self._recorded_ticks is not None:
            recorded = self._recorded_ticks(symbol, from_utc_ms)
            return recorded[: bisect_right(recorded, newest.time_utc_ms, key=lambda quote: quote.time_utc_ms)]
        with self._lock:
            return tuple(Quote(*tick) for tick in self._prices[symbol].ticks or () if tick[0] >= from_utc_ms)

    def daily_ranges(self, symbol: str, count: int) -> Sequence[DailyRange] | None:
        days = self._daily.get(symbol, ())
        return days[max(0, len(days) - count) :]

    def person_opens(
        self, symbol: str, direction: Direction, volume_steps: int, *, stop_points: int = 0, target_points: int = 0
    ) -> int:
        """A person opens by hand at the current quote: a foreign position, magic 0. Its ticket; raises ValueError."""
        request = records.Request(
            mt5.TRADE_ACTION_DEAL,
            symbol,
            volume_steps,
            self._prices[symbol].entry_points(direction is Direction.BUY),
            sl_points=stop_points,
            tp_points=target_points,
            type=SIDES[direction],
            reason=mt5.ORDER_REASON_CLIENT,
        )
        with self._lock:
            result = self._server.send(request)
            if not result.is_done:
                raise ValueError(f"{result.retcode}: {result.detail}")
            self._arm()
            return result.order

    def person_places(self, request: records.Request) -> int:
        """A person places a pending order by hand. Its ticket; raises ValueError when the server refuses it."""
        with self._lock:
            result = self._server.send(request._replace(reason=mt5.ORDER_REASON_CLIENT))
            if not result.is_done:
                raise ValueError(f"{result.retcode}: {result.detail}")
            return result.order

    @property
    def server(self) -> TradeServer:
        """The broker behind it, for whoever plays the broker's own part. Not locked."""
        return self._server

    @property
    def books(self) -> records.Books:
        """Everything that the server has written down."""
        return self._book.kept

    def person_closes(self, ticket: int, volume_steps: int | None = None) -> None:
        """A person closes `ticket`, or that much of it, by hand at the current quote. Raises KeyError when it is gone."""
        with self._lock:
            held = self._book.positions[ticket]
            self._book.leave(held, volume_steps or held.volume_steps, Why(reason=mt5.DEAL_REASON_CLIENT))
            self._server.arm()
            self._arm()

    def person_sets_levels(self, ticket: int, stop_points: int, target_points: int = 0) -> None:
        """A person drags the stop and the target of `ticket` at the broker; 0 removes. Raises KeyError when it is gone."""
        with self._lock:
            self._book.set_levels(self._book.positions[ticket], stop_points, target_points)
            self._server.arm()
            self._arm()

    def person_moves_cash(self, kind: int, cents: int, comment: str = "by hand") -> int:
        """A person deposits or withdraws, or the broker charges: `kind` is a deal type of the package. Its ticket."""
        with self._lock:
            return self._book.operate(kind, cents, comment)

    def _send(
        self, call: Call, symbol: str, execute: Callable[[], Answer], *, late: Callable[[], Answer] | None = None
    ) -> Answer:
        """What the sender hears of a request, with the fault that is written for it. `late` is `execute` when it comes late."""
        with self._lock:
            fault = self._fault(call)
            answer = execute() if fault is None else self._fail(fault, symbol, execute, late or execute)
            self._arm()
            return answer

    def _fail(self, fault: Fault, symbol: str, execute: Callable[[], Answer], late: Callable[[], Answer]) -> Answer:
        match fault.kind:
            case FaultKind.REQUOTE:
                return _refused(mt5.TRADE_RETCODE_REQUOTE, "requote, by script")
            case FaultKind.REJECT:
                return _refused(fault.code, "refused, by script")
            case FaultKind.LOST_BEFORE:
                pass
            case FaultKind.LOST_AFTER:
                execute()
            case FaultKind.LATE:
                self._late.append(_LateRequest(symbol, fault.after_quotes, late))
            case FaultKind.DELAYED_HISTORY | FaultKind.UNREADABLE | FaultKind.EMPTY:
                raise AssertionError(f"{fault.kind} is no fault of a sent request")
            case _:
                assert_never(fault.kind)
        return Answer(Outcome.UNKNOWN, detail="the reply was lost")

    def _fault(self, call: Call) -> Fault | None:
        """Count the call; its fault, if one is written for it. A delay of the history begins here and is not returned."""
        self._calls[call] += 1
        fault = self._faults.at(call, self._calls[call])
        if fault is None or fault.kind is not FaultKind.DELAYED_HISTORY:
            return fault
        self._history_quotes_left = fault.after_quotes
        self._arm()
        return None

    def _open(self, request: OpenRequest, magic: int) -> Answer:
        spec = self._specs.get(request.symbol)
        if spec is None or spec.spec_id != request.spec_id:
            return _refused(mt5.TRADE_RETCODE_INVALID, f"no symbol {request.symbol} with specification {request.spec_id}")
        sent = records.Request(
            mt5.TRADE_ACTION_DEAL,
            request.symbol,
            request.volume_steps,
            request.price_points,
            sl_points=request.stop_points,
            tp_points=request.target_points,
            deviation=request.deviation_points,
            type=SIDES[request.direction],
            magic=magic if self.keeps_magic else 0,
            comment=comment_for(magic) if self.keeps_comment else "by bridge 4",
        )
        return _answer(self._server.send(sent))

    def _close(self, request: CloseRequest, volume_steps: int, magic: int) -> Answer:
        position, price = self._book.positions.get(request.ticket), self._prices.get(request.symbol)
        sent = records.Request(
            mt5.TRADE_ACTION_DEAL,
            request.symbol,
            volume_steps,
            1 if price is None else price.exit_points(position is None or position.is_buy),
            type=mt5.ORDER_TYPE_SELL if position is None else _OPPOSITE[position.type],
            magic=magic,
            position=request.ticket,
            comment=comment_for(magic),
        )
        return _answer(self._server.send(sent), ticket=request.ticket)

    def _set_stops(self, request: StopRequest) -> Answer:
        sent = records.Request(
            mt5.TRADE_ACTION_SLTP,
            request.symbol,
            sl_points=request.stop_points,
            tp_points=request.target_points,
            position=request.ticket,
        )
        return _answer(self._server.send(sent), ticket=request.ticket)

    def _execute_late(self, symbol: str) -> None:
        for request in [waiting for waiting in self._late if waiting.symbol == symbol]:
            request.quotes_left -= 1
            if not request.quotes_left:
                self._late.remove(request)
                request.execute()

    def _arm(self) -> None:
        """After any change. While something waits for quotes to pass, each one is counted."""
        counts = bool(self._late or self._history_quotes_left)
        if counts or self._server.count_every_quote:
            self._server.count_every_quote = counts
            self._server.arm()


class _LateRequest:
    def __init__(self, symbol: str, quotes_left: int, execute: Callable[[], Answer]) -> None:
        self.symbol, self.quotes_left, self.execute = symbol, quotes_left, execute


def _answer(result: records.Result, *, ticket: int = 0) -> Answer:
    if result.is_done:
        return Answer(
            Outcome.ACCEPTED,
            ticket or result.order,
            result.price_points,
            result.volume_steps,
            result.retcode,
            "request executed",
        )
    if result.retcode == mt5.TRADE_RETCODE_NO_CHANGES:
        return Answer(Outcome.ACCEPTED, ticket, code=result.retcode, detail="no changes")
    return _refused(result.retcode, result.detail)


def _refused(code: int, detail: str) -> Answer:
    """As definite as the code is."""
    return Answer(outcome_of(code), code=code, detail=detail)
