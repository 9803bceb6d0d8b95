"""What a person tried beside a run and what came of it (a drill, a measured broker), in a small file each.

rehearsals/NAME.json        Rehearsed, the newest
"""

from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.os import private_folder, write_durably
from evenkeel.rules.promotion import Rehearsed

DRILL: Final = "drill"
MEASURED: Final = "measured"
PROMOTED: Final = "promoted"


def note(folder: Path, name: str, rehearsed: Rehearsed) -> None:
    """Raises StateError or OSError. The account's folder is made where it is not there yet."""
    private_folder(folder.parent)
    write_durably(_file(private_folder(folder), name), msgspec.json.encode(rehearsed))


def noted(folder: Path, name: str) -> Rehearsed | None:
    """None where it never was, or where what is there is not ours."""
    try:
        return msgspec.json.decode(_file(folder, name).read_bytes(), type=Rehearsed)
    except (OSError, ValueError):
        return None


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"
