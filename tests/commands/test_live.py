"""A live system in this process: what its main loop asks of it is wired to the real parts."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loguru import logger

from evenkeel.adapters.os import AccountLock
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands.live import LiveSystem, inside, synthetic_market
from evenkeel.config.load import load
from evenkeel.messages.operator import KillTrading, Mode, StartTrading

START_UTC_MS = 1_767_600_000_000
OVERRIDES: dict[str, object] = {
    "profile": "demo",
    "trading.enabled": True,
    "entry.stop_pips": 30.0,
    "entry.target_pips": 30.0,
    "entry.cooldown_minutes": 0.0,
    "limits.intent_expiry_s": "off",
    "broker_gateway.reconcile_s": 0.1,
    "strategy": {"quick": {"kind": "ma_cross", "symbols": ["EURUSD"], "fast": 2, "slow": 3}},
}


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LiveSystem]:
    folder = StateFolder(tmp_path, "test")
    folder.create()
    logger.disable("evenkeel")
    market = inside(lambda system, made: synthetic_market(system, made, speed=600.0, start_utc_ms=START_UTC_MS, is_live=False))
    with AccountLock(folder.lock):
        made = LiveSystem(load(None, overrides=OVERRIDES), folder, market, on_fatal=lambda reason: None)
        made.boot()
        yield made
        made.stop("the test")
    logger.enable("evenkeel")


def until(condition: Callable[[], bool]) -> None:
    """Real time, for real threads; the test's own time-out ends the waiting."""
    while not condition():
        time.sleep(0.01)


def test_leases_protection_and_flattening_are_read_from_what_runs(system: LiveSystem) -> None:
    system.run.host.say("person", [StartTrading("start", "test")])
    until(lambda: bool(system.run.host.child("broker_gateway").state.book.positions))
    until(system.is_flat_or_protected)
    assert system.broken_leases() == []
    assert not system.is_flattening()

    system.run.host.say("person", [KillTrading("kill", "test", 1, flatten=True)])
    until(lambda: system.gate.mode is Mode.FLATTEN and not system.is_flattening())
    assert not system.broker.positions()
    assert system.is_flat_or_protected()
