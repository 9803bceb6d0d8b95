"""What is wrong with the run, judged from what can be seen of it (trading_rules 2.6). Each check says what it measured.

A check without evidence is UNKNOWN, never well. What is within its limit but not well inside it is NEAR: it begins no alarm and
ends none. rules/health_alarms.py makes alarms of this.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from evenkeel.config.schema import Config, HealthConfig
from evenkeel.config.units import Off
from evenkeel.messages.broker_gateway import AccountRead
from evenkeel.messages.storage import StorageReason, StorageStrained
from evenkeel.rules.losses import EquityMarks, drawdown_ppm
from evenkeel.rules.margin import MarginStep, level_ppm, margin_step
from evenkeel.rules.session import ROLLOVER, ZONE, closed_since_utc_ms, is_week_open
from evenkeel.rules.sizing import ppm_of_pct
from evenkeel.rules.storage import told
from evenkeel.rules.texts import money_text
from evenkeel.rules.trading_calendar import day_start

HOUR_MS: Final = 3_600_000
ERRORS_KEPT_MS: Final = HOUR_MS
"""So long an error counts; so long those at the start are an alarm."""
FIRST_BACKUP_MS: Final = HOUR_MS // 4
"""Since the start: until then a backup that is overdue may still be on its way."""
NEAR_PARTS: Final = (4, 5)
"""From this share of its limit on a number is NEAR."""


class Verdict(StrEnum):
    WELL = "well"
    NEAR = "near"
    ALARM = "alarm"
    UNKNOWN = "unknown"
    OFF = "off"


class Finding(NamedTuple):
    """`scope` is what it is about: a symbol, a ticket, a child; "" is the whole. `measured` against `limit` in `unit` (ms, ppm,
    count); None where there is no number."""

    check: str
    verdict: Verdict
    detail: str
    scope: str = ""
    measured: int | None = None
    limit: int | None = None
    unit: str = ""


class PositionSeen(NamedTuple):
    """`unarmed_ms` is for how long the feed has held no level on its losing side; 0: it holds one, None: nobody can tell.
    `is_closing`: a close was asked for, so none need be armed."""

    symbol: str
    unarmed_ms: int | None
    is_closing: bool


class Errors(NamedTuple):
    """Of the last hour, and those of them that came soon after the start; `last` is the newest in words."""

    in_hour: int = 0
    at_start: int = 0
    last: str = ""


class Seen(NamedTuple):
    """All that the checks look at. Ages are real time in ms, None where there was nothing yet; `awake_ms` is for how long
    somebody has looked without a break, `started_ms` the age of the process, `down_ms` 0 for a child that serves.

    `quotes_due_ms` and `closed_ms`: see the functions. `quote_age_ms` has every symbol that a strategy or a position needs;
    `positions` is None where nobody knows them. `limits` are what holds entries or made the mode stricter, by name; `stores`
    what is wrong with each plugin's chain store, "" where nothing is; `lines_lost` of the log since it could last be written,
    None where there is none.
    """

    awake_ms: int
    started_ms: int
    down_ms: Mapping[str, int]
    quotes_due_ms: int | None
    closed_ms: int | None
    quote_age_ms: Mapping[str, int | None]
    positions: Mapping[int, PositionSeen] | None
    read_age_ms: int | None = None
    has_host: bool = False
    host_age_ms: int | None = None
    account: AccountRead | None = None
    marks: EquityMarks = EquityMarks()
    limits: Mapping[str, str] = {}
    errors: Errors = Errors()
    stores: Mapping[str, str] = {}
    strained: Mapping[str, StorageStrained] = {}
    backup_age_ms: int | None = None
    journal_failure: str | None = None
    journal_behind_ms: int = 0
    absent_ms: int | None = None
    lines_lost: int | None = None


def quotes_due_ms(config: HealthConfig, now_utc_ms: int) -> int | None:
    """For how long quotes have been due without a break, by the run's clock; None: none are, at the weekend and in the first
    minutes after the rollover. Holidays are not known."""
    if not is_week_open(now_utc_ms):
        return None
    grace_ms = round(config.rollover_grace_minutes * 60_000)
    due_ms = now_utc_ms - day_start(now_utc_ms, ROLLOVER, ZONE) - grace_ms
    return due_ms if due_ms > 0 else None


def closed_ms(config: HealthConfig, now_utc_ms: int) -> int | None:
    """For how long the week has been closed, its first minutes not counted; None: it is open, or they are not over."""
    since_utc_ms = closed_since_utc_ms(now_utc_ms)
    if since_utc_ms is None:
        return None
    closed = now_utc_ms - since_utc_ms - round(config.rollover_grace_minutes * 60_000)
    return closed if closed > 0 else None


def findings(config: Config, seen: Seen) -> list[Finding]:
    """Of each check either one finding of the whole, or one for each thing that is not well."""
    return [finding for judge in _JUDGES.values() for finding in judge(config, seen)]


def positions_evaluated(config: Config, seen: Seen) -> list[Finding]:
    """Whether a fresh quote was held against each position's stop, by the feed, for an actor that serves."""
    check, limit_ms = "position_not_evaluated", _ms(config.health.position_not_evaluated_s)
    if limit_ms is None:
        return [_off(check)]
    if seen.positions is None:
        return [Finding(check, Verdict.UNKNOWN, "nobody knows what is open")]
    if not seen.positions:
        return [Finding(check, Verdict.WELL, "nothing is open")]
    found = [_evaluated(seen, ticket, position, limit_ms) for ticket, position in seen.positions.items()]
    oldest_ms = max(one.measured or 0 for one in found)
    is_closed = all(_due_ms(seen, position.symbol) is None for position in seen.positions.values())
    market = "the market is closed" if is_closed else f"each looked at within {oldest_ms / 1000:.1f} s"
    return _unless(found, Finding(check, Verdict.WELL, f"{len(found)} open, {market}", "", oldest_ms, limit_ms, "ms"))


def children_serve(config: Config, seen: Seen) -> list[Finding]:
    check, limit_ms = "child_down", _ms(config.health.child_down_s)
    if limit_ms is None:
        return [_off(check)]
    if not seen.down_ms:
        return [Finding(check, Verdict.UNKNOWN, "no part of the supervisor is known")]
    found = [
        Finding(check, _late(ms, limit_ms), f"does not serve for {ms / 1000:.1f} s", child, ms, limit_ms, "ms")
        for child, ms in seen.down_ms.items()
        if ms
    ]
    return _unless(found, Finding(check, Verdict.WELL, f"all {len(seen.down_ms)} parts serve"))


def quotes_fresh(config: Config, seen: Seen) -> list[Finding]:
    check, limit_ms = "quotes_stale", _ms(config.health.quotes_stale_s)
    if limit_ms is None:
        return [_off(check)]
    if seen.quote_age_ms and all(_due_ms(seen, symbol) is None for symbol in seen.quote_age_ms):
        return [Finding(check, Verdict.WELL, "the market is closed")]
    found = []
    for symbol in seen.quote_age_ms:
        verdict, ms = _silence(seen, symbol, limit_ms)
        found.append(Finding(check, verdict, f"no quote for {ms / 1000:.1f} s", symbol, ms, limit_ms, "ms"))
    oldest_ms = max((one.measured or 0 for one in found), default=0)
    whole = f"{_of(len(found), 'symbol')}, the oldest quote is {oldest_ms / 1000:.1f} s old"
    return _unless(found, Finding(check, Verdict.WELL, whole, "", oldest_ms, limit_ms, "ms"))


def broker_read(config: Config, seen: Seen) -> list[Finding]:
    check, late_ms = "broker_disconnected", _ms(config.health.broker_late_s)
    if late_ms is None:
        return [_off(check)]
    limit_ms = late_ms + round(config.broker_gateway.reconcile_s * 1000)
    return [_answered(check, "reading of the broker", seen.read_age_ms, seen.awake_ms, limit_ms)]


def host_answers(config: Config, seen: Seen) -> list[Finding]:
    """The official package answers nothing while it is in a call."""
    check, late_ms = "host_silent", _ms(config.health.host_late_s)
    if late_ms is None or not seen.has_host:
        return [_off(check, "" if late_ms is None else "the terminal is in this process")]
    in_call_ms = round(config.terminal.call_timeout_s * 1000) if config.terminal.kind == "mt5" else 0
    return [_answered(check, "answer of the terminal host", seen.host_age_ms, seen.awake_ms, late_ms + in_call_ms)]


def drawdown(config: Config, seen: Seen) -> list[Finding]:
    """Of equity with what floats, below its highest since a person last rearmed; only more than the limit alarms."""
    check, pct = "drawdown", config.health.drawdown_pct
    if pct == "off":
        return [_off(check)]
    ppm, equity_cents = drawdown_ppm(seen.marks), seen.marks.equity_cents
    if ppm is None or equity_cents is None:
        return [Finding(check, Verdict.UNKNOWN, "the account was not read yet")]
    limit_ppm = ppm_of_pct(pct)
    verdict = Verdict.ALARM if ppm > limit_ppm else _near(ppm, limit_ppm)
    peak, equity = (money_text(cents, seen.account) for cents in (seen.marks.peak_cents or 0, equity_cents))
    return [Finding(check, verdict, f"equity {equity} is {ppm / 1e4:.2f} % below {peak}", "", ppm, limit_ppm, "ppm")]


def limits_reached(config: Config, seen: Seen) -> list[Finding]:
    check = "limit_reached"
    if config.health.limit_reached == "off":
        return [_off(check)]
    if seen.account is None:
        return [Finding(check, Verdict.UNKNOWN, "the account was not read yet")]
    found = [Finding(check, Verdict.ALARM, detail, name) for name, detail in seen.limits.items()]
    equity_cents, margin_cents = seen.account.equity_cents, seen.account.margin_cents
    step, limit_ppm = margin_step(config.limits.margin_level, equity_cents, margin_cents)
    if step is not MarginStep.NONE:
        level = level_ppm(equity_cents, margin_cents)
        text = f"the margin level is {level / 1e4:.1f} %, the limit {limit_ppm / 1e4:g} %"
        found.append(Finding(check, Verdict.ALARM, text, "margin_level", level, limit_ppm, "ppm"))
    return found or [Finding(check, Verdict.WELL, "no limit holds entries")]


def error_rate(config: Config, seen: Seen) -> list[Finding]:
    check, limit = "error_rate", config.health.errors_per_hour
    if limit == "off":
        return [_off(check)]
    count, last = seen.errors.in_hour, f"; the last: {seen.errors.last}" if seen.errors.last else ""
    verdict = Verdict.ALARM if count >= limit else _near(count, limit)
    return [Finding(check, verdict, f"{_of(count, 'error')} in the last hour{last}", "", count, limit, "count")]


def errors_at_start(config: Config, seen: Seen) -> list[Finding]:
    check, within_ms = "errors_at_start", _ms(config.health.errors_at_start_s)
    if within_ms is None:
        return [_off(check)]
    count, within = seen.errors.at_start, f"in the first {within_ms / 1000:g} s"
    if count:
        text = f"{_of(count, 'error')} {within}; the last error: {seen.errors.last}"
        return [Finding(check, Verdict.ALARM, text, "", count, None, "count")]
    if seen.started_ms < within_ms:
        return [Finding(check, Verdict.UNKNOWN, f"the first {within_ms / 1000:g} s are not over")]
    return [Finding(check, Verdict.WELL, f"none {within}", "", 0, None, "count")]


def chains_stored(config: Config, seen: Seen) -> list[Finding]:
    check = "chain_store"
    if config.health.chain_store == "off" or not seen.stores:
        return [_off(check, "no strategy has chains" if config.health.chain_store == "on" else "")]
    found = [Finding(check, Verdict.ALARM, failure, plugin) for plugin, failure in seen.stores.items() if failure]
    return found or [Finding(check, Verdict.WELL, f"{_of(len(seen.stores), 'store')} can be written")]


def journal_kept(config: Config, seen: Seen) -> list[Finding]:
    check, limit_ms = "journal_late", _ms(config.health.journal_late_s)
    if limit_ms is None:
        return [_off(check)]
    if seen.journal_failure is not None:
        return [Finding(check, Verdict.ALARM, f"the journal is closed: {seen.journal_failure}")]
    ms = seen.journal_behind_ms
    return [Finding(check, _late(ms, limit_ms), f"the disk is {ms / 1000:.1f} s behind", "", ms, limit_ms, "ms")]


def storage_ample(config: Config, seen: Seen) -> list[Finding]:
    check = "storage"
    if config.health.storage == "off":
        return [_off(check)]
    if seen.down_ms.get("storage", 1):
        return [Finding(check, Verdict.UNKNOWN, "nobody looks at the disk")]
    found = [
        Finding(check, Verdict.ALARM, told(strain), reason, strain.measured, strain.limit, strain.unit)
        for reason, strain in seen.strained.items()
        if strain.reason is not StorageReason.BACKUP
    ]
    return found or [Finding(check, Verdict.WELL, "room for the journal is ample")]


def log_written(config: Config, seen: Seen) -> list[Finding]:
    check = "log_lines_lost"
    if config.health.log_lines_lost == "off" or seen.lines_lost is None:
        return [_off(check, "no log is written" if config.health.log_lines_lost == "on" else "")]
    verdict = Verdict.ALARM if seen.lines_lost else Verdict.WELL
    text = f"{_of(seen.lines_lost, 'line')} of the log lost"
    return [Finding(check, verdict, text, "", seen.lines_lost, None, "count")]


def backup_taken(config: Config, seen: Seen) -> list[Finding]:
    check, late_hours, every_h = "backup", config.health.backup_late_hours, config.journal.backup_every_h
    if late_hours == "off" or every_h == "off":
        return [_off(check, "no backups are taken" if every_h == "off" else "")]
    failed = seen.strained.get(StorageReason.BACKUP.value)
    if failed is not None:
        return [Finding(check, Verdict.ALARM, told(failed))]
    limit_ms = round((late_hours + every_h) * HOUR_MS)
    watched_ms = limit_ms if seen.started_ms >= FIRST_BACKUP_MS else 0
    return [_answered(check, "backup", seen.backup_age_ms, watched_ms, limit_ms)]


def attended(config: Config, seen: Seen) -> list[Finding]:
    check, left_hours, absent_hours = "attendance", config.health.attendance_hours_left, config.attendance.absent_hours_max
    if left_hours == "off" or absent_hours == "off":
        return [_off(check, "nobody need be there" if absent_hours == "off" else "")]
    if seen.absent_ms is None:
        return [Finding(check, Verdict.UNKNOWN, "nobody was heard yet")]
    limit_ms, hours = max(0, round((absent_hours - left_hours) * HOUR_MS)), seen.absent_ms / HOUR_MS
    verdict = Verdict.ALARM if seen.absent_ms >= limit_ms else Verdict.WELL
    text = f"no word from a person for {hours:.1f} h; close only after {absent_hours:g} h"
    return [Finding(check, verdict, text, "", seen.absent_ms, limit_ms, "ms")]


_JUDGES: Final[dict[str, Callable[[Config, Seen], list[Finding]]]] = {
    "position_not_evaluated": positions_evaluated,
    "child_down": children_serve,
    "quotes_stale": quotes_fresh,
    "broker_disconnected": broker_read,
    "host_silent": host_answers,
    "drawdown": drawdown,
    "limit_reached": limits_reached,
    "error_rate": error_rate,
    "errors_at_start": errors_at_start,
    "chain_store": chains_stored,
    "journal_late": journal_kept,
    "storage": storage_ample,
    "log_lines_lost": log_written,
    "backup": backup_taken,
    "attendance": attended,
}
CHECKS: Final = tuple(_JUDGES)
"""The stable words, in the order in which they are shown."""


def _evaluated(seen: Seen, ticket: int, position: PositionSeen, limit_ms: int) -> Finding:
    """The gravest of what keeps it from being looked at, with the longest time."""
    verdict, ms = _silence(seen, position.symbol, limit_ms)
    reasons = [(verdict, ms, f"no quote of {position.symbol}")]
    actor = f"position/{position.symbol}"
    for child in (actor, "market_feed"):
        down_ms = seen.down_ms.get(child)
        if down_ms is None:
            reasons.append((_late(seen.awake_ms, limit_ms), seen.awake_ms, f"there is no {child}"))
        elif down_ms:
            reasons.append((_late(down_ms, limit_ms), down_ms, f"{child} does not serve"))
    if position.unarmed_ms is None:
        reasons.append((Verdict.UNKNOWN, 0, "nobody can tell what the feed waits for"))
    elif position.unarmed_ms and not position.is_closing:
        reasons.append((_late(position.unarmed_ms, limit_ms), position.unarmed_ms, "nobody waits for its stop"))
    rank = [Verdict.WELL, Verdict.NEAR, Verdict.UNKNOWN, Verdict.ALARM]
    verdict, ms, why = max(reasons, key=lambda reason: (rank.index(reason[0]), reason[1]))
    detail = f"not evaluated for {ms / 1000:.1f} s: {why}"
    return Finding("position_not_evaluated", verdict, detail, str(ticket), ms, limit_ms, "ms")


def _silence(seen: Seen, symbol: str, limit_ms: int) -> tuple[Verdict, int]:
    """How long quotes of it are missing: only while some are due."""
    due_ms, age_ms = _due_ms(seen, symbol), seen.quote_age_ms.get(symbol)
    if due_ms is None:
        return Verdict.WELL, 0
    return _aged(None if age_ms is None else min(age_ms, due_ms), min(seen.awake_ms, due_ms), limit_ms)


def _due_ms(seen: Seen, symbol: str) -> int | None:
    """For how long quotes of it have been due; a symbol that has had one after the week's close trades at weekends, too."""
    age_ms = seen.quote_age_ms.get(symbol)
    trades_on = age_ms is not None and seen.closed_ms is not None and age_ms < seen.closed_ms
    return seen.closed_ms if trades_on else seen.quotes_due_ms


def _aged(age_ms: int | None, awake_ms: int, limit_ms: int) -> tuple[Verdict, int]:
    """Too old only if somebody looked on for as long: after a standstill nobody could have done anything."""
    if age_ms is not None and age_ms < limit_ms:
        return _near(age_ms, limit_ms), age_ms
    is_too_old = awake_ms >= limit_ms
    return (Verdict.ALARM if is_too_old else Verdict.UNKNOWN), awake_ms if age_ms is None else age_ms


def _answered(check: str, what: str, age_ms: int | None, awake_ms: int, limit_ms: int) -> Finding:
    verdict, ms = _aged(age_ms, awake_ms, limit_ms)
    if age_ms is None:
        return Finding(check, verdict, f"no {what} since the start")
    return Finding(check, verdict, f"the last {what} was {_span(ms)} ago", "", ms, limit_ms, "ms")


def _span(ms: int) -> str:
    return f"{ms / 1000:.1f} s" if ms < 2 * HOUR_MS else f"{ms / HOUR_MS:.1f} h"


def _late(ms: int, limit_ms: int) -> Verdict:
    """Of something that should not last at all."""
    if ms >= limit_ms:
        return Verdict.ALARM
    return Verdict.NEAR if ms else Verdict.WELL


def _near(measured: int, limit: int) -> Verdict:
    share, whole = NEAR_PARTS
    return Verdict.NEAR if measured * whole > limit * share else Verdict.WELL


def _unless(found: list[Finding], whole: Finding) -> list[Finding]:
    """What is not well of `found`, or where all of it is, `whole`."""
    return [one for one in found if one.verdict is not Verdict.WELL] or [whole]


def _of(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _off(check: str, why: str = "") -> Finding:
    return Finding(check, Verdict.OFF, why or "switched off")


def _ms(seconds: float | Off) -> int | None:
    return None if seconds == "off" else round(seconds * 1000)
