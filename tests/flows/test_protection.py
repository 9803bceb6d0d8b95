"""No position stays unprotected, whoever manages it: told on the stepped host, with actors that die where they are told to."""

from typing import Any

from builders import AT_ANY_HOUR, STARTED, config_of, terminal_of, world_of
from runtime_builders import WatchedJournal
from stage import DAILY, SELL, SPECS, Stage, denial, fault, held, mined

from evenkeel.adapters.simulated.faults import Call, FaultKind
from evenkeel.config.load import load, packaged
from evenkeel.messages.broker_gateway import BrokerAgreed, CallTerminal, CloseRequest, LevelsMoved, StopRequest
from evenkeel.messages.entry import DenialReason, Lineage, SignalRaised
from evenkeel.messages.market import ArmWatches, Direction, PricesReached
from evenkeel.messages.operator import Mode, ModeChanged, RearmTrading, StartTrading
from evenkeel.messages.position import ClosedBy, ClosePosition, ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.protection import (
    Gap,
    PositionProtected,
    PositionUnprotected,
    StopsSet,
    SymbolGivenBack,
    SymbolTakenOver,
)
from evenkeel.messages.system import ChildDown, ChildServing, MessageParked, TimerDue
from evenkeel.runtime.clock import ManualClock, SystemClock
from evenkeel.runtime.publisher import SUPERVISOR, Publisher
from evenkeel.runtime.threaded import ThreadedHost
from evenkeel.supervisor import CODEC, children, guard_names, route_table

APP_STOP, APP_TARGET, WIDE_STOP = 109_960, 110_110, 109_660
"""Of a position bought at 110010."""


def levels(stage: Any) -> list[tuple[int, int]]:
    """Stop and target of each position as the broker holds them."""
    return [(position.stop_points, position.target_points) for position in stage.terminal.positions() or ()]


def remove_stop(stage: Stage, ticket: int) -> None:
    """Somebody else does it."""
    stage.scene.terminal.set_stops(StopRequest("EURUSD", ticket, 0, 0))


def is_stray_timer(message: Any) -> bool:
    return isinstance(message, TimerDue) and message.name == "time/1"


def crashed_twice() -> tuple[Stage, int]:
    """The actor of EURUSD died of two messages, one after the other, while it held a position."""
    stage, ticket = held(sabotage=mined("position/EURUSD", is_stray_timer, {1, 3}))
    for _ in range(2):
        stage.tell(TimerDue("position/EURUSD", "time/1", 0))
    assert [down.crashes for down in stage.said(ChildDown)] == [1, 2]
    return stage, ticket


# A symbol is taken over


def test_the_second_crash_of_a_position_s_actor_gives_its_stop_and_target_to_the_broker_in_the_same_instant() -> None:
    stage, _ = crashed_twice()
    assert stage.said(SymbolTakenOver) == [SymbolTakenOver("EURUSD", "its actor crashed 2 times")]
    assert levels(stage) == [(APP_STOP, APP_TARGET)]


def test_the_first_crash_leaves_everything_as_it_is() -> None:
    stage, _ = held(sabotage=mined("position/EURUSD", is_stray_timer, {1}))
    stage.tell(TimerDue("position/EURUSD", "time/1", 0))
    stage.wait(60)
    assert (levels(stage), stage.said(SymbolTakenOver)) == ([(WIDE_STOP, 0)], [])


def test_the_broker_ends_a_position_that_was_taken_over_at_the_app_s_stop() -> None:
    stage, _ = crashed_twice()
    stage.quote(APP_STOP)
    closed = stage.last(PositionClosed)
    assert (closed.reason, closed.by) == (ExitReason.STOP, ClosedBy.BROKER)


def test_a_symbol_that_is_taken_over_opens_nothing_until_a_person_rearms() -> None:
    stage, _ = crashed_twice()
    stage.quote(APP_STOP)
    stage.signal()
    assert denial(stage)[0] is DenialReason.HOLD
    stage.tell(RearmTrading("a", "me"), StartTrading("s", "me"))
    stage.signal()
    assert len(stage.tickets) == 1


def test_a_symbol_is_given_back_by_a_rearm_and_its_exits_are_the_app_s_again() -> None:
    stage, _ = crashed_twice()
    stage.tell(RearmTrading("a", "me"))
    assert stage.said(SymbolGivenBack) == [SymbolGivenBack("EURUSD")]
    assert levels(stage) == [(WIDE_STOP, 0)]
    stage.quote(APP_STOP)
    assert (stage.last(PositionClosed).reason, stage.last(PositionClosed).by) == (ExitReason.STOP, ClosedBy.APP)


def test_a_stop_that_was_set_although_the_answer_was_lost_is_ours_not_a_person_s() -> None:
    lose = fault(FaultKind.LOST_AFTER, Call.SET_STOPS)
    stage, _ = held(lose, sabotage=mined("position/EURUSD", is_stray_timer, {1, 3}))
    for _ in range(2):
        stage.tell(TimerDue("position/EURUSD", "time/1", 0))
    stage.wait(30)
    stage.look()
    assert (levels(stage), stage.said(LevelsMoved)) == ([(APP_STOP, APP_TARGET)], [])
    stage.quote(APP_STOP)
    assert (stage.last(PositionClosed).reason, stage.last(PositionClosed).by) == (ExitReason.STOP, ClosedBy.BROKER)


def test_a_nearer_stop_and_a_target_of_a_person_outlast_a_takeover_and_its_end() -> None:
    stage, ticket = held(sabotage=mined("position/EURUSD", is_stray_timer, {1, 3}))
    stage.terminal.person_sets_levels(ticket, 109_980, 110_060)
    stage.look()
    for _ in range(2):
        stage.tell(TimerDue("position/EURUSD", "time/1", 0))
    assert (len(stage.said(SymbolTakenOver)), levels(stage)) == (1, [(109_980, 110_060)])
    stage.tell(RearmTrading("a", "me"))
    assert (len(stage.said(SymbolGivenBack)), levels(stage)) == (1, [(109_980, 110_060)])
    stage.quote(109_975)
    assert stage.last(PositionClosed).reason is ExitReason.PERSON


def test_a_rearm_while_the_actor_is_down_gives_its_symbol_back_when_it_serves() -> None:
    stage, _ = crashed_twice()
    stage.tell(ChildDown("position/EURUSD", 3, 3, "boom"), RearmTrading("a", "me"))
    assert (levels(stage), stage.said(SymbolGivenBack)) == ([(APP_STOP, APP_TARGET)], [])
    stage.tell(ChildServing("position/EURUSD", 4))
    assert levels(stage) == [(WIDE_STOP, 0)]


def test_a_stop_that_was_reached_by_a_message_that_was_parked_is_closed_at_once() -> None:
    """The price is beyond the stop, so the broker takes no stop there."""
    stage, _ = held(sabotage=mined("position/EURUSD", lambda message: isinstance(message, PricesReached), {1, 2}))
    stage.quote(109_940)
    assert [parked.kind for parked in stage.said(MessageParked)] == ["PricesReached"]
    assert (stage.tickets, stage.last(PositionClosed).reason) == ([], ExitReason.UNPROTECTED)


def test_a_position_whose_opening_was_parked_ends_at_its_stop_all_the_same() -> None:
    stage = Stage(sabotage=mined("position/EURUSD", lambda message: isinstance(message, PositionOpened), {1, 2}))
    stage.signal()
    assert levels(stage) == [(APP_STOP, APP_TARGET)]
    stage.tell(RearmTrading("a", "me"))
    assert levels(stage) == [(APP_STOP, APP_TARGET)], "nobody else waits for them"
    stage.quote(APP_STOP)
    assert stage.last(PositionClosed).reason is ExitReason.STOP


def test_what_is_filled_late_in_a_symbol_that_was_taken_over_is_closed() -> None:
    lose = fault(FaultKind.LATE, Call.OPEN, after_quotes=2)
    stage = Stage(lose, sabotage=mined("position/EURUSD", is_stray_timer, {1, 3}))
    stage.signal()
    for _ in range(2):
        stage.tell(TimerDue("position/EURUSD", "time/1", 0))
    stage.quote(110_001)
    stage.quote(110_002)
    stage.look()
    assert (stage.bought(), stage.tickets) == (1, [])


def test_other_symbols_stay_with_their_actors() -> None:
    stage, _ = crashed_twice()
    stage.signal(SELL, "GBPUSD")
    assert levels(stage)[1] == (110_000 + 350, 0)
    stage.quote(110_060, "GBPUSD")
    assert stage.last(PositionClosed).by is ClosedBy.APP


# A close that nobody answers


def test_a_close_of_which_the_gateway_died_twice_is_asked_for_again_and_done() -> None:
    stage, _ = held(sabotage=mined("broker_gateway", lambda message: isinstance(message, ClosePosition), {1, 2}))
    stage.quote(109_955)
    assert [parked.kind for parked in stage.said(MessageParked)] == ["ClosePosition"]
    assert (stage.tickets, stage.last(PositionClosed).reason) == ([], ExitReason.STOP)


def test_a_close_of_which_the_terminal_edge_died_twice_is_asked_for_again_and_done() -> None:
    def is_close(message: Any) -> bool:
        return isinstance(message, CallTerminal) and isinstance(message.request, CloseRequest)

    stage, _ = held(sabotage=mined("terminal", is_close, {1, 2}))
    stage.quote(109_955)
    assert [parked.kind for parked in stage.said(MessageParked)] == ["CallTerminal"]
    assert (stage.tickets, stage.last(PositionClosed).reason) == ([], ExitReason.STOP)


def test_a_close_that_ended_is_not_asked_for_again() -> None:
    stage, _ = held()
    stage.quote(109_955)
    stage.wait(600)
    assert len(stage.calls(CloseRequest)) == 1


# The stop at the broker


def test_a_stop_that_was_removed_is_an_alarm_until_it_is_there_again() -> None:
    stage, ticket = held(fault(FaultKind.REJECT, Call.SET_STOPS, 2))
    remove_stop(stage, ticket)
    stage.look()
    assert stage.said(PositionUnprotected) == [
        PositionUnprotected(ticket, "EURUSD", 1, Gap.NO_BROKER_STOP, 0, WIDE_STOP),
    ]
    stage.wait(2)
    assert stage.said(PositionProtected) == [PositionProtected(ticket, "EURUSD")]
    assert levels(stage) == [(WIDE_STOP, 0)]


def test_a_position_that_cannot_be_protected_is_closed_although_its_actor_is_dead() -> None:
    stage, ticket = held(fault(FaultKind.REJECT, Call.SET_STOPS, code=10016))
    stage.tell(ChildDown("position/EURUSD", 1, 1, "boom"), ChildDown("position/EURUSD", 2, 2, "boom"))
    assert (stage.tickets, stage.last(PositionClosed).reason) == ([], ExitReason.UNPROTECTED)
    assert stage.last(PositionClosed).ticket == ticket


def test_a_market_that_is_closed_ends_nothing_that_was_taken_over_and_gets_the_levels_when_it_opens() -> None:
    stage, ticket = held(*[fault(FaultKind.REJECT, Call.SET_STOPS, nth, code=10018) for nth in range(1, 7)])
    stage.tell(ChildDown("position/EURUSD", 1, 1, "boom"), ChildDown("position/EURUSD", 2, 2, "boom"))
    stage.wait(160)
    assert (levels(stage), len(stage.calls(StopRequest))) == ([(WIDE_STOP, 0)], 6)
    stage.wait(600)
    assert (levels(stage), stage.tickets) == ([(APP_STOP, APP_TARGET)], [ticket])


def test_levels_that_the_feed_never_armed_go_to_the_broker() -> None:
    def armed(message: Any) -> bool:
        return isinstance(message, ArmWatches)

    stage, _ = held(sabotage=mined("market_feed", armed, {1, 2}))
    assert [parked.kind for parked in stage.said(MessageParked)] == ["ArmWatches"]
    assert levels(stage) == [(APP_STOP, APP_TARGET)]
    stage.quote(APP_STOP)
    assert stage.last(PositionClosed).reason is ExitReason.STOP


# A guard


def test_a_guard_that_dies_three_times_freezes_the_account_until_a_person_rearms() -> None:
    stage, ticket = held()
    for crashes in (1, 2, 3):
        stage.tell(ChildDown("risk_limit", crashes, crashes, "boom"))
    assert stage.last(ModeChanged) == ModeChanged(Mode.FREEZE, 0, "protection", "risk_limit crashed 3 times")
    stage.tell(StartTrading("s", "me"))
    assert (stage.last(ModeChanged).mode, stage.tickets) == (Mode.FREEZE, [ticket])


def test_without_protection_nothing_is_opened_and_exits_go_on() -> None:
    stage, _ = held()
    stage.tell(ChildDown("protection", 1, 1, "boom"))
    stage.signal(symbol="GBPUSD")
    assert denial(stage) == (DenialReason.GUARD_DOWN, "protection")
    stage.quote(109_955)
    assert stage.last(PositionClosed).reason is ExitReason.STOP


def test_protection_that_dies_of_what_it_hears_takes_over_all_the_same() -> None:
    stage, _ = held(sabotage=mined("protection", lambda message: isinstance(message, ChildDown), {2}))
    stage.tell(ChildDown("position/EURUSD", 1, 1, "boom"), ChildDown("position/EURUSD", 2, 2, "boom"))
    assert "protection" in [down.child for down in stage.said(ChildDown)]
    assert levels(stage) == [(APP_STOP, APP_TARGET)]


def test_a_replay_without_a_stop_at_the_broker_has_no_protection_and_a_live_run_has_one() -> None:
    config = load(packaged("plain.toml"))
    world = world_of(config, SPECS, terminal_of(config, SPECS), ManualClock())
    assert "protection" not in {spec.name for spec in children(world)}
    live = world._replace(source=object())  # type: ignore[arg-type]
    guards = set(guard_names(config, live.symbols))
    assert "protection" in guards
    absent = guards - {spec.name for spec in children(live)}
    assert absent == {"wall_clock", "storage", "notifier"}, "it has no clock, no disk and no way outside"


# On threads


class Live:
    """The same children on the threaded host, with one long position of EURUSD."""

    def __init__(self) -> None:
        config = config_of(circuit_breaker__enabled=False, strategy={}, broker_gateway__reading_gap_s=0.02, **AT_ANY_HOUR)
        self.terminal = terminal_of(config, SPECS, daily=DAILY)
        self.journal, self.fatal = WatchedJournal(), list[str]()
        clock = SystemClock()
        specs = children(world_of(config, SPECS, self.terminal, clock))
        publisher = Publisher(routes=route_table(specs), codec=CODEC, clock=clock, journal=self.journal)
        self.host = ThreadedHost(specs, publisher=publisher, on_fatal=self.fatal.append)
        self.terminal.on_quote("EURUSD", clock.now_utc_ms(), 110_000, 110_010)
        self.host.say(SUPERVISOR, [STARTED])
        self.host.boot()
        self.host.say("person", [StartTrading("s", "me")])
        self.until(BrokerAgreed)
        quote = self.terminal.quote("EURUSD")
        assert quote is not None
        self.host.say("person", [SignalRaised("EURUSD", 1, Direction.BUY, quote, 0, 10, Lineage("person", ""))])
        self.until(ArmWatches)

    def said(self, kind: Any) -> list[Any]:
        messages = (CODEC.decode(bytes(record.body)) for record in self.journal.records())
        return [message for message in messages if isinstance(message, kind)]

    def until(self, kind: Any, count: int = 1) -> None:
        assert self.journal.wait_for(lambda: len(self.said(kind)) >= count), f"no {kind.__name__}"

    def crash(self, name: str) -> None:
        served = len(self.said(ChildServing))
        self.host.crash(name)
        self.until(ChildServing, served + 1)


def test_the_second_crash_of_an_actor_s_thread_gives_its_levels_to_the_broker() -> None:
    live = Live()
    live.crash("position/EURUSD")
    assert levels(live) == [(WIDE_STOP, 0)]
    live.crash("position/EURUSD")
    live.until(StopsSet)
    assert levels(live) == [(APP_STOP, APP_TARGET)]
    live.host.say("person", [RearmTrading("a", "me")])
    live.until(StopsSet, 2)
    assert levels(live) == [(WIDE_STOP, 0)]
    assert live.host.stop(first=(), deadline_s=5) == []
