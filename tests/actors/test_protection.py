"""protection by itself: five seconds of grace, a minute for an answer, retries from one second to thirty."""

from typing import Any

import msgspec
import pytest
from orders import closed, opened, seen

from evenkeel.actors.protection import Protection
from evenkeel.config.limits import PERSONAL
from evenkeel.config.schema import CatastropheStopConfig, Config
from evenkeel.messages.broker_gateway import Outcome, PositionsRead
from evenkeel.messages.market import ArmWatches, Side, Watch
from evenkeel.messages.operator import LowerMode, Mode, ModeChanged, TradingRearmed
from evenkeel.messages.position import (
    CloseFailed,
    CloseFailure,
    ClosePosition,
    CloseScope,
    ExitReason,
    ReducePosition,
    StopTightened,
)
from evenkeel.messages.protection import (
    Gap,
    PositionProtected,
    PositionUnprotected,
    SetStops,
    StopsRefused,
    StopsSet,
    SymbolGivenBack,
    SymbolTakenOver,
)
from evenkeel.messages.system import ChildDown, ChildServing, MessageParked, RunStarted, SetTimer, TimerDue
from evenkeel.runtime.actor import restore, snapshot_of

GUARDS = ("risk_limit", "operator", "position/EURUSD", "position/GBPUSD")
GRACE_MS, ANSWER_MS = 5_000, 60_000
ARMED = ArmWatches(
    "position/EURUSD",
    "EURUSD",
    1,
    (Watch("1001/stop/1", Side.BID, False, 109_960), Watch("1001/target/1", Side.BID, True, 110_110)),
)
DOWN = ChildDown("position/EURUSD", 2, 2, "boom")
OWN_STOPS = SetStops(1001, "EURUSD", 1, 109_960, 110_110)
WIDE_STOP = SetStops(1001, "EURUSD", 1, 109_660, 0)


class Post:
    """The actor, a clock that moves by hand, and the one timer that it sets."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config(profile="personal", limits=PERSONAL)
        self.actor = Protection(self.config, GUARDS)
        self.now_utc_ms = 1_000_000
        self.due_utc_ms: int | None = None

    def hear(self, *messages: Any) -> list[Any]:
        """What is said, but for the timer."""
        said = [one for message in messages for one in self.actor.handle(message, self.now_utc_ms)]
        for timer in said:
            if isinstance(timer, SetTimer):
                self.due_utc_ms = timer.due_utc_ms
        return [one for one in said if not isinstance(one, SetTimer)]

    def wait(self, ms: int) -> list[Any]:
        until_utc_ms, said = self.now_utc_ms + ms, []
        while self.due_utc_ms is not None and self.due_utc_ms <= until_utc_ms:
            self.now_utc_ms, self.due_utc_ms = self.due_utc_ms, None
            said += self.hear(TimerDue("protection", "look", self.now_utc_ms))
        self.now_utc_ms = until_utc_ms
        return said

    def restart(self) -> None:
        """Another incarnation over the same state."""
        state = snapshot_of(self.actor)
        self.actor = Protection(self.config, GUARDS)
        restore(self.actor, state)


def alarm(gap: Gap, *, broker_stop_points: int = 109_660, wanted_points: int = 109_660) -> PositionUnprotected:
    return PositionUnprotected(1001, "EURUSD", 1, gap, broker_stop_points, wanted_points)


def close(reason: ExitReason, ask: int = 1, remaining_steps: int = 0) -> ClosePosition:
    return ClosePosition(1001, "EURUSD", remaining_steps, reason, -ask)


def refused(generation: int) -> CloseFailed:
    return CloseFailed(1001, "EURUSD", generation, CloseFailure.REJECTED, "10018 market closed")


@pytest.fixture
def post() -> Post:
    """A position of EURUSD is open, its levels are armed."""
    post = Post()
    assert post.hear(opened(), ARMED) == []
    return post


@pytest.fixture
def taken(post: Post) -> Post:
    """The symbol is taken over, the broker has the app's stop and target."""
    assert post.hear(DOWN) == [SymbolTakenOver("EURUSD", "its actor crashed 2 times"), OWN_STOPS]
    post.hear(StopsSet(1001, "EURUSD", 1, 109_960, 110_110))
    return post


# Watching


def test_nothing_is_said_of_a_position_that_is_protected(post):
    assert post.wait(3_600_000) == []


def test_levels_that_are_not_armed_within_the_grace_are_given_to_the_broker_with_an_alarm():
    post = Post()
    assert post.hear(opened()) == []
    assert post.wait(GRACE_MS - 1) == []
    assert post.wait(1) == [alarm(Gap.LEVELS_NOT_ARMED, wanted_points=109_960), OWN_STOPS]
    assert post.hear(StopsSet(1001, "EURUSD", 1, 109_960, 110_110)) == [PositionProtected(1001, "EURUSD")]


def test_without_any_stop_the_position_is_closed_after_two_repairs_that_did_not_help(post):
    post.hear(PositionsRead(0, (seen(stop_points=0),), 0))
    assert post.wait(4 * GRACE_MS) == [WIDE_STOP, WIDE_STOP, close(ExitReason.UNPROTECTED)]


def test_with_a_wide_stop_at_the_broker_the_app_s_own_is_tried_ever_more_slowly(post):
    """A market that is closed takes no stop; that is no reason to end a position."""
    post.hear(DOWN)
    asked = []
    for _ in range(9):
        post.hear(StopsRefused(1001, "EURUSD", Outcome.REJECTED, 10018, "market closed"))
        before_utc_ms = post.now_utc_ms
        said = post.wait(post.due_utc_ms - post.now_utc_ms)
        assert said[-1] == OWN_STOPS
        asked.append((post.now_utc_ms - before_utc_ms) // 1000)
    assert asked == [5, 10, 20, 40, 80, 160, 320, 600, 600]


def test_a_stop_that_is_beyond_the_price_ends_the_position_at_once(post):
    post.hear(PositionsRead(0, (seen(stop_points=0),), 0))
    refused_stop = StopsRefused(1001, "EURUSD", Outcome.REJECTED, 10016, "invalid stops")
    assert post.hear(refused_stop) == [close(ExitReason.UNPROTECTED)]


def test_a_stop_that_a_reading_shows_to_be_gone_is_an_alarm_at_once_and_repaired_when_the_gateway_does_not(post):
    assert post.hear(PositionsRead(0, (seen(stop_points=0),), 0)) == [alarm(Gap.NO_BROKER_STOP, broker_stop_points=0)]
    assert post.wait(GRACE_MS) == [WIDE_STOP]


@pytest.mark.parametrize("stop_points, is_alarm", [(109_659, True), (109_661, False), (110_005, False)])
def test_a_stop_that_somebody_moved_away_is_an_alarm_and_a_nearer_one_is_not(post, stop_points, is_alarm):
    said = post.hear(PositionsRead(0, (seen(stop_points=stop_points),), 0))
    assert said == ([alarm(Gap.BROKER_STOP_FAR, broker_stop_points=stop_points)] if is_alarm else [])


def test_a_stop_that_is_back_ends_the_alarm(post):
    post.hear(PositionsRead(0, (seen(stop_points=0),), 0))
    assert post.hear(StopsSet(1001, "EURUSD", 1, 109_660, 0)) == [PositionProtected(1001, "EURUSD")]
    assert post.wait(3_600_000) == []


def test_a_position_that_came_without_a_stop_gets_one_as_soon_as_its_levels_are_known():
    post = Post()
    assert post.hear(opened(stop_points=0, target_points=0, broker_stop_points=0, adopted=True)) == []
    assert post.hear(ARMED) == [SetStops(1001, "EURUSD", 1, 109_910, 0)]
    assert post.hear(StopsSet(1001, "EURUSD", 1, 109_910, 0)) == []


def test_a_position_of_which_no_level_is_known_is_closed_unless_the_broker_holds_some_stop():
    bare = Post()
    bare.hear(opened(stop_points=0, target_points=0, broker_stop_points=0))
    assert bare.wait(GRACE_MS) == [
        alarm(Gap.NO_BROKER_STOP, broker_stop_points=0, wanted_points=0),
        close(ExitReason.UNPROTECTED),
    ]
    held = Post()
    held.hear(opened(stop_points=0, target_points=0))
    assert held.wait(10 * GRACE_MS) == [alarm(Gap.LEVELS_NOT_ARMED, wanted_points=0)]


def test_without_a_stop_at_the_broker_by_name_none_is_demanded():
    config = Config(profile="plain", limits=PERSONAL, catastrophe_stop=CatastropheStopConfig(at_broker="off"))
    post = Post(config)
    assert post.hear(opened(broker_stop_points=0), ARMED) == []
    assert post.wait(3_600_000) == []


def test_what_is_closed_is_forgotten(post):
    post.hear(PositionsRead(0, (seen(stop_points=0),), 0), closed())
    assert post.wait(3_600_000) == []
    assert post.actor.state.wards == {}


# Taking over


def test_a_second_crash_gives_stop_and_target_to_the_broker_and_a_third_asks_for_nothing_again(taken):
    assert taken.hear(msgspec.structs.replace(DOWN, crashes=3)) == [
        LowerMode(Mode.FREEZE, "protection", "position/EURUSD crashed 3 times")
    ]
    assert taken.wait(3_600_000) == []


def test_a_stop_that_the_broker_does_not_take_closes_the_position(post):
    post.hear(DOWN)
    assert post.hear(StopsRefused(1001, "EURUSD", Outcome.REJECTED, 10016, "invalid stops")) == [close(ExitReason.UNPROTECTED)]


def test_a_stop_of_which_nobody_knows_is_set_again_and_not_closed_at_once(post):
    post.hear(DOWN)
    assert post.hear(StopsRefused(1001, "EURUSD", Outcome.UNKNOWN, 0, "lost")) == []
    assert OWN_STOPS in post.wait(GRACE_MS)


def test_a_close_that_was_on_its_way_is_asked_for_again_in_place_of_a_stop(post):
    post.hear(ClosePosition(1001, "EURUSD", 4, ExitReason.OPERATOR, 3))
    assert post.hear(DOWN)[1:] == [close(ExitReason.OPERATOR, remaining_steps=4)]


def test_a_position_that_appears_later_is_secured_too(taken):
    assert taken.hear(opened(1002)) == [msgspec.structs.replace(OWN_STOPS, ticket=1002)]


def test_one_of_a_symbol_that_is_taken_over_is_closed_when_somebody_asks(taken):
    assert taken.hear(ReducePosition(1001, "EURUSD", 0, ExitReason.OPERATOR)) == [close(ExitReason.OPERATOR)]
    assert taken.hear(CloseScope("strategy/other", ExitReason.FLATTEN)) == []
    assert taken.hear(CloseScope("strategy/trend", ExitReason.FLATTEN)) == [close(ExitReason.FLATTEN, ask=2)]
    assert taken.hear(ModeChanged(Mode.FLATTEN, 1, "me", "kill")) == [close(ExitReason.FLATTEN, ask=3)]


def test_one_with_an_actor_is_left_to_it_when_somebody_asks(post):
    assert post.hear(ReducePosition(1001, "EURUSD", 0, ExitReason.OPERATOR)) == []
    assert post.hear(ModeChanged(Mode.FLATTEN, 1, "me", "kill")) == []


def test_a_position_in_a_symbol_without_an_actor_is_flattened(post):
    post.hear(opened(1002, symbol="USDJPY"))
    assert post.hear(ModeChanged(Mode.FLATTEN, 1, "me", "kill")) == [ClosePosition(1002, "USDJPY", 0, ExitReason.FLATTEN, -1)]


def test_a_parked_message_of_who_keeps_levels_or_timers_takes_over_every_symbol_that_is_held(post):
    post.hear(opened(1002, symbol="GBPUSD"))
    parked = MessageParked("clock", 12, "SetTimer", "boom")
    taken_over = [said.symbol for said in post.hear(parked) if isinstance(said, SymbolTakenOver)]
    assert taken_over == ["EURUSD", "GBPUSD"]


def test_a_parked_message_of_others_takes_nothing_over(post):
    assert post.hear(MessageParked("strategy/trend", 12, "BarClosed", "boom")) == []


def test_a_rearm_puts_the_wide_stop_back(taken):
    taken.hear(ChildServing("position/EURUSD", 3))
    assert taken.hear(TradingRearmed("me", 0)) == [SymbolGivenBack("EURUSD"), WIDE_STOP]


def test_what_is_taken_over_stays_so_in_the_next_process(taken):
    taken.restart()
    taken.hear(RunStarted("b", "c", "test", 7, continued=True, crashed=True))
    assert taken.hear(opened(1002)) == [msgspec.structs.replace(OWN_STOPS, ticket=1002)]


# Closes


def test_a_close_that_nobody_answers_is_asked_for_again_with_an_alarm(post):
    post.hear(ClosePosition(1001, "EURUSD", 0, ExitReason.STOP, 1))
    assert post.wait(ANSWER_MS) == [alarm(Gap.CLOSE_UNANSWERED), close(ExitReason.STOP)]
    assert post.wait(ANSWER_MS) == [close(ExitReason.STOP, ask=2)]
    assert post.hear(closed()) == []
    assert post.wait(3_600_000) == []


def test_a_refused_close_of_a_living_actor_is_left_to_it_for_as_long_as_it_may_wait(post):
    post.hear(ClosePosition(1001, "EURUSD", 0, ExitReason.STOP, 1), refused(1))
    assert post.wait(30_000 + ANSWER_MS - 1) == []
    assert close(ExitReason.STOP) in post.wait(1)


def test_refused_closes_of_its_own_are_asked_for_again_ever_more_slowly(taken):
    taken.hear(ReducePosition(1001, "EURUSD", 0, ExitReason.OPERATOR))
    waits = []
    for ask in range(1, 9):
        taken.hear(refused(-ask))
        before_utc_ms = taken.now_utc_ms
        assert taken.wait(taken.due_utc_ms - taken.now_utc_ms) == [close(ExitReason.OPERATOR, ask=ask + 1)]
        waits.append((taken.now_utc_ms - before_utc_ms) // 1000)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_time_stop_that_nobody_answered_waits_for_the_end_of_a_freeze(post):
    post.hear(ModeChanged(Mode.FREEZE, 0, "me", "asked for"), ClosePosition(1001, "EURUSD", 0, ExitReason.TIME, 1))
    assert post.wait(10 * ANSWER_MS) == []
    post.hear(ModeChanged(Mode.CLOSE_ONLY, 0, "me", "rearm"))
    assert post.wait(ANSWER_MS) == [alarm(Gap.CLOSE_UNANSWERED), close(ExitReason.TIME)]


def test_a_stop_that_was_moved_nearer_is_what_the_broker_gets_when_the_symbol_is_taken_over(post):
    post.hear(StopTightened(1001, "EURUSD", 1, 110_030, 109_960))
    assert post.hear(DOWN)[1] == SetStops(1001, "EURUSD", 1, 110_030, 110_110)


def test_a_moved_stop_asks_nothing_of_the_wide_one_at_the_broker(post):
    assert post.hear(StopTightened(1001, "EURUSD", 1, 110_030, 109_960)) == []


def test_the_orders_of_a_chain_are_closed_by_its_name_where_the_actor_is_gone(taken):
    (asked,) = taken.hear(CloseScope("chain/EURUSD-1", ExitReason.CHAIN))
    assert (asked.ticket, asked.reason) == (1001, ExitReason.CHAIN)
    assert taken.hear(CloseScope("chain/EURUSD-2", ExitReason.CHAIN)) == []
