"""From a journal to ledgers: what each child knew, heard and said when the last process ended."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from evenkeel.messages.system import MessageParked
from evenkeel.runtime.actor import restore
from evenkeel.runtime.journal import ChildSnapshot, Record
from evenkeel.runtime.publisher import SUPERVISOR, Codec, Delivery
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


def ledgers_of(
    read: Callable[[int], Iterable[Record]],
    snapshots: Mapping[str, ChildSnapshot],
    specs: Sequence[ChildSpec],
    codec: Codec,
    *,
    tolerant: bool,
) -> dict[str, Ledger]:
    """The ledgers of a journal that ended: `read` gives its records from a number on. `tolerant` as in `ledgers_from`."""
    kept = readable(snapshots, specs) if tolerant else snapshots
    first_seq = min(kept[spec.name].upto_seq if spec.name in kept else 0 for spec in specs) + 1
    return ledgers_from(read(first_seq), kept, specs, codec, tolerant=tolerant)


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
        answered = heard.get((record.sender, record.cause_seq))
        is_edge = record.sender in edges
        is_said = is_edge and record.seq > upto[record.sender]
        is_told = any(record.seq > upto.get(name, record.seq) for name in record.receivers)
        if not (is_told or is_said or answered or record.sender == SUPERVISOR):
            continue  # older than the snapshots of all whom it concerns; reading what it says would take most of the time
        message = codec.decode(bytes(record.body))
        delivery = Delivery(record.seq, record.time_utc_ms, record.cause_row, message, cause_seq=record.cause_seq)
        for name in record.receivers:
            if record.seq > upto.get(name, record.seq):
                heard[name, record.seq] = entry = Entry(delivery)
                tails[name].append(entry)
        if is_said:
            tails[record.sender].append(Entry(delivery, said=True, done=True))
        if answered is not None and not is_edge:
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
