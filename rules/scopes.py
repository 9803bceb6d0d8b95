"""What a hold, a close or a flattening is about: the account, one symbol, one strategy (`strategy/NAME`) or one chain
(`chain/ID`)."""

from typing import Final

from evenkeel.messages.operator import ACCOUNT

_OF_STRATEGY: Final = "strategy/"
_OF_CHAIN: Final = "chain/"


def covers(scope: str, *, symbol: str, strategy: str | None, chain_id: str = "") -> bool:
    """`scope` is the whole account, this symbol, this strategy, or this chain ("" is none). "" is no strategy, None one that is
    not known: any."""
    if scope.startswith(_OF_STRATEGY):
        return strategy is None or scope == f"{_OF_STRATEGY}{strategy}"
    if scope.startswith(_OF_CHAIN):
        return bool(chain_id) and scope == f"{_OF_CHAIN}{chain_id}"
    return scope in (ACCOUNT, symbol)
