"""Copies of an account's journal, taken while it runs, and putting one back.

    <folder>/<account>-20261121T101500Z/    journal/    one compact file a day, and the head
                                            installation, kill-epoch
                                            backup.json    Backup

A backup gets its name when every record in it was checked. Days that are over are shared with the backup before, as hard links
where the disk has them. No secret is in it: keys, certificates and control tokens stay where they are.

BackupError
├── BackupRefused      not now, or not this one: another backup is being taken, or what was named is no backup
└── BackupDamaged      what is in it is not what was written
"""

import contextlib
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.kill_epoch import KillEpoch
from evenkeel.adapters.lmdb_files import DayFiles, Head, write_anchor
from evenkeel.adapters.lmdb_journal import checked_from, verify
from evenkeel.adapters.os import linked_or_copied, locked_within, private_folder, sync_file, write_durably
from evenkeel.adapters.state_folder import Restored, StateFolder
from evenkeel.runtime.journal import JournalCorrupt

HOURLY_KEPT: Final = 24
DAILY_KEPT: Final = 30
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_PARTIAL: Final = ".partial"
_FACTS: Final = "backup.json"


class BackupError(Exception):
    """Base of everything that a backup raises beside OSError and JournalError."""


class BackupRefused(BackupError):
    """Nothing was changed."""


class BackupDamaged(BackupError):
    """Take an older one."""


class Backup(msgspec.Struct, frozen=True):
    """`records` from `first_seq` to `last_seq`, the digest of the last in hex; `bytes` as they lie on the disk."""

    account: str
    build: str
    taken_utc_ms: int
    first_seq: int
    last_seq: int
    digest: str
    days: int
    bytes: int
    v: int = 1


def take(folder: StateFolder, to: Path, *, build: str, now_utc_ms: int) -> tuple[Path, Backup]:
    """Copy what is durable now, check it, and return where it lies. Raises BackupRefused, JournalError or OSError."""
    if to.exists() and not to.is_dir():
        raise BackupRefused(f"{to} is no folder")
    with DayFiles(folder.journal) as files:
        if not files.days():
            raise BackupRefused(f"{folder.journal} is empty: there is nothing to copy")
    to.mkdir(parents=True, exist_ok=True)
    with locked_within(to / f".{folder.account}.lock", 0.0) as held:
        if not held:
            raise BackupRefused(f"another backup is being taken into {to}")
        before = found(to, folder.account)
        for leftover in to.glob(f"{folder.account}-*{_PARTIAL}"):
            shutil.rmtree(leftover)
        place = to / f"{folder.account}-{datetime.fromtimestamp(now_utc_ms / 1000, UTC):{_STAMP}}"
        if place.exists():
            raise BackupRefused(f"{place} is there already")
        partial = private_folder(place.with_name(place.name + _PARTIAL))
        try:
            backup = _filled(partial, folder, before[-1] if before else None, build=build, now_utc_ms=now_utc_ms)
            partial.rename(place)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return place, backup


def found(folder: Path, account: str) -> list[Path]:
    """The finished backups of `account`, oldest first."""
    name = re.compile(rf"{re.escape(account)}-\d{{8}}T\d{{6}}Z")
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if name.fullmatch(path.name))


def taken_utc_ms(backup: Path) -> int:
    """When it was taken, by its name."""
    stamp = backup.name.rpartition("-")[2]
    return round(datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC).timestamp() * 1000)


def superfluous(backups: Sequence[Path], *, hourly: int, daily: int) -> list[Path]:
    """Those that need not be kept: beside the newest `hourly` ones, the last of each of the newest `daily` days (UTC) stays."""
    last_of_day = {backup.name.rpartition("-")[2][:8]: backup for backup in backups}
    kept = {*backups[-hourly:], *list(last_of_day.values())[-daily:]}
    return [backup for backup in backups if backup not in kept]


def facts(backup: Path) -> Backup:
    """What was written about it; raises BackupRefused when it is none."""
    try:
        return msgspec.json.decode((backup / _FACTS).read_bytes(), type=Backup)
    except (FileNotFoundError, NotADirectoryError):
        raise BackupRefused(f"{backup} is no backup: it holds no {_FACTS}") from None
    except (OSError, ValueError) as error:
        raise BackupRefused(f"{backup} is no backup: {error}") from error


def unpacked(backup: Path, to: Path) -> int:
    """Copy a backup's journal into the new folder `to`, check every record there, and return how many there are.

    Raises BackupRefused, BackupDamaged or OSError.
    """
    told = facts(backup)
    shutil.copytree(backup / "journal", private_folder(to) / "journal")
    journal = private_folder(to / "journal")
    try:
        records = verify(journal, is_copy=True)
    except JournalCorrupt as error:
        raise BackupDamaged(f"{backup.name}: {error}") from error
    if records != told.last_seq + 1 - told.first_seq:
        raise BackupDamaged(f"{backup.name}: {records} records, but {told.first_seq} to {told.last_seq} were written")
    for path in journal.iterdir():
        sync_file(path)
    return records


def restore(backup: Path, folder: StateFolder, *, now_utc_ms: int) -> tuple[Path, Restored]:
    """Put a backup in the place of the journal; what was there is moved aside, to the folder that is returned.

    The caller holds the account's lock. Killed on the way, it leaves a mark that lets no run start until it is done again.
    The higher kill epoch stays. The simulated broker's book is the broker and is not touched. Raises as `unpacked`.
    """
    told = facts(backup)
    if told.account != folder.account:
        raise BackupRefused(f"{backup.name} is of account {told.account}, not of {folder.account}")
    unpacking = folder.folder / "restoring"
    shutil.rmtree(unpacking, ignore_errors=True)
    records = unpacked(backup, unpacking)
    mark = Restored(backup.name, told.taken_utc_ms, records, is_done=False)
    folder.write_restored(mark)
    aside = private_folder(folder.folder / f"before-restore-{datetime.fromtimestamp(now_utc_ms / 1000, UTC):{_STAMP}}")
    for old in (folder.journal, folder.segment, folder.view):
        if old.exists():
            old.rename(aside / old.name)
    (unpacking / "journal").rename(folder.journal)
    _restore_installation(backup / folder.installation.name, folder.installation, aside)
    _restore_epoch(backup / folder.kill_epoch.name, folder.kill_epoch)
    shutil.rmtree(unpacking)
    mark = msgspec.structs.replace(mark, is_done=True)
    folder.write_restored(mark)
    return aside, mark


def _filled(partial: Path, folder: StateFolder, before: Path | None, *, build: str, now_utc_ms: int) -> Backup:
    journal = private_folder(partial / "journal")
    with DayFiles(folder.journal) as files:
        days = files.days()
        shared = [day for day in days[:-1] if before and _is_same(files, day, before / "journal")]
        for day in days:
            copy = journal / f"{day}.journal"
            if before and day in shared:
                linked_or_copied(before / "journal" / copy.name, copy)
            else:
                files.file(day).copy(copy)
    with DayFiles(journal, are_copies=True) as copies:
        first, head = checked_from(copies, trusted=shared)
    write_anchor(journal, head)
    for path in (folder.installation, folder.kill_epoch):
        with contextlib.suppress(FileNotFoundError):
            write_durably(partial / path.name, path.read_bytes())
    size = sum(path.stat().st_size for path in journal.iterdir())
    told = Backup(
        account=folder.account,
        build=build,
        taken_utc_ms=now_utc_ms,
        first_seq=first.seq + 1,
        last_seq=head.seq,
        digest=head.digest.hex(),
        days=len(days),
        bytes=size,
    )
    write_durably(partial / _FACTS, msgspec.json.encode(told))
    return told


def _is_same(files: DayFiles, day: str, journal: Path) -> bool:
    """Whether the backup before has this day to its end. The day that was its newest may have gone on."""
    if not (journal / f"{day}.journal").exists():
        return False
    with DayFiles(journal, are_copies=True) as copies:
        return _ends(copies, day) == _ends(files, day)


def _ends(files: DayFiles, day: str) -> tuple[Head, Head]:
    file = files.file(day)
    return file.previous, file.head()


def _restore_installation(saved: Path, present: Path, aside: Path) -> None:
    """The magics in the journal carry its installation; another one that was drawn since would make them foreign."""
    if saved.exists() and (not present.exists() or present.read_bytes() != saved.read_bytes()):
        if present.exists():
            present.rename(aside / present.name)
        write_durably(present, saved.read_bytes())


def _restore_epoch(saved: Path, present: Path) -> None:
    """A kill that came after the backup still counts, and a file that cannot be read counts as the highest."""
    if saved.exists() and KillEpoch(saved).read().epoch > KillEpoch(present).read().epoch:
        write_durably(present, saved.read_bytes())
