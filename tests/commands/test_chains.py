"""The commands about chains and shields, over real stores and a supervisor's channel."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from chains import BEGAN_UTC_MS, chain, next_of, pyramid

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.chain_store import StoreUnusable
from evenkeel.adapters.control_channel import ControlServer, Refused, Told
from evenkeel.adapters.lmdb_chains import Declared, LmdbChains, read_declared
from evenkeel.adapters.os import StateError
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import chains, exit_codes, shields, status
from evenkeel.commands.live import chain_stores
from evenkeel.config.limits import PERSONAL
from evenkeel.config.schema import Config, MaCrossConfig
from evenkeel.messages.recovery import ChainState

HUNT = chain(state=ChainState.RECOVERY_MODE, trades=2, lost_cents=2_050, until_utc_ms=BEGAN_UTC_MS + 60_000, tickets=(7, 9))


@pytest.fixture
def stores(folder: StateFolder) -> StateFolder:
    """Two strategies with a chain each, one of which has another that is over."""
    rows: dict[str, list[Any]] = {
        "alpha": [HUNT, *(over := [chain("EURUSD-a-0", created_utc_ms=BEGAN_UTC_MS - 1)])],
        "beta": [pyramid("EURUSD-b-1/b", "beta", booked_cents=700, created_utc_ms=BEGAN_UTC_MS + 1)],
    }
    rows["alpha"].append(next_of(over[0], state=ChainState.STOPPED, reason="window_over", ended_utc_ms=BEGAN_UTC_MS))
    for plugin, chain_type in (("alpha", "v3"), ("beta", "v6")):
        store = LmdbChains(folder.chains / plugin, Declared(plugin, chain_type), lambda _: "")  # type: ignore[arg-type]
        for row in rows[plugin]:
            assert store.save(row) is None
        store.close()
    return folder


@pytest.fixture
def asked(folder: StateFolder) -> Iterator[list[Any]]:
    """What a supervisor is asked, which has nothing."""
    heard: list[Any] = []

    def handled(request: Any) -> Refused | Told:
        heard.append(request)
        return Told(VIEW) if isinstance(request, channel.Ask) else Refused(request.command_id, "there is none")

    server = ControlServer(folder.control, handled, started_utc_ms=1, build="b")
    server.start()
    yield heard
    server.stop()


VIEW = json.dumps(
    {
        "written_utc_ms": 0,
        "now_utc_ms": 0,
        "run": None,
        "mode": "run",
        "epoch": 0,
        "agreed": True,
        "v": 1,
        "trading_day": "",
        "holds": [],
        "children": [],
        "positions": [],
        "foreign": [],
        "unknown_orders": [],
        "stale": [],
        "today": {},
        "limits": [],
        "events": [],
        "account": {"balance_cents": 0, "equity_cents": 0, "currency": "USD", "currency_digits": 2},
        "chains": [
            {"chain_id": f"EURUSD-a-{n}", "plugin": "alpha", "symbol": "EURUSD", "state": state, "level": 1, "step": "x"}
            for n, state in enumerate(("active", "recovery_mode", "active"))
        ],
        "chains_more": 2,
        "shields": [{"symbol": "EURUSD", "direction": "buy", "reason": "gap", "until_utc_ms": BEGAN_UTC_MS}],
        "breakers": [{"scope": "EURUSD", "level": "orange", "phase": 0, "size_ppm": 500_000, "reason": "spread"}],
        "recoveries": {"attempts": 3, "successes": 2, "failures": 1, "profit_booked_cents": 700, "losses_cents": 500},
    }
).encode()


def told(command: Any, *words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return int(command.run(parser.parse_args(list(words))))


def test_active_chains_are_a_table_newest_first(stores: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(chains) == exit_codes.OK
    assert capsys.readouterr().out.splitlines() == [
        "plugin  chain         symbol  side  status         state          level  trades  booked  waits until",
        "beta    EURUSD-b-1/b  EURUSD  buy   active         active           0/4       1    7.00  -",
        "alpha   EURUSD-a-1    EURUSD  buy   recovery_mode  recovery_mode    1/5       2  -20.50  2026-01-05 00:01:00 UTC",
    ]


def test_one_plugin_and_those_that_are_over_can_be_asked_for(stores: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(chains, "--plugin", "alpha", "--all", "--json") == exit_codes.OK
    report = json.loads(capsys.readouterr().out)
    assert report["v"] == 1
    assert [(row["chain_id"], row["status"], row["reason"]) for row in report["chains"]] == [
        ("EURUSD-a-1", "recovery_mode", ""),
        ("EURUSD-a-0", "stopped", "window_over"),
    ]
    first = report["chains"][0]
    assert (first["chain_type"], first["kind"], first["tickets"], first["booked_cents"]) == ("v3", "re-entry", [7, 9], -2_050)


def test_a_plugin_without_a_store_is_named_with_those_that_have_one(
    stores: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(chains, "--plugin", "v3") == exit_codes.USAGE
    assert capsys.readouterr().err == "chains: 'v3' has no store of chains here; those that have one: alpha beta\n"


def test_a_store_that_cannot_be_read_hides_no_other(stores: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (stores.chains / "alpha" / "chains.lmdb").write_bytes(b"x" * 4096)
    assert told(chains) == exit_codes.FAILED
    seen = capsys.readouterr()
    assert "EURUSD-b-1/b" in seen.out
    assert seen.err.count("alpha/chains.lmdb") == 1
    assert "until it is moved away" in seen.err


def test_where_no_store_can_be_read_nobody_says_that_there_are_no_chains(
    stores: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (stores.chains / "alpha" / "chains.lmdb").write_bytes(b"x" * 4096)
    assert told(chains, "--plugin", "alpha") == exit_codes.FAILED
    assert capsys.readouterr().out == ""


def test_an_account_that_nobody_has_ever_run_is_not_one_without_chains(
    folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(chains, "--account", "smiulated") == exit_codes.FAILED
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "no account 'smiulated'" in seen.err


def test_an_account_without_chains_has_none(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(chains) == exit_codes.OK
    assert capsys.readouterr().out == "no chains\n"


def test_chains_are_read_while_the_supervisor_writes_them(folder: StateFolder) -> None:
    store = LmdbChains(folder.chains / "alpha", Declared("alpha", "v3"), lambda _: "")
    store.save(HUNT)
    command = [sys.executable, "-m", "evenkeel.cli", "chains", "--json"]
    read = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert [row["chain_id"] for row in json.loads(read.stdout)["chains"]] == ["EURUSD-a-1"]
    assert store.save(next_of(HUNT)) is None
    store.close()


def test_the_states_are_drawn_from_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(chains, "--diagram") == exit_codes.OK
    drawn = capsys.readouterr().out
    assert drawn.startswith("stateDiagram-v2\n")
    assert all(state.value in drawn for state in ChainState)


def test_a_chain_is_ended_over_the_channel_and_a_refusal_is_shown(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert told(chains, "--stop", "EURUSD-a-1/b", "--plugin", "alpha") == exit_codes.REFUSED
    (request,) = asked
    assert (type(request), request.plugin, request.chain_id) == (channel.StopChain, "alpha", "EURUSD-a-1/b")
    assert capsys.readouterr().out == "chains --stop: refused: there is none\n"


def test_a_chain_is_not_ended_without_its_plugin(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert told(chains, "--stop", "EURUSD-a-1") == exit_codes.USAGE
    assert (asked, capsys.readouterr().err) == ([], "chains: --stop needs --plugin: a chain belongs to its strategy\n")


def test_a_shield_is_lowered_over_the_channel(asked: list[Any]) -> None:
    assert told(shields, "--lower", "EURUSD", "buy") == exit_codes.REFUSED
    (request,) = asked
    assert (type(request), request.symbol, request.direction) == (channel.LowerShield, "EURUSD", "buy")


def test_a_direction_that_is_none_is_refused_before_anybody_is_asked(asked: list[Any]) -> None:
    assert told(shields, "--lower", "EURUSD", "up") == exit_codes.USAGE
    assert asked == []


def test_shields_are_shown_with_their_end(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert told(shields) == exit_codes.OK
    assert capsys.readouterr().out.splitlines() == [
        "symbol  blocked  reason  until",
        "EURUSD  buy      gap     2026-01-05 00:00:00 UTC",
    ]


def test_status_tells_of_chains_recoveries_shields_and_breakers(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert told(status) == exit_codes.OK
    lines = capsys.readouterr().out.splitlines()
    assert "chains     2 active, 1 recovery mode, and 2 older ones" in lines
    assert "recoveries 3 tried, 2 won, 1 lost (5.00 USD); 7.00 USD booked" in lines
    assert "shield     against buy of EURUSD until 2026-01-05 00:00:00 UTC: gap" in lines
    assert "breaker    EURUSD orange: spread" in lines


def configured(chain_type: str) -> Config:
    made = MaCrossConfig(symbols=("EURUSD",), orders="dual", chain_type=chain_type)  # type: ignore[arg-type]
    return Config(profile="personal", limits=PERSONAL, strategy={"alpha": made})


def test_a_start_with_another_declared_type_is_refused_with_what_to_do(stores: StateFolder) -> None:
    with pytest.raises(StateError, match=r"alpha, declared v3 .* configured is alpha, v6 .* set chain_type back"):
        chain_stores(configured("v6"), stores.chains)


def test_a_damaged_store_does_not_stop_the_start(stores: StateFolder) -> None:
    (stores.chains / "alpha" / "chains.lmdb").write_bytes(b"x" * 4096)
    refusing = chain_stores(configured("v3"), stores.chains)["alpha"]
    with pytest.raises(StoreUnusable):
        refusing.save(chain())


def test_d18_what_was_declared_is_still_there_after_a_restart(stores: StateFolder) -> None:
    again = chain_stores(configured("v3"), stores.chains)["alpha"]
    assert [row.chain_id for row in again.active()] == ["EURUSD-a-1"]
    again.close()
    assert read_declared(stores.chains / "alpha") == Declared("alpha", "v3")


def test_the_store_of_a_strategy_that_is_not_configured_is_left_alone(stores: StateFolder) -> None:
    before = (stores.chains / "beta" / "chains.lmdb").read_bytes()
    for store in chain_stores(configured("v3"), stores.chains).values():
        store.close()
    assert (stores.chains / "beta" / "chains.lmdb").read_bytes() == before
