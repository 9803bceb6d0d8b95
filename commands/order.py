"""The commands that change something: start, pause, resume, close, adopt, close-only, freeze, flatten, kill, rearm, stop.

Each is journaled with who sent it. Some may be about one symbol or strategy alone.
"""

import argparse
import getpass
import os
import re
import sys
import textwrap
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.control_channel import Accepted, ControlReply, Done, NoAnswer, NotRunning, NotTheSupervisor, Refused
from evenkeel.adapters.kill_epoch import KillEpoch
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import ENDPOINT_NAME, StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.flags import command_id, name, ticket

if TYPE_CHECKING:
    from evenkeel.rules.view import View

WAIT_MS: Final = 3_000
ANSWER_S: Final = 5.0
KILL_PORT_S: Final = 1.0
WIDTH: Final = 1_000
"""Of a line where standard output is no terminal."""
_KINDS: Final[dict[str, type[channel.Command]]] = {
    "start": channel.Start,
    "pause": channel.Pause,
    "resume": channel.Resume,
    "close": channel.Close,
    "adopt": channel.Adopt,
    "close-only": channel.Restrict,
    "freeze": channel.Restrict,
    "flatten": channel.Restrict,
    "kill": channel.Kill,
    "rearm": channel.Rearm,
    "stop": channel.Stop,
}
PAUSE_MINUTES_MAX: Final = 7 * 24 * 60
_SCOPED: Final = ("pause", "resume", "flatten", "kill")
_LADDER: Final = ("pause", "close-only", "freeze", "flatten", "kill")
"""From mild to hard: each tells what is open still."""


class Outcome(msgspec.Struct):
    """What `--json` prints. `end` is accepted, done, refused, not_running or unknown.

    Of a kill `confirmed_by` tells who goes by the epoch now: "supervisor", "terminal host". Of what makes trading stricter
    `still_open` are tickets of ours in its scope, `closed` those that were open before; null where that is not known.
    """

    command: str
    command_id: str
    end: str
    detail: str
    epoch: int | None = None
    confirmed_by: tuple[str, ...] | None = None
    v: int = 1
    still_open: tuple[int, ...] | None = None
    closed: tuple[int, ...] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    command = parser.get_default("command")
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--id", dest="command_id", type=command_id, help="idempotency key: the same key is carried out once")
    if command in ("close", "adopt"):
        parser.add_argument("ticket", type=ticket, help="the position's ticket")
    if command == "kill":
        parser.add_argument("--flatten", action="store_true", help="close every position of ours as well")
    if command == "pause":
        parser.add_argument("--for", dest="minutes", type=float, help="minutes after which it ends by itself, at most a week")
    if command in _SCOPED:
        scope = parser.add_mutually_exclusive_group()
        scope.add_argument("--symbol", type=name, help="this symbol alone")
        scope.add_argument("--strategy", type=name, help="this strategy alone, by its name in the configuration")


def run(arguments: argparse.Namespace) -> int:
    command_id = arguments.command_id or uuid.uuid4().hex
    try:
        folder = StateFolder(state_root(), arguments.account)
        before = _view_before(folder, arguments.command)
        if arguments.command == "kill" and _scope(arguments) == channel.ACCOUNT:
            outcome, status = _kill(folder, command_id, flatten=arguments.flatten)
        elif arguments.command == "kill":
            outcome, status = _kill_scope(folder, _request(arguments, command_id))
        else:
            outcome, status = asked(folder.endpoint, arguments.command, _request(arguments, command_id))
    except (StateError, OSError, ValueError) as error:
        print(f"{arguments.command}: {error}", file=sys.stderr)
        return exit_codes.USAGE if isinstance(error, ValueError | StateError) else exit_codes.FAILED
    if arguments.command == "kill" or (arguments.command in _LADDER and outcome.end in ("done", "accepted")):
        _show_with_what_is_open(arguments, folder, outcome, before)
    else:
        show(outcome, as_json=arguments.json)
        if arguments.command == "start" and outcome.end == "done" and not arguments.json:
            _show_holds(folder)
        if arguments.command in _LADDER and outcome.end in ("unknown", "not_running"):
            print(f"{arguments.command}: what stops new risk also without a supervisor: evenkeel kill", file=sys.stderr)
    return status


def _view_before(folder: StateFolder, command: str) -> "View | None":
    """For what makes trading stricter; a kill waits for nothing."""
    if command not in _LADDER or command == "kill":
        return None
    from evenkeel.commands.still_open import view_now

    return view_now(folder)


def _show_with_what_is_open(
    arguments: argparse.Namespace, folder: StateFolder, outcome: Outcome, before: "View | None"
) -> None:
    """`before` is the view of before the command, None for the one of now."""
    from evenkeel.commands.still_open import still_open, view_now

    if not arguments.json:
        show(outcome, as_json=False)
        sys.stdout.flush()  # what follows may take seconds
    left = still_open(
        folder,
        arguments.command,
        _scope(arguments),
        before or view_now(folder),
        is_heard=outcome.end in ("done", "accepted"),
        is_flattening=arguments.command == "flatten" or getattr(arguments, "flatten", False),
    )
    if not arguments.json:
        _print_indented(left.lines)
        return
    if left.age_ms is not None:
        outcome.still_open, outcome.closed = left.tickets, left.closed
    show(outcome, as_json=True)


def _show_holds(folder: StateFolder) -> None:
    """Trading is on, and yet a pause or a limit may stand in the way."""
    from evenkeel.commands.still_open import holds_told

    _print_indented(holds_told(folder))


def _print_indented(lines: Sequence[str]) -> None:
    from evenkeel.commands.tables import columns

    for line in lines:
        print(textwrap.fill(line, columns() or WIDTH, initial_indent="  ", subsequent_indent="    "))


def show(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(outcome).decode())
    else:
        from evenkeel.commands.tables import folded

        print(folded(f"{outcome.command}: {outcome.end.replace('_', ' ')}{': ' + outcome.detail if outcome.detail else ''}"))


def _request(arguments: argparse.Namespace, command_id: str) -> channel.Command:
    """Raises ValueError for what the channel would not take."""
    told: dict[str, object] = {"command_id": command_id, "by": who(), "wait_ms": WAIT_MS}
    command = arguments.command
    if command in _SCOPED:
        told["scope"] = _scope(arguments)
    match command:
        case "close" | "adopt":
            told["ticket"] = arguments.ticket
        case "pause" if arguments.minutes is not None:
            if not 0 < arguments.minutes <= PAUSE_MINUTES_MAX:
                raise ValueError(f"--for {arguments.minutes:g}: more than 0 and at most {PAUSE_MINUTES_MAX} minutes")
            told["for_ms"] = max(1, round(arguments.minutes * 60_000))
        case "close-only" | "freeze" | "flatten":
            told["mode"] = command.replace("-", "_")
        case "kill":
            told |= {"epoch": 0, "flatten": arguments.flatten}
    return msgspec.convert(told, _KINDS[command])


def _kill_scope(folder: StateFolder, request: channel.Command) -> tuple[Outcome, int]:
    """Of one symbol or strategy: the supervisor alone can tell it apart, so it has to answer."""
    outcome, status = asked(folder.endpoint, "kill", request)
    if outcome.end not in ("done", "refused"):
        outcome.detail += "; a kill of the whole account needs no supervisor: evenkeel kill"
    return outcome, status


def _scope(arguments: argparse.Namespace) -> str:
    if getattr(arguments, "strategy", None) is not None:
        return f"strategy/{arguments.strategy}"
    return str(getattr(arguments, "symbol", None) or channel.ACCOUNT)


def _kill(folder: StateFolder, command_id: str, *, flatten: bool) -> tuple[Outcome, int]:
    """The epoch first, durably, where the gate reads it before each open; then whoever still listens is told."""
    if not folder.folder.is_dir():
        raise FileNotFoundError(f"no account {folder.folder.name!r} here: {folder.folder} does not exist")
    kill = KillEpoch(folder.kill_epoch).raise_epoch("flatten" if flatten else "close_only")
    at_host = _host_confirms(folder, kill.epoch)
    request = channel.Kill(command_id=command_id, by=who(), wait_ms=WAIT_MS, epoch=kill.epoch, flatten=flatten)
    outcome, status = asked(folder.endpoint, "kill", request)
    outcome.epoch = kill.epoch
    by_supervisor = outcome.end == "done"
    outcome.confirmed_by = (*(["supervisor"] * by_supervisor), *(["terminal host"] * at_host))
    host = "the terminal host confirmed" if at_host else "no terminal host confirmed"
    if by_supervisor:
        outcome.detail = f"{outcome.detail}; {host}"
        return outcome, status
    outcome.detail = (
        f"epoch {kill.epoch} is on disk, so no new position can be opened; {host}; no supervisor confirmed ({outcome.detail})"
        + ("; open positions are closed when a supervisor runs again" if flatten else "")
    )
    return outcome, status


def _host_confirms(folder: StateFolder, epoch: int) -> bool:
    """At the kill port of the process that owns the terminal, which answers while everything else hangs."""
    from evenkeel.adapters.terminal_host import verbs
    from evenkeel.adapters.terminal_host.client import HostLink, LinkDown, ReplyLost
    from evenkeel.adapters.terminal_host.keeper import local_connect

    link = HostLink(local_connect(folder.terminal_kill / ENDPOINT_NAME), KILL_PORT_S)
    try:
        replied = link.ask(verbs.KillNow(epoch))
    except (LinkDown, ReplyLost):
        return False
    finally:
        link.close()
    return isinstance(replied, verbs.Beaten) and replied.epoch >= epoch


def asked(endpoint: Path, command: str, request: channel.Command | channel.Follow) -> tuple[Outcome, int]:
    """What the supervisor makes of it, and the exit status of that."""
    outcome = Outcome(command, request.command_id, "unknown", "")
    try:
        reply: ControlReply = channel.ask(endpoint, request, ANSWER_S)
    except (NotRunning, NotTheSupervisor) as error:
        outcome.end, outcome.detail = "not_running", str(error)
        return outcome, exit_codes.NOT_RUNNING
    except NoAnswer as error:
        outcome.detail = str(error)
        return outcome, exit_codes.OUTCOME_UNKNOWN
    match reply:
        case Done(_, detail):
            outcome.end, outcome.detail = "done", detail
            return outcome, exit_codes.OK
        case Accepted():
            outcome.end, outcome.detail = "accepted", "not done yet"
            return outcome, exit_codes.OK
        case Refused(_, reason):
            outcome.end, outcome.detail = "refused", reason
            return outcome, exit_codes.REFUSED
        case _:
            outcome.detail = f"the supervisor answered {reply!r}"
            return outcome, exit_codes.FAILED


def who() -> str:
    """user@process, in the letters that the channel takes."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return re.sub(r"[^\w .:@/\\+-]", "_", f"{user}@cli:{os.getpid()}")[:64]
