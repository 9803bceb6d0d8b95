"""MetaTrader 5 behind the Broker port, over the official package or the simulated one.

One call at a time, by one thread at a time: the package has one connection and one last error for the process. Reads that fail
are None; an order whose answer is missing is UNKNOWN; nothing is sent a second time here.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loguru import logger

from evenkeel.adapters.broker import Answer
from evenkeel.adapters.hidden import HIDDEN
from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.mt5 import translate
from evenkeel.adapters.mt5.connection import Connection, readable
from evenkeel.adapters.mt5.module import Expected, Identity, Package
from evenkeel.adapters.mt5.server_time import ServerTime
from evenkeel.adapters.mt5.terms import Terms
from evenkeel.adapters.mt5.translate import Untranslatable
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
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.market import DailyRange, Quote, SymbolSpec

DAY_MS: Final = 86_400_000
HISTORY_DAYS_FIRST: Final = 30
TICKS_AT_ONCE: Final = 2_000
CLOSE_DEVIATION_POINTS: Final = 100_000
"""A close is never refused for its price where the execution would allow that (it must get out)."""


class Mt5Broker:
    """Implements `adapters.broker.Broker`. `now_utc_ms` is real UTC. `commission_cents` by symbol: the package tells none.

    Identity is checked at each connection; while `refusal` says something, nothing that opens is sent.
    """

    def __init__(
        self,
        package: Package,
        expected: Expected,
        server_time: ServerTime,
        *,
        path: str = "",
        timeout_ms: int = 60_000,
        now_utc_ms: Callable[[], int],
        monotonic_s: Callable[[], float],
        commission_cents: Mapping[str, int] = {},
        spec_store: Path | None = None,
    ) -> None:
        self._connection = Connection(package, expected, path=path, timeout_ms=timeout_ms, monotonic_s=monotonic_s)
        self._terms = Terms(self._connection, commission_cents, spec_store)
        self._package, self._lock = package, self._connection.lock
        self._server_time, self._now_utc_ms = server_time, now_utc_ms
        self._tickets: dict[int, tuple[int, bool, int]] = {}
        self._history_from_utc_ms: int | None = None
        self._foreign: set[str] = set()

    @property
    def identity(self) -> Identity | None:
        return self._connection.identity

    @property
    def refusal(self) -> str | None:
        return self._connection.refusal

    def connect(self) -> None:
        """Raises NotConnected. A wrong account is connected all the same: `refusal` says why nothing is opened there."""
        self._connection.connect()

    def who(self) -> tuple[int, str]:
        """Login and server, as the terminal last said them."""
        return self._connection.who()

    def check_identity(self) -> str | None:
        """Why nothing may be opened, asked anew: somebody may have logged the terminal in elsewhere."""
        return self._connection.check_identity()

    # -- orders ---------------------------------------------------------------------------------------------------------

    def open_position(
        self, request: OpenRequest, magic: int, *, intent_id: int = 0, epoch: int = 0, within_ms: int = 0
    ) -> Answer:
        with self._lock:
            if self.check_identity() is not None:
                return Answer(Outcome.VOID, detail=DenialReason.ACCOUNT_MISMATCH.value)
            spec, trading = self._terms.specs.get(request.symbol), self._terms.trading.get(request.symbol)
            if spec is None or trading is None or spec.spec_id != request.spec_id:
                return Answer(Outcome.VOID, detail=DenialReason.SPEC_UNKNOWN.value)
            try:
                sent = translate.open_request(request, magic, spec, trading)
            except Untranslatable as error:
                logger.error("{} cannot be traded: {}", request.symbol, error)
                return Answer(Outcome.VOID, detail=DenialReason.SPEC_UNKNOWN.value)
            if request.symbol in self._terms.between_units:
                return Answer(Outcome.VOID, detail=DenialReason.SPEC_UNKNOWN.value)
            if self._foreign:
                return Answer(Outcome.VOID, detail=DenialReason.UNRECONCILED.value)  # what is exposed there nobody can tell
            answer = self._send(sent, spec)
            if answer.code == mt5.TRADE_RETCODE_NO_CHANGES:
                return answer._replace(outcome=Outcome.UNKNOWN)  # no answer to an open
            if answer.outcome is Outcome.ACCEPTED and not answer.ticket:
                return answer._replace(outcome=Outcome.PENDING)  # done, it says, but not what
            return answer

    def close_position(self, request: CloseRequest, volume_steps: int, magic: int) -> Answer:
        with self._lock:
            spec, trading = self._terms.of(request.symbol), self._terms.trading.get(request.symbol)
            held = self._tickets.get(request.ticket)
            if spec is None or trading is None or held is None:
                return Answer(
                    Outcome.UNKNOWN, detail=f"position {request.ticket} or its terms cannot be read; nothing was sent"
                )
            ticket, is_buy, now_points = held
            sent = translate.close_request(
                request,
                volume_steps,
                magic,
                spec,
                trading,
                ticket=ticket,
                is_buy=is_buy,
                price_points=now_points,
                deviation_points=CLOSE_DEVIATION_POINTS,
            )
            answer = self._send(sent, spec)
            return answer._replace(ticket=request.ticket) if answer.outcome is Outcome.ACCEPTED else answer

    def set_stops(self, request: StopRequest) -> Answer:
        with self._lock:
            spec = self._terms.of(request.symbol)
            seen = None if request.ticket in self._tickets else self.positions()
            held = self._tickets.get(request.ticket)
            if held is None and seen is None:
                return Answer(Outcome.UNKNOWN, detail="the positions cannot be read; nothing was sent")
            if spec is None:
                return Answer(Outcome.UNKNOWN, detail=f"the terms of {request.symbol} cannot be read; nothing was sent")
            if held is None:
                return Answer(
                    Outcome.REJECTED, code=mt5.TRADE_RETCODE_POSITION_CLOSED, detail=f"no position {request.ticket} is seen"
                )
            answer = self._send(translate.stop_request(request, spec, ticket=held[0]), spec)
            return answer._replace(ticket=request.ticket) if answer.outcome is Outcome.ACCEPTED else answer

    def _send(self, sent: Mapping[str, Any], spec: SymbolSpec) -> Answer:
        """Once. What comes back without a result was perhaps carried out."""
        try:
            result = self._package.order_send(dict(sent))
        except (SystemError, TypeError) as error:  # the package refused what it was given; what it did then nobody knows
            return Answer(Outcome.UNKNOWN, detail=HIDDEN.shown(f"{type(error).__name__}: {error}"))
        if result is None:
            code, text = self._package.last_error()
            self._connection.died()
            return Answer(translate.outcome_of_error(code), code=code, detail=HIDDEN.shown(text))
        outcome = translate.outcome_of(result.retcode)
        if outcome is not Outcome.ACCEPTED:
            return Answer(outcome, code=result.retcode, detail=HIDDEN.shown(result.comment))
        try:
            done_points = translate.near_points(result.price, spec.digits)
            done_steps = translate.steps(result.volume, spec.steps_per_lot)
        except Untranslatable as error:
            return Answer(Outcome.ACCEPTED, result.order, code=result.retcode, detail=str(error))
        return Answer(Outcome.ACCEPTED, result.order, done_points, done_steps, result.retcode, HIDDEN.shown(result.comment))

    # -- readings -------------------------------------------------------------------------------------------------------

    @readable
    def positions(self) -> Sequence[BrokerPosition] | None:
        with self._lock:
            rows = self._package.positions_get()
            if rows is None or rows is False:
                self._connection.died()
                return None
            if not self._connection.is_linked() or self.check_identity() is not None:
                return None  # not linked to its broker it may show an empty list, on another account somebody else's
            found = [(row, self._position(row)) for row in rows]
            self._foreign = {row.symbol for row, held in found if held is None and row.symbol not in self._terms.specs}
            if any(held is None and row.symbol in self._terms.specs for row, held in found):
                return None
            if self._foreign:
                logger.error("positions in {} cannot be understood: nothing new is opened", " ".join(sorted(self._foreign)))
            return sorted((held for _, held in found if held is not None), key=lambda one: one.ticket)

    @readable
    def orders(self) -> Sequence[BrokerOrder] | None:
        """Those that would open something, in symbols whose terms are known: what closes a position is part of it."""
        with self._lock:
            rows = self._package.orders_get()
            if rows is None or rows is False:
                self._connection.died()
                return None
            if not self._connection.is_linked() or self.check_identity() is not None:
                return None
            found: list[BrokerOrder] = []
            for row in rows:
                spec = None if row.position_id else self._terms.of(row.symbol)
                if spec is not None:
                    found.append(translate.order_of(row, spec))
                elif not row.position_id and row.symbol in self._terms.specs:
                    return None
            return sorted(found, key=lambda one: one.ticket)

    def _position(self, row: Any) -> BrokerPosition | None:
        spec = self._terms.of(row.symbol)
        if spec is None:
            return None
        now_points = translate.near_points(row.price_current, spec.digits)
        self._tickets[row.identifier] = (row.ticket, row.type == mt5.POSITION_TYPE_BUY, now_points)
        return translate.position_of(row, spec, opened_utc_ms=self._server_time.utc_ms(row.time_msc))

    @readable
    def deals(self, after_ticket: int) -> Sequence[Deal] | None:
        """Of the symbols that can be traded here; the money of others is cash."""
        with self._lock:
            rows = self._history(after_ticket)
            if rows is None or self.identity is None:
                return None
            found: list[Deal] = []
            for row in filter(translate.is_trade, rows):
                spec = self._terms.of(row.symbol)
                if spec is not None:
                    when_utc_ms, digits = self._server_time.utc_ms(row.time_msc), self.identity.currency_digits
                    found.append(translate.deal_of(row, spec, currency_digits=digits, time_utc_ms=when_utc_ms))
                elif row.symbol in self._terms.specs:
                    return None
            return found

    @readable
    def cash(self, after_ticket: int) -> Sequence[Cash] | None:
        with self._lock:
            rows = self._history(after_ticket)
            if rows is None or self.identity is None:
                return None
            digits = self.identity.currency_digits
            return [
                translate.cash_of(row, currency_digits=digits, time_utc_ms=self._server_time.utc_ms(row.time_msc))
                for row in rows
                if not translate.is_trade(row) or (row.symbol not in self._terms.specs and self._terms.of(row.symbol) is None)
            ]

    def _history(self, after_ticket: int) -> list[Any] | None:
        """Asked a day beyond now, because the server's clock may be ahead, and two before the newest line that was seen."""
        now_utc_ms = self._now_utc_ms()
        if not self._server_time.is_known or self.check_identity() is not None:
            return None
        from_utc_ms = self._history_from_utc_ms or now_utc_ms - HISTORY_DAYS_FIRST * DAY_MS
        rows = self._package.history_deals_get(
            self._server_time.server_s(from_utc_ms), self._server_time.server_s(now_utc_ms + DAY_MS)
        )
        if rows is None or rows is False:
            self._connection.died()
            return None
        newest = max((self._server_time.utc_ms(row.time_msc) for row in rows), default=None)
        if newest is not None:
            self._history_from_utc_ms = max(self._history_from_utc_ms or 0, newest - 2 * DAY_MS)
        return sorted((row for row in rows if row.ticket > after_ticket), key=lambda row: row.ticket)

    @readable
    def account(self) -> AccountRead | None:
        with self._lock:
            info = self._package.account_info()
            if info is None:
                self._connection.died()
                return None
            digits = info.currency_digits
            try:
                return AccountRead(
                    balance_cents=translate.cents(info.balance, digits),
                    equity_cents=translate.cents(info.equity, digits),
                    margin_cents=translate.cents(info.margin, digits),
                    currency=info.currency,
                    currency_digits=digits,
                    leverage=info.leverage,
                    credit_cents=translate.cents(info.credit, digits),
                )
            except Untranslatable:
                return None

    def symbol(self, name: str) -> SymbolSpec | None:
        with self._lock:
            return self._terms.symbol(name)

    @readable
    def quote(self, symbol: str) -> Quote | None:
        with self._lock:
            spec, tick = self._terms.of(symbol), self._package.symbol_info_tick(symbol)
            if tick is None:
                self._connection.died()
                return None
            self._server_time.observe(symbol, tick.time_msc, self._now_utc_ms())
            if spec is None or not tick.time_msc or not self._server_time.is_known:
                return None
            return self._quote(tick.time_msc, tick.bid, tick.ask, spec)

    @readable
    def ticks(self, symbol: str, from_utc_ms: int) -> Sequence[Quote] | None:
        """In order, repeats included as the terminal has them; asked in pieces, from the whole second on."""
        with self._lock:
            spec = self._terms.of(symbol)
            if spec is None or not self._server_time.is_known:
                return None
            found: list[Quote] = []
            from_s, count = self._server_time.server_s(from_utc_ms), TICKS_AT_ONCE
            while True:
                rows = self._package.copy_ticks_from(symbol, from_s, count, mt5.COPY_TICKS_INFO)
                if rows is None:
                    self._connection.died()
                    return None
                times, bids, asks = rows["time_msc"].tolist(), rows["bid"].tolist(), rows["ask"].tolist()
                last_s = times[-1] // 1000 if times else from_s
                whole = len(times) < count
                for time_msc, bid, ask in zip(times, bids, asks, strict=True):
                    if not whole and time_msc // 1000 == last_s:
                        break  # the rest of this second comes with the next piece
                    quote = self._quote(time_msc, bid, ask, spec)
                    if quote is not None and quote.time_utc_ms >= from_utc_ms:
                        found.append(quote)
                if whole:
                    return found
                if last_s == from_s:
                    count *= 2  # more ticks in one second than were asked for
                else:
                    from_s, count = last_s, TICKS_AT_ONCE

    @readable
    def daily_ranges(self, symbol: str, count: int) -> Sequence[DailyRange] | None:
        """The bar that is forming is left out."""
        with self._lock:
            spec = self._terms.of(symbol)
            if spec is None:
                return None
            terminal = self._package.terminal_info()
            if terminal is None:
                self._connection.died()
                return None
            bars: list[tuple[float, float, float]] = []
            while len(bars) < count:  # a request above the terminal's limit of bars is refused, not cut short
                wanted = max(1, min(count - len(bars), terminal.maxbars - 1))
                rows = self._package.copy_rates_from_pos(symbol, mt5.TIMEFRAME_D1, 1 + len(bars), wanted)
                if rows is None:
                    self._connection.died()
                    return None
                part = list(zip(rows["high"].tolist(), rows["low"].tolist(), rows["close"].tolist(), strict=True))
                bars = part + bars
                if len(part) < wanted:
                    break
            try:
                return [DailyRange(*(translate.near_points(one, spec.digits) for one in bar)) for bar in bars]
            except Untranslatable:
                return None

    def _quote(self, time_msc: int, bid: float, ask: float, spec: SymbolSpec) -> Quote | None:
        """None for what is no price."""
        try:
            bid_points, ask_points = translate.near_points(bid, spec.digits), translate.near_points(ask, spec.digits)
        except Untranslatable:
            return None
        if bid_points <= 0 or ask_points <= 0:
            return None
        return Quote(self._server_time.utc_ms(time_msc), bid_points, ask_points)
