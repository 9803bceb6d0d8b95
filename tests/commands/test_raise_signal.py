"""`signal` and `close-all` as a person gives them, to a live system over its own channel and journal."""

import argparse
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live import live_system, until

from evenkeel.adapters.state_folder import StateFolder
from evenkeel.cli import main
from evenkeel.commands import close_all, exit_codes, raise_signal
from evenkeel.commands.live import LiveSystem

OVERRIDES: dict[str, object] = {
    "profile": "demo",
    "trading.enabled": True,
    "entry.stop_pips": 300.0,
    "entry.target_pips": 300.0,
    "entry.cooldown_minutes": 0.0,
    "limits.intent_expiry_s": "off",
    "broker_gateway.reconcile_s": 0.1,
    "strategy": {"slow": {"kind": "ma_cross", "symbols": ["EURUSD"], "fast": 900, "slow": 1000}},
}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSystem]:
    """Trading is on, and nobody but a person raises signals."""
    with live_system(tmp_path_factory.mktemp("state"), OVERRIDES, speed=60.0) as made:
        yield made


@pytest.fixture
def person(system: LiveSystem) -> Callable[..., tuple[int, Any]]:
    """Exit status and JSON of a command, in a process of its own: LMDB opens a file once a process."""
    environment = os.environ | {"EVENKEEL_STATE": str(system.folder.folder.parent)}

    def says(*words: str) -> tuple[int, Any]:
        command = [sys.executable, "-m", "evenkeel.cli", *words, "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
        return done.returncode, json.loads(done.stdout.splitlines()[-1])

    return says


def test_a_signal_passes_every_gate_and_is_closed_by_close_all(system: LiveSystem, person: Any) -> None:
    status, refused = person("signal", "EURUSD", "buy")
    assert (status, refused["end"]) == (exit_codes.REFUSED, "refused")
    assert "refused by broker_gateway: mode" in refused["detail"]

    until(lambda: system.run.host.child("operator").state.is_agreed)
    assert person("start")[0] == exit_codes.OK
    status, opened = person("signal", "EURUSD", "buy", "--confidence", "0.9")
    assert (status, opened["v"], opened["end"]) == (exit_codes.OK, 1, "opened")
    (ticket,) = opened["tickets"]
    assert "lots EURUSD at 1." in opened["detail"]
    (position,) = system.broker.positions() or ()
    assert (position.ticket, position.symbol) == (ticket, "EURUSD")

    status, again = person("signal", "EURUSD", "buy")
    assert (status, again["end"]) == (exit_codes.REFUSED, "refused")
    assert "slot_taken" in again["detail"]

    until(lambda: bool(json.loads(system.run.host.child("reporter").current())["positions"]))
    status, closed = person("close-all")
    assert (status, closed["still_open"]) == (exit_codes.OK, [])
    assert [(one["ticket"], one["end"]) for one in closed["positions"]] == [(ticket, "done")]
    assert not system.broker.positions()
    assert system.gate.mode.value == "run", "close-all leaves trading on"


def test_a_signal_of_a_file_passes_the_same_gates_and_why_names_its_id(
    system: LiveSystem, person: Callable[..., tuple[int, Any]], tmp_path: Path
) -> None:
    until(lambda: system.run.host.child("operator").state.is_agreed)
    assert person("start")[0] == exit_codes.OK
    sent = datetime.datetime.now(datetime.UTC).isoformat()
    line = {"id": "alert 7", "time": sent, "symbol": "EURUSD", "direction": "sell", "strategy": "slow"}
    (tmp_path / "signals.jsonl").write_text(json.dumps(line))
    assert person("signal", "--file", str(tmp_path / "signals.jsonl")) == (exit_codes.OK, {"ends": {"raised": 1}, "v": 1})
    (position,) = until(lambda: system.broker.positions() or None)
    until(lambda: bool(json.loads(system.run.host.child("reporter").current())["positions"]))
    _, why = person("why", "ticket", str(position.ticket))
    assert "asks for a signal to sell EURUSD for slow, file 'alert 7'" in json.dumps(why)
    assert person("close-all")[0] == exit_codes.OK


def test_a_signal_for_what_is_not_there_is_refused_in_clear_words(person: Any) -> None:
    status, refused = person("signal", "EURCHF", "sell")
    assert (status, refused["detail"]) == (exit_codes.REFUSED, "EURCHF is not traded here")
    status, refused = person("signal", "EURUSD", "sell", "--strategy", "slwo")
    assert (status, refused["detail"]) == (exit_codes.REFUSED, "there is no strategy slwo; configured: slow")


def test_close_all_of_a_symbol_without_positions_closes_nothing(person: Any) -> None:
    status, report = person("close-all", "--symbol", "GBPUSD")
    assert (status, report["positions"], report["still_open"]) == (exit_codes.OK, [], [])


@pytest.mark.parametrize("words", [("EUR/USD", "buy"), ("EURUSD", "buy", "--confidence", "1.5")])
def test_what_makes_no_sense_is_refused_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    with pytest.raises(SystemExit, match="2"):
        main(["signal", *words])
    assert capsys.readouterr().err.startswith("evenkeel signal: argument ")


@pytest.mark.parametrize("module, words", [(raise_signal, ("EURUSD", "buy")), (close_all, ())])
def test_without_a_supervisor_nothing_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    StateFolder(tmp_path, "simulated").create()
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    assert module.run(parser.parse_args(words)) == exit_codes.NOT_RUNNING
