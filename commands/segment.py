"""Is this start a continuation? The segment file remembers what ran last, and when starts followed a crash."""

from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.os import write_durably
from evenkeel.messages.system import RunStarted

CRASH_WINDOW_MS: Final = 600_000
CRASHES_KEPT: Final = 16


class Segment(msgspec.Struct, forbid_unknown_fields=True):
    build: str
    configuration: str
    account: str
    crash_starts_utc_ms: list[int] = []


def run_started(
    path: Path, *, build: str, configuration: str, account: str, installation: int, crashed: bool, now_utc_ms: int
) -> RunStarted:
    """What this start is, and the file brought up to date durably. A damaged file counts as a change: entries stay closed."""
    last = _read(path)
    continued = last is not None and (last.build, last.configuration, last.account) == (build, configuration, account)
    starts = [at for at in (last.crash_starts_utc_ms if last else []) if at > now_utc_ms - CRASH_WINDOW_MS]
    if crashed:
        starts.append(now_utc_ms)
    segment = Segment(build, configuration, account, starts[-CRASHES_KEPT:])
    write_durably(path, msgspec.json.encode(segment))
    return RunStarted(build, configuration, account, installation, continued, crashed, len(starts))


def _read(path: Path) -> Segment | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Segment)
    except (FileNotFoundError, ValueError):
        return None
