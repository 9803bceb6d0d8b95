"""The strategy `ma_cross`: a signal on the bar whose fast average of closes crosses the slow one (rules/ma_cross.py)."""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from evenkeel.config.schema import MaCrossConfig
from evenkeel.messages.entry import Lineage, SignalRaised
from evenkeel.messages.market import BarClosed, Direction, SymbolSpecified
from evenkeel.messages.system import Message
from evenkeel.rules.bars import PERIOD_MS
from evenkeel.rules.ma_cross import MaWindow, crossing
from evenkeel.runtime.edge import At


class MaCrossState(msgspec.Struct):
    """By symbol: the closes so far, and the digits that their points are counted in."""

    windows: dict[str, MaWindow] = {}
    digits: dict[str, int] = {}


class MaCross:
    """Looks at the bars of its own timeframe and symbols and ignores all others. Late bars warm it up and raise nothing."""

    poll_s: float | None = None

    def __init__(self, name: str, config: MaCrossConfig) -> None:
        assert config.fast < config.slow, f"{name}: fast {config.fast} must be less than slow {config.slow}"
        self.state = MaCrossState()
        self._config = config
        self._lineage = Lineage(origin="strategy", strategy=name, confidence=config.confidence)
        self._signal: Direction | None = None

    def remember(self, message: BarClosed | SymbolSpecified | SignalRaised) -> None:
        match message:
            case BarClosed():
                self._signal = self._signal_of(message)
            case SymbolSpecified(spec=spec):
                if self.state.digits.get(spec.symbol, spec.digits) != spec.digits:
                    self.state.windows.pop(spec.symbol, None)
                self.state.digits[spec.symbol] = spec.digits
            case SignalRaised():
                pass
            case _:
                assert_never(message)

    def act(self, message: BarClosed | SymbolSpecified, at: At) -> Sequence[Message]:
        match message:
            case BarClosed():
                return [] if self._signal is None or message.late else [self._raised(self._signal, message)]
            case SymbolSpecified():
                return []
            case _:
                assert_never(message)

    def resume(self, now_utc_ms: int) -> Sequence[Message]:
        """Nothing: bars that were missed come again from the feed, late."""
        return []

    def poll(self, now_utc_ms: int) -> Sequence[Message]:
        """Never called: it sees nothing by itself."""
        return []

    def close(self) -> None:
        """Nothing to let go of."""

    def _signal_of(self, bar: BarClosed) -> Direction | None:
        if bar.timeframe != self._config.timeframe or bar.symbol not in self._config.symbols:
            return None
        window = self.state.windows.setdefault(bar.symbol, MaWindow())
        return crossing(window, bar.close_points, fast=self._config.fast, slow=self._config.slow)

    def _raised(self, direction: Direction, bar: BarClosed) -> SignalRaised:
        return SignalRaised(
            symbol=bar.symbol,
            spec_id=bar.spec_id,
            direction=direction,
            quote=bar.quote,
            bar_utc_ms=bar.open_utc_ms + PERIOD_MS[bar.timeframe],
            spread_median_points=bar.spread_median_points,
            lineage=self._lineage,
        )
