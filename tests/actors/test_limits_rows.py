"""The table of limits, row by row: reached it bites, one step below it does not, its reset frees, a restart changes nothing.

Each row is told to the actor that enforces it. Those of the terminal edge (quote_age_s_max, quote_age_others_s_max,
intent_expiry_s, requests.close_per_s) are in tests/adapters/test_terminal.py.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest
from orders import opened as managed
from risk_builders import (
    DAILY,
    DAY_MS,
    EURUSD,
    HOUR_MS,
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
    PERSONAL,
    PLAIN,
    ConsecutiveLossesConfig,
    DrawdownConfig,
    LossTiersConfig,
    MarginLevelConfig,
    RejectsConfig,
    RequestsConfig,
    SessionConfig,
    SlippageConfig,
)
from evenkeel.config.schema import Config, EntryConfig, MaCrossConfig
from evenkeel.messages.broker_gateway import ForeignPositionGone, OrderRejected
from evenkeel.messages.entry import DenialReason, Lineage, OpenPosition, OrderDenied, SignalRaised
from evenkeel.messages.market import DailyBarsRead, Direction, Quote, SymbolSpecified
from evenkeel.messages.operator import LowerMode, Mode, TradingRearmed
from evenkeel.messages.position import PositionClosed, PositionOpened, PositionPriced, ReducePosition
from evenkeel.messages.recovery import FreeRecovery, ReserveRecovery
from evenkeel.messages.risk_limit import LimitReached, RecoveryRefused, RecoveryReserved
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


ROWS = [
    on_equity("risk_per_trade_pct", risk_per_trade_pct=0.2),
    on_equity("loss_at_catastrophe_stop_pct", at_broker="on", loss_at_catastrophe_stop_pct=0.4),
    on_equity("order_notional_max", order_notional_max=1.1),
    Row(
        "volume_lots_max",
        config(volume_lots=None, risk_per_trade_pct=0.2, volume_lots_max=0.09),
        hears(account(1_000_000)),
        hears(account(900_000)),
        hears(account(900_000)),
        lambda desk: desk.ask().bound_by == "volume_lots_max",
    ),
    beside("symbol_notional_max", "EURUSD", symbol_notional_max=2.2),
    beside("total_notional_max", "GBPUSD", total_notional_max=2.2),
    beside("free_margin_after_pct", "GBPUSD", free_margin_after_pct=97.8),
    shared("correlated_risk_pct", "GBPUSD", correlated_risk_pct=0.4),
    shared("open_risk_pct", "GBPUSD", open_risk_pct=0.4),
    at_level("warn_pct", 200, says(LimitReached), stays_quiet),
    at_level("hold_pct", 150, refused(DenialReason.MARGIN_LEVEL)),
    at_level("halve_pct", 120, says(ReducePosition), refused(DenialReason.MARGIN_LEVEL)),
    at_level("flatten_pct", 100, lowers(Mode.FLATTEN), refused(DenialReason.MARGIN_LEVEL)),
    Row(
        "positions_max",
        config(positions_max=2),
        then(opens(("EURUSD", 200)), asks(1)),
        opens(("EURUSD", 200)),
        closes_all,
        refused(DenialReason.POSITIONS),
    ),
    slots("per_symbol_slots", 1, at_symbol()),
    slots("per_symbol_slots", 2, at_symbol(per_symbol_slots=2)),
    slots("strategy.slots", 3, msgspec.structs.replace(at_symbol(), strategy={"trend": MaCrossConfig(slots=3)})),
    Row(
        "trades_per_hour",
        config(trades_per_hour=2),
        trades(2),
        trades(1),
        waits(HOUR_MS),
        refused(DenialReason.TRADES_PER_HOUR),
    ),
    Row(
        "trades_per_day",
        config(trades_per_day=2),
        trades(2),
        trades(1),
        hears(day_started(2), after_ms=DAY_MS),
        refused(DenialReason.TRADES_PER_DAY),
    ),
    Row(
        "trades_limit_days_max",
        config(trades_per_day=1, trades_limit_days_max=3),
        days_at_limit(1, 3),
        days_at_limit(1, 2),
        then(forgets, hears(TradingRearmed("person", 1)), days_at_limit(4, 4)),
        lowers(Mode.CLOSE_ONLY),
        refused(DenialReason.TRADES_PER_DAY),
    ),
    Row(
        "day_loss_pct",
        config(day_loss_pct=3.0),
        hears(account(970_000)),
        hears(account(970_001)),
        hears(day_started(2), after_ms=DAY_MS),
        refused(DenialReason.DAY_LOSS),
    ),
    Row(
        "day_loss_soft_pct",
        config(day_loss_soft_pct=2.0),
        hears(account(980_000)),
        hears(account(980_001)),
        hears(day_started(2), after_ms=DAY_MS),
        bound("entry.volume_lots cut to 50 %"),
    ),
    Row(
        "week_loss_pct",
        config(week_loss_pct=6.0),
        then(hears(account(970_000), day_started(2)), hears(account(940_000))),
        then(hears(account(970_000), day_started(2)), hears(account(940_001))),
        hears(day_started(8), after_ms=7 * DAY_MS),
        refused(DenialReason.WEEK_LOSS),
    ),
    fallen("reduce_pct", 950_000, bound("entry.volume_lots cut to 75 %")),
    fallen("halve_pct", 920_000, bound("entry.volume_lots cut to 50 %")),
    fallen("close_only_pct", 880_000, lowers(Mode.CLOSE_ONLY), refused(DenialReason.DRAWDOWN)),
    fallen("flatten_pct", 850_000, lowers(Mode.FLATTEN), refused(DenialReason.DRAWDOWN)),
    lost("reduce_after", 3, trades(1), bound("entry.volume_lots cut to 75 %")),
    lost("hold_after", 4, waits(6 * HOUR_MS), refused(DenialReason.CONSECUTIVE_LOSSES)),
    lost(
        "close_only_after",
        7,
        then(forgets, hears(TradingRearmed("person", 1)), loses(1)),
        lowers(Mode.CLOSE_ONLY),
        refused(DenialReason.CONSECUTIVE_LOSSES),
    ),
    Row(
        "balance_floor_pct",
        config(balance_floor_pct=50.0),
        hears(account(600_000, balance_cents=500_000)),
        hears(account(500_001, balance_cents=600_000)),
        then(forgets, hears(TradingRearmed("person", 1), account(500_000, balance_cents=500_000))),
        lowers(Mode.FLATTEN),
        refused(DenialReason.BALANCE_FLOOR),
    ),
    Row("confidence_min", config(confidence_min=0.7), sure(0.69), sure(0.7), sure(0.7), refused(DenialReason.CONFIDENCE)),
    Row(
        "spread_points_max",
        at_symbol(EntryConfig(cooldown_minutes=0.0, spread_multiple_max=3.0)),
        wide(31),
        wide(30),
        wide(10),
        refused(DenialReason.SPREAD),
        desk=SymbolDesk,
    ),
    Row(
        "slippage.multiple_max",
        config(slippage=SlippageConfig()),
        fills(31, 31),
        fills(31, 30),
        waits(30 * MINUTE_MS),
        refused(DenialReason.SLIPPAGE),
    ),
    Row(
        "rejects.in_a_row_max",
        config(rejects=RejectsConfig()),
        fails(5),
        fails(4),
        waits(5 * MINUTE_MS),
        refused(DenialReason.REJECTS),
    ),
    cooled("open"),
    cooled("close"),
    asked("open_and_modify_per_s", 2, waits(1_000), DenialReason.REQUESTS_PER_SECOND),
    asked("open_and_modify_per_min", 3, waits(MINUTE_MS), DenialReason.REQUESTS_PER_MINUTE),
    asked("open_and_modify_per_day", 4, hears(day_started(2), after_ms=DAY_MS), DenialReason.REQUESTS_PER_DAY),
    shut("rollover_before_minutes", MONDAY_UTC_MS - 10 * MINUTE_MS, 10),
    shut("friday_before_close_minutes", MONDAY_UTC_MS - 72 * HOUR_MS - 60 * MINUTE_MS, 60),
    shut("rollover_after_minutes", MONDAY_UTC_MS, 20),
    shut("sunday_after_open_minutes", MONDAY_UTC_MS - 24 * HOUR_MS, 15),
    Row(
        "recovery_attempts",
        chained(recovery_attempts=10),
        recovers(*[0] * 10),
        recovers(*[0] * 9),
        day_ends,
        recovery_refused(DenialReason.RECOVERY_ATTEMPTS),
        desk=ChainDesk,
    ),
    Row(
        "recovery_losses",
        chained(recovery_losses=5),
        recovers(*[-1] * 5),
        recovers(0, *[-1] * 4),
        day_ends,
        recovery_refused(DenialReason.RECOVERY_LOSSES),
        desk=ChainDesk,
    ),
    Row(
        "recovery_concurrent",
        chained(recovery_concurrent=3),
        keeps(3),
        keeps(2),
        hears(FreeRecovery("k1/1")),
        recovery_refused(DenialReason.RECOVERY_CONCURRENT),
        desk=ChainDesk,
    ),
    Row(
        "recovery_pause_hours",
        chained(recovery_losses=1),
        then(waits(DAY_MS - HOUR_MS), recovers(-1), hears(day_started(2), after_ms=6 * HOUR_MS - 1)),
        then(waits(DAY_MS - HOUR_MS), recovers(-1), hears(day_started(2), after_ms=6 * HOUR_MS)),
        waits(1),
        recovery_refused(DenialReason.RECOVERY_LOSSES),
        desk=ChainDesk,
    ),
    Row(
        "profit_protection",
        chained(profit_protection=100.0),
        then(lambda desk: desk.trade(15_000), lambda desk: desk.trade(-5_000)),
        then(lambda desk: desk.trade(15_000), lambda desk: desk.trade(-5_001)),
        day_ends,
        recovery_refused(DenialReason.PROFIT_PROTECTION),
        desk=ChainDesk,
    ),
    Row(
        "chain_risk_budget_r",
        chained(chain_risk_budget_r=2.0),
        chain_stands(1, "tp_continuation"),
        chain_stands(0, "tp_continuation"),
        closes_all,
        next_refused(DenialReason.CHAIN_RISK_BUDGET),
        desk=ChainDesk,
    ),
    Row(
        "chain_risk_budget_hedged_r",
        chained(chain_risk_budget_r=2.0, chain_risk_budget_hedged_r=2.2),
        chain_stands(401, "shield_a"),
        chain_stands(400, "shield_a"),
        closes_all,
        next_refused(DenialReason.CHAIN_RISK_BUDGET),
        desk=ChainDesk,
    ),
    Row(
        "loss_tiers.day",
        chained(loss_tiers=LossTiersConfig()),
        lambda desk: [desk.trade(cents) for cents in (-10_000, 50_000, -10_000)],
        lambda desk: [desk.trade(cents) for cents in (-10_000, 50_000, -7_900)],
        day_ends,
        refused(DenialReason.LOSS_TIER_DAY),
        desk=ChainDesk,
    ),
    Row(
        "loss_tiers.lifetime",
        chained(loss_tiers=LossTiersConfig()),
        lambda desk: [(desk.hear(day_started(day)), desk.trade(-19_000)) for day in range(1, 7)],
        lambda desk: [(desk.hear(day_started(day)), desk.trade(-19_000)) for day in range(1, 6)],
        then(forgets, hears(day_started(7), TradingRearmed("person", 1))),
        lowers(Mode.CLOSE_ONLY),
        refused(DenialReason.LOSS_TIER_LIFETIME),
        desk=ChainDesk,
    ),
]
ELSEWHERE_TOLD = {"quote_age_s_max", "quote_age_others_s_max", "intent_expiry_s", "requests.close_per_s"}
SHAPES = {
    "slippage_points",
    "drawdown.reduce_to_ratio",
    "drawdown.halve_to_ratio",
    "consecutive_losses.reduce_to_ratio",
    "consecutive_losses.hold_hours",
    "loss_tiers.applies_to",
    "slippage.breaches_max",
    "slippage.within_minutes",
    "slippage.hold_minutes",
    "rejects.hold_minutes",
    "rejects.hold_minutes_max",
}
"""What a limit does when it is reached, and how much is set aside: no limits by themselves."""
each = pytest.mark.parametrize("row", ROWS, ids=[row.key for row in ROWS])


@each
def test_reached_it_bites(row: Row) -> None:
    desk = row.desk(row.knobs)
    row.reach(desk)
    assert row.bites(desk)


@each
def test_one_step_below_it_does_not(row: Row) -> None:
    desk = row.desk(row.knobs)
    row.below(desk)
    assert not row.bites(desk)


@each
def test_its_reset_frees(row: Row) -> None:
    desk = row.desk(row.knobs)
    row.reach(desk)
    row.reset(desk)
    assert not row.bites(desk)


@each
def test_a_restart_changes_nothing(row: Row) -> None:
    desk = row.desk(row.knobs)
    row.reach(desk)
    desk.restart()
    assert (row.stands or row.bites)(desk)


@each
def test_a_restart_on_the_way_changes_nothing(row: Row) -> None:
    """What was counted before it counts after it."""
    desk = row.desk(row.knobs)
    row.below(desk)
    desk.restart()
    assert not row.bites(desk)


def test_every_knob_of_the_limits_has_a_row() -> None:
    knobs = msgspec.to_builtins(PERSONAL)
    tables = {key: table for key, table in knobs.items() if isinstance(table, dict)}
    leaves = {key for key in knobs if key not in tables} | {f"{key}.{leaf}" for key, table in tables.items() for leaf in table}
    assert leaves - {row.key for row in ROWS} == ELSEWHERE_TOLD | SHAPES
