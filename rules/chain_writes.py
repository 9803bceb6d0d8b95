"""One write of a chain at a time: what its owner gave to the store of its plugin, and what the store has.

A change that comes while a write is on its way is written after it.
"""

from typing import Final, TypeVar

import msgspec

from evenkeel.messages.profit_booking import Pyramid
from evenkeel.messages.recovery import Chain
from evenkeel.rules.tries import back_off_ms

WRITES_MAX: Final = 3
"""So often a chain is given again to a store that does not take it, until something changes."""

Row = TypeVar("Row", Chain, Pyramid)


class Writing(msgspec.Struct):
    """`asked` is what was given to the store last, `saved_version` what it has; `failed` counts its refusals of `asked`."""

    asked: Chain | Pyramid | None = None
    saved_version: int = 0
    is_on_its_way: bool = False
    failed: int = 0


def next_write(writing: Writing, row: Row, now_utc_ms: int) -> Row | None:
    """The version to give to the store, on its way from now on. None: nothing is new, or a write is on its way."""
    if writing.is_on_its_way or row == writing.asked:
        return None
    row = msgspec.structs.replace(row, version=writing.saved_version + 1, updated_utc_ms=now_utc_ms)
    writing.asked, writing.is_on_its_way = row, True
    return row


def is_awaited(writing: Writing, version: int) -> bool:
    """Whether the store's answer is about the write on its way."""
    return writing.is_on_its_way and writing.asked is not None and version == writing.asked.version


def written(writing: Writing, row: Chain | Pyramid) -> bool:
    """The store has it. Whether that is all there is to write."""
    assert writing.asked is not None, "the store has what it was given"
    writing.is_on_its_way, writing.failed, writing.saved_version = False, 0, writing.asked.version
    return row == writing.asked


def not_written(writing: Writing, row: Chain | Pyramid, now_utc_ms: int) -> int | None:
    """The store does not have it. When it is to be given again; None: WRITES_MAX times were enough, until it changes."""
    writing.failed += 1
    if writing.failed > WRITES_MAX:
        writing.is_on_its_way, writing.failed, writing.asked = False, 0, row
        return None
    return now_utc_ms + back_off_ms(writing.failed)


def write_again(writing: Writing) -> None:
    writing.is_on_its_way, writing.asked = False, None
