"""The live table of the demonstration: reads a View and shows it, changes nothing. The only module of a run with rich."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from evenkeel.commands.demo import Line, Moment, clock_of, counted, signed
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode
from evenkeel.rules.view import ChildView, LimitView, PositionView, View, decimal_of

POSITION_ROWS: Final = 4
CHILD_COLUMNS: Final = 2
WIDTH_MAX: Final = 110
_GAIN, _LOSS, _QUIET, _TITLE, _ALARM = "green", "red", "bright_black", "bold cyan", "black on yellow"


class Screen:
    """A stage for a terminal: its own screen, which is gone afterwards, drawn some nine times a second."""

    frame_s = 0.11

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live = Live(console=self._console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def show(self, moment: Moment) -> None:
        self._live.update(frame(moment, height=self._console.height), refresh=True)
