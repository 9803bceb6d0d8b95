"""The deterministic host: everything that an input causes is finished before the next."""

from collections.abc import Sequence

import pytest
from runtime_builders import Asked, Counted, Lookout, Raises, Seen, Stepped, Tally, actor, edge

from evenkeel.messages.system import ChildDown, ChildServing, Message, MessageParked, SetTimer, TimerDue
from evenkeel.runtime.stepped import ChildExhausted
from evenkeel.runtime.timers import Timers


def told() -> Stepped:
    """A story with a crash, a parked message, timers and an edge that looks at the world."""
    trouble = Raises(ValueError("no"), at=3, times=2)
    system = Stepped(actor("listener"), actor("a", trouble), edge("e", Raises(OSError("gone"), at=2)))
    for number in range(6):
        system.ask("a", number)
        system.ask("e", number)
        system.say(SetTimer("a", f"tea {number % 2}", 2000 + number * 100))
        system.host.advance_to(1500 + number * 200)
        system.host.poke("e", lambda lookout: [Seen("e", 77)])
    return system


def test_the_same_story_gives_the_same_bytes() -> None:
    assert told().journal.bodies == told().journal.bodies
    assert told().journal.hexdigest() == told().journal.hexdigest()


def test_a_child_is_back_within_the_same_input() -> None:
    system = Stepped(actor("listener"), actor("a", Raises(ValueError("no"), at=1)))
    system.ask("a", 1)
    said = system.said(Message)[-4:]
    assert said == [Asked("a", 1), ChildDown("a", 1, 1, "ValueError: no"), ChildServing("a", 2), Counted("a", 1, 1)]
    assert system.state_of("listener").numbers == [1]


def test_a_child_that_is_made_to_wait_hears_in_order_what_it_was_told_meanwhile() -> None:
    system = Stepped(actor("a", Raises(ValueError("no"), at=1)), actor("b"), restart_after_ms=100)
    system.ask("a", 1, 2)
    system.ask("b", 1)
    system.pass_time(99)
    assert (system.counted("a"), system.counted("b")) == ([], [1])
    system.pass_time(1)
    assert system.counted("a") == [1, 2]
    system.ask("a", 3)
    assert system.counted("a") == [1, 2, 3]


def test_a_child_that_crashes_again_when_it_is_back_waits_again_and_loses_nothing() -> None:
    system = Stepped(actor("a", Raises(ValueError("no"), at=1, times=2)), restart_after_ms=100)
    system.ask("a", 1, 2)
    system.pass_time(100)
    system.ask("a", 3)
    assert [down.crashes for down in system.said(ChildDown)] == [1, 2]
    assert [parked.seq for parked in system.said(MessageParked)] != []
    system.pass_time(100)
    assert system.counted("a") == [2, 3]


def test_an_edge_that_is_made_to_wait_neither_looks_nor_acts() -> None:
    system = Stepped(edge("e", Raises(OSError("gone"), at=1)), restart_after_ms=100)
    system.ask("e", 1, 2)
    system.host.poke("e", lambda lookout: [Seen("e", 3)])
    assert system.said(Seen) == []
    system.pass_time(100)
    assert [seen.number for seen in system.said(Seen)] == [2]


def test_while_the_clock_is_made_to_wait_time_passes_and_its_timers_come_late() -> None:
    def look(timers: Timers) -> Sequence[Message]:
        raise OSError("gone")

    system = Stepped(actor("a"), restart_after_ms=1_000)
    system.say(SetTimer("a", "tea", 1_500))
    system.host.poke("clock", look)
    system.pass_time(600)
    assert system.said(TimerDue) == []
    system.pass_time(400)
    system.pass_time(1)
    assert [due.due_utc_ms for due in system.said(TimerDue)] == [1_500]


def test_an_essential_child_that_is_exhausted_ends_the_run() -> None:
    system = Stepped(actor("a", Raises(ValueError("no"), at=1, times=9), intensity=1))
    with pytest.raises(ChildExhausted, match="a crashed 2 times, last by ValueError"):
        system.ask("a", 1)


def test_an_owner_that_cannot_be_rebuilt_ends_the_run() -> None:
    def fail() -> Tally:
        raise OSError("no memory")

    with pytest.raises(ChildExhausted, match="no memory"):
        Stepped(actor("a", make=fail, owns_positions=True))


def test_a_child_left_down_is_not_heard_of_again() -> None:
    trouble = Raises(OSError("gone"), at=1, times=9)
    system = Stepped(edge("e", trouble, essential=False, intensity=0))
    system.ask("e", 1, 2)
    system.host.poke("e", lambda lookout: [Seen("e", 3)])
    assert system.said(Seen, Counted) == []


def test_an_edge_that_crashes_while_it_looks_is_replaced() -> None:
    def look(lookout: Lookout) -> Sequence[Message]:
        raise OSError("gone")

    system = Stepped(edge("e"))
    system.host.poke("e", look)
    system.host.poke("e", lambda lookout: [Seen("e", 3)])
    assert [down.child for down in system.said(ChildDown)] == ["e"]
    assert system.said(Seen) == [Seen("e", 3)]


def test_what_one_input_implies_is_heard_but_not_written() -> None:
    system = Stepped(actor("listener"), edge("e"))
    system.host.poke("e", lambda lookout: [Seen("e", 3)], row=7, derived=True)
    assert system.said(Seen) == []
    assert system.state_of("listener").numbers == [3]


def test_the_row_of_an_input_stands_in_the_records_that_it_caused() -> None:
    system = Stepped(actor("a"))
    system.host.say("person", [Asked("a", 1)], row=7)
    assert [record.cause_row for record in system.journal.records()[-2:]] == [7, 7]


def test_a_message_parked_at_its_second_crash_is_told_after_the_child_is_down() -> None:
    system = Stepped(actor("a", Raises(ValueError("no"), at=1, times=2)))
    system.ask("a", 1)
    kinds = [type(message) for message in system.said(ChildDown, MessageParked)]
    assert kinds == [ChildDown, ChildDown, MessageParked]
