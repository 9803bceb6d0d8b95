"""Where the facts of `promote` come from: journal, backups, rehearsals, watchdog, service files. Reads only, and no broker."""

import contextlib
from pathlib import Path
from typing import Any

import msgspec

from evenkeel.adapters.backup import found, taken_utc_ms
from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.adapters.rehearsals import DRILL, MEASURED, noted
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.watchdog_report import read_report
from evenkeel.commands.service.places import installed_for
from evenkeel.config.load import ConfigInvalid, recorded
from evenkeel.config.schema import Config
from evenkeel.messages import codec
from evenkeel.messages.system import RunConfigured
from evenkeel.rules.instants import utc_text
from evenkeel.rules.promotion import KINDS, Around, Past, deciding, heard, passed, ran_with


def past_of(folder: StateFolder, config: Config) -> Past:
    """The fold of an account's journal; an empty one where there is none. Raises JournalError, or msgspec's."""
    past, wanted, kinds = Past(), deciding(config), {kind.__name__ for kind in KINDS}
    if not folder.journal.is_dir():
        return past
    with DayFiles(folder.journal) as files:
        for record in files.records(1):
            body = bytes(record.body)
            kind = codec.kind_of(body)
            if kind == RunConfigured.__name__:
                configured = codec.decode(body)
                assert isinstance(configured, RunConfigured)
                with contextlib.suppress(ConfigInvalid):  # another version's: it did not decide as this one does
                    ran_with(past, recorded(configured.settings), wanted)
            elif kind in kinds:
                heard(past, codec.decode(body), record.seq, record.time_utc_ms)
            passed(past, record.time_utc_ms)
    return past


def around_of(config: Config, own: StateFolder, proof: StateFolder) -> Around:
    """`own` is the folder of the configured account, `proof` of the one that was tried."""
    backups = Path(config.journal.backup_folder or proof.backups)
    newest = next(reversed(found(backups, proof.account)), None)
    return Around(
        drill=noted(proof.rehearsals, DRILL),
        measured=noted(proof.rehearsals, MEASURED),
        backup_utc_ms=None if newest is None else taken_utc_ms(newest),
        backup_is_elsewhere=newest is not None and newest.stat().st_dev != proof.folder.stat().st_dev,
        watched_by=_watched_by(own, proof),
        notifier=_notifier(config),
    )


def _watched_by(own: StateFolder, proof: StateFolder) -> str:
    for folder in dict.fromkeys((own, proof)):
        if (report := read_report(folder.watchdog)) is not None:
            return f"a watchdog of {folder.account}, {report.state} since {utc_text(report.since_utc_ms)}"
    written = installed_for(own)
    return f"a service of {own.account}: {written}" if written else ""


def _notifier(config: Config) -> str:
    """Which outlets the table names, where this version has one."""
    table: dict[str, Any] = msgspec.to_builtins(config).get("notifier", {})
    named = [key for key, value in table.items() if isinstance(value, str | dict | list) and value and value != "off"]
    return f"[notifier] {', '.join(named)}" if named else ""
