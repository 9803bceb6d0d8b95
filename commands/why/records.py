"""Reading a journal for what is asked: a record with its message, and only the messages that somebody wants decoded."""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.messages import codec
from evenkeel.messages.broker_gateway import AccountRead
from evenkeel.messages.market import SymbolSpecified
from evenkeel.messages.system import Message
from evenkeel.rules.view_state import ViewState
from evenkeel.runtime.journal import Record


class Said(NamedTuple):
    record: Record
    message: Any


def decoded(record: Record) -> Said:
    return Said(record, codec.decode(bytes(record.body)))


def record_at(files: DayFiles, seq: int) -> Said | None:
    record = files.record(seq)
    return None if record is None else decoded(record)


def said_of(
    files: DayFiles,
    kinds: Collection[type[Message]],
    from_seq: int = 1,
    to_seq: int | None = None,
    known: ViewState | None = None,
) -> Iterator[Said]:
    """The records of `kinds`, in order; the others are passed over without being decoded. `known` takes in terms and account.

    Raises JournalError, or msgspec's for another build's message.
    """
    wanted = {kind.__name__ for kind in kinds}
    account: Record | None = None
    for record in files.records(from_seq, to_seq):
        kind = codec.kind_of(bytes(record.body))
        if known is not None:
            if kind == "AccountRead":
                account = record
            elif kind == "SymbolSpecified":
                know(known, record)
        if kind in wanted:
            yield decoded(record)
    if known is not None and account is not None:
        know(known, account)


def know(known: ViewState, record: Record) -> None:
    """Take in terms or an account: what numbers are told with."""
    match codec.decode(bytes(record.body)):
        case SymbolSpecified(spec):
            known.specs[spec.symbol] = spec
        case AccountRead() as account:
            known.account = account
