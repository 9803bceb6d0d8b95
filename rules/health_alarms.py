"""When a finding of rules/health.py becomes an alarm, when that is over, and what a person sees of all of them.

An alarm begins at the first look that finds it and ends when it was well at every look for EASE_AFTER_MS, so nothing flaps.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from evenkeel.messages.health import HealthAlarmed, HealthEased
from evenkeel.rules.health import CHECKS, Finding, Verdict
from evenkeel.rules.view import CheckState, CheckView

EASE_AFTER_MS: Final = 30_000
DETAIL_CHARACTERS_MAX: Final = 120
"""A whole view must fit into one frame of the control channel."""
SEVERITIES: Final[Mapping[str, int]] = {
    **dict.fromkeys(CHECKS, 2),
    **dict.fromkeys(("position_not_evaluated", "child_down", "broker_disconnected", "host_silent", "journal_late"), 1),
    **dict.fromkeys(("drawdown", "storage"), 1),
    **dict.fromkeys(("backup", "attendance", "log_lines_lost"), 3),
}


def key_of(check: str, scope: str) -> str:
    return f"{check} {scope}"


def alarms_after(
    found: Iterable[Finding], alarmed: Mapping[str, HealthAlarmed], well_since_ms: dict[str, int], now_ms: int
) -> list[HealthAlarmed | HealthEased]:
    """What is to be said; `alarmed` is what was said so far and is not over, by `key_of`. `well_since_ms` (monotonic) is kept
    here for those of them that are well."""
    by_key = {key_of(finding.check, finding.scope): finding for finding in found}
    said: list[HealthAlarmed | HealthEased] = [
        HealthAlarmed(finding.check, SEVERITIES[finding.check], shortened(finding.detail), finding.scope)
        for key, finding in by_key.items()
        if finding.verdict is Verdict.ALARM and key not in alarmed
    ]
    for key, alarm in alarmed.items():
        verdict = _now(by_key, key, alarm)
        if verdict is not Verdict.WELL:
            well_since_ms.pop(key, None)
        is_over = verdict is Verdict.WELL and now_ms - well_since_ms.setdefault(key, now_ms) >= EASE_AFTER_MS
        if is_over or verdict is Verdict.OFF:
            well_since_ms.pop(key, None)
            said.append(HealthEased(alarm.check, alarm.scope))
    return said


def rows_of(
    found: Iterable[Finding], alarmed: Mapping[str, HealthAlarmed], before: Iterable[CheckView], now_utc_ms: int
) -> tuple[CheckView, ...]:
    """What is shown of `found`, the worst first; alarms that are not over yet are shown as such. `before` says since when."""
    since = {(row.check, row.scope, row.state): row.since_utc_ms for row in before}
    by_key = {key_of(finding.check, finding.scope): finding for finding in found}
    for key, alarm in alarmed.items():
        if alarm.check not in CHECKS:
            continue  # of another version; its end is said like that of any other
        by_key.setdefault(key, Finding(alarm.check, Verdict.WELL, f"well again; it was: {alarm.detail}", alarm.scope))
    rows = [_row(finding, key in alarmed) for key, finding in by_key.items()]
    dated = [replace(row, since_utc_ms=since.get((row.check, row.scope, row.state), now_utc_ms)) for row in rows]
    order = list(CheckState)
    return tuple(sorted(dated, key=lambda row: (order.index(row.state), row.severity, CHECKS.index(row.check))))


def shortened(detail: str) -> str:
    """On one line, and not too long."""
    line = " ".join(detail.split())
    return line if len(line) <= DETAIL_CHARACTERS_MAX else f"{line[: DETAIL_CHARACTERS_MAX - 1]}…"


def _now(by_key: Mapping[str, Finding], key: str, alarm: HealthAlarmed) -> Verdict:
    """What it is about may be gone, which is well; but nothing is known of a part where nothing is known of the whole."""
    finding = by_key.get(key)
    if finding is not None:
        return finding.verdict
    whole = by_key.get(key_of(alarm.check, ""))
    return whole.verdict if whole is not None and whole.verdict in (Verdict.UNKNOWN, Verdict.OFF) else Verdict.WELL


def _row(finding: Finding, is_alarmed: bool) -> CheckView:
    state = _STATES[finding.verdict]
    return CheckView(
        check=finding.check,
        scope=finding.scope,
        state=CheckState.ALARM if is_alarmed else state,
        severity=SEVERITIES[finding.check],
        since_utc_ms=0,
        detail=shortened(finding.detail),
        measured=finding.measured,
        limit=finding.limit,
        unit=finding.unit,
    )


_STATES: Final = {
    Verdict.WELL: CheckState.WELL,
    Verdict.NEAR: CheckState.WELL,
    Verdict.ALARM: CheckState.ALARM,
    Verdict.UNKNOWN: CheckState.UNKNOWN,
    Verdict.OFF: CheckState.OFF,
}
