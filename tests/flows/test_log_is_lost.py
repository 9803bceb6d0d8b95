"""The disk of the logs is full while positions are open: trading and its protection do not notice."""

from pathlib import Path

import pytest
from house import House
from live import until

from evenkeel.adapters.log_files import ERRORS_NAME, JSON_NAME, MAIN_NAME, trade_files
from evenkeel.adapters.log_lines import line_of_text
from evenkeel.messages.position import PositionClosed, PositionOpened

NAMES = (MAIN_NAME, JSON_NAME, ERRORS_NAME)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_positions_are_opened_and_closed_and_the_log_goes_on_when_there_is_room(house: House) -> None:
    house.folder.create()
    for name in NAMES:
        (house.folder.logs / name).symlink_to("/dev/full")
    run = house.start()
    assert "lines are lost: [Errno 28] No space left on device" in run.until("evenkeel: ")
    run.until("the broker agrees")
    house.command("start")
    run.until(" opened: ")
    run.until(" closed by the app")
    for name in NAMES:
        (house.folder.logs / name).unlink()
    run.until("evenkeel: the log is written again, ")  # said once in between, or this would not be the next
    rows = until(lambda: (house.folder.logs / MAIN_NAME).read_text().splitlines())
    lost = line_of_text(rows[0])
    assert lost is not None
    assert lost.text.startswith("lines lost before this one: ")
    assert int(lost.text.rpartition(": ")[2]) > 10
    (trades,) = trade_files(house.folder.logs)
    assert " opened: " in trades.read_text()
    assert house.command("stop").returncode == 0
    assert run.process.wait(timeout=30) == 0
    assert {PositionOpened, PositionClosed} <= {type(message) for message in house.said()}
