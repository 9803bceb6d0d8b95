"""`performance` and `history` over a journal that a story wrote."""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import Scene
from story import told

from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.adapters.snapshot_files import SnapshotFiles
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, history, performance
from evenkeel.messages.broker_gateway import AccountRead
from evenkeel.messages.position import PositionClosed
from evenkeel.rules.performance import BY
from evenkeel.rules.snapshots import Loop, Tally, snapshot_of
from evenkeel.runtime.journal import decode_record


@pytest.fixture(scope="module")
def scene() -> Scene:
    return told()


@pytest.fixture(scope="module")
def root(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("state")
    folder = StateFolder(root, "simulated")
    folder.create()
    journal = LmdbJournal.open(folder.journal, day_of=lambda utc_ms: "2026-01-05")
    journal.append([(decode_record(body).seq, body) for body in scene.journal.bodies])
    assert journal.flush(10)
    journal.close(clean=True)
    return root


@pytest.fixture
def closed(scene: Scene, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[PositionClosed]:
    """What the journal holds, which the commands read."""
    monkeypatch.setenv("EVENKEEL_STATE", str(root))
    monkeypatch.delenv("COLUMNS", raising=False)
    trades: list[PositionClosed] = scene.said(PositionClosed)
    assert len({trade.reason for trade in trades}) > 1, "a story with one kind of end tells nothing"
    return trades


def told_by(command: Any, *words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    status: int = command.run(parser.parse_args(words))
    return status


def as_json(command: Any, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert told_by(command, *words, "--json") == exit_codes.OK
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("by", BY)
def test_every_grouping_adds_up_to_all_trades(
    closed: list[PositionClosed], capsys: pytest.CaptureFixture[str], by: str
) -> None:
    report = as_json(performance, capsys, "--by", by)
    assert (report["v"], report["by"], report["currency"]) == (1, by, "USD")
    for field, whole in (("trades", len(closed)), ("net_cents", sum(trade.net_cents for trade in closed))):
        assert sum(row[field] for row in report["groups"]) == report["total"][field] == whole


def test_the_table_ends_with_the_total(closed: list[PositionClosed], capsys: pytest.CaptureFixture[str]) -> None:
    assert told_by(performance, "--by", "reason") == exit_codes.OK
    header, *rows, total = capsys.readouterr().out.splitlines()
    assert header.split() == ["reason", "trades", "won", "net", "USD", "costs", "factor", "R", "drawdown"]
    assert {row.split()[0] for row in rows} == {trade.reason.value for trade in closed}
    net = sum(trade.net_cents for trade in closed)
    assert total.split()[:2] == ["total", str(len(closed))]
    assert f"{net / 100:.2f}" in total.split()


def test_a_filter_leaves_the_rest_out(closed: list[PositionClosed], capsys: pytest.CaptureFixture[str]) -> None:
    reason = closed[0].reason.value
    report = as_json(performance, capsys, "--reason", reason, "--symbol", closed[0].symbol)
    wanted = [trade for trade in closed if (trade.reason.value, trade.symbol) == (reason, closed[0].symbol)]
    assert report["total"]["trades"] == len(wanted)
    assert as_json(performance, capsys, "--strategy", "nobody")["total"]["trades"] == 0


def test_history_is_newest_first_with_money_from_the_deals(
    closed: list[PositionClosed], capsys: pytest.CaptureFixture[str]
) -> None:
    trades = as_json(history, capsys, "-n", "1000")["trades"]
    assert [trade["closed_utc_ms"] for trade in trades] == sorted((one.closed_utc_ms for one in closed), reverse=True)
    assert {trade["ticket"]: trade["net_cents"] for trade in trades} == {one.ticket: one.net_cents for one in closed}
    assert all(
        trade["net_cents"] == trade["profit_cents"] + trade["commission_cents"] + trade["swap_cents"] for trade in trades
    )


def test_history_says_on_stderr_how_many_it_left_out(closed: list[PositionClosed], capsys: pytest.CaptureFixture[str]) -> None:
    assert told_by(history, "-n", "1") == exit_codes.OK
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2
    assert shown.err == f"history: {len(closed) - 1} older: -n {len(closed)} shows all\n"


def test_since_leaves_out_what_closed_before(closed: list[PositionClosed], capsys: pytest.CaptureFixture[str]) -> None:
    assert as_json(history, capsys, "--since", "2026-01-05")["trades"] != []
    assert as_json(history, capsys, "--since", "2026-01-06T00:00")["trades"] == []


def test_forty_columns_are_enough(
    closed: list[PositionClosed], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    told_by(history, "-n", "2")
    told_by(performance)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert sum(line.startswith("ticket ") for line in lines) == 2


@pytest.mark.parametrize("command", [performance, history])
def test_an_account_without_a_journal_has_no_trades(
    closed: list[PositionClosed], capsys: pytest.CaptureFixture[str], command: Any
) -> None:
    assert told_by(command, "--account", "other") == exit_codes.OK
    assert capsys.readouterr().out == "no closed trades\n"


@pytest.mark.parametrize("words", [("--since", "soon"), ("--reason", "luck"), ("-n", "-1")])
def test_a_bad_flag_is_a_usage_error(closed: list[PositionClosed], words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        told_by(history, *words)


@pytest.fixture
def snapshots(root: Path, closed: list[PositionClosed]) -> Iterator[None]:
    """Two hours of an account that wins a dollar a minute."""
    folder = StateFolder(root, "simulated").snapshots
    files = SnapshotFiles(folder, 30)
    for minute in range(121):
        tally = Tally(account=AccountRead(0, 1_000_000 + minute * 100, 0, "USD", 2, 100), total_net_cents=minute * 100)
        files.put(snapshot_of(tally, Loop(), utc_ms=minute * 60_000, written_utc_ms=0, positions=0, alarms=0, lost=0))
    yield
    shutil.rmtree(folder)


@pytest.mark.usefixtures("snapshots")
def test_the_account_follows_its_trades(capsys: pytest.CaptureFixture[str]) -> None:
    report = as_json(performance, capsys)
    assert report["of_account"]["capital"]["median_cents"] == 1_006_000
    assert [one["net_cents"] for one in report["of_account"]["recent"]] == [6_000, 12_000, 12_000]
    assert {row["group"]: row["trades"] for row in report["exits"]}
    assert told_by(performance) == exit_codes.OK
    said = capsys.readouterr().out
    assert "last 1 h  net 60.00 (+0.60%), equity 60.00, 0 trades, 61 snapshots\n" in said
    assert "0 trades, 121 snapshots (from 1970-01-01 00:00:00 UTC)\n" in said


@pytest.mark.usefixtures("snapshots")
def test_the_account_fits_into_forty_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert told_by(performance) == exit_codes.OK
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40


@pytest.mark.usefixtures("snapshots")
def test_of_some_of_the_trades_the_account_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert told_by(performance, "--symbol", "EURUSD") == exit_codes.OK
    assert "capital" not in capsys.readouterr().out


def test_without_snapshots_nothing_is_said_of_the_account(
    closed: list[PositionClosed], capsys: pytest.CaptureFixture[str]
) -> None:
    assert as_json(performance, capsys)["of_account"] is None
