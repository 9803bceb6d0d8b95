"""Rows of the table of limits: the account and the symbol that are asked, and what brings them to a limit and back."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from orders import opened as managed
from risk_builders import (
    DAILY,
    DAY_MS,
    EURUSD,
    account,
    actor,
    closed,
    config,
    day_started,
    foreign,
    opened,
    proposal,
)

from evenkeel.actors.position import Position
from evenkeel.actors.risk_limit import RiskLimit
from evenkeel.config.limits import (
    PLAIN,
    ConsecutiveLossesConfig,
    DrawdownConfig,
    MarginLevelConfig,
    RequestsConfig,
    SessionConfig,
)
from evenkeel.config.schema import Config, EntryConfig, MaCrossConfig
from evenkeel.messages.broker_gateway import ForeignPositionGone, OrderRejected
from evenkeel.messages.entry import DenialReason, Lineage, OpenPosition, OrderDenied, SignalRaised
from evenkeel.messages.market import DailyBarsRead, Direction, Quote, SymbolSpecified
from evenkeel.messages.operator import LowerMode, Mode, TradingRearmed
from evenkeel.messages.position import PositionClosed, PositionOpened, PositionPriced
from evenkeel.messages.recovery import FreeRecovery, ReserveRecovery
from evenkeel.messages.risk_limit import RecoveryRefused, RecoveryReserved
from evenkeel.messages.system import Message
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.runtime.actor import restore, snapshot_of

MINUTE_MS = 60_000
GBPUSD = msgspec.structs.replace(EURUSD, symbol="GBPUSD")


class Desk:
    """The account's limits on the first trading day, and whoever asks them."""

    def __init__(self, knobs: Config) -> None:
        self.knobs, self.now_utc_ms, self.asked = knobs, 0, 0
        self.confidence = 1.0
        self.said: list[Message] = []
        self.actor: Any = self.make()
        self.hear(SymbolSpecified(EURUSD), SymbolSpecified(GBPUSD), day_started(), DailyBarsRead("EURUSD", 1, DAILY), account())

    def make(self) -> Any:
        return RiskLimit(self.knobs)

    def restart(self) -> None:
        before, self.actor = self.actor, self.make()
        restore(self.actor, snapshot_of(before))

    def hear(self, *messages: Any, after_ms: int = 0) -> None:
        self.now_utc_ms += after_ms
        for message in messages:
            self.said += self.actor.handle(message, self.now_utc_ms)

    def ask(self, **changed: Any) -> Any:
        """The answer to a proposal."""
        self.asked += 1
        [answer] = self.actor.handle(proposal(self.asked, confidence=self.confidence, **changed), self.now_utc_ms)
        return answer

    def open(self, **changed: Any) -> PositionOpened:
        """Its ticket is the number of the question."""
        position = opened(self.ask(**changed), self.asked)
        self.hear(position)
        return position

    def trade(self, net_cents: int = 0) -> None:
        self.hear(closed(self.open(), net_cents))

    def fill(self, slipped_points: int) -> None:
        """A trade whose deal is so much worse than its quote."""
        position = self.open()
        deal = PositionPriced(position.ticket, "EURUSD", 1, 110_010 + slipped_points, 10, 0)
        self.hear(deal, deal, closed(position))

    def fail(self, times: int) -> None:
        """Orders that the broker refuses."""
        for _ in range(times):
            order = self.ask()
            self.hear(OrderRejected(order.proposal_id, "EURUSD", order.direction, 1, 10004, "requote", order.lineage))

    def forget(self) -> None:
        self.said.clear()

    def lowered(self) -> list[Mode]:
        return [said.mode for said in self.said if isinstance(said, LowerMode)]


class ChainDesk(Desk):
    """The limits of an account of which "trend" opens chains: fresh orders are asked for with 0.10 lot and a stop of 200."""

    def __init__(self, knobs: Config) -> None:
        self.kept, self.day = 0, ""
        super().__init__(knobs)

    def hear(self, *messages: Any, after_ms: int = 0) -> None:
        """A trade is closed in the trading day that was heard of last."""
        for message in messages:
            if isinstance(message, TradingDayStarted):
                self.day = message.day
        told = (
            msgspec.structs.replace(message, trading_day=self.day) if isinstance(message, PositionClosed) else message
            for message in messages
        )
        super().hear(*told, after_ms=after_ms)

    def ask(self, **changed: Any) -> Any:
        self.asked += 1
        lineage = Lineage("strategy", "trend", chain_id=f"c{self.asked}", proposal_id=f"p{self.asked}")
        lineage = msgspec.structs.replace(lineage, **changed)
        [answer] = self.actor.handle(proposal(self.asked, lineage=lineage), self.now_utc_ms)
        return answer

    def keep(self) -> Message:
        """A recovery of a chain of its own; what was answered."""
        self.kept += 1
        asked = ReserveRecovery("recovery", f"k{self.kept}/1", "trend", f"k{self.kept}", "EURUSD")
        [answer] = self.actor.handle(asked, self.now_utc_ms)
        return answer

    def recover(self, net_cents: int = 0) -> None:
        """A recovery that is kept, opened, ended so, and freed."""
        assert isinstance(self.keep(), RecoveryReserved)
        chain_id = f"k{self.kept}"
        position = self.open(chain_id=chain_id, parent_ticket=1, level=1, order_kind="sl_recovery")
        self.hear(closed(position, net_cents), FreeRecovery(f"{chain_id}/1"))


class SymbolDesk(Desk):
    """position/EURUSD, and a strategy that sees reasons to enter on a median spread of 10 points."""

    def __init__(self, knobs: Config) -> None:
        self.knobs, self.now_utc_ms, self.asked = knobs, 0, 0
        self.spread_points = 10
        self.said = []
        self.actor = self.make()
        self.hear(SymbolSpecified(EURUSD))

    def make(self) -> Any:
        return Position("EURUSD", self.knobs)

    def ask(self, **changed: Any) -> Any:
        quote = Quote(self.now_utc_ms, 110_000, 110_000 + self.spread_points)
        signal = SignalRaised("EURUSD", 1, Direction.BUY, quote, 0, 10, Lineage("strategy", "trend", **changed))
        [answer] = self.actor.handle(signal, self.now_utc_ms)
        return answer

    def open(self, **changed: Any) -> PositionOpened:
        self.asked += 1
        lineage = self.ask(**changed).lineage
        position = managed(self.asked, lineage=lineage, opened_utc_ms=self.now_utc_ms)
        self.hear(position)
        return position

    def close(self, position: PositionOpened) -> None:
        self.hear(msgspec.structs.replace(closed(position), closed_utc_ms=self.now_utc_ms))


class Row(NamedTuple):
    """`reach` brings the measure to the limit, `below` one step short of it, `reset` ends it again.

    `bites` says whether the limit shows, in an answer or in what was said; `stands` the same after a restart, where that is
    another question.
    """

    key: str
    knobs: Config
    reach: Callable[[Any], object]
    below: Callable[[Any], object]
    reset: Callable[[Any], object]
    bites: Callable[[Any], bool]
    stands: Callable[[Any], bool] | None = None
    desk: type[Desk] = Desk


def then(*steps: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda desk: [step(desk) for step in steps]


def hears(*messages: Any, after_ms: int = 0) -> Callable[[Any], object]:
    return lambda desk: desk.hear(*messages, after_ms=after_ms)


def waits(after_ms: int) -> Callable[[Any], object]:
    return hears(after_ms=after_ms)


def opens(*symbols_and_stops: tuple[str, int]) -> Callable[[Any], object]:
    """A position of 0.10 lot with a stop so far away."""
    return lambda desk: [desk.open(symbol=symbol, stop_distance_points=points) for symbol, points in symbols_and_stops]


def loses(times: int) -> Callable[[Any], object]:
    return lambda desk: [desk.trade(-1) for _ in range(times)]


def trades(times: int) -> Callable[[Any], object]:
    return lambda desk: [desk.trade() for _ in range(times)]


def asks(times: int) -> Callable[[Any], object]:
    return lambda desk: [desk.ask() for _ in range(times)]


def days_at_limit(first: int, last: int) -> Callable[[Any], object]:
    return lambda desk: [(desk.hear(day_started(day)), desk.trade()) for day in range(first, last + 1)]


def nothing(desk: Any) -> None:
    """The measure is short of the limit already."""


def forgets(desk: Any) -> None:
    desk.forget()


def closes_all(desk: Any) -> None:
    for ticket, held in list(desk.actor.state.book.holdings.items()):
        desk.hear(msgspec.structs.replace(closed(ELSEWHERE), ticket=ticket, symbol=held.symbol))


def bound(by: str) -> Callable[[Any], bool]:
    """The order of 0.10 lot is smaller because of this limit; else it is not smaller."""

    def bites(desk: Any) -> bool:
        order = desk.ask()
        assert isinstance(order, OpenPosition), order
        assert (order.volume_steps < 10) is (order.bound_by == by)
        return order.bound_by == by

    return bites


def refused(reason: DenialReason, **changed: Any) -> Callable[[Any], bool]:
    """With its numbers; else the answer is no refusal."""

    def bites(desk: Any) -> bool:
        answer = desk.ask(**changed)
        if not isinstance(answer, OrderDenied):
            return False
        assert answer.reason is reason, answer
        assert answer.unit, "a refusal has numbers"
        return True

    return bites


def lowers(mode: Mode) -> Callable[[Any], bool]:
    return lambda desk: mode in desk.lowered()


def says(kind: type[Message]) -> Callable[[Any], bool]:
    return lambda desk: any(isinstance(said, kind) for said in desk.said)


def on_equity(key: str, *, cents: int = 1_000_000, at_broker: str = "off", **on: Any) -> Row:
    """An order of 0.10 lot that just fits: of a cent less equity it is too much."""
    knobs = config(at_broker=at_broker, **on)
    return Row(key, knobs, hears(account(cents - 1)), hears(account(cents)), hears(account(cents)), bound(key))


def beside(key: str, symbol: str, **on: Any) -> Row:
    """An order of 0.10 lot that just fits beside as much that is not ours."""
    reach, below = (hears(foreign(99, steps, symbol)) for steps in (11, 10))
    return Row(key, config(**on), reach, below, hears(ForeignPositionGone(99, symbol)), bound(key))


def shared(key: str, symbol: str, **on: Any) -> Row:
    """An order that risks $20 and just fits beside a position that does."""
    return Row(key, config(**on), opens((symbol, 201)), opens((symbol, 200)), closes_all, bound(key))


def at_level(key: str, pct: int, bites: Callable[[Any], bool], stands: Callable[[Any], bool] | None = None) -> Row:
    off = dict.fromkeys(("warn_pct", "hold_pct", "halve_pct", "flatten_pct"), "off")
    knobs = config(margin_level=MarginLevelConfig(**{**off, key: float(pct)}))
    equity_cents = MARGIN_CENTS * pct // 100
    reach, below = (
        then(opens(("EURUSD", 200)), hears(account(cents, margin_cents=MARGIN_CENTS)))
        for cents in (equity_cents, equity_cents + 1)
    )
    recovers = then(forgets, hears(account(2_000_000, margin_cents=MARGIN_CENTS)))
    return Row(f"margin_level.{key}", knobs, reach, below, recovers, bites, stands)


def fallen(key: str, cents: int, bites: Callable[[Any], bool], stands: Callable[[Any], bool] | None = None) -> Row:
    off = dict.fromkeys(("reduce_pct", "halve_pct", "close_only_pct", "flatten_pct"), "off")
    knobs = config(drawdown=DrawdownConfig(**{**off, key: getattr(DrawdownConfig(), key)}))
    rearms = then(forgets, hears(TradingRearmed("person", 1), account(cents)))
    return Row(f"drawdown.{key}", knobs, hears(account(cents)), hears(account(cents + 1)), rearms, bites, stands)


def lost(key: str, after: int, reset: Callable[[Any], object], bites: Any, stands: Any = None) -> Row:
    off = dict.fromkeys(("reduce_after", "hold_after", "close_only_after"), "off")
    knobs = config(consecutive_losses=ConsecutiveLossesConfig(**{**off, key: after}))
    return Row(f"consecutive_losses.{key}", knobs, loses(after), loses(after - 1), reset, bites, stands)


def asked(key: str, most: int, reset: Callable[[Any], object], reason: DenialReason) -> Row:
    off = dict.fromkeys(("open_and_modify_per_s", "open_and_modify_per_min", "open_and_modify_per_day"), "off")
    knobs = config(requests=RequestsConfig(**{**off, key: most}))
    return Row(f"requests.{key}", knobs, asks(most), asks(most - 1), reset, refused(reason))


def shut(key: str, from_utc_ms: int, minutes: int) -> Row:
    off = dict.fromkeys(
        ("rollover_before_minutes", "rollover_after_minutes", "friday_before_close_minutes", "sunday_after_open_minutes"), "off"
    )
    knobs = at_symbol(session=SessionConfig(**{**off, key: float(minutes)}))
    ends = waits(minutes * MINUTE_MS)
    bites = refused(DenialReason.SESSION)
    return Row(f"session.{key}", knobs, waits(from_utc_ms), waits(from_utc_ms - 1), ends, bites, desk=SymbolDesk)


def cooled(from_: str) -> Row:
    """Opened at once, closed a minute later."""
    knobs = at_symbol(EntryConfig(cooldown_minutes=15.0, cooldown_from=from_))
    left_ms = (15 if from_ == "close" else 14) * MINUTE_MS

    def trade(desk: Any) -> None:
        position = desk.open()
        desk.hear(after_ms=MINUTE_MS)
        desk.close(position)

    reach, below = then(trade, waits(left_ms - 1)), then(trade, waits(left_ms))
    return Row(f"cooldown from {from_}", knobs, reach, below, waits(1), refused(DenialReason.COOLDOWN), desk=SymbolDesk)


def slots(key: str, most: int, knobs: Config) -> Row:
    def holds(count: int) -> Callable[[Any], object]:
        return lambda desk: [desk.open() for _ in range(count)]

    def closes(desk: Any) -> None:
        desk.hear(closed(msgspec.structs.replace(ELSEWHERE, ticket=1)))

    return Row(key, knobs, holds(most), holds(most - 1), closes, refused(DenialReason.SLOT_TAKEN), desk=SymbolDesk)


def at_symbol(entry: EntryConfig | None = None, **on: Any) -> Config:
    limits = msgspec.structs.replace(PLAIN, **on)
    return Config(profile="plain", limits=limits, entry=entry or EntryConfig(cooldown_minutes=0.0))


def wide(spread_points: int) -> Callable[[Any], object]:
    return lambda desk: setattr(desk, "spread_points", spread_points)


def sure(confidence: float) -> Callable[[Any], object]:
    return lambda desk: setattr(desk, "confidence", confidence)


def fills(*slipped_points: int) -> Callable[[Any], object]:
    return lambda desk: [desk.fill(points) for points in slipped_points]


def fails(times: int) -> Callable[[Any], object]:
    return lambda desk: desk.fail(times)


def chained(**on: Any) -> Config:
    """Only those limits, and a strategy that opens chains."""
    return msgspec.structs.replace(config(**on), strategy={"trend": MaCrossConfig(orders="trend")})


def recovers(*net_cents: int) -> Callable[[Any], object]:
    return lambda desk: [desk.recover(cents) for cents in net_cents]


def keeps(times: int) -> Callable[[Any], object]:
    return lambda desk: [desk.keep() for _ in range(times)]


def recovery_refused(reason: DenialReason) -> Callable[[Any], bool]:
    """With its numbers; else one more is kept."""

    def bites(desk: Any) -> bool:
        answer = desk.keep()
        assert isinstance(answer, RecoveryReserved) or (answer.limit == reason.value and answer.unit)
        return isinstance(answer, RecoveryRefused)

    return bites


def chain_stands(lost_cents: int, kind: str) -> Callable[[Any], object]:
    """A chain whose first trade risked $20 has lost that much, and has an order open that may lose $20, as the next may."""

    def stands(desk: Any) -> None:
        desk.hear(closed(desk.open(chain_id="c"), -lost_cents))
        desk.open(chain_id="c", parent_ticket=1, level=1, order_kind=kind)

    return stands


def next_refused(reason: DenialReason) -> Callable[[Any], bool]:
    return refused(reason, chain_id="c", parent_ticket=1, level=1, order_kind="tp_continuation")


def day_ends(desk: Any) -> None:
    desk.hear(day_started(2), after_ms=DAY_MS)


MARGIN_CENTS = 500_000
MONDAY_UTC_MS = 1_767_650_400_000
"""2026-01-05 22:00 UTC, 17:00 in New York; the Friday before and the Sunday before are 72 and 24 hours earlier."""
ELSEWHERE = opened(actor(config()).handle(proposal(), 0)[0], 1)  # type: ignore[arg-type]


def stays_quiet(desk: Any) -> bool:
    desk.forget()
    desk.hear(account(1_000_000, margin_cents=MARGIN_CENTS))
    return desk.said == []
