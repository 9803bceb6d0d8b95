"""The composition root: who the children are, and who hears what. commands/runs.py makes a run of them.

Read it as a table of contents. Nothing here decides anything about trading.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from evenkeel.actors.attendance import Attendance
from evenkeel.actors.broker_gateway import BrokerGateway
from evenkeel.actors.circuit_breaker import CircuitBreaker
from evenkeel.actors.operator import Operator
from evenkeel.actors.position import Position
from evenkeel.actors.profit_booking import ProfitBooking
from evenkeel.actors.protection import Protection
from evenkeel.actors.recovery import Recovery
from evenkeel.actors.risk_limit import RiskLimit
from evenkeel.actors.shield import Shield
from evenkeel.actors.trading_calendar import TradingCalendar
from evenkeel.adapters.chain_store import ChainStoreEdge
from evenkeel.adapters.strategy.edge import StrategyEdge
from evenkeel.adapters.strategy.making import make_strategy
from evenkeel.adapters.wall_clock import WallClock
from evenkeel.adapters.world import World, market_feed, terminal_edge
from evenkeel.config.schema import Config
from evenkeel.messages import (
    broker_gateway,
    chain_store,
    circuit_breaker,
    entry,
    health,
    market,
    notifier,
    operator,
    position,
    protection,
    recovery,
    risk_limit,
    shield,
    storage,
    system,
    trading_calendar,
)
from evenkeel.messages.codec import MESSAGE_TYPES, decode, encode
from evenkeel.rules.lineage import has_chains, has_pyramids, plugins
from evenkeel.runtime.clock import SteadyClock
from evenkeel.runtime.publisher import Codec
from evenkeel.runtime.routes import Routes, RouteTable
from evenkeel.runtime.shell import LEASE_S, ChildSpec, Kind
from evenkeel.runtime.timers import Timers

CODEC: Final = Codec(encode, decode)
CHAINS: Final = ("recovery?", "profit_booking?", "shield?")
"""They follow each order of a chain to its end."""

TOLD: Final = ("reporter?", "notifier?")
"""What a person is told here and outside."""
COUNTED: Final = ("health?", "snapshots?")
"""They decide nothing: what they hear is judged and counted."""

ROUTES: Final[Routes] = {
    # the runtime
    system.RunStarted: [
        "operator",
        "broker_gateway",
        "protection?",
        "trading_calendar",
        "circuit_breaker?",
        "attendance?",
        *TOLD,
    ],
    system.RunConfigured: [],
    system.RunStopped: ["reporter?"],
    system.ChildDown: ["broker_gateway", "protection?", "circuit_breaker?", *TOLD, "health?"],
    system.ChildServing: ["broker_gateway", "protection?", "reporter?"],
    system.MessageParked: ["broker_gateway", "protection?", *TOLD, "health?"],
    system.LettersDead: ["reporter?"],
    system.SetTimer: ["clock"],
    system.CancelTimer: ["clock"],
    system.TimerDue: ["{owner}"],
    trading_calendar.TradingDayStarted: ["risk_limit", "shield?", *TOLD, "snapshots?"],
    # the market
    market.SymbolSpecified: ["position/*", "risk_limit", "broker_gateway", "market_feed", "strategy/*", *CHAINS, *TOLD],
    market.DailyBarsRead: ["risk_limit", "broker_gateway"],
    market.ArmWatches: ["market_feed", "protection?"],
    market.DisarmWatches: ["market_feed"],
    market.PricesReached: ["{owner}"],
    market.BarClosed: ["risk_limit", "circuit_breaker?", "shield?", "strategy/*", "recovery?", "profit_booking?"],
    market.WantSamples: ["market_feed"],
    market.SampleDue: ["{owner}"],
    market.QuotesStale: ["circuit_breaker?", *TOLD],
    market.QuotesResumed: ["circuit_breaker?", *TOLD],
    market.FeedGap: [*TOLD],
    # the way in
    entry.SignalRaised: ["position/{symbol}", "recovery?", "snapshots?"],
    entry.EntryProposed: ["risk_limit", "profit_booking?", "snapshots?"],
    entry.OpenPosition: ["broker_gateway", "reporter?"],
    entry.OrderDenied: ["position/{symbol}", "risk_limit", *CHAINS, "reporter?", "snapshots?"],
    broker_gateway.OrderRejected: [
        "position/{symbol}",
        "risk_limit",
        "recovery?",
        "profit_booking?",
        "circuit_breaker?",
        "shield?",
        *TOLD,
        *COUNTED,
    ],
    broker_gateway.OrderOutcomeUnknown: [
        "position/{symbol}",
        "risk_limit",
        "recovery?",
        "profit_booking?",
        "circuit_breaker?",
        "shield?",
        *TOLD,
        "health?",
    ],
    broker_gateway.OrderOutcomeResolved: ["position/{symbol}", "risk_limit", "terminal", *CHAINS, *TOLD],
    risk_limit.LimitReached: [*TOLD],
    risk_limit.BalanceTierReached: ["position/*"],
    risk_limit.RecoveryReserved: ["{owner}"],
    risk_limit.RecoveryRefused: ["{owner}", "reporter?"],
    # chains
    entry.ReentryRaised: ["position/{symbol}"],
    recovery.ChainStepped: ["reporter?"],
    recovery.ChainEnded: ["risk_limit", "reporter?"],
    recovery.ChainWaits: ["position/{symbol}"],
    recovery.ChainWaitOver: ["position/{symbol}"],
    recovery.ReentrySignalled: ["recovery?"],
    recovery.ReserveRecovery: ["risk_limit", "reporter?"],
    recovery.FreeRecovery: ["risk_limit", "reporter?"],
    recovery.StopChain: [*CHAINS, "attendance?"],
    chain_store.SaveChain: ["chain_store/{plugin}"],
    chain_store.ChainSaved: ["{owner}"],
    chain_store.ChainNotSaved: ["{owner}", *TOLD],
    shield.ShieldRaised: ["position/{symbol}", "broker_gateway", "recovery?", "profit_booking?", *TOLD],
    shield.ShieldClosing: ["reporter?"],
    shield.ShieldLowered: ["position/{symbol}", "broker_gateway", "recovery?", "reporter?"],
    shield.LowerShield: ["shield?", "attendance?"],
    shield.HedgeWanted: ["shield?"],
    shield.HedgeEnded: ["recovery?", "reporter?"],
    circuit_breaker.BreakerChanged: ["position/*", "risk_limit", *TOLD],
    broker_gateway.IntentSettled: ["terminal"],
    # a position's life
    position.PositionOpened: ["position/{symbol}", "risk_limit", "protection?", "operator", *CHAINS, *TOLD, "snapshots?"],
    position.PositionPriced: ["position/{symbol}", "risk_limit", "protection?", *CHAINS, "reporter?"],
    position.PositionReduced: ["position/{symbol}", "risk_limit", "protection?", "profit_booking?", *TOLD, "health?"],
    position.PositionClosed: ["position/{symbol}", "risk_limit", "protection?", "operator", *CHAINS, *TOLD, *COUNTED],
    position.ClosePosition: ["broker_gateway", "protection?", "health?"],
    position.ReducePosition: ["position/{symbol}", "protection?"],
    position.TightenStop: ["position/{symbol}"],
    position.StopTightened: [
        "broker_gateway",
        "risk_limit",
        "recovery?",
        "protection?",
        "profit_booking?",
        "shield?",
        "reporter?",
    ],
    position.CloseScope: ["position/*", "protection?"],
    position.CloseFailed: ["position/{symbol}", "risk_limit", "protection?", "circuit_breaker?", *TOLD, "health?"],
    protection.SetStops: ["broker_gateway"],
    protection.StopsSet: ["protection?"],
    protection.StopsRefused: ["protection?", *TOLD, "health?"],
    protection.PositionUnprotected: [*TOLD],
    protection.PositionProtected: [*TOLD],
    protection.SymbolTakenOver: [*TOLD],
    protection.SymbolGivenBack: [*TOLD],
    # the broker
    broker_gateway.CallTerminal: ["terminal"],
    broker_gateway.TerminalAnswered: ["broker_gateway"],
    broker_gateway.DealDone: ["broker_gateway", "risk_limit", "shield?"],
    broker_gateway.CashMoved: ["broker_gateway", "risk_limit", "shield?", *TOLD, *COUNTED],
    broker_gateway.ReadTerminal: ["terminal"],
    broker_gateway.PositionsRead: ["broker_gateway", "protection?", "operator"],
    broker_gateway.AccountRead: ["risk_limit", "broker_gateway", "shield?", *TOLD, *COUNTED],
    broker_gateway.TerminalUnreadable: ["broker_gateway", *TOLD, "health?"],
    broker_gateway.TerminalReadable: ["broker_gateway", *TOLD],
    broker_gateway.BrokerAgreed: ["operator", "reporter?"],
    broker_gateway.BrokerDisagreed: ["operator", *TOLD],
    broker_gateway.ForeignPositionSeen: ["risk_limit", *TOLD],
    broker_gateway.ForeignPositionGone: ["risk_limit", "reporter?"],
    broker_gateway.ForeignOrderSeen: ["risk_limit", *TOLD],
    broker_gateway.ForeignOrderGone: ["risk_limit", "reporter?"],
    broker_gateway.WitnessesDisagree: [*TOLD],
    broker_gateway.LevelsMoved: [*TOLD],
    broker_gateway.MoneyDisagreed: [*TOLD],
    broker_gateway.MoneyAgreed: [*TOLD],
    broker_gateway.AdoptPosition: ["broker_gateway", "attendance?"],
    # a person
    operator.StartTrading: ["operator", "attendance?"],
    operator.PauseTrading: ["operator", "attendance?"],
    operator.ResumeTrading: ["operator", "attendance?"],
    operator.RestrictTrading: ["operator", "attendance?"],
    operator.KillTrading: ["operator", "attendance?"],
    operator.RearmTrading: ["operator", "attendance?"],
    operator.CloseTicket: ["operator", "attendance?"],
    operator.RaiseSignal: ["market_feed", "attendance?"],
    operator.StopRun: [*TOLD],
    operator.LimitsLowered: ["risk_limit", "position/*", "attendance?", "reporter?"],
    operator.SegmentAsked: ["attendance?", "control?", "reporter?"],
    operator.LowerMode: ["operator"],
    operator.ModeChanged: [
        "broker_gateway",
        "position/*",
        "protection?",
        "terminal",
        "control?",
        "recovery?",
        *TOLD,
        "health?",
    ],
    operator.TradingRearmed: [
        "broker_gateway",
        "risk_limit",
        "protection?",
        "wall_clock?",
        "storage?",
        "circuit_breaker?",
        *TOLD,
        "health?",
    ],
    operator.CommandAccepted: ["control?"],
    operator.CommandRefused: ["terminal", "control?"],
    operator.CommandDone: ["terminal", "control?"],
    operator.HoldPlaced: ["broker_gateway", *TOLD, "health?"],
    operator.HoldEnded: ["broker_gateway", *TOLD, "health?"],
    operator.FlattenProgressed: ["reporter?"],
    operator.ScopeFlattened: [*TOLD],
    # the disk
    storage.StorageStrained: [*TOLD, "health?"],
    storage.StorageEased: [*TOLD, "health?"],
    storage.BackupTaken: ["reporter?"],
    # what was told outside
    notifier.NoticeDelivered: [],
    notifier.NoticeOverdue: [],
    # its own health
    health.HealthAlarmed: [*TOLD],
    health.HealthEased: [*TOLD],
}


def children(
    world: World,
    more_edges: Mapping[str, Callable[[], Any]] | None = None,
    stand_ins: Mapping[str, Callable[[], Any]] | None = None,
) -> list[ChildSpec]:
    """Every child, in the order of their start: each hears only of things that those before it may say at once.

    `more_edges` are those that not every run has: `reporter`, `notifier`, `storage`, `health`, `snapshots`, `control`.
    `stand_ins` are made in the place of strategies by their children's names: in a replay those that know what they will say.
    """
    more, stand_ins = more_edges or {}, stand_ins or {}
    specs = [
        _edge("clock", lambda: Timers(world.clock)),
        *actors(world.config, world.symbols, is_live=world.source is not None),
    ]
    specs += [_edge(name, make, essential=False) for name, make in more.items() if name in ("reporter", "notifier")]
    if isinstance(world.clock, SteadyClock):
        steady, hold_ms = world.clock, standstill_hold_ms(world.config)
        specs.append(_edge("wall_clock", lambda: WallClock(steady, standstill_hold_ms=hold_ms)))
    callers = {"terminal": lambda: terminal_edge(world), "market_feed": lambda: market_feed(world)}
    specs += [_edge(name, make, patience_s=world.patience_s) for name, make in callers.items()]
    specs += [_edge(name, make, essential=False) for name, make in more.items() if name == "storage"]
    specs += [_chain_store(name, world) for name in plugins(world.config)]
    specs += [_strategy(name, world, stand_ins) for name in world.config.strategy]
    specs += [_edge(name, make, essential=False) for name, make in more.items() if name in ("health", "snapshots")]
    specs += [_edge(name, make) for name, make in more.items() if name == "control"]
    return specs


def actors(config: Config, symbols: tuple[str, ...], *, is_live: bool = True) -> list[ChildSpec]:
    """The children that decide, which need no world: a recorded run can be decided again by them alone.

    In a replay nobody else closes or moves anything: `protection` is there for the stop at the broker alone.
    """
    guards = guard_names(config, symbols)
    specs = [
        _actor("operator", lambda: operator_of(config, symbols)),
        _actor("trading_calendar", lambda: TradingCalendar(config.trading_calendar)),
        _actor("risk_limit", lambda: RiskLimit(config)),
        _actor("broker_gateway", lambda: BrokerGateway(config, guards)),
    ]
    if is_live or config.catastrophe_stop.at_broker == "on":
        specs.append(_actor("protection", lambda: Protection(config, guards)))
    if has_shield(config):
        specs.append(_actor("shield", lambda: Shield(config)))
    if config.circuit_breaker.enabled:
        specs.append(_actor("circuit_breaker", lambda: CircuitBreaker(config.circuit_breaker, symbols)))
    if has_chains(config):
        specs.append(_actor("recovery", lambda: Recovery(config)))
    if has_pyramids(config):
        specs.append(_actor("profit_booking", lambda: ProfitBooking(config)))
    absent_hours = config.attendance.absent_hours_max
    if absent_hours != "off":
        specs.append(_actor("attendance", lambda: Attendance(round(absent_hours * 3_600_000))))
    return [*specs, *(_position(symbol, config) for symbol in symbols)]


def guard_names(config: Config, symbols: Sequence[str]) -> tuple[str, ...]:
    """The children without which nothing new is opened, those included that not every run has."""
    breaker = ("circuit_breaker",) if config.circuit_breaker.enabled else ()
    shields = ("shield",) if has_shield(config) else ()
    chains = ("recovery",) if has_chains(config) else ()
    return (
        "risk_limit",
        "operator",
        "trading_calendar",
        "protection",
        *breaker,
        *chains,
        *shields,
        "wall_clock",
        "storage",
        "notifier",
        *(f"position/{symbol}" for symbol in symbols),
    )


def has_shield(config: Config) -> bool:
    """Only chains have shields: they put trade after trade into the same move."""
    return has_chains(config) and (config.shield.enabled or config.shield.hedge.enabled)


def operator_of(config: Config, symbols: tuple[str, ...]) -> Operator:
    return Operator(
        trading_enabled=config.trading.enabled,
        scopes=(*symbols, *(f"strategy/{name}" for name in config.strategy)),
        reading_gap_ms=round(config.broker_gateway.reading_gap_s * 1000),
    )


def standstill_hold_ms(config: Config) -> int:
    """Time for two readings of the broker after a standstill: what was due, and one that lies apart from it."""
    gateway = config.broker_gateway
    return round((2 * gateway.reconcile_s + gateway.reading_gap_s) * 1000)


def route_table(specs: Sequence[ChildSpec]) -> RouteTable:
    return RouteTable(ROUTES, children=[spec.name for spec in specs], said=MESSAGE_TYPES)


def _actor(name: str, make: Callable[[], Any]) -> ChildSpec:
    return ChildSpec(name=name, kind=Kind.ACTOR, make=make)


def _edge(name: str, make: Callable[[], Any], *, essential: bool = True, patience_s: float = 0.0) -> ChildSpec:
    return ChildSpec(name=name, kind=Kind.EDGE, make=make, essential=essential, lease_s=LEASE_S + patience_s)


def _position(symbol: str, config: Config) -> ChildSpec:
    return ChildSpec(name=f"position/{symbol}", kind=Kind.ACTOR, make=lambda: Position(symbol, config), owns_positions=True)


def _chain_store(plugin: str, world: World) -> ChildSpec:
    return _edge(f"chain_store/{plugin}", lambda: ChainStoreEdge(plugin, world.chain_store(plugin)), essential=False)


def _strategy(name: str, world: World, stand_ins: Mapping[str, Callable[[], Any]]) -> ChildSpec:
    config, follows = world.config.strategy[name], world.source is not None
    edge = partial(StrategyEdge, name, config, partial(make_strategy, config), world.board, follows=follows)
    return _edge(f"strategy/{name}", stand_ins.get(f"strategy/{name}", edge), essential=False)


if __name__ == "__main__":
    import sys

    from evenkeel.cli import main

    sys.exit(main(["run", *sys.argv[1:]]))
