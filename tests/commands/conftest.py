"""The folder of the account that the commands are asked about."""

from pathlib import Path

import pytest

from evenkeel.adapters.state_folder import StateFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateFolder:
    """Of account "simulated", empty; whoever looks has a terminal of no known width."""
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    monkeypatch.delenv("COLUMNS", raising=False)
    folder = StateFolder(tmp_path, "simulated")
    folder.create()
    return folder
