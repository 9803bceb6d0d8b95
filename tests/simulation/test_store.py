"""The worlds' own disk: what it loses, tears and finds."""

import pytest
from msgspec import Raw

from evenkeel.commands.simulate.store import TearingStore
from evenkeel.runtime.journal import ChildSnapshot, JournalClosed, JournalCorrupt, Record, encode_record


def body(seq: int) -> bytes:
    return encode_record(Record(seq, seq * 1000, 0, -1, "test", 1, (), Raw(b"\x90")))


def store_of(count: int) -> TearingStore:
    store = TearingStore()
    for seq in range(1, count + 1):
        store.append([(seq, body(seq))])
    store.commit()
    return store


def test_what_was_not_committed_is_gone_after_a_crash() -> None:
    store = store_of(3)
    store.append([(4, body(4))])
    store.crash()
    assert store.durable_seq == 3
    assert [record.seq for record in store.read(1)] == [1, 2, 3]


def test_lost_writes_take_the_snapshots_with_them_that_knew_of_them() -> None:
    store = store_of(5)
    store.snapshot(ChildSnapshot("early", 2, b"early"))
    store.snapshot(ChildSnapshot("late", 5, b"late"))
    store.commit()
    assert store.crash(lost_records=2) == 2
    assert store.durable_seq == 3
    assert list(store.snapshots) == ["early"]


def test_a_disk_that_refuses_keeps_nothing_more() -> None:
    store = store_of(1)
    store.refusal = "no space left on device"
    with pytest.raises(JournalClosed, match="no space"):
        store.append([(2, body(2))])
    assert not store.flush(1.0)


def test_a_restored_backup_ends_where_it_was_taken() -> None:
    store = store_of(3)
    backup = store.backup()
    store.append([(4, body(4))])
    store.commit()
    store.restore(backup)
    assert store.durable_seq == 3
    store.verify()


@pytest.mark.parametrize("bit", range(0, 80, 7))
def test_every_flipped_bit_of_a_kept_record_is_found(bit: int) -> None:
    store = store_of(4)
    store.flip(2, bit)
    with pytest.raises(JournalCorrupt, match="record 3"):
        store.verify()


def test_what_is_forgotten_leaves_a_chain_that_still_holds() -> None:
    store = store_of(10)
    store.snapshot(ChildSnapshot("child", 6, b"state"))
    store.commit()
    digest = store.digest
    store.forget()
    store.verify()
    assert store.read_from == 6
    assert store.digest == digest
    assert [record.seq for record in store.read(1)] == [6, 7, 8, 9, 10]
