"""A pyramid under whatever comes: prices, refusals, unknown outcomes, a slow store, limits that say no, restarts.

A level goes on only when nothing of it is open, on its way or pending, and, strictly, nothing of it is lost. Of a level there
are never more orders than its multiplier, of an order never two at once, and it is recovered once at most. What is asked for
was written before. A chain that has ended has nothing open, nothing reserved, and its money is that of its trades.
"""

from collections.abc import Iterable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pyramids import CHAIN, Desk, booking_config

from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.entry import DenialReason, OrderDenied, ReentryRaised
from evenkeel.messages.market import Direction
from evenkeel.messages.position import ExitReason, ReducePosition
from evenkeel.messages.profit_booking import OrderStatus
from evenkeel.messages.recovery import ChainEnded, ChainStepped, StopChain
from evenkeel.messages.shield import ShieldRaised, ShieldReason

BUY: Final = Direction.BUY
MULTIPLIERS: Final = (1, 2, 3, 3, 2)
CONFIGS: Final = {
    is_partial: booking_config(allow_partial=is_partial, levels_enabled=[0, 1, 2, 3, 4], multipliers=list(MULTIPLIERS))
    for is_partial in (False, True)
}


class Life:
    """What a broker, a market, a person and time do to one pyramid after the other, and what must be true meanwhile.

    `open` are tickets by the number of their order, `asked` the orders on their way, of which `unknown` have no answer and
    `never` had been one; `last` is how an order's newest trade ended, `recovered` counts the recoveries of each, `levels` has
    the numbers of each level.
    """

    def __init__(self, config: Any) -> None:
        self.config, self.desk, self.heard = config, Desk(config), 0
        self.desk.bars()
        self._begin()

    def _begin(self) -> None:
        self.level, self.net_cents, self.is_ended = 0, 0, False
        self.asked: dict[int, ReentryRaised] = {}
        self.unknown: set[int] = set()
        self.never: set[int] = set()
        self.to_close: dict[int, ExitReason] = {}
        self.last: dict[int, ExitReason] = {}
        self.recovered: dict[int, int] = {}
        self.levels: dict[int, set[int]] = {0: {1}}
        self.open = {1: self.desk.begin()}

    def live(self, events: Iterable[tuple[str, int]]) -> None:
        for event, dice in events:
            getattr(self, event)(dice)
            self._look()
        self._end()

    def _look(self) -> None:
        """At everything that was said since the last look, in order."""
        said, self.heard = self.desk.said[self.heard :], len(self.desk.said)
        for message in said:
            match message:
                case ReentryRaised():
                    self._was_asked(message)
                case ReducePosition(ticket=ticket, reason=reason):
                    self.to_close.setdefault(ticket, reason)
                case ChainStepped(event="level"):
                    self._went_up()
                case ChainEnded(booked_cents=cents):
                    assert (self.open, self.asked, self.desk.reserved) == ({}, {}, set())
                    assert cents == self.net_cents
                    self.is_ended = True

    def _was_asked(self, message: ReentryRaised) -> None:
        lineage = message.signal.lineage
        number = lineage.number
        assert number not in {*self.open, *self.asked, *self.never}
        self.asked[number] = message
        assert self.desk.written is not None
        written = {order.number: order.status for order in self.desk.written.orders}
        assert written.get(number) is OrderStatus.PLACING
        if lineage.order_kind == "profit_recovery":
            assert (self.last[number], self.recovered.get(number, 0)) == (ExitReason.STOP, 0)
        else:
            assert number not in self.last
            self.levels.setdefault(lineage.level, set()).add(number)
            assert len(self.levels[lineage.level]) <= MULTIPLIERS[lineage.level]

    def _went_up(self) -> None:
        assert (self.open, self.asked, self.desk.reserved) == ({}, {}, set())
        ends = [self.last[number] for number in sorted(self.levels.get(self.level, ())) if number in self.last]
        won = [end is ExitReason.BOOKED for end in ends]
        assert all(won) or (self.config.profit_booking.allow_partial and sum(won) >= 0.75 * len(won))
        self.level += 1

    # the market and time

    def a_quote_comes(self, dice: int) -> None:
        self.desk.quote(self.desk.bid + 10 * (dice - 8), spread=40 if dice == 3 else 10)

    def price_comes_back(self, dice: int) -> None:
        self.desk.quote(self.desk.bid + 200, spread=10)

    def time_passes(self, dice: int) -> None:
        self.desk.wait((1, 2, 4, 8)[dice % 4])

    def an_hour_passes(self, dice: int) -> None:
        self.desk.wait(3600)

    def the_trend_turns(self, dice: int) -> None:
        self.desk.bars(-10 if dice < 4 else 10)

    # the store, the limits, the process

    def the_store_changes(self, dice: int) -> None:
        self.desk.store, self.desk.is_slow = dice != 0, dice < 8
        self.desk.store_answers()

    def the_store_answers(self, dice: int) -> None:
        self.desk.store_answers()

    def the_limits_change(self, dice: int) -> None:
        self.desk.limits = dice > 2

    def the_process_starts_again(self, dice: int) -> None:
        self.desk.actor = self.desk.refolded()

    # the broker and who refuses

    def an_order_is_filled(self, dice: int) -> None:
        for number in self._one_of(self.asked, dice):
            asked = self.asked.pop(number)
            self.recovered[number] = self.recovered.get(number, 0) + (asked.signal.lineage.order_kind == "profit_recovery")
            self.open[number] = self.desk.fill(asked, late=number in self.unknown)

    def every_order_is_filled(self, dice: int) -> None:
        self.desk.quote()
        self._look()
        while self.asked:
            self.an_order_is_filled(0)

    def an_order_is_refused(self, dice: int) -> None:
        for number in self._one_of(set(self.asked) - self.unknown, dice):
            lineage = self.asked.pop(number).signal.lineage
            denied: Any = OrderDenied("p", "EURUSD", BUY, "risk_limit", DenialReason.POSITIONS, 5, 5, "count", lineage)
            self.desk.tell(OrderRejected("p", "EURUSD", BUY, 1, 10006, "no", lineage) if dice % 2 else denied)

    def an_answer_is_lost(self, dice: int) -> None:
        for number in self._one_of(self.asked, dice):
            self.unknown.add(number)
            self.desk.tell(OrderOutcomeUnknown("p", "EURUSD", BUY, 1, "lost", self.asked[number].signal.lineage))

    def it_was_never_executed(self, dice: int) -> None:
        for number in self._one_of(set(self.asked) & self.unknown, dice):
            self.desk.tell(OrderOutcomeResolved("p", "EURUSD", BUY, 1, self.asked.pop(number).signal.lineage))
            self.never.add(number)

    def what_shall_close_closes(self, dice: int) -> None:
        for number, ticket in dict(self.open).items():
            if ticket in self.to_close:
                self._ends(number, self.to_close[ticket])

    def an_order_stops(self, dice: int) -> None:
        for number in self._one_of(self.open, dice):
            self._ends(number, ExitReason.STOP)

    def an_order_wins(self, dice: int) -> None:
        for number in self._one_of(self.open, dice):
            self._ends(number, ExitReason.BOOKED)

    def all_but_one_win(self, dice: int) -> None:
        for number in sorted(self.open)[1:]:
            self._ends(number, ExitReason.BOOKED)

    def somebody_interferes(self, dice: int) -> None:
        match dice:
            case 0:
                self.desk.tell(ShieldRaised("EURUSD", BUY, ShieldReason.GAP, 60, 50, 0, ()))
            case 1:
                self.desk.tell(StopChain("c", "me", "trend", CHAIN))
            case 2 | 3:
                for number in self._one_of(self.open, 0):
                    self._ends(number, ExitReason.PERSON if dice == 2 else ExitReason.UNEXPLAINED)

    def the_next_signal_comes(self, dice: int) -> None:
        if self.is_ended and not self.desk.actor.state.bookings:
            self._begin()

    def _one_of(self, numbers: Iterable[int], dice: int) -> list[int]:
        known = sorted(numbers)
        return known[dice % len(known) :][:1] if known else []

    def _ends(self, number: int, reason: ExitReason) -> None:
        net_cents = {ExitReason.BOOKED: 700, ExitReason.STOP: -1000}.get(reason, -250)
        ticket = self.open.pop(number)
        self.last[number] = reason
        self.net_cents += net_cents
        self.desk.close(ticket, reason, net_cents)

    def _end(self) -> None:
        """A person ends it, the broker answers everything: nothing of it is left anywhere."""
        self.desk.store, self.desk.is_slow = True, False
        self.desk.store_answers()
        self._look()
        self.desk.tell(StopChain("c", "me", "trend", CHAIN))
        for number in sorted(self.asked):
            self.open[number] = self.desk.fill(self.asked.pop(number))
        for number in sorted(self.open):
            self._ends(number, ExitReason.CHAIN)
        self.desk.wait(60)
        self.desk.quote()
        self._look()


SELDOM: Final = (
    "an_hour_passes",
    "the_trend_turns",
    "the_store_changes",
    "the_limits_change",
    "the_process_starts_again",
    "an_answer_is_lost",
    "it_was_never_executed",
    "somebody_interferes",
)
OFTEN: Final = (
    "a_quote_comes",
    "price_comes_back",
    "time_passes",
    "the_store_answers",
    "an_order_is_filled",
    "every_order_is_filled",
    "an_order_is_refused",
    "what_shall_close_closes",
    "an_order_stops",
    "an_order_wins",
    "all_but_one_win",
    "the_next_signal_comes",
)
EVENTS: Final = some.tuples(some.sampled_from((*SELDOM, *OFTEN, *OFTEN)), some.integers(0, 15))


@pytest.mark.parametrize("is_partial", [False, True])
@settings(max_examples=60)
@given(events=some.lists(EVENTS, min_size=40, max_size=60))
def test_whatever_comes_a_pyramid_stays_inside_its_rules(is_partial: bool, events: list[tuple[str, int]]) -> None:
    life = Life(CONFIGS[is_partial])
    life.live(events)
    assert life.is_ended
    assert (life.desk.actor.state.bookings, life.desk.watches, life.desk.timers) == ({}, {}, {})
