"""`evenkeel reload`: the running supervisor reads its configuration again.

Lowered limits come into force at once. With --segment everything that may change does, in a new segment of the run.
"""

import argparse
import sys
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.control_channel import ControlError, Done, NoAnswer, NotRunning, NotTheSupervisor, Refused, Told
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.order import ANSWER_S, WAIT_MS, who
from evenkeel.commands.tables import folded
from evenkeel.config.written import toml_value
from evenkeel.rules.reload import Answer, Change, Kind, Outcome
from evenkeel.runtime.clock import monotonic_s

READ_S: Final = 30.0
"""A person's own strategies are tried before a segment begins with them."""
CHANGE_S: Final = 90.0
LOOK_S: Final = 0.1
EXPLANATION: Final = """\
free     a limit made stricter: in force at once; no position's own exits are touched
segment  everything else that may change: with --segment the run ends in order and goes on in the same process, with the same
         mode, holds, positions and reservations; exits wait for it, the stops at the broker protect meanwhile
raise    a segment too; what makes a limit or a guard laxer leaves entries closed until evenkeel start
never    the account, the terminal, the places of things: stop and start

the supervisor reads its own file, environment and flags, not those of this command
"""
WORDS: Final = {
    Outcome.NOTHING: "nothing differs from what is in force",
    Outcome.LOOKED: "nothing was changed",
    Outcome.LOWERED: "in force",
    Outcome.SEGMENT: "another segment serves with it",
    Outcome.REFUSED: "refused, nothing was changed",
    Outcome.INVALID: "the configuration is invalid, nothing was changed",
}
STATUS: Final = {
    Outcome.LEFT: exit_codes.REFUSED,
    Outcome.REFUSED: exit_codes.REFUSED,
    Outcome.INVALID: exit_codes.CONFIG_INVALID,
}


class Report(msgspec.Struct):
    """What `--json` prints. `end` is an Outcome of rules/reload.py, failed (the run goes on as before), not_running or
    unknown."""

    command_id: str
    end: str
    detail: str = ""
    changes: tuple[Change, ...] = ()
    more: int = 0
    problems: tuple[str, ...] = ()
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="show what differs and what it takes; change nothing")
    how.add_argument("--segment", action="store_true", help="change also what takes a new segment of the run")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """0 in force or nothing to do, 4 refused or something left, 6 wrong configuration, 1 the run goes on as before."""
    try:
        endpoint = StateFolder(state_root(), arguments.account).endpoint
    except (StateError, OSError, ValueError) as error:
        print(f"reload: {error}", file=sys.stderr)
        return exit_codes.USAGE
    report, status = _asked(endpoint, dry_run=arguments.dry_run, segment=arguments.segment)
    if report.end == Outcome.LEFT and not arguments.json and sys.stdin.isatty() and not _has_never(report):
        print(folded("\n".join(_lines(report))))
        if input("begin another segment with it? type yes: ").strip() == "yes":
            report, status = _asked(endpoint, segment=True)
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    else:
        print(folded("\n".join(_lines(report))))
        for problem in report.problems:
            print(folded(str(problem), stream=sys.stderr), file=sys.stderr)
    return status


def _has_never(report: Report) -> bool:
    return any(change.kind is Kind.NEVER for change in report.changes)


def _asked(endpoint: Path, *, dry_run: bool = False, segment: bool = False) -> tuple[Report, int]:
    command_id = uuid.uuid4().hex
    asked = channel.Reload(command_id=command_id, by=who(), wait_ms=WAIT_MS, dry_run=dry_run, segment=segment)
    try:
        reply = channel.ask(endpoint, asked, READ_S)
    except (NotRunning, NotTheSupervisor) as error:
        return Report(command_id, "not_running", str(error)), exit_codes.NOT_RUNNING
    except NoAnswer as error:
        return Report(command_id, "unknown", str(error)), exit_codes.OUTCOME_UNKNOWN
    match reply:
        case Told(body):
            told = msgspec.json.decode(body, type=Answer)
        case Refused(_, reason):
            told = Answer(Outcome.REFUSED, problems=(reason,))
        case _:
            return Report(command_id, "unknown", f"the supervisor answered {reply!r}"), exit_codes.OUTCOME_UNKNOWN
    report = Report(command_id, told.outcome.value, _detail(told), told.changes, told.more, told.problems)
    if told.outcome is Outcome.SEGMENT:
        return _followed(endpoint, report)
    return report, STATUS.get(told.outcome, exit_codes.OK)


def _detail(told: Answer) -> str:
    if told.outcome is not Outcome.LEFT:
        return WORDS[told.outcome]
    kinds = {change.kind for change in told.changes}
    done = "what is free is in force" if Kind.FREE in kinds else "nothing was changed"
    return f"{done}; the rest takes {'a stop and a start' if Kind.NEVER in kinds else 'evenkeel reload --segment'}"


def _followed(endpoint: Path, report: Report) -> tuple[Report, int]:
    """Until the next segment says that it serves, or that it does not."""
    until_s, pause = monotonic_s() + CHANGE_S, threading.Event()
    while monotonic_s() < until_s:
        try:
            reply = channel.ask(endpoint, channel.Follow(report.command_id), ANSWER_S)
        except ControlError:
            reply = None  # between the two nobody listens
        if isinstance(reply, Done):
            return report, exit_codes.OK
        if isinstance(reply, Refused) and reply.reason != channel.NO_SUCH_COMMAND:
            report.end, report.detail = "failed", f"the run goes on as before: {reply.reason}"
            return report, exit_codes.FAILED
        pause.wait(LOOK_S)
    report.end, report.detail = "unknown", f"no segment has said that it serves for {CHANGE_S:.0f} s: see evenkeel status"
    return report, exit_codes.OUTCOME_UNKNOWN


def _lines(report: Report) -> list[str]:
    return [*_rows(report.changes), *([f"and {report.more} more"] if report.more else []), f"reload: {report.detail}"]


def _rows(changes: Sequence[Change]) -> list[str]:
    """Class, key, and both values."""
    return [f"{change.kind.value:8} {change.key}: {_value(change.old)} -> {_value(change.new)}" for change in changes]


def _value(value: object) -> str:
    return "absent" if value is None else toml_value(value)
