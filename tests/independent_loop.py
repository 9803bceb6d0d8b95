"""The back-test of ma_cross as one plain loop, written from the rules alone. It shares no line with the product."""

from collections.abc import Sequence
from typing import NamedTuple


class Trade(NamedTuple):
    direction: str
    open_utc_ms: int
    open_points: int
    close_utc_ms: int
    close_points: int
    reason: str
    profit_cents: int


class LoopResult(NamedTuple):
    trades: list[Trade]
    open: list[tuple[str, int, int]]  # direction, open_utc_ms, open_points
    quotes: int
    bars: int
    crossed_dropped: int
    repeats_dropped: int
    net_cents: int


def run(
    times: Sequence[int],
    bids: Sequence[int],
    asks: Sequence[int],
    *,
    fast: int,
    slow: int,
    period_ms: int,
    stop_points: int = 100,
    target_points: int = 200,
    emergency_ratio: float = 1.5,
    cents_per_point: int = 10,
) -> LoopResult:
    """Takes every row of the file, in points. `cents_per_point` is the worth of a point of the whole volume (0.10 lot: 10)."""
    trades: list[Trade] = []
    closes: list[int] = []
    position: tuple[str, int, int] | None = None
    row_before = (0, 0, 0)
    period, last_bid = None, 0
    quotes = crossed = repeats = 0

    for row in zip(times, bids, asks, strict=True):
        if row == row_before:
            repeats += 1
            continue
        row_before = row
        time, bid, ask = row
        if bid > ask:
            crossed += 1
            continue
        quotes += 1

        if position is not None:
            price = bid if position[0] == "buy" else ask
            won = price - position[2] if position[0] == "buy" else position[2] - price
            reason = None
            if won <= -emergency_ratio * stop_points:
                reason = "emergency"
            elif won <= -stop_points:
                reason = "stop"
            elif won >= target_points:
                reason = "target"
            if reason is not None:
                trades.append(Trade(*position, time, price, reason, won * cents_per_point))
                position = None

        if period is not None and time // period_ms > period:
            closes.append(last_bid)
            direction = cross(closes, fast, slow)
            if direction is not None and position is None:
                position = (direction, time, ask if direction == "buy" else bid)
        period, last_bid = time // period_ms, bid

    still_open = [] if position is None else [position]
    return LoopResult(trades, still_open, quotes, len(closes), crossed, repeats, sum(trade.profit_cents for trade in trades))


def cross(closes: Sequence[int], fast: int, slow: int) -> str | None:
    if len(closes) < slow + 1:
        return None
    now = fast_above_slow(closes[-slow:], fast, slow)
    before = fast_above_slow(closes[-slow - 1 : -1], fast, slow)
    return "buy" if now > 0 >= before else "sell" if now < 0 <= before else None


def fast_above_slow(last: Sequence[int], fast: int, slow: int) -> int:
    """Mean of the last `fast` closes less the mean of all `slow`, times fast * slow, so that it stays whole."""
    return sum(last[-fast:]) * slow - sum(last) * fast
