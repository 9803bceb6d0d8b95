"""`evenkeel verify`: check every record of a journal, the joins between its days, and the head beside them. Only reads."""

import argparse
import sys
from pathlib import Path

from evenkeel.adapters.lmdb_journal import verify
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.journal import JournalError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--backup", type=Path, metavar="DIR", help="this backup instead of the account's journal")


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
    print(f"{journal}: {records} records are what was written ({monotonic_s() - began_s:.1f} s)")
    return exit_codes.OK
