"""Is this start a continuation? The segment file remembers what ran last, when starts followed a crash, and how far the
journal was: one that is gone, or an older one in its place, is not taken for the account's history."""

from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.os import write_durably
from evenkeel.config.load import ConfigInvalid, identity, recorded
from evenkeel.config.schema import Config
from evenkeel.messages.system import RunStarted
from evenkeel.rules.reload import Kind, changes, lowered, lowering
from evenkeel.runtime.journal import JournalCorrupt

CRASH_WINDOW_MS: Final = 600_000
CRASHES_KEPT: Final = 16


class Segment(msgspec.Struct, forbid_unknown_fields=True):
    """`configuration` is the identity of `settings`, what the segment opened with; `lowering` is in force beside it."""

    build: str
    configuration: str
    account: str
    crash_starts_utc_ms: list[int] = []
    journal_seq: int = 0
    settings: str = ""
    lowering: str = ""


class Opening(NamedTuple):
    """What the actors of a start are made of, and what is lowered since (LimitsLowered). `is_same`: the segment may go on."""

    config: Config
    lowering: str = ""
    is_same: bool = False


def opening_of(path: Path, wanted: Config, build: str) -> Opening:
    """The segment that was left goes on where nothing but lowered limits lies between what was in force in it and `wanted`; its
    actors are then made of what it opened with, so that they fold what they decided. Else a segment opens with `wanted`."""
    last = _read(path)
    if last is None or (last.build, last.account) != (build, wanted.account.name):
        return Opening(wanted)
    try:
        opened = recorded(last.settings)
    except (ConfigInvalid, msgspec.DecodeError):
        return Opening(wanted)
    found = changes(lowered(opened, last.lowering), wanted)
    if identity(opened) != last.configuration or any(change.kind is not Kind.FREE for change in found):
        return Opening(wanted)
    return Opening(opened, lowering(opened, wanted), is_same=True)


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
    settings: str = "",
    lowering: str = "",
    is_same: bool = True,
    reloaded: bool = False,
    raised: str = "",
) -> RunStarted:
    """What this start is, and the file brought up to date durably. A damaged file counts as a change: entries stay closed.

    `journal_seq` is where the journal ends. Without `is_same` nothing goes on: more may be risked than was in force.
    Raises JournalCorrupt when the journal ended later before.
    """
    last = _read(path)
    if last is not None and journal_seq < last.journal_seq:
        raise JournalCorrupt(
            f"the journal ends with record {journal_seq}, but held {last.journal_seq} when it was last in use: it was removed, "
            "or an older one was put in its place. Bring it back, or run evenkeel restore. To begin anew without it, remove "
            f"{path}"
        )
    now = build, configuration, account
    continued = is_same and last is not None and (last.build, last.configuration, last.account) == now
    starts = [at for at in (last.crash_starts_utc_ms if last else []) if at > now_utc_ms - CRASH_WINDOW_MS]
    if crashed:
        starts.append(now_utc_ms)
    segment = Segment(build, configuration, account, starts[-CRASHES_KEPT:], journal_seq, settings, lowering)
    write_durably(path, msgspec.json.encode(segment))
    goes_on = continued and not restored
    return RunStarted(
        build, configuration, account, installation, goes_on, crashed, len(starts), restored, reloaded and not goes_on, raised
    )


def note_journal(path: Path, journal_seq: int) -> None:
    """Everything up to this record is durable: a later start must find it."""
    _note(path, journal_seq=journal_seq)


def note_lowering(path: Path, lowering: str) -> None:
    """Before it is said: a later start with more than this is no continuation."""
    _note(path, lowering=lowering)


def _note(path: Path, **what: object) -> None:
    last = _read(path)
    if last is not None:
        write_durably(path, msgspec.json.encode(msgspec.structs.replace(last, **what)))


def _read(path: Path) -> Segment | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Segment)
    except (FileNotFoundError, ValueError):
        return None
