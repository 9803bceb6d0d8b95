"""What every command promises of its standard output and standard error, in one place.

With --json there is always something to decode on standard output: the command's own answer, or, where it could not give one,
an Unanswered with what was said on standard error.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Final, TextIO

from evenkeel.commands.exit_codes import MEANINGS, OK

WORDS_KEPT_MAX: Final = 4_000
"""Characters; of more, the last ones."""


def make_usable(*, as_json: bool) -> None:
    """A closed stream leads nowhere. A character that the terminal does not have is shown as "?"; JSON is UTF-8 everywhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  for the life of the process
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8" if as_json else None, errors="replace")


def let_go_of_output() -> None:
    """Nobody can be told anything any more: what is left in the buffer must not be an error of the interpreter at its exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Answer:
    """`status` is the exit status, once the command has ended."""

    status: int = OK


@contextlib.contextmanager
def answer_is_json() -> Iterator[Answer]:
    answer, out, err = Answer(), _Heard(sys.stdout), _Heard(sys.stderr)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield answer
    except SystemExit as end:  # of argparse, after its words
        answer.status = end.code if isinstance(end.code, int) else OK
        raise
    finally:
        if answer.status != OK and not out.last_words:
            with contextlib.suppress(OSError):
                print(_unanswered(answer.status, err.last_words), flush=True)


def _unanswered(status: int, words: str) -> str:
    import msgspec

    class Unanswered(msgspec.Struct):
        """`error` as it was said on standard error."""

        status: int
        error: str
        v: int = 1

    meaning = next((meaning.text for meaning in MEANINGS if meaning.status == status), "")
    return msgspec.json.encode(Unanswered(status, words.strip() or meaning)).decode()


class _Heard(io.TextIOBase):
    """Passes on what is written, and remembers the last of it."""

    def __init__(self, stream: TextIO) -> None:
        self.last_words = ""
        self._stream = stream

    def write(self, text: str) -> int:
        self.last_words = (self.last_words + text)[-WORDS_KEPT_MAX:]
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding
