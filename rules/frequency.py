"""How often: trades by day and hour, requests by second, minute and day, the broker's refusals in a row, slipped fills.

Everything is counted in the run's time, the time of the message that is counted.
"""

from typing import Final

import msgspec

from evenkeel.config.limits import RejectsConfig, RequestsConfig, SlippageConfig
from evenkeel.config.units import Off
from evenkeel.messages.entry import DenialReason
from evenkeel.rules.entries import Refusal

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000


# Trades


class TradeCounts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Opens from fresh signals in the trading day and in `hour`, the clock hour of UTC counted from 1970.

    `days_at_limit` counts finished trading days in a row; a day without any trade, as at weekends, does not end the row.
    """

    today: int = 0
    hour: int = 0
    in_hour: int = 0
    days_at_limit: int = 0


def trades_in_hour(counts: TradeCounts, now_utc_ms: int) -> int:
    return counts.in_hour if counts.hour == now_utc_ms // HOUR_MS else 0


def hour_end_utc_ms(now_utc_ms: int) -> int:
    return (now_utc_ms // HOUR_MS + 1) * HOUR_MS


def trade_counted(counts: TradeCounts, now_utc_ms: int) -> TradeCounts:
    in_hour = trades_in_hour(counts, now_utc_ms) + 1
    return TradeCounts(counts.today + 1, now_utc_ms // HOUR_MS, in_hour, counts.days_at_limit)


def day_counted(counts: TradeCounts, trades_per_day: int | Off) -> TradeCounts:
    """The day is over: its trades no longer count."""
    if counts.today == 0:
        return counts
    was_at_limit = trades_per_day != "off" and counts.today >= trades_per_day
    return TradeCounts(0, counts.hour, counts.in_hour, counts.days_at_limit + 1 if was_at_limit else 0)


# Requests


class RequestCounts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Requests of the trading day, and the times of the last ones, oldest first: no more than the limits look back at."""

    today: int = 0
    latest_utc_ms: tuple[int, ...] = ()


def request_refusal(config: RequestsConfig, counts: RequestCounts, now_utc_ms: int) -> Refusal | None:
    """A limit of the last second, minute or day that another request would break."""
    windows = (
        (DenialReason.REQUESTS_PER_SECOND, _since(counts, now_utc_ms - SECOND_MS), config.open_and_modify_per_s),
        (DenialReason.REQUESTS_PER_MINUTE, _since(counts, now_utc_ms - MINUTE_MS), config.open_and_modify_per_min),
        (DenialReason.REQUESTS_PER_DAY, counts.today, config.open_and_modify_per_day),
    )
    for reason, requests, limit in windows:
        if limit != "off" and requests >= limit:
            return Refusal(reason, requests, limit, "count")
    return None


def request_counted(config: RequestsConfig, counts: RequestCounts, now_utc_ms: int) -> RequestCounts:
    kept = max(0 if limit == "off" else limit for limit in (config.open_and_modify_per_s, config.open_and_modify_per_min))
    latest = (*counts.latest_utc_ms, now_utc_ms)[-kept:] if kept else ()
    return RequestCounts(counts.today + 1, latest)


def request_not_sent(counts: RequestCounts, counted_utc_ms: int) -> RequestCounts:
    """It was counted then, and one of us kept it back after all."""
    latest = list(counts.latest_utc_ms)
    if counted_utc_ms in latest:
        latest.remove(counted_utc_ms)
    return RequestCounts(max(0, counts.today - 1), tuple(latest))


def _since(counts: RequestCounts, utc_ms: int) -> int:
    return sum(at_utc_ms > utc_ms for at_utc_ms in counts.latest_utc_ms)


# Refusals of the broker


class RejectCounts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Requests in a row that the broker refused or left without an answer, and how often that has held entries."""

    in_a_row: int = 0
    holds: int = 0


def reject_counted(config: RejectsConfig, counts: RejectCounts, *, is_held: bool) -> tuple[RejectCounts, int]:
    """With how long entries are held for it now, 0 for not at all: what is held already is not held longer."""
    counts = RejectCounts(counts.in_a_row + 1, counts.holds)
    if config.in_a_row_max == "off" or counts.in_a_row < config.in_a_row_max or is_held:
        return counts, 0
    minutes = min(config.hold_minutes_max, config.hold_minutes * 2 ** min(counts.holds, _DOUBLINGS_MAX))
    return RejectCounts(counts.in_a_row, counts.holds + 1), round(minutes * MINUTE_MS)


_DOUBLINGS_MAX: Final = 20
"""The longest hold that can be configured is reached long before."""


# Slipped fills


def slippage_points_max(config: SlippageConfig, spread_median_points: int, floor_points: int) -> int | None:
    """How much worse than its quote a fill may be; None: off."""
    if config.multiple_max == "off":
        return None
    return max(int(config.multiple_max * spread_median_points), floor_points)


def slip_counted(config: SlippageConfig, slips_utc_ms: tuple[int, ...], now_utc_ms: int) -> tuple[tuple[int, ...], bool]:
    """The slipped fills that still count, this one included, and whether they are too many; then counting starts anew."""
    since_utc_ms = now_utc_ms - round(config.within_minutes * MINUTE_MS)
    slips = (*(at_utc_ms for at_utc_ms in slips_utc_ms if at_utc_ms >= since_utc_ms), now_utc_ms)
    return ((), True) if len(slips) >= config.breaches_max else (slips, False)
