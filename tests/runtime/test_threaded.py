"""The live host: booting, overflowing, stopping, and what it tells of itself."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pykka
import pytest
from loguru import logger
from runtime_builders import WAIT_S, Counted, Holds, Lookout, Raises, Seen, Tally, Threaded, actor, edge

from evenkeel.messages.system import ChildDown, ChildServing, LettersDead, Message
from evenkeel.runtime.edge import IN_HAND
from evenkeel.runtime.threaded import BootFailed

Boot = Callable[..., Threaded]
MakeHolds = Callable[..., Holds]


def test_the_boot_waits_until_a_child_serves_before_it_starts_the_next(threaded: Boot) -> None:
    serving_before: list[list[str]] = []

    def make() -> Tally:
        serving_before.append([message.child for message in system.said(ChildServing)])
        return Tally("b")

    system = threaded(actor("a"), actor("b", make=make), boot=False)
    system.host.boot()
    assert serving_before == [["clock", "a"]]
    assert all(child.serving for child in system.host.status())


def test_a_child_that_never_serves_fails_the_boot(threaded: Boot) -> None:
    never = threading.Event()

    def make() -> Tally:
        never.wait(WAIT_S)
        return Tally("a")

    system = threaded(actor("a", make=make), boot=False, boot_deadline_s=0.1)
    with pytest.raises(BootFailed, match=r"a does not serve 0\.\d s after its start"):
        system.host.boot()
    never.set()


@pytest.mark.parametrize("essential", [True, False])
def test_a_boot_does_not_wait_for_a_child_that_was_given_up(essential: bool, threaded: Boot) -> None:
    def make() -> Tally:
        raise OSError("no memory")

    system = threaded(actor("a", make=make, intensity=0, essential=essential), boot=False)
    with pytest.raises(BootFailed):
        system.host.boot()


def test_status_tells_who_serves_and_how_much_waits(threaded: Boot, holds: MakeHolds) -> None:
    hold = holds(at=1)
    system = threaded(actor("a", hold, lease_s=WAIT_S))
    system.ask("a", 1, 2, 3)
    assert hold.entered.wait(WAIT_S)
    assert system.host.status()[-1] == ("a", "actor", True, 1, 2)


def test_a_drill_crashes_a_child_between_two_messages(threaded: Boot) -> None:
    system = threaded(actor("a"))
    system.ask("a", 1)
    system.until_counted("a", 1)
    system.host.crash("a")
    system.until(lambda: ChildServing("a", 2) in system.said(ChildServing))
    system.ask("a", 2)
    system.until_counted("a", 2)
    assert [down.error for down in system.said(ChildDown)] == ["KilledOnPurpose: a"]
    assert system.state_of("a").numbers == [1, 2]


def test_an_edge_that_is_woken_looks_at_the_world(threaded: Boot) -> None:
    system = threaded(edge("e", make=lambda: Lookout("e", sights=[7])))
    assert system.said(Seen) == []
    system.host.wake("e")
    system.until(lambda: system.said(Seen) == [Seen("e", 7)])


def test_an_actor_cannot_be_woken(threaded: Boot) -> None:
    with pytest.raises(AssertionError, match="a is an actor"):
        threaded(actor("a")).host.wake("a")


def test_an_edge_looks_at_the_world_while_messages_keep_coming(threaded: Boot) -> None:
    class Eager(Lookout):
        poll_s: float | None = 0.0

    system = threaded(edge("e", make=lambda: Eager("e", sights=[1001, 1002])))
    system.ask("e", *range(100))
    system.until(lambda: {1001, 1002} <= {seen.number for seen in system.said(Seen)})
    system.until_counted("e", *range(100))
    assert [number for number in system.counted("e") if number < 100] == [*range(100)]


def test_a_full_box_harms_no_sender_and_nothing_is_lost(threaded: Boot, holds: MakeHolds) -> None:
    hold = holds(at=0)
    system = threaded(actor("a", hold, lease_s=WAIT_S), actor("b"), capacity=5)
    system.ask("a", 0)
    assert hold.entered.wait(WAIT_S)
    system.ask("a", *range(1, 50))
    system.ask("b", 1)
    system.until_counted("b", 1)
    hold.released.set()
    system.until_counted("a", 49)
    assert system.counted("a") == list(range(50))
    assert system.state_of("a").numbers == list(range(50))
    system.until(lambda: sum(dead.count for dead in system.said(LettersDead)) == 44)
    assert [down.error.split(":")[0] for down in system.said(ChildDown)] == ["MailboxOverflowed"]


def test_the_next_incarnation_waits_until_a_slow_actor_is_back_from_its_message(threaded: Boot, holds: MakeHolds) -> None:
    hold = holds(at=0)
    system = threaded(actor("a", hold, lease_s=WAIT_S), capacity=2)
    system.ask("a", 0)
    assert hold.entered.wait(WAIT_S)
    system.ask("a", 1, 2, 3)
    system.until(lambda: bool(system.said(LettersDead)))
    assert system.said(ChildDown) == []
    hold.released.set()
    system.until_counted("a", 3)
    assert system.counted("a") == [0, 1, 2, 3]


def test_a_child_that_cannot_read_what_it_missed_ends_the_process(threaded: Boot, holds: MakeHolds) -> None:
    hold = holds(at=0)
    system = threaded(actor("a", hold, lease_s=WAIT_S), capacity=2)
    system.ask("a", 0)
    assert hold.entered.wait(WAIT_S)
    system.publisher.journal = None
    system.ask("a", 1, 2, 3)
    hold.released.set()
    assert "a cannot read what it missed" in system.until_fatal()


def test_letters_to_a_child_left_down_are_counted_and_the_count_does_not_feed_itself(threaded: Boot) -> None:
    system = threaded(actor("listener", Raises(ValueError("no"), at=1), essential=False, intensity=0))
    system.ask("listener", 1)
    system.until(lambda: bool(system.said(ChildDown)))
    for letters in (2, 3):  # the listener hears of its own dead letters, if it hears anything
        system.ask("listener", letters)
        system.until(lambda letters=letters: len(system.said(LettersDead)) == letters - 1)  # type: ignore[misc]
    assert [dead.count for dead in system.said(LettersDead)] == [1, 1]


def test_stop_lets_everybody_finish_and_writes_their_states_down(threaded: Boot) -> None:
    system = threaded(actor("listener"), actor("a"), edge("e"))
    system.ask("a", *range(50))
    system.ask("e", *range(50))
    assert system.host.stop(first=(), deadline_s=WAIT_S) == []
    assert system.counted("a") == system.counted("e") == list(range(50))
    assert len(system.state_of("listener").numbers) == 150
    last_handled = {record.receivers[0]: record.seq for record in system.journal.records() if record.receivers}
    assert {name: system.journal.snapshots[name].upto_seq for name in ("a", "listener")} == {
        name: last_handled[name] for name in ("a", "listener")
    }
    assert system.journal.snapshots["e"].upto_seq >= last_handled["e"]


def test_after_stop_no_actor_of_pykka_is_left(threaded: Boot) -> None:
    system = threaded(actor("a", Raises(ValueError("no"), at=1)), edge("e"))
    system.ask("a", 1)
    system.until_counted("a", 1)
    system.host.stop(first=("e",), deadline_s=WAIT_S)
    assert pykka.ActorRegistry.get_all() == []


def test_those_named_first_take_nothing_more_in(threaded: Boot) -> None:
    system = threaded(actor("a"), edge("e"))
    lookout = system.host.child("e")
    system.host.stop(first=("e",), deadline_s=WAIT_S)
    system.ask("e", 1)
    assert lookout.state.log == []
    assert lookout.closed == 1


def test_stop_names_those_who_are_late_and_does_not_wait_for_them(threaded: Boot, holds: MakeHolds) -> None:
    hold = holds(at=1)
    system = threaded(actor("a", hold, lease_s=0.1), actor("b"))
    system.ask("a", 1)
    assert hold.entered.wait(WAIT_S)
    system.ask("b", 1)
    assert system.host.stop(first=(), deadline_s=0.3) == ["a"]
    assert system.counted("b") == [1]


def test_what_a_late_child_decides_after_the_end_does_not_count(threaded: Boot, holds: MakeHolds) -> None:
    hold = holds(at=1)
    system = threaded(actor("a", hold, lease_s=0.1))
    system.ask("a", 1)
    assert hold.entered.wait(WAIT_S)
    (thread,) = pykka.ActorRegistry.get_by_class_name("Incarnation")[-1:]
    system.host.stop(first=(), deadline_s=0.0)
    hold.released.set()
    assert thread.actor_stopped.wait(WAIT_S)
    assert system.said(Counted) == []


def test_an_edge_that_does_not_close_stops_nobody(threaded: Boot) -> None:
    class Clinging(Lookout):
        def close(self) -> None:
            raise OSError("it is still in use")

    system = threaded(edge("e", make=lambda: Clinging("e")), actor("a"))
    system.host.crash("e")
    system.until(lambda: ChildServing("e", 2) in system.said(ChildServing))
    assert system.host.stop(first=(), deadline_s=WAIT_S) == []


def test_an_edge_whose_interval_cannot_be_read_is_replaced(threaded: Boot) -> None:
    read: list[None] = []

    class Moody(Lookout):
        @property
        def poll_s(self) -> float | None:  # type: ignore[override]
            read.append(None)
            if len(read) == 2:
                raise RuntimeError("not now")
            return None

    system = threaded(edge("e", make=lambda: Moody("e")))
    system.ask("e", 1)
    system.until(lambda: ChildServing("e", 2) in system.said(ChildServing))
    assert system.fatal == []


def test_the_supervisor_itself_failing_ends_the_process(threaded: Boot) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    system = threaded(actor("a", Raises(Unspeakable(), at=1)))
    system.ask("a", 1)
    assert "supervision has ended" in system.until_fatal()


def test_whoever_logs_can_say_which_record_that_follows_from(threaded: Boot) -> None:
    in_hand: list[tuple[str, int, int]] = []
    both = threading.Event()

    class Telling(Tally):
        def handle(self, message: Any, now_utc_ms: int, /) -> Sequence[Message]:
            in_hand.append((self._name, IN_HAND.seq, IN_HAND.cause_seq))
            if len(in_hand) == 2:
                both.set()
            return super().handle(message, now_utc_ms)

    system = threaded(*(actor(name, make=lambda name=name: Telling(name)) for name in ("a", "listener")))
    system.ask("a", 1)
    assert both.wait(WAIT_S)
    asked, counted = (record for record in system.journal.records() if "a" in (*record.receivers, record.sender))
    assert in_hand == [("a", asked.seq, 0), ("listener", counted.seq, asked.seq)]
    assert (IN_HAND.seq, IN_HAND.cause_seq) == (0, 0)


def test_the_end_of_a_child_is_logged_with_the_record_that_it_had_in_hand_and_without_what_is_hidden(threaded: Boot) -> None:
    told: list[dict[str, int]] = []
    logger.enable("evenkeel")
    handler = logger.add(lambda message: told.append(message.record["extra"]), level="ERROR", format="{message}")
    system = threaded(actor("a", Raises(ValueError("canary"), at=1)), shown=lambda text: text.replace("canary", "***"))
    system.ask("a", 1)
    system.until_counted("a", 1)
    logger.remove(handler)
    (asked,) = (record for record in system.journal.records() if "a" in record.receivers)
    assert [(bound["seq"], bound["cause"]) for bound in told] == [(asked.seq, 0)]
    assert [down.error for down in system.said(ChildDown)] == ["ValueError: ***"]
