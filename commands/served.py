"""What `--json` prints of a command that serves until it is ended: a line when it does, and a line when it has ended."""

import os
import sys

import msgspec

from evenkeel.commands import exit_codes


class ServedLine(msgspec.Struct, frozen=True):
    """`state` is serving or ended, of a watchdog also watching, restarting, holding; `status` is that of an end, else null."""

    command: str
    account: str
    state: str
    words: str
    pid: int
    status: int | None = None
    v: int = 1


class Served:
    """Says nothing where nobody asked for JSON. `command` is what the process is called."""

    def __init__(self, command: str, account: str, *, as_json: bool) -> None:
        self._command, self._account, self._as_json = command, account, as_json

    def says(self, state: str, words: str, status: int | None = None) -> None:
        if self._as_json:
            line = ServedLine(self._command, self._account, state, words, os.getpid(), status)
            sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
            sys.stdout.flush()

    def ended(self, status: int) -> int:
        """`status`, after it was said."""
        words = next((meaning.text for meaning in exit_codes.MEANINGS if meaning.status == status), "")
        self.says("ended", words, status)
        return status
