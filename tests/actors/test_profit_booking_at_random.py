"""A pyramid under whatever comes: prices, refusals, unknown outcomes, a store and limits that say no, restarts.

A level goes on only when nothing of it is open, on its way or pending, and, strictly, nothing of it is lost. Of a level there
are never more orders than its multiplier, of an order never two at once, and it is recovered once at most. What is asked for
was written before. A chain that has ended has nothing open, nothing reserved, and its money is that of its trades.
"""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pyramids import CHAIN, Desk, booking_config

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.entry import DenialReason, OrderDenied, ReentryRaised
from evenkeel.messages.market import Direction
from evenkeel.messages.position import ExitReason, ReducePosition
from evenkeel.messages.profit_booking import OrderStatus
from evenkeel.messages.recovery import ChainEnded, ChainStepped, StopChain
from evenkeel.messages.shield import ShieldRaised, ShieldReason

BUY = Direction.BUY
LEVELS = {"levels_enabled": [0, 1, 2, 3, 4], "multipliers": [1, 2, 3, 3, 2]}
MULTIPLIERS = (1, 2, 3, 3, 2)
PICK = some.integers(0, 15)
MOSTLY = some.sampled_from([True] * 5 + [False])
RARELY = some.sampled_from([False] * 7 + [True])
"""What ends a chain at once: most of the time something else happens."""


class PyramidMachine(RuleBasedStateMachine):
    """`open` are tickets by the number of their order, `asked` the orders on their way; `last` is how an order's newest trade
    ended, `recovered` counts the recoveries of each."""

    config: Config

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self.config)
        self.desk.bars()
        self.heard = 0
        self._forget()

    def _forget(self) -> None:
        self.level, self.net_cents, self.is_ended = 0, 0, True
        self.open: dict[int, int] = {}
        self.asked: dict[int, ReentryRaised] = {}
        self.unknown: set[int] = set()
        self.to_close: dict[int, ExitReason] = {}
        self.last: dict[int, ExitReason] = {}
        self.recovered: dict[int, int] = {}
        self.levels: dict[int, set[int]] = {}

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
        assert number not in self.open
        assert number not in self.asked
        self.asked[number] = message
        assert self.desk.written is not None
        written = next(order for order in self.desk.written.orders if order.number == number)
        assert written.status is OrderStatus.PLACING
        if lineage.order_kind == "profit_recovery":
            assert self.last[number] is ExitReason.STOP
            assert self.recovered.get(number, 0) == 0
        else:
            assert number not in self.last
            self.levels.setdefault(lineage.level, set()).add(number)
            assert len(self.levels[lineage.level]) <= MULTIPLIERS[lineage.level]

    def _went_up(self) -> None:
        numbers = self.levels.get(self.level, {1} if self.level == 0 else set())
        assert (self.open, self.asked) == ({}, {})
        won = [self.last[number] is ExitReason.BOOKED for number in sorted(numbers) if number in self.last]
        assert all(won) or (self.config.profit_booking.allow_partial and sum(won) >= 0.75 * len(won))
        self.level += 1

    @precondition(lambda self: self.is_ended)
    @rule()
    def a_signal_is_filled(self) -> None:
        self.desk.store = True
        self.desk.wait(60)
        if CHAIN not in self.desk.actor.state.bookings:
            self._forget()
            self.is_ended = False
            self.open[1] = self.desk.begin()

    @rule(move=some.integers(-60, 60), spread=some.sampled_from([10, 10, 10, 40]))
    def a_quote_comes(self, move: int, spread: int) -> None:
        self.desk.quote(self.desk.bid + move, spread=spread)

    @rule()
    def price_comes_back(self) -> None:
        self.desk.quote(self.desk.bid + 120, spread=10)

    @rule(seconds=some.sampled_from([1, 1, 2, 2, 4, 4, 60, 1200]))
    def time_passes(self, seconds: int) -> None:
        self.desk.wait(seconds)

    @rule(leads=MOSTLY)
    def the_trend_is(self, leads: bool) -> None:
        self.desk.bars(10 if leads else -10)

    @rule(store=MOSTLY, limits=MOSTLY)
    def others_grant(self, store: bool, limits: bool) -> None:
        self.desk.store, self.desk.limits = store, limits

    @rule()
    def the_process_starts_again(self) -> None:
        self.desk.actor = self.desk.refolded()

    @precondition(lambda self: self.asked)
    @rule(which=PICK)
    def one_order_is_filled(self, which: int) -> None:
        self.an_order_is_filled(which)

    def an_order_is_filled(self, which: int) -> None:
        number = self._one_of(self.asked, which)
        asked = self.asked.pop(number)
        self.recovered[number] = self.recovered.get(number, 0) + (asked.signal.lineage.order_kind == "profit_recovery")
        self.open[number] = self.desk.fill(asked, late=number in self.unknown)

    @precondition(lambda self: self.asked)
    @rule()
    def every_order_is_filled(self) -> None:
        while self.asked:
            self.an_order_is_filled(0)

    @precondition(lambda self: self.open)
    @rule()
    def every_order_reaches_its_target(self) -> None:
        for number in sorted(self.open):
            if number in self.open:
                self._ends(number, ExitReason.BOOKED)
        self.desk.quote()

    @precondition(lambda self: set(self.asked) - self.unknown)
    @rule(which=PICK, by_broker=some.booleans())
    def an_order_is_refused(self, which: int, by_broker: bool) -> None:
        number = self._one_of({number: 0 for number in self.asked if number not in self.unknown}, which)
        lineage = self.asked.pop(number).signal.lineage
        told: Any = OrderDenied("p", "EURUSD", BUY, "risk_limit", DenialReason.POSITIONS, 5, 5, "count", lineage)
        self.desk.tell(OrderRejected("p", "EURUSD", BUY, 1, 10006, "no", lineage) if by_broker else told)

    @precondition(lambda self: self.asked)
    @rule(which=PICK)
    def an_answer_is_lost(self, which: int) -> None:
        number = self._one_of(self.asked, which)
        self.unknown.add(number)
        self.desk.tell(OrderOutcomeUnknown("p", "EURUSD", BUY, 1, "lost", self.asked[number].signal.lineage))

    @precondition(lambda self: self.unknown & set(self.asked))
    @rule(which=PICK)
    def it_was_never_executed(self, which: int) -> None:
        number = self._one_of({number: 0 for number in self.asked if number in self.unknown}, which)
        self.desk.tell(OrderOutcomeResolved("p", "EURUSD", BUY, 1, self.asked.pop(number).signal.lineage))

    @precondition(lambda self: set(self.open.values()) & set(self.to_close))
    @rule(which=PICK)
    def the_broker_closes_what_it_was_asked_to(self, which: int) -> None:
        numbers = {number: ticket for number, ticket in self.open.items() if ticket in self.to_close}
        number = self._one_of(numbers, which)
        self._ends(number, self.to_close[numbers[number]])

    @precondition(lambda self: self.open)
    @rule(which=PICK)
    def an_order_reaches_its_stop(self, which: int) -> None:
        self._ends(self._one_of(self.open, which), ExitReason.STOP)

    @precondition(lambda self: self.open)
    @rule(which=PICK)
    def an_order_reaches_its_target(self, which: int) -> None:
        self._ends(self._one_of(self.open, which), ExitReason.BOOKED)

    @precondition(lambda self: self.open)
    @rule(which=PICK, reason=some.sampled_from([ExitReason.PERSON, ExitReason.UNEXPLAINED]), happens=RARELY)
    def an_order_ends_by_something_else(self, which: int, reason: ExitReason, happens: bool) -> None:
        if happens:
            self._ends(self._one_of(self.open, which), reason)

    @rule(by_shield=some.booleans(), happens=RARELY)
    def somebody_ends_the_chain(self, by_shield: bool, happens: bool) -> None:
        if not happens:
            return
        shield = ShieldRaised("EURUSD", BUY, ShieldReason.GAP, 60, 50, 0, ())
        self.desk.tell(shield if by_shield else StopChain("c", "me", "trend", CHAIN))

    @invariant()
    def everything_said_is_allowed(self) -> None:
        self._look()

    def _one_of(self, numbers: dict[int, Any], which: int) -> int:
        return sorted(numbers)[which % len(numbers)]

    def _ends(self, number: int, reason: ExitReason) -> None:
        net_cents = {ExitReason.BOOKED: 700, ExitReason.STOP: -1000}.get(reason, -250)
        ticket = self.open.pop(number)
        self.last[number] = reason
        self.net_cents += net_cents
        self.desk.close(ticket, reason, net_cents)

    def teardown(self) -> None:
        """A person ends it, the broker answers everything: nothing of it is left anywhere."""
        self.desk.store = True
        self.desk.tell(StopChain("c", "me", "trend", CHAIN))
        for number in sorted(self.asked):
            self.open[number] = self.desk.fill(self.asked.pop(number))
        for number in sorted(self.open):
            self._ends(number, ExitReason.CHAIN)
        self.desk.wait(60)
        self.desk.quote()
        self._look()
        assert self.is_ended
        assert (self.desk.actor.state.bookings, self.desk.watches, self.desk.timers) == ({}, {}, {})


@pytest.mark.parametrize("is_partial", [False, True])
def test_whatever_comes_a_pyramid_stays_inside_its_rules(is_partial: bool) -> None:
    class Machine(PyramidMachine):
        config = booking_config(allow_partial=is_partial, **LEVELS)

    run_state_machine_as_test(Machine, settings=settings(max_examples=50, stateful_step_count=50))
