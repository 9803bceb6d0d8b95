"""One incarnation over a ledger: what it says when it hears something, and how the next one comes back."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from runtime_builders import Asked, Counted, Lookout, Odd, Raises, Rig, Seen, actor, edge

from evenkeel.messages.system import Message
from evenkeel.runtime.publisher import Delivery
from evenkeel.runtime.shell import ChildSpec, Entry, FoldDiverged, Ledger, Shell


def shell(rig: Rig, spec: ChildSpec, ledger: Ledger | None = None) -> Shell:
    """The next incarnation over what `ledger` holds, rebuilt but not begun."""
    rig.publisher.new_incarnation(spec.name)
    made = Shell(spec, ledger if ledger is not None else Ledger(), rig.publisher)
    made.rebuild()
    return made


def hear(one: Shell, rig: Rig, *numbers: int) -> None:
    for number in numbers:
        (delivery,) = rig.told(Asked(one.name, number))
        one.hear(delivery)


def recorded(number: int, *answers: Message) -> Entry:
    """What a journal holds of a number that was asked of `a`, and answered."""
    entry = Entry(Delivery(number, 1000, -1, Asked("a", number)), done=bool(answers))
    entry.recorded = [msgspec.msgpack.encode(answer) for answer in answers] or None
    return entry


def counted(rig: Rig) -> list[tuple[int, int]]:
    return [(message.number, message.nth) for message in rig.journal.said(Counted)]


def test_an_actor_is_back_with_its_state_and_says_nothing_twice() -> None:
    rig = Rig("a")
    first = shell(rig, actor("a"))
    hear(first, rig, 5, 6)
    second = shell(rig, actor("a"), first.ledger.handed_on())
    second.begin()
    hear(second, rig, 7)
    assert second.child.state.numbers == [5, 6, 7]
    assert counted(rig) == [(5, 1), (6, 2), (7, 3)]


def test_what_a_crash_kept_from_being_published_is_published_by_the_next_incarnation() -> None:
    rig = Rig("a")
    spec = actor("a", Raises(ValueError("no"), at=6))
    first = shell(rig, spec)
    hear(first, rig, 5)
    with pytest.raises(ValueError, match="no"):
        hear(first, rig, 6)
    shell(rig, spec, first.ledger.handed_on()).begin()
    assert counted(rig) == [(5, 1), (6, 2)]


def test_the_next_incarnation_answers_with_the_same_cause() -> None:
    rig = Rig("a")
    spec = actor("a", Raises(ValueError("no"), at=6))
    first = shell(rig, spec)
    with pytest.raises(ValueError, match="no"):
        hear(first, rig, 6)
    shell(rig, spec, first.ledger.handed_on()).begin()
    assert [record.cause_seq for record in rig.journal.records()] == [0, 1]


def test_what_the_journal_holds_is_not_said_again_and_what_it_lacks_is() -> None:
    rig = Rig("a", last_seq=20)
    one = shell(rig, actor("a"), Ledger(tail=[recorded(5, Counted("a", 5, 1)), recorded(6)]))
    one.begin()
    assert counted(rig) == [(6, 2)]


@pytest.mark.parametrize("answers", [[Counted("a", 5, 9)], [Counted("a", 5, 1), Counted("a", 5, 2)]])
def test_the_same_build_saying_something_else_is_an_error(answers: Sequence[Message]) -> None:
    with pytest.raises(FoldDiverged, match="a at seq 5: 1 said"):
        shell(Rig("a"), actor("a"), Ledger(tail=[recorded(5, *answers)]))


def test_an_answer_missing_before_a_later_one_is_an_error() -> None:
    tail = [recorded(5), recorded(6, Counted("a", 6, 2))]
    with pytest.raises(FoldDiverged, match="a at seq 5: 1 said, 0 recorded; evenkeel replay --from 5 shows what differs"):
        shell(Rig("a"), actor("a"), Ledger(tail=tail))


def test_for_another_build_what_was_recorded_wins() -> None:
    rig = Rig("a")
    tail = [recorded(5), recorded(6, Counted("a", 6, 99))]
    one = shell(rig, actor("a"), Ledger(tail=tail, tolerant=True))
    one.begin()
    assert one.child.state.numbers == [5, 6]
    assert counted(rig) == []


def test_a_fold_that_diverges_is_not_the_messages_fault() -> None:
    rig, ledger = Rig("a"), Ledger(tail=[recorded(5, Counted("a", 5, 9))])
    with pytest.raises(FoldDiverged):
        shell(rig, actor("a"), ledger)
    assert ledger.current is None


def test_a_parked_message_is_skipped() -> None:
    rig = Rig("a")
    parked = recorded(5)
    parked.parked = True
    one = shell(rig, actor("a"), Ledger(tail=[parked, recorded(6)]))
    assert one.child.state.numbers == [6]


def test_a_crash_has_the_message_in_hand() -> None:
    rig = Rig("a")
    one = shell(rig, actor("a", Raises(ValueError("no"), at=6)))
    hear(one, rig, 5)
    assert one.ledger.current is None
    with pytest.raises(ValueError, match="no"):
        hear(one, rig, 6)
    assert one.ledger.current is not None
    assert one.ledger.current.delivery.message == Asked("a", 6)


def test_the_next_incarnation_begins_with_nothing_in_hand() -> None:
    ledger = Ledger()
    ledger.current = recorded(5)
    assert ledger.handed_on().current is None


class Mumbler:
    """Actor. Its answers cannot be written."""

    def __init__(self) -> None:
        self.state = msgspec.UNSET

    def handle(self, message: Any, now_utc_ms: int, /) -> Sequence[Message]:
        return [Counted("a", message.number, 1), Odd(object())]


def test_an_answer_that_cannot_be_written_is_the_fault_of_its_message_at_each_try() -> None:
    rig, spec = Rig("a"), actor("a", make=Mumbler)
    first = shell(rig, spec)
    with pytest.raises(TypeError):
        hear(first, rig, 5)
    second = shell(rig, spec, first.ledger.handed_on())
    with pytest.raises(TypeError):
        second.begin()
    assert second.ledger.current is first.ledger.tail[0]
    assert rig.journal.said(Counted) == []


def test_snapshot_and_tail_give_the_state_of_all_messages() -> None:
    rig = Rig("a")
    first = shell(rig, actor("a"))
    hear(first, rig, 1, 2, 3)
    first.tidy(box_empty=True, every=3)
    hear(first, rig, 4)
    assert rig.journal.snapshots["a"].upto_seq == 5
    assert [entry.delivery.message for entry in first.ledger.tail] == [Asked("a", 4)]
    assert shell(rig, actor("a"), first.ledger.handed_on()).child.state.numbers == [1, 2, 3, 4]


def test_a_short_tail_is_left_alone() -> None:
    rig = Rig("a")
    one = shell(rig, actor("a"))
    hear(one, rig, 1, 2)
    one.tidy(box_empty=True, every=3)
    assert rig.journal.snapshots == {}


@pytest.mark.parametrize("kind", [actor, edge])
def test_a_renewed_snapshot_counts_as_of_now_although_its_child_heard_nothing_since(kind: Callable[[str], ChildSpec]) -> None:
    rig = Rig("a", "b")
    one = shell(rig, kind("a"))
    hear(one, rig, 1)
    rig.told(Asked("b", 2), Asked("b", 3))
    for _ in range(2):
        assert one.renew(lambda: True)
        assert rig.journal.snapshots["a"].upto_seq == rig.publisher.last_seq
    assert one.ledger.tail == []
    assert shell(rig, kind("a"), one.ledger.handed_on()).child.state == one.child.state


def test_a_child_for_whom_something_waits_renews_nothing() -> None:
    rig = Rig("a")
    one = shell(rig, actor("a"))
    hear(one, rig, 1)
    rig.told(Asked("a", 2))
    assert not one.renew(lambda: False)
    assert rig.journal.snapshots == {}
    assert [entry.delivery.message for entry in one.ledger.tail] == [Asked("a", 1)]


def test_a_replaced_child_renews_nothing() -> None:
    rig = Rig("a")
    old = shell(rig, actor("a"))
    hear(old, rig, 1)
    shell(rig, actor("a"), old.ledger.handed_on())
    assert not old.renew(lambda: True)
    assert rig.journal.snapshots == {}


def test_an_edge_remembers_what_it_heard_and_said_in_order() -> None:
    rig = Rig("e")
    one = shell(rig, edge("e"))
    hear(one, rig, 1, 2)
    log = ["heard 1", "saw 1", "counted 1", "heard 2", "saw 2", "counted 2"]
    assert one.child.state.log == log
    again = shell(rig, edge("e"), one.ledger.handed_on())
    again.begin()
    assert again.child.resumed_with == log


def test_an_edge_does_not_act_again_on_what_it_has_heard() -> None:
    rig = Rig("e")
    spec = edge("e", Raises(OSError("the world is gone"), at=1))
    one = shell(rig, spec)
    with pytest.raises(OSError, match="the world is gone"):
        hear(one, rig, 1)
    again = shell(rig, spec, one.ledger.handed_on())
    again.begin()
    assert again.child.resumed_with == ["heard 1"]
    assert rig.journal.said(Seen, Counted) == []


def test_what_an_edge_polls_is_said_and_remembered() -> None:
    rig = Rig("e")
    one = shell(rig, edge("e", make=lambda: Lookout("e", sights=[7])))
    one.poll()
    one.poll()
    assert rig.journal.said(Seen) == [Seen("e", 7)]
    assert one.child.state.log == ["saw 7"]


def test_an_edges_snapshot_waits_until_nothing_waits_for_it() -> None:
    rig = Rig("e")
    one = shell(rig, edge("e"))
    hear(one, rig, 1)
    one.tidy(box_empty=False, every=1)
    assert rig.journal.snapshots == {}
    one.tidy(box_empty=True, every=1)
    assert rig.journal.snapshots["e"].upto_seq == 3


def test_a_replaced_edge_writes_no_snapshot_and_leaves_its_successors_ledger_alone() -> None:
    rig = Rig("e")
    old = shell(rig, edge("e"))
    hear(old, rig, 1)
    new = shell(rig, edge("e"), old.ledger.handed_on())
    hear(old, rig, 2)
    old.tidy(box_empty=True, every=1)
    assert rig.journal.snapshots == {}
    assert len(new.ledger.tail) == 3


def test_what_a_replaced_edge_saw_after_all_its_successor_remembers_but_does_not_act_on() -> None:
    rig = Rig("e")
    old = shell(rig, edge("e"))
    new = shell(rig, edge("e"), old.ledger.handed_on())
    old.say([Seen("e", 1), Counted("e", 1, 0)])
    (echo,) = rig.boxes["e"]
    new.hear(echo)
    assert new.child.state.log == ["saw 1"]
    assert rig.journal.said(Seen, Counted) == [Seen("e", 1)]
    assert shell(rig, edge("e"), new.ledger.handed_on()).child.state.log == ["saw 1"]


class Forgetful(Lookout):
    """Edge. Cannot bear to remember what it saw."""

    def remember(self, message: Any, /) -> None:
        if isinstance(message, Seen):
            raise MemoryError
        super().remember(message)


def test_what_an_edge_said_is_in_its_ledger_even_if_it_cannot_remember_it() -> None:
    rig = Rig("e")
    one = shell(rig, edge("e", make=lambda: Forgetful("e")))
    with pytest.raises(MemoryError):
        hear(one, rig, 1)
    assert [entry.delivery.message for entry in one.ledger.tail] == [Asked("e", 1), Seen("e", 1), Counted("e", 1, 0)]
    assert one.ledger.current is one.ledger.tail[1]
