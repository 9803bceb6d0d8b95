"""Lines of a text of any size, each of bounded length, and what was wrong with some of them."""

from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from evenkeel.adapters.history.checks import LINE_CHARACTERS_MAX, HistoryUnreadable, shown

SHOWN_MAX: Final = 5
UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class Fault(StrEnum):
    LENGTH = "too long"
    FIELDS = "fields"
    TIME = "time"
    PRICE = "price"
    DECIMALS = "decimals"
    SYMBOL = "symbol"
    SPREAD = "spread"
    RECORD = "record"
    BACK = "goes back"


class BadField(Exception):
    """What is wrong with a line: its kind, and in words with the value."""

    def __init__(self, fault: Fault, text: str) -> None:
        self.fault = fault
        super().__init__(text)


class Faults:
    """All bad lines of a file are counted by kind; the first SHOWN_MAX are kept in words."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.shown: list[str] = []

    @property
    def total(self) -> int:
        return self.counts.total()

    def add(self, place: str, fault: Fault, text: str, count: int = 1) -> None:
        """`place` names file and line; `text` is of the first of `count`."""
        self.counts[fault.value] += count
        if len(self.shown) < SHOWN_MAX:
            self.shown.append(f"{place}: {text}")


def text_lines(path: Path) -> Iterator[tuple[int, str | None]]:
    """Number (from 1) and text of each line that is not empty; None for one that is too long. UTF-8, or UTF-16 with its mark;
    what is neither is read with replacements, so it fits no field. Raises HistoryUnreadable."""
    try:
        with path.open("rb") as file:
            encoding = "utf-16" if file.read(2) in UTF_16_MARKS else "utf-8-sig"
        with path.open(encoding=encoding, errors="replace") as text:
            yield from _numbered(text.readline)
    except (OSError, UnicodeError) as error:
        raise HistoryUnreadable(f"{path}: {getattr(error, 'strerror', None) or shown(str(error))}") from error


def _numbered(readline: Callable[[int], str]) -> Iterator[tuple[int, str | None]]:
    number = 0
    while line := readline(LINE_CHARACTERS_MAX + 1):
        number += 1
        if len(line) <= LINE_CHARACTERS_MAX or line.endswith("\n"):
            if not line.isspace():
                yield number, line.rstrip("\r\n")
            continue
        while line and not line.endswith("\n"):
            line = readline(LINE_CHARACTERS_MAX + 1)
        yield number, None
