"""How much room the journal has left, and what that means for new risk. Exits never ask here."""

from typing import Final, NamedTuple

from evenkeel.config.schema import JournalConfig
from evenkeel.messages.storage import StorageReason, StorageStrained

PPM_PER_PCT: Final = 10_000


class Room(NamedTuple):
    """`map_used_ratio` of the day's file; `free_mb` on its disk, whole megabytes; None: could not be read."""

    map_used_ratio: float
    free_mb: int | None


def strains(room: Room, config: JournalConfig) -> list[StorageStrained]:
    """What is short, at most one each for map and disk: from the first limit on a warning, from the second on no entries.

    A disk that cannot be read counts as full.
    """
    used_ppm = int(room.map_used_ratio * 1_000_000)
    warn_ppm, stop_ppm = (round(pct * PPM_PER_PCT) for pct in (config.map_warn_pct, config.map_stop_pct))
    free_mb = room.free_mb or 0
    found = []
    if used_ppm >= warn_ppm:
        stops = used_ppm >= stop_ppm
        found.append(StorageStrained(StorageReason.MAP, used_ppm, stop_ppm if stops else warn_ppm, "ppm", stops))
    if config.disk_stop_mb != "off" and free_mb < config.disk_stop_mb:
        found.append(StorageStrained(StorageReason.DISK, free_mb, config.disk_stop_mb, "mb", stops_entries=True))
    elif config.disk_warn_mb != "off" and free_mb < config.disk_warn_mb:
        found.append(StorageStrained(StorageReason.DISK, free_mb, config.disk_warn_mb, "mb", stops_entries=False))
    return found


def told(strain: StorageStrained) -> str:
    """It in words, without what it means for entries."""
    match strain.reason:
        case StorageReason.MAP:
            used_pct, limit_pct = strain.measured / PPM_PER_PCT, strain.limit / PPM_PER_PCT
            return f"the journal's file of the day is {used_pct:.0f} % full, the limit is {limit_pct:g} %"
        case StorageReason.DISK:
            return f"{strain.measured} MB are free on the journal's disk, the limit is {strain.limit} MB"
        case StorageReason.READER:
            return f"{strain.detail} has read the journal for {strain.measured / 1000:.0f} s: its file grows meanwhile"
        case StorageReason.BACKUP:
            return f"no backup: {strain.detail}"
