"""From a journal to what each child knew, heard and said: the start of a process, and the comparison of a recorded run."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from runtime_builders import CODEC, Asked, Counted, Raises, Rig, Tally, Threaded, actor, edge

from evenkeel.messages.system import Message, MessageParked
from evenkeel.runtime.actor import snapshot_of
from evenkeel.runtime.fold import ledgers_from, readable
from evenkeel.runtime.journal import ChildSnapshot, MemoryJournal
from evenkeel.runtime.publisher import SUPERVISOR
from evenkeel.runtime.shell import ChildSpec, FoldDiverged, Ledger, Shell


def folded(journal: MemoryJournal, *specs: ChildSpec, tolerant: bool = False) -> dict[str, Ledger]:
    return ledgers_from(journal.read(1), journal.snapshots, specs, CODEC, tolerant=tolerant)


def rebuilt(ledger: Ledger, spec: ChildSpec, rig: Rig | None = None) -> Shell:
    one = Shell(spec, ledger, (rig or Rig(spec.name)).publisher)
    one.rebuild()
    return one


def run(threaded: Callable[..., Threaded], *specs: ChildSpec) -> Threaded:
    """Twenty numbers for `a` and `e`, on real threads."""
    system = threaded(*specs)
    for number in range(20):
        system.ask("a", number)
        system.ask("e", number)
    system.until_counted("a", *range(20))
    system.until_counted("e", *range(20))
    return system


SPECS = (actor("a"), edge("e"), actor("listener"))


def test_a_recorded_run_gives_the_recorded_outputs_actor_by_actor(threaded: Callable[..., Threaded]) -> None:
    system = run(threaded, *SPECS)
    system.end()
    system.journal.snapshots.clear()
    ledgers = folded(system.journal, *SPECS)
    for name in ("a", "listener"):
        assert rebuilt(ledgers[name], actor(name)).child.state == system.state_of(name)
    again = rebuilt(ledgers["e"], edge("e")).child.state
    assert sorted(again.log) == sorted(system.state_of("e").log)


class Doubting(Tally):
    """Counts as `Tally` does, but numbers the tenth differently."""

    def handle(self, message: Any, now_utc_ms: int, /) -> Sequence[Message]:
        said = super().handle(message, now_utc_ms)
        return [Counted("a", 9, -1)] if said and message.number == 9 else said


def test_an_actor_that_was_changed_diverges_where_it_was(threaded: Callable[..., Threaded]) -> None:
    system = run(threaded, *SPECS)
    with pytest.raises(FoldDiverged, match="a at seq"):
        rebuilt(folded(system.journal, *SPECS)["a"], actor("a", make=lambda: Doubting("a")))


def test_for_a_changed_build_a_tolerant_fold_does_not(threaded: Callable[..., Threaded]) -> None:
    system = run(threaded, *SPECS)
    ledger = folded(system.journal, *SPECS, tolerant=True)["a"]
    assert rebuilt(ledger, actor("a", make=lambda: Doubting("a"))).child.state.numbers == list(range(20))


def test_a_crash_in_the_run_leaves_no_trace_in_the_fold(threaded: Callable[..., Threaded]) -> None:
    specs = (actor("a", Raises(ValueError("no"), at=7), owns_positions=True), edge("e"), actor("listener"))
    system = run(threaded, *specs)
    assert rebuilt(folded(system.journal, *specs)["a"], actor("a")).child.state.numbers == list(range(20))


def test_a_fold_begins_at_the_snapshot_and_needs_nothing_before_it() -> None:
    rig = Rig("a")
    first = rebuilt(Ledger(), actor("a"), rig)
    for number in range(5):
        first.hear(*rig.told(Asked("a", number)))
        first.tidy(box_empty=True, every=3)
    upto_seq = rig.journal.snapshots["a"].upto_seq
    assert upto_seq == 5
    ledger = ledgers_from(rig.journal.read(upto_seq + 1), rig.journal.snapshots, [actor("a")], CODEC)["a"]
    assert [entry.delivery.message for entry in ledger.tail] == [Asked("a", 3), Asked("a", 4)]
    assert rebuilt(ledger, actor("a"), rig).child.state.numbers == [0, 1, 2, 3, 4]


def test_what_was_heard_and_not_answered_is_answered_by_the_next_process() -> None:
    rig = Rig("a")
    rebuilt(Ledger(), actor("a"), rig).hear(*rig.told(Asked("a", 1)))
    rig.told(Asked("a", 2), Asked("a", 3))
    again = Rig("a", last_seq=4)
    rebuilt(folded(rig.journal, actor("a"))["a"], actor("a"), again).begin()
    assert [(record.seq, record.cause_seq) for record in again.journal.records()] == [(5, 3), (6, 4)]
    assert [message.number for message in again.journal.said(Counted)] == [2, 3]


def test_an_edge_gets_what_it_heard_and_said_in_the_order_of_the_journal() -> None:
    rig = Rig("e")
    one = rebuilt(Ledger(), edge("e"), rig)
    for number in (1, 2):
        one.hear(*rig.told(Asked("e", number)))
    assert rebuilt(folded(rig.journal, edge("e"))["e"], edge("e")).child.state == one.child.state


@pytest.mark.parametrize("spec", [actor("a"), edge("a")], ids=["actor", "edge"])
def test_parked_messages_are_skipped(spec: ChildSpec) -> None:
    rig = Rig("a")
    rig.told(Asked("a", 1), Asked("a", 2))
    rig.publisher.publish(SUPERVISOR, 0, [MessageParked("a", 1, "Asked", "no")])
    ledger = folded(rig.journal, spec)["a"]
    assert [entry.parked for entry in ledger.tail] == [True, False]


def test_children_of_another_time_are_passed_over() -> None:
    rig = Rig("a", "gone")
    rig.told(Asked("gone", 1), Asked("a", 2))
    assert {name: len(ledger.tail) for name, ledger in folded(rig.journal, actor("a")).items()} == {"a": 1}


def test_a_child_that_is_new_begins_with_nothing() -> None:
    assert folded(MemoryJournal(), actor("a"))["a"].tail == []


def test_a_process_goes_on_where_the_journal_ends(threaded: Callable[..., Threaded]) -> None:
    before = run(threaded, *SPECS)
    before.end()
    last_seq = before.publisher.last_seq
    system = threaded(*SPECS, ledgers=folded(before.journal, *SPECS), last_seq=last_seq)
    system.ask("a", 99)
    system.until_counted("a", 99)
    assert system.said(Counted) == [Counted("a", 99, 21)]
    assert system.journal.records()[0].seq == last_seq + 1


def test_a_snapshot_that_this_build_cannot_take_back_is_left_out_and_every_record_is_folded() -> None:
    rig = Rig("a")
    rig.told(Asked("a", 1), Asked("a", 2))
    snapshots = {"a": ChildSnapshot("a", 2, b"\x93of another shape"), "gone": ChildSnapshot("gone", 2, b"")}
    assert readable(snapshots, [actor("a")]) == {}
    assert readable({"a": ChildSnapshot("a", 2, snapshot_of(Tally("a")))}, [actor("a")]).keys() == {"a"}
