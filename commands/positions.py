"""`evenkeel positions`: what is open, with profit and distance to the stop in R."""

import argparse
import sys
from typing import Final

import msgspec

from evenkeel.adapters.os import StateError
from evenkeel.commands import exit_codes
from evenkeel.commands.status import EXIT_CODES, Supervisor, add_arguments, look
from evenkeel.commands.tables import table
from evenkeel.rules.instants import utc_text
from evenkeel.rules.view import ForeignView, PositionView, View, decimal_of
from evenkeel.runtime.clock import SystemClock

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
    try:
        seen = look(arguments.account)
        view = None if seen.view is None else msgspec.json.decode(seen.view, type=View)
    except StateError as error:
        print(f"positions: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except msgspec.DecodeError as error:
        print(f"positions: the view is not of this version of evenkeel: {error}", file=sys.stderr)
        return exit_codes.FAILED
    age_ms = None if view is None else SystemClock().now_utc_ms() - view.written_utc_ms
    if arguments.json:
        positions, foreign = (view.positions, view.foreign) if view else ((), ())
        report = PositionsReport(seen.supervisor, seen.why, age_ms, positions, foreign)
        print(msgspec.json.encode(report).decode())
    elif view is not None:
        print("\n".join(_lines(view)))
    if seen.why:
        age = "" if age_ms is None else f", {age_ms / 1000:.1f} s old"
        print(f"positions: {seen.why}{age}", file=sys.stderr)
    return EXIT_CODES[seen.supervisor]


def _lines(view: View) -> list[str]:
    rows = [_row(position, view) for position in view.positions] + [_foreign_row(seen) for seen in view.foreign]
    return table(HEADER, rows, left_aligned=LEFT_ALIGNED) if rows else ["no positions"]


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
