"""`evenkeel logs`: the log of an account in readable lines, the last ones or, with -f, those to come as well.

Trades and errors are read from the files of their own, which reach back farther than the one of everything.
"""

import argparse
import contextlib
import datetime
import itertools
import os
import re
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from evenkeel.adapters.log_files import error_files, json_files, trade_files
from evenkeel.adapters.log_lines import LEVELS, Line, head_of, json_of, line_of_json, line_of_text, printable
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.flags import SINCE_HELP, count, since_utc_ms
from evenkeel.commands.tables import columns

PROCESSES: Final = {"run": "logs", "terminal": "terminal", "watchdog": "watchdog"}
"""Each process of an account has a log of its own, in this folder of the account's."""
LINES_SHOWN: Final = 50
FOLLOW_EVERY_S: Final = 0.2
VERSION: Final = 1
"""Of the objects that --json prints."""
INDENT: Final = "    "
COLOURS: Final = {"WARNING": "33", "ERROR": "31", "CRITICAL": "1;31", "SUCCESS": "32", "DEBUG": "2", "TRACE": "2"}
"""Of the word of a level, as numbers of the terminal (ECMA-48, SGR)."""


class Files(NamedTuple):
    """Files of one kind, and what a row of theirs says."""

    there: Callable[[], list[Path]]
    """Newest first; some of them may be missing."""
    line_of: Callable[[bytes], Line | None]


class Place(NamedTuple):
    """How far the log was read: `offset` bytes of the file that had this inode, whatever it is called now."""

    inode: int
    offset: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--of", choices=PROCESSES, default="run", help="whose log (default: %(default)s)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with the lines to come, until Ctrl-C")
    parser.add_argument("-n", "--lines", type=count, help=f"how many lines (default: {LINES_SHOWN}; with --since all)")
    level = parser.add_mutually_exclusive_group()
    level.add_argument("--level", type=str.upper, choices=LEVELS, default="DEBUG", help="this level and graver ones")
    level.add_argument("--errors", dest="level", action="store_const", const="ERROR", help="errors and graver alone")
    parser.add_argument(
        "--trades", action="store_true", help="what was opened, reduced, closed, refused by the broker alone, over 30 days"
    )
    parser.add_argument("--symbol", help="what is about this symbol alone")
    parser.add_argument("--since", type=since_utc_ms, metavar="TIME", help=f"since then: {SINCE_HELP}")
    parser.add_argument("--json", action="store_true", help="a JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """0, 1 where there is no log, 130 when a person ends -f."""
    try:
        folder = StateFolder(state_root(), arguments.account).folder / PROCESSES[arguments.of]
    except StateError as error:
        print(f"logs: {error}", file=sys.stderr)
        return exit_codes.USAGE
    if not arguments.follow and not any(path.exists() for path in json_files(folder)):
        print(f"logs: there is no log in {folder}", file=sys.stderr)
        return exit_codes.FAILED
    files = files_for(folder, trades=arguments.trades, level=arguments.level)
    wanted = Wanted(arguments.level, symbol=arguments.symbol, since_utc_ms=arguments.since)
    shown = _as_json if arguments.json else Screen(is_colored=not os.environ.get("NO_COLOR") and sys.stdout.isatty()).text
    most = arguments.lines if arguments.lines is not None or arguments.since is not None else LINES_SHOWN
    try:
        lines, place = last_lines(files, most, wanted)
        _print(map(shown, lines))
        while arguments.follow:
            threading.Event().wait(FOLLOW_EVERY_S)
            rows, place = rows_after(files, place)
            _print(map(shown, wanted.of(files, rows)))
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    return exit_codes.OK


def files_for(folder: Path, *, trades: bool, level: str) -> Files:
    """Those that hold every line of that level and nothing beside it, if there are such."""
    if trades:
        return Files(lambda: trade_files(folder), _of_text)
    if LEVELS.index(level) >= LEVELS.index("ERROR"):
        return Files(lambda: error_files(folder), _of_text)
    return Files(lambda: json_files(folder), line_of_json)


def last_lines(files: Files, most: int | None, wanted: "Wanted") -> tuple[list[Line], Place]:
    """The last `most` wanted lines (None: all), oldest first, older files included, and the place where the log ends."""
    with _opened(files) as opened:
        contents = ((inode, _whole_rows(file.read())) for inode, file in opened.items())
        newest = next(contents, None)
        if newest is None:
            return [], Place(0, 0)
        older = itertools.chain.from_iterable(reversed(rows) for _, rows in contents)
        rows = itertools.chain(reversed(newest[1]), older)
        found = list(itertools.islice(wanted.of(files, rows), most))
    return found[::-1], Place(newest[0], sum(map(len, newest[1])))


def rows_after(files: Files, place: Place) -> tuple[list[bytes], Place]:
    """The whole rows that came since, also when the file was rotated meanwhile, and the new place."""
    rows: list[bytes] = []
    with _opened(files) as opened:
        unread = list(itertools.takewhile(lambda inode: inode != place.inode, opened))
        if place.inode in opened:
            unread.append(place.inode)
        for inode in reversed(unread):
            offset = place.offset if inode == place.inode else 0
            opened[inode].seek(offset)
            found = _whole_rows(opened[inode].read())
            rows += found
            place = Place(inode, offset + sum(map(len, found)))
    return rows, place


class Wanted:
    """Which lines are shown. A line is about a symbol that it is bound to or names as a word."""

    def __init__(self, level: str, *, symbol: str | None = None, since_utc_ms: int | None = None) -> None:
        self._levels = LEVELS[LEVELS.index(level) :]
        self._symbol = symbol
        self._names_symbol = re.compile(rf"(?<![\w.#-]){re.escape(symbol or '')}(?![\w.#-]*\w)")
        self._since_utc_ms = since_utc_ms

    def of(self, files: Files, rows: Iterator[bytes] | list[bytes]) -> Iterator[Line]:
        """Those of `rows` that are wanted; one that was torn by a full disk is not."""
        lines = (line for row in rows if (line := files.line_of(row)) is not None)
        return (line for line in lines if line.level in self._levels and self._is_asked_for(line))

    def _is_asked_for(self, line: Line) -> bool:
        if self._symbol is not None and line.symbol != self._symbol and not self._names_symbol.search(line.text):
            return False
        return self._since_utc_ms is None or _utc_ms(line) >= self._since_utc_ms


class Screen:
    """Lines for a person: as wide as the terminal, broken between words; one row each where there is no terminal."""

    def __init__(self, *, is_colored: bool) -> None:
        self._is_colored = is_colored

    def text(self, line: Line) -> str:
        width = columns()  # each time: a window changes while one follows
        parts = [head_of(line), *(INDENT + printable(place) for place in line.error.splitlines())]
        rows = [row for part in parts for row in ([part] if width is None else _wrapped(part, width))]
        if self._is_colored and (colour := COLOURS.get(line.level)):
            rows[0] = rows[0].replace(line.level, f"\x1b[{colour}m{line.level}\x1b[0m", 1)
        return "\n".join(rows)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=INDENT, break_on_hyphens=False) or [text]


def _as_json(line: Line) -> str:
    return f'{{"v":{VERSION},{json_of(line).decode()[1:]}'


def _of_text(row: bytes) -> Line | None:
    return line_of_text(row.decode(errors="replace").rstrip("\n"))


def _utc_ms(line: Line) -> float:
    """A line whose time is none counts as old."""
    try:
        return datetime.datetime.fromisoformat(line.t).timestamp() * 1000
    except ValueError:
        return 0.0


@contextlib.contextmanager
def _opened(files: Files) -> Iterator[dict[int, BinaryIO]]:
    """The files by inode, newest first. Opened in that order: one that is renamed on the way is met twice, never missed."""
    with contextlib.ExitStack() as stack:
        opened: dict[int, BinaryIO] = {}
        for path in files.there():
            with contextlib.suppress(FileNotFoundError):
                file = stack.enter_context(path.open("rb"))
                opened.setdefault(os.fstat(file.fileno()).st_ino, file)
        yield opened


def _whole_rows(content: bytes) -> list[bytes]:
    """With their line ends. What follows the last one is not finished yet."""
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)


def _print(lines: Iterator[str]) -> None:
    for line in lines:
        print(line)
    sys.stdout.flush()
