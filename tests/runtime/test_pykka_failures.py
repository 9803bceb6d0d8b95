"""Every way in which pykka 4.5 loses actors or messages, on real threads: neighbours go on, the child is back with its state,
and what was accepted is handled exactly once."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pykka
import pytest
from runtime_builders import WAIT_S, Asked, Counted, Holds, Lookout, Raises, Seen, Tally, Threaded, actor, edge

from evenkeel.messages.system import ChildDown, ChildServing, Message

Boot = Callable[..., Threaded]
MakeHolds = Callable[..., Holds]

ERRORS = [ValueError("no"), SystemExit(1), asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()]
NAMES = [type(error).__name__ for error in ERRORS]


def serving(system: Threaded, name: str) -> list[int]:
    """The incarnations of `name` that came to serve."""
    return [message.incarnation for message in system.said(ChildServing) if message.child == name]


@pytest.mark.parametrize("error", ERRORS, ids=NAMES)
def test_an_error_in_a_handler_costs_nothing(error: BaseException, threaded: Boot) -> None:
    system = threaded(actor("a", Raises(error, at=100)), actor("b"))
    producers = [
        threading.Thread(target=system.ask, args=(name, *range(first, 200, 2))) for name in ("a", "b") for first in (0, 1)
    ]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join(WAIT_S)
    system.until_counted("a", *range(200))
    system.until_counted("b", *range(200))
    asked = [message.number for message in system.said(Asked) if message.of == "a"]
    assert system.counted("a") == asked
    assert system.state_of("a").numbers == asked
    assert [down.child for down in system.said(ChildDown)] == ["a"]


@pytest.mark.parametrize("error", ERRORS, ids=NAMES)
def test_an_error_in_an_edges_action_costs_only_that_action(error: BaseException, threaded: Boot) -> None:
    system = threaded(edge("e", Raises(error, at=100)), actor("b"))
    system.ask("e", *range(200))
    system.ask("b", 1)
    system.until_counted("e", *range(100), *range(101, 200))
    system.until_counted("b", 1)
    assert [log for log in system.state_of("e").log if log.startswith("heard")] == [f"heard {n}" for n in range(200)]


class BadStart:
    """Makes children that raise `error` at `place` when they are started for the second time."""

    def __init__(self, place: str, error: BaseException) -> None:
        self._place, self._error = place, error
        self._starts = 0

    def actor(self) -> Tally:
        self._starts += 1
        if self._starts == 2 and self._place == "make":
            raise self._error
        return Tally("a", self._fail_in_the_fold if self._starts == 2 and self._place == "fold" else lambda number: None)

    def edge(self) -> Lookout:
        self._starts += 1
        return FailsToResume("a", self._error) if self._starts == 2 else Lookout("a")

    def _fail_in_the_fold(self, number: int) -> None:
        raise self._error


class FailsToResume(Lookout):
    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__(name)
        self._error = error

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        raise self._error


@pytest.mark.parametrize("error", ERRORS, ids=NAMES)
@pytest.mark.parametrize("place", ["make", "fold", "resume"])
def test_an_error_at_the_start_is_a_crash_like_any_other(place: str, error: BaseException, threaded: Boot) -> None:
    bad = BadStart(place, error)
    child = edge("a", make=bad.edge) if place == "resume" else actor("a", make=bad.actor)
    system = threaded(child, actor("b"))
    system.ask("a", 1)
    system.until_counted("a", 1)
    system.host.crash("a")
    system.until(lambda: len(system.said(ChildDown)) >= 1)
    system.ask("a", 2)
    system.ask("b", 1)
    system.until_counted("a", 2)
    system.until_counted("b", 1)
    assert system.counted("a") == [1, 2]
    assert [down.incarnation for down in system.said(ChildDown)] == [1, 2]


def test_the_first_start_may_fail_too(threaded: Boot) -> None:
    bad = iter([SystemExit(1), KeyboardInterrupt(), None])

    def make() -> Tally:
        error = next(bad)
        if error is not None:
            raise error
        return Tally("a")

    system = threaded(actor("a", make=make))
    assert serving(system, "a") == [3]


def test_the_thread_of_a_crashed_incarnation_ends(threaded: Boot) -> None:
    system = threaded(actor("a", Raises(SystemExit(1), at=1)))
    (crashing,) = pykka.ActorRegistry.get_by_class_name("Incarnation")[-1:]
    system.ask("a", 1)
    system.until_counted("a", 1)
    assert crashing.actor_stopped.wait(WAIT_S)


def test_a_stuck_edge_is_replaced_and_only_what_it_saw_still_counts(threaded: Boot, holds: MakeHolds) -> None:
    hold = holds(at=2)
    system = threaded(edge("e", hold, lease_s=0.2), actor("b"))
    stuck = system.host.child("e")
    system.ask("e", 1, 2, 3)
    system.until_counted("e", 3)
    system.ask("b", 1)
    system.until_counted("b", 1)
    assert stuck.closed == 1
    hold.released.set()
    system.until(lambda: Seen("e", 2) in system.said(Seen))
    system.ask("e", 4)
    system.until_counted("e", 4)
    assert system.counted("e") == [1, 3, 4]
    assert system.publisher.refused_stale == 1
    log = system.state_of("e").log
    assert [entry for entry in log if entry.startswith("heard")] == ["heard 1", "heard 2", "heard 3", "heard 4"]
    assert log.index("saw 2") < log.index("heard 4")
    assert serving(system, "e") == [1, 2]


def test_a_stuck_edge_that_comes_back_leaves_its_thread(threaded: Boot, holds: MakeHolds) -> None:
    hold = holds(at=1)
    system = threaded(edge("e", hold, lease_s=0.1))
    (stuck,) = pykka.ActorRegistry.get_by_class_name("Incarnation")[-1:]
    system.ask("e", 1)
    system.until(lambda: 2 in serving(system, "e"))
    hold.released.set()
    assert stuck.actor_stopped.wait(WAIT_S)


def test_an_edge_stuck_at_its_start_is_replaced_and_never_serves(threaded: Boot) -> None:
    starts = iter(range(1, 9))
    released, returned = threading.Event(), threading.Event()

    class Slow(Lookout):
        def remember(self, message: Any, /) -> None:
            super().remember(message)
            returned.set()

    def make() -> Lookout:
        if next(starts) == 2:
            released.wait(WAIT_S)
            return Slow("e")
        return Lookout("e")

    system = threaded(edge("e", make=make), boot_deadline_s=1.0)
    system.ask("e", 1)
    system.until_counted("e", 1)
    system.host.crash("e")
    system.until(lambda: 3 in serving(system, "e"))
    released.set()
    assert returned.wait(WAIT_S)
    system.ask("e", 2)
    system.until_counted("e", 2)
    assert serving(system, "e") == [1, 3]
    assert system.counted("e") == [1, 2]


def test_an_actor_that_does_not_come_back_ends_the_process(threaded: Boot, holds: MakeHolds) -> None:
    hold = holds(at=1)
    system = threaded(actor("a", hold, lease_s=0.2), actor("b"))
    system.ask("a", 1)
    assert hold.entered.wait(WAIT_S)
    assert system.until_fatal().startswith("a: busy with one message for ")
    system.ask("b", 1)
    system.until_counted("b", 1)


def test_an_actor_stuck_at_its_restart_ends_the_process(threaded: Boot) -> None:
    starts = iter(range(1, 9))
    released = threading.Event()

    def make() -> Tally:
        if next(starts) == 2:
            released.wait(WAIT_S)
        return Tally("a")

    system = threaded(actor("a", make=make), boot_deadline_s=1.0)
    system.host.crash("a")
    assert system.until_fatal().startswith("a: busy")
    released.set()


def test_an_exhausted_essential_child_ends_the_process_once(threaded: Boot) -> None:
    system = threaded(actor("a", Raises(ValueError("no"), at=1, times=9), intensity=1), actor("b"))
    system.ask("a", 1)
    assert system.until_fatal() == "a crashed 2 times, last by ValueError('no')"
    system.ask("b", 1)
    system.until_counted("b", 1)


def test_every_child_crashing_at_once_loses_nothing(threaded: Boot) -> None:
    names = [f"child {index}" for index in range(8)]
    system = threaded(*(actor(name, Raises(KeyboardInterrupt(), at=5), owns_positions=True) for name in names))
    for number in range(10):
        for name in names:
            system.ask(name, number)
    for name in names:
        system.until_counted(name, 9)
        assert system.counted(name) == list(range(10))
    assert {down.child for down in system.said(ChildDown)} == set(names)
    assert len(system.said(Counted)) == 80
