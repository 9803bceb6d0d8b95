"""`evenkeel` on a terminal of its own, as a person has it."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios


class Terminal:
    """A process of `evenkeel WORDS` at a terminal of this size; variables that would tell it otherwise are taken away."""

    def __init__(self, *words: str, columns: int = 100, rows: int = 30) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.slave)
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "evenkeel.cli", *words],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=environment | {"TERM": "xterm-256color"},
        )
        self.shown = ""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, text: str) -> str:
        """What was shown since the last call, up to now."""
        while text not in self.shown:
            assert select.select([self.master], [], [], 30)[0], f"never shown: {text!r} in {self.shown!r}"
            self.shown += os.read(self.master, 65_536).decode("utf-8", "replace")
        shown, self.shown = self.shown, ""
        return shown

    def end(self) -> tuple[int, bool]:
        """Its exit status, and whether the terminal's settings are as they were."""
        with self.process:
            status = self.process.wait(30)
        is_as_it_was = termios.tcgetattr(self.slave) == self.before
        os.close(self.master)
        os.close(self.slave)
        return status, is_as_it_was
