import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from builders import Scene, config_of, sabotaged
from stage import Stage
from story import told

from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, why
from evenkeel.messages.broker_gateway import (
    BrokerAgreed,
    CallTerminal,
    Deal,
    DealDone,
    DealEntry,
    DealReason,
    ForeignPositionSeen,
    OpenRequest,
    Outcome,
    PositionsRead,
    TerminalAnswered,
)
from evenkeel.messages.codec import MESSAGE_TYPES, decode, encode, kind_of
from evenkeel.messages.entry import EntryProposed, Lineage, OpenPosition, OrderDenied, SignalRaised
from evenkeel.messages.market import BarClosed, Direction, PricesReached, Quote
from evenkeel.messages.operator import HoldPlaced, Mode, ModeChanged
from evenkeel.messages.position import ClosePosition, ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.recovery import ChainStepped
from evenkeel.messages.system import ChildDown, Message, RunStarted
from evenkeel.rules.view_state import ViewState
from evenkeel.runtime.journal import Record, decode_record, encode_record

OPENED_UTC_MS = 1_767_571_440_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    folder = StateFolder(tmp_path, "simulated")
    folder.create()
    return folder.journal


@pytest.fixture(scope="module")
def scene() -> Scene:
    return told()


def keep(folder: Path, bodies: Iterable[bytes]) -> LmdbJournal:
    """Written, but still open: a supervisor runs."""
    journal = LmdbJournal.open(folder, day_of=lambda utc_ms: "2026-01-05")
    journal.append([(decode_record(body).seq, body) for body in bodies])
    assert journal.flush(10)
    return journal


def asked(*what: int | str, as_json: bool = False, account: str = "simulated") -> int:
    return why.run(argparse.Namespace(what=[str(word) for word in what], account=account, json=as_json))


def kinds_and_causes(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, int]]:
    return [(record["kind"], record["cause_seq"]) for record in json.loads(capsys.readouterr().out)["records"]]


def ticket_closed_by(scene: Scene, reason: ExitReason) -> int:
    tickets: list[int] = [closed.ticket for closed in scene.said(PositionClosed) if closed.reason is reason]
    return tickets[0]


def test_a_trade_is_told_from_its_signal_to_its_last_deal(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, scene.journal.bodies).close(clean=True)
    ticket = ticket_closed_by(scene, ExitReason.TARGET)
    assert asked(ticket) == exit_codes.OK
    lines = capsys.readouterr().out.splitlines()
    steps = [
        "signal to ",
        "proposal ",
        "USD reserved",
        "intent ",
        "is accepted",
        "(expert): in, ",
        f"position {ticket} opened",
        "filled at ",
        "to be closed: target: bid ",
        f"close position {ticket}, leave nothing",
        "is accepted",
        "(expert): out, ",
        f"position {ticket} closed by the app",
    ]
    assert [step for step, line in zip(steps, lines, strict=True) if step not in line or "2026-01-05 00:" not in line] == []


def test_money_volume_and_prices_are_told_in_decimals(folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, scene.journal.bodies).close(clean=True)
    closed = next(closed for closed in scene.said(PositionClosed) if closed.reason is ExitReason.TARGET)
    asked(closed.ticket)
    out = capsys.readouterr().out
    entry, end, lots = closed.entry_points / 100_000, closed.close_points / 100_000, closed.volume_steps / 100
    assert f"{closed.direction.value} {lots:.2f} lots {closed.symbol} at {entry:.5f}" in out
    assert f"closed by the app at {end:.5f} (target), net {closed.net_cents / 100:.2f} USD" in out


@pytest.mark.parametrize(
    "reason, cause",
    [
        (ExitReason.OPERATOR, "test asks to close position "),
        (ExitReason.FLATTEN, "test kills trading, epoch 1, and flattens"),
        (ExitReason.LATE_FILL, "nobody knows whether order "),
    ],
)
def test_what_made_it_close_is_told(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str], reason: ExitReason, cause: str
) -> None:
    keep(folder, scene.journal.bodies).close(clean=True)
    assert asked(ticket_closed_by(scene, reason)) == exit_codes.OK
    assert cause in capsys.readouterr().out


def test_every_position_of_the_story_goes_back_to_its_signal(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, scene.journal.bodies).close(clean=True)
    for closed in scene.said(PositionClosed):
        assert asked(closed.ticket, as_json=True) == exit_codes.OK
        kinds = [kind for kind, _ in kinds_and_causes(capsys)]
        assert (kinds[0], kinds[-1]) == ("SignalRaised", "PositionClosed")


def test_the_json_has_the_fields_by_name(folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, scene.journal.bodies).close(clean=True)
    opened, raised = scene.said(PositionOpened)[0], scene.said(SignalRaised)[0]
    asked(opened.ticket, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["v"], told["ticket"]) == (1, opened.ticket)
    signal = told["records"][0]
    assert (signal["sender"], signal["kind"]) == ("strategy/ma_cross", "SignalRaised")
    assert signal["message"]["quote"]["bid_points"] == raised.quote.bid_points
    assert signal["message"]["lineage"]["strategy"] == "ma_cross"


def test_a_restart_on_the_way_is_mentioned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = told(sabotage=sabotaged("position/EURUSD", 6, after=True))
    keep(folder, scene.journal.bodies).close(clean=True)
    assert {asked(position.ticket) for position in scene.said(PositionOpened)} == {exit_codes.OK}
    out = capsys.readouterr().out
    assert "position/EURUSD is down, crash 1: Killed" in out
    assert "position/EURUSD is back as incarnation 2" in out


LINEAGE = Lineage("strategy", "ma_cross", proposal_id="EURUSD-1")
QUOTE = Quote(OPENED_UTC_MS, 109_997, 110_014)
BAR = BarClosed("EURUSD", 1, "M1", OPENED_UTC_MS - 60_000, 1, 1, 1, 109_997, 110_014, 17, 16, 9, QUOTE)
DEAL = Deal(50, 7, "EURUSD", 1, Direction.SELL, DealEntry.IN, 27, 109_997, 0, 0, 0, 77, DealReason.EXPERT, 1)
SAID_LIVE: list[tuple[str, int, Message]] = [
    ("market_feed", 0, BAR),
    ("strategy/ma_cross", 1, SignalRaised("EURUSD", 1, Direction.SELL, QUOTE, OPENED_UTC_MS, 16, LINEAGE)),
    ("position/EURUSD", 2, EntryProposed("EURUSD-1", "EURUSD", 1, Direction.SELL, QUOTE, 50, 100, 16, LINEAGE)),
    ("risk_limit", 3, OpenPosition("EURUSD-1", "EURUSD", 1, Direction.SELL, QUOTE, 27, 50, 100, 0, 20, 1_890, 0, LINEAGE)),
    ("broker_gateway", 4, CallTerminal(5, 77, 0, 0, OpenRequest("EURUSD", 1, Direction.SELL, 27, 109_997, 20, 0, 0, 0))),
    ("market_feed", 0, msgspec.structs.replace(BAR, symbol="GBPUSD")),
    # the order waited for the disk: the edge says by itself what came of it
    ("terminal", 0, TerminalAnswered(5, Outcome.ACCEPTED, 7, 109_997, 27, 0, "")),
    ("terminal", 0, DealDone(DEAL)),
    ("broker_gateway", 7, PositionOpened(7, "EURUSD", 1, Direction.SELL, 27, 109_997, 110_047, 109_897, 0, 1_890, 1, LINEAGE)),
    ("supervisor", 0, ChildDown("strategy/ma_cross", 1, 1, "ValueError: x")),
    ("market_feed", 0, PricesReached("position/EURUSD", "EURUSD", 1, Quote(OPENED_UTC_MS, 110_030, 110_050), ("7/stop/1",))),
    ("position/EURUSD", 11, ClosePosition(7, "EURUSD", 0, ExitReason.STOP, 1)),
]


def bodies_of(said: Iterable[tuple[str, int, Message]]) -> list[bytes]:
    return [
        encode_record(Record(seq, OPENED_UTC_MS, cause_seq, -1, sender, 1, (), msgspec.Raw(encode(message))))
        for seq, (sender, cause_seq, message) in enumerate(said, start=1)
    ]


def test_an_order_that_waited_for_the_disk_is_found_by_its_intent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, bodies_of(SAID_LIVE)).close(clean=True)
    assert asked(7, as_json=True) == exit_codes.OK
    found = [record["seq"] for record in json.loads(capsys.readouterr().out)["records"]]
    assert found == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12], "all but the other symbol's bar"


def test_bars_and_levels_are_told_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, bodies_of(SAID_LIVE)).close(clean=True)
    asked(7)
    out = capsys.readouterr().out
    assert "M1 bar of 2026-01-05 00:03:00 UTC closed at 109997 points, spread 17 points, usually 16" in out
    assert "EURUSD reached the stop level: bid 110030 points, ask 110050 points" in out


def test_it_reads_while_the_supervisor_writes(folder: Path, scene: Scene) -> None:
    journal = keep(folder, scene.journal.bodies)
    program = "import sys; from evenkeel.cli import main; sys.exit(main(['why', '1001']))"
    done = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), capture_output=True, text=True, timeout=30)
    journal.close(clean=True)
    assert (done.returncode, done.stderr) == (exit_codes.OK, "")
    assert "position 1001 closed by the app" in done.stdout


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    return str(line)


def test_an_unknown_ticket_is_one_line(folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, scene.journal.bodies).close(clean=True)
    assert asked(999) == exit_codes.FAILED
    assert "knows nothing of 999" in one_line(capsys)


def test_an_account_without_a_journal_knows_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(1001, account="other") == exit_codes.FAILED
    assert "account other knows nothing of 1001" in one_line(capsys)


def test_a_damaged_journal_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "2026-01-05.journal").write_bytes(b"not a database" * 1_000)
    assert asked(1001) == exit_codes.FAILED
    assert "2026-01-05.journal" in one_line(capsys)


def test_a_name_that_is_none_is_a_usage_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(1001, account="a/b") == exit_codes.USAGE
    assert "'a/b'" in one_line(capsys)


GOLDENS = json.loads((Path(__file__).parents[1] / "messages" / "golden.json").read_text())


@pytest.mark.parametrize("kind", [kind.__name__ for kind in MESSAGE_TYPES])
def test_every_message_is_told_in_words(kind: str) -> None:
    for example in GOLDENS[kind]:
        body = bytes.fromhex(example["hex"])
        assert kind_of(body) == kind
        assert why.text_of(decode(body), ViewState()) not in (kind, "")


@pytest.mark.parametrize(
    "topic, last_line",
    [
        ("mode", "mode run by test: start"),
        ("refusal", "refused by "),
        ("trade", "closed by the app"),
        ("unknown", "nobody knows whether order "),
        ("agreement", "the broker agrees"),
        ("start", "the broker agrees: 0 open"),
    ],
)
def test_the_newest_of_a_topic_is_told_with_what_led_to_it(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str], topic: str, last_line: str
) -> None:
    keep(folder, scene.journal.bodies).close(clean=True)
    assert asked(topic) == exit_codes.OK
    assert last_line in capsys.readouterr().out


def test_a_mode_is_followed_back_to_the_person_who_asked(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, scene.journal.bodies).close(clean=True)
    asked("mode")
    first, *_, second = capsys.readouterr().out.splitlines()
    assert "test starts trading" in first
    assert "operator " in second


def test_a_refused_proposal_is_told_by_its_name(folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, scene.journal.bodies).close(clean=True)
    denied = scene.said(OrderDenied)[0]
    assert asked(denied.lineage.proposal_id) == exit_codes.OK
    lines = capsys.readouterr().out.splitlines()
    assert "signal to " in lines[0]
    assert f"refused by {denied.by}: {denied.reason.value}" in lines[-1]


def test_a_deal_and_a_record_are_found_by_their_numbers(folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, scene.journal.bodies).close(clean=True)
    deal = scene.said(DealDone)[0].deal
    asked("deal", deal.deal_ticket)
    by_deal = capsys.readouterr().out
    asked("ticket", deal.position_ticket)
    assert by_deal == capsys.readouterr().out
    assert asked("seq", 1) == exit_codes.OK
    assert "run started" in capsys.readouterr().out


def test_a_crash_is_told_with_what_became_of_the_child(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = told(sabotage=sabotaged("position/EURUSD", 6, after=True))
    keep(folder, scene.journal.bodies).close(clean=True)
    assert asked("crash") == exit_codes.OK
    lines = capsys.readouterr().out.splitlines()
    assert "position/EURUSD is down, crash 1: Killed" in lines[0]
    assert "position/EURUSD is back as incarnation 2" in lines[-1]


def test_a_start_after_a_crash_says_what_the_journal_ended_with(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = RunStarted("b2", "c", "a", 7, continued=True, crashed=True, crashes_recent=2)
    said: list[tuple[str, int, Message]] = [
        ("supervisor", 0, RunStarted("b2", "c", "a", 7, continued=False, crashed=False)),
        ("market_feed", 0, BAR),
        ("supervisor", 0, started),
        ("operator", 3, ModeChanged(Mode.RUN, 0, "operator", "continued")),
        ("broker_gateway", 9, BrokerAgreed(0)),
    ]
    keep(folder, bodies_of(said)).close(clean=True)
    asked("restart")
    lines = capsys.readouterr().out.splitlines()
    told = ["M1 bar", "after a crash (2 in ten minutes), going on as before", "mode run", "the broker agrees"]
    assert [words for words, line in zip(told, lines, strict=True) if words not in line] == []


@pytest.mark.parametrize("what", [("mood",), ("deal", "x"), ("1", "2")])
def test_what_cannot_be_asked_is_a_usage_error(folder: Path, capsys: pytest.CaptureFixture[str], what: tuple[str, ...]) -> None:
    assert asked(*what) == exit_codes.USAGE
    assert repr(" ".join(what)) in one_line(capsys)


SAID_BESIDE: list[tuple[str, int, Message]] = [
    ("terminal", 0, PositionsRead(1, (), 0)),
    ("broker_gateway", 1, ForeignPositionSeen(9, "EURUSD", 1, Direction.BUY, 10, 110_000)),
    ("market_feed", 0, BAR),
    ("circuit_breaker", 3, HoldPlaced("circuit_breaker", "EURUSD", "spread of 140 points", OPENED_UTC_MS + 1)),
    ("risk_limit", 3, HoldPlaced("risk_limit", "account", "day_loss_pct", 0)),
    ("broker_gateway", 1, PositionOpened(8, "EURUSD", 1, Direction.BUY, 1, 110_000, 0, 0, 0, 0, 1, LINEAGE, adopted=True)),
]


@pytest.mark.parametrize(
    "what, seqs",
    [(("foreign",), [1, 2]), (("ticket", "9"), [1, 2]), (("breaker",), [3, 4]), (("hold",), [3, 5]), (("adopted",), [1, 6])],
)
def test_what_stands_beside_our_own_trades_goes_back_to_what_was_seen(
    folder: Path, capsys: pytest.CaptureFixture[str], what: tuple[str, ...], seqs: list[int]
) -> None:
    keep(folder, bodies_of(SAID_BESIDE)).close(clean=True)
    assert asked(*what, as_json=True) == exit_codes.OK
    assert [record["seq"] for record in json.loads(capsys.readouterr().out)["records"]] == seqs


@pytest.fixture(scope="module")
def hunted() -> Stage:
    """A trade with a chain was stopped, came back, and was entered again."""
    stage = Stage(config=config_of(**CHAINS))
    stage.signal(strategy="trend")
    stage.quote(109_940)
    stage.quote(109_995, after_ms=61_000)
    return stage


CHAINS = {
    "circuit_breaker.enabled": False,
    "exit.time_stop_minutes": "off",
    "shield.enabled": False,
    "strategy": {"trend": {"kind": "ma_cross", "symbols": ["EURUSD"], "fast": 2, "slow": 3, "orders": "trend"}},
}


def test_a_chain_is_told_from_its_signal_through_each_step(
    folder: Path, hunted: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, hunted.scene.journal.bodies).close(clean=True)
    chain_id = hunted.said(ChainStepped)[0].chain_id
    assert asked(chain_id) == exit_codes.OK
    lines = capsys.readouterr().out.splitlines()
    told = [
        "signal to buy EURUSD",
        "opened: buy",
        f"chain {chain_id} of trend: new -> active",
        "(stop), net",
        "-> recovery mode",
    ]
    found = iter(lines)
    assert [words for words in told if not any(words in line for line in found)] == []


def test_the_newest_chain_is_a_topic(folder: Path, hunted: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, hunted.scene.journal.bodies).close(clean=True)
    asked("chain")
    newest = capsys.readouterr().out
    asked("chain", hunted.said(ChainStepped)[-1].chain_id)
    assert capsys.readouterr().out == newest


def test_a_name_that_no_chain_has_may_be_a_proposal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, []).close(clean=True)
    assert asked("US-30-1") == exit_codes.FAILED
    assert one_line(capsys) == "why: the journal of account simulated knows nothing of US-30-1"
