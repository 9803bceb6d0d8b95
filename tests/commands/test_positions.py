import argparse
import json
from collections.abc import Iterator

import msgspec
import pytest

from evenkeel.adapters.control_channel import ControlServer, Told
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, positions
from evenkeel.config.limits import PERSONAL
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import AccountRead, ForeignPositionSeen
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction, PointWorth, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.position import PositionOpened
from evenkeel.rules.view_of import view_of
from evenkeel.rules.view_state import ViewState, fold

EURUSD = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 11_000_000, 10)
LINEAGE = Lineage("strategy", "ma_cross")
OPENED_UTC_MS = 1_767_571_200_000
HEARD = (
    SymbolSpecified(EURUSD),
    AccountRead(1_000_000, 1_000_000, 0, "USD", 2, 100),
    PositionOpened(
        1001, "EURUSD", 1, Direction.BUY, 10, 110_000, 109_900, 110_200, 0, 1_000, opened_utc_ms=OPENED_UTC_MS, lineage=LINEAGE
    ),
    ForeignPositionSeen(9, "XAUUSD", 1, Direction.SELL, 5, 200_000),
)


@pytest.fixture
def state(folder: StateFolder) -> Iterator[ViewState]:
    """What a running supervisor shows."""
    state = ViewState()

    def view() -> bytes:
        marks = {"EURUSD": Quote(0, 110_050, 110_060)}
        config = Config(profile="personal", limits=PERSONAL)
        return msgspec.json.encode(
            view_of(state, marks=marks, children=(), config=config, now_utc_ms=0, written_utc_ms=OPENED_UTC_MS)
        )

    server = ControlServer(folder.control, lambda request: Told(view()), started_utc_ms=1, build="b")
    server.start()
    yield state
    server.stop()


def asked(*, as_json: bool = False, account: str = "simulated") -> int:
    return positions.run(argparse.Namespace(account=account, json=as_json))


def test_what_is_open_is_a_table(state: ViewState, capsys: pytest.CaptureFixture[str]) -> None:
    for message in HEARD:
        fold(state, message)
    assert asked() == exit_codes.OK
    header, ours, foreign = capsys.readouterr().out.splitlines()
    assert " ".join(header.split()) == "ticket symbol side lots entry stop target now R profit opened by"
    levels = "1.10000 1.09900 1.10200 1.10050"
    assert " ".join(ours.split()) == f"1001 EURUSD buy 0.10 {levels} +0.50 5.00 2026-01-05 00:00:00 UTC ma_cross"
    assert " ".join(foreign.split()) == "9 XAUUSD sell ? ? - - ? ? ? ? not ours"
    assert header.index("by") == ours.index("ma_cross") == foreign.index("not ours")


def test_nothing_open_is_said_in_words(state: ViewState, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked() == exit_codes.OK
    assert capsys.readouterr().out == "no positions\n"


def test_json_is_one_object_with_its_version(state: ViewState, capsys: pytest.CaptureFixture[str]) -> None:
    for message in HEARD:
        fold(state, message)
    assert asked(as_json=True) == exit_codes.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["v"], told["supervisor"]) == (1, "answers")
    assert [(row["ticket"], row["r"], row["profit_cents"]) for row in told["positions"]] == [(1001, 0.5, 500)]
    assert [row["ticket"] for row in told["foreign"]] == [9]


def test_without_a_supervisor_and_a_view_it_says_so(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked() == exit_codes.NOT_RUNNING
    told = capsys.readouterr()
    assert (told.out, "no view" in told.err) == ("", True)


def test_a_name_that_is_none_is_a_usage_error(folder: StateFolder) -> None:
    assert asked(account=".hidden") == exit_codes.USAGE
