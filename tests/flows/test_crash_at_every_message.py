"""Every actor dies once at each of its messages; every edge too. What the whole system decides must not notice the actors.

The suite takes one message of each kind that a child hears (before its handler the first, after it the last), and every
`EVERY`th besides, from another one on for each child; with EVENKEEL_CRASHES=all in the environment it takes all of them.
"""

import os
from collections import Counter
from collections.abc import Sequence
from functools import cache

import pytest
from builders import Scene, heard_by, sabotaged
from story import told

from evenkeel.messages.broker_gateway import DealDone, DealEntry, OrderOutcomeUnknown, Outcome, TerminalAnswered
from evenkeel.messages.entry import SignalRaised
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.messages.system import ChildDown, ChildServing

ACTORS = (
    "attendance",
    "operator",
    "trading_calendar",
    "risk_limit",
    "broker_gateway",
    "protection",
    "circuit_breaker",
    "position/EURUSD",
    "position/GBPUSD",
)
EDGES = ("clock", "terminal", "market_feed", "strategy/ma_cross")
EVERY = 1 if os.environ.get("EVENKEEL_CRASHES") == "all" else 41


@cache
def struck(name: str, *, after: bool) -> Sequence[int]:
    """The messages of a child, counted from 1, at which it dies."""
    heard = list(enumerate(heard_by(name, told), 1))
    one_of_each = {kind: nth for nth, kind in (heard if after else reversed(heard))}
    first = 1 + (5 * (*ACTORS, *EDGES).index(name) + (EVERY // 2 if after else 0)) % EVERY
    return sorted({*one_of_each.values(), *range(first, len(heard) + 1, EVERY)})


@cache
def with_an_edge_killed(name: str, nth: int, *, after: bool) -> Scene:
    return told(sabotage=sabotaged(name, nth, after=after))


@pytest.fixture(scope="module")
def undisturbed() -> Scene:
    return told()


def test_the_story_is_long_enough_and_everything_happens_in_it(undisturbed: Scene) -> None:
    said = {type(message).__name__ for message in undisturbed.said()}
    assert len(undisturbed.journal.bodies) >= 300
    assert {"OrderOutcomeUnknown", "OrderOutcomeResolved", "OrderRejected", "CloseFailed", "OrderDenied"} <= said
    assert {"PositionClosed", "CommandDone", "TradingRearmed", "CancelTimer"} <= said
    assert {message.child for message in undisturbed.said(ChildServing)} == {*ACTORS, *EDGES}


@pytest.mark.parametrize("after", [False, True], ids=["before the handler", "after the handler"])
@pytest.mark.parametrize("name", ACTORS)
def test_an_actor_killed_at_any_message_changes_no_decision(name: str, after: bool, undisturbed: Scene) -> None:
    expected = undisturbed.decisions()
    for nth in struck(name, after=after):
        scene = told(sabotage=sabotaged(name, nth, after=after))
        assert [message.child for message in scene.said(ChildDown)] == [name], f"message {nth}"
        assert scene.decisions() == expected, f"message {nth}"


@pytest.mark.parametrize("after", [False, True], ids=["before it acts", "after it acted"])
@pytest.mark.parametrize("name", EDGES)
def test_an_edge_killed_at_any_message_orders_nothing_twice_and_loses_no_close(name: str, after: bool) -> None:
    for nth in struck(name, after=after):
        scene = with_an_edge_killed(name, nth, after=after)
        assert [message.child for message in scene.said(ChildDown)] == [name], f"message {nth}"
        assert_nothing_was_ordered_twice(scene)
        assert_broker_and_book_agree(scene)
        assert_no_position_outlives_its_levels(scene)


@pytest.mark.parametrize("name", ["clock", "market_feed"])
def test_a_clock_or_feed_killed_at_any_message_changes_no_decision(name: str, undisturbed: Scene) -> None:
    """Timers, watches and bars are back: nobody notices. (What the feed says in between is no decision.)"""
    expected = undisturbed.decisions()
    for nth in struck(name, after=True):
        scene = with_an_edge_killed(name, nth, after=True)
        assert [said for said in scene.decisions() if said[0] != "market_feed"] == expected, f"message {nth}"


def test_a_strategy_killed_at_any_bar_raises_every_signal_but_at_most_that_bar_s(undisturbed: Scene) -> None:
    expected = undisturbed.said(SignalRaised)
    for nth in struck("strategy/ma_cross", after=True):
        scene = with_an_edge_killed("strategy/ma_cross", nth, after=True)
        raised = {(signal.symbol, signal.bar_utc_ms, signal.direction) for signal in scene.said(SignalRaised)}
        missing = [s for s in expected if (s.symbol, s.bar_utc_ms, s.direction) not in raised]
        assert len(missing) <= 1, f"message {nth}"


def test_an_answer_that_a_killed_terminal_edge_lost_is_unknown_and_is_resolved(undisturbed: Scene) -> None:
    unknown_before = len(undisturbed.said(OrderOutcomeUnknown))
    lost = 0
    for nth in struck("terminal", after=True):
        scene = with_an_edge_killed("terminal", nth, after=True)
        lost += any(a.outcome is Outcome.UNKNOWN and "lost" in a.detail for a in scene.said(TerminalAnswered))
        book = scene.host.child("broker_gateway").state.book
        assert not any(intent.life == "unknown" for intent in (*book.opens.values(), *book.closes.values())), f"message {nth}"
    assert lost > unknown_before


def assert_nothing_was_ordered_twice(scene: Scene) -> None:
    opened = Counter(m.deal.magic for m in scene.said(DealDone) if m.deal.entry is DealEntry.IN)
    assert all(count == 1 for count in opened.values()), opened


def assert_broker_and_book_agree(scene: Scene) -> None:
    book = scene.host.child("broker_gateway").state.book
    held = {position.ticket: position.volume_steps for position in scene.terminal.positions() or ()}
    assert held == {ticket: position.volume_left_steps for ticket, position in book.positions.items()}
    managed = {ticket for symbol in ("EURUSD", "GBPUSD") for ticket in scene.host.child(f"position/{symbol}").state.positions}
    assert managed == set(held)


def assert_no_position_outlives_its_levels(scene: Scene) -> None:
    """What is still open has its levels armed, and what was opened and is not open has been closed once."""
    opened = [message.ticket for message in scene.said(PositionOpened)]
    closed = Counter(message.ticket for message in scene.said(PositionClosed))
    still = {position.ticket for position in scene.terminal.positions() or ()}
    assert len(opened) == len(set(opened))
    assert {ticket: 1 for ticket in opened if ticket not in still} == dict(closed)
    feed = scene.host.child("market_feed").state
    armed = {int(a.watch.name.split("/")[0]) for symbol in feed.symbols.values() for a in symbol.watches.armed}
    assert armed == still
