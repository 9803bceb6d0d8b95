"""One setting put into the text of a configuration file; everything else of the text, comments too, stays as it is.

NotInsertable   the text has a form that is not understood well enough: a person writes the line
"""

import re
from typing import Final

from evenkeel.config.locate import parse

_COMMENT_COLUMN: Final = 38


class NotInsertable(Exception):
    """One line."""


def with_number(text: str, table: str, key: str, number: int, comment: str) -> str:
    """`text` in which `key` of `table` is `number`. Raises NotInsertable, or NotToml.

    The result was read again: it differs from `text` in this one value.
    """
    before, lines = parse(text)
    rows = text.splitlines(keepends=True)
    new = f"{key} = {number}"
    if (table, key) in lines:
        changed = _replaced(rows, lines[table, key] - 1, key, number)
    elif (table,) not in lines:
        changed = [*rows, "" if not rows or rows[-1].endswith("\n") else _end_of(rows), _end_of(rows)]
        changed += [f"[{table}]{_end_of(rows)}", f"{new:{_COMMENT_COLUMN}} # {comment}{_end_of(rows)}"]
    elif re.match(rf"\s*\[\s*{re.escape(table)}\s*\]", rows[at := lines[(table,)] - 1]):
        header = rows[at] if rows[at].endswith("\n") else rows[at] + _end_of(rows)
        changed = [*rows[:at], header, f"{new:{_COMMENT_COLUMN}} # {comment}{_end_of(rows)}", *rows[at + 1 :]]
    else:
        raise NotInsertable(f"line {lines[(table,)]}: [{table}] is not written as a table of its own: put {key} there by hand")
    result = "".join(changed)
    if parse(result)[0] != {**before, table: {**before.get(table, {}), key: number}}:
        raise NotInsertable(f"{key} cannot be put into [{table}] without a change of something else: write it by hand")
    return result


def _replaced(rows: list[str], at: int, key: str, number: int) -> list[str]:
    found = re.match(rf"(.*?\b{re.escape(key)}\s*=\s*)[0-9_]+(.*)", rows[at], re.DOTALL)
    if found is None:
        raise NotInsertable(f"line {at + 1}: the value of {key} is not a plain number: write it by hand")
    return [*rows[:at], f"{found[1]}{number}{found[2]}", *rows[at + 1 :]]


def _end_of(rows: list[str]) -> str:
    """How lines end there."""
    return "\r\n" if rows and rows[0].endswith("\r\n") else "\n"
