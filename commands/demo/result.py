"""What `evenkeel demo --json` prints at the end of the show."""

from collections.abc import Mapping, Sequence

import msgspec

from evenkeel.messages.position import PositionClosed
from evenkeel.rules.report import report_of


class DemoReport(msgspec.Struct, frozen=True):
    """`faults` are why it is not `good`; `back_ms` is null where the killed actor did not come back."""

    good: bool
    faults: tuple[str, ...]
    trades: int
    won: int
    net_cents: int
    currency: str
    average_r: float | None
    exits: dict[str, int]
    left_open: int
    refused: dict[str, int]
    killed: str | None
    back_ms: float | None
    records: int
    v: int = 1


def demo_report(
    closed: Sequence[PositionClosed],
    *,
    opened: int,
    refused: Mapping[str, int],
    faults: Sequence[str],
    killed: str | None,
    back_ms: float | None,
    currency: str,
    records: int,
) -> DemoReport:
    report = report_of(closed)
    return DemoReport(
        good=not faults,
        faults=tuple(faults),
        trades=report.trades,
        won=report.won,
        net_cents=report.net_cents,
        currency=currency,
        average_r=report.average_r,
        exits=report.exits,
        left_open=opened - report.trades,
        refused=dict(refused),
        killed=killed,
        back_ms=back_ms,
        records=records,
    )
