"""A run put together from its children: on the deterministic host, or on the threaded one over a journal on disk."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from evenkeel.adapters.hidden import HIDDEN
from evenkeel.adapters.world import World
from evenkeel.config.load import canonical
from evenkeel.messages.operator import LimitsLowered
from evenkeel.messages.system import RunConfigured, RunStarted, RunStopped
from evenkeel.runtime.clock import ManualClock
from evenkeel.runtime.fold import ledgers_of
from evenkeel.runtime.journal import Journal
from evenkeel.runtime.publisher import SUPERVISOR, Publisher
from evenkeel.runtime.stepped import SteppedHost
from evenkeel.supervisor import CODEC, children, route_table

if TYPE_CHECKING:
    from evenkeel.adapters.lmdb_journal import LmdbJournal

INTAKE: Final = ("control", "market_feed")
"""Dismissed first when a run ends: nothing new comes in while the others finish what they have."""


def stepped_run(
    world: World,
    clock: ManualClock,
    started: RunStarted,
    journal: Journal | None,
    more_edges: Mapping[str, Callable[[], Any]] | None = None,
    stand_ins: Mapping[str, Callable[[], Any]] | None = None,
) -> SteppedHost:
    """A run on the deterministic host, booted: for replays, stories and benchmarks."""
    specs = children(world, more_edges, stand_ins)
    publisher = Publisher(routes=route_table(specs), codec=CODEC, clock=clock, journal=journal)
    host = SteppedHost(specs, publisher=publisher, clock=clock)
    publisher.publish(SUPERVISOR, 0, [started])
    host.boot()
    return host


class LiveRun:
    """A run on the threaded host over a journal on disk: it begins where the journal ends, with what was lowered since the
    configuration of `world` (`lowering`)."""

    def __init__(
        self,
        world: World,
        journal: "LmdbJournal",
        started: RunStarted,
        *,
        more_edges: Mapping[str, Callable[[], Any]],
        on_fatal: Callable[[str], None],
        on_journal_failed: Callable[[str], None],
        on_look: Callable[[], None] = lambda: None,
        lowering: str = "",
    ) -> None:
        from evenkeel.runtime.threaded import ThreadedHost  # pykka and loguru: a replay has no threads and starts sooner

        specs = children(world, more_edges)
        ledgers = ledgers_of(journal.read, journal.snapshots, specs, CODEC, tolerant=not started.continued)
        self.publisher = Publisher(
            routes=route_table(specs),
            codec=CODEC,
            clock=world.clock,
            journal=journal,
            last_seq=journal.last_seq,
            last_utc_ms=last_utc_ms(journal),
            on_journal_failed=on_journal_failed,
        )
        self.host = ThreadedHost(
            specs, publisher=self.publisher, ledgers=ledgers, on_fatal=on_fatal, on_look=on_look, shown=HIDDEN.shown
        )
        self._journal = journal
        lowered = LimitsLowered("", SUPERVISOR, lowering)
        self._opening = [started, RunConfigured(canonical(world.config).decode()), lowered]
        journal.on_durable(lambda: self.host.wake("terminal"))

    def boot(self) -> None:
        """Every child serves, and the segment opens with a snapshot of each. Raises BootFailed."""
        self.host.say(SUPERVISOR, self._opening)
        self.host.boot()
        self.host.snapshot_all()

    def stop(self, reason: str, deadline_s: float) -> list[str]:
        """An end in order; returns the children that were still busy at the deadline. Positions keep their broker stops."""
        late = self.host.stop(first=INTAKE, deadline_s=deadline_s)
        self.host.say(SUPERVISOR, [RunStopped(reason)])
        self._journal.flush(deadline_s)
        self._journal.close(clean=not late)
        return late


def last_utc_ms(journal: "LmdbJournal") -> int:
    """The run's clock at the last record that `open` found, 0 for a new journal."""
    return next((record.time_utc_ms for record in journal.read(journal.last_seq)), 0)
