"""`evenkeel verify`: check every record of a journal, the joins between its days, and the head beside them. Only reads."""

import argparse
import sys
from pathlib import Path

import msgspec

from evenkeel.adapters.lmdb_journal import verify
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.journal import JournalError


class Verified(msgspec.Struct, frozen=True):
    """What `--json` prints: every record is what was written."""

    journal: str
    records: int
    took_ms: int
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--backup", type=Path, metavar="DIR", help="this backup instead of the account's journal")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    began_s = monotonic_s()
    try:
        is_copy = arguments.backup is not None
        journal = arguments.backup / "journal" if is_copy else StateFolder(state_root(), arguments.account).journal
        if not journal.is_dir():
            print(f"verify: {journal} is not there", file=sys.stderr)
            return exit_codes.USAGE
        records = verify(journal, is_copy=is_copy)
    except StateError as error:
        print(f"verify: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (JournalError, OSError) as error:
        print(f"verify: {error}", file=sys.stderr)
        return exit_codes.FAILED
    took_s = monotonic_s() - began_s
    if arguments.json:
        print(msgspec.json.encode(Verified(str(journal), records, round(took_s * 1000))).decode())
    else:
        print(f"{journal}: {records} records are what was written ({took_s:.1f} s)")
    return exit_codes.OK
