"""What a strategy is: it looks at closed bars (or at each quote) of one symbol and says buy (+1), sell (-1) or nothing (0).

A strategy's answer at a bar is defined as what a new one answers after exactly the last `window_bars` bars, that bar
included; before there are so many it is 0. So it may be started anew anywhere, and a whole history may be answered at once.

StrategyBroken   an answer is none of -1, 0, +1, or there are more or fewer answers than bars
"""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from evenkeel.rules.bars import Bar

if TYPE_CHECKING:  # arrays are for replays and checks: a live run does without numpy
    import numpy as np
    from numpy.typing import NDArray

    from evenkeel.rules.bar_columns import Bars, Column, Signals

ANSWERS: Final = (-1, 0, 1)


class StrategyBroken(Exception):
    """One line."""


@runtime_checkable
class BarStrategy(Protocol):
    """`on_bar` hears every bar of one symbol once, oldest first."""

    window_bars: int

    def on_bar(self, bar: Bar, /) -> int: ...


@runtime_checkable
class VectorisedStrategy(BarStrategy, Protocol):
    """`signals` answers for all bars at once, and says 0 where the window is not full. It must not change the strategy."""

    def signals(self, bars: "Bars", /) -> "Signals": ...


@runtime_checkable
class TickStrategy(Protocol):
    """`on_tick` hears every quote (UTC milliseconds, bid and ask in points) once, in order; it has no window."""

    def on_tick(self, time_utc_ms: int, bid_points: int, ask_points: int, /) -> int: ...


Strategy = BarStrategy | TickStrategy


def answered(answer: int, what: str) -> int:
    """The answer, if it is one. Raises StrategyBroken."""
    if answer not in ANSWERS:
        raise StrategyBroken(f"{what}: answered {answer!r}, not -1, 0 or 1")
    return answer


def foreseen(strategy: BarStrategy, bars: "Bars") -> "Signals":
    """What a new strategy answers at each of `bars`: asked once where it can be, else bar by bar. Raises StrategyBroken."""
    if not isinstance(strategy, VectorisedStrategy):
        return streamed(strategy, bars)
    try:
        answers = strategy.signals(bars)
    except Exception as error:
        raise StrategyBroken(f"signals: {type(error).__name__}: {error}") from error
    return _checked(answers, bars.open_utc_ms, "signals")


def streamed(strategy: BarStrategy, bars: "Bars") -> "Signals":
    """What a new strategy answers bar by bar. Raises StrategyBroken."""
    columns = (column.tolist() for column in bars)
    made = map(partial(tuple.__new__, Bar), zip(*columns, strict=True))  # a third of what calling Bar takes
    answers = _collected(map(strategy.on_bar, made), bars.open_utc_ms, "on_bar")
    answers[: strategy.window_bars - 1] = 0
    return answers


def foreseen_ticks(strategy: TickStrategy, time_utc_ms: "Column", bid_points: "Column", ask_points: "Column") -> "Signals":
    """What it answers at each of some more quotes, which it has then seen. Raises StrategyBroken."""
    answers = map(strategy.on_tick, time_utc_ms.tolist(), bid_points.tolist(), ask_points.tolist())
    return _collected(answers, time_utc_ms, "on_tick")


def _collected(answers: Iterable[int], time_utc_ms: "Column", what: str) -> "Signals":
    import numpy as np

    try:
        found = np.fromiter(answers, np.int64, count=len(time_utc_ms))
    except Exception as error:
        raise StrategyBroken(f"{what}: {type(error).__name__}: {error}") from error
    return _checked(found, time_utc_ms, what)


def _checked(answers: "NDArray[np.int64] | Signals", time_utc_ms: "Column", what: str) -> "Signals":
    import numpy as np

    found = np.asarray(answers)
    if found.shape != time_utc_ms.shape:
        raise StrategyBroken(f"{what}: answered with the shape {found.shape} for {len(time_utc_ms)} bars")
    is_wrong = ~np.isin(found, ANSWERS)
    if is_wrong.any():
        first = int(is_wrong.argmax())
        raise StrategyBroken(f"{what}: answered {found[first]} at {time_utc_ms[first]} (UTC ms), not -1, 0 or 1")
    return found.astype(np.int8)
