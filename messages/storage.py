"""Room for the journal and its copies: what the storage edge sees of it."""

from enum import StrEnum

from evenkeel.messages.system import Observation


class StorageReason(StrEnum):
    MAP = "map"
    """The day's file, of what it may take: `unit` "ppm"."""
    DISK = "disk"
    """What is free on its disk: `unit` "mb"."""
    READER = "reader"
    """A process reads without an end, so that no page can be used again: `unit` "ms", how long it was seen."""
    BACKUP = "backup"
    """No backup could be taken."""


class StorageStrained(Observation, frozen=True):
    """`measured` is beyond `limit`. `stops_entries`: a hold of the account follows. Said when it begins or grows worse."""

    reason: StorageReason
    measured: int
    limit: int
    unit: str
    stops_entries: bool
    detail: str = ""


class StorageEased(Observation, frozen=True):
    """What was said to be strained is so no more."""

    reason: StorageReason


class BackupTaken(Observation, frozen=True):
    """A backup of everything up to `last_seq` was taken and checked. `folder` is its name."""

    folder: str
    last_seq: int
    bytes: int
    took_ms: int
