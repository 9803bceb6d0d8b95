"""The simulated terminal behind the Broker port: a hedging account with Instant execution, in this process.

It keeps its own stops, targets and stop-out, as a broker does, and fails as it is told to (faults.py). It has no latency, no
pending orders, no netting, no swap and no sessions: the market is open whenever a quote comes.
"""

import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final, assert_never

import msgspec

from evenkeel.adapters.broker import Answer
from evenkeel.adapters.simulated.book import Book, Price, ProfitCents
from evenkeel.adapters.simulated.faults import Call, Fault, FaultKind, FaultScript
from evenkeel.messages.broker_gateway import (
    AccountRead,
    BrokerPosition,
    CloseRequest,
    Deal,
    DealReason,
    OpenRequest,
    Outcome,
    StopRequest,
)
from evenkeel.messages.market import DailyRange, Direction, Quote, SymbolSpec
from evenkeel.rules.bands import SHUT, Band

_ANY_POINTS: Final = 1 << 62


class Retcode(IntEnum):
    """The broker's numbers, as MetaTrader 5 says them."""

    REQUOTE = 10004
    DONE = 10009
    INVALID = 10013
    INVALID_VOLUME = 10014
    INVALID_PRICE = 10015
    INVALID_STOPS = 10016
    NO_MONEY = 10019
    PRICE_OFF = 10021
    NO_CHANGES = 10025
    POSITION_CLOSED = 10036
    INVALID_CLOSE_VOLUME = 10038


class SimulatedTerminal:
    """Implements `adapters.broker.Broker`; `on_quote` is how the market reaches it.

    `profit_cents(spec, points, volume_steps, close_price_points)` is the worth of a move. `recorded_ticks(symbol,
    from_utc_ms)` stands in for the terminal's own tick history of `keep_ticks` quotes a symbol (0 keeps none). With `store`
    the account survives our process: it is read back from that file, which may raise BookUnreadable.

    Every method may be called from any thread: one lock is held throughout.
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
    ) -> None:
        self._specs, self._daily, self._recorded_ticks = specs, daily, recorded_ticks
        self._currency, self._currency_digits, self._leverage = currency, currency_digits, leverage
        self._keep_ticks = keep_ticks if recorded_ticks is None else 0
        self._book = Book(
            specs,
            profit_cents,
            start_balance_cents=start_balance_cents,
            leverage=leverage,
            store=store,
            keep_ticks=self._keep_ticks,
        )
        self._prices = self._book.prices
        self._lock = threading.Lock()
        self._faults, self._calls = faults or FaultScript(), Counter[Call]()
        self._late: list[_LateRequest] = []
        self._history_quotes_left, self._history_shown_ticket = 0, 0
        self._arm()

    def on_quote(self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> bool:
        """The new quote of `symbol`; True when it made a deal.

        Stops and targets that it reaches are executed at its own price, never at their level. Inside the symbol's band
        nothing can happen: that path is kept to a few operations, for a replay sends every quote of a year through it.
        """
        with self._lock:
            self._book.now_utc_ms = time_utc_ms
            try:
                price = self._prices[symbol]
            except KeyError:
                price = self._prices[symbol] = Price(Quote(time_utc_ms, bid_points, ask_points), self._keep_ticks)
            price.time_utc_ms, price.bid_points, price.ask_points = time_utc_ms, bid_points, ask_points
            if price.ticks is not None:
                price.ticks.append((time_utc_ms, bid_points, ask_points))
            if price.bid_floor < bid_points < price.bid_ceiling and price.ask_floor < ask_points < price.ask_ceiling:
                return False
            return self._serve(symbol)

    def band(self, symbol: str) -> Band:
        """Strictly inside which a quote of `symbol` changes nothing here; shut before its first quote."""
        price = self._prices.get(symbol)
        return SHUT if price is None else Band(price.bid_floor, price.bid_ceiling, price.ask_floor, price.ask_ceiling)

    def pass_over(self, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> None:
        """The newest of quotes that all lay inside the band: for a replay that jumps. The others leave no trace."""
        price = self._prices[symbol]
        self._book.now_utc_ms = max(self._book.now_utc_ms, time_utc_ms)
        price.time_utc_ms, price.bid_points, price.ask_points = time_utc_ms, bid_points, ask_points

    def open_position(self, request: OpenRequest, magic: int) -> Answer:
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
                return tuple(self._book.positions.values())
            return None if fault.kind is FaultKind.UNREADABLE else ()

    def deals(self, after_ticket: int) -> Sequence[Deal] | None:
        with self._lock:
            if self._fault(Call.DEALS) is not None:
                return None
            if not self._history_quotes_left:
                self._history_shown_ticket = self._book.last_deal_ticket
            return self._book.history(after_ticket, self._history_shown_ticket)

    def account(self) -> AccountRead | None:
        with self._lock:
            if self._fault(Call.ACCOUNT) is not None:
                return None
            return AccountRead(
                balance_cents=self._book.balance_cents,
                equity_cents=self._book.equity_cents(),
                margin_cents=self._book.margin_cents(),
                currency=self._currency,
                currency_digits=self._currency_digits,
                leverage=self._leverage,
            )

    def symbol(self, name: str) -> SymbolSpec | None:
        return self._specs.get(name)

    def quote(self, symbol: str) -> Quote | None:
        with self._lock:
            price = self._prices.get(symbol)
            return None if price is None else price.quote()

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
        """A person opens by hand at the current quote: a foreign position, magic 0. Its ticket; nothing is checked."""
        with self._lock:
            position = self._book.enter(
                symbol,
                direction,
                volume_steps,
                stop_points=stop_points,
                target_points=target_points,
                magic=0,
                reason=DealReason.CLIENT,
            )
            self._arm()
            return position.ticket

    def person_closes(self, ticket: int) -> None:
        """A person closes `ticket` by hand at the current quote. Raises KeyError when it is gone."""
        with self._lock:
            position = self._book.positions[ticket]
            self._book.leave(position, volume_steps=position.volume_steps, magic=0, reason=DealReason.CLIENT)
            self._arm()

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
                return _refused(Retcode.REQUOTE, "requote, by script")
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
        refusal = self._refusal_to_open(request)
        if refusal is not None:
            return refusal
        position = self._book.enter(
            request.symbol,
            request.direction,
            request.volume_steps,
            stop_points=request.stop_points,
            target_points=request.target_points,
            magic=magic,
            reason=DealReason.EXPERT,
        )
        return _done(position.ticket, position.open_points, position.volume_steps)

    def _refusal_to_open(self, request: OpenRequest) -> Answer | None:
        """The first rule that the order breaks, roughly in the order in which a terminal looks (metatrader5.md 2.5)."""
        spec, price, steps = self._specs.get(request.symbol), self._prices.get(request.symbol), request.volume_steps
        if spec is None or spec.spec_id != request.spec_id:
            return _refused(Retcode.INVALID, f"no symbol {request.symbol} with specification {request.spec_id}")
        if not spec.volume_min_steps <= steps <= spec.volume_max_steps:
            return _refused(Retcode.INVALID_VOLUME, f"{steps} steps, not {spec.volume_min_steps} to {spec.volume_max_steps}")
        if request.price_points <= 0:
            return _refused(Retcode.INVALID_PRICE, f"a price of {request.price_points} points")
        if price is None:
            return _refused(Retcode.PRICE_OFF, f"no quote of {request.symbol} yet")
        if not self._levels_may_stand(request, request.direction):
            return _wrong_levels(request, price)
        if abs(price.entry_points(request.direction) - request.price_points) > request.deviation_points:
            return _refused(Retcode.REQUOTE, f"{request.price_points} give or take {request.deviation_points} at {price}")
        needed_cents = self._book.margin_for_cents(spec, steps)
        free_cents = self._book.equity_cents() - self._book.margin_cents()
        if needed_cents > free_cents:
            return _refused(Retcode.NO_MONEY, f"needs {needed_cents} cents of margin, {free_cents} are free")
        return None

    def _close(self, request: CloseRequest, volume_steps: int, magic: int) -> Answer:
        position = self._book.positions.get(request.ticket)
        if position is None:
            return _refused(Retcode.POSITION_CLOSED, f"no position {request.ticket}")
        if position.symbol != request.symbol:
            return _refused(Retcode.INVALID, f"position {request.ticket} is in {position.symbol}, not {request.symbol}")
        if volume_steps > position.volume_steps:
            return _refused(Retcode.INVALID_CLOSE_VOLUME, f"{volume_steps} steps of {position.volume_steps}")
        volume_min_steps = self._specs[position.symbol].volume_min_steps
        if volume_steps < volume_min_steps and volume_steps != position.volume_steps:
            return _refused(Retcode.INVALID_VOLUME, f"{volume_steps} steps, at least {volume_min_steps} or all")
        close_points = self._book.leave(position, volume_steps=volume_steps, magic=magic, reason=DealReason.EXPERT)
        return _done(request.ticket, close_points, volume_steps)

    def _set_stops(self, request: StopRequest) -> Answer:
        position = self._book.positions.get(request.ticket)
        if position is None:
            return _refused(Retcode.POSITION_CLOSED, f"no position {request.ticket}")
        if position.symbol != request.symbol:
            return _refused(Retcode.INVALID, f"position {request.ticket} is in {position.symbol}, not {request.symbol}")
        if (request.stop_points, request.target_points) == (position.stop_points, position.target_points):
            return Answer(Outcome.ACCEPTED, request.ticket, code=Retcode.NO_CHANGES.value, detail="no changes")
        if not self._levels_may_stand(request, position.direction):
            return _wrong_levels(request, self._prices[request.symbol])
        self._book.set_levels(position, stop_points=request.stop_points, target_points=request.target_points)
        return _done(request.ticket)

    def _levels_may_stand(self, request: OpenRequest | StopRequest, direction: Direction) -> bool:
        return self._prices[request.symbol].allows(
            direction,
            stop_points=request.stop_points,
            target_points=request.target_points,
            stops_level_points=self._specs[request.symbol].stops_level_points,
        )

    def _serve(self, symbol: str) -> bool:
        """A quote outside the band: the broker's own exits first, then requests that come late, then the stop-out."""
        ticket_before = self._book.last_deal_ticket
        self._book.take_exits(symbol)
        self._execute_late(symbol)
        self._book.stop_out()
        self._history_quotes_left = max(0, self._history_quotes_left - 1)
        self._arm()
        return self._book.last_deal_ticket != ticket_before

    def _execute_late(self, symbol: str) -> None:
        for request in [waiting for waiting in self._late if waiting.symbol == symbol]:
            request.quotes_left -= 1
            if not request.quotes_left:
                self._late.remove(request)
                request.execute()

    def _arm(self) -> None:
        """After any change. While something waits for quotes to pass, every band is shut, so that each one is counted."""
        self._book.arm_bands()
        if self._late or self._history_quotes_left:
            for price in self._prices.values():
                price.shut_band()


class _LateRequest:
    def __init__(self, symbol: str, quotes_left: int, execute: Callable[[], Answer]) -> None:
        self.symbol, self.quotes_left, self.execute = symbol, quotes_left, execute


def _done(ticket: int, price_points: int = 0, volume_steps: int = 0) -> Answer:
    return Answer(Outcome.ACCEPTED, ticket, price_points, volume_steps, Retcode.DONE.value, "request executed")


def _refused(code: int, detail: str) -> Answer:
    return Answer(Outcome.REJECTED, code=int(code), detail=detail)


def _wrong_levels(request: OpenRequest | StopRequest, price: Price) -> Answer:
    return _refused(Retcode.INVALID_STOPS, f"stop {request.stop_points}, target {request.target_points} at {price}")
