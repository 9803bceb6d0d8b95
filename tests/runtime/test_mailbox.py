"""One lane for what reaches a child, orders beside it, and nothing lost when readers come and go."""

import sys
import threading
from collections.abc import Iterator

import pytest
from runtime_builders import WAIT_S, Asked, Counted, Rig, Tally

from evenkeel.runtime.incarnation import Incarnation
from evenkeel.runtime.mailbox import Mailbox, Order, Slot
from evenkeel.runtime.publisher import Delivery, into
from evenkeel.runtime.shell import ChildSpec, Kind, Ledger, Shell


def letter(seq: int) -> Delivery:
    return Delivery(seq, 0, -1, Asked("a", seq))


def box_with(*seqs: int, capacity: int = 100) -> Mailbox:
    box = Mailbox(capacity)
    for seq in seqs:
        box.put(letter(seq))
    return box


def taken(slot: Slot, count: int) -> list[int | Order]:
    found = [slot.take() for _ in range(count)]
    return [thing.seq if isinstance(thing, Delivery) else thing for thing in found]


def test_messages_are_read_in_the_order_they_came() -> None:
    assert taken(box_with(1, 2, 3).open_slot(), 3) == [1, 2, 3]


def test_orders_go_first_and_the_same_one_once() -> None:
    box = box_with(1)
    slot = box.open_slot()
    for order in (Order.SNAPSHOT, Order.CRASH, Order.SNAPSHOT):
        box.order(order)
    assert taken(slot, 3) == [Order.SNAPSHOT, Order.CRASH, 1]


def test_a_replaced_reader_gets_nothing_more_and_the_next_one_everything() -> None:
    box = box_with(1, 2)
    old, new = box.open_slot(), box.open_slot()
    assert taken(old, 2) == [Order.DISMISSED, Order.DISMISSED]
    assert taken(new, 2) == [1, 2]


def test_orders_to_a_replaced_reader_are_void() -> None:
    box = box_with(1)
    box.open_slot()
    box.order(Order.CRASH)
    assert taken(box.open_slot(), 1) == [1]


def test_messages_wait_while_nobody_reads() -> None:
    box = box_with(1)
    box.open_slot()
    box.dismiss()
    box.put(letter(2))
    assert taken(box.open_slot(), 2) == [1, 2]


def test_a_full_box_closes_counts_and_tells_its_reader() -> None:
    box = box_with(1, 2, 3, 4, capacity=2)
    assert (len(box), box.letters_dead) == (2, 2)
    assert taken(box.open_slot(), 1) == [Order.OVERFLOWED]


def test_what_was_missed_is_put_between_what_was_accepted_before_and_after() -> None:
    box = box_with(1, 2, 3, 4, capacity=2)
    assert box.reopen() == 3
    box.put(letter(5))
    box.put_ahead(2, [letter(3), letter(4)])
    assert taken(box.open_slot(), 5) == [1, 2, 3, 4, 5]


def test_a_box_that_was_never_full_missed_nothing() -> None:
    assert box_with(1, 2).reopen() is None


def test_after_catching_up_there_is_room_again() -> None:
    box = box_with(1, 2, 3, capacity=2)
    box.reopen()
    box.put_ahead(2, [letter(3)])
    for seq in (4, 5, 6):
        box.put(letter(seq))
    assert box.letters_dead == 2
    assert box.reopen() == 6


def test_a_box_closed_for_good_counts_what_waited_and_what_comes() -> None:
    box = box_with(1, 2)
    box.close()
    box.put(letter(3))
    assert (len(box), box.letters_dead) == (0, 3)


def test_a_due_poll_and_waiting_messages_take_turns() -> None:
    slot = box_with(1, 2).open_slot()
    slot.poll_s = 0.0
    assert taken(slot, 5) == [Order.POLL, 1, Order.POLL, 2, Order.POLL]


def test_a_woken_reader_polls_once_though_it_never_does_by_itself() -> None:
    box = box_with(1)
    slot = box.open_slot()
    box.wake()
    box.wake()
    assert taken(slot, 2) == [Order.POLL, 1]


def test_wakes_do_not_keep_messages_waiting() -> None:
    box = box_with(1, 2)
    slot = box.open_slot()
    found = []
    for _ in range(4):
        box.wake()
        found += taken(slot, 1)
    assert found == [Order.POLL, 1, Order.POLL, 2]


class Relentless:
    """Starts the next incarnation on the thread of the one that crashed; counts them."""

    def __init__(self, rig: Rig, box: Mailbox, spec: ChildSpec) -> None:
        self.crashes = 0
        self.running: list[Incarnation] = []
        self._rig, self._box, self._spec = rig, box, spec
        self._ledger = Ledger()
        self._next()

    def starting(self, incarnation: Incarnation) -> None:
        incarnation.lease_s = WAIT_S
        self.running.append(incarnation)

    def serving(self, incarnation: Incarnation) -> bool:
        return True

    def crashed(self, incarnation: Incarnation, error: BaseException) -> None:
        assert isinstance(error, Exception)
        self.crashes += 1
        self._ledger = self._ledger.handed_on()
        self._next()

    def _next(self) -> None:
        self._rig.publisher.new_incarnation("a")
        Incarnation.start(Shell(self._spec, self._ledger, self._rig.publisher), self._box, self)


@pytest.fixture
def _hurried() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_hurried")
@pytest.mark.timeout(20)
def test_many_producers_and_fifty_crashes_lose_nothing_and_strand_nothing() -> None:
    rig, box = Rig("a"), Mailbox(100_000)
    rig.publisher.connect(into({"a": box}))
    crash_at = set(range(0, 1000, 20))

    def raise_once(number: int) -> None:
        if number in crash_at:
            crash_at.remove(number)
            raise ValueError(number)

    def produce(first: int) -> None:
        for number in range(first, 1000, 4):
            rig.told(Asked("a", number))
            if number % 40 == 1:
                box.order(Order.CRASH)

    host = Relentless(rig, box, ChildSpec(name="a", kind=Kind.ACTOR, make=lambda: Tally("a", raise_once)))
    producers = [threading.Thread(target=produce, args=(first,)) for first in range(4)]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join(WAIT_S)
    assert rig.journal.wait_for(lambda: len(rig.journal.bodies) == 2000)
    box.dismiss()
    assert host.running[-1].actor_stopped.wait(WAIT_S)
    asked = [message.number for message in rig.journal.said(Asked)]
    assert sorted(asked) == list(range(1000))
    assert host.running[-1].shell.child.state.numbers == asked
    assert [message.number for message in rig.journal.said(Counted)] == asked
    assert host.crashes >= 50
