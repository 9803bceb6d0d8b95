"""The view as a command wants it: whole, with its age, and with words on standard error where the supervisor gave none."""

import sys
from typing import NamedTuple

import msgspec

from evenkeel.adapters.os import StateError
from evenkeel.commands import exit_codes
from evenkeel.commands.status import EXIT_CODES, Seen, look
from evenkeel.rules.view import View
from evenkeel.runtime.clock import SystemClock


class Viewed(NamedTuple):
    """`view` and `age_ms` are None where nothing is known."""

    seen: Seen
    view: View | None
    age_ms: int | None


def viewed(command: str, account: str) -> Viewed | int:
    """An exit status instead, after `command` said on standard error what is wrong."""
    try:
        seen = look(account)
        view = None if seen.view is None else msgspec.json.decode(seen.view, type=View)
    except StateError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except msgspec.DecodeError as error:
        print(f"{command}: the view is not of this version of evenkeel: {error}", file=sys.stderr)
        return exit_codes.FAILED
    return Viewed(seen, view, None if view is None else SystemClock().now_utc_ms() - view.written_utc_ms)


def ended(command: str, told: Viewed) -> int:
    """The exit status, as that of `status`, after a word on standard error when the supervisor did not answer."""
    if told.seen.why:
        age = "" if told.age_ms is None else f", {told.age_ms / 1000:.1f} s old"
        print(f"{command}: {told.seen.why}{age}", file=sys.stderr)
    return EXIT_CODES[told.seen.supervisor]
