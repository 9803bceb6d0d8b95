"""`evenkeel positions`: what is open, with profit and distance to the stop in R."""

import argparse
from typing import Final

import msgspec

from evenkeel.commands.status import Supervisor, add_arguments
from evenkeel.commands.tables import columns, table
from evenkeel.commands.viewed import ended, viewed
from evenkeel.rules.instants import utc_text
from evenkeel.rules.view import ForeignView, PositionView, View, decimal_of

HEADER: Final = ("ticket", "symbol", "side", "lots", "entry", "stop", "target", "now", "R", "profit", "opened", "by")
LEFT_ALIGNED: Final = ("symbol", "side", "opened", "by")


__all__ = ["add_arguments", "run"]


class PositionsReport(msgspec.Struct, frozen=True):
    """What `--json` prints; `age_ms` is how old it is, null where nothing is known."""

    supervisor: Supervisor
    why: str
    age_ms: int | None
    positions: tuple[PositionView, ...]
    foreign: tuple[ForeignView, ...]
    v: int = 1


def run(arguments: argparse.Namespace) -> int:
    """Exit status as that of `status`."""
    told = viewed("positions", arguments.account)
    if isinstance(told, int):
        return told
    if arguments.json:
        positions, foreign = (told.view.positions, told.view.foreign) if told.view else ((), ())
        report = PositionsReport(told.seen.supervisor, told.seen.why, told.age_ms, positions, foreign)
        print(msgspec.json.encode(report).decode())
    elif told.view is not None:
        print("\n".join(_lines(told.view)))
    return ended("positions", told)


def _lines(view: View) -> list[str]:
    rows = [_row(position, view) for position in view.positions] + [_foreign_row(seen) for seen in view.foreign]
    return table(HEADER, rows, left_aligned=LEFT_ALIGNED, width=columns()) if rows else ["no positions"]


def _row(position: PositionView, view: View) -> tuple[str, ...]:
    money_digits = view.account.currency_digits if view.account else 2
    return (
        str(position.ticket),
        position.symbol,
        position.direction.value,
        position.volume_lots or "?",
        position.entry or "?",
        position.stop or "-",
        position.target or "-",
        position.mark or "?",
        "?" if position.r is None else f"{position.r:+.2f}",
        "?" if position.profit_cents is None else decimal_of(position.profit_cents, money_digits),
        utc_text(position.opened_utc_ms),
        position.strategy + (", closing" if position.closing else ""),
    )


def _foreign_row(seen: ForeignView) -> tuple[str, ...]:
    first = str(seen.ticket), seen.symbol, seen.direction.value, seen.volume_lots or "?", seen.entry or "?"
    return (*first, "-", "-", "?", "?", "?", "?", "not ours")
