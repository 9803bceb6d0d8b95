"""A strategy in a replay: asked once for all bars, and for a whole stretch of quotes, before any of them is served.

A strategy answers to prices alone, so what it will say is known as soon as the prices are. Edge; it raises the same signals
as the one that is asked bar by bar (adapters/strategy/edge.py).
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import msgspec
import numpy as np
from numpy.typing import NDArray

from evenkeel.adapters.history.quotes import Quotes
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.strategy.edge import lineage_of, signal_of, tick_signal_of
from evenkeel.config.schema import StrategyConfig
from evenkeel.messages.entry import SignalRaised
from evenkeel.messages.market import BarClosed, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.system import Message
from evenkeel.rules.bar_columns import Bars, longer
from evenkeel.rules.bars import NEVER_UTC_MS, PERIOD_MS
from evenkeel.rules.strategy import BarStrategy, Strategy, TickStrategy, foreseen, foreseen_ticks
from evenkeel.runtime.edge import At


class Answers:
    """What strategies will say: at all bars of `minutes`, the M1 bars of the whole replay, of which the last is open, and on
    the quotes of a stretch once it has looked at them. `strategies` has a new one for each symbol. A BarForesight.

    Raises StrategyBroken.
    """

    def __init__(self, strategies: Mapping[str, Strategy], minutes: Mapping[str, Bars], timeframe: str) -> None:
        self._timeframe = timeframe
        self._on_ticks = {symbol: one for symbol, one in strategies.items() if isinstance(one, TickStrategy)}
        self._on_tick: dict[str, dict[int, int]] = {}
        self._on_bar: dict[str, dict[int, int]] = {}
        self._ends_utc_ms: dict[str, list[int]] = {}
        for symbol, strategy in strategies.items():
            if isinstance(strategy, BarStrategy):
                self._foresee_bars(symbol, strategy, minutes[symbol])

    def next_bar_utc_ms(self, child: Any, symbol: str, from_utc_ms: int) -> int:
        ends_utc_ms = self._ends_utc_ms.get(symbol, ())
        place = bisect_left(ends_utc_ms, from_utc_ms)
        return ends_utc_ms[place] if place < len(ends_utc_ms) else NEVER_UTC_MS

    def pass_over(self, child: Any, symbol: str, count: int) -> None:
        """Nothing is kept of bars that it says nothing at."""

    def foresee(self, symbol: str, quotes: Quotes) -> NDArray[np.int64]:
        """Look at the symbol's next quotes; the indexes of those on which something is said."""
        if symbol not in self._on_ticks:
            return np.empty(0, np.int64)
        strategy = self._on_ticks[symbol]
        answers = foreseen_ticks(strategy, quotes.time_utc_ms, quotes.bid_points, quotes.ask_points)
        indexes = np.flatnonzero(answers)
        self._on_tick[symbol] = dict(zip(quotes.row[indexes].tolist(), answers[indexes].tolist(), strict=True))
        return indexes

    def at_bar(self, bar: BarClosed) -> int:
        return self._on_bar.get(bar.symbol, {}).get(bar.open_utc_ms, 0) if bar.timeframe == self._timeframe else 0

    def at_row(self, symbol: str, row: int) -> int:
        """Of the quotes that it looked at last."""
        return self._on_tick.get(symbol, {}).get(row, 0)

    def _foresee_bars(self, symbol: str, strategy: BarStrategy, minutes: Bars) -> None:
        bars = longer(minutes, self._timeframe)
        bars = bars.cut(0, max(0, bars.size - 1))
        answers = foreseen(strategy, bars)
        indexes = np.flatnonzero(answers)
        opens_utc_ms = bars.open_utc_ms[indexes]
        self._ends_utc_ms[symbol] = (opens_utc_ms + PERIOD_MS[self._timeframe]).tolist()
        self._on_bar[symbol] = dict(zip(opens_utc_ms.tolist(), answers[indexes].tolist(), strict=True))


class ForeseenState(msgspec.Struct):
    """By symbol: on which terms it trades."""

    specs: dict[str, SymbolSpec] = {}


class Foreseen:
    """The edge that says what `answers` knows."""

    poll_s: float | None = None

    def __init__(self, name: str, config: StrategyConfig, answers: Answers, board: QuoteBoard) -> None:
        self.state = ForeseenState()
        self._lineage, self._answers, self._board = lineage_of(name, config), answers, board

    def ticked(self, row: int, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> list[SignalRaised]:
        """What it says on a quote of the stretch that was looked at."""
        answer = self._answers.at_row(symbol, row)
        if not answer:
            return []
        usual_points = self._board.usual_spread_points(symbol, time_utc_ms)
        quote = Quote(time_utc_ms, bid_points, ask_points)
        return [tick_signal_of(self.state.specs[symbol], quote, answer, usual_points, self._lineage)]

    def remember(self, message: BarClosed | SymbolSpecified | SignalRaised) -> None:
        if isinstance(message, SymbolSpecified):
            self.state.specs[message.spec.symbol] = message.spec

    def act(self, message: BarClosed | SymbolSpecified, at: At) -> Sequence[Message]:
        match message:
            case BarClosed():
                answer = self._answers.at_bar(message)
                return [signal_of(message, answer, self._lineage)] if answer else []
            case SymbolSpecified():
                return []
            case _:
                assert_never(message)

    def resume(self, now_utc_ms: int) -> Sequence[Message]:
        return []

    def poll(self, now_utc_ms: int) -> Sequence[Message]:
        """Never called: it sees nothing by itself."""
        return []

    def close(self) -> None:
        """Nothing to let go of."""
