"""What a person wants to see of a run. A View is JSON with a version: fields are only added.

Money is in cents of the account; prices and volumes are decimal strings with the symbol's own digits.
"""

from typing import Final, Literal, TypeVar

import msgspec

from evenkeel.messages.market import Direction, SymbolSpec
from evenkeel.messages.operator import Mode

LOT_DIGITS_MAX: Final = 19


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    pass


Shown = TypeVar("Shown", bound=_Shown)


class RunView(_Shown, frozen=True):
    """`started_utc_ms` is real time; None when it is not known any more."""

    build: str
    account: str
    started_utc_ms: int | None
    continued: bool


class HoldView(_Shown, frozen=True):
    """`until_utc_ms` 0 holds until a person rearms."""

    who: str
    scope: str
    reason: str
    until_utc_ms: int


class ChildView(_Shown, frozen=True):
    """`restarts` counts since the process started."""

    name: str
    serving: bool
    incarnation: int
    restarts: int


class PositionView(_Shown, frozen=True):
    """`mark` is the price that would close it now; `r` the move from entry to there over the first stop's distance.

    `profit_cents` is that move's worth without commission and swap. None is what is not known: no quote, no terms of the
    symbol. `closing`: a close was asked for and has failed so far.
    """

    ticket: int
    symbol: str
    direction: Direction
    volume_lots: str | None
    entry: str | None
    stop: str | None
    target: str | None
    mark: str | None
    opened_utc_ms: int
    r: float | None
    profit_cents: int | None
    strategy: str
    closing: bool


class ForeignView(_Shown, frozen=True):
    """A position that is not ours."""

    ticket: int
    symbol: str
    direction: Direction
    volume_lots: str | None
    entry: str | None


class FlattenView(_Shown, frozen=True):
    """What is being closed until the broker shows none of it: tickets of ours that are left, foreign ones that stay."""

    scope: str
    tickets: tuple[int, ...]
    foreign: tuple[int, ...]


class UnprotectedView(_Shown, frozen=True):
    """A position whose protection lacks something: see messages.protection.Gap."""

    ticket: int
    symbol: str
    gap: str


class ForeignOrderView(_Shown, frozen=True):
    """An order of somebody else that waits at the broker."""

    ticket: int
    symbol: str
    direction: Direction
    volume_lots: str | None
    price: str | None


class UnknownOrder(_Shown, frozen=True):
    """An order of which nobody knows whether it was executed."""

    proposal_id: str
    symbol: str
    direction: Direction


class AccountView(_Shown, frozen=True):
    """As last read from the broker."""

    balance_cents: int
    equity_cents: int
    currency: str
    currency_digits: int


class ChainView(_Shown, frozen=True):
    """A chain that is not over. `state` is where it stands, `level` which of its trades or levels it is at; `step` is what
    brought it there."""

    chain_id: str
    plugin: str
    symbol: str
    state: str
    level: int
    step: str


class ShieldView(_Shown, frozen=True):
    """No order of `direction` is opened in `symbol`; `until_utc_ms` is when it is lowered at the latest."""

    symbol: str
    direction: Direction
    reason: str
    until_utc_ms: int


class BreakerView(_Shown, frozen=True):
    """A scope that is not at its normal level, or begins again after one: `phase` 1 to 4."""

    scope: str
    level: str
    phase: int
    size_ppm: int
    reason: str


class RecoveriesToday(_Shown, frozen=True):
    """Of the trading day (trading_rules 1.10.4). An attempt is an order of a recovery that was opened; it succeeded when it
    closed with no net loss. `profit_booked_cents` is the net of the orders that were booked, `losses_cents` what the
    recoveries lost that failed."""

    attempts: int = 0
    successes: int = 0
    failures: int = 0
    profit_booked_cents: int = 0
    losses_cents: int = 0


class Today(_Shown, frozen=True):
    """Closed trades of the trading day with their net money, and what was refused, by reason."""

    trades: int = 0
    won: int = 0
    net_cents: int = 0
    refusals: dict[str, int] = {}


class LimitView(_Shown, frozen=True):
    """A limit that is on: `used` of `limit`, both in `unit` (count, cents). `room_ratio` 1.0 is untouched, 0.0 reached."""

    name: str
    used: int
    limit: int
    room_ratio: float
    unit: str


class Event(_Shown, frozen=True):
    """`time_utc_ms` is None for what a restarted reporter read again: a fold knows no times."""

    time_utc_ms: int | None
    text: str


class View(_Shown, frozen=True, kw_only=True):
    """`written_utc_ms` is real time; `now_utc_ms` and the times of what happened are the run's clock (market time in a demo).

    Limits in money are measured at the account's readings, so risk_limit, which also hears deals and bars, may be ahead.
    `chains` are the newest, `chains_more` how many more there are.
    """

    v: Literal[1] = 1
    written_utc_ms: int
    now_utc_ms: int
    run: RunView | None
    mode: Mode
    epoch: int
    agreed: bool
    trading_day: str
    holds: tuple[HoldView, ...]
    children: tuple[ChildView, ...]
    positions: tuple[PositionView, ...]
    foreign: tuple[ForeignView, ...]
    unknown_orders: tuple[UnknownOrder, ...]
    stale: tuple[str, ...]
    account: AccountView | None
    today: Today
    limits: tuple[LimitView, ...]
    events: tuple[Event, ...]
    flattening: tuple[FlattenView, ...] = ()
    unprotected: tuple[UnprotectedView, ...] = ()
    taken_over: tuple[str, ...] = ()
    foreign_orders: tuple[ForeignOrderView, ...] = ()
    chains: tuple[ChainView, ...] = ()
    chains_more: int = 0
    shields: tuple[ShieldView, ...] = ()
    breakers: tuple[BreakerView, ...] = ()
    recoveries: RecoveriesToday = RecoveriesToday()


def decimal_of(amount: int, digits: int) -> str:
    """Points or cents as the decimal that they stand for, exactly."""
    whole, rest = divmod(abs(amount), 10**digits)
    return f"{'-' if amount < 0 else ''}{whole}" + (f".{rest:0{digits}d}" if digits else "")


def signed(cents: int, digits: int) -> str:
    """`decimal_of` with a plus in front of a gain."""
    return f"{'+' if cents > 0 else ''}{decimal_of(cents, digits)}"


def points_between(price: str, other: str) -> int:
    """How many points `other` lies above `price`, of two prices of one symbol."""
    return int(other.replace(".", "")) - int(price.replace(".", ""))


def lots_of(volume_steps: int, spec: SymbolSpec) -> str:
    """Exact: a step is a decimal fraction of a lot."""
    digits = next(digits for digits in range(LOT_DIGITS_MAX) if 10**digits % spec.steps_per_lot == 0)
    return decimal_of(volume_steps * 10**digits // spec.steps_per_lot, digits)
