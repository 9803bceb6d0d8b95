"""Says how far each market, and the whole account, is from itself, and what follows for new orders, stops and positions."""

from typing import Final, assert_never

import msgspec

from evenkeel.config.circuit_breaker import CircuitBreakerConfig
from evenkeel.messages.broker_gateway import OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.market import BarClosed, Quote, QuotesResumed, QuotesStale, SampleDue, WantSamples
from evenkeel.messages.operator import ACCOUNT, HoldEnded, HoldPlaced, LowerMode, Mode, TradingRearmed
from evenkeel.messages.position import CloseFailed, CloseFailure
from evenkeel.messages.system import ChildDown, Message, RunStarted, SetTimer, TimerDue
from evenkeel.rules.circuit_breaker import (
    HOUR_MS,
    Market,
    Reading,
    correlations_after,
    errors_kept,
    errors_reading,
    highest,
    known_pairs,
    market_after,
    market_reading,
    next_silence_ms,
    pair_reading,
    silence_reading,
    spread_reading,
    volatility_reading,
)
from evenkeel.rules.circuit_breaker_levels import (
    FROZEN,
    Standing,
    after_acknowledgement,
    after_look,
    after_reading,
    halted_until_utc_ms,
    next_look_utc_ms,
    size_ppm,
)
from evenkeel.rules.correlation import HourCloses, minute_closed
from evenkeel.rules.session import is_week_open

LOOK: Final = "look"
SILENCE: Final = "silence"

Heard = (
    RunStarted
    | SampleDue
    | BarClosed
    | QuotesStale
    | QuotesResumed
    | OrderRejected
    | OrderOutcomeUnknown
    | CloseFailed
    | ChildDown
    | TradingRearmed
    | TimerDue
)


class Scope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The account or a symbol that is not as usual. `look_utc_ms` is when its timer is due; `held_until_utc_ms` is the end of
    the hold that was placed, 0 has none, and None that there is no hold."""

    standing: Standing = Standing()
    look_utc_ms: int = 0
    held_until_utc_ms: int | None = None


class CircuitBreakerState(msgspec.Struct):
    """`scopes` are only those that are not normal. `markets` are by symbol, `silent_since_utc_ms` by symbol whose quotes are
    stale, `hours` by symbol of a pair, `correlations_ppm` by "ONE OTHER", `errors_utc_ms` of the last hour."""

    scopes: dict[str, Scope] = {}
    markets: dict[str, Market] = {}
    silent_since_utc_ms: dict[str, int] = {}
    hours: dict[str, HourCloses] = {}
    correlations_ppm: dict[str, tuple[int, ...]] = {}
    correlated_hour: int = -1
    errors_utc_ms: tuple[int, ...] = ()


class CircuitBreaker:
    """Nothing is measured by a late bar: it belongs to the baseline, but what it shows is over.

    Silence is measured only where the feed says so, which is live: a replay has no other time than its quotes'.
    """

    name = "circuit_breaker"

    def __init__(self, config: CircuitBreakerConfig, symbols: tuple[str, ...]) -> None:
        self.config, self.symbols, self.state = config, symbols, CircuitBreakerState()
        self._pairs = known_pairs(config, symbols)
        self._paired = frozenset(symbol for pair in self._pairs.values() for symbol in pair)

    def handle(self, message: Heard, now_utc_ms: int) -> list[Message]:
        match message:
            case RunStarted():
                return self._started()
            case SampleDue():
                return self._read(message.symbol, spread_reading(self.config, message), now_utc_ms, message.quote)
            case BarClosed():
                return self._bar(message, now_utc_ms) if message.timeframe == "M1" else []
            case QuotesStale() | QuotesResumed():
                return self._quotes(message, now_utc_ms)
            case OrderRejected() | OrderOutcomeUnknown() | CloseFailed() | ChildDown():
                return self._error(message, now_utc_ms)
            case TradingRearmed():
                return self._rearmed()
            case TimerDue():
                return self._timer(message.name, now_utc_ms)
            case _:
                assert_never(message)

    def _started(self) -> list[Message]:
        every_ms = 0 if self.config.spread_ratio == "off" else round(self.config.sample_s * 1000)
        samples = [WantSamples(owner=self.name, symbol=symbol, every_ms=every_ms) for symbol in self.symbols]
        return [*samples, *(self._look_at(name, scope.look_utc_ms) for name, scope in self.state.scopes.items())]

    # -- what is measured -----------------------------------------------------------------------------------------------

    def _bar(self, bar: BarClosed, now_utc_ms: int) -> list[Message]:
        before = self.state.markets.get(bar.symbol, Market())
        after = self.state.markets[bar.symbol] = market_after(self.config, before, bar)
        said = self._correlate(bar, now_utc_ms)
        if bar.late:
            return said
        return [*said, *self._read(bar.symbol, market_reading(self.config, before, after, bar), now_utc_ms, bar.quote)]

    def _correlate(self, bar: BarClosed, now_utc_ms: int) -> list[Message]:
        """Once an hour, when the first bar of a new one is there. A pair that breaks concerns both of its symbols."""
        state, said = self.state, list[Message]()
        if bar.symbol not in self._paired:
            return said
        minute_closed(state.hours.setdefault(bar.symbol, HourCloses()), bar.open_utc_ms, bar.close_points)
        if bar.open_utc_ms // HOUR_MS <= state.correlated_hour:
            return said
        state.correlated_hour = bar.open_utc_ms // HOUR_MS
        for name, pair in self._pairs.items():
            known = correlations_after(state.correlations_ppm.get(name, ()), pair, state.hours)
            state.correlations_ppm[name] = known
            reading = None if bar.late else pair_reading(self.config, name, known)
            for symbol in pair:
                said += self._read(symbol, reading, now_utc_ms)
        return said

    def _quotes(self, message: QuotesStale | QuotesResumed, now_utc_ms: int) -> list[Message]:
        since_utc_ms = self.state.silent_since_utc_ms
        if isinstance(message, QuotesResumed):
            since_utc_ms.pop(message.symbol, None)
            return []
        since_utc_ms[message.symbol] = now_utc_ms - message.age_ms
        return self._silent(message.symbol, now_utc_ms)

    def _silent(self, symbol: str, now_utc_ms: int) -> list[Message]:
        """A timer brings the next step, as long as the week is open."""
        since_utc_ms = self.state.silent_since_utc_ms.get(symbol)
        if since_utc_ms is None or not is_week_open(now_utc_ms):
            return []
        said = self._read(symbol, silence_reading(self.config, now_utc_ms - since_utc_ms), now_utc_ms)
        next_ms = next_silence_ms(self.config, now_utc_ms - since_utc_ms)
        return said if next_ms is None else [*said, SetTimer(self.name, f"{SILENCE}/{symbol}", since_utc_ms + next_ms)]

    def _error(self, message: OrderRejected | OrderOutcomeUnknown | CloseFailed | ChildDown, now_utc_ms: int) -> list[Message]:
        """A close that has not happened yet is no error, only one that the broker refused."""
        if isinstance(message, CloseFailed) and message.failure is not CloseFailure.REJECTED:
            return []
        kept = errors_kept(self.config, (*self.state.errors_utc_ms, now_utc_ms), now_utc_ms)
        self.state.errors_utc_ms = kept
        return self._read(ACCOUNT, errors_reading(self.config, len(kept)), now_utc_ms)

    # -- what follows ---------------------------------------------------------------------------------------------------

    def _read(self, name: str, reading: Reading | None, now_utc_ms: int, quote: Quote | None = None) -> list[Message]:
        if reading is None:
            return []
        standing = self.state.scopes.get(name, Scope()).standing
        return self._stand(name, after_reading(standing, reading, now_utc_ms), quote)

    def _timer(self, timer: str, now_utc_ms: int) -> list[Message]:
        what, _, name = timer.partition("/")
        if what == SILENCE:
            return self._silent(name, now_utc_ms)
        scope = self.state.scopes.get(name)
        if what != LOOK or scope is None:
            return []
        self.state.scopes[name] = Scope(scope.standing, 0, scope.held_until_utc_ms)
        standing, lasting = scope.standing, self._lasting(name, now_utc_ms)
        if lasting is not None:
            standing = after_reading(standing, lasting, now_utc_ms)
        standing = after_look(self.config, standing, now_utc_ms, is_known=not self._is_silent(name, now_utc_ms))
        return self._stand(name, standing)

    def _lasting(self, name: str, now_utc_ms: int) -> Reading | None:
        """What lasts without being said again: errors of the last hour; volatility, and silence while the week is open."""
        if name == ACCOUNT:
            return errors_reading(self.config, len(errors_kept(self.config, self.state.errors_utc_ms, now_utc_ms)))
        volatile = volatility_reading(self.config, self.state.markets.get(name, Market()))
        if not self._is_silent(name, now_utc_ms) or not is_week_open(now_utc_ms):
            return volatile
        silent_ms = now_utc_ms - self.state.silent_since_utc_ms[name]
        return highest([volatile, silence_reading(self.config, silent_ms)])

    def _is_silent(self, name: str, now_utc_ms: int) -> bool:
        since_utc_ms = self.state.silent_since_utc_ms.get(name, now_utc_ms)
        return silence_reading(self.config, now_utc_ms - since_utc_ms) is not None

    def _rearmed(self) -> list[Message]:
        """The gateway has dropped every hold without an end."""
        said: list[Message] = []
        for name, scope in list(self.state.scopes.items()):
            if scope.standing.unacknowledged:
                said += self._stand(name, after_acknowledgement(scope.standing))
        return said

    def _stand(self, name: str, standing: Standing, quote: Quote | None = None) -> list[Message]:
        """The scope stands so from now on: whatever that changes is said."""
        scope = self.state.scopes.get(name, Scope())
        said = self._changed(name, scope.standing, standing, quote)
        held_until_utc_ms = scope.held_until_utc_ms
        if standing.is_halted:
            if self._must_hold(scope, standing):
                held_until_utc_ms = halted_until_utc_ms(self.config, standing)
                said.append(HoldPlaced(self.name, name, f"{standing.level}: {standing.reason}", held_until_utc_ms))
        elif held_until_utc_ms is not None:
            held_until_utc_ms = None
            said.append(HoldEnded(self.name, name))
        look_utc_ms = scope.look_utc_ms
        next_utc_ms = next_look_utc_ms(self.config, standing)
        if next_utc_ms is not None and not 0 < look_utc_ms <= next_utc_ms:
            look_utc_ms = next_utc_ms
            said.append(self._look_at(name, look_utc_ms))
        if standing.is_normal:
            self.state.scopes.pop(name, None)
        else:
            self.state.scopes[name] = Scope(standing, look_utc_ms, held_until_utc_ms)
        return said

    def _must_hold(self, scope: Scope, standing: Standing) -> bool:
        """A hold is placed when there is none, or one without an end gets one, or the other way; else it is prolonged at a look
        and with a phase, not each time that the level is measured: the next look comes before it ends."""
        until_utc_ms = halted_until_utc_ms(self.config, standing)
        if scope.held_until_utc_ms is None or (until_utc_ms == 0) != (scope.held_until_utc_ms == 0):
            return True
        is_time = scope.look_utc_ms == 0 or standing.phase != scope.standing.phase
        return is_time and until_utc_ms != scope.held_until_utc_ms

    def _changed(self, name: str, before: Standing, after: Standing, quote: Quote | None) -> list[Message]:
        shown = (after.level, after.phase, after.atr_points)
        if (before.level, before.phase, before.atr_points) == shown:
            return []
        atr_points = after.atr_points if after.atr_points != before.atr_points else 0
        size = size_ppm(self.config, after)
        is_measured = after.rank > before.rank or atr_points or after.phase == FROZEN != before.phase
        reason = after.reason if is_measured else f"quiet after {after.reason}"
        said: list[Message] = [BreakerChanged(name, after.level, after.phase, size, atr_points, reason, quote)]
        if name == ACCOUNT and after.level is BreakerLevel.BLACK and before.level is not BreakerLevel.BLACK:
            said.append(LowerMode(Mode.FLATTEN, self.name, after.reason))
        return said

    def _look_at(self, name: str, utc_ms: int) -> SetTimer:
        return SetTimer(self.name, f"{LOOK}/{name}", utc_ms)
