"""Keys as they are pressed, without Enter. Beside adapters/os.py the only module that differs by operating system."""

import sys
import threading
from types import TracebackType
from typing import Final, Self

CHARACTERS_MAX: Final = 32
_LOOK_EVERY_S: Final = 0.05

if sys.platform == "win32":
    import msvcrt

    class Keyboard:
        """The console, from `with` to the end of the block; where standard input is none, no key ever comes."""

        def __enter__(self) -> Self:
            return self

        def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
            """Nothing was changed."""

        def pressed(self, timeout_s: float) -> str:
            """What was typed within `timeout_s`, at once when something was; "" when nothing."""
            looks = max(1, round(timeout_s / _LOOK_EVERY_S))
            for _ in range(looks):
                if sys.stdin.isatty() and msvcrt.kbhit():
                    return msvcrt.getwch()
                threading.Event().wait(_LOOK_EVERY_S)
            return ""

else:
    import os
    import select
    import termios
    import tty

    class Keyboard:
        """The terminal, from `with` to the end of the block; where standard input is none, no key ever comes.

        Ctrl-C and Ctrl-Z stay what they are. At the end the terminal is as it was, whatever ended the block.
        """

        def __enter__(self) -> Self:
            self._descriptor = sys.stdin.fileno() if sys.stdin.isatty() else None
            if self._descriptor is not None:
                self._before = termios.tcgetattr(self._descriptor)
                tty.setcbreak(self._descriptor)
            return self

        def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
            if self._descriptor is not None:
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

        def pressed(self, timeout_s: float) -> str:
            """What was typed within `timeout_s`, at once when something was; "" when nothing."""
            if self._descriptor is None:
                threading.Event().wait(timeout_s)
                return ""
            ready, _, _ = select.select([self._descriptor], [], [], timeout_s)
            if not ready:
                return ""
            typed = os.read(self._descriptor, CHARACTERS_MAX)
            if not typed:
                self._descriptor = None  # the other end of the terminal is gone; nobody types any more
            return typed.decode("utf-8", "replace")
