import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from loguru import logger

from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.reporter import EVENT_CHARACTERS_MAX, EVENTS_KEPT, Reporter, What
from evenkeel.config.limits import DEMO
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import (
    AccountRead,
    BrokerDisagreed,
    Cash,
    CashKind,
    CashMoved,
    ForeignOrderGone,
    ForeignOrderSeen,
    LevelsMoved,
    MoneyAgreed,
    MoneyDisagreed,
    OrderOutcomeUnknown,
    Outcome,
    TerminalReadable,
    TerminalUnreadable,
    WitnessesDisagree,
)
from evenkeel.messages.entry import DenialReason, Lineage, OrderDenied, OrderKind
from evenkeel.messages.health import HealthAlarmed, HealthEased
from evenkeel.messages.market import Direction, PointWorth, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import FlattenProgressed, HoldPlaced, LimitsLowered, Mode, ModeChanged, ScopeFlattened
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.protection import Gap, PositionProtected, PositionUnprotected, StopsRefused, SymbolTakenOver
from evenkeel.messages.risk_limit import LimitReached
from evenkeel.messages.system import ChildDown, ChildServing, Message, MessageParked, RunStarted, RunStopped
from evenkeel.rules.view import View
from evenkeel.rules.view_state import Heard
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.edge import At
from evenkeel.supervisor import ROUTES

EURUSD = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 11_000_000, 10)
LINEAGE = Lineage("strategy", "ma_cross", proposal_id="EURUSD-1")
LEVELS = (110_000, 109_900, 110_200, 0)
OPENED = PositionOpened(1001, "EURUSD", 1, Direction.BUY, 10, *LEVELS, 1_000, 1_000, LINEAGE)
CLOSED = PositionClosed(
    *(1001, "EURUSD", 1, Direction.BUY, 10, 110_000, 109_900, 109_900, 110_200, 1_000, 2_000),
    *(ExitReason.STOP, ClosedBy.APP, -1_000, 0, 0, -1_000, 1_000, "2026-01-05", LINEAGE),
)
ACCOUNT = AccountRead(1_000_000, 1_000_000, 0, "USD", 2, 100)


class Child(NamedTuple):
    name: str
    serving: bool
    incarnation: int


class Desk:
    """A reporter and all that it touches."""

    def __init__(self, write: Callable[[bytes], None] | None = None) -> None:
        self.board = QuoteBoard()
        self.written: list[View] = []
        self.reporter = self.incarnation(write)
        self._seq = 0

    def incarnation(self, write: Callable[[bytes], None] | None = None) -> Reporter:
        def keep(body: bytes) -> None:
            self.written.append(msgspec.json.decode(body, type=View))

        config = Config(profile="demo", limits=DEMO)
        children = [Child("clock", True, 1), Child("risk_limit", False, 2)]
        return Reporter(config, self.board, children=lambda: children, write=write or keep, utc_ms=lambda: 77)

    def hear(self, *messages: Message, at_utc_ms: int = 10) -> None:
        for message in messages:
            self._seq += 1
            heard: Any = message
            self.reporter.remember(heard)
            assert self.reporter.act(heard, At(self._seq, at_utc_ms)) == ()

    def look(self, now_utc_ms: int = 10) -> View:
        assert self.reporter.poll(now_utc_ms) == ()
        return self.current()

    def current(self) -> View:
        return msgspec.json.decode(self.reporter.current(), type=View)


class LogLine(NamedTuple):
    level: str
    text: str
    kind: str = ""
    symbol: str = ""


@pytest.fixture
def log() -> Iterator[list[LogLine]]:
    lines: list[LogLine] = []

    def keep(message: Any) -> None:
        record, bound = message.record, message.record["extra"]
        lines.append(LogLine(record["level"].name, record["message"], bound.get("kind", ""), bound.get("symbol", "")))

    logger.remove()
    handler = logger.add(keep, level="TRACE")
    yield lines
    logger.remove(handler)


def test_it_knows_every_message_that_is_routed_to_it() -> None:
    routed = {kind for kind, receivers in ROUTES.items() if "reporter?" in receivers}
    assert routed == set(typing.get_args(Heard))


def test_each_look_is_written_down_with_the_prices_of_the_moment() -> None:
    desk = Desk()
    desk.hear(SymbolSpecified(EURUSD), OPENED)
    desk.board.put("EURUSD", 20, 110_050, 110_060, 0)
    desk.look(now_utc_ms=21)
    desk.board.put("EURUSD", 30, 109_950, 109_960, 0)
    desk.look(now_utc_ms=31)
    assert [(view.now_utc_ms, view.positions[0].r) for view in desk.written[-2:]] == [(21, 0.5), (31, -0.5)]
    assert desk.written[-1] == desk.current()
    assert desk.current().written_utc_ms == 77


def test_what_a_person_asked_for_is_in_the_view_before_the_next_look() -> None:
    desk = Desk()
    desk.hear(ModeChanged(Mode.FREEZE, epoch=0, by="anna", reason="asked for"))
    assert desk.written[-1].mode is Mode.FREEZE


def test_the_children_are_shown_as_they_are_now() -> None:
    desk = Desk()
    desk.hear(ChildDown("risk_limit", 1, 1, "ValueError: x"), ChildServing("risk_limit", 2))
    shown = [(child.name, child.serving, child.incarnation, child.restarts) for child in desk.look().children]
    assert shown == [("clock", True, 1, 0), ("risk_limit", False, 2, 1)]


def test_before_the_first_look_there_is_an_empty_view_and_a_start_looks_at_once() -> None:
    desk = Desk()
    assert desk.current().written_utc_ms == 0
    desk.reporter.resume(5)
    assert desk.current().now_utc_ms == 5


@pytest.mark.parametrize("what, listed", [("positions", "positions"), ("limits", "limits")])
def test_a_list_can_be_asked_for_alone(what: What, listed: str) -> None:
    desk = Desk()
    desk.hear(SymbolSpecified(EURUSD), ACCOUNT, OPENED)
    desk.look()
    whole = msgspec.json.decode(desk.reporter.current("status"))
    assert whole[listed]
    assert msgspec.json.decode(desk.reporter.current(what)) == whole[listed]


def test_a_view_that_cannot_be_written_is_told_once_and_answers_go_on(log: list[LogLine]) -> None:
    failures = iter([OSError(28, "No space left on device")] * 3)

    def full(body: bytes) -> None:
        for error in failures:
            raise error

    desk = Desk(write=full)
    for now_utc_ms in range(5):
        assert desk.look(now_utc_ms).now_utc_ms == now_utc_ms
    assert [line.level for line in log] == ["ERROR", "INFO"]
    assert "No space left on device" in log[0].text


def test_what_happens_is_in_the_log_with_the_message_and_symbol_that_it_tells_of(log: list[LogLine]) -> None:
    desk = Desk()
    desk.hear(SymbolSpecified(EURUSD), ACCOUNT, OPENED, CLOSED)
    assert log == [
        LogLine(
            "INFO",
            "position 1001 opened: buy 0.10 lots EURUSD at 1.10000, stop 1.09900, target 1.10200",
            "PositionOpened",
            "EURUSD",
        ),
        LogLine("INFO", "position 1001 closed by the app at 1.09900 (stop), net -10.00 USD", "PositionClosed", "EURUSD"),
    ]


def refused(
    by: str, reason: DenialReason = DenialReason.POSITIONS, measured: int = 5, limit: int = 4, unit: str = "count"
) -> OrderDenied:
    return OrderDenied("EURUSD-2", "EURUSD", Direction.BUY, by, reason, measured, limit, unit, LINEAGE)


@pytest.mark.parametrize(
    "message, level",
    [
        (refused("position/EURUSD"), "DEBUG"),
        (refused("risk_limit"), "INFO"),
        (HoldPlaced("circuit_breaker", "EURUSD", "spread", 99), "WARNING"),
        (LimitReached("margin_level", 1_490_000, 1_500_000, "ppm", "no new risk"), "WARNING"),
        (ChildDown("risk_limit", 1, 1, "ValueError: x"), "WARNING"),
        (BrokerDisagreed("position 7 is unknown here"), "WARNING"),
        (MessageParked("risk_limit", 12, "BarClosed", "ValueError: x"), "ERROR"),
        (OrderOutcomeUnknown("EURUSD-1", "EURUSD", Direction.BUY, 3, "the reply was lost", LINEAGE), "ERROR"),
        (PositionUnprotected(1001, "EURUSD", 1, Gap.NO_BROKER_STOP, 0, 109_900), "ERROR"),
        (SymbolTakenOver("EURUSD", "its actor crashed 2 times"), "ERROR"),
        (HealthAlarmed("position_not_evaluated", 1, "not for 12.0 s", "1001"), "ERROR"),
        (HealthAlarmed("quotes_stale", 2, "no quote for 6.0 s", "EURUSD"), "WARNING"),
        (HealthEased("quotes_stale", "EURUSD"), "INFO"),
        (FlattenProgressed("account", (1001,), ()), "WARNING"),
        (ScopeFlattened("account", ()), "INFO"),
    ],
)
def test_trouble_is_louder_than_everyday_life(log: list[LogLine], message: Message, level: str) -> None:
    Desk().hear(message)
    assert [line.level for line in log] == [level]


@pytest.mark.parametrize(
    "message, words",
    [
        (
            PositionUnprotected(1001, "EURUSD", 1, Gap.BROKER_STOP_FAR, 109_000, 109_900),
            "position 1001 in EURUSD is not protected: its stop at the broker, 1.09000, is too far away",
        ),
        (PositionProtected(1001, "EURUSD"), "position 1001 in EURUSD is protected again"),
        (
            StopsRefused(1001, "EURUSD", Outcome.REJECTED, 10016, "invalid stops"),
            "stops of position 1001 in EURUSD are not set: rejected: 10016 invalid stops",
        ),
        (FlattenProgressed("account", (1001, 1002), (7,)), "flattening account: still open: 1001 1002; not ours, stays: 7"),
        (
            HealthAlarmed("position_not_evaluated", 1, "nobody looked at it for 12.0 s", "1001"),
            "alarm: position not evaluated (1001): nobody looked at it for 12.0 s",
        ),
        (HealthEased("drawdown"), "drawdown: well again"),
        (FlattenProgressed("EURUSD", (), ()), "flattening EURUSD: nothing of ours is seen open"),
        (ScopeFlattened("account", ()), "account is flat: the broker has shown nothing of ours, twice"),
    ],
)
def test_danger_and_flattening_are_told_in_one_line(log: list[LogLine], message: Message, words: str) -> None:
    Desk().hear(SymbolSpecified(EURUSD), message)
    assert log[0].text == words


@pytest.mark.parametrize(
    "message, level, words",
    [
        (
            CashMoved(Cash(5, CashKind.BALANCE, 50_000, "deposit", 0)),
            "INFO",
            "balance 500.00 USD (deposit)",
        ),
        (
            MoneyDisagreed(1_000_000, 1_000_007),
            "ERROR",
            "the balance is 10000.07 USD, but the deals make it 10000.00 USD: nothing is opened until a person rearms",
        ),
        (MoneyAgreed(1_000_000), "INFO", "the balance is again what the deals make it: 10000.00 USD"),
        (
            WitnessesDisagree(7, "EURUSD", (1,), "a sell, but order 1 asked to buy"),
            "ERROR",
            "nobody knows whose position 7 in EURUSD is, so nothing is opened there: a sell, but order 1 asked to buy",
        ),
        (
            LevelsMoved(7, "EURUSD", 1, 109_900, 0, kept=True),
            "WARNING",
            "somebody changed the levels of position 7 at the broker to stop 1.09900, target none: kept",
        ),
        (
            LevelsMoved(7, "EURUSD", 1, 0, 110_500, kept=False),
            "WARNING",
            "somebody changed the levels of position 7 at the broker to stop none, target 1.10500: "
            "the stop is set again where it belongs",
        ),
        (
            ForeignOrderSeen(9, "EURUSD", 1, Direction.BUY, 5, 109_000),
            "WARNING",
            "order 9 to buy 0.05 lots EURUSD at 1.09000 waits at the broker and is not ours: it is counted and not touched",
        ),
        (ForeignOrderGone(9, "EURUSD"), "INFO", "order 9 in EURUSD, not ours, waits no longer"),
        (
            TerminalUnreadable(12_500),
            "WARNING",
            "the terminal cannot be read for 12.5 s: entries wait until two readings agree again",
        ),
        (TerminalReadable(60_000), "INFO", "the terminal can be read again after 60.0 s"),
    ],
)
def test_what_others_do_with_the_account_is_told_in_plain_words(
    log: list[LogLine], message: Message, level: str, words: str
) -> None:
    Desk().hear(SymbolSpecified(EURUSD), ACCOUNT, message)
    assert [(line.level, line.text) for line in log] == [(level, words)]


def test_orders_of_others_are_in_the_view_until_they_are_gone() -> None:
    desk = Desk()
    desk.hear(SymbolSpecified(EURUSD), ForeignOrderSeen(9, "EURUSD", 1, Direction.BUY, 5, 109_000))
    assert [(one.ticket, one.volume_lots, one.price) for one in desk.look().foreign_orders] == [(9, "0.05", "1.09000")]
    desk.hear(ForeignOrderGone(9, "EURUSD"))
    assert desk.look().foreign_orders == ()


@pytest.mark.parametrize(
    "refusal, words",
    [
        (refused("risk_limit"), "positions 5 against 4"),
        (refused("risk_limit", DenialReason.DAY_LOSS, 31_000, 30_000, "cents"), "day_loss 310.00 USD against 300.00 USD"),
        (refused("risk_limit", DenialReason.CONFIDENCE, 650_000, 700_000, "ppm"), "confidence 0.65 against 0.7"),
        (refused("risk_limit", DenialReason.COOLDOWN, 61_500, 0, "ms"), "cooldown 61.5 s"),
        (refused("risk_limit", DenialReason.MODE, 0, 0, ""), "mode"),
    ],
)
def test_a_refusal_is_told_with_rule_and_numbers(log: list[LogLine], refusal: OrderDenied, words: str) -> None:
    Desk().hear(ACCOUNT, refusal)
    assert log[0].text == f"buy EURUSD refused by risk_limit: {words}"


def test_a_refusal_of_order_b_does_not_read_like_that_of_order_a(log: list[LogLine]) -> None:
    order_a = msgspec.structs.replace(
        refused("risk_limit"), lineage=Lineage("signal", "trend", order_kind=OrderKind.TP_TRAIL.value)
    )
    order_b = msgspec.structs.replace(order_a, lineage=Lineage("signal", "trend", order_kind=OrderKind.PROFIT_TRAIL.value))
    Desk().hear(ACCOUNT, order_a, order_b)
    assert [line.text.partition(" refused")[0] for line in log] == ["buy EURUSD", "buy EURUSD (profit trail)"]


def test_a_deposit_before_the_first_reading_is_told_in_the_configured_currency(log: list[LogLine]) -> None:
    Desk().hear(CashMoved(Cash(5001, CashKind.BALANCE, 1_000_000, "Initial deposit", 1)))
    assert [line.text for line in log] == ["balance 10000.00 USD (Initial deposit)"]


def test_braces_in_what_others_say_are_no_format(log: list[LogLine]) -> None:
    Desk().hear(RunStopped("{oops} <red>"))
    assert log[0].text == "run stopped: {oops} <red>"


def texts(view: View) -> Sequence[str]:
    return [event.text for event in view.events]


def test_the_last_events_are_kept_with_their_times_and_refusals_are_none() -> None:
    desk = Desk()
    desk.hear(refused("risk_limit"))
    for number in range(EVENTS_KEPT + 5):
        desk.hear(RunStopped(f"reason {number}"), at_utc_ms=number)
    events = desk.look().events
    assert [event.time_utc_ms for event in events] == list(range(5, EVENTS_KEPT + 5))
    assert events[-1].text == f"run stopped: reason {EVENTS_KEPT + 4}"


def test_a_long_event_is_cut() -> None:
    desk = Desk()
    desk.hear(RunStopped("x" * 1_000))
    assert len(texts(desk.look())[0]) == EVENT_CHARACTERS_MAX


def test_a_restarted_reporter_knows_everything_but_the_times_that_it_folds_again() -> None:
    started = RunStarted("b", "c", "simulated", 7, continued=True, crashed=False)
    desk = Desk()
    desk.hear(started, SymbolSpecified(EURUSD))
    again = desk.incarnation()
    restore(again, snapshot_of(desk.reporter))
    desk.hear(OPENED, at_utc_ms=20)
    again.remember(OPENED)
    before, desk.reporter = desk.look(), again
    after = desk.look()
    assert (after.positions, after.run, texts(after)) == (before.positions, before.run, texts(before))
    assert [event.time_utc_ms for event in after.events] == [10, None]
    assert after.run is not None
    assert after.run.started_utc_ms == 77, "real time, whatever the run's clock"


def test_a_lowered_limit_is_shown_as_it_is_in_force() -> None:
    desk = Desk()
    desk.hear(ACCOUNT)
    before = {limit.name: limit.limit for limit in desk.look().limits}
    desk.hear(LimitsLowered("r-1", "me", '{"limits.positions_max":2}'))
    after = {limit.name: limit.limit for limit in desk.look().limits}
    assert (before["positions_max"], after.pop("positions_max")) == (5, 2)
    assert after.items() <= before.items()
