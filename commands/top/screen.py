"""The terminal that `top` draws on. With frame.py the only module of it that loads rich."""

import os
import sys
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from evenkeel.commands.tables import columns
from evenkeel.commands.top.frame import frame
from evenkeel.commands.top.sight import Sight

PIPE_COLUMNS: Final = 100
ROWS_OF_A_PRINT: Final = 10_000
"""Nothing that is printed has to fit onto a screen."""


class Screen:
    """A screen of its own from `with` to the end of the block; then the terminal shows what it showed before."""

    def __init__(self, account: str, *, no_color: bool) -> None:
        self._account = account
        self._console = _console(no_color)
        self._live = Live(console=self._console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of now."""
        return self._console.size.width, self._console.size.height

    def show(self, sight: Sight) -> None:
        width, height = self.size
        self._live.update(frame(sight, self._account, width, height, ascii_only=_is_ascii(self._console)), refresh=True)


def printed(sight: Sight, account: str, *, no_color: bool) -> None:
    """Once, as long as it gets."""
    width = columns() or PIPE_COLUMNS
    console = _console(no_color, width)
    console.print(frame(sight, account, width, ROWS_OF_A_PRINT, ascii_only=_is_ascii(console)))


def _console(no_color: bool, width: int | None = None) -> Console:
    return Console(file=sys.stdout, width=width, no_color=no_color or bool(os.environ.get("NO_COLOR")), highlight=False)


def _is_ascii(console: Console) -> bool:
    return not console.encoding.lower().startswith("utf")
