"""From a journal to ledgers: what each child knew, heard and said when the last process ended."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from evenkeel.messages.system import MessageParked
from evenkeel.runtime.actor import restore
from evenkeel.runtime.journal import ChildSnapshot, Record
from evenkeel.runtime.publisher import Codec, Delivery
from evenkeel.runtime.shell import ChildSpec, Entry, Kind, Ledger


def readable(snapshots: Mapping[str, ChildSnapshot], specs: Sequence[ChildSpec]) -> dict[str, ChildSnapshot]:
    """Those that this build's children can take back. The others are left out, so their children fold every record instead."""
    kept = {}
    for spec in specs:
        if spec.name in snapshots:
            try:
                restore(spec.make(), snapshots[spec.name].state)
            except msgspec.ValidationError as error:
                from loguru import logger  # here, because a replay never says this and must start in a blink

                logger.warning("{} cannot take its snapshot back, the whole journal is folded: {}", spec.name, error)
            else:
                kept[spec.name] = snapshots[spec.name]
    return kept


def ledgers_from(
    records: Iterable[Record],
    snapshots: Mapping[str, ChildSnapshot],
    specs: Sequence[ChildSpec],
    codec: Codec,
    *,
    tolerant: bool = False,
) -> dict[str, Ledger]:
    """One ledger a child, from its snapshot and the records after it; `records` start no later than the oldest snapshot.

    `tolerant` is for another build or configuration: what was recorded wins over what the child would say now.
    """
    upto = {spec.name: snapshots[spec.name].upto_seq if spec.name in snapshots else 0 for spec in specs}
    edges = {spec.name for spec in specs if spec.kind is Kind.EDGE}
    tails: dict[str, list[Entry]] = {spec.name: [] for spec in specs}
    heard: dict[tuple[str, int], Entry] = {}
    parked: set[tuple[str, int]] = set()
    for record in records:
        message = codec.decode(bytes(record.body))
        delivery = Delivery(record.seq, record.time_utc_ms, record.cause_row, message)
        for name in record.receivers:
            if record.seq > upto.get(name, record.seq):
                heard[name, record.seq] = entry = Entry(delivery)
                tails[name].append(entry)
        if record.sender in edges and record.seq > upto[record.sender]:
            tails[record.sender].append(Entry(delivery, said=True, done=True))
        answered = heard.get((record.sender, record.cause_seq))
        if answered is not None and record.sender not in edges:
            answered.done = True
            answered.recorded = [*(answered.recorded or []), bytes(record.body)]
        if isinstance(message, MessageParked):
            parked.add((message.child, message.seq))
    for name, tail in tails.items():
        for entry in tail:
            entry.parked = (name, entry.delivery.seq) in parked
    return {
        name: Ledger(snapshots[name].state if name in snapshots else None, tail, tolerant=tolerant)
        for name, tail in tails.items()
    }
