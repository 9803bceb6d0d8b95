"""A small world round the recovery actor: a price, timers, a store that writes, limits that grant, and a broker that fills."""

from typing import Any

import msgspec
from builders import MONDAY_UTC_MS, config_of
from chains import closed_by_app

from evenkeel.actors.recovery import Heard, Recovery
from evenkeel.config.schema import Config
from evenkeel.messages.chain_store import ChainNotSaved, ChainSaved, SaveChain, StoreFailure
from evenkeel.messages.entry import DenialReason, Lineage, OrderDenied, OrderKind, ReentryRaised, SignalRaised
from evenkeel.messages.market import (
    ArmWatches,
    BarClosed,
    Direction,
    DisarmWatches,
    PricesReached,
    Quote,
    Side,
    SymbolSpecified,
    Watch,
)
from evenkeel.messages.position import ExitReason, PositionOpened
from evenkeel.messages.recovery import Chain, ChainEnded, ChainStepped, ReserveRecovery
from evenkeel.messages.risk_limit import RecoveryRefused, RecoveryReserved
from evenkeel.messages.shield import ShieldRaised, ShieldReason
from evenkeel.messages.system import CancelTimer, Message, SetTimer, TimerDue
from evenkeel.rules.symbols import spec_for
from evenkeel.runtime.actor import restore, snapshot_of

CHAIN = "X-1"
PLUGIN = "trend"
START_UTC_MS = MONDAY_UTC_MS + 10 * 3_600_000
QUARTER_MS = 900_000


_CONFIGS: dict[str, Config] = {}


def chains_config(**overrides: object) -> Config:
    """Two strategies whose signals open order A; each configuration is read once."""
    key = repr(sorted(overrides.items()))
    if key not in _CONFIGS:
        _CONFIGS[key] = _read(**overrides)
    return _CONFIGS[key]


def _read(**overrides: object) -> Config:
    symbols = overrides.pop("symbols", ["XAUUSD", "EURUSD"])
    plugin = {"kind": "ma_cross", "symbols": symbols, "fast": 2, "slow": 3, "orders": "trend"}
    plugin |= {name: overrides.pop(name) for name in ("logic", "chain_type") if name in overrides}
    return config_of(strategy={PLUGIN: plugin, "other": dict(plugin)}, **overrides)


class Sagas:
    """The actor `recovery` and everything that answers it. `bid` and `spread` are in points; time is the run's clock."""

    def __init__(self, symbol: str = "XAUUSD", direction: Direction = Direction.BUY, **overrides: object) -> None:
        self.config = chains_config(**overrides)
        self.spec = spec_for(symbol, self.config)
        self.direction = direction
        self.actor = Recovery(self.config)
        self.now_utc_ms = START_UTC_MS
        self.bid, self.spread = 200_000, 20
        self.said: list[Message] = []
        self.watches: dict[str, Watch] = {}
        self.timers: dict[str, int] = {}
        self.next_ticket = 100
        self.grants: RecoveryRefused | None = None
        self.store_fails = False
        self.is_store_silent = False
        self.are_limits_silent = False
        self.tell(SymbolSpecified(self.spec))

    # -- telling it ------------------------------------------------------------------------------------------------------------

    def tell(self, message: Heard) -> list[Message]:
        """It hears the message; the store, the limits and the clock answer what it says, until it says no more."""
        heard: list[Any] = [message]
        answers: list[Message] = []
        while heard:
            said = list(self.actor.handle(heard.pop(0), self.now_utc_ms))
            answers += said
            for one in said:
                heard += self._answer(one)
        self.said += answers
        return answers

    def _answer(self, said: Message) -> list[Any]:
        match said:
            case SaveChain(chain=chain) if not self.is_store_silent:
                told = "recovery", said.plugin, chain.chain_id, chain.version
                return [ChainNotSaved(*told, StoreFailure.UNWRITABLE, "full") if self.store_fails else ChainSaved(*told)]
            case ReserveRecovery() if not self.are_limits_silent:
                refused = self.grants
                if refused is not None:
                    return [msgspec.structs.replace(refused, owner="recovery", recovery_id=said.recovery_id)]
                return [RecoveryReserved("recovery", said.recovery_id)]
            case ArmWatches():
                self.watches |= {watch.name: watch for watch in said.watches}
            case DisarmWatches():
                for name in said.names:
                    self.watches.pop(name, None)
            case SetTimer():
                self.timers[said.name] = said.due_utc_ms
            case CancelTimer():
                self.timers.pop(said.name, None)
            case _:
                pass
        return []

    def quote(self, bid: int | None = None, spread: int | None = None) -> list[Message]:
        """A price comes; what it crosses is told."""
        self.bid, self.spread = self.bid if bid is None else bid, self.spread if spread is None else spread
        quote = Quote(self.now_utc_ms, self.bid, self.bid + self.spread)
        names = tuple(name for name, watch in self.watches.items() if _is_crossed(watch, quote))
        for name in names:
            del self.watches[name]
        return self.tell(PricesReached("recovery", self.spec.symbol, 1, quote, names)) if names else []

    def wait(self, seconds: float) -> None:
        """Timers fire, each at its time; no price moves."""
        until_utc_ms = self.now_utc_ms + round(seconds * 1000)
        while due := sorted((at, name) for name, at in self.timers.items() if at <= until_utc_ms):
            at, name = due[0]
            del self.timers[name]
            self.now_utc_ms = max(self.now_utc_ms, at)
            self.tell(TimerDue("recovery", name, at))
        self.now_utc_ms = until_utc_ms

    def bars(self, step: int | None = None, *, count: int = 40, late: bool = False) -> list[Message]:
        """Closed M15 bars that lead the way of the chain, or `step` points each; their time is of no matter."""
        step = 10 * self.s if step is None else step
        said: list[Message] = []
        for number in range(count):
            close = self.bid + step * (number - count)
            high, low = max(close, close - step) + 1, min(close, close - step) - 1
            facts = self.spec.symbol, 1, "M15", number * QUARTER_MS, close - step, high, low, close, close + 10
            said += self.tell(BarClosed(*facts, 10, 20, 100, Quote(self.now_utc_ms, self.bid, self.bid + 20), late=late))
        return said

    def flat(self, count: int = 20) -> list[Message]:
        """Bars that lead nowhere, as wide as the others."""
        step = 10
        said: list[Message] = []
        for number in range(count):
            close = self.bid + (step if number % 2 else 0)
            facts = self.spec.symbol, 1, "M15", number * QUARTER_MS, close, self.bid + 12, self.bid - 1, self.bid, close + 10
            said += self.tell(BarClosed(*facts, 10, 20, 100, Quote(self.now_utc_ms, self.bid, self.bid + 20)))
        return said

    # -- trades ----------------------------------------------------------------------------------------------------------------

    @property
    def s(self) -> int:
        return 1 if self.direction is Direction.BUY else -1

    def begin(self, entry: int, stop: int, chain_id: str = CHAIN, plugin: str = PLUGIN, **changed: Any) -> int:
        """A fresh order A is filled."""
        lineage = Lineage("signal", plugin, chain_id, order_kind="tp_trail", slot=3, confidence=0.9)
        return self._opened(lineage, entry, stop, entry + 2 * (entry - stop), 50, **changed)

    def fill(self, asked: ReentryRaised, entry: int | None = None, **changed: Any) -> int:
        """The broker opens what was asked for, at `entry` or the price of now."""
        usual = self.bid + self.spread if self.s > 0 else self.bid
        at = usual if entry is None else entry
        goal = asked.target_distance_points
        stop, target = at - self.s * asked.stop_distance_points, at + self.s * goal if goal else 0
        return self._opened(asked.signal.lineage, at, stop, target, asked.volume_steps, **changed)

    def _opened(self, lineage: Lineage, entry: int, stop: int, target: int, steps: int, **changed: Any) -> int:
        ticket, self.next_ticket = self.next_ticket, self.next_ticket + 1
        told = ticket, self.spec.symbol, 1, self.direction, steps, entry, stop, target, 0, 0, self.now_utc_ms, lineage
        self.tell(msgspec.structs.replace(PositionOpened(*told), **changed))
        return ticket

    def close(self, ticket: int, reason: ExitReason, at: int, net_cents: int, **changed: Any) -> list[Message]:
        """The broker's deals say that it is gone."""
        saga = next(saga for saga in self.actor.state.sagas.values() if saga.ticket == ticket)
        lineage = msgspec.structs.replace(saga.lineage, order_kind=saga.chain.step)
        closed = closed_by_app(
            self.spec,
            ticket,
            at=at,
            net_cents=net_cents,
            reason=reason,
            utc_ms=self.now_utc_ms,
            direction=self.direction,
            volume_steps=saga.chain.volume_steps,
            entry_points=saga.chain.last_entry_points,
            spec_id=1,
            lineage=lineage,
        )
        return self.tell(msgspec.structs.replace(closed, **changed))

    def saved(self) -> ChainSaved:
        """The store's answer to what it was given last."""
        return ChainSaved("recovery", PLUGIN, CHAIN, self.actor.state.sagas[CHAIN].chain.version)

    def stopped(self, entry: int = 200_000, stop: int = 199_000, net_cents: int = -1000) -> int:
        """An order A is filled, and its stop is reached."""
        ticket = self.begin(entry, stop)
        self.close(ticket, ExitReason.STOP, stop, net_cents)
        return ticket

    def won(self, entry: int = 200_000, stop: int = 199_000) -> int:
        """An order A is filled, and its target is reached."""
        ticket = self.begin(entry, stop)
        self.bid = entry + 2 * (entry - stop)
        self.close(ticket, ExitReason.TARGET, self.bid, 2000)
        return ticket

    def recovering(self, net_cents: int = -1000) -> int:
        """A recovery is open."""
        self.bars()
        self.stopped(net_cents=net_cents)
        self.wait(60)
        self.quote(199_700)
        return self.fill(self.asked()[-1])

    def deny(self, reason: DenialReason = DenialReason.SPREAD) -> list[Message]:
        lineage = self.asked()[-1].signal.lineage
        told = "p", self.spec.symbol, self.direction, "risk_limit", reason, 0, 0, ""
        return self.tell(OrderDenied(*told, lineage))

    def signal(self, direction: Direction, plugin: str = PLUGIN) -> list[Message]:
        quote = Quote(self.now_utc_ms, self.bid, self.bid + self.spread)
        raised = SignalRaised(self.spec.symbol, 1, direction, quote, 0, 20, Lineage("signal", plugin))
        return self.tell(raised)

    # -- looking ---------------------------------------------------------------------------------------------------------------

    def of(self, *kinds: Any) -> list[Any]:
        return [said for said in self.said if isinstance(said, kinds)]

    def asked(self) -> list[ReentryRaised]:
        return self.of(ReentryRaised)

    def kinds(self) -> list[str]:
        """Of the orders that were asked for."""
        return [OrderKind(raised.signal.lineage.order_kind).value for raised in self.asked()]

    def path(self) -> list[str]:
        """Where the chain went, from state to state."""
        return [said.after for said in self.of(ChainStepped)]

    @property
    def state(self) -> str:
        return self.path()[-1]

    def ended(self) -> tuple[str, str] | None:
        ends = self.of(ChainEnded)
        return (ends[-1].status.value, ends[-1].reason) if ends else None

    @property
    def chain(self) -> Chain:
        """As it was given to the store last."""
        saved = self.of(SaveChain)[-1].chain
        assert isinstance(saved, Chain)
        return saved

    def level(self) -> tuple[Side, int] | None:
        """What price is waited for, and on which side."""
        return next(((watch.side, watch.level_points) for watch in self.watches.values()), None)

    def refold(self) -> None:
        """The actor is thrown away, and comes back from a snapshot."""
        again = Recovery(self.config)
        restore(again, snapshot_of(self.actor))
        self.actor = again


def hunting(**overrides: object) -> Sagas:
    """A stopped trade (2000.00, stop 1990.00) waits for 1997.00, and all but the price is there."""
    world = Sagas(**overrides)
    world.bars()
    world.stopped()
    world.wait(60)
    return world


def won(**overrides: object) -> Sagas:
    """A trade reached its target at 2020.00, and all but the price is there."""
    world = Sagas(**overrides)
    world.bars()
    world.won()
    world.wait(5)
    return world


def shield(direction: Direction = Direction.BUY) -> ShieldRaised:
    return ShieldRaised("XAUUSD", direction, ShieldReason.AWAY, 1, 1, 0, ())


def _is_crossed(watch: Watch, quote: Quote) -> bool:
    price = quote.bid_points if watch.side is Side.BID else quote.ask_points
    return price >= watch.level_points if watch.rising else price <= watch.level_points
