"""Bars of bid and ask out of quotes, or out of shorter bars, some rows at a time."""

from collections.abc import Iterable, Iterator

import numpy as np

from evenkeel.rules.bar_columns import Column
from evenkeel.rules.price_checks import BARS, QUOTES, SIDE, PriceRows, joined


def bars_of(blocks: Iterable[PriceRows], names: tuple[str, ...], period_ms: int) -> Iterator[PriceRows]:
    """Bars with the columns BARS, of rows in time order whose columns are `names`: QUOTES without crossed ones, or BARS.

    A period without rows has no bar. `place` is that of a bar's first row. What is carried over is never more than a period.
    """
    assert names in (QUOTES, BARS), f"no bars are made of {names}"
    carried: PriceRows | None = None
    for block in blocks:
        rows = block if carried is None else joined(carried, block)
        cut = int(rows.time_ms.searchsorted(rows.time_ms[-1] // period_ms * period_ms))
        if cut:
            yield _grouped(_part(rows, 0, cut), names, period_ms)
        carried = _part(rows, cut, len(rows.time_ms))
    if carried is not None:
        yield _grouped(carried, names, period_ms)


def _part(rows: PriceRows, start: int, end: int) -> PriceRows:
    return PriceRows(rows.time_ms[start:end], tuple(column[start:end] for column in rows.prices), rows.place[start:end])


def _grouped(rows: PriceRows, names: tuple[str, ...], period_ms: int) -> PriceRows:
    period = rows.time_ms // period_ms
    first = np.flatnonzero(np.concatenate([[True], period[1:] != period[:-1]]))
    last = np.append(first[1:], len(period)) - 1
    columns = dict(zip(names, rows.prices, strict=True))

    def side(name: str) -> tuple[Column, ...]:
        opened, high, low, close = (columns[name if names == QUOTES else f"{name}_{stage}"] for stage in SIDE)
        return opened[first], np.maximum.reduceat(high, first), np.minimum.reduceat(low, first), close[last]

    return PriceRows(period[first] * period_ms, (*side("bid"), *side("ask")), rows.place[first])
