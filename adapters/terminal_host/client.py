"""The supervisor's end: the Broker port over a terminal host in another process.

A read without an answer is None, an order without one UNKNOWN. What did not come in its time breaks the connection, and the
keeper hears of it.
"""

import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from evenkeel.adapters.broker import Answer
from evenkeel.adapters.control_frames import Deadline, FrameError, greet_as_client, receive_frame, send_frame
from evenkeel.adapters.terminal_host import verbs
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

R = TypeVar("R", bound=verbs.Reply)
OPEN_WITHIN_MS: Final = 3_000
"""An open that waited longer for the terminal has lost its reason."""


class LinkDown(Exception):
    """Nothing was sent: there is no host, or not ours."""


class ReplyLost(Exception):
    """Something was sent, and nobody knows what became of it."""


Connect = Callable[[Deadline], tuple[socket.socket, str]]
"""A connection to the host and the key of its run; raises OSError or LinkDown."""


class HostLink:
    """One connection, made when it is needed and made again after it broke; used by any thread, one call at a time."""

    def __init__(self, connect: Connect, timeout_s: float, on_hang: Callable[[str], None] = lambda what: None) -> None:
        self._connect, self.timeout_s, self._on_hang = connect, timeout_s, on_hang
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    def ask(self, asked: verbs.Verb, timeout_s: float | None = None) -> verbs.Reply:
        """Raises LinkDown or ReplyLost. A host that has hung up meanwhile is tried anew once, before anything was sent."""
        with self._lock:
            deadline = Deadline(timeout_s or self.timeout_s)
            connection = self._connected(deadline)
            try:
                send_frame(connection, verbs.encode(asked), deadline)
                return verbs.reply(receive_frame(connection, deadline))
            except (OSError, FrameError, ValueError, RecursionError) as error:
                self._drop()
                if isinstance(error, TimeoutError):
                    self._on_hang(f"{type(asked).__name__} had no answer in {timeout_s or self.timeout_s:g} s")
                raise ReplyLost(f"{type(asked).__name__}: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _connected(self, deadline: Deadline) -> socket.socket:
        if self._connection is not None and _has_hung_up(self._connection):
            self._drop()
        if self._connection is None:
            try:
                connection, key = self._connect(deadline)
            except (OSError, ValueError) as error:
                raise LinkDown(str(error)) from error
            try:
                greet_as_client(connection, key, deadline)
            except (OSError, FrameError) as error:
                connection.close()
                raise LinkDown(str(error)) from error
            self._connection = connection
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class HostedBroker:
    """Implements `adapters.broker.Broker`. `order_link` and `read_link` are two connections: a reading does not wait for the
    answer of an order, except at the terminal itself. `beat` is said before each open, so that the host's gate goes by what
    holds now."""

    def __init__(self, order_link: HostLink, read_link: HostLink, *, beat: Callable[[], verbs.Beat] | None = None) -> None:
        self._orders, self._reads, self._beat = order_link, read_link, beat
        self._within_ms = max(1, round(order_link.timeout_s * 900))  # before its sender gives it up
        self.answered_intent_id = 0

    def open_position(
        self, request: OpenRequest, magic: int, *, intent_id: int = 0, epoch: int = 0, within_ms: int = 0
    ) -> Answer:
        beaten_ms = 0
        if self._beat is not None:
            try:
                beaten = self._orders.ask(self._beat())
            except (LinkDown, ReplyLost):
                return Answer(Outcome.VOID, detail=DenialReason.TERMINAL_DOWN.value)
            beaten_ms = beaten.at_ms if isinstance(beaten, verbs.Beaten) else 0
        within_ms = min(within_ms or OPEN_WITHIN_MS, OPEN_WITHIN_MS, self._within_ms)
        answer = self._ordered(verbs.Open(intent_id, epoch, magic, request, within_ms, beaten_ms))
        self.answered_intent_id = max(self.answered_intent_id, intent_id)
        return answer

    def close_position(self, request: CloseRequest, volume_steps: int, magic: int) -> Answer:
        return self._ordered(verbs.Close(volume_steps, magic, request, self._within_ms))

    def set_stops(self, request: StopRequest) -> Answer:
        return self._ordered(verbs.SetStops(request, self._within_ms))

    def positions(self) -> Sequence[BrokerPosition] | None:
        found = self._read(verbs.ReadPositions(), verbs.Positions)
        return None if found is None else found.positions

    def orders(self) -> Sequence[BrokerOrder] | None:
        found = self._read(verbs.ReadOrders(), verbs.Orders)
        return None if found is None else found.orders

    def deals(self, after_ticket: int) -> Sequence[Deal] | None:
        deals: list[Deal] = []
        while True:
            found = self._read(verbs.ReadDeals(after_ticket), verbs.Deals)
            if found is None:
                return None
            deals += found.deals
            if not found.more or not found.deals:
                return deals
            after_ticket = found.deals[-1].deal_ticket

    def cash(self, after_ticket: int) -> Sequence[Cash] | None:
        cash: list[Cash] = []
        while True:
            found = self._read(verbs.ReadCash(after_ticket), verbs.CashMovements)
            if found is None:
                return None
            cash += found.cash
            if not found.more or not found.cash:
                return cash
            after_ticket = found.cash[-1].deal_ticket

    def account(self) -> AccountRead | None:
        found = self._read(verbs.ReadAccount(), verbs.Account)
        return None if found is None else found.account

    def symbol(self, name: str) -> SymbolSpec | None:
        found = self._read(verbs.ReadSymbol(name), verbs.Terms)
        return None if found is None else found.spec

    def quote(self, symbol: str) -> Quote | None:
        found = self._read(verbs.ReadQuote(symbol), verbs.Quoted)
        return None if found is None else found.quote

    def ticks(self, symbol: str, from_utc_ms: int) -> Sequence[Quote] | None:
        quotes: list[Quote] = []
        while True:
            found = self._read(verbs.ReadTicks(symbol, max(0, from_utc_ms), len(quotes)), verbs.Ticks)
            if found is None:
                return None
            quotes += found.quotes
            if not found.more:
                return quotes

    def daily_ranges(self, symbol: str, count: int) -> Sequence[DailyRange] | None:
        found = self._read(verbs.ReadDays(symbol, count), verbs.Days)
        return None if found is None else found.days

    def _ordered(self, asked: verbs.Open | verbs.Close | verbs.SetStops) -> Answer:
        """What certainly did not leave is VOID for an open and REJECTED for the others, which may be tried anew."""
        try:
            replied = self._orders.ask(asked)
        except LinkDown as error:
            if isinstance(asked, verbs.Open):
                return Answer(Outcome.VOID, detail=DenialReason.TERMINAL_DOWN.value)
            return Answer(Outcome.REJECTED, detail=f"no terminal host: {error}")
        except ReplyLost as error:
            return Answer(Outcome.UNKNOWN, detail=f"the terminal host did not answer: {error}")
        if isinstance(replied, verbs.Answered):
            return Answer(
                replied.outcome,
                replied.ticket,
                replied.price_points,
                replied.volume_steps,
                replied.code,
                replied.detail,
            )
        if isinstance(replied, verbs.Malformed):
            return Answer(Outcome.REJECTED, detail=f"the terminal host did not understand: {replied.reason}")
        return Answer(Outcome.UNKNOWN, detail=f"the terminal host said {type(replied).__name__}")

    def _read(self, asked: verbs.Verb, kind: type[R]) -> R | None:
        try:
            replied = self._reads.ask(asked)
        except (LinkDown, ReplyLost):
            return None
        return replied if isinstance(replied, kind) else None


def _has_hung_up(connection: socket.socket) -> bool:
    """Nothing is awaited from the other end, so whatever can be read is its end."""
    import select

    try:
        readable, _, _ = select.select([connection], [], [], 0)
    except (OSError, ValueError):
        return True
    return bool(readable)
