"""A chain is on the disk before anything is done for it; a plugin's store is its own, whatever becomes of the others."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chains import BEGAN_UTC_MS, chain, next_of, pyramid

from evenkeel.adapters.chain_store import ChainStore, ChainStoreEdge, MemoryChains, StoreUnusable
from evenkeel.adapters.lmdb_chains import ChainTypeDiffers, Declared, LmdbChains, read_declared
from evenkeel.messages.chain_store import ChainNotSaved, ChainSaved, SaveChain, StoreFailure
from evenkeel.messages.recovery import ChainState
from evenkeel.rules.chain_store import NOT_IN_JOURNAL, Refusal
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.edge import At

DAY = "2026-01-05"
ALPHA, BETA = Declared("alpha", "v3"), Declared("beta", "v6")


def on_disk(folder: Path, declared: Declared = ALPHA, **told: Any) -> LmdbChains:
    folder.mkdir(exist_ok=True)
    return LmdbChains(folder / "chains" / declared.plugin, declared, lambda _: DAY, **told)


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ChainStore:
    return MemoryChains("alpha", lambda _: DAY) if request.param == "memory" else on_disk(tmp_path)


class Edge:
    """The edge of plugin alpha as its shell runs it."""

    def __init__(self, store: ChainStore) -> None:
        self.edge = ChainStoreEdge("alpha", store)

    def hear(self, row: Any, owner: str = "recovery") -> None:
        self.edge.remember(SaveChain(owner, "alpha", row))

    def save(self, row: Any, owner: str = "recovery") -> list[Any]:
        self.hear(row, owner)
        return self.said(self.edge.act(SaveChain(owner, "alpha", row), At(1, BEGAN_UTC_MS)))

    def resume(self) -> list[Any]:
        return self.said(self.edge.resume(BEGAN_UTC_MS + 60_000))

    def said(self, messages: Any) -> list[Any]:
        for message in messages:
            self.edge.remember(message)
        return list(messages)

    def crashed(self, store: ChainStore) -> "Edge":
        """The next incarnation over what this one remembered."""
        after = Edge(store)
        restore(after.edge, snapshot_of(self.edge))
        return after


def test_what_was_saved_is_there_with_all_that_it_holds(store: ChainStore) -> None:
    rows = [chain(reason="x", lost_cents=-12), pyramid(created_utc_ms=BEGAN_UTC_MS - 1)]
    assert [store.save(row) for row in rows] == [None, None]
    assert store.active() == rows
    assert store.row("EURUSD-a-1/b") == rows[1]


def test_a_chain_that_is_over_can_be_read_but_is_not_active(store: ChainStore) -> None:
    first = chain()
    ended = next_of(first, state=ChainState.COMPLETED, reason="trend", ended_utc_ms=BEGAN_UTC_MS + 9)
    assert (store.save(first), store.save(ended)) == (None, None)
    assert (store.active(), store.row(first.chain_id)) == ([], ended)


def test_the_recoveries_of_a_day_are_counted(store: ChainStore) -> None:
    first = chain()
    for row in (first, next_of(first, recovery_attempts=1), next_of(first, recovery_attempts=1)):
        store.save(row)
    assert (store.recoveries(DAY), store.recoveries("2026-01-06")) == (1, 0)


def test_of_two_writers_the_second_is_refused(store: ChainStore) -> None:
    first = chain()
    store.save(first)
    store.save(next_of(first, level=2))
    refusal = store.save(next_of(first, level=3))
    assert isinstance(refusal, Refusal)
    assert refusal.failure is StoreFailure.VERSION
    assert store.row(first.chain_id) == next_of(first, level=2)


def test_a_plugin_neither_reads_nor_ends_the_chains_of_another(tmp_path: Path) -> None:
    alpha, beta = on_disk(tmp_path), on_disk(tmp_path, BETA)
    mine = chain()
    alpha.save(mine)
    assert (beta.row(mine.chain_id), beta.active()) == (None, [])
    refusal = beta.save(next_of(mine, state=ChainState.STOPPED))
    assert isinstance(refusal, Refusal)
    assert refusal.failure is StoreFailure.FOREIGN
    assert alpha.active() == [mine]


def test_a_restart_finds_every_chain_again(tmp_path: Path) -> None:
    before = on_disk(tmp_path)
    before.save(chain(recovery_attempts=1))
    before.close()
    after = on_disk(tmp_path)
    assert (after.active(), after.recoveries(DAY)) == ([chain(recovery_attempts=1)], 1)


def test_a_store_of_another_type_is_not_opened(tmp_path: Path) -> None:
    on_disk(tmp_path).check()
    with pytest.raises(ChainTypeDiffers, match=r"holds chains of alpha, declared v3 .* configured is alpha, v6 .* chain_type"):
        on_disk(tmp_path, Declared("alpha", "v6")).check()


def test_the_type_is_the_declared_one_whatever_the_name_says(tmp_path: Path) -> None:
    on_disk(tmp_path, Declared("looks_like_v3", "v6")).check()
    assert read_declared(tmp_path / "chains" / "looks_like_v3") == Declared("looks_like_v3", "v6")


def damaged(tmp_path: Path) -> LmdbChains:
    """A store of alpha with a chain in it whose row is not what was written any more."""
    whole = on_disk(tmp_path)
    whole.save(chain())
    whole.close()
    path = tmp_path / "chains" / "alpha" / "chains.lmdb"
    path.write_bytes(path.read_bytes().replace(b"EURUSD-a-1\xa5alpha", b"EURUSD-a-1\xa5alphb"))
    return on_disk(tmp_path)


def test_d11_a_damaged_store_refuses_and_forgets_nothing(tmp_path: Path) -> None:
    store = damaged(tmp_path)
    path = tmp_path / "chains" / "alpha" / "chains.lmdb"
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="chain EURUSD-a-1 is not what was written"):
        store.active()
    with pytest.raises(StoreUnusable):
        store.save(next_of(chain()))
    store.close()
    assert path.read_bytes() == before


def test_a_file_that_was_cut_short_is_named(tmp_path: Path) -> None:
    damaged(tmp_path)
    path = tmp_path / "chains" / "alpha" / "chains.lmdb"
    os.truncate(path, 8192)
    with pytest.raises(StoreUnusable, match=r"chains\.lmdb.*a part is missing"):
        on_disk(tmp_path).check()


def test_13_one_broken_store_does_not_stop_the_other(tmp_path: Path) -> None:
    alpha, beta = Edge(damaged(tmp_path)), ChainStoreEdge("beta", on_disk(tmp_path, BETA))
    [refused] = alpha.save(next_of(chain()))
    assert isinstance(refused, ChainNotSaved)
    assert refused.failure is StoreFailure.UNWRITABLE
    saved = beta.act(SaveChain("recovery", "beta", chain("EURUSD-b-1", "beta")), At(1, BEGAN_UTC_MS))
    assert saved == [ChainSaved("recovery", "beta", "EURUSD-b-1", 1)]


def test_a_full_store_refuses_the_write_and_keeps_what_it_has(tmp_path: Path) -> None:
    store = on_disk(tmp_path, map_bytes=64 * 1024)
    edge, saved = Edge(store), 0
    for number in range(200):
        [answer] = edge.save(chain(f"EURUSD-a-{number}", reason="x" * 2000))
        if isinstance(answer, ChainNotSaved):
            assert answer.failure is StoreFailure.UNWRITABLE
            assert "MDB_MAP_FULL" in answer.detail
            break
        saved += 1
    assert 0 < saved == len(store.active())


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_of_chains_that_are_over_the_oldest_are_forgotten(kind: str, tmp_path: Path) -> None:
    store = MemoryChains("alpha", ended_kept=2) if kind == "memory" else on_disk(tmp_path, ended_kept=2)
    for n in range(4):
        store.save(chain(f"EURUSD-a-{n}", ended_utc_ms=BEGAN_UTC_MS + n))
    assert [store.row(f"EURUSD-a-{n}") is None for n in range(4)] == [True, True, False, False]


def test_a_row_that_is_too_long_is_refused(tmp_path: Path) -> None:
    refusal = on_disk(tmp_path).save(chain(reason="x" * 70_000))
    assert refusal is not None
    assert "65536 are allowed" in refusal.detail


def test_the_edge_says_when_a_chain_is_on_the_disk(store: ChainStore) -> None:
    assert Edge(store).save(pyramid(), "profit_booking") == [ChainSaved("profit_booking", "alpha", "EURUSD-a-1/b", 1)]


def test_a_write_without_an_answer_is_answered_after_a_crash_whether_it_was_done_or_not(store: ChainStore) -> None:
    edge = Edge(store)
    edge.hear(chain("EURUSD-a-1"))
    edge.hear(chain("EURUSD-a-2"))
    store.save(chain("EURUSD-a-1"))
    assert edge.crashed(store).resume() == [ChainSaved("recovery", "alpha", f"EURUSD-a-{n}", 1) for n in (1, 2)]
    assert len(store.active()) == 2


def test_d12_a_start_writes_the_chains_of_the_journal_into_a_store_that_lost_them(store: ChainStore, tmp_path: Path) -> None:
    edge = Edge(store)
    edge.save(chain())
    edge.save(next_of(chain(), level=2))
    empty = on_disk(tmp_path / "new")
    edge.crashed(empty).resume()
    assert empty.active() == [next_of(chain(), level=2)]


def test_after_a_journal_from_before_the_store_goes_back_with_it(store: ChainStore) -> None:
    edge = Edge(store)
    edge.save(chain())
    store.save(next_of(chain(), level=4))
    after = edge.crashed(store)
    after.resume()
    assert store.active() == [chain()]
    assert after.save(next_of(chain(), level=2)) == [ChainSaved("recovery", "alpha", "EURUSD-a-1", 2)]


def test_after_a_lost_journal_old_chains_are_over_and_in_nobodys_way(store: ChainStore) -> None:
    store.save(chain(version=5))
    edge = Edge(store)
    edge.resume()
    left = store.row("EURUSD-a-1")
    assert store.active() == []
    assert left is not None
    assert left.reason == NOT_IN_JOURNAL
    assert edge.save(chain()) == [ChainSaved("recovery", "alpha", "EURUSD-a-1", 1)]


def test_the_edge_forgets_chains_that_are_over(store: ChainStore) -> None:
    edge = Edge(store)
    edge.save(chain())
    edge.save(next_of(chain(), state=ChainState.STOPPED, ended_utc_ms=BEGAN_UTC_MS + 1))
    assert (edge.edge.state.rows, edge.edge.state.asked) == ({}, {})


def test_a_chain_whose_end_could_not_be_written_is_not_active_for_ever(tmp_path: Path) -> None:
    """The disk is full as it ends, and its owner has given up writing: the next start ends what the store still has."""
    store = on_disk(tmp_path)
    edge = Edge(store)
    edge.save(chain())
    edge.hear(ended := next_of(chain(), state=ChainState.STOPPED, ended_utc_ms=BEGAN_UTC_MS + 1))
    edge.said([ChainNotSaved("recovery", "alpha", ended.chain_id, ended.version, StoreFailure.UNWRITABLE, "no space")])
    edge.crashed(store).resume()
    assert store.active() == []


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from chains import chain
from evenkeel.adapters.lmdb_chains import Declared, LmdbChains
store = LmdbChains(Path(sys.argv[1]) / "chains" / "alpha", Declared("alpha", "v3"), lambda _: "2026-01-05")
for number in range(1_000_000):
    store.save(chain(f"EURUSD-a-{number}"))
    print(number, flush=True)
"""


def test_a_killed_writer_loses_no_chain_that_it_has_acknowledged(tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), tests], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        rest = writer.stdout.read().split("\n")[:-1]
    store = on_disk(tmp_path)
    assert all(store.row(f"EURUSD-a-{number}") for number in range(20 + len(rest)))
    assert store.save(next_of(chain("EURUSD-a-3"))) is None
