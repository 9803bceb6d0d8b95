"""What a write of a chain may do to the row that is there (trading_rules 1.13)."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from evenkeel.messages.chain_store import StoreFailure
from evenkeel.messages.profit_booking import Pyramid, PyramidState
from evenkeel.messages.recovery import Chain, ChainState

Row = Chain | Pyramid
ENDED_KEPT: Final = 10_000
"""Chains of a plugin that are over and may still be read; the oldest go."""
DAYS_KEPT: Final = 400
ID_BYTES_MAX: Final = 200
ROW_BYTES_MAX: Final = 64 * 1024
NOT_IN_JOURNAL: Final = "not in the journal"
"""Why a chain is over that the store has and nobody knows of any more."""


class Refusal(NamedTuple):
    """Why a write was not done."""

    failure: StoreFailure
    detail: str


def is_over(row: Row) -> bool:
    """It takes no more steps; one that was stopped is over when the last of its orders is gone."""
    return row.ended_utc_ms != 0


def written(plugin: str, found: Row | None, wanted: Row) -> Row | Refusal:
    """The row that shall be there, or why not: foreign, or another write came first.

    The time of creation stays that of the first write. A chain that the store does not know, or that was over because nobody
    knew of it, may come with any version: there is nothing that it could undo. A crash may lose from the journal what was said
    last; then it is said again.
    """
    if wanted.plugin != plugin:
        return Refusal(StoreFailure.FOREIGN, f"chain {wanted.chain_id} is of {wanted.plugin}, this is the store of {plugin}")
    if found is None:
        return wanted
    is_free = found.reason == NOT_IN_JOURNAL
    wanted = msgspec.structs.replace(wanted, created_utc_ms=found.created_utc_ms)
    if is_free or wanted == found or wanted.version == found.version + 1:
        return wanted
    told = f"chain {wanted.chain_id}: version {wanted.version} was to follow, version {found.version} is there"
    return Refusal(StoreFailure.VERSION, told)


def ended_unknown(row: Row, now_utc_ms: int) -> Row:
    """A chain of which no actor knows takes no more steps; nothing is closed for it here."""
    state = PyramidState.STALE if isinstance(row, Pyramid) else ChainState.STOPPED
    return msgspec.structs.replace(
        row,
        state=state,
        version=row.version + 1,
        reason=NOT_IN_JOURNAL,
        updated_utc_ms=now_utc_ms,
        ended_utc_ms=now_utc_ms,
    )


def recoveries_begun(found: Row | None, wanted: Row) -> int:
    """How many recoveries the write adds to those that the chain had."""
    return max(0, _recoveries(wanted) - (0 if found is None else _recoveries(found)))


def newest_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (-row.created_utc_ms, row.chain_id))


def _recoveries(row: Row) -> int:
    return sum(order.recoveries for order in row.orders) if isinstance(row, Pyramid) else row.recovery_attempts
