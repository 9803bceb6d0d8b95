"""Journals on disk with records of no meaning, and hands that tamper with them."""

import datetime
from pathlib import Path
from typing import Any

import lmdb
import msgspec

from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.runtime.journal import Record, encode_record

DAY_MS = 86_400_000
FIRST_DAY = "1970-01-01"


def day_of(time_utc_ms: int) -> str:
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=time_utc_ms // DAY_MS)).isoformat()


def row(seq: int, *, day: int = 0, padding: int = 0) -> tuple[int, bytes]:
    body = msgspec.Raw(msgspec.msgpack.encode("x" * padding))
    return seq, encode_record(Record(seq, day * DAY_MS, 0, -1, "feed", 1, ("position/EURUSD",), body))


def rows(first_seq: int, last_seq: int, *, day: int = 0) -> list[tuple[int, bytes]]:
    return [row(seq, day=day) for seq in range(first_seq, last_seq + 1)]


def opened(folder: Path, **options: Any) -> LmdbJournal:
    return LmdbJournal.open(folder, day_of=day_of, **options)


def write(folder: Path, *appends: list[tuple[int, bytes]], clean: bool = True, **options: Any) -> None:
    """One commit for each of `appends`."""
    journal = opened(folder, **options)
    for records in appends:
        journal.append(records)
        assert journal.flush(10)
    journal.close(clean=clean)


def tamper(folder: Path, table: str, key: bytes, value: bytes | None, day: str = FIRST_DAY) -> None:
    """Put `value`, or delete the row for None, behind the journal's back."""
    with lmdb.open(str(folder / f"{day}.journal"), subdir=False, max_dbs=4, map_size=1 << 30) as env:
        db = env.open_db(table.encode(), create=False)
        with env.begin(db, write=True) as txn:
            assert txn.delete(key)
            if value is not None:
                txn.put(key, value)


def key(seq: int) -> bytes:
    return seq.to_bytes(8, "big")


def flip_a_byte(folder: Path, seq: int, day: str = FIRST_DAY) -> None:
    body = row(seq)[1]
    tamper(folder, "records", key(seq), bytes([*body[:-1], body[-1] ^ 1]), day)
