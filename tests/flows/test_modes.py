"""The table of modes (DESIGN 8), a sentence a cell; then holds by scope, and who may change what."""

from typing import Any

import msgspec
import pytest
from stage import CONFIG, Stage, denial, fault, held

from evenkeel.adapters.simulated.faults import Call, FaultKind
from evenkeel.config.schema import MaCrossConfig
from evenkeel.messages.broker_gateway import OpenRequest, StopRequest
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.operator import (
    CloseTicket,
    CommandDone,
    CommandRefused,
    HoldEnded,
    KillTrading,
    Mode,
    ModeChanged,
    PauseTrading,
    RearmTrading,
    RestrictTrading,
    ResumeTrading,
    StartTrading,
)
from evenkeel.messages.position import ExitReason, PositionClosed
from evenkeel.messages.system import RunStarted

MINUTE_S = 60
TIMED = msgspec.structs.replace(CONFIG, exit=msgspec.structs.replace(CONFIG.exit, time_stop_minutes=1.0))
TREND = msgspec.structs.replace(CONFIG, strategy={"trend": MaCrossConfig()})
TO = {
    Mode.RUN: [],
    Mode.CLOSE_ONLY: [RestrictTrading("m", "me", Mode.CLOSE_ONLY)],
    Mode.FREEZE: [RestrictTrading("m", "me", Mode.FREEZE)],
    Mode.FLATTEN: [RestrictTrading("m", "me", Mode.FLATTEN)],
}


def stage_in(mode: Mode, *faults: Any) -> tuple[Stage, int]:
    """A long position of EURUSD with a time stop of a minute was open when the mode came."""
    stage, ticket = held(*faults, config=TIMED)
    stage.tell(*TO[mode])
    assert stage.last(ModeChanged).mode is mode
    return stage, ticket


def ends(stage: Stage) -> list[ExitReason]:
    return [closed.reason for closed in stage.said(PositionClosed)]


def is_opened(stage: Stage) -> bool:
    before = len(stage.calls(OpenRequest))
    stage.signal(symbol="GBPUSD")
    return len(stage.calls(OpenRequest)) > before


# Opens


def test_run_opens() -> None:
    assert is_opened(stage_in(Mode.RUN)[0])


@pytest.mark.parametrize("mode", [Mode.CLOSE_ONLY, Mode.FREEZE, Mode.FLATTEN])
def test_close_only_freeze_and_flatten_open_nothing_and_say_so(mode: Mode) -> None:
    stage, _ = stage_in(mode)
    assert not is_opened(stage)
    assert denial(stage) == (DenialReason.MODE, mode.value)


# Discretionary exits


@pytest.mark.parametrize("mode", [Mode.RUN, Mode.CLOSE_ONLY])
def test_run_and_close_only_close_what_has_lived_its_time(mode: Mode) -> None:
    stage, _ = stage_in(mode)
    stage.wait(MINUTE_S)
    assert ends(stage) == [ExitReason.TIME]


def test_freeze_keeps_what_has_lived_its_time() -> None:
    stage, ticket = stage_in(Mode.FREEZE)
    stage.wait(10 * MINUTE_S)
    assert stage.tickets == [ticket]


def test_what_a_freeze_kept_is_closed_when_it_ends() -> None:
    stage, _ = stage_in(Mode.FREEZE)
    stage.wait(10 * MINUTE_S)
    stage.tell(RearmTrading("r", "me"))
    assert ends(stage) == [ExitReason.TIME]


def test_a_freeze_asks_no_more_for_a_refused_time_stop_until_it_ends() -> None:
    stage, ticket = held(fault(FaultKind.REJECT, Call.CLOSE), config=TIMED)
    stage.wait(MINUTE_S)
    stage.tell(*TO[Mode.FREEZE])
    stage.wait(10 * MINUTE_S)
    assert stage.tickets == [ticket]
    stage.tell(RearmTrading("r", "me"))
    assert ends(stage) == [ExitReason.TIME]


def test_flatten_closes_everything_without_another_reason() -> None:
    stage, _ = stage_in(Mode.FLATTEN)
    assert (ends(stage), stage.tickets) == ([ExitReason.FLATTEN], [])


# Stop, target, emergency, closes by a person


@pytest.mark.parametrize("mode", [Mode.RUN, Mode.CLOSE_ONLY, Mode.FREEZE])
def test_run_close_only_and_freeze_serve_the_stop(mode: Mode) -> None:
    stage, _ = stage_in(mode)
    stage.quote(109_955)
    assert ends(stage) == [ExitReason.STOP]


@pytest.mark.parametrize("mode", [Mode.RUN, Mode.CLOSE_ONLY, Mode.FREEZE])
def test_run_close_only_and_freeze_serve_the_target(mode: Mode) -> None:
    stage, _ = stage_in(mode)
    stage.quote(110_110)
    assert ends(stage) == [ExitReason.TARGET]


@pytest.mark.parametrize("mode", [Mode.RUN, Mode.CLOSE_ONLY, Mode.FREEZE])
def test_run_close_only_and_freeze_serve_the_emergency_exit(mode: Mode) -> None:
    stage, _ = stage_in(mode)
    stage.quote(109_900)
    assert ends(stage) == [ExitReason.EMERGENCY]


@pytest.mark.parametrize("mode", [Mode.RUN, Mode.CLOSE_ONLY, Mode.FREEZE])
def test_run_close_only_and_freeze_close_what_a_person_wants_closed(mode: Mode) -> None:
    stage, ticket = stage_in(mode)
    stage.tell(CloseTicket("c", "me", ticket))
    assert ends(stage) == [ExitReason.OPERATOR]


def test_flatten_serves_an_exit_on_a_position_whose_close_was_refused() -> None:
    stage, _ = stage_in(Mode.FLATTEN, fault(FaultKind.REJECT, Call.CLOSE))
    stage.quote(109_955)
    assert stage.tickets == []


def test_flatten_closes_at_once_what_a_person_wants_closed_although_its_own_close_waits() -> None:
    stage, ticket = stage_in(Mode.FLATTEN, fault(FaultKind.REJECT, Call.CLOSE))
    assert stage.tickets == [ticket]
    stage.tell(CloseTicket("c", "me", ticket))
    assert stage.tickets == []


# Protection


@pytest.mark.parametrize("mode", [Mode.RUN, Mode.CLOSE_ONLY, Mode.FREEZE])
def test_run_close_only_and_freeze_set_a_removed_stop_again(mode: Mode) -> None:
    stage, ticket = stage_in(mode)
    stage.scene.terminal.set_stops(StopRequest("EURUSD", ticket, 0, 0))
    stage.look()
    (position,) = stage.scene.terminal.positions() or ()
    assert position.stop_points == 109_660


def test_flatten_sets_a_removed_stop_again_while_the_close_is_refused() -> None:
    refusals = [fault(FaultKind.REJECT, Call.CLOSE, nth) for nth in (1, 2, 3)]
    stage, ticket = stage_in(Mode.FLATTEN, *refusals)
    stage.scene.terminal.set_stops(StopRequest("EURUSD", ticket, 0, 0))
    stage.look()
    (position,) = stage.scene.terminal.positions() or ()
    assert position.stop_points == 109_660


# Who changes the mode


@pytest.mark.parametrize("mode", [Mode.FREEZE, Mode.FLATTEN])
def test_out_of_freeze_and_flatten_leads_a_rearm_alone(mode: Mode) -> None:
    stage, _ = stage_in(mode)
    stage.tell(StartTrading("s", "me"), ResumeTrading("r", "me"), RestrictTrading("c", "me", Mode.CLOSE_ONLY))
    assert [refused.command_id for refused in stage.said(CommandRefused)] == ["s", "r", "c"]
    assert stage.last(ModeChanged).mode is mode
    stage.wait(5)
    stage.tell(RearmTrading("a", "me"), StartTrading("s2", "me"))
    assert is_opened(stage)


def test_a_kill_twice_during_the_start_and_during_the_reconciliation_is_one_kill() -> None:
    stage = Stage(start=False)
    kill = KillTrading("k", "me", 1, flatten=True)
    stage.tell(kill, kill)
    stage.tell(RunStarted("build", "configuration", "test", 7, continued=True, crashed=False), kill)
    assert [done.detail for done in stage.said(CommandDone)] == ["mode flatten, epoch 1, 0 positions open"] * 3
    stage.tell(StartTrading("s", "me"))
    assert stage.last(CommandRefused).reason == "killed: rearm first"


def test_a_second_kill_with_flatten_asks_for_nothing_that_is_closed_already() -> None:
    stage, _ = stage_in(Mode.RUN)
    stage.tell(KillTrading("k1", "me", 1, flatten=True), KillTrading("k2", "me", 2, flatten=True))
    assert ends(stage) == [ExitReason.FLATTEN]


# Holds


@pytest.mark.parametrize("scope", ["EURUSD", "strategy/trend", "account"])
def test_a_pause_of_a_scope_denies_its_entries_until_the_resume(scope: str) -> None:
    stage = Stage(config=TREND)
    stage.tell(PauseTrading("p", "me", scope, for_ms=60_000))
    stage.signal(strategy="trend")
    assert denial(stage) == (DenialReason.HOLD, "person: paused by me")
    stage.tell(ResumeTrading("r", "me", scope))
    assert stage.said(HoldEnded) == [HoldEnded("person", scope)]
    stage.signal(strategy="trend")
    assert stage.bought() == 1


@pytest.mark.parametrize("scope", ["EURUSD", "strategy/trend"])
def test_a_pause_of_a_scope_leaves_the_others_alone(scope: str) -> None:
    stage = Stage(config=TREND)
    stage.tell(PauseTrading("p", "me", scope))
    stage.signal(symbol="GBPUSD", strategy="other")
    assert stage.bought() == 1


def test_a_pause_with_an_end_ends_by_itself() -> None:
    stage = Stage(config=TREND)
    stage.tell(PauseTrading("p", "me", "EURUSD", for_ms=60_000))
    stage.wait(61)
    stage.signal()
    assert stage.bought() == 1
    stage.tell(ResumeTrading("r", "me", "EURUSD"))
    assert stage.last(CommandRefused).reason == "EURUSD is not paused"


@pytest.mark.parametrize("scope", ["EURUSD", "strategy/trend"])
def test_a_kill_of_a_scope_stands_over_resume_and_start_until_a_rearm(scope: str) -> None:
    stage = Stage(config=TREND)
    stage.tell(KillTrading("k", "me", 0, flatten=False, scope=scope))
    assert stage.last(CommandDone) == CommandDone("k", f"no new risk in {scope}: killed by me")
    stage.tell(ResumeTrading("r", "me", scope), StartTrading("s", "me"))
    stage.signal(strategy="trend")
    assert denial(stage)[0] is DenialReason.HOLD
    stage.tell(RearmTrading("a", "me"), StartTrading("s2", "me"))
    stage.signal(strategy="trend")
    assert stage.bought() == 1


def test_what_does_not_exist_can_be_neither_paused_nor_killed() -> None:
    stage = Stage(config=TREND)
    stage.tell(PauseTrading("p", "me", "EURSUD"), KillTrading("k", "me", 0, flatten=True, scope="strategy/none"))
    assert [refused.reason for refused in stage.said(CommandRefused)] == [
        "there is no EURSUD here",
        "there is no strategy/none here",
    ]
