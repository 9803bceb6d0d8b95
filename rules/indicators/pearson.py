"""Pearson's correlation of two series of moves, exact to the last rounding; and of two symbols' bars as they close."""

from math import isqrt
from typing import Final

import msgspec

from evenkeel.rules.sizing import PPM

PAIR_MOVES: Final = 60
WAITING_MAX: Final = 60
"""Bars of one symbol that wait for the other's; a longer silence of the other loses the oldest."""


class Moments(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Sums over pairs of moves x, y in points."""

    count: int = 0
    x: int = 0
    y: int = 0
    xx: int = 0
    yy: int = 0
    xy: int = 0

    def plus(self, x: int, y: int) -> "Moments":
        return Moments(self.count + 1, self.x + x, self.y + y, self.xx + x * x, self.yy + y * y, self.xy + x * y)

    def minus(self, x: int, y: int) -> "Moments":
        return Moments(self.count - 1, self.x - x, self.y - y, self.xx - x * x, self.yy - y * y, self.xy - x * y)


class Pair(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Two symbols' bars of one timeframe on their way.

    `waiting` are (open time, close) of the bars of one of them that the other has none of yet, oldest first;
    `is_other_waiting` says whose. `met_utc_ms` and `closes_points` are of the last two bars that opened together, `moves` from
    each such pair to the next, oldest first, at most PAIR_MOVES, and `moments` their sums.
    """

    waiting: tuple[tuple[int, int], ...] = ()
    is_other_waiting: bool = False
    met_utc_ms: int | None = None
    closes_points: tuple[int, int] = (0, 0)
    moves: tuple[tuple[int, int], ...] = ()
    moments: Moments = Moments()


def pearson_ppm(moments: Moments) -> int | None:
    """-PPM to PPM, rounded toward 0; None for no moves, and when one series has only one value."""
    spread_x = moments.count * moments.xx - moments.x * moments.x
    spread_y = moments.count * moments.yy - moments.y * moments.y
    if spread_x == 0 or spread_y == 0:
        return None
    together = moments.count * moments.xy - moments.x * moments.y
    size_ppm = isqrt(together * together * PPM * PPM // (spread_x * spread_y))
    return size_ppm if together >= 0 else -size_ppm


def pair_after(pair: Pair, *, is_other: bool, open_utc_ms: int, close_points: int) -> Pair:
    """Takes in one closed bar of the first symbol or of the other.

    Bars of one symbol come in the order of their opens, those of the two in any order; a bar at whose open the other symbol
    has none takes no part, and one that comes twice changes nothing.
    """
    if pair.met_utc_ms is not None and open_utc_ms <= pair.met_utc_ms:
        return pair
    if pair.is_other_waiting == is_other:
        if pair.waiting and open_utc_ms <= pair.waiting[-1][0]:
            return pair
        waiting = (*pair.waiting, (open_utc_ms, close_points))[-WAITING_MAX:]
        return msgspec.structs.replace(pair, waiting=waiting)
    waiting = tuple(bar for bar in pair.waiting if bar[0] >= open_utc_ms)
    if not waiting:
        return msgspec.structs.replace(pair, waiting=((open_utc_ms, close_points),), is_other_waiting=is_other)
    pair = msgspec.structs.replace(pair, waiting=waiting)
    if waiting[0][0] > open_utc_ms:
        return pair
    met_points = waiting[0][1]
    closes_points = (met_points, close_points) if is_other else (close_points, met_points)
    return _met(msgspec.structs.replace(pair, waiting=waiting[1:]), open_utc_ms, closes_points)


def pair_ppm(pair: Pair) -> int | None:
    """The correlation of the last PAIR_MOVES moves; None while there are fewer, and when one symbol did not move alone."""
    return pearson_ppm(pair.moments) if len(pair.moves) == PAIR_MOVES else None


def _met(pair: Pair, open_utc_ms: int, closes_points: tuple[int, int]) -> Pair:
    moves, moments = pair.moves, pair.moments
    if pair.met_utc_ms is not None:
        x, y = closes_points[0] - pair.closes_points[0], closes_points[1] - pair.closes_points[1]
        moves, moments = (*moves, (x, y)), moments.plus(x, y)
    if len(moves) > PAIR_MOVES:
        moments, moves = moments.minus(*moves[0]), moves[1:]
    return Pair(pair.waiting, pair.is_other_waiting, open_utc_ms, closes_points, moves, moments)
