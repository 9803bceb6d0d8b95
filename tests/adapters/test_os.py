import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evenkeel.adapters.os import (
    AccountLock,
    AlreadyRunning,
    FolderNotLocal,
    FolderNotPrivate,
    forget_unfinished_writes,
    linked_or_copied,
    locked_within,
    private_folder,
    process_lives,
    require_local,
    state_root,
    write_durably,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits, owners or unix sockets")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the XDG folders are Linux's")

HOLD_LOCK = """
import sys
from pathlib import Path
from evenkeel.adapters.os import AccountLock
with AccountLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split() == [b"held"]
        yield process
        process.kill()


def test_the_environment_moves_the_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    assert state_root() == tmp_path


@linux
def test_the_state_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EVENKEEL_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_root() == tmp_path / "evenkeel"


@linux
@pytest.mark.parametrize("state_home", ["", "relative/state"])
def test_without_a_usable_xdg_folder_the_state_is_under_home(monkeypatch: pytest.MonkeyPatch, state_home: str) -> None:
    monkeypatch.delenv("EVENKEEL_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", state_home)
    assert state_root() == Path.home() / ".local" / "state" / "evenkeel"


@posix
def test_a_private_folder_is_for_its_user_alone(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "deep" / "folder")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@posix
@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o722])
def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(FolderNotPrivate, match="chmod 700"):
        private_folder(tmp_path)


@posix
@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    shutil.chown(tmp_path / "theirs", 12345)
    with pytest.raises(FolderNotPrivate, match="user 12345"):
        private_folder(tmp_path / "theirs")


def test_a_durable_write_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"old and longer")
    write_durably(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@posix
def test_a_durable_write_is_for_its_user_alone(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"secret")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_old_state(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError):
        write_durably(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_second_process_does_not_get_the_account(tmp_path: Path, owner: subprocess.Popen[bytes]) -> None:
    with pytest.raises(AlreadyRunning, match=str(owner.pid)) as refusal, AccountLock(tmp_path / "lock"):
        pass
    assert refusal.value.pid == owner.pid


def test_a_second_lock_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with AccountLock(tmp_path / "lock"), pytest.raises(AlreadyRunning, match=str(os.getpid())), AccountLock(tmp_path / "lock"):
        pass


def test_the_account_is_free_after_its_owner_was_killed(tmp_path: Path, owner: subprocess.Popen[bytes]) -> None:
    owner.kill()
    owner.wait()
    with AccountLock(tmp_path / "lock"):
        assert (tmp_path / "lock").read_bytes() == str(os.getpid()).encode()


def test_the_account_is_free_after_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with AccountLock(tmp_path / "lock"):
            assert (tmp_path / "lock").read_bytes() == str(os.getpid()).encode()


def test_patience_with_a_held_lock_ends(tmp_path: Path, owner: subprocess.Popen[bytes]) -> None:
    with locked_within(tmp_path / "lock", 0.02) as held:
        assert not held


def test_a_free_lock_needs_no_patience(tmp_path: Path) -> None:
    with locked_within(tmp_path / "lock", 0) as held:
        assert held


def test_a_process_lives_until_it_is_reaped(owner: subprocess.Popen[bytes]) -> None:
    assert process_lives(owner.pid)
    owner.kill()
    owner.wait()
    assert not process_lives(owner.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="the list of mounts is Linux's")
@pytest.mark.parametrize(
    "kind, is_local", [("ext4", True), ("tmpfs", True), ("nfs4", False), ("cifs", False), ("fuse.sshfs", False)]
)
def test_a_folder_on_another_machine_is_refused(tmp_path: Path, kind: str, is_local: bool) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 {os.major(device)}:{os.minor(device)} / /mnt rw,noatime shared:1 - {kind} server:/export rw\n")
    if is_local:
        require_local(tmp_path, mounts=mounts)
    else:
        with pytest.raises(FolderNotLocal, match=f"lies on {kind}, not on a disk of this machine: set EVENKEEL_STATE"):
            require_local(tmp_path, mounts=mounts)


def test_what_a_killed_writer_left_is_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".head.77-88").write_text("half")
    (tmp_path / ".header").write_text("another")
    write_durably(tmp_path / "head", b"whole")
    forget_unfinished_writes(tmp_path / "head")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".header", "head"]


def test_a_linked_file_is_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    linked_or_copied(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"content"
