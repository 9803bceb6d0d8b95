"""Holds entries of a symbol while its spread or its volatility is out of the ordinary."""

from typing import assert_never

import msgspec

from evenkeel.config.schema import CircuitBreakerConfig
from evenkeel.messages.market import BarClosed, SampleDue, WantSamples
from evenkeel.messages.operator import HoldPlaced
from evenkeel.messages.system import Message, RunStarted
from evenkeel.rules.circuit_breaker import Baseline, atr_trip, baseline_after, hold_ms, spread_trip


class CircuitBreakerState(msgspec.Struct):
    """By symbol."""

    baselines: dict[str, Baseline] = {}
    held_until_utc_ms: dict[str, int] = {}


class CircuitBreaker:
    """A hold ends by itself when the symbol stays quiet for as long as it lasts; the gateway watches the time."""

    name = "circuit_breaker"

    def __init__(self, config: CircuitBreakerConfig, symbols: tuple[str, ...]) -> None:
        self.config, self.symbols, self.state = config, symbols, CircuitBreakerState()

    def handle(self, message: RunStarted | SampleDue | BarClosed, now_utc_ms: int) -> list[Message]:
        if not self.config.enabled:
            return []
        match message:
            case RunStarted():
                every_ms = round(self.config.sample_s * 1000)
                return [WantSamples(owner=self.name, symbol=symbol, every_ms=every_ms) for symbol in self.symbols]
            case SampleDue():
                return self._hold(message.symbol, spread_trip(self.config, message), now_utc_ms)
            case BarClosed():
                return self._after_bar(message, now_utc_ms) if message.timeframe == "M1" else []
            case _:
                assert_never(message)

    def _after_bar(self, bar: BarClosed, now_utc_ms: int) -> list[Message]:
        """A late bar belongs to the baseline, but what it shows is over."""
        baseline = baseline_after(self.config, self.state.baselines.get(bar.symbol, Baseline()), bar)
        self.state.baselines[bar.symbol] = baseline
        return [] if bar.late else self._hold(bar.symbol, atr_trip(self.config, baseline), now_utc_ms)

    def _hold(self, symbol: str, reason: str | None, now_utc_ms: int) -> list[Message]:
        """Says nothing while more than half of a hold is left: it is prolonged in time, not at each sample."""
        left_ms = self.state.held_until_utc_ms.get(symbol, 0) - now_utc_ms
        if reason is None or 2 * left_ms >= hold_ms(self.config):
            return []
        until_utc_ms = now_utc_ms + hold_ms(self.config)
        self.state.held_until_utc_ms[symbol] = until_utc_ms
        return [HoldPlaced(who=self.name, scope=symbol, reason=reason, until_utc_ms=until_utc_ms)]
