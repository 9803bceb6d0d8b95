"""The shield actor with a market beside it: what it arms is crossed, what it sets comes due, and both are told to it.

The symbol has two digits: a trade bought at 100.00 with its stop at 99.00 risks 100 points.
"""

from typing import Any

import msgspec
from builders import config_of
from orders import SPEC, closed, opened

from evenkeel.actors.shield import Shield
from evenkeel.config.chains import HedgeShieldConfig, ShieldConfig
from evenkeel.messages.broker_gateway import AccountRead
from evenkeel.messages.entry import Lineage, OrderKind
from evenkeel.messages.market import ArmWatches, BarClosed, Direction, DisarmWatches, PricesReached, Quote, SymbolSpecified
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.shield import HedgeWanted
from evenkeel.messages.system import CancelTimer, SetTimer, TimerDue
from evenkeel.rules.watches import Watches, arm, crossed, disarm
from evenkeel.runtime.actor import restore, snapshot_of

BUY, SELL = Direction.BUY, Direction.SELL
MINUTE_MS = 60_000
SYMBOL = "GOLD"
SILENT = (ArmWatches, DisarmWatches, SetTimer, CancelTimer)
GOLD = msgspec.structs.replace(SPEC, symbol=SYMBOL, digits=2)


TREND = {"kind": "ma_cross", "symbols": ["EURUSD"], "fast": 2, "slow": 3, "orders": "trend"}
CHAINS = config_of(strategy={"trend": TREND}, limits={"chain_risk_budget_hedged_r": 2.2})


class Post:
    """`said` is all that it has said but for watches and timers, `open_now` what was opened and not closed.

    With `restarts` it is made anew before each message.
    """

    def __init__(self, config: ShieldConfig | None = None, *, restarts: bool = False) -> None:
        self.config = msgspec.structs.replace(CHAINS, shield=config or ShieldConfig())
        self.shield = Shield(self.config)
        self.now_utc_ms = 0
        self.watches: dict[str, Watches] = {}
        self.timers: dict[str, int] = {}
        self.said: list[Any] = []
        self.open_now: dict[int, Direction] = {}
        self._restarts = restarts
        self.hear(SymbolSpecified(GOLD))
        self.hear(AccountRead(1_000_000, 1_000_000, 0, "USD", 2, 100))

    def hear(self, message: Any) -> list[Any]:
        if self._restarts:
            before, self.shield = self.shield, Shield(self.config)
            restore(self.shield, snapshot_of(before))
        said = list(self.shield.handle(message, self.now_utc_ms))
        for one in said:
            match one:
                case ArmWatches():
                    arm(self.watches.setdefault(one.symbol, Watches()), one.owner, one.watches)
                case DisarmWatches():
                    disarm(self.watches.setdefault(one.symbol, Watches()), one.owner, one.names)
                case SetTimer():
                    self.timers[one.name] = one.due_utc_ms
                case CancelTimer():
                    self.timers.pop(one.name, None)
        told = [one for one in said if not isinstance(one, SILENT)]
        self.said += told
        return told

    def quote(self, bid: int, ask: int | None = None, symbol: str = SYMBOL) -> list[Any]:
        """What the next quote leads to; the ask is the bid where nothing else is said."""
        ask = bid if ask is None else ask
        quote = Quote(self.now_utc_ms, bid, ask)
        found = crossed(self.watches.setdefault(symbol, Watches()), bid, ask)
        return [
            one for owner, names in found.items() for one in self.hear(PricesReached(owner, symbol, 1, quote, tuple(names)))
        ]

    def wait(self, minutes: float) -> list[Any]:
        """What the timers that come due meanwhile lead to, in their order."""
        end_utc_ms = self.now_utc_ms + round(minutes * MINUTE_MS)
        told: list[Any] = []
        while due := [(at, name) for name, at in self.timers.items() if at <= end_utc_ms]:
            at, name = min(due)
            del self.timers[name]
            self.now_utc_ms = max(self.now_utc_ms, at)
            told += self.hear(TimerDue("shield", name, at))
        self.now_utc_ms = end_utc_ms
        return told

    def open(self, ticket: int = 1, direction: Direction = BUY, **changed: Any) -> list[Any]:
        self.open_now[ticket] = direction
        return self.hear(trade(ticket, direction, **changed))

    def close(self, ticket: int = 1, direction: Direction = BUY, at: int = 9_900, **changed: Any) -> list[Any]:
        self.open_now.pop(ticket, None)
        return self.hear(ended(ticket, direction, close_points=at, closed_utc_ms=self.now_utc_ms, **changed))

    def bars(self, *bars: tuple[int, int, int, int], symbol: str = SYMBOL, **changed: Any) -> list[Any]:
        """Closed bars of M15 by (open, high, low, close); what they lead to."""
        return [one for prices in bars for one in self.hear(bar(prices, symbol, **changed))]

    def kinds(self) -> list[type]:
        return [type(one) for one in self.said]


def trade(ticket: int = 1, direction: Direction = BUY, **changed: Any) -> PositionOpened:
    """At 100.00, with its stop a whole 1.00 away."""
    stop = 9_900 if direction is BUY else 10_100
    levels = {"entry_points": 10_000, "stop_points": stop, "target_points": 0}
    return opened(ticket, **{"symbol": SYMBOL, "direction": direction, **levels, **changed})


def ended(ticket: int = 1, direction: Direction = BUY, **changed: Any) -> PositionClosed:
    return closed(ticket, **{"symbol": SYMBOL, "direction": direction, **changed})


def bar(prices: tuple[int, int, int, int], symbol: str = SYMBOL, *, timeframe: str = "M15", late: bool = False) -> BarClosed:
    close = prices[3]
    return BarClosed(symbol, 1, timeframe, 0, *prices, close, 0, 1, 5, Quote(0, close, close), late=late)


FLAT = [(10_000, 10_010, 9_990, 10_000)] * 17
"""Quiet bars: an ATR of 20 points, a swing from 99.90 to 100.10."""
FALL = [(10_000, 10_000, 9_975, 9_980), (9_980, 9_980, 9_955, 9_960), (9_960, 9_960, 9_935, 9_940)]
RISE = [(20_000 - o, 20_000 - low, 20_000 - high, 20_000 - c) for o, high, low, c in FALL]


# -- hedges: a trade bought at 2000.00 with its stop at 1990.00 ---------------------------------------------------------------

HEDGING = ShieldConfig(enabled=False, hedge=HedgeShieldConfig(enabled=True))
CHAIN = "GOLD-abc-1"


def wanted(direction: Direction = BUY, **changed: Any) -> HedgeWanted:
    s = 1 if direction is BUY else -1
    want = HedgeWanted(
        plugin="trend",
        chain_id=CHAIN,
        symbol=SYMBOL,
        spec_id=1,
        direction=direction,
        parent_ticket=7,
        level=1,
        volume_steps=10,
        entry_points=200_000,
        stop_points=200_000 - s * 1_000,
        kill_points=200_000 - s * 300,
        until_utc_ms=30 * MINUTE_MS,
        quote=Quote(0, 200_000 - s * 1_000, 200_000 - s * 1_000),
        spread_median_points=10,
    )
    return msgspec.structs.replace(want, **changed)


def leg_lineage(kind: OrderKind) -> Lineage:
    return Lineage("shield", "trend", chain_id=f"{CHAIN}/s7", parent_ticket=7, level=1, order_kind=kind.value)


def leg(ticket: int, kind: OrderKind, direction: Direction = SELL, **changed: Any) -> PositionOpened:
    return trade(ticket, direction, **{"lineage": leg_lineage(kind), **changed})


def leg_ended(ticket: int, kind: OrderKind, reason: ExitReason, net_cents: int = 0, **changed: Any) -> PositionClosed:
    lineage = {"lineage": leg_lineage(kind)}
    return ended(ticket, SELL, **{"reason": reason, "net_cents": net_cents, **lineage, **changed})
