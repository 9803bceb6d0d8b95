"""What a person outside is told of, and what the notifier says of its own work."""

from enum import StrEnum

from evenkeel.messages.system import Observation


class Event(StrEnum):
    """What a notice is about, in the words of the configuration ([notifier.events])."""

    TRADE_OPENED = "trade_opened"
    TRADE_CLOSED = "trade_closed"
    REJECTED = "rejected"
    CLOSE_FAILED = "close_failed"
    UNKNOWN_OUTCOME = "unknown_outcome"
    UNPROTECTED = "unprotected"
    MODE = "mode"
    KILLED = "killed"
    LIMIT_REACHED = "limit_reached"
    BREAKER = "breaker"
    HOLD = "hold"
    SHIELD = "shield"
    DISAGREEMENT = "disagreement"
    FOREIGN = "foreign"
    CASH = "cash"
    CONNECTION = "connection"
    STORAGE = "storage"
    CRASH = "crash"
    RUN = "run"
    HEALTH = "health"
    DAY_SUMMARY = "day_summary"


class NoticeDelivered(Observation, frozen=True):
    """`outlet` is the first that has taken a notice of severity 1, `took_ms` after it was written down. Milder ones are not
    told of here: the outbox knows their fate."""

    notice: str
    event: Event
    outlet: str
    took_ms: int


class NoticeOverdue(Observation, frozen=True):
    """No outlet has taken a notice of severity 1 in time; `detail` is why not, as far as the outlets tell. LowerMode follows,
    so it is said once until a person rearms."""

    notice: str
    event: Event
    waited_ms: int
    detail: str
