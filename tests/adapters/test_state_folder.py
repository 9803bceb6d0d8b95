import stat
import sys
from pathlib import Path

import pytest

from evenkeel.adapters.state_folder import AccountNameInvalid, StateDamaged, StateFolder


@pytest.mark.parametrize("account", ["simulated", "A", "real-7.eu_1", "x" * 32])
def test_an_account_has_a_folder_of_its_own(tmp_path: Path, account: str) -> None:
    assert StateFolder(tmp_path, account).folder == tmp_path / account


@pytest.mark.parametrize("account", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\n", "x" * 33, "ümlaut", "a b"])
def test_a_name_that_could_leave_the_root_is_refused(tmp_path: Path, account: str) -> None:
    with pytest.raises(AccountNameInvalid, match="1 to 32"):
        StateFolder(tmp_path, account)


def test_asking_for_paths_creates_nothing(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "root", "simulated")
    assert state.endpoint.parent == state.control
    assert not (tmp_path / "root").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_all_folders_are_for_the_user_alone(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "root", "simulated")
    state.create()
    state.create()
    folders = (state.folder, state.journal, state.view, state.control, state.logs, state.simulated)
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_the_installation_id_is_drawn_once(tmp_path: Path) -> None:
    state = StateFolder(tmp_path, "simulated")
    state.create()
    drawn = state.installation_id()
    assert 0 < drawn < 2**20
    assert StateFolder(tmp_path, "simulated").installation_id() == drawn


def test_accounts_have_installation_ids_of_their_own(tmp_path: Path) -> None:
    accounts = [StateFolder(tmp_path, f"account-{number}") for number in range(5)]
    for account in accounts:
        account.create()
    assert len({account.installation_id() for account in accounts}) > 1


@pytest.mark.parametrize("content", [b"", b"0", b"1048576", b"-3", b"seven", b"7\n", "٧".encode()])
def test_a_damaged_installation_id_is_not_drawn_again(tmp_path: Path, content: bytes) -> None:
    state = StateFolder(tmp_path, "simulated")
    state.create()
    (state.folder / "installation").write_bytes(content)
    with pytest.raises(StateDamaged, match="installation"):
        state.installation_id()
    assert (state.folder / "installation").read_bytes() == content
