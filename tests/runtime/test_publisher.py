"""One order, one time, one lock: what an input causes is published together or not at all."""

from collections.abc import Sequence

import pytest
from runtime_builders import Asked, Counted, Odd, Rig, Seen, WatchedJournal

from evenkeel.runtime.journal import ChildSnapshot, JournalClosed


class BrokenJournal(WatchedJournal):
    """Accepts `room` records, then nothing any more."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def append(self, records: Sequence[tuple[int, bytes]]) -> None:
        if len(self.bodies) + len(records) > self._room:
            raise JournalClosed("the disk is full")
        super().append(records)

    def snapshot(self, snapshot: ChildSnapshot) -> None:
        raise JournalClosed("the disk is full")


def test_what_one_input_caused_is_published_together_with_one_cause() -> None:
    rig = Rig("a", "listener")
    (cause,) = rig.told(Asked("a", 1))
    rig.publisher.publish("a", 0, [Counted("a", 1, 1), Seen("a", 1)], cause=cause)
    asked, *answers = rig.journal.records()
    assert [record.seq for record in answers] == [2, 3]
    assert {record.cause_seq for record in answers} == {asked.seq}
    assert {(record.sender, record.time_utc_ms) for record in answers} == {("a", 1000)}
    assert [delivery.seq for delivery in rig.boxes["listener"]] == [2, 3]


def test_the_record_names_its_receivers() -> None:
    rig = Rig("a", "listener")
    rig.told(Asked("a", 1), Asked("nobody", 1), Seen("b", 1))
    assert [record.receivers for record in rig.journal.records()] == [("a",), (), ("listener",)]


def test_an_output_that_cannot_be_written_takes_the_others_with_it() -> None:
    rig = Rig("listener")
    with pytest.raises(TypeError):
        rig.told(Seen("a", 1), Odd(object()))
    assert rig.journal.bodies == []
    assert rig.boxes["listener"] == []
    assert rig.told(Seen("a", 2))[0].seq == 1


def test_time_never_goes_back() -> None:
    rig = Rig("listener", last_utc_ms=5000)
    assert rig.told(Seen("a", 1))[0].time_utc_ms == 5000
    rig.clock.advance_to(6000)
    assert rig.told(Seen("a", 2))[0].time_utc_ms == 6000


def test_numbers_go_on_where_the_journal_ended() -> None:
    assert Rig("listener", last_seq=41).told(Seen("a", 1))[0].seq == 42


def test_a_replaced_incarnation_may_still_observe_but_not_decide() -> None:
    rig = Rig("a", "listener")
    old = rig.publisher.new_incarnation("a")
    rig.publisher.new_incarnation("a")
    accepted = rig.publisher.publish("a", old, [Counted("a", 1, 1), Seen("a", 1)])
    assert [delivery.message for delivery in accepted] == [Seen("a", 1)]
    assert rig.journal.said(Counted, Seen) == [Seen("a", 1)]
    assert rig.publisher.refused_stale == 1


def test_what_a_replaced_incarnation_observed_reaches_its_successor() -> None:
    rig = Rig("a")
    old = rig.publisher.new_incarnation("a")
    rig.publisher.new_incarnation("a")
    rig.publisher.publish("a", old, [Seen("a", 1)])
    assert [delivery.message for delivery in rig.boxes["a"]] == [Seen("a", 1)]


class Question:
    """Keeps how much of the answer was heard when it was done."""

    def __init__(self, listener: Sequence[object]) -> None:
        self.heard: list[int] = []
        self._listener = listener

    @property
    def done(self) -> bool:
        return bool(self.heard)

    @done.setter
    def done(self, done: bool) -> None:
        self.heard.append(len(self._listener))


def test_a_question_is_done_before_anybody_hears_the_answer() -> None:
    rig = Rig("listener")
    question = Question(rig.boxes["listener"])
    rig.publisher.publish("a", 0, [Seen("a", 1)], answered=question)
    assert question.heard == [0]


def test_a_question_is_not_done_when_the_decision_is_refused() -> None:
    rig = Rig("a")
    rig.publisher.new_incarnation("a")
    question = Question(())
    rig.publisher.publish("a", 0, [Counted("a", 1, 1)], answered=question)
    assert not question.done


def test_what_follows_from_the_input_is_delivered_but_neither_numbered_nor_written() -> None:
    rig = Rig("listener")
    rig.publisher.publish("feed", 0, [Seen("feed", 1)], row=7, derived=True)
    (derived,) = rig.boxes["listener"]
    assert (derived.seq, derived.row) == (0, 7)
    assert rig.journal.bodies == []


def test_the_row_of_the_input_follows_its_effects() -> None:
    rig = Rig("listener")
    (cause,) = rig.publisher.publish("feed", 0, [Seen("feed", 1)], row=7, derived=True)
    rig.publisher.publish("a", 0, [Counted("a", 1, 1)], cause=cause)
    (record,) = rig.journal.records()
    assert (record.cause_seq, record.cause_row) == (0, 7)


def test_a_journal_that_refuses_is_reported_once_and_deliveries_go_on() -> None:
    failures: list[str] = []
    rig = Rig("listener", journal=BrokenJournal(room=1), on_journal_failed=failures.append)
    for number in range(4):
        rig.told(Seen("a", number))
    assert failures == ["the disk is full"]
    assert [delivery.message for delivery in rig.boxes["listener"]] == [Seen("a", number) for number in range(4)]
    assert len(rig.journal.bodies) == 1


def test_who_hears_of_the_lost_journal_may_publish() -> None:
    rig = Rig("listener", journal=BrokenJournal(room=0), on_journal_failed=lambda error: rig.told(Seen("alarm", 9)) and None)
    rig.told(Seen("a", 1))
    assert [delivery.seq for delivery in rig.boxes["listener"]] == [1, 2]
    assert [delivery.message for delivery in rig.boxes["listener"]] == [Seen("a", 1), Seen("alarm", 9)]


def test_a_refused_snapshot_is_a_lost_journal_too() -> None:
    failures: list[str] = []
    rig = Rig("a", journal=BrokenJournal(room=9), on_journal_failed=failures.append)
    rig.publisher.snapshot(ChildSnapshot("a", 1, b""))
    assert failures == ["the disk is full"]
