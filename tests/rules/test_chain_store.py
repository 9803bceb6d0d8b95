"""What may be written over a chain, and what may not (trading_rules 1.13)."""

import msgspec
import pytest
from chains import BEGAN_UTC_MS, chain, next_of, pyramid

from evenkeel.messages.chain_store import StoreFailure
from evenkeel.messages.profit_booking import PyramidState
from evenkeel.messages.recovery import ChainState
from evenkeel.rules.chain_store import Refusal, ended_unknown, is_over, newest_first, recoveries_begun, written

FIRST = chain()
SECOND = next_of(FIRST, level=2)


def test_a_chain_that_is_not_there_is_written() -> None:
    assert written("alpha", None, FIRST) == FIRST


def test_the_next_version_replaces_the_one_before() -> None:
    assert written("alpha", FIRST, SECOND) == SECOND


def test_the_same_write_again_is_no_conflict() -> None:
    assert written("alpha", SECOND, SECOND) == SECOND


@pytest.mark.parametrize("version", [1, 2, 4, 9])
def test_any_other_version_is_refused_with_both_numbers(version: int) -> None:
    refusal = written("alpha", SECOND, chain(version=version, level=3))
    assert refusal == Refusal(StoreFailure.VERSION, f"chain EURUSD-a-1: version {version} was to follow, version 2 is there")


def test_the_time_of_creation_stays_that_of_the_first_write() -> None:
    later = msgspec.structs.replace(SECOND, created_utc_ms=BEGAN_UTC_MS + 99)
    assert written("alpha", FIRST, later) == SECOND


def test_a_chain_of_another_plugin_is_foreign() -> None:
    assert written("beta", None, FIRST) == Refusal(
        StoreFailure.FOREIGN, "chain EURUSD-a-1 is of alpha, this is the store of beta"
    )


def test_a_chain_that_was_over_because_nobody_knew_of_it_is_in_nobodys_way() -> None:
    assert written("alpha", ended_unknown(SECOND, BEGAN_UTC_MS), FIRST) == FIRST


@pytest.mark.parametrize(("row", "state"), [(FIRST, ChainState.STOPPED), (pyramid(), PyramidState.STALE)])
def test_a_chain_of_which_nobody_knows_is_over_with_its_reason(row: object, state: str) -> None:
    ended = ended_unknown(row, BEGAN_UTC_MS + 5)  # type: ignore[arg-type]
    assert is_over(ended)
    assert (ended.state, ended.reason) == (state, "not in the journal")


def test_recoveries_are_counted_by_what_a_write_adds() -> None:
    recovering = next_of(FIRST, recovery_attempts=1)
    order = msgspec.structs.replace(pyramid().orders[0], recoveries=1)
    assert recoveries_begun(FIRST, recovering) == 1
    assert recoveries_begun(recovering, next_of(recovering)) == 0
    assert recoveries_begun(pyramid(), next_of(pyramid(), orders=(order,))) == 1


def test_the_newest_chain_comes_first() -> None:
    old, new = chain("EURUSD-a-1"), chain("EURUSD-b-1", created_utc_ms=BEGAN_UTC_MS + 1)
    assert newest_first([old, new]) == [new, old]
