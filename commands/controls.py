"""`evenkeel controls`: the control checklist, with the setting that implements each and when it last did something."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.tables import columns, table
from evenkeel.commands.why import text_of
from evenkeel.commands.why.records import Said, said_of
from evenkeel.messages.system import RunConfigured
from evenkeel.rules.controls import CONTROLS, EVIDENCE, Built, Control, evidence_of
from evenkeel.rules.instants import utc_text
from evenkeel.rules.view_state import ViewState
from evenkeel.runtime.journal import JournalError

HEADER: Final = ("control", "must", "built", "setting", "last evidence")
EVIDENCE_CHARACTERS: Final = 70
EXPLANATION: Final = """\
"built" is what the code does: built, partly (with what is missing), not built. The settings are those of the last run; where
there was none yet, their names alone. Evidence is a record of the journal: `evenkeel why seq N` tells what led to it.
"""


class Evidence(msgspec.Struct, frozen=True):
    seq: int
    time_utc_ms: int
    text: str


class ControlRow(msgspec.Struct, frozen=True):
    """`settings` by key path, null where no run has recorded a configuration. `lacks` "" where nothing is missing."""

    id: str
    name: str
    must: str
    built: Built
    lacks: str
    settings: dict[str, Any]
    evidence: Evidence | None


class ControlsReport(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    account: str
    controls: list[ControlRow]
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """0, also without a journal; 1 when it cannot be read."""
    try:
        rows = rows_of(StateFolder(state_root(), arguments.account).journal)
    except StateError as error:
        print(f"controls: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (JournalError, msgspec.DecodeError) as error:
        print(f"controls: the journal cannot be read: {error}", file=sys.stderr)
        return exit_codes.FAILED
    if arguments.json:
        print(msgspec.json.encode(ControlsReport(arguments.account, rows)).decode())
    else:
        print("\n".join(table(HEADER, [_cells(row) for row in rows], left_aligned=HEADER, width=columns())))
    return exit_codes.OK


def rows_of(journal: Path) -> list[ControlRow]:
    """Raises JournalError, or msgspec's for another build's message."""
    known, settings = ViewState(), b"{}"
    newest: dict[tuple[str, ...], Said] = {}
    with DayFiles(journal) as files:
        for said in said_of(files, (*EVIDENCE, RunConfigured), known=known):
            if isinstance(said.message, RunConfigured):
                settings = said.message.settings.encode()
            else:
                newest[evidence_of(said.message)] = said
    configured = msgspec.json.decode(settings)
    return [_row(control, configured, _evidence(control, newest.values()), known) for control in CONTROLS]


def _evidence(control: Control, newest: Iterable[Said]) -> Said | None:
    shown = [said for said in newest if control.is_shown_by(said.message)]
    return max(shown, key=lambda said: said.record.seq, default=None)


def _row(control: Control, configured: Any, said: Said | None, known: ViewState) -> ControlRow:
    evidence = said and Evidence(said.record.seq, said.record.time_utc_ms, text_of(said.message, known))
    settings = {path: _setting(configured, path) for path in control.settings}
    return ControlRow(control.control_id, control.name, control.must, control.built, control.lacks, settings, evidence or None)


def _setting(configured: Any, path: str) -> Any:
    for key in path.split("."):
        configured = configured.get(key) if isinstance(configured, dict) else None
    return configured


def _cells(row: ControlRow) -> tuple[str, ...]:
    built = f"{row.built}: {row.lacks}" if row.lacks else row.built
    settings = ", ".join(path if value is None else f"{path} = {_shown(value)}" for path, value in row.settings.items())
    if row.evidence is None:
        return f"{row.id} {row.name}", row.must, built, settings or "-", "-"
    text = row.evidence.text
    cut = text if len(text) <= EVIDENCE_CHARACTERS else f"{text[: EVIDENCE_CHARACTERS - 3]}..."
    evidence = f"#{row.evidence.seq} {utc_text(row.evidence.time_utc_ms)} {cut}"
    return f"{row.id} {row.name}", row.must, built, settings or "-", evidence


def _shown(value: Any) -> str:
    return " ".join(value) if isinstance(value, dict) else str(value)
