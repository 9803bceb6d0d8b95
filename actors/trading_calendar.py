"""Says when a trading day starts."""

from typing import assert_never

import msgspec

from evenkeel.config.schema import TradingCalendarConfig
from evenkeel.messages.system import Message, RunStarted, SetTimer, TimerDue
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.trading_calendar import day_end, day_start, trading_day, week_end


class TradingCalendarState(msgspec.Struct):
    day: str = ""


class TradingCalendar:
    """Wakes at each boundary. A timer that comes late, after a sleep or a stop, finds the day that it is now."""

    def __init__(self, config: TradingCalendarConfig, name: str = "trading_calendar") -> None:
        self.config, self.name, self.state = config, name, TradingCalendarState()

    def handle(self, message: RunStarted | TimerDue, now_utc_ms: int) -> list[Message]:
        match message:
            case RunStarted():
                return self._look(now_utc_ms)
            case TimerDue():
                return self._look(now_utc_ms) if message.owner == self.name else []
            case _:
                assert_never(message)

    def _look(self, now_utc_ms: int) -> list[Message]:
        boundary, zone = self.config.day_boundary, self.config.zone
        ends_utc_ms = day_end(now_utc_ms, boundary, zone)
        timer = SetTimer(owner=self.name, name="boundary", due_utc_ms=ends_utc_ms)
        day = trading_day(now_utc_ms, boundary, zone)
        if day == self.state.day:
            return [timer]
        self.state.day = day
        started_utc_ms = day_start(now_utc_ms, boundary, zone)
        week_ends_utc_ms = week_end(now_utc_ms, boundary, zone)
        return [TradingDayStarted(day, started_utc_ms, ends_utc_ms, week_ends_utc_ms), timer]
