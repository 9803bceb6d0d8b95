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
