"""The broker's clock against UTC: estimated from fresh ticks, kept on disk, and told of when it changes.

MetaTrader writes the wall clock of its server as if it were UTC, and no function tells the difference (metatrader5.md 4). The
newest tick cannot be newer than now, so its time minus UTC, rounded, is the offset, while quotes are fresh.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.os import write_durably

STEP_MS: Final = 15 * 60_000
"""Zones differ by whole quarters of an hour."""
FRESH_MS: Final = 90_000
"""A tick may be so far from a whole quarter, and still be taken for now."""
AGREEING: Final = 3
"""So many new ticks in a row must say the same before a change is believed."""
OFFSET_MS_MAX: Final = 15 * 3_600_000
_FILE_BYTES_MAX: Final = 1 << 20

Row = tuple[int, int]
"""From when (UTC milliseconds), and the offset (milliseconds) since then."""


class OffsetUnknown(Exception):
    """No fresh tick has been seen and nothing is on disk: no time of the server can be told."""


class ServerTime:
    """`store` keeps the table of offsets; stored history is read with the offset that held then. `on_change(before, now)` in
    milliseconds. Raises OSError when the table cannot be written.
    """

    def __init__(self, store: Path | None, on_change: Callable[[int, int], None] = lambda before, now: None) -> None:
        self._store, self._on_change = store, on_change
        self._rows: list[Row] = _read(store)
        self._candidate: Row = (0, 0)  # offset, how often in a row
        self._newest_ms: dict[str, int] = {}

    @property
    def is_known(self) -> bool:
        return bool(self._rows)

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(self._rows)

    def observe(self, symbol: str, server_ms: int, now_utc_ms: int) -> None:
        """The newest tick of a symbol, as often as one looks. Only one that is newer than the one before says something: in a
        quiet market the last tick stays, and grows old by whole quarters of an hour too."""
        before_ms, self._newest_ms[symbol] = self._newest_ms.get(symbol), server_ms
        if before_ms is None or server_ms <= before_ms:
            return
        difference_ms = server_ms - now_utc_ms
        offset_ms = round(difference_ms / STEP_MS) * STEP_MS
        if abs(offset_ms) > OFFSET_MS_MAX or not -FRESH_MS <= difference_ms - offset_ms <= 2_000:
            self._candidate = (0, 0)
            return
        if self._rows and self._rows[-1][1] == offset_ms:
            self._candidate = (0, 0)
            return
        offset, count = self._candidate
        self._candidate = (offset_ms, count + 1 if offset == offset_ms else 1)
        if self._rows and self._candidate[1] < AGREEING:
            return
        before = self._rows[-1][1] if self._rows else None
        self._rows.append((now_utc_ms if self._rows else 0, offset_ms))
        self._candidate = (0, 0)
        if self._store is not None:
            write_durably(self._store, msgspec.json.encode(self._rows))
        if before is not None:
            self._on_change(before, offset_ms)

    def offset_ms(self, utc_ms: int) -> int:
        """Raises OffsetUnknown."""
        if not self._rows:
            raise OffsetUnknown("the broker's clock is not known yet: no fresh quote has been seen")
        return next((offset for since, offset in reversed(self._rows) if utc_ms >= since), self._rows[0][1])

    def utc_ms(self, server_ms: int) -> int:
        """The instant of a server's time. Of an hour that its clock showed twice: with the newer offset."""
        if not self._rows:
            raise OffsetUnknown("the broker's clock is not known yet: no fresh quote has been seen")
        for since, offset in reversed(self._rows):
            if server_ms - offset >= since:
                return server_ms - offset
        return server_ms - self._rows[0][1]

    def server_s(self, utc_ms: int) -> int:
        """For a query: whole seconds of the server's clock."""
        return (utc_ms + self.offset_ms(utc_ms)) // 1000


def _read(store: Path | None) -> list[Row]:
    """A damaged file is as none: the next fresh tick says it again."""
    if store is None:
        return []
    try:
        with open(store, "rb") as file:
            return list(msgspec.json.decode(file.read(_FILE_BYTES_MAX), type=list[Row]))
    except (OSError, ValueError):
        return []
