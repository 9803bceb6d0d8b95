"""The health edge by itself: what it keeps of what it hears, and how it measures time."""

from typing import Any

import pytest

from evenkeel.adapters.health import Health, Sources
from evenkeel.config.limits import PERSONAL
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import AccountRead, OrderRejected, Outcome
from evenkeel.messages.entry import Lineage
from evenkeel.messages.health import HealthAlarmed, HealthEased
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import HoldPlaced, Mode, ModeChanged, TradingRearmed
from evenkeel.messages.position import CloseFailed, CloseFailure
from evenkeel.messages.protection import StopsRefused
from evenkeel.messages.system import ChildDown
from evenkeel.runtime.edge import At

TUESDAY_UTC_MS = 1_767_700_800_000
HOUR_MS = 3_600_000
LINEAGE = Lineage("strategy", "trend")
CRASH = ChildDown("strategy/trend", 1, 1, "ValueError: x")


class Child:
    name, serving = "storage", True


class Journal:
    durable_seq, failure = 0, None


class Desk:
    """A health edge whose sources are set by hand; its clock begins two minutes after the start of the process."""

    def __init__(self) -> None:
        self.now_ms = 130_000
        self.journal: Any = Journal()
        self.last_seq = 0
        self.read_ms: int | None = 130_000
        self.health = Health(
            Config(profile="personal", limits=PERSONAL),
            (),
            Sources(
                children=lambda: [Child()],
                quote_ns=lambda symbol: None,
                held=dict,
                armed=set,
                read_ns=lambda: None if self.read_ms is None else self.read_ms * 1_000_000,
                journal=self.journal,
                last_seq=lambda: self.last_seq,
                stores=dict,
                backup_utc_ms=lambda: TUESDAY_UTC_MS,
                heard_utc_ms=lambda: None,
            ),
            monotonic_ns=lambda: self.now_ms * 1_000_000,
            started_ns=10_000 * 1_000_000,
            utc_ms=lambda: TUESDAY_UTC_MS,
        )

    def look(self, after_ms: int = 1_000, times: int = 1, *, reads: bool = True) -> list[Any]:
        said: list[Any] = []
        for _ in range(times):
            self.now_ms += after_ms
            self.read_ms = self.now_ms if reads else self.read_ms
            now = self.health.poll(TUESDAY_UTC_MS + self.now_ms)
            for message in now:
                assert isinstance(message, HealthAlarmed | HealthEased)
                self.health.remember(message)
            said += now
        return said

    def hear(self, *messages: Any) -> None:
        for message in messages:
            self.health.remember(message)
            self.health.act(message, At(1, TUESDAY_UTC_MS))

    def detail(self, check: str) -> str:
        return next(row.detail for row in self.health.rows if row.check == check)


def test_errors_count_for_an_hour() -> None:
    desk = Desk()
    desk.hear(*[CRASH] * 10)
    assert [said.check for said in desk.look()] == ["error_rate"]
    assert desk.detail("error_rate") == "10 errors in the last hour; the last: strategy/trend crashed: ValueError: x"
    desk.look(4_000, times=HOUR_MS // 4_000)
    assert desk.detail("error_rate") == "0 errors in the last hour"


@pytest.mark.parametrize(
    "message, errors",
    [
        (CloseFailed(7, "EURUSD", 1, CloseFailure.REJECTED, "market closed"), 1),
        (CloseFailed(7, "EURUSD", 1, CloseFailure.STILL_OPEN, "no answer"), 0),
        (StopsRefused(7, "EURUSD", Outcome.REJECTED, 10016, "invalid stops"), 1),
        (OrderRejected("EURUSD-1", "EURUSD", Direction.BUY, 1, 10019, "no money", LINEAGE), 1),
        (OrderRejected("EURUSD-1", "EURUSD", Direction.BUY, 1, 10004, "requote", LINEAGE), 0),
        (HoldPlaced("person", "account", "lunch", 0), 0),
    ],
)
def test_only_what_failed_is_an_error(message: Any, errors: int) -> None:
    desk = Desk()
    desk.hear(message)
    desk.look()
    assert desk.detail("error_rate").startswith(f"{errors} error")


def test_a_journal_that_falls_behind_alarms_and_one_that_keeps_up_with_a_flood_does_not() -> None:
    desk = Desk()
    for seq in range(100, 700, 100):
        desk.last_seq, desk.journal.durable_seq = seq, seq - 90
        assert desk.look() == []
    assert [said.check for said in desk.look(times=6)] == ["journal_late"]
    assert desk.detail("journal_late") == "the disk is 6.0 s behind"


def test_after_a_standstill_nobody_is_late_for_what_nobody_could_do() -> None:
    desk = Desk()
    desk.look(times=3)
    assert desk.look(HOUR_MS, reads=False) == []
    assert desk.look(reads=False, times=14) == []
    assert [said.check for said in desk.look(reads=False)] == ["broker_disconnected"]


def test_a_mode_that_a_limit_demanded_is_an_alarm_until_trading_goes_on() -> None:
    desk = Desk()
    desk.hear(AccountRead(1, 1, 0, "USD", 2, 100))
    desk.hear(ModeChanged(Mode.CLOSE_ONLY, 0, "risk_limit", "consecutive_losses: 4 of 4 trades in a row lost"))
    (alarm,) = desk.look()
    assert (alarm.check, alarm.scope) == ("limit_reached", "consecutive_losses")
    assert alarm.detail == "4 of 4 trades in a row lost; the mode is close_only"
    desk.hear(ModeChanged(Mode.FREEZE, 0, "me", "a look"))
    assert desk.look(times=40) == []
    desk.hear(ModeChanged(Mode.RUN, 0, "me", "start"))
    assert desk.look(times=40) == [HealthEased("limit_reached", "consecutive_losses")]


def test_a_rearm_accepts_holds_without_an_end_and_a_drawdown() -> None:
    desk = Desk()
    desk.hear(AccountRead(1_000_000, 1_000_000, 0, "USD", 2, 100), AccountRead(700_000, 700_000, 0, "USD", 2, 100))
    desk.hear(HoldPlaced("risk_limit", "account", "rejects: 5 in a row", 0))
    assert {said.check for said in desk.look()} == {"drawdown", "limit_reached"}
    desk.hear(TradingRearmed("me", 1))
    assert {said.check for said in desk.look(times=40)} == {"drawdown", "limit_reached"}
    assert desk.health.state.alarmed == {}
