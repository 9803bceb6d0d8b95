"""What a hold, a close or a flattening is about: the account, one symbol, or one strategy (`strategy/NAME`)."""

from typing import Final

from evenkeel.messages.operator import ACCOUNT

_OF_STRATEGY: Final = "strategy/"


def covers(scope: str, *, symbol: str, strategy: str | None) -> bool:
    """`scope` is the whole account, this symbol, or this strategy. "" is no strategy, None one that is not known: any."""
    if scope.startswith(_OF_STRATEGY):
        return strategy is None or scope == f"{_OF_STRATEGY}{strategy}"
    return scope in (ACCOUNT, symbol)
