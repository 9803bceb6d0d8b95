"""The two parts of a live system that look at all the others: its health, and the snapshots of the account."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final, Protocol

from evenkeel.adapters.health import Health, Sources
from evenkeel.adapters.snapshot_files import SnapshotFiles
from evenkeel.adapters.snapshots import Snapshots
from evenkeel.rules.exits import guarded_tickets
from evenkeel.rules.lineage import plugins
from evenkeel.rules.snapshots import Loop
from evenkeel.rules.view import CheckState, CheckView
from evenkeel.runtime.clock import SystemClock

if TYPE_CHECKING:
    from evenkeel.adapters.lmdb_journal import LmdbJournal
    from evenkeel.commands.live import LiveSystem

_CLOCK: Final = SystemClock()


class Log(Protocol):
    """What writes the log. `lost` counts the lines since it could last be written."""

    @property
    def lost(self) -> int: ...


def onlookers(
    system: "LiveSystem", journal: "LmdbJournal", host_ns: Callable[[], int | None] | None, log: Log | None
) -> dict[str, Callable[[], Any]]:
    """What makes each of them, by the child's name. `host_ns`: see Sources."""
    config, started_ns = system.config, _CLOCK.monotonic_ns()
    made: dict[str, Callable[[], Any]] = {
        "health": lambda: Health(
            config,
            tuple(system.specs),
            _sources(system, journal)._replace(host_ns=host_ns, lines_lost=None if log is None else lambda: log.lost),
            monotonic_ns=_CLOCK.monotonic_ns,
            started_ns=started_ns,
            utc_ms=_CLOCK.now_utc_ms,
        )
    }
    every_s = config.health.snapshot_every_s
    if every_s != "off":
        every_ms, files = round(every_s * 1000), SnapshotFiles(system.folder.snapshots, config.health.snapshot_days)
        made["snapshots"] = lambda: Snapshots(
            every_ms,
            put=files.put,
            loop=lambda: Loop(quotes=system.board.quotes, samples=system.board.samples),
            positions=lambda: len(system.held()),
            alarms=lambda: sum(row.state is CheckState.ALARM for row in health_rows(system)),
            utc_ms=_CLOCK.now_utc_ms,
        )
    return made


def health_rows(system: "LiveSystem") -> tuple[CheckView, ...]:
    """What the checks found last, the worst first; none while nobody looks."""
    health = system.run.host.child("health")
    return () if health is None else health.rows


def _held(system: "LiveSystem") -> dict[int, str] | None:
    """The symbols of our positions by ticket, as the gateway believes at this moment; None: there is no gateway."""
    gateway = system.run.host.child("broker_gateway")
    return None if gateway is None else {ticket: one.symbol for ticket, one in list(gateway.state.book.positions.items())}


def _sources(system: "LiveSystem", journal: "LmdbJournal") -> Sources:
    """What is looked at in another child is one attribute, which that child replaces as a whole. The run is there only when
    they are asked: its children are made before it is, too."""
    plugin_names = plugins(system.config)

    def seen(child: str, attribute: str) -> Any:
        return getattr(system.run.host.child(child), attribute, None)

    def armed() -> Collection[int] | None:
        feed = seen("market_feed", "state")
        if feed is None:
            return None
        return guarded_tickets(armed.watch for symbol in list(feed.symbols.values()) for armed in symbol.watches.armed)

    def quote_ns(symbol: str) -> int | None:
        quote = system.board.served(symbol)
        return None if quote is None else quote.monotonic_ns

    return Sources(
        children=lambda: system.run.host.status(),
        quote_ns=quote_ns,
        held=lambda: _held(system),
        armed=armed,
        read_ns=lambda: seen("terminal", "read_ns"),
        journal=journal,
        last_seq=lambda: system.run.publisher.last_seq,
        stores=lambda: {name: seen(f"chain_store/{name}", "failure") or "" for name in plugin_names},
        backup_utc_ms=lambda: seen("storage", "newest_backup_utc_ms"),
        heard_utc_ms=lambda: getattr(seen("attendance", "state"), "heard_utc_ms", None),
    )
