"""What the watchdog of an account is doing, in a small file, for `evenkeel status` when no supervisor answers."""

from pathlib import Path
from typing import Final, Literal

import msgspec

from evenkeel.adapters.os import process_lives, write_durably

FILE_NAME: Final = "report.json"
State = Literal["watching", "restarting", "holding"]


class WatchdogReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`since_utc_ms` is when this state began, `words` one line for a person."""

    state: State
    pid: int
    since_utc_ms: int
    words: str


def write_report(folder: Path, report: WatchdogReport) -> None:
    """Raises OSError."""
    write_durably(folder / FILE_NAME, msgspec.json.encode(report))


def read_report(folder: Path) -> WatchdogReport | None:
    """None when no watchdog lives that wrote one."""
    try:
        report = msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=WatchdogReport)
    except (OSError, ValueError):
        return None
    return report if process_lives(report.pid) else None


def end_report(folder: Path) -> None:
    (folder / FILE_NAME).unlink(missing_ok=True)
