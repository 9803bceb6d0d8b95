"""A strategy among the children: it hears bars, or follows quotes, and raises a signal where the strategy answers one."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, assert_never

import msgspec

from evenkeel.adapters.quote_board import QuoteBoard, Tick
from evenkeel.config.schema import StrategyConfig
from evenkeel.messages.entry import Lineage, SignalRaised
from evenkeel.messages.market import BarClosed, Direction, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.system import Message
from evenkeel.rules.bars import PERIOD_MS, Bar
from evenkeel.rules.strategy import BarStrategy, Strategy, TickStrategy, answered
from evenkeel.runtime.edge import At

LOOK_EVERY_S: Final = 0.005


class StrategyState(msgspec.Struct):
    """By symbol: its terms, and the last bars, oldest first, which a new strategy hears to be where the old one was."""

    specs: dict[str, SymbolSpec] = {}
    windows: dict[str, list[Bar]] = {}


class StrategyEdge:
    """One strategy of its own for each symbol, by `make`. It ignores the bars of other symbols and timeframes.

    Late bars warm it up and raise nothing. With `follows` a strategy with `on_tick` is shown every quote that `board` gets
    from then on; a quote that came while it was down is not shown. Raises StrategyBroken.
    """

    def __init__(
        self,
        name: str,
        config: StrategyConfig,
        make: Callable[[SymbolSpec], Strategy],
        board: QuoteBoard,
        *,
        follows: bool = True,
    ) -> None:
        self.state = StrategyState()
        self._name, self._config, self._make, self._board, self._follows = name, config, make, board, follows
        self._lineage = lineage_of(name, config)
        self._made: dict[str, Strategy] = {}
        self._queues: dict[str, deque[Tick]] = {}
        self._answer = 0

    @property
    def poll_s(self) -> float | None:
        return LOOK_EVERY_S if self._queues else None

    def remember(self, message: BarClosed | SymbolSpecified | SignalRaised) -> None:
        match message:
            case BarClosed():
                self._answer = self._hear(message)
            case SymbolSpecified(spec=spec):
                self._specify(spec)
            case SignalRaised():
                pass
            case _:
                assert_never(message)

    def act(self, message: BarClosed | SymbolSpecified, at: At) -> Sequence[Message]:
        match message:
            case BarClosed():
                return [signal_of(message, self._answer, self._lineage)] if self._answer and not message.late else []
            case SymbolSpecified():
                self._follow()
                return []
            case _:
                assert_never(message)

    def resume(self, now_utc_ms: int) -> Sequence[Message]:
        """Bars that were missed come again from the feed, late."""
        self._follow()
        return []

    def poll(self, now_utc_ms: int) -> Sequence[Message]:
        """The signals on the quotes that have come."""
        said: list[Message] = []
        for symbol, queue in self._queues.items():
            while queue:
                said += self.ticked(0, symbol, *queue.popleft())
        return said

    def ticked(self, row: int, symbol: str, time_utc_ms: int, bid_points: int, ask_points: int) -> list[SignalRaised]:
        """What it says on the symbol's next quote, row `row` of a replay."""
        strategy = self._strategy(symbol)
        if not isinstance(strategy, TickStrategy):
            return []
        answer = answered(strategy.on_tick(time_utc_ms, bid_points, ask_points), f"{self._name} on a quote of {symbol}")
        if not answer:
            return []
        quote = Quote(time_utc_ms, bid_points, ask_points)
        usual_points = self._board.usual_spread_points(symbol, time_utc_ms)
        return [tick_signal_of(self.state.specs[symbol], quote, answer, usual_points, self._lineage)]

    def close(self) -> None:
        for symbol, queue in self._queues.items():
            self._board.unfollow(symbol, queue)
        self._queues.clear()

    def _specify(self, spec: SymbolSpec) -> None:
        """Prices in other points than before are of no use to it."""
        before = self.state.specs.get(spec.symbol)
        if before is not None and before.digits != spec.digits:
            self.state.windows.pop(spec.symbol, None)
            self._made.pop(spec.symbol, None)
        if spec.symbol in self._config.symbols:
            self.state.specs[spec.symbol] = spec

    def _follow(self) -> None:
        for symbol in self.state.specs:
            if self._follows and symbol not in self._queues and isinstance(self._strategy(symbol), TickStrategy):
                self._queues[symbol] = self._board.follow(symbol)

    def _strategy(self, symbol: str) -> Strategy | None:
        """Made when it is first needed, and then shown the bars that are kept."""
        if symbol not in self._made and symbol in self.state.specs:
            strategy = self._made[symbol] = self._make(self.state.specs[symbol])
            if isinstance(strategy, BarStrategy):
                for bar in self.state.windows.get(symbol, ()):
                    strategy.on_bar(bar)
        return self._made.get(symbol)

    def _hear(self, closed: BarClosed) -> int:
        strategy = self._strategy(closed.symbol)
        if closed.timeframe != self._config.timeframe or not isinstance(strategy, BarStrategy):
            return 0
        bar = _bar_of(closed)
        window = self.state.windows.setdefault(closed.symbol, [])
        window.append(bar)
        del window[: -strategy.window_bars]
        answer = answered(strategy.on_bar(bar), f"{self._name} on the bar of {closed.symbol} at {bar.open_utc_ms} (UTC ms)")
        return answer if len(window) == strategy.window_bars else 0


def lineage_of(name: str, config: StrategyConfig) -> Lineage:
    return Lineage(origin="strategy", strategy=name, confidence=config.confidence)


def signal_of(bar: BarClosed, answer: int, lineage: Lineage) -> SignalRaised:
    """What +1 or -1 at a bar means."""
    return SignalRaised(
        symbol=bar.symbol,
        spec_id=bar.spec_id,
        direction=_direction(answer),
        quote=bar.quote,
        bar_utc_ms=bar.open_utc_ms + PERIOD_MS[bar.timeframe],
        spread_median_points=bar.spread_median_points,
        lineage=lineage,
    )


def tick_signal_of(spec: SymbolSpec, quote: Quote, answer: int, spread_median_points: int, lineage: Lineage) -> SignalRaised:
    """What +1 or -1 on a quote means; there is no bar, so its time is the quote's."""
    return SignalRaised(
        symbol=spec.symbol,
        spec_id=spec.spec_id,
        direction=_direction(answer),
        quote=quote,
        bar_utc_ms=quote.time_utc_ms,
        spread_median_points=spread_median_points,
        lineage=lineage,
    )


def _direction(answer: int) -> Direction:
    return Direction.BUY if answer > 0 else Direction.SELL


def _bar_of(closed: BarClosed) -> Bar:
    return Bar(
        closed.open_utc_ms,
        closed.open_points,
        closed.high_points,
        closed.low_points,
        closed.close_points,
        closed.close_ask_points,
        closed.spread_points,
        closed.quotes,
    )
