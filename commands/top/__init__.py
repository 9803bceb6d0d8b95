"""`evenkeel top`: the account at a glance, again and again. Reads the view database alone, so it also shows what was last known
while the supervisor hangs or is gone, and says so. It changes nothing and asks nobody to do anything.
"""

import argparse
import math
import os
import signal
import sys
import threading
from io import TextIOWrapper
from types import FrameType
from typing import TYPE_CHECKING, Final

import msgspec

from evenkeel.adapters.keyboard import Keyboard
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.status import EXIT_CODES
from evenkeel.commands.top.sight import Lookout, report_of
from evenkeel.runtime.clock import monotonic_s

if TYPE_CHECKING:
    from evenkeel.commands.top.screen import Screen

EVERY_S: Final = 1.0
EVERY_S_MIN: Final = 0.2
EVERY_S_MAX: Final = 60.0
RESIZED_WITHIN_S: Final = 0.1
EXPLANATION: Final = """\
q or Ctrl-C ends it. Distances to stop and target are in points; a bar shows the room that a limit has left, the tightest first.
Where standard output is no terminal, one picture is printed. With --once the exit status is that of `status`.
"""


class _Suspended(Exception):
    """Ctrl-Z."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--every", type=_seconds, default=EVERY_S, metavar="S", help="seconds between two looks (%(default)g)")
    parser.add_argument("--once", action="store_true", help="one picture, and end")
    parser.add_argument("--json", action="store_true", help="a JSON object on a line at each look, until Ctrl-C")


def run(arguments: argparse.Namespace) -> int:
    """0 when a person ended it; once, the status of `status`."""
    try:
        lookout = Lookout(StateFolder(state_root(), arguments.account))
    except StateError as error:
        print(f"top: {error}", file=sys.stderr)
        return exit_codes.USAGE
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if arguments.json:
        return _as_json(lookout, arguments)
    if arguments.once or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return _once(lookout, arguments)
    return _live(lookout, arguments)


def _as_json(lookout: Lookout, arguments: argparse.Namespace) -> int:
    while True:
        sight = lookout.look()
        print(msgspec.json.encode(report_of(sight)).decode(), flush=True)
        if arguments.once:
            return EXIT_CODES[sight.supervisor]
        threading.Event().wait(arguments.every)


def _once(lookout: Lookout, arguments: argparse.Namespace) -> int:
    from evenkeel.commands.top.screen import printed

    sight = lookout.look()
    printed(sight, arguments.account, no_color=arguments.no_color)
    return EXIT_CODES[sight.supervisor]


def _live(lookout: Lookout, arguments: argparse.Namespace) -> int:
    """Whatever ends it, the terminal is given back as it was."""
    from evenkeel.commands.top.screen import Screen

    signal.signal(signal.SIGTERM, _end)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, _end)
        signal.signal(signal.SIGTSTP, _suspend)
    while True:
        try:
            with Keyboard() as keyboard, Screen(arguments.account, no_color=arguments.no_color) as screen:
                _watch(lookout, keyboard, screen, arguments.every)
            return exit_codes.OK
        except _Suspended:
            if sys.platform != "win32":
                os.kill(os.getpid(), signal.SIGSTOP)  # here it stands still until `fg`


def _watch(lookout: Lookout, keyboard: Keyboard, screen: "Screen", every_s: float) -> None:
    """Until q is pressed. A new size of the terminal is drawn at once, with what was seen last."""
    while True:
        sight, size, due_s = lookout.look(), screen.size, monotonic_s() + every_s
        screen.show(sight)
        while (left_s := due_s - monotonic_s()) > 0:
            if keyboard.pressed(min(left_s, RESIZED_WITHIN_S)).lower().startswith("q"):
                return
            if screen.size != size:
                size = screen.size
                screen.show(sight)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _suspend(number: int, frame: FrameType | None) -> None:
    raise _Suspended


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not EVERY_S_MIN <= seconds <= EVERY_S_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: not a number of seconds from {EVERY_S_MIN:g} to {EVERY_S_MAX:g}")
    return seconds
