"""Two runs beside each other: which openings and closes differ, and from which one on."""

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

import msgspec


class Decision(msgspec.Struct, frozen=True, order=True):
    """An opening or a close as it happened. `text` says all that must be equal for two to count as the same."""

    utc_ms: int
    symbol: str
    kind: str
    text: str


class Difference(msgspec.Struct, frozen=True):
    """What two runs did in `symbol` at one time; None: nothing. `is_first`: of its symbol; later ones may follow from it."""

    utc_ms: int
    symbol: str
    kind: str
    this: str | None
    other: str | None
    is_first: bool


class RunDifference(msgspec.Struct, frozen=True):
    """All that differs, oldest first; `equal` counts the decisions that both made."""

    equal: int
    differences: list[Difference]


def run_difference(this: Sequence[Decision], other: Sequence[Decision]) -> RunDifference:
    """What happened at one time, in one symbol and of one kind is put side by side, in the order of the texts."""
    mine, theirs = Counter(this), Counter(other)
    mine_by_place, theirs_by_place = _by_place(mine - theirs), _by_place(theirs - mine)
    differences: list[Difference] = []
    seen: dict[str, None] = {}
    for place in sorted({**mine_by_place, **theirs_by_place}):
        utc_ms, symbol, kind = place
        for one, two in zip_longest(mine_by_place.get(place, ()), theirs_by_place.get(place, ())):
            differences.append(Difference(utc_ms, symbol, kind, one, two, symbol not in seen))
            seen[symbol] = None
    return RunDifference((mine & theirs).total(), differences)


def _by_place(decisions: Counter[Decision]) -> dict[tuple[int, str, str], list[str]]:
    places: dict[tuple[int, str, str], list[str]] = {}
    for one in sorted(decisions.elements()):
        places.setdefault((one.utc_ms, one.symbol, one.kind), []).append(one.text)
    return places
