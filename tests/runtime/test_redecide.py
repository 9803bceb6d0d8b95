"""Recorded inputs to present actors: what counts as a difference, and what does not."""

from collections.abc import Sequence
from typing import Any

import msgspec
from runtime_builders import Asked, Counted

from evenkeel.messages.system import Message
from evenkeel.runtime.journal import ChildSnapshot, Record
from evenkeel.runtime.publisher import Codec
from evenkeel.runtime.redecide import Difference, Redecision
from evenkeel.runtime.shell import ChildSpec, Kind

CODEC = Codec(msgspec.msgpack.encode, msgspec.msgpack.Decoder(Asked | Counted).decode)


class Numbers(msgspec.Struct):
    numbers: list[int] = []


class Counting:
    """Says how many numbers it has counted; the one that it is to `crash` on raises, one `offset` says another count."""

    def __init__(self, crash: int = -1, offset: dict[int, int] | None = None) -> None:
        self.state = Numbers()
        self._crash, self._offset = crash, offset or {}

    def handle(self, message: Any, now_utc_ms: int) -> Sequence[Message]:
        if message.number == self._crash:
            raise ValueError("seven")
        self.state.numbers += [message.number] * (1 + self._offset.get(message.number, 0))
        return [Counted("a", message.number, len(self.state.numbers))]


def spec(**changes: Any) -> ChildSpec:
    return ChildSpec("a", Kind.ACTOR, lambda: Counting(**changes))


def heard(seq: int, number: int) -> Record:
    return Record(seq, 0, 0, -1, "world", 1, ("a",), msgspec.Raw(CODEC.encode(Asked("a", number))))


def answer(seq: int, cause_seq: int, number: int, nth: int) -> Record:
    return Record(seq, 0, cause_seq, -1, "a", 1, (), msgspec.Raw(CODEC.encode(Counted("a", number, nth))))


RECORD = [heard(1, 10), heard(2, 20), answer(3, 1, 10, 1), heard(4, 30), answer(5, 2, 20, 2), answer(6, 4, 30, 3)]
"""An answer may come after the next input: actors have boxes."""


def decided(
    records: Sequence[Record],
    now: ChildSpec | None = None,
    *,
    remade: ChildSpec | None = None,
    from_seq: int = 1,
    parked: tuple[int, ...] = (),
    snapshots: dict[str, ChildSnapshot] | None = None,
) -> tuple[list[Difference], Redecision]:
    again = Redecision(
        CODEC,
        snapshots=snapshots or {},
        parked=frozenset(("a", seq) for seq in parked),
        compare_from_seq=from_seq,
        remade=None if remade is None else lambda specs: [remade],
    )
    again.begin([now or spec()])
    found = [difference for record in records for difference in again.feed(record)]
    return [*found, *again.end()], again


def test_what_is_said_as_recorded_is_equal() -> None:
    differences, again = decided(RECORD)
    tally = again.tallies["a"]
    assert (differences, tally.inputs, tally.equal, tally.unanswered) == ([], 3, 3, 0)


def test_another_answer_is_a_difference_and_the_first_is_marked() -> None:
    differences, _ = decided(RECORD, spec(offset={20: 1}))
    assert [(one.input_seq, one.recorded_seq, one.is_first) for one in differences] == [(2, 5, True), (4, 6, False)]


def test_beside_an_actor_as_recorded_one_difference_does_not_bring_about_the_next() -> None:
    differences, _ = decided(RECORD, remade=spec(offset={20: 1}))
    assert [one.input_seq for one in differences] == [2]


def test_a_crash_is_a_difference_and_the_actor_goes_on_without_the_input() -> None:
    differences, again = decided([*RECORD, heard(7, 40), answer(8, 7, 40, 4)], spec(crash=20))
    first = differences[0]
    assert (first.input_seq, first.error, first.said) == (2, "ValueError: seven", None)
    assert again.tallies["a"].differing == 3


def test_an_input_that_was_set_aside_is_not_heard() -> None:
    differences, _ = decided([heard(1, 10), answer(2, 1, 10, 1), heard(3, 20), heard(4, 30), answer(5, 4, 30, 2)], parked=(3,))
    assert differences == []


def test_an_answer_that_is_missing_before_a_later_one_is_a_difference() -> None:
    differences, _ = decided([record for record in RECORD if record.seq != 3])
    assert [(one.input_seq, one.recorded) for one in differences] == [(1, None)]


def test_what_was_in_hand_at_the_end_is_no_difference() -> None:
    differences, again = decided(RECORD[:-1])
    assert (differences, again.tallies["a"].unanswered) == ([], 1)


def test_what_comes_before_the_first_record_to_compare_only_makes_the_state() -> None:
    wrong_before = [answer(3, 1, 10, 99) if record.seq == 3 else record for record in RECORD]
    differences, again = decided(wrong_before, from_seq=2)
    assert (differences, again.tallies["a"].equal) == ([], 2)


def test_a_state_that_was_written_down_is_gone_on_from() -> None:
    snapshot = ChildSnapshot("a", 1, msgspec.msgpack.encode(Numbers([10])))
    differences, again = decided(RECORD, from_seq=2, snapshots={"a": snapshot})
    assert (differences, again.tallies["a"].inputs) == ([], 2)


def test_a_new_run_keeps_the_states_and_owes_what_was_in_hand() -> None:
    again = Redecision(CODEC, snapshots={}, parked=frozenset(), compare_from_seq=1)
    again.begin([spec()])
    found = [one for record in RECORD[:5] for one in again.feed(record)]
    again.begin([spec()])
    found += [one for record in [heard(7, 40), answer(8, 7, 40, 4)] for one in again.feed(record)]
    assert ([*found, *again.end()], again.tallies["a"].unanswered) == ([], 1)


def test_an_actor_that_a_run_does_without_knows_later_what_it_knew() -> None:
    again = Redecision(CODEC, snapshots={}, parked=frozenset(), compare_from_seq=1)
    found = []
    for specs, records in (
        ([spec()], [heard(1, 10), answer(2, 1, 10, 1)]),
        ([], []),
        ([spec()], [heard(3, 20), answer(4, 3, 20, 2)]),
    ):
        again.begin(specs)
        found += [one for record in records for one in again.feed(record)]
    assert [*found, *again.end()] == []


def test_an_actor_that_is_no_more_says_nothing_where_something_was_recorded() -> None:
    again = Redecision(CODEC, snapshots={}, parked=frozenset(), compare_from_seq=1, remade=lambda specs: [])
    again.begin([spec()])
    found = [one for record in RECORD for one in again.feed(record)]
    assert [one.said for one in [*found, *again.end()]] == [None, None, None]
    assert again.tallies["a"].differing == 3
