"""`evenkeel logs`: the log of an account in readable lines, the last ones or, with -f, those to come as well."""

import argparse
import contextlib
import datetime
import itertools
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from evenkeel.adapters.logs import Line, files_of
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.flags import SINCE_HELP, count, since_utc_ms

LEVELS: Final = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")
LINES_SHOWN: Final = 50
FOLLOW_EVERY_S: Final = 0.2
TRADES: Final = (
    *("PositionOpened", "PositionReduced", "PositionClosed", "CloseFailed", "StopTightened"),
    *("OrderRejected", "OrderOutcomeUnknown", "OrderOutcomeResolved"),
)
"""The messages whose lines tell of trades."""

_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class Place(NamedTuple):
    """How far the log was read: `offset` bytes of the file that had this inode, whatever it is called now."""

    inode: int
    offset: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with the lines to come, until Ctrl-C")
    parser.add_argument("-n", "--lines", type=count, help=f"how many lines (default: {LINES_SHOWN}; with --since all)")
    level = parser.add_mutually_exclusive_group()
    level.add_argument("--level", type=str.upper, choices=LEVELS, default="DEBUG", help="this level and graver ones")
    level.add_argument("--errors", dest="level", action="store_const", const="ERROR", help="errors and graver alone")
    parser.add_argument("--trades", action="store_true", help="what was opened, reduced, closed, refused by the broker alone")
    parser.add_argument("--symbol", help="what is about this symbol alone")
    parser.add_argument("--since", type=since_utc_ms, metavar="TIME", help=f"since then: {SINCE_HELP}")
    parser.add_argument("--json", action="store_true", help="the JSON lines themselves")


def run(arguments: argparse.Namespace) -> int:
    """0, 1 where there is no log, 130 when a person ends -f."""
    try:
        folder = StateFolder(state_root(), arguments.account).logs
    except StateError as error:
        print(f"logs: {error}", file=sys.stderr)
        return exit_codes.USAGE
    if not arguments.follow and not files_of(folder)[0].exists():
        print(f"logs: there is no log in {folder}", file=sys.stderr)
        return exit_codes.FAILED
    wanted = Wanted(
        arguments.level,
        as_json=arguments.json,
        trades=arguments.trades,
        symbol=arguments.symbol,
        since_utc_ms=arguments.since,
    )
    most = arguments.lines if arguments.lines is not None or arguments.since is not None else LINES_SHOWN
    try:
        lines, place = last_lines(folder, most, wanted)
        _print(lines)
        while arguments.follow:
            threading.Event().wait(FOLLOW_EVERY_S)
            rows, place = rows_after(folder, place)
            _print(text for row in rows if (text := wanted.text(row)) is not None)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    return exit_codes.OK


def last_lines(folder: Path, most: int | None, wanted: "Wanted") -> tuple[list[str], Place]:
    """The last `most` wanted lines (None: all), oldest first, older files included, and the place where the log ends."""
    with _files(folder) as files:
        contents = ((inode, _whole_rows(file.read())) for inode, file in files.items())
        newest = next(contents, None)
        if newest is None:
            return [], Place(0, 0)
        older = itertools.chain.from_iterable(reversed(rows) for _, rows in contents)
        rows = itertools.chain(reversed(newest[1]), older)
        texts = (text for row in rows if (text := wanted.text(row)) is not None)
        found = list(itertools.islice(texts, most))
    return found[::-1], Place(newest[0], sum(map(len, newest[1])))


def rows_after(folder: Path, place: Place) -> tuple[list[bytes], Place]:
    """The whole rows that came since, also when the file was rotated meanwhile, and the new place."""
    rows: list[bytes] = []
    with _files(folder) as files:
        unread = list(itertools.takewhile(lambda inode: inode != place.inode, files))
        if place.inode in files:
            unread.append(place.inode)
        for inode in reversed(unread):
            offset = place.offset if inode == place.inode else 0
            files[inode].seek(offset)
            found = _whole_rows(files[inode].read())
            rows += found
            place = Place(inode, offset + sum(map(len, found)))
    return rows, place


class Wanted:
    """Which rows are shown, and how. A line is about a symbol that it is bound to or names as a word."""

    def __init__(
        self,
        level: str,
        *,
        as_json: bool,
        trades: bool = False,
        symbol: str | None = None,
        since_utc_ms: int | None = None,
    ) -> None:
        self._levels = LEVELS[LEVELS.index(level) :]
        self._as_json = as_json
        self._trades = trades
        self._symbol = symbol
        self._names_symbol = re.compile(rf"(?<![\w.#-]){re.escape(symbol or '')}(?![\w.#-]*\w)")
        self._since_utc_ms = since_utc_ms

    def text(self, row: bytes) -> str | None:
        """None for a row that is not wanted, and for one that was torn by a full disk."""
        try:
            line = _decoder.decode(row)
        except msgspec.DecodeError:
            return None
        if line.level not in self._levels or not self._is_asked_for(line):
            return None
        return row.decode().rstrip("\n") if self._as_json else _readable(line)

    def _is_asked_for(self, line: Line) -> bool:
        if self._trades and line.kind not in TRADES:
            return False
        if self._symbol is not None and line.symbol != self._symbol and not self._names_symbol.search(line.text):
            return False
        return self._since_utc_ms is None or _utc_ms(line) >= self._since_utc_ms


def _utc_ms(line: Line) -> float:
    """A line whose time is none counts as old."""
    try:
        return datetime.datetime.fromisoformat(line.t).timestamp() * 1000
    except ValueError:
        return 0.0


def _readable(line: Line) -> str:
    seq = "" if line.seq is None else f"  #{line.seq}"
    extra = "".join(f"  {name}={value}" for name, value in line.extra.items())
    first = _printable(f"{line.t.replace('T', ' ')}  {line.level:<8}  {line.text}{extra}{seq}")
    return "\n".join([first, *(f"    {_printable(place)}" for place in line.error.splitlines())])


def _printable(text: str) -> str:
    """What came from outside may hold characters that move a terminal's cursor."""
    return "".join(character if character.isprintable() else "?" for character in text)


@contextlib.contextmanager
def _files(folder: Path) -> Iterator[dict[int, BinaryIO]]:
    """The files by inode, newest first. Opened in that order: one that is renamed on the way is met twice, never missed."""
    with contextlib.ExitStack() as stack:
        files: dict[int, BinaryIO] = {}
        for path in files_of(folder):
            with contextlib.suppress(FileNotFoundError):
                file = stack.enter_context(path.open("rb"))
                files.setdefault(os.fstat(file.fileno()).st_ino, file)
        yield files


def _whole_rows(content: bytes) -> list[bytes]:
    """With their line ends. What follows the last one is not finished yet."""
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)


def _print(lines: Iterator[str] | list[str]) -> None:
    for line in lines:
        print(line)
    sys.stdout.flush()
