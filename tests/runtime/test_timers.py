"""One-shot timers of the run's clock."""

from runtime_builders import Stepped, actor

from evenkeel.messages.system import CancelTimer, SetTimer, TimerDue
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.clock import ManualClock
from evenkeel.runtime.timers import Timers


def timers(*messages: SetTimer | CancelTimer | TimerDue) -> Timers:
    made = Timers(ManualClock())
    for message in messages:
        made.remember(message)
    return made


def test_a_timer_is_due_at_its_instant_and_not_before() -> None:
    clock = timers(SetTimer("a", "tea", 100))
    assert clock.due(99) == []
    assert clock.due(100) == [TimerDue("a", "tea", 100)]


def test_a_timer_stays_until_it_was_said_and_is_gone_then() -> None:
    clock = timers(SetTimer("a", "tea", 100))
    assert clock.due(100) == clock.due(100)
    clock.remember(TimerDue("a", "tea", 100))
    assert clock.due(200) == []
    assert clock.next_due_utc_ms() is None


def test_the_same_owner_and_name_replaces() -> None:
    clock = timers(SetTimer("a", "tea", 100), SetTimer("a", "tea", 300), SetTimer("b", "tea", 200))
    assert clock.due(299) == [TimerDue("b", "tea", 200)]
    assert clock.due(300)[-1] == TimerDue("a", "tea", 300)


def test_a_timer_set_anew_outlives_the_firing_of_the_old_one() -> None:
    clock = timers(SetTimer("a", "tea", 100), SetTimer("a", "tea", 300), TimerDue("a", "tea", 100))
    assert clock.next_due_utc_ms() == 300


def test_a_cancelled_timer_is_forgotten_and_an_unknown_one_ignored() -> None:
    clock = timers(SetTimer("a", "tea", 100), CancelTimer("a", "tea"), CancelTimer("a", "coffee"))
    assert clock.due(1000) == []


def test_earlier_ones_come_first_and_equal_ones_by_owner_and_name() -> None:
    clock = timers(SetTimer("b", "x", 100), SetTimer("a", "y", 100), SetTimer("a", "x", 100), SetTimer("c", "x", 50))
    assert [(due.owner, due.name) for due in clock.due(100)] == [("c", "x"), ("a", "x"), ("a", "y"), ("b", "x")]


def test_a_restart_keeps_what_is_set_and_the_late_ones_fire_at_once() -> None:
    again = Timers(ManualClock())
    restore(again, snapshot_of(timers(SetTimer("a", "tea", 100), SetTimer("a", "coffee", 900))))
    assert again.poll(500) == [TimerDue("a", "tea", 100)]


def test_the_clock_is_looked_at_only_while_something_is_set() -> None:
    assert timers().poll_s is None
    assert timers(SetTimer("a", "tea", 100)).poll_s is not None


def test_a_timer_moved_ten_thousand_times_fires_once() -> None:
    clock = timers(*(SetTimer("a", "tea", 100_000 - moved) for moved in range(10_000)))
    assert clock.next_due_utc_ms() == 90_001
    assert len(clock.due(100_000)) == 1


def test_timers_fire_on_the_way_each_at_its_own_instant() -> None:
    system = Stepped(actor("a"))
    system.say(SetTimer("a", "late", 3000), SetTimer("a", "early", 2000), SetTimer("a", "at the end", 4000))
    system.host.advance_to(4000)
    fired = [record for record in system.journal.records() if record.sender == "clock"]
    assert [record.time_utc_ms for record in fired] == [2000, 3000]
    system.host.advance_to(4000, inclusive=True)
    assert [due.name for due in system.said(TimerDue)] == ["early", "late", "at the end"]
