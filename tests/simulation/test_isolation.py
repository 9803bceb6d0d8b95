"""A child dies at any of its messages: what that changes for the others has the crash in its chain of causes.

The suite looks at every `EVERY`th crash; with EVENKEEL_ISOLATION=all in the environment at each of them.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from builders import messages_of, sabotaged
from simulation.blame import Blame, Event, Run, overheard
from story import begun, tell, told

from evenkeel.messages.system import ChildDown, ChildServing, Message
from evenkeel.runtime.shell import ChildSpec

EVERY = 1 if os.environ.get("EVENKEEL_ISOLATION") == "all" else 31
AWAY_MS = 90_000
"""Three quotes, or a minute and a half of bars, samples and timers."""
pytestmark = pytest.mark.timeout(120 if EVERY > 1 else 900)
ACTORS = (
    "operator",
    "trading_calendar",
    "risk_limit",
    "broker_gateway",
    "circuit_breaker",
    "position/EURUSD",
    "position/GBPUSD",
)
EDGES = ("clock", "terminal", "market_feed", "strategy/ma_cross")


def run(**changes: Any) -> Run:
    scene = begun(**changes)
    heard = overheard(scene)
    return Run(tell(scene), heard)


@pytest.fixture(scope="module")
def usual() -> Run:
    return run()


def crashes_of(name: str) -> Iterator[tuple[int, bool]]:
    """Number of the message, and whether it was handled when the child dies."""
    every = [(nth, after) for nth in range(1, messages_of(name, told) + 1) for after in (False, True)]
    return iter(every[len(name) % EVERY :: EVERY] or every[:1])


def assert_explained(usual: Run, crashed: Run, victim: str, where: str) -> None:
    blame = Blame(usual, crashed, victim)
    assert [(event.sender, event.message) for event in blame.unexplained] == [], where
    crashed_utc_ms = next(event.time_utc_ms for event in crashed.events if isinstance(event.message, ChildDown))
    for change in blame.changes:
        assert change.time_utc_ms >= crashed_utc_ms, where
        assert speaks_of(blame.chain(change)[-1], victim), where


def speaks_of(event: Event, child: str) -> bool:
    """It is the crash, or what the crashed child said late, or did not say."""
    return event.sender == child or (isinstance(event.message, ChildDown | ChildServing) and event.message.child == child)


@pytest.mark.parametrize("name", EDGES)
def test_an_edge_that_is_back_at_once_changes_nothing_that_its_crash_does_not_explain(name: str, usual: Run) -> None:
    for nth, after in crashes_of(name):
        crashed = run(sabotage=sabotaged(name, nth, after=after))
        assert_explained(usual, crashed, name, f"message {nth}, after {after}")


@pytest.mark.parametrize("name", (*ACTORS, *EDGES))
def test_a_child_that_is_away_for_a_while_changes_nothing_that_its_crash_does_not_explain(name: str, usual: Run) -> None:
    for nth, after in crashes_of(name):
        crashed = run(sabotage=sabotaged(name, nth, after=after), restart_after_ms=AWAY_MS)
        assert_explained(usual, crashed, name, f"message {nth}, after {after}")


def test_a_change_that_others_passed_on_is_led_back_to_the_crash(usual: Run) -> None:
    crashed = run(sabotage=sabotaged("terminal", 18, after=False), restart_after_ms=AWAY_MS)
    blame = Blame(usual, crashed, "terminal")
    longest = max((blame.chain(change) for change in blame.changes), key=len)
    assert len({event.sender for event in longest}) >= 3
    assert speaks_of(longest[-1], "terminal")
    assert not any(speaks_of(event, "terminal") for event in longest[:-1])


@pytest.mark.parametrize("nth", [5, 10, 20, 40])
def test_a_child_that_a_crash_reached_without_a_word_is_found(nth: int, usual: Run) -> None:
    blame = Blame(usual, run(sabotage=Leak("position/GBPUSD", nth, "position/EURUSD")), "position/GBPUSD")
    assert blame.unexplained
    assert blame.unexplained[0].sender == "position/EURUSD"


class Leak:
    """What must not be: `victim` dies at its `nth` message, and `other` keeps to itself the next thing that it decides."""

    def __init__(self, victim: str, nth: int, other: str) -> None:
        self.is_open = False
        self._kill = sabotaged(victim, nth, after=False)
        self._victim, self._other = victim, other
        self._made = 0

    def __call__(self, spec: ChildSpec) -> ChildSpec:
        if spec.name == self._other:
            return msgspec.structs.replace(spec, make=lambda: Reached(spec.make(), self))
        killed = self._kill(spec)
        return msgspec.structs.replace(killed, make=lambda: self._make(killed)) if spec.name == self._victim else spec

    def _make(self, spec: ChildSpec) -> Any:
        self._made += 1
        self.is_open = self._made > 1
        return spec.make()


class Reached:
    def __init__(self, actor: Any, leak: Leak) -> None:
        self._actor, self._leak = actor, leak

    @property
    def state(self) -> Any:
        return self._actor.state

    def handle(self, message: Message, now_utc_ms: int) -> Sequence[Message]:
        said: Sequence[Message] = self._actor.handle(message, now_utc_ms)
        if said and self._leak.is_open:
            self._leak.is_open = False
            return ()
        return said
