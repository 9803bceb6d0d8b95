"""Two moving averages of bid closes, and the bar on which the fast one crosses the slow one."""

import msgspec

from evenkeel.messages.market import Direction


class MaWindow(msgspec.Struct):
    """The last `slow` closes of one symbol, oldest first, their sums, and the sign of fast minus slow at the newest bar.

    `sign` is None until there are `slow` closes.
    """

    closes: list[int] = []
    fast_sum: int = 0
    slow_sum: int = 0
    sign: int | None = None


def crossing(window: MaWindow, close_points: int, *, fast: int, slow: int) -> Direction | None:
    """Add a close; BUY when d(i) > 0 and d(i-1) <= 0, SELL when d(i) < 0 and d(i-1) >= 0, else None.

    d(i) = sign(mean of the last `fast` closes - mean of the last `slow`), compared in integers. Needs 1 <= fast < slow, and
    `slow` closes at both bars.
    """
    before = window.sign
    _add(window, close_points, fast, slow)
    if len(window.closes) == slow:
        window.sign = _sign(window.fast_sum * slow - window.slow_sum * fast)
    if before is None or window.sign is None:
        return None
    if window.sign > 0 and before <= 0:
        return Direction.BUY
    if window.sign < 0 and before >= 0:
        return Direction.SELL
    return None


def _add(window: MaWindow, close_points: int, fast: int, slow: int) -> None:
    closes = window.closes
    window.fast_sum += close_points - (closes[-fast] if len(closes) >= fast else 0)
    window.slow_sum += close_points
    if len(closes) == slow:
        window.slow_sum -= closes.pop(0)
    closes.append(close_points)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
