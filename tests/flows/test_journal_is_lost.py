"""The journal fails, is damaged, is gone, or comes back from a backup: what the whole process does then."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import CONFIG, House, houses, is_open

from evenkeel.adapters.lmdb_journal import read_folder, verify
from evenkeel.adapters.log_files import MAIN_NAME
from evenkeel.messages.operator import Mode, ModeChanged
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.messages.system import RunStarted, RunStopped

UNPROTECTED = CONFIG.replace('["EURUSD", "GBPUSD"]', '["EURUSD"]') + '\n[catastrophe_stop]\nat_broker = "off"\n'


@pytest.fixture
def unprotected(tmp_path: Path) -> Iterator[House]:
    """Its positions carry no stop at the broker, so the process may not leave them. One at a time: when one is open, no other
    order is on its way."""
    yield from houses(tmp_path, UNPROTECTED)


def life_on_a_disk_that_fills(house: House) -> str:
    """What is logged from when it is full to the end."""
    import resource

    run = house.start()
    run.until("the broker agrees")
    house.command("start")
    run.until(" opened: ")
    size = (house.folder.logs / MAIN_NAME).stat().st_size  # nothing that is larger grows any more: journal, logs, view
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    assert run.process.stderr is not None
    told = run.process.stderr.read()
    assert run.process.wait(timeout=60) == 75
    return told


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_on_a_full_disk_nothing_is_opened_and_the_process_stays_until_it_is_flat(unprotected: House) -> None:
    house, log = unprotected, ""
    while " closed by the app" not in log:  # what was closed just before the journal failed proves nothing
        told = life_on_a_disk_that_fills(house)
        _, is_closed, log = told.partition("the journal is closed: ")
        assert is_closed
    assert " opened: " not in log
    assert "no new risk in account, says journal: the journal is closed" in told
    assert "stopping in order: a failed journal" in log
    assert told.count("cannot be written, lines are lost: ") == 1
    assert not [message for message in house.said() if isinstance(message, RunStopped)]

    second = house.start()  # the disk has room again
    second.until("the broker agrees: 0 open")
    assert "the broker agrees: 0 open" in (house.folder.logs / MAIN_NAME).read_text()
    assert house.command("start").returncode == 0  # it asks for a person after the third crash in ten minutes
    second.until(" opened: ")
    assert house.command("stop").returncode == 0
    assert second.process.wait(timeout=30) == 0
    verify(house.folder.journal)
    said = house.said()
    opened = [message.ticket for message in said if isinstance(message, PositionOpened)]
    assert len(opened) == len(set(opened))
    assert {message.ticket for message in said if isinstance(message, PositionClosed)} <= set(opened)


def test_a_journal_that_was_removed_is_missed_and_a_backup_brings_it_back_with_entries_closed(house: House) -> None:
    first = house.start()
    first.until("the broker agrees")
    house.command("start")
    first.until(" opened: ")
    assert house.command("backup").returncode == 0
    saved = house.said()
    first.until(" opened: ")
    first.until(" opened: ")
    first.process.kill()
    first.process.wait()
    shutil.rmtree(house.folder.journal)

    second = house.start()
    second.until("the journal ends with record 0, but held ")
    assert second.process.wait(timeout=30) == 1
    assert house.command("restore", str(house.folder.backups)).returncode == 0

    third = house.start()
    third.until("run started from a backup")
    third.until("the journal was restored from a backup")
    third.until("the broker agrees")
    third.until("refused by broker_gateway: mode (close_only)")
    before_start = len(house.said())
    house.command("start")
    third.until(" opened: ")
    assert house.command("stop").returncode == 0
    assert third.process.wait(timeout=30) == 0
    verify(house.folder.journal)
    said = house.said()
    restored_seq = next(record.seq for record in read_folder(house.folder.journal) if record.sender == "supervisor")
    started = [message for message in said if isinstance(message, RunStarted)]
    assert restored_seq == 1
    assert [(run.restored, run.continued) for run in started] == [(False, False), (True, False)]
    at = said.index(started[1])
    assert said[:at] == saved[:at]
    assert next(message.mode for message in said[at:] if isinstance(message, ModeChanged)) is Mode.CLOSE_ONLY
    assert not [message for message in said[at:before_start] if is_open(message)]

    fourth = house.start()  # from now on it is an account like any other
    fourth.until("the broker agrees")
    assert house.command("stop").returncode == 0
    fourth.process.wait(timeout=30)
    assert [message.restored for message in house.said() if isinstance(message, RunStarted)] == [False, True, False]


def test_a_damaged_journal_lets_nothing_start_and_names_the_record(house: House) -> None:
    first = house.start()
    first.until("the broker agrees")
    assert house.command("stop").returncode == 0
    first.process.wait(timeout=30)
    (path,) = house.folder.journal.glob("*.journal")
    path.write_bytes(path.read_bytes().replace(b"BrokerAgreed", b"brokerAgreed"))

    second = house.start()
    second.until(f"JournalCorrupt: {path.name}: ")
    assert second.process.wait(timeout=30) == 1
    told = house.command("verify")
    assert told.returncode == 1
    assert "record" in told.stderr
    assert " not what was written" in told.stderr
