"""Secrets by name: where they are found, what may not be used, and that none ever shows itself."""

import copy
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import msgspec
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail

from evenkeel.adapters.secrets import SECRET_BYTES_MAX, Secret, SecretMissing, SecretUnusable, secret

CANARY = "canary-4f1c"


class InMemory(KeyringBackend):
    """A keyring of its own kind, as keyring's documentation has one written."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture(autouse=True)
def no_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


def written(path: Path, data: bytes, mode: int = 0o600) -> dict[str, str]:
    path.write_bytes(data)
    path.chmod(mode)
    return {"EVENKEEL_SECRET_WEBHOOKS_FILE": str(path)}


@pytest.mark.parametrize("line_end", [b"", b"\n", b"\r\n"])
def test_a_private_file_holds_it_with_or_without_a_line_end(tmp_path: Path, line_end: bytes) -> None:
    found = secret("webhooks", written(tmp_path / "token", CANARY.encode() + line_end))
    assert (found.reveal(), found.source) == (CANARY, f"EVENKEEL_SECRET_WEBHOOKS_FILE ({tmp_path / 'token'})")


def test_the_file_counts_before_the_variable_and_the_variable_before_the_rest(tmp_path: Path) -> None:
    file = written(tmp_path / "token", b"from-file")
    (tmp_path / "webhooks").write_text("from-systemd")
    systemd = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    kept = InMemory()
    keyring.set_keyring(kept)
    keyring.set_password("evenkeel", "webhooks", "from-keyring")
    variable = {"EVENKEEL_SECRET_WEBHOOKS": "from-variable"}
    assert secret("webhooks", file | variable | systemd).reveal() == "from-file"
    assert secret("webhooks", variable | systemd).reveal() == "from-variable"
    assert secret("webhooks", systemd).reveal() == "from-systemd"
    assert secret("webhooks", {}).reveal() == "from-keyring"


@pytest.mark.skipif(sys.platform == "win32", reason="no modes there")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    environment = written(tmp_path / "token", CANARY.encode(), mode) | {"EVENKEEL_SECRET_WEBHOOKS": "another"}
    with pytest.raises(SecretUnusable, match=f"open to others .mode {mode:o}.; run: chmod 600") as refused:
        secret("webhooks", environment)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"canary\ncanary\n", "is not one line of text"),
        (b"canary\0", "is not one line of text"),
        (b"canary\xff", "is not UTF-8 text"),
        (b"canary" * SECRET_BYTES_MAX, f"has more than {SECRET_BYTES_MAX} bytes"),
    ],
)
def test_what_is_no_line_of_text_is_refused_and_not_repeated(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(SecretUnusable, match=words) as refused:
        secret("webhooks", written(tmp_path / "token", data))
    assert "canary" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretUnusable, match="token cannot be read: No such file"):
        secret("webhooks", {"EVENKEEL_SECRET_WEBHOOKS_FILE": str(tmp_path / "token")})


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes there")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SecretUnusable, match="pipe is not a file"):
        secret("webhooks", {"EVENKEEL_SECRET_WEBHOOKS_FILE": str(tmp_path / "pipe")})


def test_a_secret_that_is_nowhere_is_told_with_every_place_that_was_tried() -> None:
    with pytest.raises(SecretMissing) as missing:
        secret("webhooks", {})
    assert str(missing.value) == (
        "the secret 'webhooks' is nowhere: neither EVENKEEL_SECRET_WEBHOOKS_FILE nor EVENKEEL_SECRET_WEBHOOKS is set, "
        "there is no systemd credential, and the keyring cannot be asked (NoKeyringError)"
    )
    keyring.set_keyring(InMemory())
    with pytest.raises(SecretMissing, match="and the keyring has none for 'evenkeel'"):
        secret("webhooks", {})


def test_a_secret_never_shows_itself() -> None:
    hidden = Secret(CANARY, "a test")
    shown = [f"{hidden}", f"{hidden!r}", f"{[hidden]}", "%s" % hidden, str(ValueError(hidden))]  # noqa: UP031
    shown.append(msgspec.json.encode({"token": hidden}, enc_hook=repr).decode())
    assert not any(CANARY in text for text in shown)
    with pytest.raises(TypeError, match="not written down"):
        copy.deepcopy(hidden)


@pytest.mark.parametrize("other, is_same", [(CANARY, True), (CANARY[:-1], False), ("", False), ("\ud800", False), ("ä", False)])
def test_a_secret_is_compared_with_whatever_came(other: str, is_same: bool) -> None:
    assert Secret(CANARY, "a test").is_same(other) is is_same
