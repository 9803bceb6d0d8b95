import pytest

from evenkeel.config.schema import JournalConfig
from evenkeel.messages.storage import StorageReason, StorageStrained
from evenkeel.rules.storage import Room, strains, told

CONFIG = JournalConfig(map_warn_pct=60, map_stop_pct=80, disk_warn_mb=1000, disk_stop_mb=200)


@pytest.mark.parametrize(
    "room, found",
    [
        (Room(0.599, 1000), []),
        (Room(0.6, 1000), [("map", 600_000, 600_000, False)]),
        (Room(0.799, 1000), [("map", 799_000, 600_000, False)]),
        (Room(0.8, 1000), [("map", 800_000, 800_000, True)]),
        (Room(0.0, 999), [("disk", 999, 1000, False)]),
        (Room(0.0, 200), [("disk", 200, 1000, False)]),
        (Room(0.0, 199), [("disk", 199, 200, True)]),
        (Room(0.0, None), [("disk", 0, 200, True)]),
        (Room(0.9, 0), [("map", 900_000, 800_000, True), ("disk", 0, 200, True)]),
    ],
)
def test_the_first_limit_warns_and_the_second_stops_entries(room: Room, found: list[tuple[str, int, int, bool]]) -> None:
    strained = strains(room, CONFIG)
    assert [(one.reason.value, one.measured, one.limit, one.stops_entries) for one in strained] == found


def test_a_disk_limit_can_be_switched_off_by_name() -> None:
    config = JournalConfig(disk_warn_mb="off", disk_stop_mb="off")
    assert strains(Room(0.0, None), config) == []


@pytest.mark.parametrize(
    "strain, text",
    [
        (StorageStrained(StorageReason.MAP, 812_000, 800_000, "ppm", True), "is 81 % full, the limit is 80 %"),
        (StorageStrained(StorageReason.DISK, 12, 256, "mb", True), "12 MB are free on the journal's disk, the limit is 256 MB"),
        (
            StorageStrained(StorageReason.READER, 61_000, 60_000, "ms", False, "process 7"),
            "process 7 has read the journal for 61 s",
        ),
        (StorageStrained(StorageReason.BACKUP, 0, 0, "", False, "disk full"), "no backup: disk full"),
    ],
)
def test_what_is_short_is_told_with_its_numbers(strain: StorageStrained, text: str) -> None:
    assert text in told(strain)
