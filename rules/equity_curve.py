"""Equity of a back-test afterwards: from its deals and the M1 bars, not from anything that was said on the way.

Equity is the start balance, what closed trades made, and what floats at the last M1 close of each symbol: a BUY at the bid, a
SELL at the ask, by the terms' worth of a point, without costs that are not charged yet.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import numpy as np

from evenkeel.messages.market import Direction, SymbolSpec
from evenkeel.rules.bar_columns import Bars, Column
from evenkeel.rules.bars import PERIOD_MS


class Held(NamedTuple):
    """A position from its opening to its close; `net_cents` is what it made. Still open: the close is None, the net 0."""

    symbol: str
    direction: Direction
    volume_steps: int
    entry_points: int
    opened_utc_ms: int
    closed_utc_ms: int | None
    net_cents: int


class Day(msgspec.Struct, frozen=True):
    """A day of UTC on which something was held or closed: closed trades, their net, and the last equity of the day."""

    date: str
    trades: int
    net_cents: int
    equity_cents: int


class EquityCurve(NamedTuple):
    """`drawdown_max_cents`: the largest fall from an earlier peak, at M1 closes and deals; the start counts as a peak."""

    drawdown_max_cents: int
    days: list[Day]


class Samples(NamedTuple):
    """Equity at each M1 close while something was held, and at each close of a position, in order of time."""

    utc_ms: Column
    equity_cents: Column

    def drawdowns_cents(self, start_cents: int) -> Column:
        """How far equity was below its highest value so far, the start included, at each sample."""
        return self._peaks(start_cents) - self.equity_cents

    def drawdown_max_ratio(self, start_cents: int) -> float:
        """The largest fall as a share of the peak before it; 0 without samples or with a peak that is not positive."""
        peaks = self._peaks(start_cents)
        if not len(peaks) or start_cents <= 0:
            return 0.0
        return float(((peaks - self.equity_cents) / peaks).max())

    def _peaks(self, start_cents: int) -> Column:
        peaks: Column = np.maximum(np.maximum.accumulate(self.equity_cents), start_cents)
        return peaks


def equity_curve(
    start_balance_cents: int, held: Sequence[Held], specs: Mapping[str, SymbolSpec], minutes: Mapping[str, Bars]
) -> EquityCurve:
    """`minutes` has all M1 bars of each symbol; the last one is open and marks nothing."""
    return curve_of(start_balance_cents, equity_samples(start_balance_cents, held, specs, minutes), held)


def equity_samples(
    start_balance_cents: int, held: Sequence[Held], specs: Mapping[str, SymbolSpec], minutes: Mapping[str, Bars]
) -> Samples:
    """As `equity_curve`, each sample by itself."""
    moves = [move for one in held for move in _moves(one, specs[one.symbol], minutes[one.symbol])]
    if not moves:
        return Samples(np.empty(0, np.int64), np.empty(0, np.int64))
    times, cents = (np.concatenate(column) for column in zip(*moves, strict=True))
    order = np.argsort(times, kind="stable")
    return Samples(times[order], start_balance_cents + np.cumsum(cents[order]))


def curve_of(start_cents: int, samples: Samples, held: Sequence[Held]) -> EquityCurve:
    """What the samples come to; `held` are the trades that its days count."""
    if not len(samples.utc_ms):
        return EquityCurve(0, [])
    deepest_cents = int(samples.drawdowns_cents(start_cents).max())
    return EquityCurve(deepest_cents, _days(samples.utc_ms, samples.equity_cents, held))


def _moves(held: Held, spec: SymbolSpec, minutes: Bars) -> Iterator[tuple[Column, Column]]:
    """Times, and by how much equity moves at each: at the M1 closes while it is held, then at its close."""
    opens = minutes.open_utc_ms[:-1]
    first = int(opens.searchsorted(held.opened_utc_ms - PERIOD_MS["M1"], side="right"))
    last = len(opens)
    if held.closed_utc_ms is not None:
        last = max(first, int(opens.searchsorted(held.closed_utc_ms - PERIOD_MS["M1"], side="right")))
    floating = _floating_cents(held, spec, minutes.cut(first, last))
    if len(floating):
        yield opens[first:last] + PERIOD_MS["M1"], np.diff(floating, prepend=0)
    if held.closed_utc_ms is not None:
        before = int(floating[-1]) if len(floating) else 0
        yield np.array([held.closed_utc_ms]), np.array([held.net_cents - before])


def _floating_cents(held: Held, spec: SymbolSpec, minutes: Bars) -> Column:
    """At each M1 close, to the nearest cent."""
    is_buy = held.direction is Direction.BUY
    points = minutes.close_points - held.entry_points if is_buy else held.entry_points - minutes.close_ask_points
    cents: Column = np.rint(points * (held.volume_steps * spec.worth.numerator / spec.worth.denominator / spec.steps_per_lot))
    return cents.astype(np.int64)


def _days(times: Column, equity: Column, held: Sequence[Held]) -> list[Day]:
    numbers = times // PERIOD_MS["D1"]
    last = np.append(np.flatnonzero(np.diff(numbers)), len(numbers) - 1)
    trades: dict[int, list[int]] = {}
    for one in held:
        if one.closed_utc_ms is not None:
            trades.setdefault(one.closed_utc_ms // PERIOD_MS["D1"], []).append(one.net_cents)
    return [
        Day(_date(number), len(trades.get(number, ())), sum(trades.get(number, ())), equity_cents)
        for number, equity_cents in zip(numbers[last].tolist(), equity[last].tolist(), strict=True)
    ]


def _date(number: int) -> str:
    return datetime.fromtimestamp(number * PERIOD_MS["D1"] / 1000, UTC).date().isoformat()
