"""Secrets by name, and a type that never shows one.

A secret NAME is looked for in this order; the first place that has it counts, also when it cannot be used:

1. the file that EVENKEEL_SECRET_NAME_FILE names, for this user alone
2. EVENKEEL_SECRET_NAME
3. systemd's credential of that name (LoadCredential=)
4. the system's keyring, service "evenkeel", where `pip install "evenkeel[keyring]"` brought the package

SecretError
├── SecretMissing     it is nowhere; the text says where it was looked for
└── SecretUnusable    it was found, but it is open to others, too long, or no line of text
"""

import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from evenkeel.adapters.hidden import HIDDEN
from evenkeel.adapters.os import FileNotPrivate, private_file

PREFIX: Final = "EVENKEEL_SECRET_"
FILE_SUFFIX: Final = "_FILE"
SECRET_BYTES_MAX: Final = 4096
KEYRING_SERVICE: Final = "evenkeel"
_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class SecretError(Exception):
    """Base; no text holds any part of a secret."""


class SecretMissing(SecretError):
    """A person puts it where one of the named places is."""


class SecretUnusable(SecretError):
    """A person mends the place that is named."""


class Secret:
    """One line of text that shows itself only to `reveal`: as text, in a log, in JSON and in an error it is ***."""

    __slots__ = ("_text", "source")

    def __init__(self, text: str, source: str) -> None:
        HIDDEN.hide(text)
        self._text = text
        self.source = source
        """Where it was found, in a person's words."""

    def reveal(self) -> str:
        """The secret itself, for whoever must send it."""
        return self._text

    def is_same(self, other: str) -> bool:
        """Takes as long wherever the two differ."""
        return hmac.compare_digest(self._text.encode(), other.encode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written down")


def secret(name: str, environment: Mapping[str, str] = os.environ) -> Secret:
    """The secret `name` (a lower-case word). Raises SecretMissing or SecretUnusable."""
    assert _NAME.fullmatch(name), f"{name!r} is checked where it is configured"
    variable = f"{PREFIX}{name.upper()}"
    if path := environment.get(variable + FILE_SUFFIX):
        return secret_in(Path(path), variable + FILE_SUFFIX)
    if text := environment.get(variable):
        return _usable(text, variable)
    credential = Path(environment[_CREDENTIALS], name) if environment.get(_CREDENTIALS) else None
    if credential is not None and credential.is_file():
        return secret_in(credential, "systemd's credential", is_guarded=True)
    found, keyring = _in_keyring(name)
    if found is not None:
        return found
    raise SecretMissing(
        f"the secret {name!r} is nowhere: neither {variable}{FILE_SUFFIX} nor {variable} is set, "
        f"there is no systemd credential, {keyring}"
    )


def secret_in(path: Path, source: str, *, is_guarded: bool = False) -> Secret:
    """The secret that a file holds; raises SecretUnusable. `source` is what leads to the file, in a person's words.

    `is_guarded`: nobody else comes to the file, whatever its mode says; so systemd keeps its credentials.
    """
    try:
        data = private_file(path, SECRET_BYTES_MAX + 1, may_be_shared=is_guarded)
    except FileNotPrivate as error:
        raise SecretUnusable(f"{source}: {error}") from None
    except OSError as error:
        raise SecretUnusable(f"{source}: {path} cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SecretUnusable(f"{source}: {path} is not UTF-8 text") from None
    return _usable(text.removesuffix("\n").removesuffix("\r"), f"{source} ({path})")


def _in_keyring(name: str) -> tuple[Secret | None, str]:
    """The secret, or the words for what is missing."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None, 'and the keyring is not installed (pip install "evenkeel[keyring]")'
    try:
        text = keyring.get_password(KEYRING_SERVICE, name)
    except keyring.errors.KeyringError as error:
        return None, f"and the keyring cannot be asked ({type(error).__name__})"
    if text is None:
        return None, f"and the keyring has none for {KEYRING_SERVICE!r}"
    return _usable(text, "the keyring"), ""


def _usable(text: str, source: str) -> Secret:
    if not text:
        raise SecretUnusable(f"{source} is empty")
    if len(text.encode("utf-8", "surrogateescape")) > SECRET_BYTES_MAX:
        raise SecretUnusable(f"{source} has more than {SECRET_BYTES_MAX} bytes")
    if not text.isprintable():
        raise SecretUnusable(f"{source} is not one line of text: remove line breaks and control characters")
    return Secret(text, source)
