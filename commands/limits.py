"""`evenkeel limits`: how much room each limit has left, and what follows when it is reached."""

import argparse
from typing import Final

import msgspec

from evenkeel.commands import status
from evenkeel.commands.status import Supervisor
from evenkeel.commands.tables import columns, table
from evenkeel.commands.viewed import ended, viewed
from evenkeel.rules.limit_words import EFFECTS, PER_ORDER, amount_words
from evenkeel.rules.view import LimitView, View

HEADER: Final = ("limit", "room left", "used", "of", "when it is reached")
LEFT_ALIGNED: Final = ("limit", "room left", "when it is reached")
BAR_CHARACTERS: Final = 10

EXPLANATION: Final = "these have no row, for an order is measured against them, not the account:\n" + "\n".join(
    f"  {name:<29} {text}" for name, text in PER_ORDER.items()
)


class LimitRow(msgspec.Struct, frozen=True):
    """`used` of `limit`, both in `unit` (count, cents); `effect` is what follows when it is reached."""

    name: str
    used: int
    limit: int
    unit: str
    room_ratio: float
    effect: str


class PerOrder(msgspec.Struct, frozen=True):
    """A limit that only an order is measured against."""

    name: str
    measures: str


class LimitsReport(msgspec.Struct, frozen=True):
    """What `--json` prints; `age_ms` is how old it is, null where nothing is known. `per_order` are those without room to
    show, whether they are on or off."""

    supervisor: Supervisor
    why: str
    age_ms: int | None
    limits: tuple[LimitRow, ...]
    v: int = 1
    per_order: tuple[PerOrder, ...] = tuple(PerOrder(*item) for item in PER_ORDER.items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    status.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit status as that of `status`."""
    told = viewed("limits", arguments.account)
    if isinstance(told, int):
        return told
    if arguments.json:
        rows = tuple(_row(limit) for limit in told.view.limits) if told.view else ()
        print(msgspec.json.encode(LimitsReport(told.seen.supervisor, told.seen.why, told.age_ms, rows)).decode())
    elif told.view is not None:
        print("\n".join(_lines(told.view)))
    return ended("limits", told)


def _row(limit: LimitView) -> LimitRow:
    effect = EFFECTS.get(limit.name, "")
    return LimitRow(limit.name, limit.used, limit.limit, limit.unit, limit.room_ratio, effect)


def _lines(view: View) -> list[str]:
    digits = view.account.currency_digits if view.account else 2
    rows = [
        (
            limit.name,
            bar(limit.room_ratio),
            amount_words(limit, limit.used, digits),
            amount_words(limit, limit.limit, digits),
            EFFECTS.get(limit.name, ""),
        )
        for limit in view.limits
    ]
    return table(HEADER, rows, left_aligned=LEFT_ALIGNED, width=columns()) if rows else ["every limit that has room is off"]


def bar(room_ratio: float) -> str:
    """What is left, rounded down: an empty bar may have a little, a full one is untouched."""
    full = int(room_ratio * BAR_CHARACTERS)
    return f"{'#' * full}{'.' * (BAR_CHARACTERS - full)} {int(room_ratio * 100):3d} %"
