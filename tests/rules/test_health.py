"""Each check of trading_rules 2.6: what is well, what alarms, and what nobody can tell."""

from typing import Any, get_args

import msgspec
import pytest

from evenkeel.adapters.health import Heard
from evenkeel.config.limits import PERSONAL
from evenkeel.config.schema import AttendanceConfig, Config, HealthConfig, JournalConfig, TerminalConfig
from evenkeel.messages.broker_gateway import AccountRead
from evenkeel.messages.storage import StorageReason, StorageStrained
from evenkeel.rules.health import CHECKS, Errors, Finding, PositionSeen, Seen, Verdict, findings, quotes_due_ms
from evenkeel.rules.losses import EquityMarks
from evenkeel.supervisor import ROUTES

HOUR_MS = 3_600_000
WELL, NEAR, ALARM, UNKNOWN, OFF = Verdict.WELL, Verdict.NEAR, Verdict.ALARM, Verdict.UNKNOWN, Verdict.OFF
CONFIG = Config(profile="personal", limits=PERSONAL, attendance=AttendanceConfig(absent_hours_max=12.0))
SERVING = {"position/EURUSD": 0, "market_feed": 0, "storage": 0}
OPEN = PositionSeen("EURUSD", 0, is_closing=False)
CALM = Seen(
    awake_ms=HOUR_MS,
    started_ms=HOUR_MS,
    down_ms=SERVING,
    quotes_due_ms=HOUR_MS,
    closed_ms=None,
    quote_age_ms={"EURUSD": 400, "GBPUSD": 900},
    positions={1001: OPEN},
    read_age_ms=2_000,
    has_host=True,
    host_age_ms=700,
    account=AccountRead(1_000_000, 990_000, 10_000, "USD", 2, 100),
    marks=EquityMarks(990_000, 1_000_000, 1_000_000, 1_000_000),
    stores={"trend": ""},
    backup_age_ms=HOUR_MS,
    absent_ms=HOUR_MS,
    lines_lost=0,
)


def judged(config: Config = CONFIG, **changes: Any) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings(config, CALM._replace(**changes)):
        found.setdefault(finding.check, []).append(finding)
    return found


def verdict(check: str, config: Config = CONFIG, **changes: Any) -> tuple[Verdict, str]:
    """Of the one finding of the check, with its scope."""
    (finding,) = judged(config, **changes)[check]
    return finding.verdict, finding.scope


def open_with(**changes: Any) -> dict[str, Any]:
    return {"positions": {1001: OPEN._replace(**changes)}}


WEEKEND: dict[str, Any] = {"quotes_due_ms": None, "closed_ms": HOUR_MS}


def strained(reason: StorageReason) -> dict[str, StorageStrained]:
    return {reason.value: StorageStrained(reason, 12, 256, "mb", stops_entries=False, detail="disk full")}


def test_a_run_in_which_everything_is_as_it_should_be_is_well() -> None:
    assert {check: [one.verdict for one in found] for check, found in judged().items()} == {check: [WELL] for check in CHECKS}


@pytest.mark.parametrize(
    "check, changes, expected",
    [
        ("position_not_evaluated", {"quote_age_ms": {"EURUSD": 9_999}}, (NEAR, "1001")),
        ("position_not_evaluated", {"quote_age_ms": {"EURUSD": 10_000}}, (ALARM, "1001")),
        ("position_not_evaluated", {"quote_age_ms": {"EURUSD": None}}, (ALARM, "1001")),
        ("position_not_evaluated", {"quote_age_ms": {"EURUSD": None}, "awake_ms": 9_000}, (UNKNOWN, "1001")),
        ("position_not_evaluated", {"quote_age_ms": {"EURUSD": HOUR_MS}, "awake_ms": 9_000}, (UNKNOWN, "1001")),
        ("position_not_evaluated", {"quote_age_ms": {"EURUSD": HOUR_MS}, "quotes_due_ms": None}, (WELL, "")),
        ("position_not_evaluated", {"quote_age_ms": {"EURUSD": HOUR_MS}, "quotes_due_ms": 9_000}, (NEAR, "1001")),
        ("position_not_evaluated", open_with(unarmed_ms=3_000), (NEAR, "1001")),
        ("position_not_evaluated", open_with(unarmed_ms=10_000), (ALARM, "1001")),
        ("position_not_evaluated", {**open_with(unarmed_ms=10_000), "quotes_due_ms": None}, (ALARM, "1001")),
        ("position_not_evaluated", open_with(unarmed_ms=10_000, is_closing=True), (WELL, "")),
        ("position_not_evaluated", open_with(unarmed_ms=None), (UNKNOWN, "1001")),
        ("position_not_evaluated", {"down_ms": {**SERVING, "position/EURUSD": 10_000}}, (ALARM, "1001")),
        ("position_not_evaluated", {"down_ms": {**SERVING, "market_feed": 10_000}}, (ALARM, "1001")),
        ("position_not_evaluated", {"down_ms": {"market_feed": 0}}, (ALARM, "1001")),
        ("position_not_evaluated", {"positions": None}, (UNKNOWN, "")),
        ("position_not_evaluated", {"positions": {}, "quote_age_ms": {}}, (WELL, "")),
        ("child_down", {"down_ms": {**SERVING, "risk_limit": 9_999}}, (NEAR, "risk_limit")),
        ("child_down", {"down_ms": {**SERVING, "risk_limit": 10_000}}, (ALARM, "risk_limit")),
        ("child_down", {"down_ms": {}}, (UNKNOWN, "")),
        ("quotes_stale", {"quote_age_ms": {"EURUSD": 1, "GBPUSD": 30_000}}, (ALARM, "GBPUSD")),
        ("quotes_stale", {"quote_age_ms": {"GBPUSD": None}, "awake_ms": 29_999}, (UNKNOWN, "GBPUSD")),
        ("quotes_stale", {"quote_age_ms": {"GBPUSD": HOUR_MS}, "quotes_due_ms": None}, (WELL, "")),
        ("quotes_stale", {**WEEKEND, "quote_age_ms": {"BTCUSD": 31_000, "EURUSD": 2 * HOUR_MS}}, (ALARM, "BTCUSD")),
        ("position_not_evaluated", {**WEEKEND, "quote_age_ms": {"EURUSD": 20_000}}, (ALARM, "1001")),
        ("position_not_evaluated", {**WEEKEND, "quote_age_ms": {"EURUSD": HOUR_MS}}, (WELL, "")),
        ("broker_disconnected", {"read_age_ms": 14_999}, (NEAR, "")),
        ("broker_disconnected", {"read_age_ms": 15_000}, (ALARM, "")),
        ("broker_disconnected", {"read_age_ms": None, "awake_ms": 14_999}, (UNKNOWN, "")),
        ("broker_disconnected", {"read_age_ms": None}, (ALARM, "")),
        ("host_silent", {"host_age_ms": 10_000}, (ALARM, "")),
        ("host_silent", {"has_host": False, "host_age_ms": None}, (OFF, "")),
        ("drawdown", {"marks": EquityMarks(800_000, 0, 1_000_000, 0)}, (NEAR, "")),
        ("drawdown", {"marks": EquityMarks(799_999, 0, 1_000_000, 0)}, (ALARM, "")),
        ("drawdown", {"marks": EquityMarks()}, (UNKNOWN, "")),
        ("limit_reached", {"limits": {"day_loss_pct": "lost 310"}}, (ALARM, "day_loss_pct")),
        ("limit_reached", {"account": AccountRead(1_000_000, 20_000, 15_000, "USD", 2, 100)}, (ALARM, "margin_level")),
        ("limit_reached", {"account": None}, (UNKNOWN, "")),
        ("error_rate", {"errors": Errors(9)}, (NEAR, "")),
        ("error_rate", {"errors": Errors(10)}, (ALARM, "")),
        ("errors_at_start", {"errors": Errors(1, 1, "x")}, (ALARM, "")),
        ("errors_at_start", {"errors": Errors(1, 0, "x")}, (WELL, "")),
        ("errors_at_start", {"started_ms": 59_999}, (UNKNOWN, "")),
        ("chain_store", {"stores": {"trend": "", "bounce": "damaged"}}, (ALARM, "bounce")),
        ("chain_store", {"stores": {}}, (OFF, "")),
        ("journal_late", {"journal_behind_ms": 4_999}, (NEAR, "")),
        ("journal_late", {"journal_behind_ms": 5_000}, (ALARM, "")),
        ("journal_late", {"journal_failure": "disk full"}, (ALARM, "")),
        ("storage", {"strained": strained(StorageReason.DISK)}, (ALARM, "disk")),
        ("storage", {"strained": strained(StorageReason.BACKUP)}, (WELL, "")),
        ("storage", {"down_ms": {**SERVING, "storage": 5_000}}, (UNKNOWN, "")),
        ("backup", {"backup_age_ms": 4 * HOUR_MS}, (ALARM, "")),
        ("backup", {"backup_age_ms": 4 * HOUR_MS, "started_ms": 60_000}, (UNKNOWN, "")),
        ("backup", {"backup_age_ms": None, "started_ms": 60_000}, (UNKNOWN, "")),
        ("backup", {"backup_age_ms": None}, (ALARM, "")),
        ("backup", {"strained": strained(StorageReason.BACKUP)}, (ALARM, "")),
        ("log_lines_lost", {"lines_lost": 3}, (ALARM, "")),
        ("log_lines_lost", {"lines_lost": None}, (OFF, "")),
        ("attendance", {"absent_ms": 10 * HOUR_MS}, (ALARM, "")),
        ("attendance", {"absent_ms": None}, (UNKNOWN, "")),
    ],
)
def test_a_check_begins_where_its_limit_is(check: str, changes: dict[str, Any], expected: tuple[Verdict, str]) -> None:
    assert verdict(check, **changes) == expected


def test_every_check_can_be_switched_off() -> None:
    words = {"limit_reached": "off", "chain_store": "off", "storage": "off", "log_lines_lost": "off"}
    numbers = [field.name for field in msgspec.structs.fields(HealthConfig) if "off" in str(field.type)]
    off = HealthConfig(**dict.fromkeys(numbers, "off") | words)  # type: ignore[arg-type]
    found = judged(msgspec.structs.replace(CONFIG, health=off))
    assert {check: [one.verdict for one in of] for check, of in found.items()} == {check: [OFF] for check in CHECKS}


def test_the_longest_of_what_keeps_a_position_from_being_looked_at_is_told() -> None:
    (finding,) = judged(quote_age_ms={"EURUSD": 12_000}, **open_with(unarmed_ms=30_000))["position_not_evaluated"]
    assert (finding.detail, finding.measured) == ("not evaluated for 30.0 s: nobody waits for its stop", 30_000)


def test_a_terminal_that_may_be_in_a_call_is_waited_for() -> None:
    config = msgspec.structs.replace(CONFIG, terminal=TerminalConfig(kind="mt5", call_timeout_s=30.0))
    assert verdict("host_silent", config, host_age_ms=39_999) == (NEAR, "")
    assert verdict("host_silent", config, host_age_ms=40_000) == (ALARM, "")


def test_where_no_backups_are_taken_none_is_missed() -> None:
    config = msgspec.structs.replace(CONFIG, journal=JournalConfig(backup_every_h="off"))
    assert verdict("backup", config, backup_age_ms=None) == (OFF, "")


@pytest.mark.parametrize(
    "at, due_s",
    [
        ("Friday 21:59, an hour before the close", 0),
        ("Friday 22:00", None),
        ("Sunday 21:59", None),
        ("Sunday 22:10", None),
        ("Sunday 22:11", 60),
        ("Monday 22:05", None),
        ("Tuesday 12:00", 13 * 3600 + 3000),
    ],
)
def test_quotes_are_due_while_the_week_is_open_and_the_rollover_is_over(at: str, due_s: int | None) -> None:
    day, time = at.split()[:2]
    days = {"Monday": 0, "Tuesday": 1, "Friday": 4, "Sunday": 6}
    hours, minutes = map(int, time.rstrip(",").split(":"))
    utc_ms = 1_767_571_200_000 + ((days[day] * 24 + hours) * 60 + minutes) * 60_000
    due_ms = quotes_due_ms(HealthConfig(), utc_ms)
    assert (due_ms is None) == (due_s is None)
    assert not due_s or due_ms == due_s * 1000


def test_the_edge_knows_every_message_that_is_routed_to_it() -> None:
    assert {kind for kind, receivers in ROUTES.items() if "health?" in receivers} == set(get_args(Heard))
