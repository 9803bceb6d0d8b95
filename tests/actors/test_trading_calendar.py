from datetime import UTC, datetime

from evenkeel.actors.trading_calendar import TradingCalendar
from evenkeel.config.schema import TradingCalendarConfig
from evenkeel.messages.system import RunStarted, SetTimer, TimerDue
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.runtime.actor import restore, snapshot_of

STARTED = RunStarted("build", "configuration", "account", 1, True, False)


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


WEEK_ENDS_UTC_MS = utc_ms("2014-05-11T21:00:00")


def boundary(text: str) -> TimerDue:
    return TimerDue("trading_calendar", "boundary", utc_ms(text))


def timer(text: str) -> SetTimer:
    return SetTimer("trading_calendar", "boundary", utc_ms(text))


def started_calendar() -> TradingCalendar:
    calendar = TradingCalendar(TradingCalendarConfig())
    calendar.handle(STARTED, utc_ms("2014-05-05T12:00:00"))
    return calendar


def test_a_run_starts_with_its_trading_day():
    calendar = TradingCalendar(TradingCalendarConfig())
    assert calendar.handle(STARTED, utc_ms("2014-05-05T12:00:00")) == [
        TradingDayStarted("2014-05-04", utc_ms("2014-05-04T21:00:00"), utc_ms("2014-05-05T21:00:00"), WEEK_ENDS_UTC_MS),
        timer("2014-05-05T21:00:00"),
    ]


def test_the_boundary_starts_the_next_day():
    due = boundary("2014-05-05T21:00:00")
    assert started_calendar().handle(due, due.due_utc_ms) == [
        TradingDayStarted("2014-05-05", utc_ms("2014-05-05T21:00:00"), utc_ms("2014-05-06T21:00:00"), WEEK_ENDS_UTC_MS),
        timer("2014-05-06T21:00:00"),
    ]


def test_a_timer_that_comes_days_late_finds_the_day_that_it_is():
    said = started_calendar().handle(boundary("2014-05-05T21:00:00"), utc_ms("2014-05-09T08:00:00"))
    assert said[0] == TradingDayStarted(
        "2014-05-08", utc_ms("2014-05-08T21:00:00"), utc_ms("2014-05-09T21:00:00"), WEEK_ENDS_UTC_MS
    )


def test_a_restart_within_the_day_only_sets_the_timer_again():
    calendar = TradingCalendar(TradingCalendarConfig())
    restore(calendar, snapshot_of(started_calendar()))
    assert calendar.handle(STARTED, utc_ms("2014-05-05T13:00:00")) == [timer("2014-05-05T21:00:00")]


def test_another_childs_timer_is_nothing_to_it():
    assert started_calendar().handle(TimerDue("position/EURUSD", "boundary", 0), utc_ms("2014-05-07T12:00:00")) == []
