"""Reads a TOML text and finds the line of each of its keys, which the parser does not tell."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

LINE_CHARACTERS_MAX: Final = 1_000  # the parser's memory grows with the square of a dotted key's length
NESTING_MAX: Final = 16

KeyPath: TypeAlias = tuple[str, ...]

# Strings and comments come first, so that a bracket or a newline inside one is never taken for structure.
_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)


class NotToml(Exception):
    """The text says nothing that could be read. `line` is None where the fault has no line."""

    def __init__(self, text: str, line: int | None) -> None:
        super().__init__(text)
        self.line = line


def parse(text: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """The values of a TOML text, and the line, counted from 1, on which each of its keys first appears; raises NotToml.

    A key inside an inline table or an array stands on the line where its statement begins.
    """
    for line, content in enumerate(text.split("\n"), start=1):
        if len(content) > LINE_CHARACTERS_MAX:
            raise NotToml(f"is longer than {LINE_CHARACTERS_MAX} characters", line)
    try:
        table, lines = tomllib.loads(text), _lines_of(text)
    except RecursionError:
        raise NotToml(f"is nested deeper than {NESTING_MAX} levels", None) from None
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        what, _, where = str(error).partition(" (at ")
        at = re.match(r"line (\d+)", where)
        raise NotToml(f"is not TOML: {what}", int(at[1]) if at else None) from None
    for path, line in lines.items():
        if len(path) > NESTING_MAX:
            raise NotToml(f"is nested deeper than {NESTING_MAX} levels", line)
    return table, lines


def paths(value: object) -> Iterator[KeyPath]:
    """The path of every key below `value`, outer before inner. The place in an array is no part of a path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield (key,)
            yield from ((key, *path) for path in paths(inner))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from paths(item)


def _lines_of(text: str) -> dict[KeyPath, int]:
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text):
        found = list(paths(tomllib.loads(statement)))
        if statement.lstrip().startswith("["):
            table = found[-1]
        else:
            found = [(*table, *path) for path in found]
        for path in found:
            lines.setdefault(path, line)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each header, key with its value, or empty line, whole, with the line on which it begins."""
    line, start, depth = 1, 0, 0
    for token in _TOKEN.finditer(f"{text}\n"):
        match token[0]:
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
            case "\n" if depth == 0:
                statement = text[start : token.end()]
                yield line, statement
                line, start = line + statement.count("\n"), token.end()
            case _:
                pass
