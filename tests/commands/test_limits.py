import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from evenkeel.adapters.control_channel import ControlServer, Told
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, limits
from evenkeel.config.limits import PERSONAL, PLAIN, LimitsConfig
from evenkeel.config.schema import Config, MaCrossConfig
from evenkeel.messages.broker_gateway import AccountRead
from evenkeel.rules.limit_words import EFFECTS, PER_ORDER
from evenkeel.rules.view_of import view_of
from evenkeel.rules.view_state import ViewState, fold

WITH_CHAINS = Config(profile="personal", limits=PERSONAL, strategy={"trend": MaCrossConfig(orders="trend")})


def view(*, config: Config = WITH_CHAINS) -> bytes:
    """10,000 at the day's start, 150 of it lost."""
    state = ViewState()
    fold(state, AccountRead(1_000_000, 1_000_000, 0, "USD", 2, 100))
    fold(state, AccountRead(985_000, 985_000, 0, "USD", 2, 100))
    return msgspec.json.encode(view_of(state, marks={}, children=(), config=config, now_utc_ms=0, written_utc_ms=1))


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What a running supervisor shows: the one view in the list."""
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    monkeypatch.delenv("COLUMNS", raising=False)
    folder, views = StateFolder(tmp_path, "simulated"), [view()]
    folder.create()
    server = ControlServer(folder.control, lambda request: Told(views[0]), started_utc_ms=1, build="b")
    server.start()
    yield views
    server.stop()


def asked(*, as_json: bool = False, account: str = "simulated") -> int:
    return limits.run(argparse.Namespace(account=account, json=as_json))


def test_each_limit_shows_its_room_and_what_follows(supervisor: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    assert asked() == exit_codes.OK
    header, *rows = capsys.readouterr().out.splitlines()
    assert " ".join(header.split()) == "limit room left used of when it is reached"
    day = next(" ".join(row.split()) for row in rows if row.startswith("day_loss_pct"))
    assert day == "day_loss_pct #####..... 50 % 150.00 300.00 nothing new is opened until the trading day ends"


def test_every_limit_of_the_view_has_words_for_what_follows(
    supervisor: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(as_json=True) == exit_codes.OK
    report = json.loads(capsys.readouterr().out)
    assert (report["v"], report["supervisor"]) == (1, "answers")
    assert {row["name"] for row in report["limits"]} == set(EFFECTS), "a limit without words, or words without a limit"
    assert all(row["effect"] for row in report["limits"])


@pytest.mark.parametrize("field", [field.name for field in msgspec.structs.fields(LimitsConfig)])
def test_a_limit_has_a_row_or_is_told_to_be_of_each_order(field: str) -> None:
    rows = [name for name in EFFECTS if name.partition(".")[0] == field]
    assert bool(rows) != (field in PER_ORDER), "either, never both"
    assert PER_ORDER.get(field, "a row") != ""


def test_what_is_of_each_order_and_on_is_told_as_well(supervisor: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(as_json=True) == exit_codes.OK
    told = {row["name"]: row["measures"] for row in json.loads(capsys.readouterr().out)["per_order"]}
    assert told == PER_ORDER


def test_forty_columns_are_enough(
    supervisor: list[bytes], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    asked()
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40


def test_limits_that_are_off_are_said_in_words(supervisor: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    supervisor[0] = view(config=Config(profile="plain", limits=PLAIN))
    asked()
    assert capsys.readouterr().out == "every limit that has room is off\n"


def test_without_a_supervisor_and_a_view_it_says_so(supervisor: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(account="other") == exit_codes.NOT_RUNNING
    told = capsys.readouterr()
    assert (told.out, "no view" in told.err) == ("", True)


@pytest.mark.parametrize("ratio, shown", [(1.0, "########## 100 %"), (0.999, "#########.  99 %"), (0.0, "..........   0 %")])
def test_a_full_bar_is_untouched(ratio: float, shown: str) -> None:
    assert limits.bar(ratio) == shown
