"""The logs of a process: a console for a person, and files (log_files.py) for everything else.

None of them ever shows the value of a variable or a secret that is known (hidden.py): a traceback is reduced to places and the
error's own words. What cannot be written is lost, and never harms whoever logs.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loguru import logger

from evenkeel.adapters.hidden import HIDDEN, Hidden
from evenkeel.adapters.log_files import Output, outputs
from evenkeel.adapters.log_lines import Line, printable, record_of
from evenkeel.adapters.os import private_folder
from evenkeel.runtime.edge import IN_HAND

if TYPE_CHECKING:
    from loguru import Message, Record

PLACES_KEPT: Final = 50
"""Of a traceback, the innermost."""
CHARACTERS_MAX: Final = 4_000
"""Of the words of a line, and of an error's own."""
_CONSOLE: Final = "on_the_console"
"""Bound to a record: what the console says after the message."""


def set_up(folder: Path | None, *, console_level: str = "INFO", hidden: Hidden = HIDDEN) -> "LogFiles | None":
    """Send what loguru is told to stderr and, unless `folder` is None, to files in it. Replaces what was set up before.

    Only one process may write into a folder: two would rotate each other's files. `hidden` are the secrets that may turn up.
    Colours only on a terminal, and not with NO_COLOR. Raises FolderNotPrivate or OSError for the folder; later no failure of a
    log reaches whoever logs, be it the first line.
    """
    files = None if folder is None else LogFiles(outputs(private_folder(folder)), hidden)
    logger.remove()
    is_colored = not os.environ.get("NO_COLOR") and sys.stderr.isatty()

    def console_format(record: "Record") -> str:
        return _console_format(record, hidden)

    def finish(record: "Record") -> None:
        record["message"] = _on_one_line(hidden.shown(record["message"])[:CHARACTERS_MAX])
        record["extra"].setdefault("seq", IN_HAND.seq)
        record["extra"].setdefault("cause", IN_HAND.cause_seq)

    logger.configure(patcher=finish)
    logger.add(sys.stderr, level=console_level, format=console_format, colorize=is_colored, backtrace=False, diagnose=False)
    if files is not None:
        logger.add(files, level="DEBUG", format=_no_text, backtrace=False, diagnose=False)
    return files


class LogFiles:
    """A sink for loguru: each record as a line of the outputs that take it.

    A line that cannot be written is lost and counted: `lost` are those that some file misses. The first of a row is told on
    stderr, and so is the end of the row; when a file can be written again, it says first how many are missing in it.
    """

    def __init__(self, into: Sequence[Output], hidden: Hidden) -> None:
        self.lost = 0
        self._outputs, self._hidden = into, hidden
        self._is_failing = False

    def write(self, message: "Message") -> None:
        """Called by loguru, under its lock."""
        line = line_of(message.record, self._hidden)
        written = [self._put(output, line) for output in self._outputs if output.takes(line)]
        self.lost += not all(written)
        if self._is_failing and not any(output.lost for output in self._outputs):
            self._is_failing = False
            _tell(f"the log is written again, {self.lost} lines were lost")
            self.lost = 0

    def stop(self) -> None:
        """Called by loguru when it lets go of the sink."""
        for output in self._outputs:
            output.shelf.close()

    def _put(self, output: Output, line: Line) -> bool:
        """Whether it is there."""
        try:
            output.put(line)
        except (OSError, ValueError) as error:
            if not self._is_failing:
                _tell(f"{output.shelf.name} cannot be written, lines are lost: {error}")
            self._is_failing = True
            return False
        return True


def line_of(record: "Record", hidden: Hidden) -> Line:
    extra = {name: value for name, value in record["extra"].items() if name != _CONSOLE}
    error = record["exception"]
    return Line(
        t=record["time"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        level=record["level"].name,
        text=record["message"],
        name=record["name"] or "",
        seq=extra.pop("seq", None) or None,
        cause=extra.pop("cause", None) or None,
        kind=extra.pop("kind", ""),
        symbol=extra.pop("symbol", ""),
        error="" if error is None or error.value is None else _traced(error.value, hidden),
        extra={name: _plain(value, hidden) for name, value in extra.items()},
    )


def _plain(value: object, hidden: Hidden) -> str | int | float | None:
    """What JSON has no words for stands there as its repr."""
    if value is None or isinstance(value, int | float):
        return value
    return _said(lambda: value if isinstance(value, str) else repr(value), hidden)


def _said(words: Callable[[], str], hidden: Hidden) -> str:
    """What somebody else's object says of itself; when that fails loguru would print all that was bound to the record."""
    try:
        return hidden.shown(words())[:CHARACTERS_MAX].encode(errors="backslashreplace").decode()
    except Exception as error:  # noqa: BLE001  anything may happen in it, and nothing of it may reach whoever logs
        return f"<it cannot be said: {type(error).__name__}>"


def _tell(words: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # standard error may lie on the same disk, or be closed
        sys.stderr.write(f"evenkeel: {words}\n")


def _console_format(record: "Record", hidden: Hidden) -> str:
    """The template of one short line; of an error only its own words: the places are in the file.

    What is not the template's own is a field of it: in the template loguru would look for fields and colours.
    """
    error = record["exception"]
    words = "" if error is None or error.value is None else f" ({_on_one_line(_named(error.value, hidden))})"
    seq, cause = record["extra"].get("seq") or None, record["extra"].get("cause") or None
    record["extra"][_CONSOLE] = words + (f"  {record_of(seq, cause)}" if seq or cause else "")
    return f"{{time:HH:mm:ss!UTC}} <level>{{level: <8}}</level> {{message}}{{extra[{_CONSOLE}]}}\n"


def _on_one_line(text: str) -> str:
    return printable(text.replace("\n", " "))


def _no_text(record: "Record") -> str:
    """LogFiles reads the record itself."""
    return ""


def _traced(error: BaseException, hidden: Hidden) -> str:
    places = [
        f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}" for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = "\n".join([*places[-PLACES_KEPT:], _named(error, hidden)])
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return own if before is None else f"{_traced(before, hidden)}\nthen\n{own}"


def _named(error: BaseException, hidden: Hidden) -> str:
    return f"{type(error).__name__}: {_said(lambda: str(error), hidden)}"
