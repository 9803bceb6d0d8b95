"""The storage edge: watches the room that the journal has, stops entries before it runs out, and has backups taken.

A backup is made by a process of its own, so that neither its work nor its end is felt here.
"""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from evenkeel.adapters.backup import found, taken_utc_ms
from evenkeel.adapters.lmdb_files import Reading
from evenkeel.config.schema import JournalConfig
from evenkeel.messages.operator import HoldEnded, HoldPlaced, TradingRearmed
from evenkeel.messages.storage import BackupTaken, StorageEased, StorageReason, StorageStrained
from evenkeel.messages.system import Message
from evenkeel.rules.storage import Room, strains, told
from evenkeel.runtime.edge import At
from evenkeel.runtime.journal import JournalError

NAME: Final = "storage"
ACCOUNT: Final = "account"
LOOK_EVERY_S: Final = 10.0
READER_HELD_MS: Final = 60_000
"""A reading that takes so long is not one of ours: they copy and let go."""
FIRST_BACKUP_AFTER_MS: Final = 60_000
"""A process that has just started has other things to do."""
BACKUP_TAKES_MS_MAX: Final = 1_800_000
_MB: Final = 1 << 20
_NS_PER_MS: Final = 1_000_000


class Watched(Protocol):
    """What is asked of the journal."""

    @property
    def map_used_ratio(self) -> float: ...

    @property
    def failure(self) -> str | None: ...

    def readings(self) -> list[Reading]:
        """Raises JournalError."""
        ...


class StorageState(msgspec.Struct):
    """`strained` is what was last said of each reason; `holds` whether entries are held for it."""

    strained: dict[str, StorageStrained] = {}
    holds: bool = False


class _Backup(msgspec.Struct):
    process: "subprocess.Popen[str]"
    began_ns: int


Heard = TradingRearmed
Said = StorageStrained | StorageEased | BackupTaken | HoldPlaced | HoldEnded


class Storage:
    """`folder` is the journal's. `backup_command` makes one in `backups` and prints what `evenkeel backup --json` does.

    `utc_ms` is real time, whatever the run's clock: backups are of this world.
    """

    poll_s: float | None = LOOK_EVERY_S

    def __init__(
        self,
        config: JournalConfig,
        account: str,
        journal: Watched,
        folder: Path,
        *,
        backups: Path,
        backup_command: Sequence[str],
        utc_ms: Callable[[], int],
        monotonic_ns: Callable[[], int],
    ) -> None:
        self.state = StorageState()
        self.newest_backup_utc_ms: int | None = None
        """As last seen in the folder; None: none was seen. For other threads to look at."""
        self._config = config
        self._account = account
        self._journal = journal
        self._folder = folder
        self._backups = backups
        self._command = backup_command
        self._utc_ms = utc_ms
        self._monotonic_ns = monotonic_ns
        self._started_ns = monotonic_ns()
        self._readings_since_ns: dict[tuple[int, int], int] = {}
        self._backup: _Backup | None = None
        self._tried_utc_ms = 0

    def remember(self, message: Said | Heard, /) -> None:
        match message:
            case StorageStrained():
                self.state.strained[message.reason.value] = message
            case StorageEased():
                self.state.strained.pop(message.reason.value, None)
            case HoldPlaced():
                self.state.holds = True
            case HoldEnded() | TradingRearmed():
                self.state.holds = False
            case BackupTaken():
                pass  # the backups themselves are what counts

    def act(self, message: Heard, at: At, /) -> Sequence[Message]:
        """A person has ended every hold; one that is still due is placed again."""
        return self._held()

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        return self._look()

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        return self._look()

    def close(self) -> None:
        if self._backup is not None:
            self._end_backup(self._backup)
            self._backup = None

    def _look(self) -> list[Message]:
        if self._journal.failure is not None:
            return []  # nothing that could be said here matters any more, and nobody would keep it
        now = {strain.reason.value: strain for strain in [*strains(self._room(), self._config), *self._held_readings()]}
        said: list[Message] = []
        for reason in (StorageReason.MAP, StorageReason.DISK, StorageReason.READER):
            was, strain = self.state.strained.get(reason.value), now.get(reason.value)
            if strain is None and was is not None:
                said.append(StorageEased(reason))
            elif strain is not None and (was is None or was.stops_entries != strain.stops_entries):
                said.append(strain)
        return [*said, *self._held(list(now.values())), *self._backed_up(is_ample=not now)]

    def _room(self) -> Room:
        try:
            free_mb: int | None = shutil.disk_usage(self._folder).free // _MB
        except OSError:
            free_mb = None
        return Room(self._journal.map_used_ratio, free_mb)

    def _held_readings(self) -> list[StorageStrained]:
        """The longest of the readings that were open at the same old commit at every look since long ago."""
        try:
            readings = self._journal.readings()
        except JournalError:
            return []
        now_ns = self._monotonic_ns()
        before, self._readings_since_ns = self._readings_since_ns, {}
        behind = [reading for reading in readings if reading.commits_behind]
        self._readings_since_ns = {(one.pid, one.commit): before.get((one.pid, one.commit), now_ns) for one in behind}
        held = [((now_ns - since_ns) // _NS_PER_MS, pid) for (pid, _), since_ns in self._readings_since_ns.items()]
        held_ms, pid = max(held, default=(0, 0))
        if held_ms < READER_HELD_MS:
            return []
        return [
            StorageStrained(StorageReason.READER, held_ms, READER_HELD_MS, "ms", stops_entries=False, detail=f"process {pid}")
        ]

    def _held(self, now: Sequence[StorageStrained] | None = None) -> list[Message]:
        """The hold that what is strained demands, where it is not there yet, and its end."""
        worst = next((one for one in (self.state.strained.values() if now is None else now) if one.stops_entries), None)
        if worst is not None and not self.state.holds:
            return [HoldPlaced(NAME, ACCOUNT, told(worst), 0)]
        if worst is None and self.state.holds:
            return [HoldEnded(NAME, ACCOUNT)]
        return []

    def _backed_up(self, *, is_ample: bool) -> list[Message]:
        """Begin a backup that is due, and tell of one that has ended. None is begun where room is short."""
        running = self._backup
        if running is None:
            if is_ample and self._is_due():
                self._tried_utc_ms = self._utc_ms()
                return self._begun()
            return []
        if running.process.poll() is not None:
            self._backup = None
            return self._ended(running.process)
        if (self._monotonic_ns() - running.began_ns) // _NS_PER_MS > BACKUP_TAKES_MS_MAX:
            self._backup = None
            self._end_backup(running)
            return [self._no_backup(f"it was not done after {BACKUP_TAKES_MS_MAX // 60_000} minutes")]
        return []

    def _is_due(self) -> bool:
        every_h = self._config.backup_every_h
        if every_h == "off" or (self._monotonic_ns() - self._started_ns) // _NS_PER_MS < FIRST_BACKUP_AFTER_MS:
            return False
        self.newest_backup_utc_ms = max(map(taken_utc_ms, found(self._backups, self._account)[-1:]), default=None)
        last_utc_ms = max(self._tried_utc_ms, self.newest_backup_utc_ms or 0)
        return self._utc_ms() - last_utc_ms >= every_h * 3_600_000

    def _begun(self) -> list[Message]:
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        try:
            process = subprocess.Popen(self._command, stdin=nothing, stdout=pipe, stderr=pipe, text=True)
        except OSError as error:
            return [self._no_backup(str(error))]
        self._backup = _Backup(process, self._monotonic_ns())
        return []

    def _ended(self, process: "subprocess.Popen[str]") -> list[Message]:
        out, err = process.communicate()
        if process.returncode:
            return [self._no_backup(err.strip()[-300:] or f"exit status {process.returncode}")]
        told_of = msgspec.json.decode(out, type=_Printed)
        taken = BackupTaken(Path(told_of.folder).name, told_of.backup.last_seq, told_of.backup.bytes, told_of.took_ms)
        eased = [StorageEased(StorageReason.BACKUP)] if StorageReason.BACKUP.value in self.state.strained else []
        return [*eased, taken]

    def _no_backup(self, why: str) -> StorageStrained:
        return StorageStrained(StorageReason.BACKUP, 0, 0, "", stops_entries=False, detail=why)

    @staticmethod
    def _end_backup(running: _Backup) -> None:
        """What it has written so far is removed by the next one."""
        running.process.kill()
        running.process.communicate()


class _Facts(msgspec.Struct):
    last_seq: int
    bytes: int


class _Printed(msgspec.Struct):
    backup: _Facts
    folder: str
    took_ms: int
