"""Which lines of the broker's history were told already. Most come in the order of their tickets; a few are shown late."""

from collections.abc import Sequence
from typing import Final

KEPT: Final = 32
"""So many newest tickets are known one by one: a late one counts when it is above the lowest of them."""


def is_new(ticket: int, newest: int, recent: Sequence[int]) -> bool:
    """`recent` ascends to `newest`; everything up to its first was told, or is too old to be. Empty: all up to `newest`."""
    return ticket > newest or (bool(recent) and ticket > recent[0] and ticket not in recent)


def keep(ticket: int, newest: int, recent: list[int]) -> int:
    """It is told now: `recent` is brought up to date. Returns the newest ticket; a line that was told changes nothing."""
    if not is_new(ticket, newest, recent):
        return newest
    if not recent:
        recent.append(newest)
    recent.append(ticket)
    if ticket < newest:
        recent.sort()
    del recent[:-KEPT]
    return max(ticket, newest)
