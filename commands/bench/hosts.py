"""Hosts and journals for a measurement: put together as a run puts them together, and gone with the `with` block."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.commands.bench.figures import BenchFailed, monotonic_ns, sleep_until
from evenkeel.messages.system import Message
from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.publisher import SUPERVISOR, Publisher
from evenkeel.runtime.shell import ChildSpec
from evenkeel.runtime.threaded import ThreadedHost

SENDER: Final = "bench"
DEADLINE_S: Final = 30.0
LOOK_EVERY_NS: Final = 500_000


@contextlib.contextmanager
def lmdb_journal() -> Iterator[LmdbJournal]:
    """A new journal in a temporary folder, all of it one trading day."""
    with TemporaryDirectory(prefix="evenkeel-bench-") as folder:
        journal = LmdbJournal.open(Path(folder) / "journal", day_of=lambda utc_ms: "2026-01-05")
        try:
            yield journal
        finally:
            journal.close(clean=True)


@contextlib.contextmanager
def threaded_host(
    specs: Sequence[ChildSpec], publisher: Publisher, *, first_words: Sequence[Message] = ()
) -> Iterator[ThreadedHost]:
    """A booted host. Raises BenchFailed when a child did not live to the end, for then the figures mean nothing."""
    fatal: list[str] = []
    host = ThreadedHost(specs, publisher=publisher, on_fatal=fatal.append)
    if first_words:
        host.say(SUPERVISOR, first_words)
    host.boot()
    try:
        yield host
        crashed = [status.name for status in host.status() if status.incarnation > 1]
        if fatal or crashed:
            raise BenchFailed(f"{', '.join(crashed)} crashed; {'; '.join(fatal)}")
    finally:
        host.stop(first=[spec.name for spec in specs if spec.name == "market_feed"], deadline_s=DEADLINE_S)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Raises BenchFailed when it takes longer than DEADLINE_S."""
    until_s = monotonic_s() + DEADLINE_S
    while not condition():
        if monotonic_s() > until_s:
            raise BenchFailed(f"{what}: not within {DEADLINE_S:.0f} s")
        sleep_until(monotonic_ns() + LOOK_EVERY_NS)
