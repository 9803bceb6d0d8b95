"""The circuit breaker's levels."""

from enum import StrEnum

from evenkeel.messages.market import Quote
from evenkeel.messages.system import Message


class BreakerLevel(StrEnum):
    """How far a market is from itself (trading_rules 3.7)."""

    NORMAL = "normal"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"
    BLACK = "black"


class BreakerChanged(Message, frozen=True):
    """The level or the restart phase of `scope` (the account or a symbol) is another one from now on. Nothing answers it.

    `phase` is 0 outside a restart, else 1 to 4 as trading_rules 3.7 counts them from 0 to 3. `size_ppm` is what new volume is
    multiplied by. `atr_points` is the distance from `quote`, which is of the symbol that is the scope, that stops are tightened
    to, 0 where they stay. What halts entries is a hold (HoldPlaced), said beside it. At BLACK everything in `scope` is closed.
    """

    scope: str
    level: BreakerLevel
    phase: int
    size_ppm: int
    atr_points: int
    reason: str
    quote: Quote | None = None
