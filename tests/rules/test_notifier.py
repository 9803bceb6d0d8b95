"""What a person outside is told: which event, how gravely, in which words."""

from typing import Any

import msgspec
import pytest

from evenkeel.actors.operator import Operator
from evenkeel.config.notifier import EventsConfig, NotifierConfig
from evenkeel.messages.broker_gateway import (
    AccountRead,
    BrokerDisagreed,
    MoneyDisagreed,
    OrderOutcomeUnknown,
    WitnessesDisagree,
)
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.entry import Lineage
from evenkeel.messages.health import HealthAlarmed, HealthEased
from evenkeel.messages.market import Direction, QuotesStale
from evenkeel.messages.notifier import Event
from evenkeel.messages.operator import (
    HoldEnded,
    HoldPlaced,
    KillTrading,
    LowerMode,
    Mode,
    ModeChanged,
    PauseTrading,
    RestrictTrading,
    StartTrading,
    StopRun,
    TradingRearmed,
)
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.protection import Gap, PositionUnprotected, SymbolTakenOver
from evenkeel.messages.risk_limit import LimitReached
from evenkeel.messages.storage import StorageReason, StorageStrained
from evenkeel.messages.system import ChildDown, Message, MessageParked, RunStarted
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.notifier import KEPT_MAX, TEXT_CHARACTERS_MAX, Noted, NotifierState, noted
from evenkeel.supervisor import ROUTES

ALL_ON = NotifierConfig(events=EventsConfig(**dict.fromkeys(EventsConfig.__struct_fields__, "on")))  # type: ignore[arg-type]
LINEAGE = Lineage("strategy", "ma_cross", proposal_id="EURUSD-1")
OPENED = PositionOpened(1001, "EURUSD", 1, Direction.BUY, 10, 110_000, 109_900, 110_200, 0, 1_000, 1_000, LINEAGE)
CLOSED = PositionClosed(
    *(1001, "EURUSD", 1, Direction.BUY, 10, 110_000, 110_200, 109_900, 110_200, 1_000, 2_000),
    *(ExitReason.TARGET, ClosedBy.APP, 2_000, 0, 0, 2_000, 1_000, "2026-01-05", LINEAGE),
)
UNKNOWN = OrderOutcomeUnknown("EURUSD-1", "EURUSD", Direction.BUY, 7, "the reply was lost", LINEAGE)
UNPROTECTED = PositionUnprotected(1001, "EURUSD", 1, Gap.NO_BROKER_STOP, 0, 109_800)
RUN = ModeChanged(Mode.RUN, 0, "person", "start")
STARTED = RunStarted("build", "configuration", "test", 7, continued=True, crashed=False)
DAY = TradingDayStarted("2026-01-06", 0, 1, 2)


def told(*messages: Message, config: NotifierConfig = ALL_ON) -> Noted | None:
    """Of the last of them."""
    state, last = NotifierState(), None
    for message in messages:
        last = noted(state, message, config)
    return last


def test_every_event_has_a_switch_and_every_switch_an_event() -> None:
    assert list(EventsConfig.__struct_fields__) == [event.value for event in Event]


@pytest.mark.parametrize(
    "message, event, severity",
    [
        (OPENED, Event.TRADE_OPENED, 3),
        (CLOSED, Event.TRADE_CLOSED, 3),
        (UNKNOWN, Event.UNKNOWN_OUTCOME, 1),
        (UNPROTECTED, Event.UNPROTECTED, 1),
        (SymbolTakenOver("EURUSD", "it crashed twice"), Event.UNPROTECTED, 1),
        (ModeChanged(Mode.CLOSE_ONLY, 3, "person", "kill"), Event.KILLED, 1),
        (LimitReached("day_loss_pct", 300, 250, "cents", "no new risk"), Event.LIMIT_REACHED, 2),
        (BreakerChanged("EURUSD", BreakerLevel.BLACK, 0, 0, 0, "crash"), Event.BREAKER, 1),
        (BreakerChanged("EURUSD", BreakerLevel.RED, 0, 0, 0, "spread"), Event.BREAKER, 2),
        (MoneyDisagreed(100, 90), Event.DISAGREEMENT, 1),
        (WitnessesDisagree(7, "EURUSD", (1,), "magic and comment differ"), Event.DISAGREEMENT, 1),
        (BrokerDisagreed("a position is missing"), Event.DISAGREEMENT, 2),
        (QuotesStale("EURUSD", 9_000), Event.CONNECTION, 2),
        (StorageStrained(StorageReason.DISK, 10, 256, "mb", stops_entries=True), Event.STORAGE, 1),
        (StorageStrained(StorageReason.BACKUP, 0, 0, "", stops_entries=False), Event.STORAGE, 2),
        (msgspec.structs.replace(STARTED, crashed=True), Event.CRASH, 1),
        (MessageParked("risk_limit", 12, "DealDone", "KeyError"), Event.CRASH, 1),
        (ChildDown("risk_limit", 1, 1, "KeyError"), Event.CRASH, 2),
        (STARTED, Event.RUN, 3),
        (StopRun("c-1", "person"), Event.RUN, 3),
        (HealthAlarmed("quotes_stale", 1, "no quote for 20 s", "EURUSD"), Event.HEALTH, 1),
        (HealthAlarmed("error_rate", 2, "7 in a minute"), Event.HEALTH, 2),
        (HealthEased("error_rate"), Event.HEALTH, 3),
        (HoldPlaced("risk_limit", "EURUSD", "trades_per_hour", 0), Event.HOLD, 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Message) else str(value),
)
def test_each_thing_that_happens_has_an_event_and_a_severity(message: Message, event: Event, severity: int) -> None:
    one = told(message)
    assert one is not None
    assert (one.event, one.severity) == (event, severity)
    assert "notifier?" in ROUTES[type(message)]


@pytest.mark.parametrize(
    "demand, event, severity",
    [
        (LowerMode(Mode.FLATTEN, "risk_limit", "drawdown"), Event.MODE, 1),
        (LowerMode(Mode.CLOSE_ONLY, "notifier", "nobody could be told"), Event.MODE, 2),
        (RestrictTrading("c", "me@cli:7", Mode.FREEZE), Event.MODE, 2),
        (PauseTrading("c", "me@cli:7"), Event.MODE, 2),
        (KillTrading("c", "me@cli:7", 1, flatten=False), Event.KILLED, 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Message) else str(value),
)
def test_a_mode_that_drops_by_itself_is_grave_and_one_that_a_person_asked_for_is_not(
    demand: Any, event: Event, severity: int
) -> None:
    operator = Operator(trading_enabled=True, scopes=(), reading_gap_ms=0)
    operator.handle(StartTrading("s", "me@cli:7"), 0)
    (changed, *_) = operator.handle(demand, 1)
    one = told(RUN, changed)
    assert one is not None
    assert (one.event, one.severity) == (event, severity)


def test_a_mode_that_stays_is_nothing_to_tell() -> None:
    assert told(RUN, RUN) is None


def test_a_grave_notice_is_one_line_that_says_how_the_account_stands() -> None:
    one = told(RUN, OPENED, UNPROTECTED)
    assert one is not None
    assert one.text == ("position 1001 in EURUSD is not protected: the broker holds no stop for it; mode run, 1 open")


def test_a_long_text_is_cut() -> None:
    one = told(BrokerDisagreed("x" * 1_000))
    assert one is not None
    assert len(one.text) == TEXT_CHARACTERS_MAX


def test_off_is_not_told_and_silent_is_marked() -> None:
    config = NotifierConfig(events=EventsConfig(trade_opened="off", trade_closed="silent"))
    assert told(OPENED, config=config) is None
    closed = told(CLOSED, config=config)
    assert closed is not None
    assert closed.silent
    loud = told(UNKNOWN, config=config)
    assert loud is not None
    assert not loud.silent


def test_what_is_milder_than_the_least_severity_is_not_told() -> None:
    gravest = NotifierConfig(severity_max=1)
    assert told(OPENED, config=gravest) is None
    assert told(UNKNOWN, config=gravest) is not None


def test_a_hold_is_told_once_until_it_ends_and_those_that_others_tell_are_not() -> None:
    hold = HoldPlaced("risk_limit", "account", "day_loss", 5)
    assert told(hold, hold) is None
    assert told(hold, HoldEnded("risk_limit", "account"), hold) is not None
    assert told(HoldPlaced("circuit_breaker", "EURUSD", "spread", 5)) is None


def test_the_end_of_a_day_is_told_with_its_trades() -> None:
    account = AccountRead(1_000_000, 1_000_000, 0, "USD", 2, 100)
    losing = msgspec.structs.replace(CLOSED, net_cents=-500)
    one = told(account, TradingDayStarted("2026-01-05", 0, 1, 2), CLOSED, losing, DAY)
    assert one is not None
    assert one.text == "trading day 2026-01-05: 2 trades, 1 won, net 15.00 USD"
    assert told(DAY) is None, "of a day that nobody saw there is nothing to tell"


def test_a_mode_that_the_notifier_lowered_is_its_own_until_a_rearm() -> None:
    state = NotifierState()
    noted(state, ModeChanged(Mode.CLOSE_ONLY, 0, "notifier", "nobody could be told"), ALL_ON)
    noted(state, ModeChanged(Mode.CLOSE_ONLY, 0, "evenkeel", "the process started"), ALL_ON)
    assert state.is_lowered
    noted(state, TradingRearmed("person", 0), ALL_ON)
    assert not state.is_lowered


def test_what_is_kept_is_bounded_and_mild_ones_go_first() -> None:
    state = NotifierState()
    many: list[Any] = [UNKNOWN, *[OPENED] * (KEPT_MAX + 20)]
    for message in many:
        noted(state, message, ALL_ON)
    assert len(state.kept) == KEPT_MAX
    assert state.kept[0].event is Event.UNKNOWN_OUTCOME
    assert state.heard == len(many)
