"""Is there margin for a request, and how much more would be blocked with it?"""

from typing import Protocol

import msgspec

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server.book import Book
from evenkeel.adapters.simulated.server.checks import refused
from evenkeel.adapters.simulated.server.money import Money
from evenkeel.adapters.simulated.server.prices import Price
from evenkeel.adapters.simulated.server.records import AccountState, Position, Request, Result
from evenkeel.adapters.simulated.server.terms import AccountTerms, Assumptions


class Server(Protocol):
    """What must be known of the server."""

    account: AccountTerms
    assumptions: Assumptions
    prices: dict[str, Price]
    money: Money
    book: Book

    @property
    def now_utc_ms(self) -> int: ...

    def state(self) -> AccountState: ...


class FreeMargin:
    def __init__(self, server: Server) -> None:
        self._server = server

    def refusal(self, request: Request) -> Result | None:
        """Only what adds margin needs free margin."""
        opens = request.action == mt5.TRADE_ACTION_DEAL and not request.position
        if not opens and request.action != mt5.TRADE_ACTION_PENDING:
            return None
        if self._server.money.margin_rate(request.symbol) is None:
            return refused(mt5.TRADE_RETCODE_PRICE_OFF, f"no quote to exchange the margin of {request.symbol} by")
        needed_cents, free_cents = self.more_cents(request), self._server.state().free_cents
        if needed_cents > max(0, free_cents):
            return refused(mt5.TRADE_RETCODE_NO_MONEY, f"needs {needed_cents} cents of margin, {free_cents} are free")
        return None

    def more_cents(self, request: Request) -> int:
        """What the account would block beyond what it blocks now."""
        if request.action == mt5.TRADE_ACTION_PENDING:
            ratio = self._server.assumptions.pending_margin_ratio
            return round(self._alone_cents(request) * ratio) if ratio else 0
        if request.action != mt5.TRADE_ACTION_DEAL or request.position:
            return 0
        held = self._server.book.held(request.symbol)
        new = self._hypothetical(request)
        if self._server.account.is_hedging or not held or held[0].is_buy is new.is_buy:
            after_cents = self._server.money.held_cents([*held, new])
        else:
            left_steps = new.volume_steps - held[0].volume_steps
            if left_steps <= 0:
                return 0
            after_cents = self._server.money.held_cents([msgspec.structs.replace(new, volume_steps=left_steps)])
        return after_cents - self._server.money.held_cents(held)

    def _alone_cents(self, request: Request) -> int:
        return self._server.money.held_cents([self._hypothetical(request)])

    def _hypothetical(self, request: Request) -> Position:
        is_buy = request.type % 2 == 0
        price = self._server.prices.get(request.symbol)
        points = (price.entry_points(is_buy) if price else 0) if request.type <= 1 else request.price_points or 0
        rate, now = self._server.money.margin_rate(request.symbol) or (1, 1), self._server.now_utc_ms
        side = mt5.POSITION_TYPE_BUY if is_buy else mt5.POSITION_TYPE_SELL
        return Position(0, 0, request.symbol, side, request.volume_steps or 0, points, 1, 0, 0, 0, 0, "", now, now, rate)
