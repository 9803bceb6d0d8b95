"""Chains in a whole system: what is done for one is written down before, in the store of its own plugin."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from builders import config_of, scene
from stage import SPECS, Stage

from evenkeel.adapters.chain_store import ChainStore, ChainStoreEdge, MemoryChains, StoreUnusable
from evenkeel.messages.chain_store import ChainNotSaved, ChainSaved, StoreFailure
from evenkeel.messages.operator import CommandDone, CommandRefused
from evenkeel.messages.position import ExitReason, PositionClosed
from evenkeel.messages.recovery import Chain, ChainState, StopChain
from evenkeel.rules.chain_store import NOT_IN_JOURNAL, Refusal, Row, is_over
from evenkeel.runtime.shell import ChildSpec

TRADING = {"kind": "ma_cross", "fast": 2, "slow": 3, "orders": "trend"}
CONFIG = config_of(
    circuit_breaker__enabled=False,
    exit__time_stop_minutes="off",
    shield__enabled=False,
    strategy={
        "v6_by_name": {**TRADING, "symbols": ["EURUSD"], "chain_type": "v3"},
        "other": {**TRADING, "symbols": ["GBPUSD"], "chain_type": "v6"},
    },
)


class Broken(MemoryChains):
    """A disk that takes nothing."""

    def save(self, row: Row) -> Refusal | None:
        raise StoreUnusable("chains.lmdb: no space left")


def over(stores: dict[str, ChainStore]) -> Callable[[ChildSpec], ChildSpec]:
    """The edges write into `stores`, which outlive them."""

    def lay(spec: ChildSpec) -> ChildSpec:
        folder, _, plugin = spec.name.partition("/")
        if folder != "chain_store":
            return spec
        return msgspec.structs.replace(spec, make=lambda: ChainStoreEdge(plugin, stores[plugin]))

    return lay


@pytest.fixture
def stores() -> dict[str, Any]:
    return {name: MemoryChains(name) for name in CONFIG.strategy}


def stage_of(stores: dict[str, Any]) -> Stage:
    return Stage(config=CONFIG, sabotage=over(stores))


def bought(stage: Stage) -> None:
    """Each strategy buys its symbol."""
    stage.signal(strategy="v6_by_name")
    stage.signal(symbol="GBPUSD", strategy="other")


def stopped(stage: Stage) -> None:
    stage.quote(109_940)
    stage.quote(109_940, "GBPUSD")


def chain_in(store: ChainStore) -> Chain:
    [row] = store.active()
    assert isinstance(row, Chain)
    return row


def saga_of(stage: Stage, chain_id: str) -> Chain:
    saga: Chain = stage.scene.host.child("recovery").state.sagas[chain_id].chain
    return saga


def test_each_chain_is_in_the_store_of_its_plugin_whatever_that_is_called(stores: dict[str, Any]) -> None:
    stage = stage_of(stores)
    bought(stage)
    mine, other = chain_in(stores["v6_by_name"]), chain_in(stores["other"])
    assert (mine.symbol, other.symbol) == ("EURUSD", "GBPUSD")
    assert (mine.level_max, other.level_max) == (5, 3)


def test_the_store_has_each_step_that_the_actor_took(stores: dict[str, Any]) -> None:
    stage = stage_of(stores)
    bought(stage)
    stopped(stage)
    row = chain_in(stores["other"])
    assert row.state is ChainState.RECOVERY_MODE
    assert row == saga_of(stage, row.chain_id)


def test_13_one_broken_store_stops_its_own_chains_alone(stores: dict[str, Any]) -> None:
    stage = stage_of({**stores, "v6_by_name": Broken("v6_by_name")})
    bought(stage)
    stopped(stage)
    refused = stage.said(ChainNotSaved)
    assert {(one.plugin, one.failure) for one in refused} == {("v6_by_name", StoreFailure.UNWRITABLE)}
    assert chain_in(stores["other"]).state is ChainState.RECOVERY_MODE
    assert {closed.reason for closed in stage.said(PositionClosed)} == {ExitReason.STOP}, "exits ask no store"


def test_d12_a_process_that_dies_has_its_chains_again_and_may_go_on_with_them(stores: dict[str, Any]) -> None:
    stage = stage_of(stores)
    bought(stage)
    stopped(stage)
    before = chain_in(stores["other"])
    stage.scene = scene(CONFIG, SPECS, start=False, after=stage.scene, sabotage=over(stores))
    assert chain_in(stores["other"]) == before == saga_of(stage, before.chain_id)
    stage.tell(StopChain("stop-1", "me", "other", before.chain_id))
    row = stores["other"].row(before.chain_id)
    assert row is not None
    assert (is_over(row), row.state) == (True, ChainState.STOPPED)


def test_a_store_that_was_lost_is_written_again_from_the_journal(stores: dict[str, Any]) -> None:
    stage = stage_of(stores)
    bought(stage)
    before = chain_in(stores["other"])
    stores["other"] = MemoryChains("other")
    stage.scene = scene(CONFIG, SPECS, start=False, after=stage.scene, sabotage=over(stores))
    assert chain_in(stores["other"]) == before


def test_chains_of_a_lost_journal_are_over_and_new_ones_begin_beside_them(stores: dict[str, Any]) -> None:
    first = stage_of(stores)
    bought(first)
    old = chain_in(stores["other"])
    second = stage_of(stores)
    left = stores["other"].row(old.chain_id)
    assert left.reason == NOT_IN_JOURNAL
    bought(second)
    assert second.said(ChainNotSaved) == []
    assert {one.plugin for one in second.said(ChainSaved)} == {"v6_by_name", "other"}


def test_nobody_ends_a_chain_in_the_name_of_another_plugin(stores: dict[str, Any]) -> None:
    stage = stage_of(stores)
    bought(stage)
    row = chain_in(stores["other"])
    stage.tell(StopChain("stop-1", "me", "v6_by_name", row.chain_id))
    assert [one.command_id for one in stage.said(CommandRefused)] == ["stop-1"]
    assert [one.command_id for one in stage.said(CommandDone) if one.command_id == "stop-1"] == []
    assert chain_in(stores["other"]) == row
