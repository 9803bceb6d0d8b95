"""What `top` sees: the view database, and whether a supervisor still writes it."""

from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.control_channel import NoAnswer, NotRunning, NotTheSupervisor, Ping, ask
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.adapters.view import ViewError, read_view
from evenkeel.adapters.watchdog_report import WatchdogReport, read_report
from evenkeel.commands.status import Supervisor
from evenkeel.messages.market import Direction
from evenkeel.rules.view import View, points_between
from evenkeel.runtime.clock import SystemClock, monotonic_s

FRESH_MS: Final = 3_000
"""A view is written once a second; one that is older has been missed."""
ASK_EVERY_S: Final = 5.0
ANSWER_S: Final = 1.0


class Sight(NamedTuple):
    """`body` is `view` as it was written, JSON; `age_ms` is None with it. `why` the supervisor does not answer, else "".

    `watchdog` is looked for only when the supervisor does not answer.
    """

    supervisor: Supervisor
    why: str
    view: View | None
    body: bytes | None
    age_ms: int | None
    watchdog: WatchdogReport | None = None

    @property
    def is_fresh(self) -> bool:
        return self.supervisor == "answers" and self.age_ms is not None and self.age_ms <= FRESH_MS


class Room(msgspec.Struct, frozen=True):
    """How far the price of now is from stop and target, in points; negative is beyond. None where either is not known."""

    ticket: int
    to_stop_points: int | None
    to_target_points: int | None


class TopReport(msgspec.Struct, frozen=True):
    """What `--json` prints at each look. `view` is rules.view.View as it was written `age_ms` ago, null where there is none."""

    supervisor: Supervisor
    why: str
    age_ms: int | None
    room: tuple[Room, ...]
    view: msgspec.Raw | None
    watchdog: WatchdogReport | None
    v: int = 1


class Lookout:
    """Reads the view at each look, and asks the supervisor now and then, and when its view is late."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._asked_s = -float("inf")
        self._supervisor: Supervisor = "not_running"
        self._why = ""

    def look(self) -> Sight:
        body, view, trouble = self._read()
        age_ms = None if view is None else SystemClock().now_utc_ms() - view.written_utc_ms
        if age_ms is None or age_ms > FRESH_MS or monotonic_s() - self._asked_s >= ASK_EVERY_S:
            self._ask()
        report = None if self._supervisor == "answers" else read_report(self._folder.watchdog)
        return Sight(self._supervisor, trouble or self._why, view, body, age_ms, report)

    def _read(self) -> tuple[bytes | None, View | None, str]:
        """With a word on what is wrong with it, if anything."""
        if not self._folder.view.is_dir():
            return None, None, ""
        try:
            body = read_view(self._folder.view)
            return body, None if body is None else msgspec.json.decode(body, type=View), ""
        except ViewError as error:
            return None, None, f"the view cannot be read: {error}"
        except msgspec.DecodeError as error:
            return None, None, f"the view is not of this version of evenkeel: {error}"

    def _ask(self) -> None:
        try:
            ask(self._folder.endpoint, Ping(), ANSWER_S)
            self._supervisor, self._why = "answers", ""
        except (NotRunning, NotTheSupervisor) as error:
            self._supervisor, self._why = "not_running", str(error)
        except NoAnswer as error:
            self._supervisor, self._why = "hangs", str(error)
        self._asked_s = monotonic_s()


def report_of(sight: Sight) -> TopReport:
    room = () if sight.view is None else rooms(sight.view)
    raw = None if sight.body is None else msgspec.Raw(sight.body)
    return TopReport(sight.supervisor, sight.why, sight.age_ms, room, raw, sight.watchdog)


def rooms(view: View) -> tuple[Room, ...]:
    """Of each position of ours."""
    return tuple(
        Room(
            one.ticket,
            _room(one.direction is Direction.BUY, one.stop, one.mark),
            _room(one.direction is Direction.SELL, one.target, one.mark),
        )
        for one in view.positions
    )


def _room(is_below: bool, level: str | None, mark: str | None) -> int | None:
    """Points from a level to the price; a level that `is_below` is reached by a fall."""
    if level is None or mark is None:
        return None
    return points_between(level, mark) if is_below else points_between(mark, level)
