"""Readings that conclude lie two seconds apart."""

import pytest

from evenkeel.messages.operator import FlattenProgressed, ScopeFlattened
from evenkeel.rules.flatten import SAID_AGAIN_MS, Flattening, after_reading, begun

GAP_MS = 2_000
FLAT = ScopeFlattened("account", ())


class Told:
    def __init__(self) -> None:
        self.flattening, self.now_utc_ms = Flattening("account"), 1_000_000

    def read(self, *tickets: int, foreign: tuple[int, ...] = (), after_ms: int = GAP_MS) -> object:
        self.now_utc_ms += after_ms
        return after_reading(self.flattening, tickets, foreign, self.now_utc_ms, GAP_MS)


@pytest.fixture
def told() -> Told:
    told = Told()
    assert begun(told.flattening, (7, 5), told.now_utc_ms) == FlattenProgressed("account", (5, 7), ())
    return told


def test_it_is_flat_when_two_readings_show_nothing_of_ours(told: Told) -> None:
    told.read(5, 7)
    assert told.read() == FlattenProgressed("account", (), ())
    assert not told.flattening.is_flat
    assert told.read() == FLAT
    assert told.flattening.is_flat


def test_two_readings_of_one_moment_are_one(told: Told) -> None:
    told.read()
    assert told.read(after_ms=GAP_MS - 1) is None
    assert told.read(after_ms=1) == FLAT


def test_a_reading_that_shows_something_again_begins_anew(told: Told) -> None:
    told.read()
    assert told.read(5) == FlattenProgressed("account", (5,), ())
    told.read()
    assert not told.flattening.is_flat
    assert told.read() == FLAT


def test_flat_is_said_once(told: Told) -> None:
    assert [told.read() for _ in range(4)] == [FlattenProgressed("account", (), ()), FLAT, None, None]


def test_progress_is_said_at_a_change_and_now_and_then(told: Told) -> None:
    assert told.read(5, 7) is None
    assert told.read(7) == FlattenProgressed("account", (7,), ())
    assert told.read(7) is None
    assert told.read(7, after_ms=SAID_AGAIN_MS) == FlattenProgressed("account", (7,), ())


def test_foreign_positions_stay_and_are_named(told: Told) -> None:
    told.read(foreign=(9,))
    assert told.read(foreign=(9,)) == ScopeFlattened("account", (9,))
