"""Whether a strategy keeps its word: what it answers at a bar, it answers from the last `window_bars` bars alone.

A back-test asks once for all bars, a live run bar by bar, and both may start anywhere. Where these differ, the trades of a
back-test are not those of a live run.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from evenkeel.rules.bar_columns import Bars, Signals
from evenkeel.rules.bars import PERIOD_MS
from evenkeel.rules.strategy import BarStrategy, VectorisedStrategy, foreseen, streamed

SPEAKING_BARS_MAX: Final = 2_000
"""Of the bars at which it says something, so many are recomputed: the first ones."""


class Fault(StrEnum):
    LOOK_AHEAD = "signals() answers otherwise when later bars are not known yet: it looks ahead"
    WARM_UP = "a new strategy answers otherwise after the last window_bars bars: window_bars is too short"
    FORMS = "on_bar() and signals() answer differently"


class Difference(NamedTuple):
    """The first bar that differs, its number among the bars, what it was expected to answer, and what was found."""

    fault: Fault
    number: int
    open_utc_ms: int
    expected: int
    found: int


def first_difference(make: Callable[[], BarStrategy], bars: Bars, *, samples: int, seed: int) -> Difference | None:
    """Recompute bars with only the past: all at which something is said (at most SPEAKING_BARS_MAX) and `samples` others.

    `make` gives a new strategy each time. on_bar is compared with signals at every bar. Of a strategy without signals only
    the warm-up can be wrong. Raises StrategyBroken.
    """
    answers = foreseen(make(), bars)
    by_bar = streamed(make(), bars)
    found = list(_formed(answers, by_bar, bars))
    for number in _sampled(answers, by_bar, samples, seed):
        if number <= min((one.number for one in found), default=number):
            found += _recomputed(make, bars, number, answers, by_bar)
    return min(found, key=lambda one: (one.number, list(Fault).index(one.fault)), default=None)


def synthetic_bars(seed: int, count: int) -> Bars:
    """M1 bars of a seeded walk with jumps, flat spells and missing minutes, for a check where no recorded bars are at hand."""
    dice = np.random.default_rng(seed)
    moves = dice.integers(-12, 13, count) * (dice.random(count) < 0.8) + 400 * (dice.random(count) < 0.002)
    close = 110_000 + np.cumsum(moves).astype(np.int64)
    before = np.concatenate([close[:1], close[:-1]])
    reach = dice.integers(0, 10, (2, count))
    spread = dice.integers(5, 15, count)
    minutes = np.cumsum(1 + 30 * (dice.random(count) < 0.01))
    return Bars(
        open_utc_ms=1_767_571_200_000 + minutes * PERIOD_MS["M1"],
        open_points=before,
        high_points=np.maximum(before, close) + reach[0],
        low_points=np.minimum(before, close) - reach[1],
        close_points=close,
        close_ask_points=close + spread,
        spread_points=spread,
        quotes=dice.integers(1, 60, count),
    )


def _formed(answers: Signals, by_bar: Signals, bars: Bars) -> Iterator[Difference]:
    different = np.flatnonzero(answers != by_bar)
    if len(different):
        yield _difference(Fault.FORMS, int(different[0]), bars, expected=by_bar, found=int(answers[different[0]]))


def _sampled(answers: Signals, by_bar: Signals, samples: int, seed: int) -> list[int]:
    speaking = np.flatnonzero((answers != 0) | (by_bar != 0))[:SPEAKING_BARS_MAX].tolist()
    others = np.random.default_rng(seed).permutation(len(answers))[:samples].tolist()
    return sorted({*speaking, *others})


def _recomputed(
    make: Callable[[], BarStrategy], bars: Bars, number: int, answers: Signals, by_bar: Signals
) -> Iterator[Difference]:
    """Look-ahead is of signals alone: on_bar has never seen more than the past."""
    strategy = make()
    end, window = number + 1, bars.cut(max(0, number + 1 - strategy.window_bars), number + 1)
    if isinstance(strategy, VectorisedStrategy):
        past = int(foreseen(make(), bars.cut(0, end))[-1])
        if past != answers[number]:
            yield _difference(Fault.LOOK_AHEAD, number, bars, expected=past, found=int(answers[number]))
            return
    for of_window, of_past in ((foreseen(make(), window), answers), (streamed(make(), window), by_bar)):
        if of_window[-1] != of_past[number]:
            yield _difference(Fault.WARM_UP, number, bars, expected=of_past, found=int(of_window[-1]))


def _difference(fault: Fault, number: int, bars: Bars, *, expected: "Signals | int", found: int) -> Difference:
    wanted = expected if isinstance(expected, int) else int(expected[number])
    return Difference(fault, number, int(bars.open_utc_ms[number]), wanted, found)
