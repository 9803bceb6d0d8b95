"""Re-entry chains: what a chain is, the steps that it takes, and what it asks of the limits."""

from enum import StrEnum

import msgspec

from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.system import Message, Observation


class ChainStatus(StrEnum):
    """What a person is shown of a chain. STALE: its trade is gone, and no deal says why."""

    ACTIVE = "active"
    RECOVERY_MODE = "recovery_mode"
    STOPPED = "stopped"
    COMPLETED = "completed"
    STALE = "stale"


class ChainState(StrEnum):
    """Where a re-entry chain stands. PLACING: its next order was asked for, and what became of it is not known."""

    ACTIVE = "active"
    AWAITING_TP = "awaiting_tp"
    AWAITING_EXIT = "awaiting_exit"
    RECOVERY_MODE = "recovery_mode"
    HEDGED = "hedged"
    PLACING = "placing"
    RECOVERING = "recovering"
    STOPPED = "stopped"
    COMPLETED = "completed"


class ChainStepped(Message, frozen=True):
    """A chain of `owner` ("recovery", "profit_booking") went from one state to another, and why. Nothing answers it.

    `ticket` is the trade that it is about, 0 for none; `level` the chain's after the step; `detail` has the numbers.
    `net_cents` is what the trade brought whose end the step is, 0 where it is none.
    """

    owner: str
    plugin: str
    chain_id: str
    symbol: str
    before: str
    after: str
    event: str
    level: int
    ticket: int
    detail: str
    net_cents: int = 0


class ChainEnded(Message, frozen=True):
    """The chain takes no more steps: what was reserved for it is free. `booked_cents` is the net of all of its trades."""

    plugin: str
    chain_id: str
    symbol: str
    status: ChainStatus
    reason: str
    booked_cents: int


class ChainWaits(Message, frozen=True):
    """The chain takes the next signal of `plugin` in `direction` as its own re-entry (`ReentrySignalled`), until
    `ChainWaitOver`."""

    plugin: str
    chain_id: str
    symbol: str
    direction: Direction


class ChainWaitOver(Message, frozen=True):
    plugin: str
    chain_id: str
    symbol: str


class ReentrySignalled(Message, frozen=True):
    """A signal of the strategy came while its chain waits for one like it: no fresh chain is opened."""

    plugin: str
    chain_id: str
    symbol: str
    quote: Quote
    spread_median_points: int


class ReserveRecovery(Message, frozen=True):
    """Keep one of the day's recoveries for `recovery_id` (the chain and the ticket that was lost). Answered by
    RecoveryReserved or RecoveryRefused, to `owner`."""

    owner: str
    recovery_id: str
    plugin: str
    chain_id: str
    symbol: str


class FreeRecovery(Message, frozen=True):
    """The recovery is over, or will not be. Unknown ones are ignored."""

    recovery_id: str


class StopChain(Observation, frozen=True):
    """A person ends a chain of `plugin`: its waits are over and its orders are closed. Answered by CommandDone or
    CommandRefused."""

    command_id: str
    by: str
    plugin: str
    chain_id: str


class Chain(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A re-entry chain, whole (trading_rules 1.2). Level n is its n-th trade; prices are in points of `spec_id`.

    Facts of the first trade begin with `first_`, those of the last one with `last_`. `volume_steps` is what was executed.
    `version` counts its writes. `recovery_ticket` is the stopped trade that is being recovered, 0 none.
    """

    chain_id: str
    plugin: str
    symbol: str
    spec_id: int
    direction: Direction
    state: ChainState
    version: int
    level: int
    level_max: int
    volume_steps: int
    first_ticket: int
    first_entry_points: int
    first_stop_distance_points: int
    last_entry_points: int
    last_stop_distance_points: int
    created_utc_ms: int
    updated_utc_ms: int
    tickets: tuple[int, ...] = ()
    last_close_points: int = 0
    recovery_attempts: int = 0
    recovery_ticket: int = 0
    exit_attempts: int = 0
    trades: int = 1
    won_cents: int = 0
    lost_cents: int = 0
    began_utc_ms: int = 0
    until_utc_ms: int = 0
    stepped_utc_ms: int = 0
    step: str = ""
    reason: str = ""
    ended_utc_ms: int = 0
