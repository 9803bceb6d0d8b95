"""The journal on this disk: commits one at a time, and records as fast as they go."""

from collections.abc import Iterator
from typing import Final

import msgspec

from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.commands.bench.figures import NS_PER_S, BenchFailed, Figure, latencies, monotonic_ns
from evenkeel.commands.bench.hosts import DEADLINE_S, lmdb_journal
from evenkeel.runtime.journal import Record, encode_record

BODY_BYTES: Final = 120
"""With its envelope a record of usual size, about 170 bytes."""
RECORDS_AHEAD: Final = 20_000
"""So many may wait for the disk; a producer without a bound would measure memory."""
RECORDS_A_CALL: Final = 4


def commits(seconds: float) -> Iterator[Figure]:
    """`seconds` for each figure."""
    with lmdb_journal() as journal:
        found_ns = _one_at_a_time_ns(journal, seconds)
    values = {"commits_per_s": len(found_ns) * NS_PER_S / sum(found_ns)} | latencies(found_ns)
    yield Figure("journal.batch_of_1", "LMDB journal, one record appended and waited for", len(found_ns), values)
    with lmdb_journal() as journal:
        began_ns = monotonic_ns()
        records = _freely(journal, seconds)
        took_s = (monotonic_ns() - began_ns) / NS_PER_S
        values = {"commits_per_s": journal.commits / took_s, "records_per_s": records / took_s}
        yield Figure("journal.free_running", "LMDB journal, appended as fast as it takes them", records, values)


def _one_at_a_time_ns(journal: LmdbJournal, seconds: float) -> list[int]:
    found_ns: list[int] = []
    until_ns = monotonic_ns() + round(seconds * NS_PER_S)
    while not found_ns or monotonic_ns() < until_ns:
        began_ns = monotonic_ns()
        journal.append([(len(found_ns) + 1, _BODY)])
        _flushed(journal)
        found_ns.append(monotonic_ns() - began_ns)
    return found_ns


def _freely(journal: LmdbJournal, seconds: float) -> int:
    """How many records became durable."""
    seq = 0
    until_ns = monotonic_ns() + round(seconds * NS_PER_S)
    while not seq or monotonic_ns() < until_ns:
        if seq - journal.durable_seq > RECORDS_AHEAD:
            _flushed(journal)
        journal.append([(seq + number, _BODY) for number in range(1, RECORDS_A_CALL + 1)])
        seq += RECORDS_A_CALL
    _flushed(journal)
    return seq


def _flushed(journal: LmdbJournal) -> None:
    if not journal.flush(DEADLINE_S):
        raise BenchFailed(f"nothing became durable: {journal.failure or f'{DEADLINE_S:.0f} s were not enough'}")


_BODY: Final = encode_record(
    Record(
        1, 1_767_571_200_000, 0, -1, "bench", 1, ("broker_gateway",), msgspec.Raw(msgspec.msgpack.encode(b"\0" * BODY_BYTES))
    )
)
