"""What the edges touch, and the two of them that differ between a run, a demonstration and a replay."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from evenkeel.adapters.broker import Broker
from evenkeel.adapters.chain_store import ChainStore, MemoryChains
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.market_feed import MarketFeed
from evenkeel.adapters.market_feed_state import QuoteSource, SampleAfter, every_multiple
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.terminal import Durability, TerminalEdge
from evenkeel.config.schema import Config, StrategyConfig
from evenkeel.messages.market import Quote, SymbolSpec
from evenkeel.rules.symbols import quote_age_ms_max
from evenkeel.runtime.clock import Clock


class World(NamedTuple):
    """What the edges touch: the same in a run, a demonstration and a replay, made of other parts.

    `source` None: a replay serves the quotes itself. `journal` None: everything counts as durable at once.
    `reading_every_ms` None: the broker is read only when somebody asks. `sample_after`: see MarketFeed. `patience_s`: how long
    a call to a broker in another process may take; so much longer the two edges that call it may be busy. `chain_store` gives
    the store of a strategy with chains; the same for each incarnation, unless it may begin empty.
    """

    config: Config
    specs: Mapping[str, SymbolSpec]
    broker: Broker
    clock: Clock
    board: QuoteBoard
    gate: Gate
    history: Callable[[str, int], Sequence[Quote] | None]
    kill_epoch: Callable[[], int]
    source: QuoteSource | None = None
    journal: Durability | None = None
    reading_every_ms: int | None = None
    sample_after: SampleAfter = every_multiple
    patience_s: float = 0.0
    chain_store: Callable[[str], ChainStore] = MemoryChains

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self.specs)


def terminal_edge(world: World) -> TerminalEdge:
    closes_per_s = world.config.limits.requests.close_per_s
    return TerminalEdge(
        world.broker,
        world.symbols,
        gate=world.gate,
        board=world.board,
        journal=world.journal,
        kill_epoch=world.kill_epoch,
        monotonic_ns=world.clock.monotonic_ns,
        quote_age_ms_max=_quote_ages_ms(world),
        closes_per_s=None if closes_per_s == "off" or world.source is None else closes_per_s,
        reading_every_ms=world.reading_every_ms,
        unreadable_ms=round(world.config.broker_gateway.unreadable_s * 1000),
    )


def market_feed(world: World) -> MarketFeed:
    timeframes = {
        symbol: tuple(sorted({name for s in world.config.strategy.values() if symbol in s.symbols for name in _bars_for(s)}))
        for symbol in world.symbols
    }
    return MarketFeed(
        world.specs,
        timeframes,
        board=world.board,
        history=world.history,
        monotonic_ns=world.clock.monotonic_ns,
        source=world.source,
        quote_age_ms_max={} if world.source is None else _quote_ages_ms(world),
        sample_after=world.sample_after,
    )


def _bars_for(strategy: StrategyConfig) -> tuple[str, ...]:
    """The timeframes that a strategy needs of its symbols: its own, and with chains those of trend and shield."""
    return (strategy.timeframe,) if strategy.orders == "single" else (strategy.timeframe, "M15")


def _quote_ages_ms(world: World) -> dict[str, int]:
    """How old a quote may be, by the symbols for which that is limited."""
    ages_ms = {symbol: quote_age_ms_max(symbol, world.config.limits) for symbol in world.symbols}
    return {symbol: age_ms for symbol, age_ms in ages_ms.items() if age_ms is not None}
