"""A limit is lowered while the run goes on: the next entry meets it, what is open keeps its exits, and every fold knows it."""

from pathlib import Path

import pytest
from builders import LiveLikeHost
from kept import configured, keep
from stage import CONFIG, Stage, held

from evenkeel.adapters.state_folder import StateFolder
from evenkeel.cli import main
from evenkeel.messages.broker_gateway import OpenRequest
from evenkeel.messages.entry import DenialReason, OrderDenied
from evenkeel.messages.market import ArmWatches, DisarmWatches
from evenkeel.messages.operator import CommandDone, HoldPlaced, LimitsLowered, Mode, ModeChanged
from evenkeel.messages.system import RunStarted

ONE = LimitsLowered("r-1", "me", '{"limits.positions_max":1}')
SLOW = LimitsLowered("r-2", "me", '{"entry.cooldown_minutes":10.0}')


def denials(stage: Stage) -> list[DenialReason]:
    return [denied.reason for denied in stage.said(OrderDenied)]


def test_the_next_entry_meets_a_lowered_limit_and_the_person_is_told_that_it_is_in_force() -> None:
    stage, _ = held()
    stage.tell(ONE)
    stage.signal(symbol="GBPUSD")
    assert denials(stage) == [DenialReason.POSITIONS]
    assert CommandDone("r-1", "in force") in stage.said(CommandDone)


def test_a_limit_of_the_symbol_is_lowered_too() -> None:
    stage, _ = held()
    stage.tell(SLOW)
    stage.quote(111_100)  # the target
    stage.signal(symbol="GBPUSD")
    stage.quote(111_100, "GBPUSD")
    stage.signal(symbol="GBPUSD")
    assert DenialReason.COOLDOWN in denials(stage)


def test_what_is_open_keeps_its_exits() -> None:
    stage, ticket = held()
    before = len(stage.said(ArmWatches, DisarmWatches))
    stage.tell(ONE)
    assert len(stage.said(ArmWatches, DisarmWatches)) == before
    stage.quote(111_100)
    assert ticket not in stage.tickets


def test_a_limit_that_is_reached_by_now_acts_at_once() -> None:
    stage, _ = held()
    stage.quote(109_900)  # the stop
    assert stage.said(HoldPlaced) == []
    stage.tell(LimitsLowered("r-1", "me", '{"limits.day_loss_pct":0.01,"limits.day_loss_soft_pct":0.01}'))
    assert [hold.reason.partition(":")[0] for hold in stage.said(HoldPlaced)] == ["day_loss_pct"]


def test_a_later_word_replaces_an_earlier_one() -> None:
    stage, _ = held()
    stage.tell(ONE, LimitsLowered("r-2", "me", ""))
    stage.signal(symbol="GBPUSD")
    assert denials(stage) == []
    assert len(stage.calls(OpenRequest)) == 2


def test_a_restart_folds_the_lowering_back() -> None:
    stage, _ = held()
    stage.tell(ONE)
    stage.restart()
    stage.signal(symbol="GBPUSD")
    assert denials(stage) == [DenialReason.POSITIONS]


def test_the_same_code_decides_a_run_with_a_lowering_as_it_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    folder = StateFolder(tmp_path, "simulated")
    folder.create()
    stage, _ = held(host_of=LiveLikeHost)
    stage.tell(ONE)
    stage.signal(symbol="GBPUSD")
    keep(folder.journal, configured(stage.scene.records(), CONFIG)).close(clean=True)
    assert main(["replay"]) == 0, capsys.readouterr().out
    assert main(["why-not", "GBPUSD"]) == 0
    told = capsys.readouterr().out
    assert "positions_max" in told
    assert "1" in told


@pytest.mark.parametrize(
    "started, mode",
    [
        (RunStarted("b", "c", "a", 1, continued=False, crashed=False, reloaded=True), Mode.RUN),
        (RunStarted("b", "c", "a", 1, continued=False, crashed=False, reloaded=True, raised="limits.x"), Mode.CLOSE_ONLY),
        (RunStarted("b", "c", "a", 1, continued=False, crashed=False), Mode.CLOSE_ONLY),
    ],
)
def test_the_mode_goes_on_after_a_reload_that_raises_nothing(started: RunStarted, mode: Mode) -> None:
    stage, _ = held()
    assert stage.last(ModeChanged).mode is Mode.RUN
    stage.tell(started)
    assert stage.last(ModeChanged).mode is mode
