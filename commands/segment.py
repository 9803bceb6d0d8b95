"""Is this start a continuation? The segment file remembers what ran last, when starts followed a crash, and how far the
journal was: one that is gone, or an older one in its place, is not taken for the account's history."""

from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.os import write_durably
from evenkeel.messages.system import RunStarted
from evenkeel.runtime.journal import JournalCorrupt

CRASH_WINDOW_MS: Final = 600_000
CRASHES_KEPT: Final = 16


class Segment(msgspec.Struct, forbid_unknown_fields=True):
    build: str
    configuration: str
    account: str
    crash_starts_utc_ms: list[int] = []
    journal_seq: int = 0


def run_started(
    path: Path,
    *,
    build: str,
    configuration: str,
    account: str,
    installation: int,
    crashed: bool,
    now_utc_ms: int,
    journal_seq: int = 0,
    restored: bool = False,
) -> RunStarted:
    """What this start is, and the file brought up to date durably. A damaged file counts as a change: entries stay closed.

    `journal_seq` is where the journal ends. Raises JournalCorrupt when it ended later before.
    """
    last = _read(path)
    if last is not None and journal_seq < last.journal_seq:
        raise JournalCorrupt(
            f"the journal ends with record {journal_seq}, but held {last.journal_seq} when it was last in use: it was removed, "
            "or an older one was put in its place. Bring it back, or run evenkeel restore. To begin anew without it, remove "
            f"{path}"
        )
    continued = last is not None and (last.build, last.configuration, last.account) == (build, configuration, account)
    starts = [at for at in (last.crash_starts_utc_ms if last else []) if at > now_utc_ms - CRASH_WINDOW_MS]
    if crashed:
        starts.append(now_utc_ms)
    segment = Segment(build, configuration, account, starts[-CRASHES_KEPT:], journal_seq)
    write_durably(path, msgspec.json.encode(segment))
    return RunStarted(build, configuration, account, installation, continued and not restored, crashed, len(starts), restored)


def note_journal(path: Path, journal_seq: int) -> None:
    """Everything up to this record is durable: a later start must find it."""
    last = _read(path)
    if last is not None:
        write_durably(path, msgspec.json.encode(msgspec.structs.replace(last, journal_seq=journal_seq)))


def _read(path: Path) -> Segment | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Segment)
    except (FileNotFoundError, ValueError):
        return None
