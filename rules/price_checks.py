"""What is wrong with recorded prices: of quotes as they come, some at a time, and of bars.

Nothing is mended here. Times are milliseconds by whatever clock the file has, prices whole points.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evenkeel.rules.bar_columns import Column
from evenkeel.rules.bars import PERIOD_MS
from evenkeel.rules.price_flaws import JUMP_RATIO_MAX, SCALE_RATIO_MAX, Flaw
from evenkeel.rules.server_zone import HOUR_MS, MINUTE_MS, WeekEnd, week_ends

QUOTES: Final = ("bid", "ask")
SIDE: Final = ("open", "high", "low", "close")
SPREAD_BARS: Final = (*SIDE, "spread")
BARS: Final = tuple(f"{side}_{stage}" for side in QUOTES for stage in SIDE)
"""What the columns of prices are: quotes, bars of one side, the same with the spread in points, bars of bid and ask."""

EXAMPLES_MAX: Final = 3
PAUSE_MS_MIN: Final = 30 * MINUTE_MS
PAUSES_MAX: Final = 1_000_000
STRANGE_RUN_MIN: Final = 5
"""So many rows in a row, each as far from the next as bars of another timeframe are."""
COARSE_RATIO: Final = 0.5
HOLIDAY_MS_MAX: Final = 100 * HOUR_MS
HOLIDAYS: Final = ((12, 25), (1, 1))
"""Month and day on which nothing is traded anywhere; a week end may stand beside."""

Flags = NDArray[np.bool_]
_DAY_MS: Final = 24 * HOUR_MS


class PriceRows(NamedTuple):
    """Some rows in file order: their times, their columns of prices, and where in the file each stands (line or row)."""

    time_ms: Column
    prices: tuple[Column, ...]
    place: Column


class Example(msgspec.Struct, frozen=True):
    """`until_ms` and a length are of gaps alone."""

    place: int
    time_ms: int
    until_ms: int | None = None


class Finding(msgspec.Struct, frozen=True):
    flaw: Flaw
    count: int
    examples: tuple[Example, ...] = ()
    text: str = ""


class Checked(NamedTuple):
    """`period_ms` is that of bars, None of quotes, and of bars that are too few. `decimals` that prices do have."""

    rows: int
    first_ms: int | None
    last_ms: int | None
    period_ms: int | None
    decimals: int
    week_ends: list[WeekEnd]
    holidays: int
    findings: list[Finding]


class PriceChecks:
    """Of one file with the columns `names` (one of the four above), in points of `digits`. `typical` None: no test of scale."""

    def __init__(self, names: tuple[str, ...], digits: int, typical: Fraction | None) -> None:
        self._names, self._digits = names, digits
        self._typical_points = None if typical is None else float(typical * 10**digits)
        self._before: PriceRows | None = None
        self._rows, self._coarse, self._gcd = 0, 0, 0
        self._first_ms: int | None = None
        self._counts: dict[Flaw, int] = {}
        self._examples: dict[Flaw, list[Example]] = {}
        self._pauses: list[tuple[int, int, int]] = []
        self._bar_times: list[PriceRows] = []

    def take(self, rows: PriceRows) -> None:
        """The next rows of the file, at least one."""
        if self._first_ms is None:
            self._first_ms = int(rows.time_ms[0])
        self._rows += len(rows.time_ms)
        self._coarse += int(np.count_nonzero(rows.time_ms % MINUTE_MS == 0))
        prices = [column for name, column in zip(self._names, rows.prices, strict=True) if name != "spread"]
        for column in prices:
            self._gcd = int(np.gcd(self._gcd, np.gcd.reduce(column)))
        self._see_prices(rows, prices)
        self._see_neighbours(rows if self._before is None else joined(self._before, rows), self._before is None)
        if self._names != QUOTES:
            self._bar_times.append(PriceRows(rows.time_ms, (), rows.place))
        self._before = PriceRows(rows.time_ms[-1:], tuple(column[-1:] for column in rows.prices), rows.place[-1:])

    def found(self, gap_minutes: float) -> Checked:
        """What was seen until now."""
        last_ms = None if self._before is None else int(self._before.time_ms[-1])
        period_ms = self._see_timeframe() if self._bar_times else None
        gaps, ends, holidays = self._sorted_pauses(gap_minutes * MINUTE_MS, period_ms or 0)
        if self._names == QUOTES and self._coarse > COARSE_RATIO * self._rows:
            self._counts[Flaw.COARSE] = self._coarse
        if gaps:
            self._counts[Flaw.GAP] = len(gaps)
            self._examples[Flaw.GAP] = sorted(gaps, key=lambda gap: gap.time_ms - (gap.until_ms or 0))[:EXAMPLES_MAX]
        findings = [
            Finding(flaw, self._counts[flaw], tuple(self._examples.get(flaw, ()))) for flaw in Flaw if self._counts.get(flaw)
        ]
        return Checked(self._rows, self._first_ms, last_ms, period_ms, self._decimals(), ends, holidays, findings)

    def _see_prices(self, rows: PriceRows, prices: list[Column]) -> None:
        by_name = dict(zip(self._names, rows.prices, strict=True))
        if self._typical_points is not None:
            self._note(Flaw.SCALE, of_other_scale(prices, self._typical_points), rows)
        if self._names == QUOTES:
            self._note(Flaw.CROSSED, by_name["bid"] > by_name["ask"], rows)
        elif self._names == BARS:
            is_crossed = [by_name[f"bid_{stage}"] > by_name[f"ask_{stage}"] for stage in SIDE]
            self._note(Flaw.CROSSED, np.logical_or.reduce(is_crossed), rows)
        if self._names != QUOTES:
            self._note(Flaw.EXTREMES, outside_extremes(self._names, rows.prices), rows)

    def _see_neighbours(self, rows: PriceRows, is_first: bool) -> None:
        """The row before stands in front, unless they are the first."""
        steps = np.diff(rows.time_ms)
        later = PriceRows(rows.time_ms[1:], tuple(column[1:] for column in rows.prices), rows.place[1:])
        self._note(Flaw.BACK, steps < 0, later)
        is_same = steps == 0
        if self._names == QUOTES:
            for column in rows.prices:
                is_same = is_same & (np.diff(column) == 0)
        self._note(Flaw.REPEATED, is_same, later)
        price = rows.prices[0].astype(np.float64)
        is_jump = (price[1:] > price[:-1] * JUMP_RATIO_MAX) | (price[1:] * JUMP_RATIO_MAX < price[:-1])
        self._note(Flaw.JUMP, is_jump, later)
        for number in np.flatnonzero(steps >= PAUSE_MS_MIN).tolist() if self._names == QUOTES else ():
            if len(self._pauses) < PAUSES_MAX:
                self._pauses.append((int(rows.time_ms[number]), int(rows.time_ms[number + 1]), int(rows.place[number])))

    def _see_timeframe(self) -> int | None:
        """The period of most bars; notes the rows that have another one, and where the bars pause."""
        times = np.concatenate([rows.time_ms for rows in self._bar_times])
        place = np.concatenate([rows.place for rows in self._bar_times])
        steps = np.diff(times)
        lengths, counts = np.unique(steps[steps > 0], return_counts=True)
        known = [
            (int(count), int(length)) for length, count in zip(lengths, counts, strict=True) if length in PERIOD_MS.values()
        ]
        if not known:
            return None
        _, period_ms = max(known)
        is_strange = (steps > 0) & (steps < period_ms)
        for longer_ms in PERIOD_MS.values():
            if longer_ms > period_ms:
                over_days = (steps >= _DAY_MS) & (steps % longer_ms == 0)  # a week end or a holiday ends no run
                is_strange |= _in_runs((steps == longer_ms) | over_days)
        self._counts.pop(Flaw.TIMEFRAMES, None)
        self._examples.pop(Flaw.TIMEFRAMES, None)
        self._note(Flaw.TIMEFRAMES, is_strange, PriceRows(times[1:], (), place[1:]))
        numbers = np.flatnonzero(steps > period_ms)[:PAUSES_MAX].tolist()
        self._pauses = [(int(times[number]), int(times[number + 1]), int(place[number])) for number in numbers]
        return period_ms

    def _sorted_pauses(self, gap_ms: float, period_ms: int) -> tuple[list[Example], list[WeekEnd], int]:
        gaps, ends, holidays = [], [], 0
        for last_ms, first_ms, place in self._pauses:
            is_long = first_ms - last_ms - period_ms > max(gap_ms, period_ms)
            if end := week_ends([WeekEnd(last_ms, first_ms)]):
                ends += end
            elif is_long and _holds_holiday(last_ms, first_ms):
                holidays += 1
            elif is_long:
                gaps.append(Example(place, last_ms, first_ms))
        return gaps, ends, holidays

    def _note(self, flaw: Flaw, is_flawed: Flags, rows: PriceRows) -> None:
        numbers = np.flatnonzero(is_flawed)
        if not len(numbers):
            return
        self._counts[flaw] = self._counts.get(flaw, 0) + len(numbers)
        kept = self._examples.setdefault(flaw, [])
        for number in numbers[: EXAMPLES_MAX - len(kept)].tolist():
            kept.append(Example(int(rows.place[number]), int(rows.time_ms[number])))

    def _decimals(self) -> int:
        return next((self._digits - zeros for zeros in range(self._digits, 0, -1) if self._gcd % 10**zeros == 0), self._digits)


def of_other_scale(prices: Sequence[Column], typical_points: float) -> Flags:
    """Rows with a price that is not within SCALE_RATIO_MAX of the usual one."""
    highest, lowest = np.maximum.reduce(prices), np.minimum.reduce(prices)
    is_other: Flags = (highest > typical_points * SCALE_RATIO_MAX) | (lowest < typical_points / SCALE_RATIO_MAX)
    return is_other


def outside_extremes(names: tuple[str, ...], prices: Sequence[Column]) -> Flags:
    """Bars of any kind whose open or close is not between low and high."""
    by_name = dict(zip(names, prices, strict=True))
    is_outside = np.zeros(len(prices[0]), np.bool_)
    for prefix in ("bid_", "ask_") if names == BARS else ("",):
        low, high = by_name[f"{prefix}low"], by_name[f"{prefix}high"]
        for stage in ("open", "close"):
            is_outside |= (by_name[prefix + stage] < low) | (by_name[prefix + stage] > high)
    return is_outside


def joined(first: PriceRows, second: PriceRows) -> PriceRows:
    """One after the other."""
    return PriceRows(
        np.concatenate([first.time_ms, second.time_ms]),
        tuple(np.concatenate(pair) for pair in zip(first.prices, second.prices, strict=True)),
        np.concatenate([first.place, second.place]),
    )


def _in_runs(is_so: Flags) -> Flags:
    """Only where it is so STRANGE_RUN_MIN times in a row."""
    if len(is_so) < STRANGE_RUN_MIN:
        return np.zeros(len(is_so), np.bool_)
    runs = np.logical_and.reduce(np.lib.stride_tricks.sliding_window_view(is_so, STRANGE_RUN_MIN), axis=1)
    kept = np.zeros(len(is_so), np.bool_)
    for shift in range(STRANGE_RUN_MIN):
        kept[shift : shift + len(runs)] |= runs
    return kept


def _holds_holiday(last_ms: int, first_ms: int) -> bool:
    """Christmas or New Year by the file's own clock."""
    if first_ms - last_ms > HOLIDAY_MS_MAX:
        return False
    days = range(last_ms // _DAY_MS, first_ms // _DAY_MS + 1)
    return any(_month_and_day(day) in HOLIDAYS for day in days)


def _month_and_day(day: int) -> tuple[int, int]:
    _, month, of_month = str(np.datetime64(day, "D")).split("-")
    return int(month), int(of_month)
