"""How figures look on a screen, for every command that draws one: colours, money, and the way from stop to target."""

from typing import Final

from rich.text import Text

from evenkeel.rules.view import PositionView, signed

GAIN: Final = "green"
LOSS: Final = "red"
QUIET: Final = "bright_black"
TITLE: Final = "bold cyan"
CAUTION: Final = "yellow"
ROOM_SMALL: Final = 0.2
ROOM_HALF: Final = 0.5


def way(position: PositionView, cells: int) -> Text:
    """Where the price stands between stop, on the left, and target; the tick is the entry. Empty while one is not known."""
    if not (position.entry and position.mark and position.stop and position.target):
        return Text("")
    stop, target = float(position.stop), float(position.target)
    if stop == target:
        return Text("")

    def cell(price: str) -> int:
        share = (float(price) - stop) / (target - stop)
        return round(min(1.0, max(0.0, share)) * (cells - 1))

    line = Text("─" * cells, QUIET)
    entry, now = cell(position.entry), cell(position.mark)
    line = line[:entry] + Text("┼", QUIET) + line[entry + 1 :]
    return line[:now] + Text("●", color(now - entry)) + line[now + 1 :]


def money(cents: int, digits: int) -> Text:
    return Text(signed(cents, digits), color(cents))


def color(amount: float) -> str:
    return GAIN if amount > 0 else LOSS if amount < 0 else ""


def room(room_ratio: float) -> str:
    """The colour of what is left of a limit."""
    return LOSS if room_ratio <= ROOM_SMALL else CAUTION if room_ratio <= ROOM_HALF else GAIN
