"""`evenkeel health`: what is wrong with the run, each check with its state, since when, and what it measured."""

import argparse
import sys
from typing import Final

import msgspec

from evenkeel.commands import exit_codes
from evenkeel.commands.status import Supervisor, add_arguments
from evenkeel.commands.tables import columns, table
from evenkeel.commands.viewed import ended, viewed
from evenkeel.rules.instants import utc_text
from evenkeel.rules.view import CheckState, CheckView, View

HEADER: Final = ("state", "check", "of", "since", "what was seen")

__all__ = ["add_arguments", "run"]


class HealthReport(msgspec.Struct, frozen=True):
    """What `--json` prints; `age_ms` is how old it is, null where nothing is known. `well`: a supervisor answers, and every
    check that is on is well. `more` checks had no room; they are no worse than the last of `checks`."""

    supervisor: Supervisor
    why: str
    age_ms: int | None
    well: bool
    checks: tuple[CheckView, ...]
    more: int
    v: int = 1


def run(arguments: argparse.Namespace) -> int:
    """0 when every check that is on is well, 1 when one alarms or cannot tell; else as that of `status`."""
    told = viewed("health", arguments.account)
    if isinstance(told, int):
        return told
    checks, more = (told.view.health, told.view.health_more) if told.view else ((), 0)
    is_well = told.seen.supervisor == "answers" and _is_well(checks)
    if arguments.json:
        report = HealthReport(told.seen.supervisor, told.seen.why, told.age_ms, is_well, checks, more)
        print(msgspec.json.encode(report).decode())
    elif told.view is not None:
        print("\n".join(_lines(told.view)))
    status = ended("health", told)
    if status == exit_codes.OK and not is_well:
        print(f"health: {_verdict(checks)}", file=sys.stderr)
        return exit_codes.FAILED
    return status


def _is_well(checks: tuple[CheckView, ...]) -> bool:
    """No checks at all is nothing to rely on."""
    return bool(checks) and all(check.state in (CheckState.WELL, CheckState.OFF) for check in checks)


def _verdict(checks: tuple[CheckView, ...]) -> str:
    states = [check.state for check in checks]
    alarms, unknown = states.count(CheckState.ALARM), states.count(CheckState.UNKNOWN)
    if not checks:
        return "nobody looks after it"
    found = [f"{count} {what}" for count, what in ((alarms, "alarm"), (unknown, "cannot tell")) if count]
    return ", ".join(found)


def _lines(view: View) -> list[str]:
    if not view.health:
        return ["no check was made: the part that makes them does not serve"]
    rows = [
        (
            check.state.upper() if check.state is CheckState.ALARM else check.state.value,
            check.check.replace("_", " "),
            check.scope,
            utc_text(check.since_utc_ms) if check.since_utc_ms else "",
            f"{check.detail}{_limit(check)}",
        )
        for check in view.health
    ]
    more = [f"and {view.health_more} more"] if view.health_more else []
    return [*table(HEADER, rows, left_aligned=HEADER, width=columns()), *more]


def _limit(check: CheckView) -> str:
    """Against which it was measured, where the words do not say it."""
    if check.limit is None or check.state is CheckState.OFF:
        return ""
    match check.unit:
        case "ms":
            seconds = check.limit / 1000
            return f" (limit {seconds:g} s)" if seconds < 7200 else f" (limit {seconds / 3600:g} h)"
        case "ppm" if check.check == "drawdown":
            return f" (limit {check.limit / 1e4:g} %)"
        case "count":
            return f" (limit {check.limit})"
        case _:
            return ""
