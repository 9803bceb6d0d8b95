"""The trading day."""

from evenkeel.messages.system import Message


class TradingDayStarted(Message, frozen=True):
    """`day` is the ISO date of the trading day; it ends at `ends_utc_ms`, the configured boundary."""

    day: str
    started_utc_ms: int
    ends_utc_ms: int
