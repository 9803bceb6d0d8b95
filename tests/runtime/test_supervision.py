"""What a crash means, by the child's specification."""

from collections.abc import Sequence

import pytest
from runtime_builders import Asked, actor

from evenkeel.messages.system import ChildDown, MessageParked
from evenkeel.runtime.publisher import Delivery
from evenkeel.runtime.shell import ChildSpec, Entry
from evenkeel.runtime.supervision import Remedy, Ruling, Supervision, Vigil, obituary

DOWN = ChildDown("a", 1, 1, "ValueError: no")


def rulings(spec: ChildSpec, crashes_s: Sequence[float], chance: float = 1.0) -> list[Ruling]:
    supervision = Supervision([spec])
    return [supervision.ruling(spec.name, now_s, chance) for now_s in crashes_s]


@pytest.mark.parametrize("chance, first_s", [(0.0, 0.025), (1.0, 0.05)])
def test_each_crash_makes_a_child_wait_longer(chance: float, first_s: float) -> None:
    delays_s = [ruling.delay_s for ruling in rulings(actor("a"), [100.0] * 5, chance)]
    assert delays_s == pytest.approx([first_s * 2**crash for crash in range(5)])


def test_nobody_waits_longer_than_half_a_minute() -> None:
    assert max(ruling.delay_s for ruling in rulings(actor("a", intensity=50), [100.0] * 50)) == 30.0


def test_an_owner_is_back_at_once_but_at_most_once_a_second() -> None:
    found = rulings(actor("a", owns_positions=True), [100.0, 100.2, 101.1, 200.0])
    assert [ruling.delay_s for ruling in found] == pytest.approx([0.0, 0.8, 0.9, 0.0])


def test_an_owner_is_never_given_up() -> None:
    found = rulings(actor("a", owns_positions=True, intensity=2), [100.0] * 50)
    assert {ruling.remedy for ruling in found} == {Remedy.RESTART}
    assert found[-1].crashes == 50


@pytest.mark.parametrize("essential, remedy", [(True, Remedy.ESCALATE), (False, Remedy.LEAVE_DOWN)])
def test_an_exhausted_child_ends_the_process_or_stays_down(essential: bool, remedy: Remedy) -> None:
    found = rulings(actor("a", intensity=2, essential=essential), [100.0, 101.0, 102.0])
    assert [ruling.remedy for ruling in found] == [Remedy.RESTART, Remedy.RESTART, remedy]


def test_old_crashes_are_forgotten() -> None:
    found = rulings(actor("a", intensity=1, period_s=60.0), [100.0, 161.0, 222.0])
    assert [(ruling.remedy, ruling.crashes) for ruling in found] == [(Remedy.RESTART, 1)] * 3


def test_a_message_is_parked_by_its_second_crash() -> None:
    entry = Entry(Delivery(7, 0, -1, Asked("a", 1)))
    assert obituary(DOWN, entry) == [DOWN]
    assert obituary(DOWN, entry) == [DOWN, MessageParked("a", 7, "Asked", "ValueError: no")]
    assert entry.parked


def test_a_crash_with_nothing_in_hand_parks_nothing() -> None:
    assert [obituary(DOWN, None) for _ in range(3)] == [[DOWN]] * 3


def test_nobody_is_late_for_the_time_in_which_the_whole_process_stood_still() -> None:
    vigil = Vigil(100.0)
    vigil.look(100.1)
    vigil.look(105.1)
    assert vigil.awake_since_s == 105.1


def test_a_look_that_is_a_little_late_excuses_nobody() -> None:
    vigil = Vigil(100.0)
    for late_s in (100.5, 101.4, 101.5):
        vigil.look(late_s)
    assert vigil.awake_since_s == 100.0
