"""`evenkeel shields`: which directions of which symbols are blocked; and a person's word that frees one."""

import argparse
import sys
import uuid
from typing import Final

import msgspec

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.order import WAIT_MS, asked, show, who
from evenkeel.commands.status import EXIT_CODES, Supervisor, look
from evenkeel.commands.tables import columns, table
from evenkeel.rules.instants import utc_text
from evenkeel.rules.view import ShieldView, View
from evenkeel.runtime.clock import SystemClock

HEADER: Final = ("symbol", "blocked", "reason", "until")


class ShieldsReport(msgspec.Struct, frozen=True):
    """What `--json` prints; `age_ms` is how old it is, null where nothing is known."""

    supervisor: Supervisor
    why: str
    age_ms: int | None
    shields: tuple[ShieldView, ...]
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument(
        "--lower", nargs=2, metavar=("SYMBOL", "DIRECTION"), help="free this direction (buy, sell) of this symbol now"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status as that of `status`; with --lower as that of `close`."""
    try:
        if arguments.lower is not None:
            return _lower(StateFolder(state_root(), arguments.account), arguments)
        seen = look(arguments.account)
        view = None if seen.view is None else msgspec.json.decode(seen.view, type=View)
    except msgspec.ValidationError as error:
        print(f"shields: {error}", file=sys.stderr)
        return exit_codes.USAGE if arguments.lower else exit_codes.FAILED
    except (StateError, OSError) as error:
        print(f"shields: {error}", file=sys.stderr)
        return exit_codes.USAGE if isinstance(error, StateError) else exit_codes.FAILED
    shields = () if view is None else view.shields
    if arguments.json:
        age_ms = None if view is None else SystemClock().now_utc_ms() - view.written_utc_ms
        print(msgspec.json.encode(ShieldsReport(seen.supervisor, seen.why, age_ms, shields)).decode())
    elif view is not None:
        rows = [(one.symbol, one.direction.value, one.reason, utc_text(one.until_utc_ms)) for one in shields]
        print("\n".join(table(HEADER, rows, left_aligned=HEADER, width=columns()) if rows else ["no shields"]))
    if seen.why:
        print(f"shields: {seen.why}", file=sys.stderr)
    return EXIT_CODES[seen.supervisor]


def _lower(folder: StateFolder, arguments: argparse.Namespace) -> int:
    symbol, direction = arguments.lower
    told = {"command_id": uuid.uuid4().hex, "by": who(), "wait_ms": WAIT_MS, "symbol": symbol, "direction": direction}
    outcome, status = asked(folder.endpoint, "shields --lower", msgspec.convert(told, channel.LowerShield))
    show(outcome, as_json=arguments.json)
    return status
