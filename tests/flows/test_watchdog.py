"""The supervisor hangs, dies, and dies again: it is started anew until that does not help, then the account is held.

Real processes; one story, told once, of which each test reads a part.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from loguru import logger

from evenkeel.adapters.kill_epoch import KillEpoch
from evenkeel.adapters.lmdb_journal import read_folder
from evenkeel.adapters.log_files import MAIN_NAME
from evenkeel.adapters.os import AccountLock
from evenkeel.adapters.service_manager import Note, NoteBox
from evenkeel.adapters.state_folder import ENDPOINT_NAME, StateFolder
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.client import HostedBroker, HostLink
from evenkeel.adapters.terminal_host.keeper import HostKeeper, local_connect
from evenkeel.commands import exit_codes, watchdog
from evenkeel.commands.hold import Hold
from evenkeel.config.load import load
from evenkeel.messages.broker_gateway import BrokerPosition, OpenRequest, Outcome
from evenkeel.messages.codec import decode
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode
from evenkeel.messages.system import RunStarted
from evenkeel.rules.magic import magic_for
from evenkeel.runtime.clock import elapsed_ns

CONFIG = """
[account]
name = "test"
[terminal]
account_file = "{account}"
[broker_gateway]
reconcile_s = 0.2
reading_gap_s = 0.1
[watchdog]
silent_s = 1.0
restarts_max = 2
[strategy.quick]
kind = "ma_cross"
symbols = ["EURUSD"]
fast = 2
slow = 3
"""
ACCOUNT = """
[market]
quote_every_s = 0.1
"""
EVENKEEL = [sys.executable, "-m", "evenkeel.cli"]
NOTE_S = 10.0
"""At most so long until the next note."""


class Watchdog:
    """`evenkeel watchdog` in a process of its own; what it and its supervisors log comes on one standard error."""

    def __init__(self, config: Path, environment: dict[str, str]) -> None:
        arguments = [*EVENKEEL, "watchdog", "--config", str(config)]
        self.process = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)
        self.heard: list[str] = []

    def until(self, words: str) -> str:
        """The next line that holds `words`; the test's own time-out ends the waiting."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.heard.append(line)
            if words in line:
                return line
        raise AssertionError(f"the process ended before it said {words!r}:\n{''.join(self.heard[-40:])}")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stderr is not None
        self.heard += self.process.stderr
        return self.process.wait()


class Home(NamedTuple):
    folder: StateFolder
    config: Path
    environment: dict[str, str]

    def supervisor(self) -> int:
        """The process that serves now."""
        report = msgspec.json.decode((self.folder.watchdog / "report.json").read_bytes())
        found = re.search(r"the supervisor is process (\d+)", report["words"])
        assert found is not None, report
        return int(found[1])

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*EVENKEEL, *words], env=self.environment, capture_output=True, text=True, timeout=30, check=False
        )


def home_in(tmp_path: Path) -> Home:
    (tmp_path / "account.toml").write_text(ACCOUNT)
    config = tmp_path / "test.toml"
    config.write_text(CONFIG.format(account=tmp_path / "account.toml"))
    environment = {**os.environ, "EVENKEEL_STATE": str(tmp_path / "state"), "NO_COLOR": "1"}
    return Home(StateFolder(tmp_path / "state", "test"), config, environment)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_in(tmp_path)


class Told(NamedTuple):
    hung: list[str]
    died: list[str]
    held: str
    status: str
    second_supervisor: int
    exit_status: int
    starts: list[RunStarted]
    passed_on: list[Note]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """It serves and hangs; serves and is killed; once more; the account is held, and a person ends that."""
    folder = tmp_path_factory.mktemp("story")
    home = home_in(folder)
    with NoteBox(folder / "notes") as systemd:
        watchdog = Watchdog(home.config, home.environment | {"NOTIFY_SOCKET": systemd.address})
        try:
            watchdog.until("the broker agrees")
            passed_on = noted_until_ready(systemd)
            os.kill(home.supervisor(), signal.SIGSTOP)
            watchdog.until("the broker agrees")
            hung, watchdog.heard = watchdog.heard, []
            passed_on += noted_until_ready(systemd)
            os.kill(home.supervisor(), signal.SIGKILL)
            watchdog.until("the broker agrees")
            died, watchdog.heard = watchdog.heard, []
            passed_on += noted_until_ready(systemd)
            os.kill(home.supervisor(), signal.SIGKILL)
            held = watchdog.until("is held")
            status = home.command("status", "--account", "test").stdout
            second = home.command("run", "--config", str(home.config)).returncode
            passed_on += noted(systemd)
            exit_status = watchdog.end()
        finally:
            watchdog.process.kill()
            watchdog.process.communicate()
    said = [decode(bytes(record.body)) for record in read_folder(home.folder.journal)]
    starts = [message for message in said if isinstance(message, RunStarted)]
    return Told(hung, died, held, status, second, exit_status, starts, passed_on)


def noted(box: NoteBox) -> list[Note]:
    return list(iter(lambda: box.take(0.0), None))


def noted_until_ready(box: NoteBox) -> list[Note]:
    """Up to the word that it serves, which comes when it will after the log has said so."""
    notes: list[Note] = []
    while not notes or not notes[-1].ready:
        note = box.take(NOTE_S)
        assert note is not None, "nobody said that it serves"
        notes.append(note)
    return notes


def has(lines: list[str], words: str) -> bool:
    return any(words in line for line in lines)


def test_a_supervisor_that_hangs_is_killed_and_started_again(told: Told) -> None:
    assert has(told.hung, "the supervisor hangs: no sign of life for 1.")
    assert has(told.hung, "run started after a crash")


def test_a_supervisor_that_dies_is_started_again(told: Told) -> None:
    assert has(told.died, "the supervisor ended with status -9: restart")
    assert not has(told.died, "hangs")
    assert has(told.died, "run started after a crash")


def test_each_restart_reads_the_broker_until_it_agrees(told: Told) -> None:
    assert [(start.crashed, start.crashes_recent) for start in told.starts] == [(False, 0), (True, 1), (True, 2)]
    assert has(told.hung, "the broker agrees")
    assert has(told.died, "the broker agrees")


def test_when_restarts_do_not_help_the_account_is_held_and_said_so(told: Told) -> None:
    assert "CRITICAL test: no supervisor for" in told.held
    assert "no position of ours is open" in told.held
    assert "watchdog   holding since" in told.status


def test_whoever_watches_the_watchdog_hears_of_each_start_of_a_restart_and_of_the_hold(told: Told) -> None:
    ready = [note.status for note in told.passed_on if note.ready]
    assert [status.startswith("account test serves EURUSD") for status in ready] == [True, True, True, False]
    assert "the account is held" in ready[-1]
    assert has([note.status for note in told.passed_on], "restart 2 of the supervisor in 1 s")


def test_nobody_else_supervises_a_held_account(told: Told) -> None:
    assert told.second_supervisor == 4
    assert told.exit_status == 1


def test_an_account_has_one_watchdog(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EVENKEEL_STATE", home.environment["EVENKEEL_STATE"])
    parser = argparse.ArgumentParser()
    watchdog.add_arguments(parser)
    home.folder.create()
    with AccountLock(home.folder.watchdog / "lock"):
        assert watchdog.run(parser.parse_args(["--config", str(home.config)])) == exit_codes.REFUSED
    assert f"pid {os.getpid()} " in capsys.readouterr().err
    assert not (home.folder.watchdog / MAIN_NAME).exists()


def test_a_signal_to_the_watchdog_stops_the_supervisor_in_order(home: Home) -> None:
    watchdog = Watchdog(home.config, home.environment)
    try:
        watchdog.until("the broker agrees")
        assert watchdog.end() == 0
        assert has(watchdog.heard, "stopping in order: watchdog:"), watchdog.heard
        assert not (home.folder.watchdog / "report.json").exists()
    finally:
        watchdog.process.kill()
        watchdog.process.communicate()


def test_a_first_start_that_no_repeat_mends_is_left_with_its_status(home: Home) -> None:
    home.config.write_text(home.config.read_text().replace('symbols = ["EURUSD"]', "symbols = []"))
    ended = home.command("watchdog", "--config", str(home.config))
    assert ended.returncode == 2
    assert "no strategy names a symbol" in ended.stderr


# A held account with positions


class HeldAccount:
    """Three positions at a real host: ours with a stop, ours without, and a stranger's without."""

    def __init__(self, home: Home) -> None:
        folder = home.folder
        folder.create()
        connect = local_connect(folder.terminal / ENDPOINT_NAME)
        command = [*EVENKEEL, "terminal", "--config", str(home.config)]
        self._keeper = HostKeeper(
            connect,
            command,
            beat=lambda: verbs.Beat(Mode.RUN, 0, 0),
            log=folder.terminal / "host.log",
            lock=folder.terminal / "lock",
        )
        self._keeper.start()
        self._link = HostLink(connect, 10.0)
        self.broker = HostedBroker(self._link, self._link)
        while self.broker.quote("EURUSD") is None or self.broker.symbol("EURUSD") is None:
            pass
        magics = [magic_for(folder.installation_id(), number) for number in (1, 2)]
        self.safe, self.bare, self.foreign = [
            self._opened(slot, magic, stop) for slot, (magic, stop) in enumerate([(magics[0], 4_000), (magics[1], 0), (77, 0)])
        ]
        self.told: list[str] = []
        self.hold = Hold(
            load(home.config),
            folder,
            home.config,
            lost_ns=elapsed_ns(),
            told=self.told.append,
            alive=lambda: None,
        )

    def _opened(self, slot: int, magic: int, away_points: int) -> int:
        quote = self.broker.quote("EURUSD")
        assert quote is not None
        stop = quote.bid_points - away_points if away_points else 0
        request = OpenRequest("EURUSD", 1, Direction.BUY, 1, quote.ask_points, 1_000, stop, 0, slot)
        answer = self.broker.open_position(request, magic, intent_id=slot + 1)
        assert answer.outcome is Outcome.ACCEPTED, answer
        return answer.ticket

    def open(self) -> set[int]:
        positions: tuple[BrokerPosition, ...] | None = self.broker.positions()  # type: ignore[assignment]
        assert positions is not None
        return {position.ticket for position in positions}

    def end(self) -> None:
        self.hold.close()
        self._link.close()
        self._keeper.stop()


@pytest.fixture
def held(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldAccount]:
    monkeypatch.setenv("EVENKEEL_STATE", home.environment["EVENKEEL_STATE"])
    logger.disable("evenkeel")
    made = HeldAccount(home)
    yield made
    made.end()
    logger.enable("evenkeel")


def test_a_held_account_closes_what_has_no_stop_then_all_of_ours_when_a_person_says_so(held: HeldAccount, home: Home) -> None:
    look: Callable[[], None] = held.hold.look
    look()
    assert held.open() == {held.safe, held.bare, held.foreign}
    assert f"2 open: {held.safe} EURUSD stop at the broker, {held.bare} EURUSD NO STOP" in held.told[-1]
    look()
    assert held.open() == {held.safe, held.foreign}
    assert f"{held.bare} closed" in held.told[-1]
    look()
    assert held.open() == {held.safe, held.foreign}
    KillEpoch(home.folder.kill_epoch).raise_epoch("flatten")
    look()
    assert held.open() == {held.foreign}
    look()
    assert "no position of ours is open" in held.told[-1]
