"""Bars of bids by `time // period`. Quotes make M1 bars; closed M1 bars make the longer ones.

A period without quotes makes no bar; a bar is closed by the first quote of a later period. Every period is a whole number of
minutes and starts with one (D1 with the UTC day), so a quote that closes a longer bar closes an M1 bar first.
"""

import operator
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from evenkeel.messages.market import BarClosed, Quote, SymbolSpec
from evenkeel.rules.spreads import lower_median

if TYPE_CHECKING:  # arrays are for replays: a live run does without numpy
    from evenkeel.rules.bar_columns import Bars

PERIOD_MS: Final[dict[str, int]] = {
    "M1": 60_000,
    "M5": 300_000,
    "M15": 900_000,
    "M30": 1_800_000,
    "H1": 3_600_000,
    "H4": 14_400_000,
    "D1": 86_400_000,
}


NEVER_UTC_MS: Final = 2**62
"""After every bar there is."""


class Bar(NamedTuple):
    """One closed bar of bids. `spread_points` is the lower median of its quotes' (a longer bar: its minutes') spreads."""

    open_utc_ms: int
    open_points: int
    high_points: int
    low_points: int
    close_points: int
    close_ask_points: int
    spread_points: int
    quotes: int


class OpenMinute(msgspec.Struct):
    """The quotes of a minute that is not over: one bid and one ask each. Taking in a quote is two appends and no arithmetic."""

    open_utc_ms: int
    ends_utc_ms: int
    bids: list[int]
    asks: list[int]


class OpenBar(msgspec.Struct):
    """A bar of whole minutes. `spreads` are their quotes' spreads in an M1 bar, their medians in a longer one."""

    open_utc_ms: int
    ends_utc_ms: int
    open_points: int
    high_points: int
    low_points: int
    close_points: int
    close_ask_points: int
    quotes: int
    spreads: list[int]


def period_start_utc_ms(time_utc_ms: int, timeframe: str) -> int:
    return time_utc_ms - time_utc_ms % PERIOD_MS[timeframe]


def multiple_after(utc_ms: int, every_ms: int) -> int:
    """The first multiple of `every_ms` after that time."""
    return (utc_ms // every_ms + 1) * every_ms


def opened_by(quote: Quote) -> OpenMinute:
    """The minute that starts with `quote`."""
    open_utc_ms = period_start_utc_ms(quote.time_utc_ms, "M1")
    return OpenMinute(open_utc_ms, open_utc_ms + PERIOD_MS["M1"], [quote.bid_points], [quote.ask_points])


def bar_of(minute: OpenMinute) -> OpenBar:
    """The M1 bar."""
    return OpenBar(
        open_utc_ms=minute.open_utc_ms,
        ends_utc_ms=minute.ends_utc_ms,
        open_points=minute.bids[0],
        high_points=max(minute.bids),
        low_points=min(minute.bids),
        close_points=minute.bids[-1],
        close_ask_points=minute.asks[-1],
        quotes=len(minute.bids),
        spreads=list(map(operator.sub, minute.asks, minute.bids)),
    )


def with_minute(bar: OpenBar | None, minute: BarClosed, timeframe: str) -> OpenBar:
    """The open bar of a longer timeframe after one more closed M1 bar; a new one where `bar` is of another period."""
    open_utc_ms = period_start_utc_ms(minute.open_utc_ms, timeframe)
    if bar is None or bar.open_utc_ms != open_utc_ms:
        return OpenBar(
            open_utc_ms=open_utc_ms,
            ends_utc_ms=open_utc_ms + PERIOD_MS[timeframe],
            open_points=minute.open_points,
            high_points=minute.high_points,
            low_points=minute.low_points,
            close_points=minute.close_points,
            close_ask_points=minute.close_ask_points,
            quotes=minute.quotes,
            spreads=[minute.spread_points],
        )
    bar.high_points = max(bar.high_points, minute.high_points)
    bar.low_points = min(bar.low_points, minute.low_points)
    bar.close_points = minute.close_points
    bar.close_ask_points = minute.close_ask_points
    bar.quotes += minute.quotes
    bar.spreads.append(minute.spread_points)
    return bar


def with_minutes(bar: OpenBar | None, minutes: "Bars", timeframe: str, now_utc_ms: int) -> OpenBar | None:
    """The open bar of a longer timeframe after more closed M1 bars, when a quote of `now_utc_ms` has come; None: none is.

    The same as `with_minute` of each in turn, with the bars of older periods closed. Changes `bar`.
    """
    open_utc_ms = period_start_utc_ms(now_utc_ms, timeframe)
    if bar is not None and bar.open_utc_ms != open_utc_ms:
        bar = None
    more = minutes.cut(int(minutes.open_utc_ms.searchsorted(open_utc_ms)), minutes.size)
    if not more.size:
        return bar
    if bar is None:
        bar = OpenBar(
            open_utc_ms=open_utc_ms,
            ends_utc_ms=open_utc_ms + PERIOD_MS[timeframe],
            open_points=int(more.open_points[0]),
            high_points=int(more.high_points[0]),
            low_points=int(more.low_points[0]),
            close_points=0,
            close_ask_points=0,
            quotes=0,
            spreads=[],
        )
    bar.high_points = max(bar.high_points, int(more.high_points.max()))
    bar.low_points = min(bar.low_points, int(more.low_points.min()))
    bar.close_points = int(more.close_points[-1])
    bar.close_ask_points = int(more.close_ask_points[-1])
    bar.quotes += int(more.quotes.sum())
    bar.spreads += more.spread_points.tolist()
    return bar


def closed(bar: OpenBar, timeframe: str, spec: SymbolSpec, *, spread_median_points: int, quote: Quote, late: bool) -> BarClosed:
    """What is said of `bar` when `quote`, the first of a later period, closes it."""
    return BarClosed(
        symbol=spec.symbol,
        spec_id=spec.spec_id,
        timeframe=timeframe,
        open_utc_ms=bar.open_utc_ms,
        open_points=bar.open_points,
        high_points=bar.high_points,
        low_points=bar.low_points,
        close_points=bar.close_points,
        close_ask_points=bar.close_ask_points,
        spread_points=lower_median(bar.spreads),
        spread_median_points=spread_median_points,
        quotes=bar.quotes,
        quote=quote,
        late=late,
    )
