"""The trading day."""

from evenkeel.messages.system import Message


class TradingDayStarted(Message, frozen=True):
    """`day` is the ISO date of the trading day; it ends at `ends_utc_ms`, the configured boundary.

    `week_ends_utc_ms` is the boundary at which its week ends, 0 in records that do not tell.
    """

    day: str
    started_utc_ms: int
    ends_utc_ms: int
    week_ends_utc_ms: int = 0
