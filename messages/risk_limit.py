"""What the account's limits say that is neither a refusal nor a hold nor a mode."""

from evenkeel.messages.system import Message


class LimitReached(Message, frozen=True):
    """`limit` of the configuration is reached: `measured` against `bound`, both in `unit`; `effect` is what follows of it.

    Said when it is reached, not while it stays so. Nothing answers it.
    """

    limit: str
    measured: int
    bound: int
    unit: str
    effect: str


class RecoveryReserved(Message, frozen=True):
    """One recovery is kept, until it is freed. It counts as an attempt when its order is accepted."""

    owner: str
    recovery_id: str


class RecoveryRefused(Message, frozen=True):
    """A limit stands against one more recovery; `measured` against `bound`, in `unit`. The first failing one, in the order
    attempts, losses, concurrency, profit protection."""

    owner: str
    recovery_id: str
    limit: str
    measured: int
    bound: int
    unit: str


class BalanceTierReached(Message, frozen=True):
    """The balance belongs to the tier of `tier` (5,000 to 100,000 of the account's currency) from now on."""

    tier: int
