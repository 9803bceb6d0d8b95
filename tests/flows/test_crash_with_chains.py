"""Every child that has to do with chains dies once at its messages: what the whole system decides must not notice.

At every sixtieth message, another for each child; at all of them with EVENKEEL_CRASHES=all.
"""

import os

import pytest
from builders import Scene, messages_of, sabotaged
from chain_story import told

from evenkeel.messages.position import PositionOpened
from evenkeel.messages.recovery import ChainEnded
from evenkeel.messages.system import ChildDown

ACTORS = (
    "recovery",
    "profit_booking",
    "shield",
    "risk_limit",
    "position/EURUSD",
    "broker_gateway",
    "protection",
    "operator",
)
EDGES = ("chain_store/trend", "clock")
EVERY = 1 if os.environ.get("EVENKEEL_CRASHES") == "all" else 60


def struck(name: str) -> range:
    """The messages of a child, counted from 1, at which it dies."""
    first = 1 + (7 * (*ACTORS, *EDGES, "market_feed").index(name)) % EVERY
    return range(first, messages_of(name, told) + 1, EVERY)


@pytest.fixture(scope="module")
def undisturbed() -> Scene:
    return told()


def test_both_chains_of_the_story_come_to_their_end(undisturbed: Scene) -> None:
    assert [end.reason for end in undisturbed.said(ChainEnded)] == ["level 3 is not enabled", "level 5 is the last"]


@pytest.mark.parametrize("after", [False, True], ids=["before the handler", "after the handler"])
@pytest.mark.parametrize("name", ACTORS)
def test_an_actor_killed_at_any_message_changes_no_step_of_a_chain(name: str, after: bool, undisturbed: Scene) -> None:
    expected = undisturbed.decisions()
    for nth in struck(name):
        scene = told(sabotage=sabotaged(name, nth, after=after))
        assert [message.child for message in scene.said(ChildDown)] == [name], f"message {nth}"
        assert scene.decisions() == expected, f"message {nth}"


@pytest.mark.parametrize("name", EDGES)
def test_a_store_or_a_clock_killed_at_any_message_changes_no_step_of_a_chain(name: str, undisturbed: Scene) -> None:
    """A write whose answer was lost is answered again; timers are back."""
    expected = undisturbed.decisions()
    for nth in struck(name):
        scene = told(sabotage=sabotaged(name, nth, after=True))
        assert [message.child for message in scene.said(ChildDown)] == [name], f"message {nth}"
        assert scene.decisions() == expected, f"message {nth}"


def test_a_feed_killed_at_any_message_leaves_chains_their_trades_and_ends(undisturbed: Scene) -> None:
    """What it watches for counts from the price of now, when it is back: that may be one quote sooner."""
    expected = trades_and_ends(undisturbed)
    for nth in struck("market_feed"):
        scene = told(sabotage=sabotaged("market_feed", nth, after=True))
        assert trades_and_ends(scene) == expected, f"message {nth}"


def trades_and_ends(scene: Scene) -> list[tuple[str, ...]]:
    opened = [(one.lineage.chain_id, one.lineage.order_kind, str(one.lineage.level)) for one in scene.said(PositionOpened)]
    return [*opened, *((end.chain_id, end.status.value, end.reason) for end in scene.said(ChainEnded))]
