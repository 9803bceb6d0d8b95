import argparse
import json
import signal
from collections.abc import Iterator

import msgspec
import pytest
from rich.console import Console
from terminals import Terminal
from views import leave

from evenkeel.adapters.control_channel import ControlServer, Refused
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, top
from evenkeel.commands.top.frame import frame
from evenkeel.commands.top.sight import Sight
from evenkeel.config.limits import PERSONAL
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import AccountRead, BrokerAgreed
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction, PointWorth, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import HoldPlaced, Mode, ModeChanged
from evenkeel.messages.position import PositionOpened
from evenkeel.rules.view import Event, View
from evenkeel.rules.view_of import view_of
from evenkeel.rules.view_state import Heard, ViewState, fold
from evenkeel.runtime.clock import SystemClock

EURUSD = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 11_000_000, 10)
LINEAGE = Lineage("strategy", "ma_cross")
BOUGHT = PositionOpened(
    1001, "EURUSD", 1, Direction.BUY, 10, 110_000, 109_900, 110_200, 0, 1_000, opened_utc_ms=1, lineage=LINEAGE
)
SOLD = PositionOpened(
    1002, "EURUSD", 1, Direction.SELL, 10, 110_000, 110_100, 109_800, 0, 1_000, opened_utc_ms=1, lineage=LINEAGE
)
TRADING: tuple[Heard, ...] = (
    SymbolSpecified(EURUSD),
    ModeChanged(Mode.RUN, 0, "test", "start"),
    BrokerAgreed(0),
    AccountRead(1_000_000, 1_000_000, 0, "USD", 2, 100),
    BOUGHT,
    SOLD,
)
CHILDREN = [(f"position/SYMBOL{at}", at != 7, 1) for at in range(12)]
GIVEN_BACK = "\x1b[?25h\x1b[?1049l"
"""The cursor, and the screen from before."""
SIZES = [(40, 12), (60, 20), (80, 24), (120, 30), (200, 60)]


def view(*messages: Heard, age_ms: int = 0) -> View:
    state = ViewState()
    for message in messages:
        fold(state, message)
    state.events = [Event(time_utc_ms=at, text=f"event {at} with so many words that they do not fit") for at in range(20)]
    return view_of(
        state,
        marks={"EURUSD": Quote(0, 110_050, 110_060)},
        children=CHILDREN,
        config=Config(profile="personal", limits=PERSONAL),
        now_utc_ms=1,
        written_utc_ms=SystemClock().now_utc_ms() - age_ms,
    )


def drawn(shown: View, columns: int, rows: int) -> list[str]:
    console = Console(width=columns, height=rows, color_system=None)
    with console.capture() as captured:
        console.print(frame(Sight("answers", "", shown, b"", 500), "simulated", columns, rows))
    return captured.get().splitlines()


@pytest.fixture
def supervisor(folder: StateFolder) -> Iterator[None]:
    leave(folder, msgspec.json.encode(view(*TRADING)))
    server = ControlServer(folder.control, lambda request: Refused("", "not asked here"), started_utc_ms=1, build="b")
    server.start()
    yield
    server.stop()


def asked(*, as_json: bool = False) -> int:
    return top.run(argparse.Namespace(account="simulated", json=as_json, once=True, every=1.0, no_color=False))


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_a_picture_fits_its_terminal_whatever_there_is_to_show(columns: int, rows: int) -> None:
    many = [msgspec.structs.replace(BOUGHT, ticket=2000 + at) for at in range(90)]
    holds = [HoldPlaced(f"somebody/{at}", "account", "a reason of many words " * 5, 0) for at in range(9)]
    lines = drawn(view(*TRADING, *many, *holds), columns, rows)
    assert (len(lines) <= rows, max(map(len, lines)) <= columns) == (True, True)
    assert any("… " in line and "more" in line for line in lines)


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_at_every_size_a_position_shows_its_way_to_stop_and_target_and_its_r(columns: int, rows: int) -> None:
    row = next(line.split() for line in drawn(view(*TRADING), columns, rows) if "+0.50" in line)
    assert {"EURUSD", "150", "+5.00"} <= set(row)
    assert row.count("150") == 2 if columns < 200 else "1.10050" in row


def test_a_sold_position_is_measured_from_the_other_side(supervisor: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(as_json=True) == exit_codes.OK
    told = json.loads(capsys.readouterr().out)
    assert [(room["to_stop_points"], room["to_target_points"]) for room in told["room"]] == [(150, 150), (40, 260)]
    assert (told["v"], told["view"]["mode"]) == (1, "run")


def test_a_pipe_gets_one_picture_without_control_codes(supervisor: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked() == exit_codes.OK
    told = capsys.readouterr().out
    assert [text for text in ("event 19", "11 of 12 serve", "DOWN position/SYMBOL7") if text not in told] == []
    assert "\x1b" not in told


def test_without_a_supervisor_the_last_figures_are_shown_with_their_age(
    folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(folder, msgspec.json.encode(view(*TRADING, age_ms=3_600_000)))
    assert asked() == exit_codes.NOT_RUNNING
    told = capsys.readouterr().out
    assert "NO SUPERVISOR RUNS; these figures are 60 min" in told
    assert "10000.00 USD" in told


def test_of_an_account_that_never_ran_it_says_that_nothing_is_known(
    folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked() == exit_codes.NOT_RUNNING
    assert "nothing is known of this account" in capsys.readouterr().out


def test_q_ends_it_a_resize_is_drawn_at_once_and_the_terminal_is_as_before(supervisor: None) -> None:
    terminal = Terminal("top", "--every", "60")
    terminal.wait_for("to target")
    terminal.resize(40, 12)
    terminal.wait_for("tgt")
    terminal.type("q")
    terminal.wait_for(GIVEN_BACK)
    assert terminal.end() == (exit_codes.OK, True)


def test_ctrl_c_ends_it_with_130_and_the_terminal_is_as_before(supervisor: None) -> None:
    terminal = Terminal("top", "--every", "60", columns=80, rows=24)
    terminal.wait_for("children")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for(GIVEN_BACK)
    assert terminal.end() == (exit_codes.INTERRUPTED, True)
