"""The bars that a simulated terminal shows: its own history before the first quote, and what the quotes made since."""

import math
from collections import deque
from random import Random
from typing import Final

from evenkeel.adapters.mt5 import constants as mt5

MINUTE_S: Final = 60
DAY_S: Final = 86_400
PERIOD_S: Final[dict[int, int]] = {
    **{getattr(mt5, f"TIMEFRAME_M{n}"): n * MINUTE_S for n in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)},
    **{getattr(mt5, f"TIMEFRAME_H{n}"): n * 3600 for n in (1, 2, 3, 4, 6, 8, 12)},
    mt5.TIMEFRAME_D1: DAY_S,
    mt5.TIMEFRAME_W1: 7 * DAY_S,
    mt5.TIMEFRAME_MN1: 31 * DAY_S,
}
_SUNDAY_S: Final = 3 * DAY_S  # 1 January 1970 was a Thursday; weeks begin on Sunday
_MINUTES_BEFORE: Final = 3 * 1440
_HOURS_BEFORE: Final = 400 * 24
_MINUTE_DEVIATION: Final = 0.00015

Bar = tuple[int, int, int, int, int, int, int]
"""Open time in server seconds, open, high, low, close in points, count of ticks, spread in points."""


class Rates:
    """One symbol's bars, at most `maxbars` of them; a period without quotes makes no bar."""

    def __init__(self, maxbars: int) -> None:
        self._minutes: deque[Bar] = deque(maxlen=maxbars)
        self._hours: list[Bar] = []

    def seed(self, seed: str, server_s: int, price_points: int, spread_points: int) -> None:
        """A history that ends at `price_points` just before `server_s`: minutes of three days, before them hours of 400."""
        draw = Random(seed)
        minute_s = server_s // MINUTE_S * MINUTE_S
        minutes = _before(draw, price_points, minute_s, MINUTE_S, _MINUTES_BEFORE, spread_points)
        hour_s = minutes[0][0] // 3600 * 3600
        minutes = [bar for bar in minutes if bar[0] >= hour_s + 3600]
        self._hours = _before(draw, minutes[0][1], hour_s + 3600, 3600, _HOURS_BEFORE, spread_points)
        kept = list(self._minutes)
        self._minutes.clear()
        self._minutes.extend([*minutes, *kept])

    def add(self, server_s: int, bid_points: int, spread_points: int) -> None:
        """A quote, in the order of time."""
        open_s = server_s - server_s % MINUTE_S
        if self._minutes and self._minutes[-1][0] == open_s:
            _, opened, high, low, _, count, spread = self._minutes[-1]
            self._minutes[-1] = (
                open_s,
                opened,
                max(high, bid_points),
                min(low, bid_points),
                bid_points,
                count + 1,
                min(spread, spread_points),
            )
        else:
            self._minutes.append((open_s, bid_points, bid_points, bid_points, bid_points, 1, spread_points))

    def bars(self, timeframe: int) -> list[Bar]:
        """Every bar there is, oldest first; minutes are known for a shorter time than hours. Raises KeyError."""
        period_s = PERIOD_S[timeframe]
        if period_s == MINUTE_S:
            return list(self._minutes)
        source: list[Bar] = list(self._minutes) if period_s < 3600 else [*self._hours, *self._minutes]
        bars: list[Bar] = []
        for bar in source:
            start_s = _start_s(bar[0], timeframe, period_s)
            if bars and bars[-1][0] == start_s:
                _, opened, high, low, _, count, spread = bars[-1]
                bars[-1] = (start_s, opened, max(high, bar[2]), min(low, bar[3]), bar[4], count + bar[5], min(spread, bar[6]))
            else:
                bars.append((start_s, *bar[1:]))
        return bars


def _start_s(server_s: int, timeframe: int, period_s: int) -> int:
    if timeframe == mt5.TIMEFRAME_MN1:
        from datetime import UTC, datetime

        moment = datetime.fromtimestamp(server_s, UTC)
        return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp())
    if timeframe == mt5.TIMEFRAME_W1:
        return (server_s - _SUNDAY_S) // period_s * period_s + _SUNDAY_S
    return server_s // period_s * period_s


def _before(draw: Random, close_points: int, end_s: int, period_s: int, count: int, spread_points: int) -> list[Bar]:
    """`count` bars up to `end_s`, made backwards from the close of the last one; none on weekends for hours."""
    bars: list[Bar] = []
    deviation = _MINUTE_DEVIATION * math.sqrt(period_s / MINUTE_S)
    close, start_s = float(close_points), end_s
    while len(bars) < count:
        start_s -= period_s
        if period_s > MINUTE_S and (start_s // DAY_S + 4) % 7 in (0, 6):
            continue
        opened = close * (1 - deviation * (draw.random() + draw.random() + draw.random() - 1.5))
        high = max(opened, close) * (1 + deviation * draw.random() / 2)
        low = min(opened, close) * (1 - deviation * draw.random() / 2)
        bars.append((start_s, round(opened), round(high), round(low), round(close), period_s // 2, spread_points))
        close = opened
    bars.reverse()
    return bars
