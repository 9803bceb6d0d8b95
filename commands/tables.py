"""Tables on a terminal; one that is too narrow for a table gets each row as a list."""

import os
import shutil
import sys
import textwrap
from collections.abc import Collection, Sequence
from typing import Final, TextIO

NARROWEST: Final = 20
FOLDED_MIN: Final = 24
"""A last column that has less than this is no pleasure to read."""
BELOW: Final = "    "


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left_aligned: Collection[str], width: int | None = None
) -> list[str]:
    """Lines whose columns are as wide as their widest cell; those that are not `left_aligned` end together.

    With a `width` that they do not fit into the last column is folded; where that leaves it less than FOLDED_MIN it stands on
    lines of its own below each row, and so do the words before it as far as they must; where numbers would have to, or fewer
    than two columns were left: a line for each cell with its name, a row after the other.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        left = width - sum(widths[:-1]) - 2 * (len(widths) - 1)
        if left < FOLDED_MIN:
            above = _columns_above(header, widths, left_aligned, width)
            return _last_below(header, rows, widths, left_aligned, width, above) if above else _as_lists(header, rows, width)
        return _folded(header, rows, [*widths[:-1], left], left_aligned)
    return [_line(header, row, widths, left_aligned) for row in (header, *rows)]


def columns(stream: TextIO | None = None) -> int | None:
    """How wide `stream` (standard output) is; None where it is no terminal and nobody said by COLUMNS: a file has no width."""
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and int(told):
        return max(NARROWEST, int(told))
    stream = stream or sys.stdout
    if not stream.isatty():
        return None
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        width = 0
    return max(NARROWEST, width or shutil.get_terminal_size().columns)


def folded(text: str, *, indent: int = 2, stream: TextIO | None = None) -> str:
    """Lines that fit into `stream`, each going on below itself `indent` further in; words and paths stay whole."""
    width = columns(stream)
    if width is None:
        return text
    below = " " * (indent if width - indent >= NARROWEST else 2)
    lines = (
        textwrap.wrap(line, width, subsequent_indent=below, break_on_hyphens=False, break_long_words=False) or [""]
        for line in text.splitlines()
    )
    return "\n".join(part for line in lines for part in line)


def _line(header: Sequence[str], row: Sequence[str], widths: Sequence[int], left_aligned: Collection[str]) -> str:
    cells = zip(header, row, widths, strict=True)
    return "  ".join(cell.ljust(width) if name in left_aligned else cell.rjust(width) for name, cell, width in cells).rstrip()


def _folded(
    header: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], left_aligned: Collection[str]
) -> list[str]:
    """The last column of each row goes on below itself."""
    lines: list[str] = []
    for row in (header, *rows):
        first, *more = textwrap.wrap(row[-1], widths[-1]) or [""]
        lines.append(_line(header, (*row[:-1], first), widths, left_aligned))
        lines += [" " * (sum(widths[:-1]) + 2 * (len(widths) - 1)) + words for words in more]
    return lines


def _columns_above(header: Sequence[str], widths: Sequence[int], left_aligned: Collection[str], width: int) -> int:
    """How many columns fit beside each other when the words after them stand below; 0: fewer than two."""
    for above in range(len(header) - 1, 1, -1):
        if header[above] not in left_aligned:
            return 0
        if sum(widths[:above]) + 2 * (above - 1) <= width:
            return above
    return 0


def _last_below(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    left_aligned: Collection[str],
    width: int,
    above: int,
) -> list[str]:
    """Each of the last columns on lines of its own below its row."""
    lines: list[str] = []
    for row in (header, *rows):
        lines.append(_line(header[:above], row[:above], widths[:above], left_aligned))
        for cell in [", ".join(header[above:])] if row is header else row[above:]:
            lines += textwrap.wrap(cell, width, initial_indent=BELOW, subsequent_indent=BELOW)
    return lines


def _as_lists(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    label = max(map(len, header)) + 2
    if width < 2 * label:
        return _below_each_other(header, rows, width)
    lines: list[str] = []
    for row in rows:
        if lines:
            lines.append("")
        for name, cell in zip(header, row, strict=True):
            if not cell:
                continue
            named = f"{name:<{label}}"
            lines += textwrap.wrap(cell, width, initial_indent=named, subsequent_indent=" " * label)
    return lines


def _below_each_other(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Where even a name and its cell do not stand beside each other: the cell under the name."""
    lines: list[str] = []
    for row in rows:
        lines += [""] if lines else []
        for name, cell in zip(header, row, strict=True):
            lines += [name, *textwrap.wrap(cell, width, initial_indent="  ", subsequent_indent="  ")]
    return lines
