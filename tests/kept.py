"""A story's journal on disk, as a live run would have left it."""

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from story import CONFIG

from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.config.load import canonical
from evenkeel.config.schema import Config
from evenkeel.messages.codec import encode
from evenkeel.messages.system import RunConfigured
from evenkeel.runtime.journal import Record, encode_record
from evenkeel.runtime.publisher import SUPERVISOR


def configured(records: Iterable[Record], config: Config = CONFIG) -> list[Record]:
    """The configuration follows the start, and every number after it is one higher."""
    first, *rest = records
    told = RunConfigured(canonical(config).decode())
    second = Record(2, first.time_utc_ms, 0, -1, SUPERVISOR, 0, (), msgspec.Raw(encode(told)))
    moved = [msgspec.structs.replace(one, seq=one.seq + 1, cause_seq=one.cause_seq + (one.cause_seq > 1)) for one in rest]
    return [first, second, *moved]


def keep(folder: Path, records: Iterable[Record], *, day_of: Callable[[int], str] = lambda utc_ms: "2026-01-05") -> LmdbJournal:
    """Written, but still open: a supervisor runs."""
    journal = LmdbJournal.open(folder, day_of=day_of)
    journal.append([(record.seq, encode_record(record)) for record in records])
    assert journal.flush(10)
    return journal
