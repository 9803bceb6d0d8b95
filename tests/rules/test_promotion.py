from typing import Any

import msgspec
import pytest

from evenkeel.config.limits import PERSONAL, PLAIN
from evenkeel.config.schema import CatastropheStopConfig, Config, EntryConfig, MaCrossConfig, TerminalConfig
from evenkeel.messages.broker_gateway import (
    BrokerAgreed,
    BrokerDisagreed,
    ForeignPositionGone,
    MoneyAgreed,
    MoneyDisagreed,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    WitnessesDisagree,
)
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import KillTrading, TradingRearmed
from evenkeel.messages.system import Message, MessageParked, RunStarted
from evenkeel.rules.promotion import DAY_MS, Around, Item, Past, Rehearsed, checklist, deciding, heard, passed, ran_with

NOW = 1_767_600_000_000
MINUTE_MS = 60_000
STARTED = RunStarted("b", "c", "demo", 1, True, crashed=False)
DEMO = Config("personal", PERSONAL, terminal=TerminalConfig("mt5", login=5, server="Demo"), strategy={"a": MaCrossConfig()})
REAL = msgspec.structs.replace(DEMO, terminal=TerminalConfig("mt5", login=7, server="Real"))
AROUND = Around(
    drill=Rehearsed(NOW, "x"),
    measured=Rehearsed(NOW, "x", login=5),
    backup_utc_ms=NOW,
    backup_is_elsewhere=True,
    watched_by="systemd",
    notifier="chat",
)
UNKNOWN = OrderOutcomeUnknown("p", "EURUSD", Direction.BUY, 1, "no reply", Lineage("strategy", "a"))


def run_of(past: Past, config: Config, minutes: int, *messages: Message) -> None:
    """A record a minute, the last of them now."""
    for at in range(minutes + 1):
        time_utc_ms = NOW - (minutes - at) * MINUTE_MS
        if at == 0:
            heard(past, STARTED, 1, time_utc_ms)
            ran_with(past, config, deciding(REAL))
        passed(past, time_utc_ms)
    for seq, message in enumerate(messages, 100):
        heard(past, message, seq, NOW)


def judged(
    past: Past | None = None, config: Config = REAL, *, logins: tuple[int | None, ...] = (), **around: Any
) -> dict[str, Item]:
    items = checklist(config, past or Past(), list(logins), msgspec.structs.replace(AROUND, **around), NOW)
    return {item.name: item for item in items}


def failing(items: dict[str, Item]) -> set[str]:
    return {item.name for item in items.values() if not item.holds}


def test_a_week_on_a_demo_account_with_everything_rehearsed_is_ready() -> None:
    past = Past()
    run_of(past, DEMO, 5 * 24 * 60, KillTrading("k", "me", 1, False), TradingRearmed("me", 1))
    past.trades = 20
    assert failing(judged(past)) == set()


def test_nothing_at_all_fails_what_has_to_be_shown() -> None:
    none: dict[str, Any] = {"drill": None, "measured": None, "backup_utc_ms": None, "backup_is_elsewhere": False}
    items = judged(watched_by="", notifier="", **none)
    assert failing(items) == {
        *("days", "demo", "trades", "kill", "drill", "measured", "assumptions"),
        *("backup", "other_disk", "watched", "notifier"),
    }
    assert all(item.remedy for item in items.values())


def test_days_count_only_with_the_same_strategies_and_limits_and_only_while_it_served() -> None:
    past = Past()
    run_of(past, msgspec.structs.replace(DEMO, entry=EntryConfig(stop_pips=5.0)), 60)
    assert (past.runs, past.served_ms) == (0, 0)
    run_of(past, msgspec.structs.replace(DEMO, terminal=TerminalConfig()), 60)
    assert (past.runs, past.served_ms, past.demo_ms) == (1, 60 * MINUTE_MS, 0)
    run_of(past, DEMO, 60)
    assert (past.runs, past.served_ms, past.demo_ms) == (2, 120 * MINUTE_MS, 60 * MINUTE_MS)
    passed(past, NOW + DAY_MS)
    assert past.served_ms == 125 * MINUTE_MS


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        (BrokerDisagreed("one more"), BrokerAgreed(0)),
        (MoneyDisagreed(1, 2), MoneyAgreed(2)),
        (MoneyDisagreed(1, 2), TradingRearmed("me", 1)),
        (UNKNOWN, OrderOutcomeResolved("p", "EURUSD", Direction.BUY, 1, UNKNOWN.lineage)),
        (WitnessesDisagree(9, "EURUSD", (1,), "two"), ForeignPositionGone(9, "EURUSD")),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_nobody_has_explained_must_be_explained_first(opened: Message, closed: Message) -> None:
    past = Past()
    run_of(past, DEMO, 1, opened)
    item = judged(past)["explained"]
    assert (item.must, item.holds, "record 100" in item.evidence) == (True, False, True)
    run_of(past, DEMO, 1, closed)
    assert judged(past)["explained"].holds


def test_a_crash_counts_for_a_week() -> None:
    past = Past()
    heard(past, MessageParked("risk_limit", 3, "BarClosed", "boom"), 4, NOW - 6 * DAY_MS)
    assert failing(judged(past)) >= {"crashes"}
    past = Past()
    heard(past, msgspec.structs.replace(STARTED, crashed=True), 4, NOW - 8 * DAY_MS)
    assert "crashes" not in failing(judged(past))


def test_a_kill_that_was_not_rearmed_is_no_rehearsal() -> None:
    past = Past()
    run_of(past, DEMO, 1, TradingRearmed("me", 1), KillTrading("k", "me", 2, False))
    assert "kill" in failing(judged(past))


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (msgspec.structs.replace(REAL, profile="plain", limits=PLAIN), "profile"),
        (msgspec.structs.replace(REAL, limits=PLAIN), "limits"),
        (msgspec.structs.replace(REAL, catastrophe_stop=CatastropheStopConfig(at_broker="off")), "stop_at_broker"),
        (msgspec.structs.replace(REAL, terminal=TerminalConfig("mt5", server="Real")), "login"),
        (msgspec.structs.replace(REAL, terminal=TerminalConfig("simulated", login=7, server="Real")), "login"),
    ],
)
def test_a_configuration_that_no_real_account_should_have_is_named(config: Config, name: str) -> None:
    assert name in failing(judged(config=config))


def test_a_journal_that_was_written_on_another_account_is_not_gone_on_with() -> None:
    assert "own_journal" not in failing(judged(logins=(7,)))
    item = judged(logins=(None, 5, 7))["own_journal"]
    assert (item.must, item.holds, item.evidence) == (
        True,
        False,
        "account simulated was run on the simulated terminal, login 5",
    )


@pytest.mark.parametrize(
    ("around", "name"),
    [
        ({"drill": Rehearsed(NOW - 8 * DAY_MS, "x")}, "drill"),
        ({"backup_utc_ms": NOW - 25 * 3_600_000}, "backup"),
        ({"measured": Rehearsed(NOW, "x", odd=2, login=5)}, "assumptions"),
        ({"measured": Rehearsed(NOW, "the simulated terminal")}, "measured"),
    ],
)
def test_what_is_too_old_or_odd_does_not_count(around: dict[str, Any], name: str) -> None:
    assert name in failing(judged(**around))
    assert name not in failing(judged())
