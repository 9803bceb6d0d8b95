"""What both hosts promise: the same test runs on the deterministic one and on real threads."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from runtime_builders import CODEC, Asked, Counted, Lookout, Odd, Raises, Seen, System, Tally, actor, edge

from evenkeel.messages.system import ChildDown, ChildServing, Message, MessageParked, SetTimer, TimerDue
from evenkeel.runtime.fold import ledgers_from
from evenkeel.runtime.shell import SNAPSHOT_EVERY, Shell

Boot = Callable[..., System]


def test_every_child_serves_after_the_boot_in_the_order_of_the_table(boot: Boot) -> None:
    system = boot(actor("b"), edge("a"), actor("c"))
    assert system.said(ChildServing) == [ChildServing(name, 1) for name in ("clock", "b", "a", "c")]


def test_what_one_child_says_reaches_the_others(boot: Boot) -> None:
    system = boot(actor("listener"), actor("a"))
    system.ask("a", 1, 2)
    system.until_counted("a", 1, 2)
    system.end()
    assert system.state_of("listener").numbers == [1, 2]


def test_a_child_that_crashes_is_back_with_its_state_and_its_message(boot: Boot) -> None:
    system = boot(actor("a", Raises(ValueError("no"), at=2)))
    system.ask("a", 1, 2, 3)
    system.until_counted("a", 3)
    assert system.said(Counted) == [Counted("a", 1, 1), Counted("a", 2, 2), Counted("a", 3, 3)]
    assert system.said(ChildDown) == [ChildDown("a", 1, 1, "ValueError: no")]
    assert ChildServing("a", 2) in system.said(ChildServing)


def test_a_message_that_crashes_a_child_twice_is_parked_and_the_next_one_served(boot: Boot) -> None:
    system = boot(actor("a", Raises(ValueError("no"), at=2, times=9)))
    system.ask("a", 1, 2, 3)
    system.until_counted("a", 3)
    (parked,) = system.said(MessageParked)
    assert (parked.child, parked.kind, parked.error) == ("a", "Asked", "ValueError: no")
    assert system.counted("a") == [1, 3]


def test_a_fold_from_the_journal_skips_what_was_parked(boot: Boot) -> None:
    system = boot(actor("a", Raises(ValueError("no"), at=2, times=9)))
    system.ask("a", 1, 2, 3)
    system.until_counted("a", 3)
    ledger = ledgers_from(system.journal.read(1), {}, [actor("a")], CODEC)["a"]
    one = Shell(actor("a", Raises(ValueError("no"), at=2)), ledger, system.publisher)
    one.rebuild()
    assert one.child.state.numbers == [1, 3]


def test_a_failing_start_is_not_held_against_the_message_before_it(boot: Boot) -> None:
    started: list[None] = []

    def make() -> Tally:
        started.append(None)
        if len(started) == 2:
            raise OSError("not yet")
        return Tally("a", trouble)

    trouble = Raises(ValueError("no"), at=2)
    system = boot(actor("a", make=make))
    system.ask("a", 1, 2, 3)
    system.until_counted("a", 3)
    assert [down.error for down in system.said(ChildDown)] == ["ValueError: no", "OSError: not yet"]
    assert system.said(MessageParked) == []
    assert system.counted("a") == [1, 2, 3]


def test_an_answer_that_cannot_be_written_crashes_the_child_and_is_parked(boot: Boot) -> None:
    class Mumbler(Tally):
        def handle(self, message: Any, now_utc_ms: int, /) -> Sequence[Message]:
            said = super().handle(message, now_utc_ms)
            return [*said, Odd(object())] if message.number == 2 else said

    system = boot(actor("a", make=lambda: Mumbler("a")))
    system.ask("a", 1, 2, 3)
    system.until_counted("a", 3)
    assert system.counted("a") == [1, 3]
    assert len(system.said(MessageParked)) == 1


def test_a_crash_of_an_edge_in_the_world_repeats_nothing(boot: Boot) -> None:
    system = boot(edge("e", Raises(OSError("gone"), at=2)))
    system.ask("e", 1, 2, 3)
    system.until_counted("e", 3)
    assert [seen.number for seen in system.said(Seen)] == [1, 3]
    assert [log for log in system.state_of("e").log if log.startswith("heard")] == ["heard 1", "heard 2", "heard 3"]


def test_a_child_is_back_at_once_though_its_state_is_long(boot: Boot) -> None:
    count = SNAPSHOT_EVERY + 10
    system = boot(actor("a", Raises(ValueError("no"), at=count - 1)))
    system.ask("a", *range(count))
    system.until_counted("a", count - 1)
    assert system.state_of("a").numbers == list(range(count))
    assert system.journal.snapshots["a"].upto_seq > 0


def test_an_exhausted_child_that_is_not_essential_stays_down_and_the_others_go_on(boot: Boot) -> None:
    system = boot(actor("a", Raises(ValueError("no"), at=2, times=9), essential=False, intensity=1), actor("b"))
    system.ask("a", 2)
    system.until(lambda: len(system.said(ChildDown)) >= 2)
    system.ask("a", 3)
    system.ask("b", 1)
    system.until_counted("b", 1)
    assert system.counted("a") == []


def test_a_timer_wakes_its_owner(boot: Boot) -> None:
    system = boot(actor("a"))
    system.say(SetTimer("a", "tea", system.clock.now_utc_ms() + 50))
    system.pass_time(49)
    assert system.said(TimerDue) == []
    system.pass_time(1)
    system.until(lambda: [due.owner for due in system.said(TimerDue)] == ["a"])


def test_an_edge_that_resumes_says_what_the_world_did(boot: Boot) -> None:
    class Watcher(Lookout):
        def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
            return [Seen("e", 42)]

    system = boot(edge("e", make=lambda: Watcher("e")))
    system.until(lambda: bool(system.said(Seen)))
    assert system.said(Seen) == [Seen("e", 42)]


def test_numbers_have_no_gap_and_causes_come_before_effects(boot: Boot) -> None:
    system = boot(actor("a", Raises(ValueError("no"), at=5)), edge("e"), actor("listener"))
    system.ask("a", *range(10))
    system.ask("e", *range(10))
    system.until_counted("a", 9)
    system.until_counted("e", 9)
    records = system.journal.records()
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert all(record.cause_seq < record.seq for record in records)
    assert len([record for record in records if isinstance(CODEC.decode(bytes(record.body)), Asked)]) == 20


@pytest.mark.parametrize("name", ["a", "e"])
def test_nothing_that_waits_behind_a_crash_is_lost(name: str, boot: Boot) -> None:
    system = boot(actor("a", Raises(ValueError("no"), at=3)), edge("e", Raises(ValueError("no"), at=3)))
    system.ask(name, *range(50))
    system.until_counted(name, 49)
    expected = [number for number in range(50) if (name, number) != ("e", 3)]
    assert system.counted(name) == expected
