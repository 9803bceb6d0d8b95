"""The files of a log: how large each may become, what is kept of older ones, and what happens when one cannot be written.

loguru's own files are not used: on a full disk it prints each record with all that was bound to it on standard error, a line
for each that is lost, and a file that cannot be renamed (Windows, while somebody reads it) loses every line from then on.
"""

import contextlib
import datetime
import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from evenkeel.adapters.log_lines import LEVELS, TRADES, Line, json_of, text_of

JSON_NAME: Final = "evenkeel.jsonl"
JSON_BYTES_MAX: Final = 50_000_000
JSON_FILES: Final = 5
MAIN_NAME: Final = "evenkeel.log"
MAIN_BYTES_MAX: Final = 50_000_000
MAIN_FILES: Final = 10
ERRORS_NAME: Final = "errors.log"
ERRORS_BYTES_MAX: Final = 10_000_000
ERRORS_FILES: Final = 5
TRADES_STEM: Final = "trades"
TRADES_DAYS: Final = 30
TRADES_BYTES_MAX: Final = 10_000_000
"""Of one day: some 60,000 lines. The rest of a day that has more is in the main file alone."""
GROWS_MAX: Final = 2
"""A file that cannot be rotated grows on, up to so many times its size; then its lines are lost."""
GRAVE: Final = frozenset(LEVELS[LEVELS.index("ERROR") :])


class Shelf(Protocol):
    """Where the lines of one kind go."""

    @property
    def name(self) -> str: ...

    def file_for(self, day: datetime.date, length: int) -> BinaryIO:
        """The file in which a line of `length` bytes is to be written on `day` (UTC); raises OSError."""
        ...

    def close(self) -> None: ...


class Sized:
    """One file of at most `bytes_max`, and `files` - 1 older ones beside it: NAME.1 is the newest of them."""

    def __init__(self, folder: Path, name: str, bytes_max: int, files: int) -> None:
        self.name = name
        self._paths = _paths(folder, name, files)
        self._bytes_max = bytes_max
        self._file: BinaryIO | None = None

    def file_for(self, day: datetime.date, length: int) -> BinaryIO:
        file = self._file = self._file or _opened(self._paths[0])
        size = file.tell()
        if size and size + length > self._bytes_max:
            self._rotate()
            file = self._file = _opened(self._paths[0])
            if file.tell() + length > GROWS_MAX * self._bytes_max:
                raise OSError(f"it is full, and {self._paths[1].name} cannot take its place")
        return file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rotate(self) -> None:
        """Each file becomes the next older one. Where a reader keeps that from happening (Windows) the newest one grows on."""
        self.close()
        with contextlib.suppress(OSError):
            for older, newer in itertools.pairwise(self._paths[::-1]):
                if newer.exists():
                    newer.replace(older)


class Daily:
    """A file for each day (UTC) that has lines, STEM-2026-01-05.log, of at most `bytes_max`; the newest `days` are kept.

    They are counted, whatever their dates: a clock that goes wrong for a moment removes one at most.
    """

    def __init__(self, folder: Path, stem: str, bytes_max: int, days: int) -> None:
        self._folder, self._stem, self._bytes_max, self._days = folder, stem, bytes_max, days
        self._day = datetime.date.min
        self._file: BinaryIO | None = None

    @property
    def name(self) -> str:
        return f"{self._stem}-{self._day}.log"

    def file_for(self, day: datetime.date, length: int) -> BinaryIO:
        if day != self._day:
            self.close()
            self._day = day
        file = self._file
        if file is None:
            file = self._file = _opened(self._folder / self.name)
            self._forget_oldest()
        if file.tell() + length > self._bytes_max:
            raise OSError(f"it has {self._bytes_max} bytes, as many as a day may")
        return file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _forget_oldest(self) -> None:
        """One that cannot be removed is tried again on the next day."""
        for path in daily_files(self._folder, self._stem)[self._days :]:
            with contextlib.suppress(OSError):
                path.unlink()


class Output:
    """The lines of one kind, and how many of them were lost since one was written."""

    def __init__(self, shelf: Shelf, body_of: Callable[[Line], bytes], *, takes: Callable[[Line], bool]) -> None:
        self.shelf, self.takes, self.lost = shelf, takes, 0
        self._body_of = body_of

    def put(self, line: Line) -> None:
        """Write it; before the first one after a gap, how many are missing, as grave as that one. It is lost when this raises
        OSError, or ValueError for words that no file can hold."""
        try:
            body, day = self._body_of(line), datetime.date.fromisoformat(line.t[:10])
            file = self.shelf.file_for(day, len(body))
            if self.lost:
                gap = Line(t=line.t, level=line.level, text=f"lines lost before this one: {self.lost}", name=__name__)
                _write(file, self._body_of(gap))
                self.lost = 0
            _write(file, body)
        except (OSError, ValueError):
            self.lost += 1
            self.shelf.close()  # the next one finds the file as it is then: removed, moved, or with room around it
            raise


def outputs(folder: Path) -> Sequence[Output]:
    """Everything, as text and as JSON; what is grave; what tells of trades."""
    return (
        Output(Sized(folder, MAIN_NAME, MAIN_BYTES_MAX, MAIN_FILES), _text_row, takes=lambda line: True),
        Output(Sized(folder, JSON_NAME, JSON_BYTES_MAX, JSON_FILES), _json_row, takes=lambda line: True),
        Output(Sized(folder, ERRORS_NAME, ERRORS_BYTES_MAX, ERRORS_FILES), _text_row, takes=lambda line: line.level in GRAVE),
        Output(Daily(folder, TRADES_STEM, TRADES_BYTES_MAX, TRADES_DAYS), _text_row, takes=lambda line: line.kind in TRADES),
    )


def json_files(folder: Path) -> list[Path]:
    """The files that there may be, newest first."""
    return _paths(folder, JSON_NAME, JSON_FILES)


def error_files(folder: Path) -> list[Path]:
    """As `json_files`."""
    return _paths(folder, ERRORS_NAME, ERRORS_FILES)


def trade_files(folder: Path) -> list[Path]:
    """Those that there are, newest first."""
    return daily_files(folder, TRADES_STEM)


def daily_files(folder: Path, stem: str) -> list[Path]:
    return sorted(folder.glob(f"{stem}-[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].log"), reverse=True)


def _paths(folder: Path, name: str, files: int) -> list[Path]:
    return [folder / name, *(folder / f"{name}.{age}" for age in range(1, files))]


def _text_row(line: Line) -> bytes:
    return text_of(line).encode(errors="backslashreplace") + b"\n"


def _json_row(line: Line) -> bytes:
    return json_of(line) + b"\n"


def _write(file: BinaryIO, body: bytes) -> None:
    if file.write(body) < len(body):
        raise OSError("only a part of the line was written")


def _opened(path: Path) -> BinaryIO:
    """For appending, mode 0600, unbuffered: what was logged survives the death of the process."""
    _end_torn_line(path)
    return open(path, "ab", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600))


def _end_torn_line(path: Path) -> None:
    """The last line may have been written in part, by this process or by one that died: the next one begins a new row."""
    with contextlib.suppress(FileNotFoundError), open(path, "r+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                _write(file, b"\n")
