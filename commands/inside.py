"""The outside of a live system whose terminal is simulated in this process: for market time, and for recorded quotes."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.simulated.market import SimulatedSource, SyntheticMarket
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.commands.live import LiveSystem, Outside, symbols_of, unchanged
from evenkeel.config.schema import Config, ProtectionConfig
from evenkeel.messages.market import DailyRange, Quote, SymbolSpec
from evenkeel.rules.symbols import profit_rule, spec_for, typical_price
from evenkeel.runtime.clock import Clock, MarketClock, SteadyClock, SystemClock

WAIT_S_MAX: Final = 86_400.0


class Market(NamedTuple):
    """Quotes in the order of time, and how fast market time runs. `is_live`: the run's clock is UTC, not market time."""

    quotes: Iterable[tuple[str, Quote]]
    daily: dict[str, tuple[DailyRange, ...]]
    speed: float
    is_live: bool


class Inside(NamedTuple):
    """What a market inside is made for."""

    specs: Mapping[str, SymbolSpec]
    terminal: SimulatedTerminal

    @property
    def last_quotes(self) -> dict[str, Quote]:
        """The newest quote of each symbol that the terminal remembers from before."""
        quotes = {name: self.terminal.quote(name) for name in self.specs}
        return {name: quote for name, quote in quotes.items() if quote is not None}


def with_real_waits(config: Config, speed: float) -> Config:
    """What waits for an answer waits as long in real time as it says: the expiry of intents, protection. The run's clock is
    market time: unscaled, the milliseconds from decision to order would be seconds on it, and an accelerated market must
    expire nothing. No more than a configuration may say, or the recorded one could not be read back."""
    faster, expiry_s, protection = max(1.0, speed), config.limits.intent_expiry_s, config.protection

    def slower(seconds: float) -> float:
        return min(seconds * faster, WAIT_S_MAX)

    limits = config.limits
    if expiry_s != "off":
        limits = msgspec.structs.replace(limits, intent_expiry_s=slower(expiry_s))
    protection = ProtectionConfig(grace_s=slower(protection.grace_s), close_answer_s=slower(protection.close_answer_s))
    return msgspec.structs.replace(config, limits=limits, protection=protection)


def simulated_terminal(
    config: Config, specs: Mapping[str, SymbolSpec], daily: Mapping[str, Sequence[DailyRange]], store: Path | None
) -> SimulatedTerminal:
    account = config.account
    rules = {symbol: profit_rule(symbol, config) for symbol in specs}
    return SimulatedTerminal(
        specs,
        start_balance_cents=round(account.start_balance * 10**account.currency_digits),
        currency=account.currency,
        currency_digits=account.currency_digits,
        leverage=account.leverage,
        profit_cents=lambda spec, points, steps, close: rules[spec.symbol](spec, points, steps, close),
        daily=daily,
        store=store,
    )


def inside(
    market: Callable[[LiveSystem, Inside], Market], *, symbols: Iterable[str] = (), digits: int | None = None
) -> Callable[[LiveSystem], Outside]:
    """The simulated terminal in this process, for market time and recorded quotes. The book lies in the account's folder."""

    def outside(system: LiveSystem) -> Outside:
        config, names = system.config, tuple(symbols) or symbols_of(system.config)
        specs = {name: spec_for(name, config, digits=digits, spec_id=at) for at, name in enumerate(names, 1)}
        daily: dict[str, Sequence[DailyRange]] = {}
        terminal = simulated_terminal(config, specs, daily, system.folder.simulated / "book")
        chosen = market(system, Inside(specs, terminal))
        daily.update(chosen.daily)
        quotes = iter(chosen.quotes)
        first = list(itertools.islice(quotes, 1))
        clock: Clock = (
            SteadyClock(SystemClock(), not_before_utc_ms=system.last_utc_ms)
            if chosen.is_live
            else MarketClock(first[0][1].time_utc_ms if first else 0)
        )
        source = SimulatedSource(
            itertools.chain(first, quotes),
            terminal,
            speed=chosen.speed,
            clock=clock if isinstance(clock, MarketClock) else None,
            monotonic_ns=clock.monotonic_ns,
        )
        adapted = unchanged if chosen.is_live else partial(with_real_waits, speed=chosen.speed)
        return Outside(specs, terminal, clock, source, adapted=adapted)

    return outside


def synthetic_market(system: LiveSystem, inside: Inside, *, speed: float, start_utc_ms: int, is_live: bool) -> Market:
    """The seeded market of the configuration from `start_utc_ms` on, or from where the journal ends, near the last quotes."""
    start_utc_ms = max(start_utc_ms, system.last_utc_ms + 1)
    config, specs = system.config, inside.specs
    prices = {name: round((typical_price(name, config) or 1) * 10**spec.digits) for name, spec in specs.items()}
    every_ms = round(config.simulated.quote_every_s * 1000)
    market = SyntheticMarket(
        specs,
        seed=config.simulated.seed,
        start_utc_ms=start_utc_ms,
        quote_every_ms=every_ms,
        typical_price_points=prices,
    )
    for name, quote in inside.last_quotes.items():
        market.resume(name, quote)
    market.skip_to(start_utc_ms)
    return Market(market, {name: tuple(market.daily(name)) for name in specs}, speed, is_live)


def not_before(quotes: Iterable[tuple[str, Quote]], utc_ms: int) -> Iterator[tuple[str, Quote]]:
    """Recorded quotes from where the journal ends."""
    return ((symbol, quote) for symbol, quote in quotes if quote.time_utc_ms > utc_ms)
