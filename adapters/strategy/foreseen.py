"""A strategy in a replay: asked once for all bars, and for a whole stretch of quotes, before any of them is served.

A strategy answers to prices alone, so what it will say is known as soon as the prices are. Edge; it raises the same signals
as the one that is asked bar by bar (adapters/strategy/edge.py).
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import assert_never

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


class ForeseenState(msgspec.Struct):
    """By symbol: on which terms it trades."""

    specs: dict[str, SymbolSpec] = {}


class Foreseen:
    """`strategies` has a new strategy for each of its symbols, `minutes` the M1 bars of the whole replay, the last one open.

    Raises StrategyBroken when an answer is none of -1, 0, +1.
    """

    poll_s: float | None = None

    def __init__(
        self,
        name: str,
        config: StrategyConfig,
        strategies: Mapping[str, Strategy],
        minutes: Mapping[str, Bars],
        board: QuoteBoard,
    ) -> None:
        self.state = ForeseenState()
        self._timeframe, self._lineage, self._board = config.timeframe, lineage_of(name, config), board
        self._on_ticks = {symbol: one for symbol, one in strategies.items() if isinstance(one, TickStrategy)}
        self._tick_answers: dict[tuple[str, int], int] = {}
        self._bar_answers: dict[tuple[str, int], int] = {}
        self._bar_ends_utc_ms: dict[str, list[int]] = {}
        for symbol, strategy in strategies.items():
            if isinstance(strategy, BarStrategy):
                self._foresee_bars(symbol, strategy, minutes[symbol])

    def next_bar_utc_ms(self, symbol: str, from_utc_ms: int) -> int:
        """The end of the first bar, ending then or later, on which it will say something."""
        ends_utc_ms = self._bar_ends_utc_ms.get(symbol)
        if ends_utc_ms is None:
            return NEVER_UTC_MS
        place = bisect_left(ends_utc_ms, from_utc_ms)
        return ends_utc_ms[place] if place < len(ends_utc_ms) else NEVER_UTC_MS

    def pass_over(self, symbol: str, open_utc_ms: int) -> None:
        """Bars that opened before that time have closed unheard: nothing of them is kept."""

    def foresee(self, symbol: str, quotes: Quotes) -> NDArray[np.int64]:
        """Look at the next stretch of quotes; the indexes of those on which it will say something."""
        if symbol not in self._on_ticks:
            return np.empty(0, np.int64)
        strategy = self._on_ticks[symbol]
        answers = foreseen_ticks(strategy, quotes.time_utc_ms, quotes.bid_points, quotes.ask_points)
        indexes = np.flatnonzero(answers)
        rows, said = quotes.row[indexes].tolist(), answers[indexes].tolist()
        self._tick_answers = {key: one for key, one in self._tick_answers.items() if key[0] != symbol}
        self._tick_answers.update(((symbol, row), one) for row, one in zip(rows, said, strict=True))
        return indexes

    def ticked(self, row: int, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> list[SignalRaised]:
        """What it says on a quote of the stretch that it has looked at."""
        answer = self._tick_answers.get((symbol, row), 0)
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
                answer = self._bar_answers.get((message.symbol, message.open_utc_ms), 0)
                return [signal_of(message, answer, self._lineage)] if answer and message.timeframe == self._timeframe else []
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

    def _foresee_bars(self, symbol: str, strategy: BarStrategy, minutes: Bars) -> None:
        bars = longer(minutes, self._timeframe)
        bars = bars.cut(0, max(0, bars.size - 1))
        answers = foreseen(strategy, bars)
        indexes = np.flatnonzero(answers)
        opens_utc_ms = bars.open_utc_ms[indexes]
        self._bar_ends_utc_ms[symbol] = (opens_utc_ms + PERIOD_MS[self._timeframe]).tolist()
        keys = ((symbol, open_utc_ms) for open_utc_ms in opens_utc_ms.tolist())
        self._bar_answers.update(zip(keys, answers[indexes].tolist(), strict=True))
