"""What replays cannot read does not get into a file that they are to read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from evenkeel.adapters.exports import Faults, PriceFile
from evenkeel.adapters.exports.lines import SHOWN_MAX, Fault
from evenkeel.commands.data.reading import Terms, Unusable, time_told
from evenkeel.rules.price_checks import BARS, QUOTES, Flags, PriceChecks, PriceRows, of_other_scale, outside_extremes


class Clean:
    """Rows that replays can read, in UTC, on their way into the file; what they cannot read is a bad line, and left out.

    When all went by, too many bad lines raise Unusable, and so do bars that are of no or several time frames.
    """

    def __init__(self, names: tuple[str, ...], terms: Terms, bad_lines_max: int) -> None:
        self.faults, self.checks = Faults(), PriceChecks(names, terms.digits, terms.typical)
        self._names, self._terms, self._bad_lines_max = names, terms, bad_lines_max
        self._last_ms = -(2**62)
        self._aligned_ms = 0

    def passed(self, named: Sequence[tuple[Path, Iterator[PriceRows]]], files: Sequence[PriceFile]) -> Iterator[PriceRows]:
        """The rows of each path in turn, once. `files` have their own bad lines, counted when each was read."""
        is_empty = True
        for path, blocks in named:
            for rows in blocks:
                left = self._cleaned(path, rows)
                if len(left.time_ms):
                    is_empty = False
                    self.checks.take(left)
                    yield left
        total = self.faults.total + sum(file.faults.total for file in files)
        if total > self._bad_lines_max:
            told = [line for faults in (*(file.faults for file in files), self.faults) for line in faults.shown]
            kinds = ", ".join(f"{kind} {count}" for kind, count in self.left_out(files).items())
            more = f"{total} bad lines ({kinds}), nothing was written; --bad-lines-max {total} leaves them out"
            raise Unusable("\n".join([*told[:SHOWN_MAX], more]))
        first, *_ = (path for path, _ in named)
        if is_empty:
            raise Unusable(f"{first}: there are no rows")
        if self._names != QUOTES:
            self._require_timeframe(first)

    def left_out(self, files: Sequence[PriceFile]) -> dict[str, int]:
        """By kind."""
        counts: dict[str, int] = {}
        for faults in (*(file.faults for file in files), self.faults):
            for kind, count in faults.counts.items():
                counts[kind] = counts.get(kind, 0) + count
        return counts

    def _cleaned(self, path: Path, rows: PriceRows) -> PriceRows:
        highest = np.maximum.accumulate(np.concatenate([[self._last_ms], rows.time_ms]))
        is_back = rows.time_ms < highest[:-1] if self._names == QUOTES else rows.time_ms <= highest[:-1]
        is_bad = is_back.copy()
        self._add(path, Fault.BACK, is_back, rows, "is not after the row before")
        if self._names == BARS:
            is_outside = outside_extremes(BARS, rows.prices)
            self._add(path, Fault.PRICE, is_outside & ~is_bad, rows, "has an open or close that is not between low and high")
            is_bad |= is_outside
        if self._terms.typical is not None:
            is_other = of_other_scale(rows.prices, float(self._terms.typical * 10**self._terms.digits))
            text = f"is of another scale or symbol: {self._terms.symbol} is usually near {float(self._terms.typical):g}"
            self._add(path, Fault.PRICE, is_other & ~is_bad, rows, text)
            is_bad |= is_other
        self._last_ms = int(highest[-1])
        left = np.flatnonzero(~is_bad)
        self._aligned_ms = int(np.gcd(self._aligned_ms, np.gcd.reduce(rows.time_ms[left]))) if len(left) else self._aligned_ms
        return PriceRows(rows.time_ms[left], tuple(column[left] for column in rows.prices), rows.place[left])

    def _add(self, path: Path, fault: Fault, is_bad: Flags, rows: PriceRows, text: str) -> None:
        numbers = np.flatnonzero(is_bad)
        if len(numbers):
            first = int(numbers[0])
            self.faults.add(
                f"{path}: line {rows.place[first]}", fault, f"{time_told(int(rows.time_ms[first]))} {text}", len(numbers)
            )

    def _require_timeframe(self, path: Path) -> None:
        found = self.checks.found(self._terms.gap_minutes)
        if found.period_ms is None or self._aligned_ms % found.period_ms:
            why = (
                "are of no time frame" if found.period_ms is None else "do not begin where periods of UTC do, or are of several"
            )
            raise Unusable(
                f"{path}: the bars {why} (see evenkeel data check); H4 and D1 bars of a server's clock never do: take H1"
            )
