"""`evenkeel restore`: put a backup in the place of the journal. What was there is moved aside, never removed.

A backup does not know what was done since it was taken. So the next run starts with entries closed, reads everything from
the broker, uses no order number again, and trades only when a person says `start`.
"""

import argparse
import sys
from pathlib import Path

import msgspec

from evenkeel.adapters.backup import BackupError, facts, found, restore
from evenkeel.adapters.os import AccountLock, AlreadyRunning, StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.rules.instants import utc_text
from evenkeel.runtime.clock import SystemClock
from evenkeel.runtime.journal import JournalError


class Done(msgspec.Struct, frozen=True):
    """What `--json` prints. What was the journal before lies in `aside`."""

    backup: str
    taken_utc_ms: int
    records: int
    aside: str
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("backup", type=Path, metavar="BACKUP", help="its folder, or a folder of backups: the newest in it")
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    try:
        folder = StateFolder(state_root(), arguments.account)
        inside = found(arguments.backup, folder.account)
        facts(inside[-1] if inside else arguments.backup)
        folder.create()
        with AccountLock(folder.lock):
            aside, restored = restore(inside[-1] if inside else arguments.backup, folder, now_utc_ms=SystemClock().now_utc_ms())
    except AlreadyRunning as error:
        print(f"restore: {error}; evenkeel stop comes first", file=sys.stderr)
        return exit_codes.REFUSED
    except StateError as error:
        print(f"restore: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except BackupError as error:
        print(f"restore: {error}", file=sys.stderr)
        return exit_codes.REFUSED
    except (JournalError, OSError) as error:
        print(f"restore: {type(error).__name__}: {error}", file=sys.stderr)
        return exit_codes.FAILED
    if arguments.json:
        done = Done(restored.backup, restored.taken_utc_ms, restored.records, str(aside))
        print(msgspec.json.encode(done).decode())
        return exit_codes.OK
    print(f"{restored.backup}: {restored.records} records of {utc_text(restored.taken_utc_ms)}, checked, are the journal now")
    print(f"what was there lies in {aside}")
    print("the next run opens nothing until the broker agrees and you say: evenkeel start")
    return exit_codes.OK
