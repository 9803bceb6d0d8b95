"""The frame of a picture: which values and instants get a line and a label, and where they lie."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import floor, log10
from typing import Final, NamedTuple

from evenkeel.commands.report.markup import Markup, element, joined, void

WIDTH: Final = 960
LEFT: Final = 132
RIGHT: Final = 16
TOP: Final = 12
BOTTOM: Final = 26
LABELS_MAX: Final = 9

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
_STEPS_MS: Final = (
    *(minutes * _MINUTE_MS for minutes in (1, 5, 15, 30, 60, 180, 360, 720)),
    *(days * _DAY_MS for days in (1, 2, 7, 14, 28, 91, 182, 364, 728, 1820)),
)


class Frame(NamedTuple):
    """Maps times and values into a picture WIDTH wide and `height` high."""

    from_x: int
    to_x: int
    low: float
    high: float
    height: int

    def x(self, at: float) -> float:
        return round(LEFT + (at - self.from_x) * (WIDTH - LEFT - RIGHT) / max(1, self.to_x - self.from_x), 1)

    def y(self, value: float) -> float:
        room = self.height - TOP - BOTTOM
        return round(TOP + (self.high - value) * room / (self.high - self.low), 1)

    def points(self, places: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{self.x(at)},{self.y(value)}" for at, value in places)


def frame_of(from_x: int, to_x: int, values: Sequence[float], height: int) -> Frame:
    """Wide enough for all of `values`, with a little room above and below."""
    low, high = min(values), max(values)
    room = (high - low) * 0.04 or max(1.0, abs(high) * 0.001)
    return Frame(from_x, to_x, low - room, high + room, height)


def grid(frame: Frame, label: Callable[[float], str]) -> Markup:
    """A line and a label for each round value and each round instant."""
    lines: list[str] = []
    for value in round_values(frame.low, frame.high):
        y = frame.y(value)
        lines.append(void("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y))
        lines.append(element("text", label(value), x=LEFT - 8, y=y + 4, text_anchor="end"))
    for utc_ms, text in round_instants(frame.from_x, frame.to_x):
        x = frame.x(utc_ms)
        lines.append(void("line", class_="grid", x1=x, x2=x, y1=TOP, y2=frame.height - BOTTOM))
        anchor = "end" if x > WIDTH - RIGHT - 30 else "middle"
        lines.append(element("text", text, x=x, y=frame.height - 8, text_anchor=anchor))
    return joined(lines)


def round_values(low: float, high: float, *, lines_max: int = 6) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between `low` and `high`, at most `lines_max`."""
    raw = (high - low) / (lines_max - 1)
    power = 10.0 ** floor(log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = -(-low // step)
    return [step * at for at in range(int(first), int(high // step) + 1)]


def round_instants(from_utc_ms: int, to_utc_ms: int) -> list[tuple[int, str]]:
    """Round times of UTC, at most LABELS_MAX, with the time of day where the steps are shorter than a day."""
    span_ms = max(1, to_utc_ms - from_utc_ms)
    step_ms = next((step for step in _STEPS_MS if span_ms <= step * (LABELS_MAX - 1)), span_ms)
    form = "%d %b %H:%M" if step_ms < _DAY_MS else "%d %b %Y" if span_ms > 300 * _DAY_MS else "%d %b"
    first = -(-from_utc_ms // step_ms) * step_ms
    return [(at, datetime.fromtimestamp(at / 1000, UTC).strftime(form)) for at in range(first, to_utc_ms + 1, step_ms)]
