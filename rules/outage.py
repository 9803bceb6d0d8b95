"""What becomes of an account whose supervisor is gone: start it again, leave it, or hold; and what to close while holding.

The reactions that are demanded are data (REACTIONS); what decides between them are functions of what was seen.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from evenkeel.config.schema import WatchdogConfig
from evenkeel.messages.broker_gateway import BrokerPosition

BACK_OFF_FIRST_S: Final = 1.0
BACK_OFF_MAX_S: Final = 30.0


class Reaction(NamedTuple):
    """`within_s` is how soon the loss is noticed, where that does not depend on a setting."""

    loss: str
    noticed_by: str
    within_s: float | None
    reaction: str


REACTIONS: Final = (
    Reaction(
        "an actor dies", "the supervising thread", 1.0, "started again from the journal; nothing new in its symbol until then"
    ),
    Reaction("an actor dies twice", "the supervising thread", 1.0, "its symbol is held until a person rearms"),
    Reaction("an actor does not come back from a message", "the supervising thread", 5.0, "the process ends, status 75"),
    Reaction("an edge hangs", "the supervising thread", None, "it is replaced; an order that it had sent is unknown"),
    Reaction("the supervising thread", "the main loop", 15.0, "the process ends, status 75"),
    Reaction("the journal's writer stands still", "the main loop", 10.0, "nothing new is opened, exits go on; alarm"),
    Reaction("the process dies", "the watchdog", 1.0, "started again, entries closed until the broker agrees twice"),
    Reaction("the process hangs", "the watchdog", 6.0, "killed and started again, likewise"),
    Reaction("the process cannot be kept alive", "the watchdog", None, "hold: the stops at the broker are verified; alarm"),
    Reaction("a position without a stop, while held", "the watchdog", None, "closed"),
    Reaction("the outage lasts, while held", "the watchdog", None, "everything is closed, if flatten_after_minutes says so"),
    Reaction(
        "the terminal host dies",
        "its keeper",
        2.0,
        "started again; what was on its way is unknown until the broker's records say",
    ),
    Reaction("the terminal host hangs", "its keeper", None, "killed and started again"),
    Reaction("the broker's link", "the terminal edge", None, "what waits becomes void; two equal readings before anything new"),
    Reaction(
        "the machine was suspended", "the wall-clock edge", 1.0, "what waited is void; hold until the broker was read again"
    ),
    Reaction(
        "the wall clock jumps", "the wall-clock edge", 1.0, "timers keep their pace; hold until it is back or a person rearms"
    ),
    Reaction("no word from a person", "attendance", None, "close only until a person rearms, if absent_hours_max says so"),
)


class Verdict(StrEnum):
    """LEAVE: the watchdog ends too, with the same status."""

    LEAVE = "leave"
    RESTART = "restart"
    HOLD = "hold"


class End(NamedTuple):
    """How a supervisor ended. `asked` says that it had announced its end in order; `hung`, that it was killed for silence;
    `fresh_may_do_better` is what its status asks for."""

    status: int
    asked: bool
    hung: bool
    fresh_may_do_better: bool


def after_end(end: End, *, has_served: bool, restarts_s: Iterable[float], now_s: float, config: WatchdogConfig) -> Verdict:
    """`restarts_s` are the times of all restarts so far, `has_served` whether any supervisor of this watchdog ever did.

    A person's stop and a first start that no repeat will mend are left alone. Whatever else ends leaves positions behind.
    """
    if end.status == 0 or (end.asked and not end.fresh_may_do_better and not end.hung):
        return Verdict.LEAVE
    if not end.fresh_may_do_better and not end.hung:
        return Verdict.HOLD if has_served else Verdict.LEAVE
    recent = recent_restarts(restarts_s, now_s, config)
    return Verdict.RESTART if recent < config.restarts_max else Verdict.HOLD


def recent_restarts(restarts_s: Iterable[float], now_s: float, config: WatchdogConfig) -> int:
    return sum(1 for at_s in restarts_s if at_s > now_s - config.restarts_minutes * 60)


def back_off_s(recent: int) -> float:
    """How long to wait before the restart that follows `recent` others."""
    return 0.0 if recent == 0 else min(BACK_OFF_MAX_S, BACK_OFF_FIRST_S * 2.0 ** (recent - 1))


class Held(NamedTuple):
    """What one look at a held account found: ours, and which of them had no stop at the look before either."""

    ours: tuple[BrokerPosition, ...]
    unprotected: frozenset[int]


NOTHING_SEEN: Final = Held((), frozenset())


def look(positions: Iterable[BrokerPosition], tickets: frozenset[int]) -> Held:
    """`tickets` are those of ours among `positions`."""
    ours = tuple(position for position in positions if position.ticket in tickets)
    return Held(ours, frozenset(position.ticket for position in ours if not position.stop_points))


def to_close(
    before: Held, now: Held, *, outage_s: float, flatten_asked: bool, config: WatchdogConfig
) -> tuple[BrokerPosition, ...]:
    """Which positions of ours to close now. A missing stop must be seen twice: it may have been on its way at the first."""
    flatten_after = config.flatten_after_minutes
    if flatten_asked or (flatten_after != "off" and outage_s >= flatten_after * 60):
        return now.ours
    if config.close_unprotected == "off":
        return ()
    bare = before.unprotected & now.unprotected
    return tuple(position for position in now.ours if position.ticket in bare)
