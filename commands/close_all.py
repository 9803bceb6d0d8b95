"""`evenkeel close-all`: close every position of ours once. The mode stays, so new ones may be opened: `flatten` is harder."""

import argparse
import sys
import threading
import uuid
from typing import Final

import msgspec

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.flags import name
from evenkeel.commands.order import WAIT_MS, Outcome, asked, who
from evenkeel.commands.tables import columns, table
from evenkeel.commands.viewed import viewed
from evenkeel.rules.view import PositionView
from evenkeel.runtime.clock import monotonic_s

LOOK_EVERY_S: Final = 0.05
STATUS: Final = {
    "refused": exit_codes.REFUSED,
    "unknown": exit_codes.OUTCOME_UNKNOWN,
    "not_running": exit_codes.NOT_RUNNING,
}
HEADER: Final = ("ticket", "symbol", "end", "detail")


class Ended(msgspec.Struct, frozen=True):
    """`end` as that of `close`: done; accepted, then it is still open; refused, unknown, not_running."""

    ticket: int
    symbol: str
    end: str
    detail: str


class CloseAllReport(msgspec.Struct, frozen=True):
    """What `--json` prints; `still_open` are the tickets whose close is not done."""

    command_id: str
    positions: tuple[Ended, ...]
    still_open: tuple[int, ...]
    command: str = "close-all"
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--symbol", type=name, help="positions in this symbol alone")
    scope.add_argument("--strategy", type=name, help="positions of this strategy alone, by its name in the configuration")


def run(arguments: argparse.Namespace) -> int:
    """0 when each is closed or being closed; else the status of the first that is not."""
    told = viewed("close-all", arguments.account)
    if isinstance(told, int):
        return told
    if told.seen.supervisor != "answers" or told.view is None:
        print(f"close-all: {told.seen.why}; nothing was closed. Without a supervisor: evenkeel kill", file=sys.stderr)
        return exit_codes.OUTCOME_UNKNOWN if told.seen.supervisor == "hangs" else exit_codes.NOT_RUNNING
    try:
        folder = StateFolder(state_root(), arguments.account)
    except StateError as error:
        print(f"close-all: {error}", file=sys.stderr)
        return exit_codes.USAGE
    wanted = [position for position in told.view.positions if _is_meant(position, arguments)]
    report = _closed(folder, wanted)
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    elif report.positions:
        rows = [(str(one.ticket), one.symbol, one.end.replace("_", " "), one.detail) for one in report.positions]
        print("\n".join(table(HEADER, rows, left_aligned=HEADER[1:], width=columns())))
        left = " ".join(map(str, report.still_open))
        print(f"close-all: still open: {left}" if left else "close-all: all closed", file=sys.stderr)
    else:
        print("close-all: nothing of ours is open there")
    return next((STATUS[one.end] for one in report.positions if one.end in STATUS), exit_codes.OK)


def _is_meant(position: PositionView, arguments: argparse.Namespace) -> bool:
    return arguments.symbol in (None, position.symbol) and arguments.strategy in (None, position.strategy)


def _closed(folder: StateFolder, wanted: list[PositionView]) -> CloseAllReport:
    """All are asked for before any is waited for; together they are waited for as long as one `close`."""
    command_id, by = uuid.uuid4().hex, who()
    asks = [channel.Close(command_id=f"{command_id}-{one.ticket}", by=by, ticket=one.ticket) for one in wanted]
    outcomes = [asked(folder.endpoint, "close-all", request)[0] for request in asks]
    end_s = monotonic_s() + WAIT_MS / 1000
    ended = []
    for position, outcome in zip(wanted, outcomes, strict=True):
        end = _followed(folder, outcome, end_s)
        ended.append(Ended(position.ticket, position.symbol, end.end, end.detail))
    still_open = tuple(one.ticket for one in ended if one.end != "done")
    return CloseAllReport(command_id, tuple(ended), still_open)


def _followed(folder: StateFolder, outcome: Outcome, end_s: float) -> Outcome:
    while outcome.end == "accepted" and monotonic_s() < end_s:
        threading.Event().wait(LOOK_EVERY_S)
        outcome, _ = asked(folder.endpoint, "close-all", channel.Follow(outcome.command_id))
    return outcome
