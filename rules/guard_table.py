"""Where every guard's word meets: mode, holds, shields, who is down, whether the broker agrees. New risk needs all of them.

It says nothing about exits: they never ask here.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from evenkeel.messages.entry import DenialReason
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import ACCOUNT, HoldPlaced, Mode
from evenkeel.messages.shield import ShieldLowered, ShieldRaised
from evenkeel.messages.system import ChildDown, MessageParked
from evenkeel.rules.entries import Refusal
from evenkeel.rules.scopes import covers

SUPERVISION: Final = "supervision"
CRASHES_BEFORE_HOLD: Final = 2


class GuardTable(msgspec.Struct):
    """`holds` by "who scope"; `down` are the guards that do not serve; `agreed` says that the broker's readings match.

    `shields` by "symbol direction": each stands until it is lowered, also past its time.
    """

    mode: Mode = Mode.CLOSE_ONLY
    epoch: int = 0
    agreed: bool = False
    holds: dict[str, HoldPlaced] = {}
    down: list[str] = []
    shields: dict[str, ShieldRaised] = {}


def place(table: GuardTable, hold: HoldPlaced) -> None:
    table.holds[f"{hold.who} {hold.scope}"] = hold


def end(table: GuardTable, who: str, scope: str) -> None:
    table.holds.pop(f"{who} {scope}", None)


def raise_shield(table: GuardTable, raised: ShieldRaised) -> None:
    table.shields[_direction_key(raised.symbol, raised.direction)] = raised


def lower_shield(table: GuardTable, lowered: ShieldLowered) -> None:
    table.shields.pop(_direction_key(lowered.symbol, lowered.direction), None)


def rearm(table: GuardTable) -> None:
    """A person has looked: holds without an end are over. Shields are not: those are lowered one by one."""
    table.holds = {key: hold for key, hold in table.holds.items() if hold.until_utc_ms}


def mark_down(table: GuardTable, child: str) -> None:
    if child not in table.down:
        table.down.append(child)


def mark_serving(table: GuardTable, child: str) -> None:
    if child in table.down:
        table.down.remove(child)


def entry_refusal(
    table: GuardTable, symbol: str, now_utc_ms: int, *, strategy: str = "", direction: Direction | None = None
) -> Refusal | None:
    """Why `strategy` may take no new risk in `symbol` now; None: nothing stands against it. "" is no strategy, a direction of
    None asks for no shield."""
    return next(entry_refusals(table, symbol, now_utc_ms, strategy=strategy, direction=direction), None)


def entry_refusals(
    table: GuardTable, symbol: str, now_utc_ms: int, *, strategy: str = "", direction: Direction | None = None
) -> Iterator[Refusal]:
    """All that stands against new risk of `strategy` in `symbol` now, the gravest first; see `entry_refusal`."""
    if table.mode is not Mode.RUN:
        yield Refusal(DenialReason.MODE, detail=table.mode.value)
    if not table.agreed:
        yield Refusal(DenialReason.UNRECONCILED)
    for child in table.down:
        if not child.startswith("position/") or child == f"position/{symbol}":
            yield Refusal(DenialReason.GUARD_DOWN, detail=child)
    for hold in table.holds.values():
        is_over = 0 < hold.until_utc_ms <= now_utc_ms
        if covers(hold.scope, symbol=symbol, strategy=strategy) and not is_over:
            left_ms = hold.until_utc_ms - now_utc_ms if hold.until_utc_ms else 0
            yield Refusal(DenialReason.HOLD, left_ms, 0, "ms", f"{hold.who}: {hold.reason}")
    shield = None if direction is None else table.shields.get(_direction_key(symbol, direction))
    if shield is not None:
        why = f"{shield.reason.value}, {shield.measured_points} points against {shield.bound_points}"
        yield Refusal(DenialReason.SHIELD, max(0, shield.until_utc_ms - now_utc_ms), 0, "ms", why)


def hold_after(trouble: ChildDown | MessageParked) -> HoldPlaced | None:
    """A position actor's second crash, or any parked message, closes entries until a person rearms.

    The scope is the symbol where the child belongs to one, else the account.
    """
    folder, _, symbol = trouble.child.partition("/")
    scope = symbol if folder == "position" else ACCOUNT
    match trouble:
        case MessageParked():
            return HoldPlaced(SUPERVISION, scope, f"{trouble.child} crashed twice on {trouble.kind} {trouble.seq}", 0)
        case ChildDown():
            if folder != "position" or trouble.crashes < CRASHES_BEFORE_HOLD:
                return None
            return HoldPlaced(SUPERVISION, scope, f"{trouble.child} crashed {trouble.crashes} times", 0)


def _direction_key(symbol: str, direction: Direction) -> str:
    return f"{symbol} {direction.value}"
