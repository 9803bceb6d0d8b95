"""What the rungs of the ladder say of what is open, with a supervisor and without one."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from views import leave

from evenkeel.adapters.control_channel import ControlServer, Done
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.cli import main
from evenkeel.commands import exit_codes
from evenkeel.config.limits import PERSONAL
from evenkeel.config.schema import Config
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction, PointWorth, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import HoldPlaced
from evenkeel.messages.position import PositionOpened
from evenkeel.rules.view import View
from evenkeel.rules.view_of import view_of
from evenkeel.rules.view_state import ViewState, fold
from evenkeel.runtime.clock import SystemClock

LATER_MS = 1_000
"""The fake supervisor writes its view ahead of time, so that nobody waits for it."""


def view(*symbols: str, later_ms: int = 0, hold: HoldPlaced | None = None) -> bytes:
    """A position in each symbol, 1001 and up."""
    state = ViewState()
    if hold is not None:
        fold(state, hold)
    for at, symbol in enumerate(symbols):
        fold(state, SymbolSpecified(SymbolSpec(1, symbol, 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 11_000_000, 10)))
        opened = PositionOpened(
            *(1001 + at, symbol, 1, Direction.BUY, 10, 110_000, 109_900, 110_200, 0, 1_000),
            opened_utc_ms=1,
            lineage=Lineage("strategy", "trend"),
        )
        fold(state, opened)
    shown: View = view_of(
        state,
        marks=dict.fromkeys(symbols, Quote(0, 110_050, 110_060)),
        children=(),
        config=Config(profile="personal", limits=PERSONAL),
        now_utc_ms=0,
        written_utc_ms=SystemClock().now_utc_ms() + later_ms,
    )
    return msgspec.json.encode(shown)


@pytest.fixture
def supervised(folder: StateFolder) -> Iterator[Callable[[bytes], None]]:
    """Two positions; what the supervisor shows once it was told something."""
    leave(folder, view("EURUSD", "GBPUSD"))
    after = [view("EURUSD", "GBPUSD", later_ms=LATER_MS)]

    def handled(request: Any) -> Done:
        leave(folder, after[0])
        return Done(request.command_id, "as you wish")

    server = ControlServer(folder.control, handled, started_utc_ms=1, build="b")
    server.start()
    yield lambda shown: after.__setitem__(0, shown)
    server.stop()


@pytest.mark.parametrize(
    ("words", "goes_on", "back"),
    [
        ("pause", "every exit goes on as ever", "evenkeel resume"),
        ("close-only", "every exit goes on as ever", "evenkeel start"),
        ("freeze", "no exit by a signal or by time", "evenkeel rearm, then evenkeel start"),
        ("kill", "nothing new can be sent", "evenkeel rearm, then evenkeel start"),
    ],
)
def test_each_rung_says_what_is_open_what_goes_on_and_the_way_back(
    supervised: Callable[[bytes], None], capsys: pytest.CaptureFixture[str], words: str, goes_on: str, back: str
) -> None:
    assert main(words.split()) == exit_codes.OK
    first, one, two, on, way = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{words}: done: as you wish")
    assert one == "  still open 1001 EURUSD buy 0.10 lots, stop 1.09900, +0.50 R"
    assert two.startswith("  still open 1002 GBPUSD")
    assert on.endswith(goes_on)
    assert way == f"  back: {back}"


def test_a_start_tells_of_the_pause_that_still_stands(
    supervised: Callable[[bytes], None], folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    supervised(view("EURUSD", hold=HoldPlaced("person", "account", "paused by me", 60_000)))
    main(["pause"])
    capsys.readouterr()
    assert main(["start"]) == exit_codes.OK
    assert capsys.readouterr().out.splitlines() == [
        "start: done: as you wish",
        "  still no new risk in account until 1970-01-01 00:01:00 UTC: paused by me",
        "  back: evenkeel resume",
    ]


def test_of_one_symbol_only_its_positions_are_told(
    supervised: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pause", "--symbol", "GBPUSD"]) == exit_codes.OK
    told = capsys.readouterr().out
    assert "1001" not in told
    assert "back: evenkeel resume --symbol GBPUSD" in told


def test_a_flatten_tells_what_was_closed(supervised: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]) -> None:
    supervised(view(later_ms=LATER_MS))
    assert main(["flatten"]) == exit_codes.OK
    assert capsys.readouterr().out.splitlines()[1:3] == ["  closed 1001 1002", "  nothing of ours is open"]


def test_json_has_the_tickets(supervised: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]) -> None:
    supervised(view("EURUSD", later_ms=LATER_MS))
    assert main(["freeze", "--json"]) == exit_codes.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["still_open"], told["closed"], told["v"]) == ([1001], [1002], 1)


def test_a_kill_without_a_supervisor_tells_what_was_last_known(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    leave(folder, view("EURUSD", later_ms=-60_000))
    assert main(["kill"]) == exit_codes.NOT_RUNNING
    told = capsys.readouterr().out
    assert "still open 1001 EURUSD" in told
    assert "until a supervisor serves only stops at the broker close it" in told


def test_a_rung_that_nobody_carries_out_names_the_one_that_needs_nobody(
    folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["freeze"]) == exit_codes.NOT_RUNNING
    assert "without a supervisor: evenkeel kill" in capsys.readouterr().err


def test_without_a_view_a_kill_says_that_it_knows_nothing(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kill", "--json"]) == exit_codes.NOT_RUNNING
    assert json.loads(capsys.readouterr().out)["still_open"] is None
