"""Ctrl-C, made to end a command at whatever moment it comes."""

import _thread
import signal
import threading
from types import FrameType
from typing import Final

ASKED_AGAIN_S: Final = 0.05


class Interrupts:
    """Ctrl-C waits until an import is through: an extension that is half made turns it into an error of its own, or crashes.
    One that an extension has swallowed is said again."""

    def __init__(self) -> None:
        self.came = self._is_over = False
        self._thread = threading.get_ident()
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self._came)

    def end(self) -> None:
        self._is_over = True
        if signal.getsignal(signal.SIGINT) == self._came:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def say_again(self) -> None:
        """Nothing when the command is over: an interpreter that ends starts no thread. Takes no lock of threading's, which the
        code that was interrupted may hold."""
        if not self._is_over:
            _thread.start_new_thread(self._say_again, ())

    def _came(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        if not is_importing(frame):
            raise _CtrlC(self)
        self.say_again()

    def _say_again(self) -> None:
        threading.Event().wait(ASKED_AGAIN_S)
        if not self._is_over:
            _interrupt(self._thread)


class _CtrlC(KeyboardInterrupt):
    """Lives while it is on its way through the code; one that is gone before the command is over was swallowed. Nobody hears
    what `__del__` raises, and msgspec clears what the `__hash__` of a type does, as each user of `PyDict_GetItem`."""

    def __init__(self, interrupts: Interrupts) -> None:
        super().__init__()
        self._interrupts = interrupts

    def __del__(self) -> None:
        self._interrupts.say_again()


def _interrupt(main_thread: int) -> None:
    """By a signal, which ends a wait and is held back where signals are; Windows has none between threads."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main_thread, signal.SIGINT)
    else:
        _thread.interrupt_main()


def is_importing(frame: FrameType | None) -> bool:
    """Whether the code that a signal has interrupted is part of an import."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
