"""What an account looked like at a moment, in numbers that can be drawn: the minute snapshots (trading_rules 2.6).

`count` keeps what was said, `snapshot_of` shows it. Money is in cents of the account. Nothing here reads a clock or a file.
"""

from typing import Literal, assert_never

import msgspec

from evenkeel.messages.broker_gateway import AccountRead, CashMoved, OrderRejected
from evenkeel.messages.entry import EntryProposed, OrderDenied, SignalRaised
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.losses import EquityMarks, at_day_start, sampled, shifted
from evenkeel.rules.money import capital_cents_of
from evenkeel.rules.sizing import PPM

BROKER = "broker"
"""Who refused, where no actor of ours did."""

Counted = (
    SignalRaised
    | EntryProposed
    | OrderDenied
    | OrderRejected
    | PositionOpened
    | PositionClosed
    | AccountRead
    | CashMoved
    | TradingDayStarted
)


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """Counted since the account's first run. `denied` is by who refused: position, risk_limit, broker_gateway, broker, …"""

    signals: int = 0
    proposals: int = 0
    opened: int = 0
    denied: dict[str, int] = {}


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """Counted since the process started: quotes that were looked at for every armed level, and samples that were said."""

    quotes: int = 0
    samples: int = 0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file. `utc_ms` is the run's clock, market time in a demo; `written_utc_ms` is real time.

    None is what is not known yet: nothing was read from the broker, nothing was closed. `equity_cents` holds what floats.
    `day_cents` is equity against that of the day's start, without deposits and withdrawals; `day_net_cents` and
    `total_net_cents` are of closed trades after costs. `trades` and `won` are lifetime, so is `win_ratio` (won of closed).
    `drawdown_ppm` is equity below its highest, `drawdown_max_ppm` the deepest that was seen; both of equity with what floats,
    money that came or went left out. `lost` counts the snapshots before this one that could not be written, `alarms` what the
    health checks find wrong.
    """

    v: Literal[1] = 1
    utc_ms: int
    written_utc_ms: int
    balance_cents: int | None
    equity_cents: int | None
    currency: str
    currency_digits: int
    positions: int
    trading_day: str
    day_cents: int | None
    day_net_cents: int
    total_net_cents: int
    trades: int
    won: int
    day_trades: int
    win_ratio: float | None
    drawdown_ppm: int | None
    drawdown_max_ppm: int
    decisions: Decisions
    loop: Loop
    alarms: int = 0
    lost: int = 0


class Tally(msgspec.Struct):
    """What snapshots are made of. `open` are the tickets of positions of ours, `marks` equity with its peak of all time."""

    open: list[int] = []
    account: AccountRead | None = None
    marks: EquityMarks = EquityMarks()
    drawdown_max_ppm: int = 0
    trading_day: str = ""
    day_net_cents: int = 0
    day_trades: int = 0
    total_net_cents: int = 0
    trades: int = 0
    won: int = 0
    signals: int = 0
    proposals: int = 0
    opened: int = 0
    denied: dict[str, int] = {}


def count(tally: Tally, message: Counted) -> None:
    """Keep what `message` adds."""
    match message:
        case SignalRaised():
            tally.signals += 1
        case EntryProposed():
            tally.proposals += 1
        case OrderDenied(by=by):
            _denied(tally, by.partition("/")[0])
        case OrderRejected():
            _denied(tally, BROKER)
        case PositionOpened(ticket=ticket):
            if ticket not in tally.open:
                tally.open.append(ticket)
                tally.opened += 1
        case PositionClosed():
            _closed(tally, message)
        case AccountRead():
            tally.account, tally.marks = message, sampled(tally.marks, message.equity_cents)
            tally.drawdown_max_ppm = max(tally.drawdown_max_ppm, drawdown_ppm(tally.marks) or 0)
        case CashMoved(cash):
            tally.marks = shifted(tally.marks, capital_cents_of(cash))
        case TradingDayStarted(day=day):
            tally.trading_day, tally.day_net_cents, tally.day_trades = day, 0, 0
            tally.marks = at_day_start(tally.marks)
        case _:
            assert_never(message)


def drawdown_ppm(marks: EquityMarks) -> int | None:
    """How far equity is below its peak, rounded up; None before the first sample, and where the peak is no money."""
    if marks.equity_cents is None or marks.peak_cents is None or marks.peak_cents <= 0:
        return None
    return -((marks.equity_cents - marks.peak_cents) * PPM // marks.peak_cents)


def snapshot_of(tally: Tally, loop: Loop, *, utc_ms: int, written_utc_ms: int, alarms: int, lost: int) -> Snapshot:
    account, marks = tally.account, tally.marks
    day_known = marks.equity_cents is not None and marks.day_base_cents is not None
    return Snapshot(
        utc_ms=utc_ms,
        written_utc_ms=written_utc_ms,
        balance_cents=account.balance_cents if account else None,
        equity_cents=account.equity_cents if account else None,
        currency=account.currency if account else "",
        currency_digits=account.currency_digits if account else 2,
        positions=len(tally.open),
        trading_day=tally.trading_day,
        day_cents=(marks.equity_cents or 0) - (marks.day_base_cents or 0) if day_known else None,
        day_net_cents=tally.day_net_cents,
        total_net_cents=tally.total_net_cents,
        trades=tally.trades,
        won=tally.won,
        day_trades=tally.day_trades,
        win_ratio=tally.won / tally.trades if tally.trades else None,
        drawdown_ppm=drawdown_ppm(marks),
        drawdown_max_ppm=tally.drawdown_max_ppm,
        decisions=Decisions(signals=tally.signals, proposals=tally.proposals, opened=tally.opened, denied=dict(tally.denied)),
        loop=loop,
        alarms=alarms,
        lost=lost,
    )


def _denied(tally: Tally, by: str) -> None:
    tally.denied[by] = tally.denied.get(by, 0) + 1


def _closed(tally: Tally, closed: PositionClosed) -> None:
    """An order that never became a position is no trade; a trade that nets 0 is not won."""
    if closed.ticket in tally.open:
        tally.open.remove(closed.ticket)
    if closed.reason is ExitReason.NEVER_OPENED:
        return
    tally.trades, tally.day_trades = tally.trades + 1, tally.day_trades + 1
    tally.won += closed.net_cents > 0
    tally.day_net_cents += closed.net_cents
    tally.total_net_cents += closed.net_cents
