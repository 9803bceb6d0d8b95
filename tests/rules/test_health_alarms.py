from typing import Any

import msgspec
import pytest

from evenkeel.messages.health import HealthAlarmed, HealthEased
from evenkeel.rules.health import CHECKS, Finding, Verdict
from evenkeel.rules.health_alarms import EASE_AFTER_MS, SEVERITIES, alarms_after, key_of, rows_of, shortened
from evenkeel.rules.view import CheckState
from evenkeel.rules.view_of import CHECKS_SHOWN

STALE = Finding("quotes_stale", Verdict.ALARM, "no quote for 31.0 s", "EURUSD", 31_000, 30_000, "ms")
WELL = Finding("quotes_stale", Verdict.WELL, "2 symbols")
ALARMED = HealthAlarmed("quotes_stale", 2, "no quote for 31.0 s", "EURUSD")
EASED = HealthEased("quotes_stale", "EURUSD")


class Watch:
    """What has been said so far, and when it was looked."""

    def __init__(self) -> None:
        self.alarmed: dict[str, HealthAlarmed] = {}
        self.well_since_ms: dict[str, int] = {}
        self.now_ms = 0

    def look(self, *found: Finding, after_ms: int = 1_000) -> list[Any]:
        self.now_ms += after_ms
        said = alarms_after(found, self.alarmed, self.well_since_ms, self.now_ms)
        for message in said:
            key = key_of(message.check, message.scope)
            if isinstance(message, HealthAlarmed):
                self.alarmed[key] = message
            else:
                del self.alarmed[key]
        return said


def test_an_alarm_is_said_once_and_once_when_it_was_well_for_long_enough() -> None:
    watch = Watch()
    assert watch.look(STALE) == [ALARMED]
    assert watch.look(STALE) == []
    assert watch.look(WELL) == []
    assert watch.look(WELL, after_ms=EASE_AFTER_MS) == [EASED]
    assert watch.look(WELL) == []
    assert (watch.alarmed, watch.well_since_ms) == ({}, {})


@pytest.mark.parametrize("verdict", [Verdict.NEAR, Verdict.UNKNOWN, Verdict.ALARM])
def test_whatever_is_not_well_in_between_begins_the_wait_anew(verdict: Verdict) -> None:
    watch = Watch()
    watch.look(STALE)
    watch.look(WELL)
    watch.look(STALE._replace(verdict=verdict), after_ms=EASE_AFTER_MS - 1)
    assert watch.look(WELL) == []
    assert watch.look(WELL, after_ms=EASE_AFTER_MS) == [EASED]


def test_what_is_unknown_or_near_begins_no_alarm() -> None:
    assert Watch().look(STALE._replace(verdict=Verdict.UNKNOWN), STALE._replace(verdict=Verdict.NEAR, scope="GBPUSD")) == []


def test_of_a_part_nothing_is_known_while_nothing_is_known_of_the_whole() -> None:
    watch = Watch()
    watch.look(STALE)
    for _ in range(3):
        assert watch.look(WELL._replace(verdict=Verdict.UNKNOWN), after_ms=EASE_AFTER_MS) == []


def test_a_check_that_is_switched_off_is_over_at_once() -> None:
    watch = Watch()
    watch.look(STALE)
    assert watch.look(WELL._replace(verdict=Verdict.OFF)) == [EASED]


def test_the_worst_is_shown_first_with_the_time_since_when_it_is_so() -> None:
    found = [WELL, Finding("drawdown", Verdict.ALARM, "deep"), Finding("backup", Verdict.UNKNOWN, "none")]
    first = rows_of(found, {key_of("drawdown", ""): HealthAlarmed("drawdown", 1, "deep")}, (), 10)
    again = rows_of(found, {key_of("drawdown", ""): HealthAlarmed("drawdown", 1, "deep")}, first, 20)
    assert [(row.check, row.state) for row in again] == [
        ("drawdown", CheckState.ALARM),
        ("backup", CheckState.UNKNOWN),
        ("quotes_stale", CheckState.WELL),
    ]
    assert [row.since_utc_ms for row in again] == [10, 10, 10]
    assert rows_of([WELL._replace(verdict=Verdict.UNKNOWN)], {}, again, 30)[0].since_utc_ms == 30


def test_an_alarm_is_shown_until_it_is_over_also_when_its_cause_is_gone() -> None:
    (row, whole) = rows_of([WELL], {key_of("quotes_stale", "EURUSD"): ALARMED}, (), 10)
    assert (row.state, row.scope, row.detail) == (CheckState.ALARM, "EURUSD", "well again; it was: no quote for 31.0 s")
    assert (whole.state, whole.scope) == (CheckState.WELL, "")


def test_an_alarm_that_this_version_does_not_know_ends_and_is_not_shown() -> None:
    watch = Watch()
    watch.alarmed = {key_of("moon_phase", ""): HealthAlarmed("moon_phase", 1, "full")}
    assert rows_of([WELL], watch.alarmed, (), 10) == rows_of([WELL], {}, (), 10)
    watch.look(WELL)
    assert watch.look(WELL, after_ms=EASE_AFTER_MS) == [HealthEased("moon_phase")]


def test_what_a_view_shows_of_it_has_a_bound() -> None:
    found = [Finding("chain_store", Verdict.ALARM, "€" * 5_000 + "\nx", f"strategy_{number:023}") for number in range(99)]
    rows = rows_of(found, {}, (), 1_767_571_200_000)[:CHECKS_SHOWN]
    assert len(msgspec.json.encode(rows)) < 16_000
    assert shortened("two\n lines") == "two lines"


def test_every_check_has_its_severity() -> None:
    assert set(SEVERITIES) == set(CHECKS)
    assert set(SEVERITIES.values()) == {1, 2, 3}
