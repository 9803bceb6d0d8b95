"""What differs by operating system: folders, durable writes, locks, processes and what they hold. Sockets are in
adapters/local_sockets.py.

StateError
├── HomeUnknown        nobody says where the state of this user lies
├── FolderUnusable     it is not there and cannot be made, or is no folder
├── FolderNotPrivate   others may enter or change a folder that must be the user's alone
├── FileNotPrivate     others may read or change a file that must be the user's alone
├── FolderNotLocal     it lies on another machine
└── AlreadyRunning     another process holds the account's lock
"""

import contextlib
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from evenkeel.runtime.clock import monotonic_s

HANGUP: Final[int | None] = getattr(signal, "SIGHUP", None)
"""The signal by which a person asks a service to read its configuration again; Windows has none."""
_POLL_S: Final = 0.005
_IMPORTED_S: Final = monotonic_s()
_BYTES_PER_MB: Final = 1024 * 1024
_NETWORK_KINDS: Final = frozenset(
    "nfs nfs4 cifs smb3 smbfs afs ceph fuse.ceph glusterfs fuse.glusterfs lustre gpfs ncpfs fuse.sshfs".split()
)


class StateError(Exception):
    """Base of everything that is wrong with the state on disk."""


class HomeUnknown(StateError):
    """No HOME, and the system does not know the user; the user sets EVENKEEL_STATE."""


class FolderUnusable(StateError):
    """A new process would fail in the same way; the user sets EVENKEEL_STATE or mends the place."""


class FolderNotPrivate(StateError):
    """Whoever may enter the folder could read tokens or replace files; the user mends owner or mode."""


class FileNotPrivate(StateError):
    """Whoever may read the file knows what is in it; the user mends its mode, and what it holds is known already."""


class FolderNotLocal(StateError):
    """Locks and memory maps are not to be trusted over a network; the user sets EVENKEEL_STATE to a disk of this machine."""


class AlreadyRunning(StateError):
    """`pid` is the owner's, 0 where it could not be read."""

    def __init__(self, path: Path, pid: int) -> None:
        super().__init__(f"another process owns this account: pid {pid or 'unknown'} holds {path}")
        self.pid = pid


def state_root() -> Path:
    """Where the state of all accounts lies: EVENKEEL_STATE, else the system's place. Creates nothing; raises HomeUnknown."""
    try:
        return _state_root()
    except RuntimeError as error:
        raise HomeUnknown("there is no home folder for the state: set EVENKEEL_STATE to a folder of yours") from error


def _state_root() -> Path:
    if override := os.environ.get("EVENKEEL_STATE"):
        return Path(override).expanduser().absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "evenkeel"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "evenkeel"
    state_home = os.environ.get("XDG_STATE_HOME", "")  # the XDG specification has relative ones ignored
    return (Path(state_home) if os.path.isabs(state_home) else Path.home() / ".local" / "state") / "evenkeel"


def private_folder(path: Path) -> Path:
    """Create `path` for this user alone, or make sure that it is; raises FolderNotPrivate, FolderUnusable or OSError.

    On Windows the rights are those that the user's own profile hands down; nothing is checked.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise FolderUnusable(f"{path} cannot be made: {error.strerror}; EVENKEEL_STATE names a folder of yours") from error
    if sys.platform != "win32":
        found = path.stat()
        if found.st_uid != os.geteuid():
            raise FolderNotPrivate(f"{path} belongs to user {found.st_uid}, not to user {os.geteuid()} who runs this")
        if found.st_mode & 0o077:
            raise FolderNotPrivate(f"{path} is open to others (mode {found.st_mode & 0o777:o}); run: chmod 700 {path}")
    return path


def private_file(path: Path, bytes_max: int, *, may_be_shared: bool = False) -> bytes:
    """At most `bytes_max` bytes of a file that only this user may read; raises FileNotPrivate or OSError.

    On Windows the rights are those that the folder hands down; nothing is checked.
    """
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise FileNotPrivate(f"{path} is not a file")
    with open(path, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if sys.platform != "win32" and mode & 0o077 and not may_be_shared:
            raise FileNotPrivate(f"{path} is open to others (mode {mode & 0o777:o}); run: chmod 600 {path}")
        return file.read(bytes_max)


def require_local(path: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> None:
    """Raises FolderNotLocal where `path` lies on a file system of another machine. On macOS nobody looks.

    `mounts` is Linux's list (proc(5)); a file system that is not in it counts as local.
    """
    kind = _network_kind(path, mounts)
    if kind is not None:
        raise FolderNotLocal(f"{path} lies on {kind}, not on a disk of this machine: set EVENKEEL_STATE to one that does")


def write_durably(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, mode 0600. After it returns the content survives a power cut; raises OSError.

    A reader sees the old content or the new, also when this process dies on the way.
    """
    temporary = path.with_name(f"{_unfinished(path)}{os.getpid()}-{threading.get_ident()}")
    try:
        with open(temporary, "wb", opener=_for_user_only) as file:
            file.write(data)
            file.flush()
            _sync(file)
        _replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def forget_unfinished_writes(path: Path) -> None:
    """Remove what processes that were killed in `write_durably` of `path` left behind. Only where nobody writes it now."""
    for leftover in path.parent.glob(f"{_unfinished(path)}*"):
        leftover.unlink()


def _unfinished(path: Path) -> str:
    return f".{path.name}."


def sync_file(path: Path) -> None:
    """The content of a file that somebody else has written, and its name, survive a power cut; raises OSError."""
    with open(path, "r+b") as file:
        _sync(file)
    _sync_folder(path.parent)


def linked_or_copied(path: Path, to: Path) -> None:
    """A second name for a file that nobody changes any more, or a durable copy where the disk has none; raises OSError."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copy(path, to)
        sync_file(to)


class AccountLock:
    """Held from `with` to the end of the block, or of the process however it dies; raises AlreadyRunning.

    The file stays behind: a lock file that is deleted can be held twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        file = _open_lock(self._path)
        if not _try_lock(file):
            with file:
                raise AlreadyRunning(self._path, _number_in(file))
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        self._file = file
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._file is not None
        self._file.close()


def lock_holder(path: Path) -> int | None:
    """The process that holds the lock file, 0 where its number cannot be read; None: nobody does."""
    if not path.exists():
        return None
    with _open_lock(path) as file:
        return None if _try_lock(file) else _number_in(file)


@contextlib.contextmanager
def locked_within(path: Path, patience_s: float) -> Iterator[bool]:
    """Hold the lock file `path` for the block; False when another process still held it after `patience_s`.

    For work that must be done even next to a stopped process that holds the lock.
    """
    with _open_lock(path) as file:
        held = _try_lock(file)
        for _ in range(int(patience_s / _POLL_S)):
            if held:
                break
            time.sleep(_POLL_S)
            held = _try_lock(file)
        yield held


def age_s() -> float:
    """Seconds since the process started; elsewhere than on Linux, since this module was imported."""
    if sys.platform != "linux":
        return monotonic_s() - _IMPORTED_S
    started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")


def memory_peak_mb() -> float:
    """The largest resident set of the process, in units of 1,048,576 bytes."""
    return _memory_peak_bytes() / _BYTES_PER_MB


if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    _LOCKED_BYTE: Final = 1 << 30  # far behind the pid, which stays readable: a locked byte is not
    _SYNCHRONIZE: Final = 0x0010_0000
    _ERROR_ACCESS_DENIED: Final = 5
    _WAIT_TIMEOUT: Final = 258
    _DRIVE_REMOTE: Final = 4
    _REPLACE_TRIES: Final = 100

    def process_lives(pid: int) -> bool:
        """A hint only: another process may have the number of a dead one."""
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = ctypes.c_void_p(kernel.OpenProcess(_SYNCHRONIZE, False, pid))
        if not handle:
            return ctypes.get_last_error() == _ERROR_ACCESS_DENIED
        lives = kernel.WaitForSingleObject(handle, 0) == _WAIT_TIMEOUT
        kernel.CloseHandle(handle)
        return bool(lives)

    def kill_process(pid: int) -> None:
        """End it at once, without asking it; nothing when it is gone already."""
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)  # Windows terminates by it

    def _network_kind(path: Path, mounts: Path) -> str | None:
        drive = path.absolute().drive
        is_remote = drive.startswith("\\\\") or ctypes.windll.kernel32.GetDriveTypeW(f"{drive}\\") == _DRIVE_REMOTE
        return f"the network drive {drive}" if is_remote else None

    def _try_lock(file: BinaryIO) -> bool:
        try:
            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            file.seek(0)
        return True

    def _replace(temporary: Path, path: Path) -> None:
        for _ in range(_REPLACE_TRIES):  # refused while a reader has `path` open
            with contextlib.suppress(PermissionError):
                temporary.replace(path)
                return
            time.sleep(_POLL_S)
        temporary.replace(path)

    def _sync(file: BinaryIO) -> None:
        os.fsync(file.fileno())

    def _sync_folder(folder: Path) -> None:
        """Windows has no such call; a rename is in the file system's log."""

    class _MemoryCounters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS of psapi.h."""

        _fields_ = (
            ("size", wintypes.DWORD),
            ("page_faults", wintypes.DWORD),
            ("working_set_peak", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 7),
        )

    def _memory_peak_bytes() -> int:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        counters = _MemoryCounters(size=ctypes.sizeof(_MemoryCounters))
        this_process = wintypes.HANDLE(-1)
        if not kernel.K32GetProcessMemoryInfo(this_process, ctypes.byref(counters), counters.size):
            raise ctypes.WinError(ctypes.get_last_error())
        return int(counters.working_set_peak)

else:
    import fcntl
    import resource

    def process_lives(pid: int) -> bool:
        """A hint only: another process may have the number of a dead one."""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def kill_process(pid: int) -> None:
        """End it at once, without asking it; nothing when it is gone already."""
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)

    def _network_kind(path: Path, mounts: Path) -> str | None:
        device = path.stat().st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines() if mounts.exists() else []
        rows = [(line.split(), line.partition(" - ")[2].split()) for line in lines]
        kinds = [kind[0] for mounted, kind in rows if mounted[2] == number and kind]
        return next((kind for kind in kinds if kind in _NETWORK_KINDS), None)

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _replace(temporary: Path, path: Path) -> None:
        temporary.replace(path)

    def _sync(file: BinaryIO) -> None:
        if sys.platform == "darwin":
            fcntl.fcntl(file, fcntl.F_FULLFSYNC)  # fsync leaves the data in the drive's cache there
        else:
            os.fsync(file.fileno())

    def _sync_folder(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _memory_peak_bytes() -> int:
        """On Linux not getrusage: that also counts what the parent held when it started us. macOS counts bytes there."""
        if sys.platform == "darwin":
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        assert found is not None, "every process with memory of its own has one"
        return int(found[1]) * 1024


def _for_user_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _open_lock(path: Path) -> BinaryIO:
    """For reading and writing, created when absent, never emptied: the owner's pid may stand in it."""

    def created(name: str, flags: int) -> int:
        return _for_user_only(name, flags | os.O_CREAT)

    return open(path, "r+b", buffering=0, opener=created)


def _number_in(file: BinaryIO) -> int:
    text = file.read(16)
    return int(text) if text.isdigit() else 0
