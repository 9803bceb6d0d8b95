"""Nobody says anything for twelve hours: nothing new is opened until somebody does."""

from typing import Any

import pytest
from builders import STARTED

from evenkeel.actors.attendance import Attendance
from evenkeel.messages.broker_gateway import AdoptPosition
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import CloseTicket, KillTrading, LowerMode, Mode, RaiseSignal, RestrictTrading, StartTrading
from evenkeel.messages.recovery import StopChain
from evenkeel.messages.shield import LowerShield
from evenkeel.messages.system import RunStarted, SetTimer, TimerDue
from evenkeel.supervisor import ROUTES

EXAMPLES: dict[Any, tuple[Any, ...]] = {
    KillTrading: ("c", "me", 1, False),
    RestrictTrading: ("c", "me", Mode.FREEZE),
    CloseTicket: ("c", "me", 7),
    AdoptPosition: ("c", "me", 7),
    StopChain: ("c", "me", "trend", "EURUSD-a-1"),
    LowerShield: ("c", "me", "EURUSD", Direction.BUY),
    RaiseSignal: ("c", "me", "EURUSD", Direction.BUY),
}
HOUR_MS = 3_600_000
DUE = TimerDue("attendance", "absence", 12 * HOUR_MS)


def timer_at(hour: int) -> list[SetTimer]:
    return [SetTimer("attendance", "absence", hour * HOUR_MS)]


def attendance() -> Attendance:
    made = Attendance(12 * HOUR_MS)
    assert made.handle(STARTED, 0) == timer_at(12)
    return made


def test_silence_lowers_the_mode_to_close_only() -> None:
    (lowered,) = attendance().handle(DUE, 12 * HOUR_MS)
    assert lowered == LowerMode(Mode.CLOSE_ONLY, "attendance", "no word from a person for 12 h")


def test_any_command_begins_the_time_anew() -> None:
    person = attendance()
    assert person.handle(CloseTicket("c", "me", 7), 5 * HOUR_MS) == timer_at(17)
    assert person.handle(StartTrading("s", "me"), 6 * HOUR_MS) == timer_at(18)


@pytest.mark.parametrize("kind", [kind for kind, hears in ROUTES.items() if "attendance?" in hears and kind is not RunStarted])
def test_every_command_that_is_routed_here_is_a_person(kind: Any) -> None:
    command = kind(*EXAMPLES.get(kind, ("c", "me")))
    assert attendance().handle(command, 5 * HOUR_MS) == timer_at(17)


@pytest.mark.parametrize("origin", ["webhook", "file"])
def test_a_signal_that_came_by_itself_is_no_person(origin: str) -> None:
    signal = RaiseSignal("s", "me@webhooks", "EURUSD", Direction.BUY, origin=origin, source_id="alert 7")
    assert attendance().handle(signal, 5 * HOUR_MS) == []


def test_a_restart_of_the_process_is_not_a_person() -> None:
    person = attendance()
    person.handle(StartTrading("s", "me"), HOUR_MS)
    assert person.handle(STARTED, 9 * HOUR_MS) == timer_at(13)
