"""`evenkeel promote`: the checklist before a real account is traded, and the word of a person that it shall be.

It reads the journal, the backups and what was rehearsed, contacts no broker, and at the end writes one line into the
configuration file: `real_login`, without which no terminal of a real account is used. Trading stays off until `start`.
"""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.os import StateError, state_root, write_durably
from evenkeel.adapters.rehearsals import PROMOTED, note
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.configured import add_config_flags, configured
from evenkeel.commands.order import who
from evenkeel.commands.promote.facts import around_of, past_of
from evenkeel.commands.tables import columns, folded, table
from evenkeel.config.insertion import NotInsertable, with_number
from evenkeel.config.load import ConfigInvalid, load
from evenkeel.config.schema import Config
from evenkeel.rules.promotion import Item, Rehearsed, checklist
from evenkeel.runtime.clock import SystemClock
from evenkeel.runtime.journal import JournalError

WORDS: Final = "trade real money"
HEADER: Final = ("holds", "item", "what was found", "what to do")
EXPLANATION: Final = """\
Items marked NO must hold; those marked no may be accepted by name, with --accept NAME, by who answers for it. The account that
was tried may have another name than the real one: --proof NAME. Strategies and limits must be the same there; terminal, folders
and money may differ. With --json the checklist alone is printed and nothing is asked.
Status 0: done (with --json: everything holds or is accepted), 4: not ready, or not confirmed.
"""


class PromoteReport(msgspec.Struct, frozen=True):
    """What `--json` prints. `ready`: every item holds or was accepted."""

    account: str
    proof: str
    config_file: str
    login: int | None
    ready: bool
    accepted: tuple[str, ...]
    items: tuple[Item, ...]
    v: int = 1


class _Refused(Exception):
    """Nothing was changed; one line."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    add_config_flags(parser)
    parser.add_argument("--proof", metavar="NAME", help="the account whose journal shows it (default: the configuration's)")
    parser.add_argument("--accept", metavar="ITEM", action="append", default=[], help="go on without this item; may repeat")
    parser.add_argument("--json", action="store_true", help="print the checklist as one JSON object, and end")


def run(arguments: argparse.Namespace) -> int:
    if arguments.config is None:
        print("promote: --config FILE: which file shall allow the real account?", file=sys.stderr)
        return exit_codes.USAGE
    try:
        config = configured(arguments)
        own = StateFolder(state_root(), config.account.name)
        proof = StateFolder(state_root(), arguments.proof or config.account.name)
        report = _report(arguments, config, own, proof)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    except StateError as error:
        print(f"promote: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (JournalError, msgspec.DecodeError, OSError) as error:
        print(f"promote: {type(error).__name__}: {error}", file=sys.stderr)
        return exit_codes.FAILED
    if wrong := _not_acceptable(report):
        print(f"promote: {wrong}", file=sys.stderr)
        return exit_codes.USAGE
    if arguments.json:
        print(msgspec.json.encode(report).decode())
        return exit_codes.OK if report.ready else exit_codes.REFUSED
    print("\n".join(_lines(report)))
    try:
        return _promoted(report, config, arguments.config, own)
    except _Refused as refused:
        print(folded(f"promote: {refused}; nothing was changed", stream=sys.stderr), file=sys.stderr)
        return exit_codes.REFUSED
    except ConfigInvalid as error:
        print(f"{error}\npromote: the file by itself is invalid; nothing was changed", file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    except (NotInsertable, OSError, StateError) as error:
        print(f"promote: {arguments.config}: {error}; nothing was changed", file=sys.stderr)
        return exit_codes.FAILED


def _report(arguments: argparse.Namespace, config: Config, own: StateFolder, proof: StateFolder) -> PromoteReport:
    past = past_of(proof, config)
    own_logins = past.logins if own.account == proof.account else past_of(own, config).logins
    items = checklist(config, past, own_logins, around_of(config, own, proof), SystemClock().now_utc_ms())
    accepted = tuple(dict.fromkeys(arguments.accept))
    ready = all(item.holds or item.name in accepted for item in items)
    file = str(arguments.config)
    return PromoteReport(config.account.name, proof.account, file, config.terminal.login, ready, accepted, tuple(items))


def _not_acceptable(report: PromoteReport) -> str:
    """One line about an --accept that cannot be, else ""."""
    items = {item.name: item for item in report.items}
    for name in report.accepted:
        if name not in items:
            may = ", ".join(item.name for item in report.items if not item.must)
            return f"--accept {name}: no such item; there is {may}"
        if items[name].must:
            return f"--accept {name}: it must hold, nobody can accept it"
    return ""


def _lines(report: PromoteReport) -> list[str]:
    rows = [
        (_mark(item, report.accepted), item.name, item.evidence, "" if item.holds else item.remedy) for item in report.items
    ]
    return table(HEADER, rows, left_aligned=HEADER, width=columns())


def _mark(item: Item, accepted: tuple[str, ...]) -> str:
    if item.holds:
        return "yes"
    return "NO" if item.must else "accepted" if item.name in accepted else "no"


def _promoted(report: PromoteReport, config: Config, file: Path, own: StateFolder) -> int:
    """Raises _Refused, NotInsertable, StateError or OSError: then nothing was changed."""
    if not report.ready:
        left = [item for item in report.items if not item.holds and item.name not in report.accepted]
        must = [item.name for item in left if item.must]
        may = [f"--accept {item.name}" for item in left if not item.must]
        words = [f"these must hold: {', '.join(must)}"] if must else []
        words += [f"these too, unless you say {' '.join(may)}"] if may else []
        raise _Refused(f"not ready; {'; '.join(words)}")
    login = config.terminal.login
    assert login is not None, "the item login holds"
    if config.terminal.real_login == login:
        print(f"promote: real_login = {login} stands there already; nothing is left to do", file=sys.stderr)
        return exit_codes.OK
    if load(file).terminal.login != login:
        raise _Refused(f"login {login} does not stand in {file} itself, so it would not hold without what was set beside it")
    _confirmed(login)
    kept = _written(file, login)
    accepted = f"; accepted: {', '.join(report.accepted)}" if report.accepted else ""
    proven = f"{who()} allowed login {login} in {file}, proven by account {report.proof}{accepted}"
    note(own.rehearsals, PROMOTED, Rehearsed(SystemClock().now_utc_ms(), proven))
    print("\n".join(_next_steps(file, login, kept, own.account)), file=sys.stderr)
    return exit_codes.OK


def _confirmed(login: int) -> None:
    """Two answers from a person at a terminal; raises _Refused for anything else."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise _Refused("ready, but this takes a person at a terminal, who types the account's number")
    asked = (
        ("\nWhat follows is about money that can be lost. The number of the real account: ", str(login)),
        (f'Type "{WORDS}": ', WORDS),
    )
    for question, wanted in asked:
        print(question, end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip() != wanted:
            raise _Refused("that was not it")


def _written(file: Path, login: int) -> Path:
    """The line is in the file, durably, and the file as it was lies beside it under the name that is returned."""
    path, now = file.resolve(), datetime.fromtimestamp(SystemClock().now_utc_ms() / 1000, UTC)
    before = path.read_bytes()
    bom = b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b""
    text = before.removeprefix(bom).decode("utf-8")
    after = with_number(text, "terminal", "real_login", login, f"a real account, by evenkeel promote, {now:%Y-%m-%d}")
    mode = path.stat().st_mode & 0o777
    kept = path.with_name(f"{path.name}.before-promote-{now:%Y%m%dT%H%M%SZ}")
    for target, content in ((kept, before), (path, bom + after.encode())):
        write_durably(target, content)
        os.chmod(target, mode)
    return kept


def _next_steps(file: Path, login: int, kept: Path, account: str) -> list[str]:
    return [
        "",
        f"{file} allows login {login} now; as it was: {kept}",
        "Nothing trades yet. A supervisor that runs goes on as before; the next one comes up close only.",
        f"  evenkeel doctor --config {file}     is the terminal on that account?",
        f"  evenkeel watchdog --config {file}   or start its service again",
        f"  evenkeel start --account {account}",
        f"What stops it: evenkeel kill --account {account}",
    ]
