"""Strategies to measure with: they cost what a small one in Python costs, and seldom say anything."""

from typing import Final

from evenkeel.messages.market import SymbolSpec
from evenkeel.rules.bars import Bar

SELDOM: Final = 5_000
SELDOM_MS: Final = SELDOM * 60_000


class SeldomOnBar:
    """Bar by bar alone: an exponential average of closes; says buy on one bar in thousands."""

    window_bars = 1

    def __init__(self, spec: SymbolSpec) -> None:
        self._average = 0

    def on_bar(self, bar: Bar) -> int:
        self._average += (bar.close_points - self._average) >> 4
        return 1 if bar.open_utc_ms % SELDOM_MS == 0 and bar.close_points > self._average else 0


class SeldomOnTick:
    """Looks at every quote: an exponential average of bids; says buy on one quote in thousands."""

    def __init__(self, spec: SymbolSpec) -> None:
        self._average = self._count = 0

    def on_tick(self, time_utc_ms: int, bid_points: int, ask_points: int) -> int:
        self._average += (bid_points - self._average) >> 4
        self._count += 1
        return 1 if self._count % SELDOM == 0 and bid_points > self._average else 0


class EachWave:
    """Buys at the foot of each wave of `waves` (replay_input.py): one trade a wave."""

    def __init__(self, spec: SymbolSpec, foot_points: int) -> None:
        self._foot_points = foot_points

    def on_tick(self, time_utc_ms: int, bid_points: int, ask_points: int) -> int:
        return 1 if bid_points == self._foot_points else 0
