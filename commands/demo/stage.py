"""What the demonstration shows, and how it shows it where there is no screen: a line an event."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TextIO

from evenkeel.rules.instants import clock_of
from evenkeel.rules.view import View, decimal_of

STATUS_EVERY_S: Final = 5.0


class Line(NamedTuple):
    """An event in words, at its market time."""

    time_utc_ms: int
    text: str


class Moment(NamedTuple):
    """What there is to show at a market time. `lines` are all events so far; `banner` tells of the kill."""

    view: View
    now_utc_ms: int
    lines: Sequence[Line]
    banner: Sequence[str]
    elapsed_s: float
    seconds: float
    speed: float


class Stage(Protocol):
    """Where the show is shown: a screen, or lines in a pipe. `frame_s` is how often."""

    frame_s: float

    def show(self, moment: Moment) -> None: ...


class PlainLines:
    """For a pipe: an event a line as it happens, and now and then where things stand."""

    frame_s = 0.2

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0
        self._banner: Sequence[str] = ()
        self._status_due_s = STATUS_EVERY_S

    def show(self, moment: Moment) -> None:
        for line in moment.lines[self._shown :]:
            print(clock_of(line.time_utc_ms), line.text, file=self._stream)
        self._shown = len(moment.lines)
        for text in moment.banner:
            if text not in self._banner:
                print(clock_of(moment.now_utc_ms), "***", text, file=self._stream)
        self._banner = tuple(moment.banner)
        if moment.elapsed_s >= self._status_due_s:
            self._status_due_s += STATUS_EVERY_S
            print(clock_of(moment.now_utc_ms), "---", _standing(moment.view), file=self._stream)
        self._stream.flush()


def counted(counts: Mapping[str, int]) -> str:
    """The most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in Counter(counts).most_common()) or "none"


def _standing(view: View) -> str:
    """One line of where things stand."""
    account, today = view.account, view.today
    equity = "not read yet" if account is None else decimal_of(account.equity_cents, account.currency_digits)
    return (
        f"equity {equity}, {len(view.positions)} open, {today.trades} closed, {today.won} won, mode {view.mode.value}, "
        f"refused: {counted(today.refusals)}"
    )
