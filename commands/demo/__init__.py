"""`evenkeel demo`: the supervised system trades a synthetic market in front of you. No account, no network, nothing kept.

Everything but the market and the terminal is as in a real run: threads, journal on disk, limits, supervision. One actor that
holds a position is killed on purpose; whether it came back with its state decides the exit status.
"""

import argparse
import os
import signal
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Final, NamedTuple

import msgspec
from loguru import logger

from evenkeel.adapters import logs
from evenkeel.adapters.lmdb_journal import LmdbJournal, read_folder, verify
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.demo.result import DemoReport, demo_report
from evenkeel.commands.demo.stage import Line, Moment, PlainLines, Stage, counted
from evenkeel.commands.inside import Inside, Market, inside, synthetic_market
from evenkeel.commands.live import LiveSystem
from evenkeel.commands.tables import folded
from evenkeel.config.load import load, packaged
from evenkeel.messages.codec import decode
from evenkeel.messages.entry import OrderDenied
from evenkeel.messages.operator import StartTrading
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.rules.position import ManagedPosition
from evenkeel.rules.report import r_multiple, report_of
from evenkeel.rules.told import told
from evenkeel.rules.view import View, signed
from evenkeel.rules.view_state import Heard, ViewState, fold
from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.journal import JournalError, Record
from evenkeel.runtime.publisher import SUPERVISOR
from evenkeel.runtime.threaded import BootFailed

CONFIGURATION: Final = "demo.toml"
START_UTC_MS: Final = 1_767_600_000_000
"""Monday, 5 January 2026, 08:00 UTC: every show begins there."""
SECONDS: Final = 35.0
SECONDS_MAX: Final = 600.0
KILL_AT_RATIO: Final = 0.4
ANNOUNCED_S: Final = 1.5
"""How long a viewer may read who is killed before it happens."""
PATIENCE_S: Final = 15.0
"""How much longer the show may last when no position was open that long before its end."""
BACK_WITHIN_S: Final = 5.0
FLUSH_S: Final = 1.0
"""What was said before a picture is in its story, unless the disk takes longer."""
SETTLED_MS: Final = 60_000
"""A position so old, in market time, has had its deal: nothing of its plan changes any more."""


class Killed(NamedTuple):
    """What became of the killed actor: `changed` tickets have another plan than before, `missing` ones are not there.

    `back_ms` is real time from the kill until it served again, None when it did not.
    """

    child: str
    tickets: tuple[int, ...]
    incarnation: int
    back_ms: float | None
    changed: tuple[int, ...]
    missing: tuple[int, ...]

    @property
    def kept(self) -> tuple[int, ...]:
        return tuple(ticket for ticket in self.tickets if ticket not in (*self.changed, *self.missing))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=_seconds, default=SECONDS, metavar="N", help="how long the show lasts (default: %(default).0f)"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object on standard output at the end, the show on standard error"
    )


def run(arguments: argparse.Namespace) -> int:
    try:
        with TemporaryDirectory(prefix="evenkeel-demo-", ignore_cleanup_errors=True) as scratch:
            return _demo(Path(scratch), arguments.seconds, as_json=arguments.json)
    except BrokenPipeError:
        raise
    except (OSError, JournalError, BootFailed) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return exit_codes.FAILED


class Story:
    """What the journal tells, in words and counted. Refusals are counted only: as lines they would crowd out the rest."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.closed: list[PositionClosed] = []
        self.opened = 0
        self.refusals: Counter[str] = Counter()
        self.records = 0
        self._state = ViewState()

    def hear(self, records: Iterable[Record]) -> "Story":
        """Go on with `records`, which follow on those before."""
        for record in records:
            self.records += 1
            message = decode(bytes(record.body))
            if isinstance(message, Heard):
                self._hear(message, record.time_utc_ms)
        return self

    def _hear(self, message: Heard, time_utc_ms: int) -> None:
        fold(self._state, message)
        text = told(self._state, message)
        match message:
            case OrderDenied():
                self.refusals[message.reason.value] += 1
                return
            case PositionOpened():
                self.opened += 1
            case PositionClosed():
                self.closed.append(message)
                r = r_multiple(message)
                text = text if r is None else f"{text}, {r:+.2f} R"
            case _:
                pass
        if text is not None:
            self.lines.append(Line(time_utc_ms, text))


class Drill:
    """Kills one actor that holds a position, after it was announced, and looks whether its state came back."""

    def __init__(self, system: LiveSystem, begin_s: float) -> None:
        self.banner = ["Soon one of the actors that hold a position is killed on purpose."]
        self.killed: Killed | None = None
        self._system = system
        self._host = system.run.host
        self._begin_s = begin_s
        self._victim: str | None = None
        self._announced_s = 0.0

    def step(self, elapsed_s: float) -> None:
        """What is due now, if anything."""
        if self.killed is not None or elapsed_s < self._begin_s:
            return
        if self._victim is None or not self._settled(self._victim):
            self._announce(elapsed_s)
        elif elapsed_s - self._announced_s >= ANNOUNCED_S:
            self.killed = self._kill(self._victim)
            was_told = f"{self._victim}, which held {_tickets(self.killed.tickets)}, was killed on purpose"
            self.banner = [was_told, _return_told(self.killed)]

    def _announce(self, elapsed_s: float) -> None:
        """The holder of the newest position: it has the best chance not to close before the kill."""
        settled = {name: plans for symbol in self._system.specs if (plans := self._settled(name := f"position/{symbol}"))}
        self._victim = max(settled, key=lambda name: max(plan.opened_utc_ms for plan in settled[name]), default=None)
        self._announced_s = elapsed_s
        if self._victim is not None:
            tickets = _tickets([plan.ticket for plan in settled[self._victim]])
            self.banner = [f"{self._victim}, which holds {tickets}, is about to be killed on purpose …"]

    def _settled(self, name: str) -> list[ManagedPosition]:
        now_utc_ms = self._system.clock.now_utc_ms()
        return [plan for plan in self._plans(name).values() if now_utc_ms - plan.opened_utc_ms >= SETTLED_MS]

    def _plans(self, name: str) -> dict[int, ManagedPosition]:
        """The actor's positions by ticket, without the closes that are under way: one may begin at any moment."""
        child = self._host.child(name)
        held: dict[int, ManagedPosition] = {} if child is None else dict(child.state.positions)
        return {ticket: msgspec.structs.replace(plan, closing=None) for ticket, plan in held.items()}

    def _kill(self, name: str) -> Killed:
        before, incarnation = self._plans(name), self._incarnation(name)
        killed_s = monotonic_s()
        self._host.crash(name)
        is_back = self._host.wait_until(lambda: self._incarnation(name) > incarnation, BACK_WITHIN_S)
        back_ms = (monotonic_s() - killed_s) * 1000
        after = self._plans(name) if is_back else {}
        return Killed(
            child=name,
            tickets=tuple(before),
            incarnation=self._incarnation(name),
            back_ms=back_ms if is_back else None,
            changed=tuple(ticket for ticket in before.keys() & after.keys() if before[ticket] != after[ticket]),
            missing=tuple(before.keys() - after.keys()),
        )

    def _incarnation(self, name: str) -> int:
        """The one that serves; 0 while none does."""
        return next(child.incarnation if child.serving else 0 for child in self._host.status() if child.name == name)


class Show:
    """From the command to start trading until the time is over or somebody ends it."""

    def __init__(self, system: LiveSystem, seconds: float) -> None:
        self.story = Story()
        self.drill = Drill(system, seconds * KILL_AT_RATIO)
        self.journal = _journal_of(system)
        self._system = system
        self._seconds = seconds
        self._view: View | None = None

    def play(self, stage: Stage) -> None:
        self._system.run.host.say(SUPERVISOR, [StartTrading(command_id="demo", by="evenkeel demo")])
        began_s = monotonic_s()
        while not self._is_over(elapsed_s := monotonic_s() - began_s):
            self.drill.step(elapsed_s)
            self.journal.flush(FLUSH_S)
            self.story.hear(self.journal.read(self.story.records + 1))
            stage.show(self._moment(elapsed_s))
            self._system.ended.wait(stage.frame_s)

    def _is_over(self, elapsed_s: float) -> bool:
        until_s = self._seconds + (PATIENCE_S if self.drill.killed is None else 0.0)
        return self._system.ended.is_set() or elapsed_s >= until_s

    def _moment(self, elapsed_s: float) -> Moment:
        speed = self._system.config.simulated.speed
        now_utc_ms = self._system.clock.now_utc_ms()
        return Moment(self._seen(), now_utc_ms, self.story.lines, self.drill.banner, elapsed_s, self._seconds, speed)

    def _seen(self) -> View:
        """The view of a moment ago: the reporter is woken to make the next one, which is shown with the next frame."""
        host = self._system.run.host
        reporter = host.child("reporter")
        if reporter is not None:
            self._view = _view_decoder.decode(reporter.current("status"))
        host.wake("reporter")
        assert self._view is not None, "the reporter serves when the show begins"
        return self._view


def faults(killed: Killed | None, *, opened: int, closed: Collection[int]) -> Iterator[str]:
    """Why the exit status is not 0. Of the tickets in `closed` the journal saw the end: such a one may well be missing."""
    if not opened:
        yield "no trade was made"
    if killed is None:
        yield "no actor was killed: none held a position"
    elif killed.back_ms is None:
        yield f"{killed.child} did not come back within {BACK_WITHIN_S:.0f} s"
    elif lost := [*killed.changed, *(ticket for ticket in killed.missing if ticket not in closed)]:
        yield f"{killed.child} came back without {_tickets(lost)} as before"


_view_decoder: Final = msgspec.json.Decoder(View)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0 and up to {SECONDS_MAX:.0f}")
    return seconds


def _demo(scratch: Path, seconds: float, *, as_json: bool) -> int:
    config = load(packaged(CONFIGURATION))
    folder = StateFolder(scratch, config.account.name)
    folder.create()
    logs.set_up(folder.logs, console_level="CRITICAL")
    sys.setswitchinterval(0.0005)  # shorter waits for the interpreter's lock, as in a real run

    def synthetic(system: LiveSystem, made: Inside) -> Market:
        return synthetic_market(system, made, speed=config.simulated.speed, start_utc_ms=START_UTC_MS, is_live=False)

    system = LiveSystem(
        config,
        folder,
        inside(synthetic),
        on_fatal=lambda reason: system.ask_stop(reason),
    )
    try:
        return _shown(system, seconds, as_json=as_json)
    finally:
        logger.remove()  # Windows deletes no folder in which a log is open


def _journal_of(system: LiveSystem) -> LmdbJournal:
    journal = system.run.publisher.journal
    assert isinstance(journal, LmdbJournal), "a live run keeps its journal in LMDB"
    return journal


def _shown(system: LiveSystem, seconds: float, *, as_json: bool) -> int:
    interrupts = _interrupts_end(system)
    show = Show(system, seconds)
    try:
        system.boot()
        with nullcontext(PlainLines(sys.stderr)) if as_json else _stage() as stage:
            show.play(stage)
    finally:
        late = system.stop("the end of the show")
    if system.stop_asked_by in interrupts:
        print("interrupted; everything stopped in order, nothing is left behind", file=sys.stderr)
        return exit_codes.INTERRUPTED
    return _verdict(system, show, late, as_json=as_json)


def _verdict(system: LiveSystem, show: Show, late: Sequence[str], *, as_json: bool) -> int:
    """The closing summary, from the journal on disk, and the exit status."""
    story, killed = Story().hear(read_folder(system.folder.journal)), show.drill.killed
    found = [
        *faults(killed, opened=story.opened, closed={closed.ticket for closed in story.closed}),
        *filter(None, (system.stop_asked_by, show.journal.failure)),
        *(f"{name} did not end in time" for name in late),
    ]
    if as_json:
        print(msgspec.json.encode(_report(system, story, killed, found)).decode())
    else:
        print(folded(_summary(system, story, killed, show.journal.commits), indent=4))
    for fault in found:
        print(f"the demonstration failed: {fault}", file=sys.stderr)
    return exit_codes.FAILED if found else exit_codes.OK


def _report(system: LiveSystem, story: Story, killed: Killed | None, found: list[str]) -> DemoReport:
    child, back_ms = (None, None) if killed is None else (killed.child, killed.back_ms)
    return demo_report(
        story.closed,
        opened=story.opened,
        refused=story.refusals,
        faults=found,
        killed=child,
        back_ms=back_ms,
        currency=system.config.account.currency,
        records=verify(system.folder.journal),
    )


def _interrupts_end(system: LiveSystem) -> tuple[str, ...]:
    """Let the signals that ask a process to end do so in order; their names, by which they ask."""

    def asked(number: int, frame: FrameType | None) -> None:
        system.ask_stop(signal.Signals(number).name)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32":
        numbers.append(signal.SIGHUP)
    for number in numbers:
        signal.signal(number, asked)
    return tuple(number.name for number in numbers)


def _stage() -> AbstractContextManager[Stage]:
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return nullcontext(PlainLines(sys.stdout))
    from evenkeel.commands.demo.screen import Screen  # rich, only where there is a screen

    return Screen()


def _return_told(killed: Killed) -> str:
    if killed.back_ms is None:
        return f"{killed.child} is not back after {BACK_WITHIN_S:.0f} s"
    what = f"with {_tickets(killed.kept)} and its stop" if killed.kept else "without a position"
    return f"{killed.child} is back as incarnation {killed.incarnation} {what} after {killed.back_ms:.1f} ms"


def _tickets(tickets: Sequence[int]) -> str:
    return f"ticket{'s' if len(tickets) > 1 else ''} {', '.join(map(str, tickets))}"


def _summary(system: LiveSystem, story: Story, killed: Killed | None, commits: int) -> str:
    report, account = report_of(story.closed), system.config.account
    average = "" if report.average_r is None else f", {report.average_r:+.2f} R on average"
    net = f"{signed(report.net_cents, account.currency_digits)} {account.currency}"
    rows = [
        ("trades", f"{report.trades} closed, {report.won} won, net {net}{average}"),
        ("closed by", counted(report.exits)),
        ("left open", f"{story.opened - report.trades}, each with its stop at the broker"),
        ("refused", counted(story.refusals)),
        ("killed", "nobody" if killed is None else _return_told(killed)),
        ("journal", f"{verify(system.folder.journal)} records in {commits} commits, every digest checked"),
    ]
    return "\n".join(
        [
            "",
            "The market and its terminal were simulated, so the money means nothing. Everything else was real:",
            *(f"  {name:10} {text}" for name, text in rows),
            "",
            "What to do next:",
            "  evenkeel init                   a configuration of your own, then doctor, run, start and top",
            "  evenkeel backtest --help        the same actors on your own ticks",
            "or the same as a run of its own, the second line in another terminal:",
            f"  evenkeel run --config {packaged(CONFIGURATION)}",
            "  evenkeel start --account demo   then top, why, stop, each with --account demo",
        ]
    )
