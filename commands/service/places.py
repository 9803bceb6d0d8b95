"""Where the files for a service manager go, and whether one that lies there is ours."""

import os
from pathlib import Path
from typing import Final

from evenkeel.adapters.state_folder import StateFolder

MARK: Final = "Written by `evenkeel service install`"
"""Stands in the first lines of each file: what has it may be replaced and removed."""
FIRST_BYTES: Final = 1024


def unit_path(account: str) -> Path:
    """Of systemd's user manager (systemd.unit(5))."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    config = Path(home) if os.path.isabs(home) else Path.home() / ".config"
    return config / "systemd" / "user" / f"evenkeel-{account}.service"


def task_path(folder: StateFolder) -> Path:
    """The task's definition; Windows copies it when the task is made."""
    return folder.folder / "service" / f"evenkeel-{folder.account}.xml"


def installed_for(folder: StateFolder) -> Path | None:
    """The file that was written for an account, if one was."""
    return next((path for path in (unit_path(folder.account), task_path(folder)) if is_ours(path)), None)


def is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first = file.read(FIRST_BYTES)
    except OSError:
        return False
    return MARK.encode() in first or MARK.encode("utf-16-le") in first
