"""A process that dies with a chain on its way: the next one and its stores know what the journal says."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import CONFIG, House, Run, houses

from evenkeel.adapters.lmdb_chains import opened_to_read
from evenkeel.messages.chain_store import SaveChain
from evenkeel.messages.position import PositionOpened
from evenkeel.messages.recovery import ChainStepped
from evenkeel.messages.system import Message

CHAINS = CONFIG + 'orders = "trend"\nslots = 3\n'


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield from houses(tmp_path, CHAINS)


def waiting(said: list[Message]) -> set[str]:
    """Chains that wait for a recovery, as the journal says."""
    last = {step.chain_id: step.after for step in said if isinstance(step, ChainStepped)}
    return {chain_id for chain_id, state in last.items() if state == "recovery_mode"}


def listed(house: House) -> set[str]:
    """Chains that are not over, as their stores say: each commits by itself, before the journal or after it."""
    return {chain["chain_id"] for chain in json.loads(house.command("chains", "--json").stdout)["chains"]}


def test_a_chain_that_waits_for_its_recovery_when_the_process_is_killed_goes_on_in_the_next_one(house: House) -> None:
    first = house.start()
    first.until("the broker agrees")
    assert house.command("start").returncode == 0
    first.until("recovery mode")
    stand_still(first)
    while not ((waits := waiting(house.said())) and (waits := waits & listed(house))):
        first.process.send_signal(signal.SIGCONT)
        first.until("")
        stand_still(first)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    before = house.said()
    assert waits <= listed(house)

    second = house.start()
    while waits & waiting(house.said()):
        second.until("chain")
    assert house.command("stop").returncode == 0
    second.process.wait(timeout=30)
    said = house.said()
    assert said[: len(before)] == before
    assert_one_cause_each(said)
    assert_stores_have_what_was_saved(house, said)


def stand_still(run: Run) -> None:
    """Once this returns, each of its threads stands."""
    run.process.send_signal(signal.SIGSTOP)
    os.waitpid(run.process.pid, os.WUNTRACED)


def assert_one_cause_each(said: list[Message]) -> None:
    opened = [one.lineage for one in said if isinstance(one, PositionOpened) and one.lineage.parent_ticket]
    causes = [(one.parent_ticket, one.order_kind, one.number) for one in opened]
    assert len(causes) == len(set(causes))


def assert_stores_have_what_was_saved(house: House, said: list[Message]) -> None:
    saved = {one.chain.chain_id: one.chain for one in said if isinstance(one, SaveChain)}
    store = opened_to_read(house.folder.chains / "quick")
    assert store is not None
    assert {row.chain_id: row for row in store.all()} == saved
    store.close()
