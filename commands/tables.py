"""Tables on a terminal; one that is too narrow for a table gets each row as a list."""

import os
import shutil
import sys
import textwrap
from collections.abc import Collection, Sequence
from typing import Final

NARROWEST: Final = 20


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left_aligned: Collection[str], width: int | None = None
) -> list[str]:
    """Lines whose columns are as wide as their widest cell; those that are not `left_aligned` end together.

    With a `width` that they do not fit into: a line for each cell with its name, a row after the other.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        return _as_lists(header, rows, width)
    return [
        "  ".join(
            cell.ljust(width) if name in left_aligned else cell.rjust(width)
            for name, cell, width in zip(header, row, widths, strict=True)
        ).rstrip()
        for row in (header, *rows)
    ]


def columns() -> int | None:
    """How wide standard output is; None where it is no terminal and nobody said by COLUMNS: a file has no width."""
    if not os.environ.get("COLUMNS", "").isdigit() and not sys.stdout.isatty():
        return None
    return max(NARROWEST, shutil.get_terminal_size().columns)


def _as_lists(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    label = max(map(len, header)) + 2
    if width < 2 * label:
        return _below_each_other(header, rows, width)
    lines: list[str] = []
    for row in rows:
        if lines:
            lines.append("")
        for name, cell in zip(header, row, strict=True):
            named = f"{name:<{label}}"
            lines += textwrap.wrap(cell, width, initial_indent=named, subsequent_indent=" " * label) or [name]
    return lines


def _below_each_other(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Where even a name and its cell do not stand beside each other: the cell under the name."""
    lines: list[str] = []
    for row in rows:
        lines += [""] if lines else []
        for name, cell in zip(header, row, strict=True):
            lines += [name, *textwrap.wrap(cell, width, initial_indent="  ", subsequent_indent="  ")]
    return lines
