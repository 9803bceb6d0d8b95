"""What is still open after a person made trading stricter, what goes on all the same, and the way back.

Out of the view database, so it is told too when the supervisor hangs or is gone, with the age of what is known.
"""

import threading
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.state_folder import StateFolder
from evenkeel.rules.instants import duration_text, utc_text
from evenkeel.rules.notifier import PERSON
from evenkeel.rules.view import PositionView, View
from evenkeel.runtime.clock import SystemClock, monotonic_s

FRESH_WITHIN_S: Final = 2.0
"""A supervisor that lives shows a view of after the command by then."""
FLATTENED_WITHIN_S: Final = 5.0
"""So long a flatten is followed; it goes on without anybody who looks."""
LOOK_EVERY_S: Final = 0.1
POSITIONS_TOLD_MAX: Final = 10
AS_EVER: Final = "every exit goes on as ever"
GOES_ON: Final = {
    "pause": AS_EVER,
    "close-only": AS_EVER,
    "freeze": "stops, targets and emergency exits go on; no exit by a signal or by time",
    "flatten": "what is left is closed again and again until the broker shows none of it",
    "kill": f"{AS_EVER}; nothing new can be sent",
}
"""The ladder, from mild to hard."""


class StillOpen(NamedTuple):
    """`tickets` are open by the last view, `closed` were open before the command. `age_ms` is None where nothing is known."""

    tickets: tuple[int, ...]
    closed: tuple[int, ...]
    lines: tuple[str, ...]
    age_ms: int | None


def view_now(folder: StateFolder) -> View | None:
    """The newest one; None where there is none that can be read."""
    from evenkeel.adapters.view import read_view  # LMDB, only when it is needed

    try:
        body = read_view(folder.view) if folder.view.is_dir() else None
        return None if body is None else msgspec.json.decode(body, type=View)
    except (OSError, msgspec.DecodeError):
        return None


def still_open(
    folder: StateFolder, command: str, scope: str, before: View | None, *, is_heard: bool, is_flattening: bool
) -> StillOpen:
    """After the supervisor has done `command` in `scope`. `before` is the view of before it; `is_heard`: a supervisor lives."""
    view = _after(folder, scope, before, is_flattening=is_flattening) if is_heard else before
    if view is None:
        return StillOpen((), (), ("what is open is not known here: there is no view of this account",), None)
    age_ms = SystemClock().now_utc_ms() - view.written_utc_ms
    held = [position for position in view.positions if _is_within(position, scope)]
    were = [position.ticket for position in before.positions if _is_within(position, scope)] if before else []
    tickets = tuple(position.ticket for position in held)
    closed = tuple(ticket for ticket in were if ticket not in tickets)
    lines = [f"closed {' '.join(map(str, closed))}"] if closed else []
    lines += [f"still open {_words(position)}" for position in held[:POSITIONS_TOLD_MAX]]
    lines += [f"and {len(held) - POSITIONS_TOLD_MAX} more"] if len(held) > POSITIONS_TOLD_MAX else []
    lines += [] if held else ["nothing of ours is open" + ("" if scope == "account" else f" in {scope}")]
    lines += [f"{len(view.foreign)} not ours stay as they are"] if view.foreign else []
    if not is_heard:
        lines.append(
            f"so it was {duration_text(max(0, age_ms))} ago; until a supervisor serves only stops at the broker close it"
        )
    elif held:
        lines.append(GOES_ON["flatten" if is_flattening else command])
    lines.append(f"back: {_way_back(folder, command, scope)}")
    return StillOpen(tickets, closed, tuple(lines), age_ms)


def holds_told(folder: StateFolder) -> list[str]:
    """What keeps entries away although trading is on, and the way to end what a person began."""
    view = view_now(folder)
    lines: list[str] = []
    for hold in view.holds if view else ():
        until = f"until {utc_text(hold.until_utc_ms)}" if hold.until_utc_ms else "until a rearm"
        lines.append(f"still no new risk in {hold.scope} {until}: {hold.reason}")
        if hold.who == PERSON:
            lines.append(f"back: {_way_back(folder, 'pause', hold.scope)}")
    return lines


def _after(folder: StateFolder, scope: str, before: View | None, *, is_flattening: bool) -> View | None:
    """The first view of after now, and when everything is to be closed the first that shows nothing, or the last in time.

    Where there is no view at all nobody waits for one.
    """
    asked_utc_ms, begin_s = SystemClock().now_utc_ms(), monotonic_s()
    view, patience_s = before, FLATTENED_WITHIN_S if is_flattening else FRESH_WITHIN_S
    while (view := view_now(folder) or view) is not None and monotonic_s() - begin_s < patience_s:
        is_open = any(_is_within(position, scope) for position in view.positions)
        if view.written_utc_ms > asked_utc_ms and not (is_flattening and is_open):
            return view
        threading.Event().wait(LOOK_EVERY_S)
    return view


def _is_within(position: PositionView, scope: str) -> bool:
    return scope in ("account", position.symbol, f"strategy/{position.strategy}")


def _words(position: PositionView) -> str:
    r = "" if position.r is None else f", {position.r:+.2f} R"
    stop = f"stop {position.stop}" if position.stop else "no stop known"
    volume = f"{position.volume_lots or '?'} lots"
    closing = ", a close of it has failed so far" if position.closing else ""
    return f"{position.ticket} {position.symbol} {position.direction.value} {volume}, {stop}{r}{closing}"


def _way_back(folder: StateFolder, command: str, scope: str) -> str:
    named = "" if folder.account == "simulated" else f" --account {folder.account}"
    kind, _, strategy = scope.partition("/")
    within = "" if scope == "account" else f" --strategy {strategy}" if strategy else f" --symbol {kind}"
    match command:
        case "pause":
            return f"evenkeel resume{within}{named}"
        case "close-only":
            return f"evenkeel start{named}"
        case _:
            return f"evenkeel rearm{named}, then evenkeel start{named}"
