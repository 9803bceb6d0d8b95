import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from builders import LiveLikeHost, Scene, config_of
from builders import scene as scene_of
from kept import configured, keep
from story import DAILY, FAULTS, QUOTES, SPECS, begun, tell, told

from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, why_not
from evenkeel.messages.broker_gateway import CallTerminal
from evenkeel.messages.codec import decode, encode
from evenkeel.messages.entry import DenialReason, Lineage, OpenPosition, OrderDenied, OrderKind, ReentryRaised, SignalRaised
from evenkeel.messages.market import Direction, Quote, QuotesStale
from evenkeel.runtime.journal import Record


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    folder = StateFolder(tmp_path, "simulated")
    folder.create()
    return folder.journal


@pytest.fixture(scope="module")
def scene() -> Scene:
    return told(host_of=LiveLikeHost)


STRICT = config_of(
    circuit_breaker__sample_s=600.0,
    entry__cooldown_minutes=4.0,
    entry__spread_multiple_max=1.0,
    entry__spread_points_floor=0,
    limits__positions_max=1,
)


@pytest.fixture(scope="module")
def strict_scene() -> Scene:
    """Something is refused at each gate, and more than once by several at a time."""
    return tell(scene_of(STRICT, SPECS, daily=DAILY, faults=FAULTS, host_of=LiveLikeHost))


def asked(what: str, **flags: object) -> int:
    usual: dict[str, object] = {
        "strategy": None,
        "since": 0,
        "config": None,
        "flags": [],
        "account": "simulated",
        "json": False,
    }
    return why_not.run(argparse.Namespace(what=what, **usual | flags))


def report_of(what: str, capsys: pytest.CaptureFixture[str], **flags: object) -> dict[str, object]:
    assert asked(what, json=True, **flags) == exit_codes.OK
    report: dict[str, object] = json.loads(capsys.readouterr().out)
    return report


def refusals(scene: Scene) -> list[tuple[Record, OrderDenied]]:
    said = [(record, decode(bytes(record.body))) for record in configured(scene.records())]
    return [(record, message) for record, message in said if isinstance(message, OrderDenied)]


def test_what_a_chain_asked_for_is_judged_again_as_it_was_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An order of a chain has its own distances, and no signal of a strategy before it."""
    scene = begun(host_of=LiveLikeHost)
    scene.replay.serve(QUOTES[:20])
    quote = Quote(QUOTES[19][2], 110_000, 110_100)
    lineage = Lineage("recovery", "ma_cross", "X", parent_ticket=9, level=1, order_kind=OrderKind.SL_RECOVERY.value)
    signal = SignalRaised("EURUSD", SPECS["EURUSD"].spec_id, Direction.BUY, quote, 0, 10, lineage)
    scene.host.say("person", [ReentryRaised("EURUSD", signal, 25, 50, 1)])
    (denied,) = [message for message in scene.said(OrderDenied) if message.lineage.chain_id == "X"]
    keep(folder, configured(scene.records())).close(clean=True)
    explained = report_of(denied.proposal_id, capsys)["explained"]
    assert isinstance(explained, dict)
    first = explained["gates"][0]
    assert (first["by"], first["reason"]) == ("position/EURUSD", "spread")
    assert not explained["note"]


def test_asking_the_gates_again_brings_out_every_refusal_that_was_recorded(
    folder: Path, strict_scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, configured(strict_scene.records(), STRICT)).close(clean=True)
    denied = refusals(strict_scene)
    assert {message.by for _, message in denied} >= {"position/EURUSD", "risk_limit", "broker_gateway"}
    for _, message in denied:
        explained = report_of(message.proposal_id, capsys)["explained"]
        assert isinstance(explained, dict)
        first = explained["gates"][0]
        assert (first["by"], first["reason"], first["measured"]) == (message.by, message.reason.value, message.measured)
        assert bool(explained["would_pass"]) <= (len(explained["gates"]) == 1)


def test_several_things_at_once_are_all_named(folder: Path, strict_scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, configured(strict_scene.records(), STRICT)).close(clean=True)
    for _, message in refusals(strict_scene):
        asked(message.proposal_id)
    out = capsys.readouterr().out
    assert " things stood against it:" in out
    assert "nothing else stood against it; it would have passed" in out


def test_an_order_that_waited_for_the_disk_is_followed_back_by_its_proposal(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    records = configured(scene.records())
    seq, denied = next((record.seq, message) for record, message in refusals(scene) if message.by == "broker_gateway")
    records[seq - 1] = msgspec.structs.replace(records[seq - 1], cause_seq=0)
    keep(folder, records).close(clean=True)
    explained = report_of(denied.proposal_id, capsys)["explained"]
    assert isinstance(explained, dict)
    assert [gate["reason"] for gate in explained["gates"]] == [denied.reason.value]


def test_what_the_last_gate_refused_is_told_with_its_cause(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    records = configured(scene.records())
    sent = next(record for record in records if isinstance(decode(bytes(record.body)), CallTerminal))
    order = decode(bytes(records[sent.cause_seq - 1].body))
    assert isinstance(order, OpenPosition)
    told = order.proposal_id, order.symbol, order.direction, "gate", DenialReason.QUOTE_AGE, 0, 0, "", order.lineage
    void = Record(
        len(records) + 1, sent.time_utc_ms, sent.seq, -1, "broker_gateway", 1, (), msgspec.Raw(encode(OrderDenied(*told)))
    )
    keep(folder, [*records, msgspec.structs.replace(void, time_utc_ms=records[-1].time_utc_ms)]).close(clean=True)
    assert asked(order.proposal_id) == exit_codes.OK
    assert "the last one did not: the quote was older than limits.quote_age_s_max" in capsys.readouterr().out


def test_a_symbol_is_told_with_its_newest_refusal(folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, configured(scene.records())).close(clean=True)
    newest = [message for _, message in refusals(scene) if message.symbol == "EURUSD"][-1]
    assert asked("EURUSD") == exit_codes.OK
    out = capsys.readouterr().out
    assert f"{newest.proposal_id}, refused at " in out
    assert f"refused by {newest.by}: {newest.reason.value}" in out


def test_what_is_no_number_is_told_with_what_ends_it(folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, configured(scene.records())).close(clean=True)
    taken = next(message for _, message in refusals(scene) if message.reason is DenialReason.SLOT_TAKEN)
    asked(taken.proposal_id)
    assert "must end first: it has the slot" in capsys.readouterr().out


def test_a_strategy_that_asked_for_nothing_is_told_with_the_last_bar_and_the_quotes(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    records = configured(scene.records())
    last = records[-1]
    stale = msgspec.Raw(encode(QuotesStale("EURUSD", 60_000)))
    keep(folder, [*records, msgspec.structs.replace(last, seq=last.seq + 1, cause_seq=0, body=stale)]).close(clean=True)
    assert asked("EURUSD", strategy="another") == exit_codes.OK
    out = capsys.readouterr().out
    assert "EURUSD in the journal: 0 signals, 0 opened, 0 refused" in out
    assert "no strategy asked; the last signal: none at all" in out
    assert "the last bar: 2026-01-05 00:" in out
    assert "no quotes since 2026-01-05 00:" in out


def test_refusals_before_the_time_that_is_named_do_not_count(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, configured(scene.records())).close(clean=True)
    denied = [(record, message) for record, message in refusals(scene) if message.symbol == "EURUSD"]
    since = denied[-1][0].time_utc_ms
    report = report_of("EURUSD", capsys, since=since)
    assert sum(report["refusals"].values()) == sum(record.time_utc_ms >= since for record, _ in denied)  # type: ignore[attr-defined]


def test_a_journal_without_its_configuration_still_tells_what_was_recorded(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, scene.records()).close(clean=True)
    assert asked("EURUSD") == exit_codes.OK
    assert "the gates cannot be asked again: run 1 recorded no configuration: say --config FILE" in capsys.readouterr().out


def test_it_reads_while_the_supervisor_writes(folder: Path, scene: Scene) -> None:
    journal = keep(folder, configured(scene.records()))
    program = "import sys; from evenkeel.cli import main; sys.exit(main(['why-not', 'EURUSD', '--since', '2026-01-05']))"
    done = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), capture_output=True, text=True, timeout=30)
    journal.close(clean=True)
    assert (done.returncode, done.stderr) == (exit_codes.OK, "")
    assert done.stdout.startswith("EURUSD since 2026-01-05 00:00:00 UTC: ")


def test_a_symbol_that_nobody_knows_is_one_line(folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, configured(scene.records())).close(clean=True)
    assert asked("XAUUSD") == exit_codes.FAILED
    assert "knows nothing of XAUUSD" in capsys.readouterr().err
