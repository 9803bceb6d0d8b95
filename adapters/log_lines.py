"""A line of the log: as JSON, and as text for a person. Both hold the same; a text is read back by its fields.

A text is one line whatever it tells of, its fields two spaces apart: time, level, words, record, then names with values. So
`grep`, `sort` and `tail` never tear one apart, and nothing that came from outside can look like another line.
"""

import re
from typing import Final

import msgspec

LEVELS: Final = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")
TRADES: Final = frozenset(
    {
        *("PositionOpened", "PositionReduced", "PositionClosed", "CloseFailed", "StopTightened"),
        *("OrderRejected", "OrderOutcomeUnknown", "OrderOutcomeResolved"),
    }
)
"""The messages whose lines tell of trades."""
NONE: Final = "-"
"""Stands in a text for a record that a line does not follow from."""
PLACES_SPLIT: Final = " | "
"""Between the places of an error in a text."""
_FIELDS: Final = re.compile(" {2,}")
_RECORD: Final = re.compile(r"(?:#(\d+)|-) (?:<(\d+)|-)")


class Line(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`t` is ISO 8601 in UTC, `name` the module. `seq` is the record of the journal that the line tells of, `cause` the one
    that led to it; None where there is none.

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
    extra: dict[str, str | int | float | None] = {}
    kind: str = ""
    symbol: str = ""


_decoder: Final = msgspec.json.Decoder(Line)


def json_of(line: Line) -> bytes:
    return msgspec.json.encode(line)


def line_of_json(row: bytes) -> Line | None:
    """None for one that was torn by a full disk."""
    try:
        return _decoder.decode(row)
    except msgspec.DecodeError:
        return None


def text_of(line: Line) -> str:
    """As it stands in a file."""
    more = {"kind": line.kind, "symbol": line.symbol, "error": line.error.replace("\n", PLACES_SPLIT)}
    return "  ".join([head_of(line), *(f"{name}={_plain(value)}" for name, value in more.items() if value)])


def head_of(line: Line) -> str:
    """The part of it that a person reads."""
    words = " ".join([line.text, *(f"{name}={value}" for name, value in line.extra.items())])
    return f"{line.t.replace('T', ' ')}  {line.level:<8}  {_plain(words) or NONE}  {record_of(line.seq, line.cause)}"


def record_of(seq: int | None, cause: int | None) -> str:
    """`#7 <5`: tells of record 7, which record 5 led to."""
    return f"{NONE if seq is None else f'#{seq}'} {NONE if cause is None else f'<{cause}'}"


def line_of_text(row: str) -> Line | None:
    """What `text_of` made, but for `name`, and with `extra` among the words; None for a row that was torn by a full disk."""
    time, level, words, record, *more = [*_FIELDS.split(row), "", "", ""][:7]
    numbers = _RECORD.fullmatch(record)
    if numbers is None or level not in LEVELS:
        return None
    seq, cause = (None if number is None else int(number) for number in numbers.groups())
    named = dict(field.split("=", 1) for field in more if "=" in field)
    return Line(
        t=time.replace(" ", "T"),
        level=level,
        text=words,
        seq=seq,
        cause=cause,
        error=named.get("error", "").replace(PLACES_SPLIT, "\n"),
        kind=named.get("kind", ""),
        symbol=named.get("symbol", ""),
    )


def printable(text: str) -> str:
    """What came from outside may hold characters that move a terminal's cursor."""
    return text if text.isprintable() else "".join(character if character.isprintable() else "?" for character in text)


def _plain(text: str) -> str:
    """On one line, and no two spaces in it."""
    return _FIELDS.sub(" ", printable(text.replace("\n", " "))).strip()
