"""Somebody who does not show that it lives is named, unless nobody could."""

import pytest

from evenkeel.runtime.leases import Broken, Leases, Progress


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def pass_s(self, seconds: float, leases: Leases, *, every_s: float = 0.2) -> None:
        """Looked at all the while."""
        for _ in range(round(seconds / every_s)):
            self.now_s += every_s
            leases.broken()


@pytest.fixture
def time() -> Time:
    return Time()


def test_who_stamps_in_time_keeps_its_lease(time: Time) -> None:
    leases = Leases(time)
    stamp = leases.grant("a", 5.0)
    for _ in range(10):
        time.pass_s(4.8, leases)
        stamp()
        assert leases.broken() == []


def test_who_is_silent_for_longer_is_named_until_it_stamps_again(time: Time) -> None:
    leases = Leases(time)
    stamp = leases.grant("a", 5.0)
    leases.grant("b", 60.0)
    time.pass_s(5.2, leases)
    assert leases.broken() == [Broken("a", pytest.approx(5.2))]
    stamp()
    assert leases.broken() == []


def test_time_in_which_the_looker_stood_still_counts_against_nobody(time: Time) -> None:
    leases = Leases(time)
    leases.grant("a", 5.0)
    time.now_s += 7_200.0
    assert leases.broken() == []
    time.pass_s(5.2, leases)
    assert [one.name for one in leases.broken()] == ["a"]


def test_a_writer_with_nothing_to_write_is_not_late(time: Time) -> None:
    leases = Leases(time)
    writer = Progress(leases.grant("journal", 5.0))
    for _ in range(100):
        time.pass_s(1.0, leases)
        writer.look(done=7, wanted=7)
    assert leases.broken() == []


def test_a_writer_that_does_not_get_on_is_late_however_much_waits(time: Time) -> None:
    leases = Leases(time)
    writer = Progress(leases.grant("journal", 5.0))
    for done in (1, 2, 3, 3, 3, 3, 3):
        time.pass_s(1.0, leases)
        writer.look(done=done, wanted=100 + done)
    assert leases.broken() == []
    time.pass_s(2.0, leases)
    writer.look(done=3, wanted=200)
    assert [one.name for one in leases.broken()] == ["journal"]
