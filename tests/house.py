"""A supervisor in a process of its own, and everything that a story about its death needs."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from evenkeel.adapters.lmdb_journal import read_folder
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.config.load import load
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import CallTerminal, OpenRequest
from evenkeel.messages.codec import decode
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.messages.system import Message

SPEED = 300
CONFIG = """
profile = "demo"
[account]
name = "test"
[trading]
enabled = true
[entry]
stop_pips = 6
target_pips = 6
cooldown_minutes = 0
[limits]
intent_expiry_s = "off"
[broker_gateway]
reconcile_s = 0.2
[strategy.quick]
kind = "ma_cross"
symbols = ["EURUSD", "GBPUSD"]
fast = 2
slow = 3
"""


class Run(NamedTuple):
    """A supervisor in a process of its own; its log is its standard error."""

    process: subprocess.Popen[str]

    def until(self, words: str) -> str:
        """The next line of the log that holds `words`; the test's own time-out ends the waiting."""
        assert self.process.stderr is not None
        heard = []
        for line in self.process.stderr:
            heard.append(line)
            if words in line:
                return line
        raise AssertionError(f"the process ended before it said {words!r}:\n{''.join(heard[-40:])}")


class House(NamedTuple):
    config: Config
    folder: StateFolder
    start: Callable[[], Run]
    command: Callable[..., subprocess.CompletedProcess[str]]

    def said(self) -> list[Message]:
        return [decode(bytes(record.body)) for record in read_folder(self.folder.journal)]


def houses(tmp_path: Path, text: str = CONFIG) -> Iterator[House]:
    """One house; its processes end with it."""
    environment = {**os.environ, "EVENKEEL_STATE": str(tmp_path / "state"), "NO_COLOR": "1"}
    config = tmp_path / "test.toml"
    config.write_text(text)
    evenkeel = [sys.executable, "-m", "evenkeel.cli"]
    processes: list[subprocess.Popen[str]] = []

    def start() -> Run:
        arguments = [*evenkeel, "run", "--config", str(config), "--speed", str(SPEED)]
        process = subprocess.Popen(arguments, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return Run(process)

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        arguments = [*evenkeel, *words, "--account", "test"]
        return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=30, check=False)

    yield House(load(config), StateFolder(tmp_path / "state", "test"), start, command)
    for process in processes:
        process.kill()
        process.communicate()


def still_open(said: list[Message]) -> set[int]:
    closed = {message.ticket for message in said if isinstance(message, PositionClosed)}
    return {message.ticket for message in said if isinstance(message, PositionOpened)} - closed


def is_open(message: Message) -> bool:
    return isinstance(message, CallTerminal) and isinstance(message.request, OpenRequest)
