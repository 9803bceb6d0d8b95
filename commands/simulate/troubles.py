"""The simulated terminal as a world's host sees it: it fails by the catalogue, at the rates that were drawn for that world."""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import msgspec

from evenkeel.adapters.broker import Answer
from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server.book import Why
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.commands.simulate.faults import Rates
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
from evenkeel.messages.market import DailyRange, Quote, SymbolSpec

SLOW_MS: Final = (30_000, 180_000)
SHOWN_LATER_MS: Final = (500, 8_000)
FAR_SPREADS: Final = 50
_LOST: Final = Answer(Outcome.UNKNOWN, detail="the reply was lost")
_DISABLED: Final = (10017, 10018, 10024, 10026, 10027)
_A_BALANCE: Final = (mt5.DEAL_TYPE_BALANCE, mt5.DEAL_TYPE_CREDIT, mt5.DEAL_TYPE_CHARGE, mt5.DEAL_TYPE_CORRECTION)
_NO_TICKETS: Final = (900_000_000, 999_999_999)


class HostDied(BaseException):
    """The terminal host is gone in the middle of a call. No `Exception`: nothing in the host may contain it."""


class Troubles:
    """What one world's faults are at: spells that last, things that happen later, and the count of each fault that came."""

    def __init__(self, rates: Rates, random: Random) -> None:
        self.rates, self.random = rates, random
        self.now_utc_ms = 0
        self.came: Counter[str] = Counter()
        self.is_over = self.must_lose_a_reply = False
        self.no_magic: set[int] = set()
        self.no_comment: set[int] = set()
        self._spells: dict[str, int] = {}
        self._later: list[tuple[int, int, Callable[[], object]]] = []
        self._number = 0

    def count(self, name: str) -> None:
        self.came[name] += 1

    def strikes(self, name: str) -> bool:
        """Whether that fault comes at this call; it is counted."""
        if self.is_over or self.random.random() >= self.rates.of[name]:
            return False
        self.count(name)
        return True

    def begin(self, name: str, for_ms: int) -> None:
        if not self.is_over:
            self.count(name)
            self._spells[name] = self.now_utc_ms + for_ms

    def lasts(self, name: str) -> bool:
        return self.now_utc_ms < self._spells.get(name, 0)

    def later(self, after_ms: int, what: Callable[[], object]) -> None:
        self._number += 1
        heapq.heappush(self._later, (self.now_utc_ms + after_ms, self._number, what))

    @property
    def next_utc_ms(self) -> int | None:
        """When the first of what waits happens."""
        return self._later[0][0] if self._later else None

    def happen(self) -> None:
        """All that is due by now."""
        while self._later and self._later[0][0] <= self.now_utc_ms:
            heapq.heappop(self._later)[2]()

    def end(self) -> None:
        """No fault comes any more and no spell lasts; what is on its way still arrives."""
        self.is_over = True
        self._spells.clear()

    def is_unmarked(self, ticket: int) -> bool:
        """Magic and comment are lost: nothing but its shape and its time say whose it is."""
        return ticket in self.no_magic and ticket in self.no_comment

    def between(self, bounds: tuple[int, int]) -> int:
        return self.random.randrange(*bounds)


class TroubledTerminal:
    """Satisfies `terminal_host.service.HostedTerminal` around `inner`, whose own fault script stays empty.

    `sent` hears of each open that reaches it, before anything else happens.
    """

    refusal: str | None = None

    def __init__(
        self, inner: SimulatedTerminal, troubles: Troubles, sent: Callable[[OpenRequest, int, int, int], None]
    ) -> None:
        self.inner, self._troubles, self._sent = inner, troubles, sent
        self.dies_at_call = 0
        self._calls = 0
        self._hidden: dict[int, int] = {}
        self._ghosts: dict[int, tuple[BrokerPosition, int]] = {}
        self._history_upto: int | None = None

    # -- who it is ------------------------------------------------------------------------------------------------------

    def check_identity(self) -> str | None:
        return "another account is logged in" if self._troubles.lasts("F21") else None

    def who(self) -> tuple[int, str]:
        return 1, "Simulated"

    # -- orders ---------------------------------------------------------------------------------------------------------

    def open_position(
        self, request: OpenRequest, magic: int, *, intent_id: int = 0, epoch: int = 0, within_ms: int = 0
    ) -> Answer:
        self._sent(request, magic, intent_id, epoch)
        self._may_die()
        answer = self._opened(request, magic)
        self._may_die()
        return answer

    def close_position(self, request: CloseRequest, volume_steps: int, magic: int) -> Answer:
        self._may_die()
        answer = self._closed(request, volume_steps, magic)
        self._may_die()
        return answer

    def set_stops(self, request: StopRequest) -> Answer:
        self._may_die()
        if self._troubles.lasts("F10"):
            return self._disabled()
        answer = self._lossy(lambda: self.inner.set_stops(request))
        self._may_die()
        return answer

    def _opened(self, request: OpenRequest, magic: int) -> Answer:
        troubles = self._troubles
        if troubles.lasts("F10"):
            return self._disabled()
        if troubles.lasts("F9"):
            troubles.count("F9")
            return Answer(Outcome.REJECTED, code=10004, detail="requote")
        if troubles.strikes("F17"):
            return Answer(Outcome.REJECTED, code=10016, detail="invalid stops")
        if troubles.strikes("F11"):
            troubles.later(troubles.between((500, 20_000)), lambda: self._placed_comes(request, magic))
            return Answer(Outcome.PENDING, code=10008, detail="placed")
        if troubles.strikes("F57"):
            return Answer(Outcome.ACCEPTED, ticket=troubles.between(_NO_TICKETS), code=10009, detail="request executed")
        if request.volume_steps > 1 and troubles.strikes("F12"):
            request = msgspec.structs.replace(request, volume_steps=troubles.random.randrange(1, request.volume_steps))
        if troubles.strikes("F14"):
            self._flash(request.symbol)
        return self._lossy(lambda: self._enter(request, magic), late=lambda: self._enter_at_any_price(request, magic))

    def _placed_comes(self, request: OpenRequest, magic: int) -> None:
        if self._troubles.random.random() < 0.6:
            self._enter_at_any_price(request, magic)

    def _enter(self, request: OpenRequest, magic: int) -> Answer:
        answer = self.inner.open_position(request, magic)
        if answer.ticket:
            if self._troubles.strikes("F13"):
                self._hidden[answer.ticket] = self._troubles.now_utc_ms + self._troubles.between(SHOWN_LATER_MS)
            if self._troubles.strikes("F8"):
                self._troubles.no_magic.add(answer.ticket)
            if self._troubles.strikes("F7"):
                self._troubles.no_comment.add(answer.ticket)
        return answer

    def _enter_at_any_price(self, request: OpenRequest, magic: int) -> Answer:
        price = self.inner.quote(request.symbol)
        if price is None:
            return Answer(Outcome.REJECTED, code=10021)
        return self._enter(msgspec.structs.replace(request, deviation_points=1 << 40), magic)

    def _closed(self, request: CloseRequest, volume_steps: int, magic: int) -> Answer:
        troubles = self._troubles
        if troubles.lasts("F10"):
            return self._disabled()
        if troubles.strikes("F15"):
            self._broker_closes(request.ticket, mt5.DEAL_REASON_SL)
        if volume_steps > 1 and troubles.strikes("F12"):
            volume_steps = troubles.random.randrange(1, volume_steps)
        ghost = next((one for one in self.inner.positions() or () if one.ticket == request.ticket), None)
        answer = self._lossy(lambda: self.inner.close_position(request, volume_steps, magic))
        if answer.outcome is Outcome.ACCEPTED and ghost is not None and troubles.strikes("F13"):
            self._ghosts[ghost.ticket] = ghost, troubles.now_utc_ms + troubles.between(SHOWN_LATER_MS)
        return answer

    def _lossy(self, execute: Callable[[], Answer], *, late: Callable[[], Answer] | None = None) -> Answer:
        troubles = self._troubles
        if troubles.must_lose_a_reply or troubles.strikes("F1"):
            execute()
            return _LOST
        if troubles.strikes("F2"):
            return _LOST
        if troubles.strikes("F3"):
            troubles.later(troubles.between(SLOW_MS), late or execute)
            return _LOST
        return execute()

    def _disabled(self) -> Answer:
        self._troubles.count("F10")
        code = self._troubles.random.choice(_DISABLED)
        return Answer(Outcome.REJECTED, code=code, detail="not now")

    def _flash(self, symbol: str) -> None:
        """The price is elsewhere for the moment of the order."""
        quote, server = self.inner.quote(symbol), self.inner.server
        if quote is not None:
            far = FAR_SPREADS * (quote.ask_points - quote.bid_points)
            server.on_quote(symbol, quote.time_utc_ms, max(1, quote.bid_points - far), quote.ask_points + far)

    def _may_die(self) -> None:
        self._calls += 1
        if self._calls == self.dies_at_call:
            raise HostDied

    def die_soon(self, calls: int) -> None:
        """At the `calls`-th step of an order from now."""
        self.dies_at_call = self._calls + calls

    # -- readings -------------------------------------------------------------------------------------------------------

    def positions(self) -> Sequence[BrokerPosition] | None:
        if self._is_unreadable():
            return None
        if self._troubles.strikes("F6"):
            return ()
        now = self._troubles.now_utc_ms
        found = [self._shown(one) for one in self.inner.positions() or () if self._hidden.get(one.ticket, 0) <= now]
        there = {one.ticket for one in found}
        return [*found, *(ghost for ticket, (ghost, until) in self._ghosts.items() if until > now and ticket not in there)]

    def deals(self, after_ticket: int) -> Sequence[Deal] | None:
        if self._is_unreadable():
            return None
        deals = self.inner.deals(after_ticket)
        if deals is None:
            return None
        if not self._troubles.lasts("F4"):
            self._history_upto = None
            return [self._told(deal) for deal in deals]
        if self._history_upto is None:
            self._history_upto = self.inner.books.last_deal_ticket
        return [self._told(deal) for deal in deals if deal.deal_ticket <= self._history_upto]

    def orders(self) -> Sequence[BrokerOrder] | None:
        return None if self._is_unreadable() else self.inner.orders()

    def cash(self, after_ticket: int) -> Sequence[Cash] | None:
        lines = None if self._is_unreadable() else self.inner.cash(after_ticket)
        if lines is None or self._history_upto is None or not self._troubles.lasts("F4"):
            return lines
        return [line for line in lines if line.deal_ticket <= self._history_upto]

    def account(self) -> AccountRead | None:
        return None if self._is_unreadable() else self.inner.account()

    def symbol(self, name: str) -> SymbolSpec | None:
        return None if self._troubles.lasts("F25") or self._is_unreadable() else self.inner.symbol(name)

    def quote(self, symbol: str) -> Quote | None:
        return self.inner.quote(symbol)

    def ticks(self, symbol: str, from_utc_ms: int) -> Sequence[Quote] | None:
        return self.inner.ticks(symbol, from_utc_ms)

    def daily_ranges(self, symbol: str, count: int) -> Sequence[DailyRange] | None:
        return self.inner.daily_ranges(symbol, count)

    def _is_unreadable(self) -> bool:
        return self._troubles.lasts("F5") or self._troubles.lasts("F21")

    def _shown(self, position: BrokerPosition) -> BrokerPosition:
        lost = self._lost_marks(position.ticket)
        return msgspec.structs.replace(position, **lost) if lost else position

    def _told(self, deal: Deal) -> Deal:
        lost = self._lost_marks(deal.position_ticket)
        return msgspec.structs.replace(deal, **lost) if lost else deal

    def _lost_marks(self, ticket: int) -> dict[str, Any]:
        lost: dict[str, Any] = {"magic": 0} if ticket in self._troubles.no_magic else {}
        return lost | ({"comment": "[by the server]"} if ticket in self._troubles.no_comment else {})

    # -- what happens without being asked -------------------------------------------------------------------------------

    def stop_out(self) -> None:
        """The broker closes everything."""
        for position in self.inner.positions() or ():
            self._broker_closes(position.ticket, mt5.DEAL_REASON_SO)

    def someone_moves_a_stop(self) -> None:
        """Removed, or put elsewhere, of any position."""
        held = self.inner.server.book.positions
        if held:
            random = self._troubles.random
            position = held[random.choice(sorted(held))]
            moved = 0 if random.random() < 0.5 else max(1, position.sl_points - position.sign * random.randrange(1, 200))
            self.inner.server.book.set_levels(position, moved, position.tp_points)
            self.inner.server.arm()

    def move_cash(self) -> None:
        """A line that is no trade."""
        random = self._troubles.random
        self.inner.server.book.operate(random.choice(_A_BALANCE), random.randrange(-2_000, 20_000), "")

    def _broker_closes(self, ticket: int, reason: int) -> None:
        position = self.inner.server.book.positions.get(ticket)
        if position is not None:
            self.inner.server.close_at_market(position, Why(reason=reason))
            self.inner.server.arm()
