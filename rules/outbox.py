"""Notices on their way outside: what waits for whom, what goes next, what is told together, what is given up. No I/O.

Everything is bounded. Mild notices give way first; one of severity 1 is never dropped, it is told together with others at most.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from evenkeel.messages.notifier import Event
from evenkeel.rules.notifier import GRAVE, Noted

WAITING_MAX: Final = 200
"""Notices that wait and are not on their way. One more drops the oldest of the mildest; where all are of severity 1, the
newest of them takes it in."""
DONE_KEPT: Final = 100
SAME_WITHIN_MS: Final = 60_000
"""A mild notice that says the same as one so long before is counted there."""
TOGETHER_FROM: Final = 6
"""So many of severity 1 that wait for an outlet go in one."""
GIVE_UP_MS: Final = {GRAVE: 86_400_000, 2: 21_600_000, 3: 21_600_000}
"""By severity: how long an outlet is tried."""
WAIT_MS: Final = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000)
"""After the first, second … failure of an outlet in a row."""
RETRY_AFTER_MS_MAX: Final = 3_600_000

Result = Literal["delivered", "together", "dropped", "given_up"]


class Fate(msgspec.Struct, frozen=True):
    """What became of a notice at one outlet. `together`: in one with others. `detail` says why not."""

    result: Result
    at_utc_ms: int
    detail: str = ""


class Row(msgspec.Struct):
    """A notice. `seqs` are the records that it tells of, 0 for one that a restart found not written down; `count` may be more
    than they are. `fates` and `tries` by outlet; `is_judged`: it was looked at whether it was overdue."""

    number: int
    event: Event
    severity: int
    silent: bool
    text: str
    seqs: list[int]
    time_utc_ms: int
    put_utc_ms: int
    count: int = 1
    fates: dict[str, Fate] = {}
    tries: dict[str, int] = {}
    is_judged: bool = False


class OutboxState(msgspec.Struct):
    """`instance` and a row's number are a notice's id, for ever. `upto` is the number of the last message written down.
    `rows` wait for some outlet; `done` are the newest of those that wait for nobody, oldest first."""

    instance: str
    number: int = 0
    upto: int = 0
    rows: dict[int, Row] = {}
    done: list[Row] = []


class Sending(NamedTuple):
    """What goes out in one: the rows with these numbers. `name` is the same for the same rows, and other rows have another:
    a receiver that knows it has all of them."""

    numbers: tuple[int, ...]
    event: Event
    severity: int
    silent: bool
    text: str
    seqs: tuple[int, ...]
    times: int
    time_utc_ms: int

    @property
    def name(self) -> str:
        return "-".join(str(number) for number in sorted({self.numbers[0], self.numbers[-1]}))


def put(
    state: OutboxState, one: Noted, seq: int, time_utc_ms: int, now_utc_ms: int, outlets: Collection[str], busy: Collection[int]
) -> Row:
    """Write it down; the row that holds it. `busy` are rows that are on their way just now."""
    state.upto = one.number
    same = None if one.severity == GRAVE else _same(state, one, now_utc_ms)
    if same is not None:
        return _taken_in(same, seq)
    free = [row for row in waiting(state, outlets) if row.number not in busy]
    if len(free) >= WAITING_MAX:
        mildest = max(row.severity for row in free)
        if mildest == GRAVE:
            return _taken_in(free[-1], seq)
        oldest = next(row for row in free if row.severity == mildest)
        _ended(oldest, outlets, Fate("dropped", now_utc_ms, f"{WAITING_MAX} notices waited"))
    state.number += 1
    row = Row(state.number, one.event, one.severity, one.silent, one.text, [seq], time_utc_ms, now_utc_ms)
    state.rows[row.number] = row
    _put_away(state, outlets)
    return row


def waiting(state: OutboxState, outlets: Collection[str]) -> list[Row]:
    """Those that some outlet has not taken, oldest first."""
    return [row for row in state.rows.values() if any(name not in row.fates for name in outlets)]


def next_sending(state: OutboxState, outlet: str, mild_left: int) -> Sending | None:
    """What goes to the outlet next: the gravest first, of those what was tried least. When more mild ones wait than
    `mild_left` may still be told, they go in one."""
    rows = waiting(state, (outlet,))
    grave = [row for row in rows if row.severity == GRAVE]
    if grave:
        return _together(grave) if len(grave) >= TOGETHER_FROM else _single(_least_tried(grave, outlet))
    if not rows or not mild_left:
        return None
    return _together(rows) if len(rows) > mild_left else _single(_least_tried(rows, outlet))


def has_untried(state: OutboxState, outlet: str) -> bool:
    """One of severity 1 waits that the outlet was not asked to take yet."""
    return any(row.severity == GRAVE and outlet not in row.tries for row in waiting(state, (outlet,)))


def settled(
    state: OutboxState, outlet: str, sent: Sending, outlets: Collection[str], *, is_taken: bool, at_utc_ms: int
) -> list[Row]:
    """An answer came, or none in time. The rows that had not been outside before it; what was given up meanwhile is not."""
    fate = Fate("delivered" if len(sent.numbers) == 1 else "together", at_utc_ms)
    rows = [state.rows[number] for number in sent.numbers if number in state.rows]
    new = [row for row in rows if is_taken and not is_outside(row)]
    for row in rows:
        row.tries[outlet] = row.tries.get(outlet, 0) + 1
        if is_taken:
            row.fates[outlet] = fate
    _put_away(state, outlets)
    return new


def given_up(state: OutboxState, outlets: Collection[str], why: str, now_utc_ms: int) -> list[Row]:
    """Those that were tried long enough; they are over for every outlet that has not taken them."""
    old = [row for row in waiting(state, outlets) if now_utc_ms - row.put_utc_ms > GIVE_UP_MS[row.severity]]
    for row in old:
        _ended(row, outlets, Fate("given_up", now_utc_ms, why))
    _put_away(state, outlets)
    return old


def unjudged(state: OutboxState) -> list[Row]:
    """Of severity 1, and nobody has looked yet whether they were in time."""
    return [row for row in state.rows.values() if row.severity == GRAVE and not row.is_judged]


def is_outside(row: Row) -> bool:
    """Some outlet has taken it."""
    return any(fate.result in ("delivered", "together") for fate in row.fates.values())


def _same(state: OutboxState, one: Noted, now_utc_ms: int) -> Row | None:
    return next(
        (
            row
            for row in (*reversed(state.rows.values()), *reversed(state.done))
            if (row.event, row.text) == (one.event, one.text) and abs(now_utc_ms - row.put_utc_ms) <= SAME_WITHIN_MS
        ),
        None,
    )


def _taken_in(row: Row, seq: int) -> Row:
    row.count += 1
    if len(row.seqs) < WAITING_MAX:
        row.seqs.append(seq)
    return row


def _ended(row: Row, outlets: Collection[str], fate: Fate) -> None:
    for name in outlets:
        row.fates.setdefault(name, fate)


def _put_away(state: OutboxState, outlets: Collection[str]) -> None:
    """What waits for nobody any more, also because an outlet is no longer there."""
    over = [row for row in state.rows.values() if all(name in row.fates for name in outlets)]
    for row in over:
        del state.rows[row.number]
    if over:
        state.done = [*state.done, *over][-DONE_KEPT:]


def _least_tried(rows: Sequence[Row], outlet: str) -> Row:
    return min(rows, key=lambda row: (row.tries.get(outlet, 0), row.number))


def _single(row: Row) -> Sending:
    text = row.text if row.count == 1 else f"{row.text} ({row.count} times)"
    of = row.event, row.severity, row.silent
    return Sending((row.number,), *of, text, tuple(row.seqs), row.count, row.time_utc_ms)


def _together(rows: Sequence[Row]) -> Sending:
    """The newest in words, the others by their count."""
    *others, newest = rows
    counts = Counter[str]()
    for row in others:
        counts[row.event.value.replace("_", " ")] += row.count
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    text = f"{newest.text}; and {counts.total()} more: {kinds}"
    seqs = tuple(seq for row in rows for seq in row.seqs)
    of = newest.event, newest.severity, all(row.silent for row in rows)
    return Sending(tuple(row.number for row in rows), *of, text, seqs, counts.total() + newest.count, newest.time_utc_ms)
