"""Shields: a direction of a symbol that is closed and blocked, and the hedge after a stop."""

from enum import StrEnum

from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.system import Message, Observation


class ShieldReason(StrEnum):
    """Why a block shield fires (trading_rules 1.12 A): too far away, a gap through the stop, bars beyond a swing."""

    AWAY = "away"
    GAP = "gap"
    BARS = "bars"


class ShieldRaised(Message, frozen=True):
    """No order of `direction` in `symbol` is opened until it is lowered; `tickets` of ours are closed, waiting chains end.

    `measured_points` against `bound_points`.
    """

    symbol: str
    direction: Direction
    reason: ShieldReason
    measured_points: int
    bound_points: int
    until_utc_ms: int
    tickets: tuple[int, ...]


class ShieldClosing(Message, frozen=True):
    """`tickets` of the blocked direction are still open although they were to be closed: they are asked for again. Said when
    they are not those of the last time; nothing answers it."""

    symbol: str
    direction: Direction
    tickets: tuple[int, ...]


class ShieldLowered(Message, frozen=True):
    """The direction is free again. `by` "time", "trend" or a person."""

    symbol: str
    direction: Direction
    by: str


class LowerShield(Observation, frozen=True):
    """A person ends a block. Answered by CommandDone (after ShieldLowered) or CommandRefused."""

    command_id: str
    by: str
    symbol: str
    direction: Direction


class HedgeEnd(StrEnum):
    """REFUSED: never opened, or one leg only and that was closed; KILLED: price came back to the recovery's level and both
    legs are closed; STOPPED: the legs lost at their stop; EXPIRED: the window is over and the legs are closed."""

    REFUSED = "refused"
    KILLED = "killed"
    STOPPED = "stopped"
    EXPIRED = "expired"


class HedgeWanted(Message, frozen=True):
    """Hedge a stopped trade: two opposite orders until price reaches `kill_points`. Answered by HedgeEnded.

    `stop_points` is the price at which the trade was stopped, `entry_points` its own entry, `volume_steps` its volume.
    """

    plugin: str
    chain_id: str
    symbol: str
    spec_id: int
    direction: Direction
    parent_ticket: int
    level: int
    volume_steps: int
    entry_points: int
    stop_points: int
    kill_points: int
    until_utc_ms: int
    quote: Quote
    spread_median_points: int


class HedgeEnded(Message, frozen=True):
    """Nothing of the hedge is open any more. `net_cents` is what its legs brought."""

    plugin: str
    chain_id: str
    symbol: str
    end: HedgeEnd
    net_cents: int
    detail: str
