"""Where the state of one account lies.

StateError (adapters.os)
├── AccountNameInvalid   not a name that can be a folder
└── StateDamaged         a file is not what we wrote; a person looks, nothing is guessed
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.os import StateError, private_folder, write_durably

ENDPOINT_NAME: Final = "endpoint.json"
INSTALLATION_BITS: Final = 20
_NAME: Final = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,32}")


class AccountNameInvalid(StateError):
    """The name came from the command line or the configuration; the person chooses another one."""


class StateDamaged(StateError):
    """Going on would take our own positions for somebody else's."""


class Restored(msgspec.Struct, frozen=True):
    """`backup` is its name. While it is not done, files of two histories may lie beside each other."""

    backup: str
    taken_utc_ms: int
    records: int
    is_done: bool


def accounts_in(root: Path) -> list[str]:
    """The names of the accounts that have run below `root`, sorted."""
    with contextlib.suppress(OSError):
        return sorted(path.name for path in root.iterdir() if (path / "control").is_dir() and _NAME.fullmatch(path.name))
    return []


class StateFolder:
    """The paths of one account; nothing is created or read before it is asked for. Raises AccountNameInvalid."""

    def __init__(self, root: Path, account: str) -> None:
        if not _NAME.fullmatch(account):
            raise AccountNameInvalid(f"account {account!r}: 1 to 32 of A-Z a-z 0-9 _ . - and no dot in front")
        self.account = account
        self.folder = root / account
        self.journal = self.folder / "journal"
        self.chains = self.folder / "chains"
        self.view = self.folder / "view"
        self.notices = self.folder / "notices"
        self.control = self.folder / "control"
        self.endpoint = self.control / ENDPOINT_NAME
        self.logs = self.folder / "logs"
        self.snapshots = self.folder / "snapshots"
        self.simulated = self.folder / "simulated"
        self.terminal = self.folder / "terminal"
        self.terminal_kill = self.terminal / "kill"
        self.watchdog = self.folder / "watchdog"
        self.signals = self.folder / "signals"
        self.webhooks = self.folder / "webhooks"
        self.lock = self.folder / "lock"
        self.kill_epoch = self.folder / "kill-epoch"
        self.installation = self.folder / "installation"
        self.segment = self.folder / "segment"
        self.backups = self.folder / "backups"
        self.rehearsals = self.folder / "rehearsals"
        self._restored = self.folder / "restored"

    def create(self) -> None:
        """Make the folders, for this user alone; raises FolderNotPrivate or OSError. Done again it changes nothing."""
        folders = (self.folder, self.journal, self.view, self.control, self.logs, self.simulated, self.terminal)
        for folder in (*folders, self.terminal_kill, self.watchdog):
            private_folder(folder)

    def installation_id(self) -> int:
        """A random number of 1 to 2**20 - 1, the same for ever; drawn at the first call, under the account's lock.

        It is part of every magic, so it is never drawn again over a damaged file: that raises StateDamaged.
        """
        try:
            text = self.installation.read_bytes()
        except FileNotFoundError:
            return self._draw_installation_id()
        number = int(text) if text.isdigit() else 0
        if not 0 < number < 1 << INSTALLATION_BITS:
            raise StateDamaged(f"{self.installation} holds {text[:32]!r}, not a number of 1 to {(1 << INSTALLATION_BITS) - 1}")
        return number

    def restored(self) -> Restored | None:
        """That the journal was put there from a backup and no run has said so yet. Raises StateDamaged for half a restore."""
        try:
            restored = msgspec.json.decode(self._restored.read_bytes(), type=Restored)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise StateDamaged(f"{self._restored} cannot be read: {error}") from error
        if not restored.is_done:
            raise StateDamaged(f"restoring {restored.backup} was not finished: run evenkeel restore again")
        return restored

    def write_restored(self, restored: Restored) -> None:
        write_durably(self._restored, msgspec.json.encode(restored))

    def forget_restored(self) -> None:
        """After the journal itself says it."""
        self._restored.unlink(missing_ok=True)

    def _draw_installation_id(self) -> int:
        number = 1 + int.from_bytes(os.urandom(8), "big") % ((1 << INSTALLATION_BITS) - 1)
        write_durably(self.installation, str(number).encode())
        return number
