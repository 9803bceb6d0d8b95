"""`evenkeel backup`: copy the journal while it is written, check every new record of the copy, and keep as many as are wanted.

Secrets are not in it: keys, certificates and control tokens stay where they are.
"""

import argparse
import shutil
import sys
from pathlib import Path

import msgspec

from evenkeel.adapters.backup import DAILY_KEPT, HOURLY_KEPT, Backup, BackupError, found, superfluous, take
from evenkeel.adapters.build import build_id
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.runtime.clock import SystemClock, monotonic_s
from evenkeel.runtime.journal import JournalError


class Taken(msgspec.Struct, frozen=True):
    """What `--json` prints. `removed` are older backups that need not be kept."""

    backup: Backup
    folder: str
    took_ms: int
    removed: int
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where to (default: backups in the account's state folder)")
    parser.add_argument("--hourly", type=_count, default=HOURLY_KEPT, metavar="N", help="newest ones to keep (%(default)s)")
    parser.add_argument("--daily", type=_count, default=DAILY_KEPT, metavar="N", help="and the last of N days (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    began_s = monotonic_s()
    try:
        folder = StateFolder(state_root(), arguments.account)
        to = arguments.to or folder.backups
        place, backup = take(folder, to, build=build_id(), now_utc_ms=SystemClock().now_utc_ms())
        old = superfluous(found(to, folder.account), hourly=arguments.hourly, daily=arguments.daily)
        for path in old:
            shutil.rmtree(path)
    except StateError as error:
        print(f"backup: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except BackupError as error:
        print(f"backup: {error}", file=sys.stderr)
        return exit_codes.REFUSED
    except (JournalError, OSError) as error:
        print(f"backup: {type(error).__name__}: {error}", file=sys.stderr)
        return exit_codes.FAILED
    taken = Taken(backup, str(place), round((monotonic_s() - began_s) * 1000), len(old))
    if arguments.json:
        print(msgspec.json.encode(taken).decode())
    else:
        size_mb = backup.bytes / (1 << 20)
        print(
            f"{place}: records {backup.first_seq} to {backup.last_seq}, {size_mb:.1f} MB, checked, {taken.took_ms / 1000:.1f} s"
        )
    return exit_codes.OK


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r}: not a number from 1 to 100000")
    return int(text)
