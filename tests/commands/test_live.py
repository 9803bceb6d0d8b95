"""A live system in this process: what its main loop asks of it is wired to the real parts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from live import live_system, until

from evenkeel.commands.live import LiveSystem
from evenkeel.messages.operator import KillTrading, Mode, StartTrading

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
    with live_system(tmp_path, OVERRIDES, speed=600.0) as made:
        yield made


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
