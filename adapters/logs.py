"""The logs of a process: a console for a person, JSON lines for everything else.

Neither ever shows the value of a variable: a traceback is reduced to places and the error's own words.
"""

import contextlib
import itertools
import os
import sys
import traceback
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec
from loguru import logger

from evenkeel.adapters.os import private_folder

if TYPE_CHECKING:
    from loguru import Message, Record

FILE_NAME: Final = "evenkeel.jsonl"
BYTES_MAX: Final = 50_000_000
FILES_KEPT: Final = 5
PLACES_KEPT: Final = 50
"""Of a traceback, the innermost."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line of the file. `t` is ISO 8601 in UTC, `name` the module; `seq` and `cause` are records of the journal.

    `kind` is the message that it tells of, `symbol` that one's. `error` is the traceback without source text and values: one
    place a line, then the error itself.
    """

    t: str
    level: str
    text: str
    name: str = ""
    seq: int | None = None
    cause: int | None = None
    error: str = ""
    extra: dict[str, Any] = {}
    kind: str = ""
    symbol: str = ""


def set_up(
    folder: Path | None, *, console_level: str = "INFO", json_level: str = "DEBUG", no_color: bool = False
) -> "JsonLines | None":
    """Send what loguru is told to stderr and, unless `folder` is None, to JSON lines in it. Replaces what was set up before.

    Colours only on a terminal, and not with `no_color` or NO_COLOR. Raises FolderNotPrivate or OSError; later no failure
    of a log reaches whoever logs.
    """
    lines = None if folder is None else JsonLines(private_folder(folder))
    logger.remove()
    is_colored = not no_color and not os.environ.get("NO_COLOR") and sys.stderr.isatty()
    logger.add(sys.stderr, level=console_level, format=_console_format, colorize=is_colored, backtrace=False, diagnose=False)
    if lines is not None:
        logger.add(lines, level=json_level, format=_no_text, backtrace=False, diagnose=False)
    return lines


def files_of(folder: Path) -> list[Path]:
    """The log's files that there may be, newest first."""
    newest = folder / FILE_NAME
    return [newest, *(newest.with_name(f"{FILE_NAME}.{age}") for age in range(1, FILES_KEPT))]


class JsonLines:
    """A sink for loguru: one Line each, in a file of at most `bytes_max`, with FILES_KEPT - 1 older ones beside it.

    A line that cannot be written is lost and counted in `lost`. The first of a row is told on stderr; when lines can be
    written again, the first one says how many are missing.
    """

    def __init__(self, folder: Path, bytes_max: int = BYTES_MAX) -> None:
        self.lost = 0
        self._path = folder / FILE_NAME
        self._bytes_max = bytes_max
        self._file: BinaryIO | None = _opened(self._path)

    def write(self, message: "Message") -> None:
        """Called by loguru, under its lock."""
        line = _line_of(message.record)
        try:
            self._write(line)
        except OSError as error:
            if self.lost == 0:
                sys.stderr.write(f"evenkeel: {self._path.name} cannot be written: {error}\n")
            self.lost += 1

    def stop(self) -> None:
        """Called by loguru when it lets go of the sink."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: Line) -> None:
        body = _encoded(line)
        file = self._file or _opened(self._path)
        if file.tell() and file.tell() + len(body) > self._bytes_max:
            self._file = file
            file = self._rotated()
        self._file = file
        if self.lost:
            gap = Line(t=line.t, level="WARNING", text=f"lines lost before this one: {self.lost}", name=__name__)
            _put(file, b"\n" + _encoded(gap))  # the last line that was tried may have been written in part
            self.lost = 0
        _put(file, body)

    def _rotated(self) -> BinaryIO:
        """Each file becomes the next older one. Where a reader keeps that from happening (Windows) the newest one grows on."""
        self.stop()
        oldest_first = files_of(self._path.parent)[::-1]
        with contextlib.suppress(OSError):
            for older, newer in itertools.pairwise(oldest_first):
                if newer.exists():
                    newer.replace(older)
        return _opened(self._path)


def _console_format(record: "Record") -> str:
    """The template of one short line; of an error only its own words: the places are in the file."""
    error = record["exception"]
    words = f" ({_verbatim(_named(error.value))})" if error is not None and error.value is not None else ""
    return "{time:HH:mm:ss!UTC} <level>{level: <8}</level> {message}" + words + "\n"


def _verbatim(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}").replace("<", r"\<").replace("\n", " ")


def _no_text(record: "Record") -> str:
    """JsonLines reads the record itself."""
    return ""


def _line_of(record: "Record") -> Line:
    extra = dict(record["extra"])
    error = record["exception"]
    return Line(
        t=record["time"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        level=record["level"].name,
        text=record["message"],
        name=record["name"] or "",
        seq=extra.pop("seq", None),
        cause=extra.pop("cause", None),
        kind=extra.pop("kind", ""),
        symbol=extra.pop("symbol", ""),
        error="" if error is None or error.value is None else _traced(error.value),
        extra=extra,
    )


def _traced(error: BaseException) -> str:
    places = [
        f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}" for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = "\n".join([*places[-PLACES_KEPT:], _named(error)])
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return own if before is None else f"{_traced(before)}\nthen\n{own}"


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _encoded(line: Line) -> bytes:
    """What JSON has no words for stands there as its repr."""
    return msgspec.json.encode(line, enc_hook=repr) + b"\n"


def _put(file: BinaryIO, body: bytes) -> None:
    if file.write(body) < len(body):
        raise OSError("only a part of the line was written")


def _opened(path: Path) -> BinaryIO:
    """For appending, mode 0600, unbuffered: what was logged survives the death of the process."""
    return open(path, "ab", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600))
