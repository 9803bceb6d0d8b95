from typing import Any

import msgspec
import pytest
from orders import closed, opened, order, seen

from evenkeel.actors.operator import Operator
from evenkeel.messages.broker_gateway import BrokerAgreed, BrokerDisagreed, PositionsRead, ReadTerminal
from evenkeel.messages.operator import (
    CloseTicket,
    CommandAccepted,
    CommandDone,
    CommandRefused,
    FlattenProgressed,
    HoldEnded,
    HoldPlaced,
    KillTrading,
    LowerMode,
    Mode,
    ModeChanged,
    PauseTrading,
    RearmTrading,
    RestrictTrading,
    ResumeTrading,
    ScopeFlattened,
    StartTrading,
    TradingRearmed,
)
from evenkeel.messages.position import CloseScope, ExitReason, ReducePosition
from evenkeel.messages.system import RunStarted, SetTimer, TimerDue
from evenkeel.runtime.actor import restore, snapshot_of

STARTED = RunStarted("build", "configuration", "test", 7, continued=True, crashed=True)
START, PAUSE, RESUME, REARM = (kind("c", "me") for kind in (StartTrading, PauseTrading, ResumeTrading, RearmTrading))
KILL, FLATTEN = KillTrading("k", "me", 1, flatten=False), KillTrading("k", "me", 1, flatten=True)
DRAWDOWN = LowerMode(Mode.CLOSE_ONLY, "risk_limit", "drawdown_pct: 1300 of 1200 cents below the peak")


class Office:
    def __init__(self, *, trading_enabled: bool = True) -> None:
        self.operator = Operator(
            trading_enabled=trading_enabled, scopes=("EURUSD", "GBPUSD", "strategy/trend"), reading_gap_ms=2_000
        )
        self.now_utc_ms = 1_000_000

    def hear(self, *messages: Any, after_ms: int = 0) -> list[Any]:
        self.now_utc_ms += after_ms
        return [said for message in messages for said in self.operator.handle(message, self.now_utc_ms)]

    @property
    def mode(self) -> Mode:
        return self.operator.state.mode


@pytest.fixture
def office() -> Office:
    """Running; the broker agrees."""
    office = Office()
    office.hear(STARTED, BrokerAgreed(0), START)
    return office


def refusal(said: list[Any]) -> str:
    (refused,) = said
    assert isinstance(refused, CommandRefused)
    return refused.reason


def test_nothing_runs_before_a_person_starts():
    office = Office()
    assert office.hear(STARTED) == [ModeChanged(Mode.CLOSE_ONLY, 0, "evenkeel", "the process started")]
    assert office.hear(START) == [ModeChanged(Mode.RUN, 0, "me", "start"), CommandDone("c", "trading")]


def test_a_configuration_that_keeps_trading_off_refuses_the_start():
    assert refusal(Office(trading_enabled=False).hear(START)).startswith("trading is off in the configuration")


def test_a_pause_closes_entries_and_a_resume_opens_them(office):
    assert office.hear(PAUSE)[0] == ModeChanged(Mode.CLOSE_ONLY, 0, "me", "pause")
    assert office.hear(RESUME)[0] == ModeChanged(Mode.RUN, 0, "me", "resume")


def test_what_is_not_running_cannot_be_paused_and_what_is_not_paused_cannot_be_resumed(office):
    assert refusal(office.hear(RESUME)) == "the mode is run and nothing is paused"
    office.hear(PAUSE)
    assert refusal(office.hear(PAUSE)) == "the mode is close_only, there is nothing to pause"


@pytest.mark.parametrize("kill, mode", [(KILL, Mode.CLOSE_ONLY), (FLATTEN, Mode.FLATTEN)])
def test_a_kill_takes_the_epoch_and_its_mode(office, kill, mode):
    changed, *_, done = office.hear(kill)
    assert changed == ModeChanged(mode, 1, "me", "kill")
    assert done == CommandDone("k", f"mode {mode.value}, epoch 1, 0 positions open")


@pytest.mark.parametrize("command, why", [(START, "killed: rearm first"), (RESUME, "killed")])
def test_neither_start_nor_resume_clears_a_kill(office, command, why):
    office.hear(PAUSE, KILL)
    assert refusal(office.hear(command)) == why
    assert office.mode is Mode.CLOSE_ONLY


def test_a_second_kill_may_only_be_stricter_and_never_lowers_the_epoch(office):
    office.hear(KillTrading("k1", "me", 5, flatten=True))
    assert office.hear(KillTrading("k2", "me", 4, flatten=False))[0] == ModeChanged(Mode.FLATTEN, 5, "me", "kill")


def test_a_rearm_needs_an_equal_reading_of_the_broker(office):
    office.hear(KILL, BrokerDisagreed("position 7 is unknown here"))
    assert "do not match" in refusal(office.hear(REARM))
    office.hear(BrokerAgreed(0))
    assert [type(said) for said in office.hear(REARM)] == [ModeChanged, TradingRearmed, CommandDone]


def test_a_rearm_ends_a_kill_in_close_only_and_a_start_is_its_own_step(office):
    office.hear(KILL)
    assert office.hear(REARM)[:2] == [ModeChanged(Mode.CLOSE_ONLY, 1, "me", "rearm"), TradingRearmed("me", 1)]
    assert refusal(office.hear(RESUME)) == "the mode is close_only and nothing is paused"
    assert office.hear(START)[0] == ModeChanged(Mode.RUN, 1, "me", "start")


# A limit's demand


def test_a_limit_lowers_the_mode_until_a_person_rearms(office):
    assert office.hear(DRAWDOWN) == [ModeChanged(Mode.CLOSE_ONLY, 0, "risk_limit", DRAWDOWN.reason)]
    assert refusal(office.hear(START)) == f"{DRAWDOWN.reason}: rearm first"
    office.hear(REARM)
    assert office.hear(START)[0].mode is Mode.RUN


def test_a_limit_that_is_reached_during_a_pause_is_not_forgotten_by_the_resume(office):
    office.hear(PAUSE, DRAWDOWN)
    assert refusal(office.hear(RESUME)) == DRAWDOWN.reason


def test_a_limit_that_is_reached_before_the_start_is_not_forgotten_by_the_start():
    office = Office()
    office.hear(STARTED, DRAWDOWN)
    assert refusal(office.hear(START)) == f"{DRAWDOWN.reason}: rearm first"


def test_a_limit_never_makes_the_mode_laxer(office):
    office.hear(FLATTEN, DRAWDOWN)
    assert office.mode is Mode.FLATTEN


# Starts of the process


@pytest.mark.parametrize(
    "started, mode",
    [
        (STARTED, Mode.RUN),
        (msgspec.structs.replace(STARTED, crashes_recent=2), Mode.RUN),
        (msgspec.structs.replace(STARTED, crashes_recent=3), Mode.CLOSE_ONLY),
        (msgspec.structs.replace(STARTED, continued=False), Mode.CLOSE_ONLY),
    ],
)
def test_run_survives_a_crash_but_no_change_and_not_three_crashes(office, started, mode):
    (changed,) = office.hear(started)
    assert changed.mode is mode


def test_flatten_a_kill_and_the_epoch_survive_every_start(office):
    office.hear(FLATTEN)
    again = Office()
    restore(again.operator, snapshot_of(office.operator))
    assert again.hear(msgspec.structs.replace(STARTED, continued=False))[0].mode is Mode.FLATTEN
    assert refusal(again.hear(START)) == "killed: rearm first"
    assert again.hear(BrokerAgreed(0), REARM)[0].epoch == 1


def test_a_start_of_the_process_needs_a_new_reading_before_a_rearm(office):
    office.hear(KILL, STARTED)
    assert "do not match" in refusal(office.hear(REARM))


# One position


def test_a_person_closes_a_position_and_hears_when_it_is_gone(office):
    office.hear(opened())
    assert office.hear(CloseTicket("c1", "me", 1001)) == [
        CommandAccepted("c1"),
        ReducePosition(1001, "EURUSD", 0, ExitReason.OPERATOR),
    ]
    assert office.hear(closed(reason=ExitReason.OPERATOR)) == [CommandDone("c1", "closed, operator")]


def test_everybody_who_asked_hears_of_the_end(office):
    office.hear(opened(), CloseTicket("c1", "me", 1001), CloseTicket("c2", "you", 1001))
    assert [said.command_id for said in office.hear(closed())] == ["c1", "c2"]


def test_what_is_not_open_here_cannot_be_closed(office):
    assert refusal(office.hear(CloseTicket("c1", "me", 1001))) == "position 1001 is not open here"
    office.hear(opened(), closed())
    assert refusal(office.hear(CloseTicket("c1", "me", 1001))) == "position 1001 is not open here"


def test_a_kill_counts_what_is_open(office):
    office.hear(opened())
    assert office.hear(KILL)[1].detail == "mode close_only, epoch 1, 1 position open"


# Pauses and kills of less than the account


def test_a_pause_of_a_symbol_is_a_hold_and_leaves_the_mode(office):
    assert office.hear(PauseTrading("p", "me", "EURUSD")) == [HoldPlaced("person", "EURUSD", "paused by me", 0, "p")]
    assert office.mode is Mode.RUN


def test_a_pause_with_an_end_is_a_hold_until_then(office):
    (hold,) = office.hear(PauseTrading("p", "me", "account", 60_000))
    assert (hold.scope, hold.until_utc_ms) == ("account", office.now_utc_ms + 60_000)


def test_a_resume_ends_a_pause_that_has_not_ended_by_itself(office):
    office.hear(PauseTrading("p", "me", "EURUSD", 60_000))
    assert office.hear(ResumeTrading("r", "me", "EURUSD"), after_ms=59_999)[0] == HoldEnded("person", "EURUSD")
    office.hear(PauseTrading("p", "me", "EURUSD", 60_000))
    assert refusal(office.hear(ResumeTrading("r", "me", "EURUSD"), after_ms=60_000)) == "EURUSD is not paused"


def test_a_resume_of_the_account_ends_its_pause_as_a_mode_and_as_a_hold(office):
    office.hear(PauseTrading("p", "me", "account", 60_000), PAUSE)
    assert office.hear(RESUME)[:2] == [HoldEnded("person", "account"), ModeChanged(Mode.RUN, 0, "me", "resume")]


def test_a_rearm_ends_pauses_without_an_end_alone(office):
    office.hear(PauseTrading("p", "me", "EURUSD"), PauseTrading("p", "me", "GBPUSD", 60_000), REARM)
    assert refusal(office.hear(ResumeTrading("r", "me", "EURUSD"))) == "EURUSD is not paused"
    assert office.hear(ResumeTrading("r", "me", "GBPUSD"))[0] == HoldEnded("person", "GBPUSD")


def test_a_kill_of_a_strategy_holds_it_and_raises_no_epoch(office):
    kill = KillTrading("k", "me", 0, flatten=False, scope="strategy/trend")
    assert office.hear(kill) == [HoldPlaced("kill", "strategy/trend", "killed by me", 0, "k")]
    assert (office.mode, office.operator.state.epoch) == (Mode.RUN, 0)


def test_what_does_not_exist_is_refused_and_what_is_still_held_there_is_not(office):
    assert refusal(office.hear(PauseTrading("p", "me", "USDJPY"))) == "there is no USDJPY here"
    office.hear(opened(symbol="USDJPY"))
    assert isinstance(office.hear(PauseTrading("p", "me", "USDJPY"))[0], HoldPlaced)


# Stricter modes by a person


@pytest.mark.parametrize("mode", [Mode.CLOSE_ONLY, Mode.FREEZE, Mode.FLATTEN])
def test_a_person_may_make_the_mode_stricter_and_hears_how_it_stands(office, mode):
    changed, *_, done = office.hear(RestrictTrading("m", "me", mode))
    assert (changed, done) == (
        ModeChanged(mode, 0, "me", "asked for"),
        CommandDone("m", f"mode {mode.value}, epoch 0, 0 positions open"),
    )


def test_a_freeze_needs_a_rearm_and_close_only_a_start_alone(office):
    office.hear(RestrictTrading("m", "me", Mode.CLOSE_ONLY))
    assert office.hear(START)[0].mode is Mode.RUN
    office.hear(RestrictTrading("m", "me", Mode.FREEZE))
    assert refusal(office.hear(START)) == "freeze by me: rearm first"


def test_nobody_makes_the_mode_milder_by_asking_for_a_stricter_one(office):
    office.hear(RestrictTrading("m", "me", Mode.FREEZE))
    why = refusal(office.hear(RestrictTrading("m", "me", Mode.CLOSE_ONLY)))
    assert why == "the mode is freeze: a rearm makes it milder"


def test_close_only_makes_a_pause_one_that_no_resume_ends(office):
    office.hear(PAUSE, RestrictTrading("m", "me", Mode.CLOSE_ONLY))
    assert "nothing is paused" in refusal(office.hear(RESUME))


# Flattening


def read(office, *positions, after_ms=2_000):
    return [said for said in office.hear(PositionsRead(1, positions, 0), after_ms=after_ms) if not isinstance(said, SetTimer)]


def test_a_flattening_says_what_is_open_and_reads_the_broker_until_it_is_flat(office):
    office.hear(opened())
    said = office.hear(FLATTEN)
    assert FlattenProgressed("account", (1001,), ()) in said
    assert ReadTerminal(1) in said
    due = TimerDue("operator", "flatten", 0)
    assert [type(one) for one in office.hear(due)] == [ReadTerminal, SetTimer]
    assert (read(office, seen()), read(office)) == ([], [FlattenProgressed("account", (), ())])
    assert read(office) == [ScopeFlattened("account", ())]
    assert office.hear(due) == []


def test_what_is_not_ours_is_listed_and_what_is_ours_without_our_knowledge_counts(office):
    office.hear(RunStarted("b", "c", "test", 7, continued=True, crashed=False), FLATTEN)
    stranger = seen(9, magic=0)
    assert read(office, stranger, seen(1002)) == [FlattenProgressed("account", (1002,), (9,))]


def test_a_symbol_is_held_closed_and_followed_and_then_let_go_of(office):
    office.hear(opened(), opened(1002, symbol="GBPUSD"))
    hold, close, progress, *_ = office.hear(RestrictTrading("m", "me", Mode.FLATTEN, "EURUSD"))
    assert hold == HoldPlaced("flatten", "EURUSD", "flatten by me, 1 position to be closed", 0, "m")
    assert (close, progress) == (CloseScope("EURUSD", ExitReason.FLATTEN), FlattenProgressed("EURUSD", (1001,), ()))
    other = seen(1002, symbol="GBPUSD")
    assert [*read(office, other), *read(office, other)] == [
        FlattenProgressed("EURUSD", (), ()),
        ScopeFlattened("EURUSD", ()),
    ]
    assert office.operator.state.flattening == {}


def test_what_appears_in_a_strategy_that_is_being_flattened_is_closed(office):
    office.hear(RestrictTrading("m", "me", Mode.FLATTEN, "strategy/trend"))
    said = office.hear(opened())
    assert ReducePosition(1001, "EURUSD", 0, ExitReason.FLATTEN) in said
    other = msgspec.structs.replace(order().lineage, strategy="other")
    assert office.hear(opened(1002, lineage=other)) == []


def test_what_appears_after_the_account_was_flat_begins_it_anew(office):
    office.hear(FLATTEN)
    read(office), read(office)
    assert office.hear(opened())[:2] == [FlattenProgressed("account", (1001,), ()), ReadTerminal(2)]


def test_a_start_of_the_process_goes_on_with_what_is_not_flat(office):
    office.hear(opened(), RestrictTrading("m", "me", Mode.FLATTEN, "EURUSD"))
    again = Office()
    restore(again.operator, snapshot_of(office.operator))
    assert again.hear(STARTED)[1:3] == [CloseScope("EURUSD", ExitReason.FLATTEN), ReadTerminal(2)]


def test_a_rearm_ends_a_flattening(office):
    office.hear(opened(), FLATTEN, REARM)
    assert office.hear(TimerDue("operator", "flatten", 0)) == []
    assert read(office, seen()) == []
