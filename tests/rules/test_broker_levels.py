import msgspec
import pytest
from orders import seen

from evenkeel.messages.broker_gateway import LevelsMoved
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction
from evenkeel.messages.protection import SetStops
from evenkeel.rules import broker_levels
from evenkeel.rules.reconciliation import Believed


def ours(direction: Direction = Direction.BUY, broker_stop_points: int = 109_660) -> Believed:
    return Believed(1001, "EURUSD", 1, direction, 10, 10, 110_010, 109_960, 0, broker_stop_points, 0, 0, Lineage("", ""))


@pytest.mark.parametrize(
    "direction, own, set_to, unprotected",
    [
        (Direction.BUY, 109_660, 109_660, False),
        (Direction.BUY, 109_660, 109_661, False),
        (Direction.BUY, 109_660, 109_659, True),
        (Direction.BUY, 109_660, 0, True),
        (Direction.SELL, 110_360, 110_359, False),
        (Direction.SELL, 110_360, 110_361, True),
        (Direction.SELL, 110_360, 0, True),
        (Direction.BUY, 0, 0, False),
        (Direction.BUY, 0, 109_000, False),
    ],
)
def test_a_stop_must_be_at_ours_or_nearer(direction, own, set_to, unprotected):
    assert broker_levels.is_unprotected(ours(direction, own), seen(direction=direction, stop_points=set_to)) is unprotected


def test_a_stop_that_was_tightened_is_kept_and_said_once():
    position = ours()
    tight = seen(stop_points=109_900)
    assert broker_levels.moved(position, tight) == LevelsMoved(1001, "EURUSD", 1, 109_900, 0, kept=True)
    assert broker_levels.moved(position, tight) is None
    assert (position.held_stop_points, position.broker_stop_points) == (109_900, 109_660)


def test_a_stop_that_is_back_where_we_want_it_is_nothing_to_say():
    position = ours()
    broker_levels.moved(position, seen(stop_points=109_900))
    assert broker_levels.moved(position, seen()) is None


def test_a_target_is_the_person_s_own_affair():
    position = ours()
    moved = broker_levels.moved(position, seen(target_points=110_500))
    assert moved == LevelsMoved(1001, "EURUSD", 1, 109_660, 110_500, kept=True)
    assert broker_levels.moved(position, seen(target_points=110_500)) is None


def test_a_stop_that_was_widened_is_not_kept():
    position = ours()
    broker_levels.moved(position, seen(stop_points=109_900))
    moved = broker_levels.moved(position, seen(stop_points=109_000))
    assert moved == LevelsMoved(1001, "EURUSD", 1, 109_000, 0, kept=False)
    assert broker_levels.moved(position, seen(stop_points=109_000)) is None


@pytest.mark.parametrize(
    "direction, held_points, wanted_points, sent_points",
    [
        (Direction.BUY, None, 109_960, 109_960),
        (Direction.BUY, 0, 109_960, 109_960),
        (Direction.BUY, 109_900, 109_960, 109_960),
        (Direction.BUY, 109_980, 109_960, 109_980),
        (Direction.BUY, 109_660, 109_600, 109_600),
        (Direction.BUY, 109_900, 0, 109_900),
        (Direction.BUY, 109_660, 0, 0),
        (Direction.SELL, 110_040, 110_060, 110_040),
        (Direction.SELL, 110_090, 110_060, 110_060),
    ],
)
def test_other_stops_of_ours_never_widen_one_that_a_person_has_set(direction, held_points, wanted_points, sent_points):
    position = ours(direction)
    position.held_stop_points = held_points
    intent = broker_levels.asked(position, SetStops(1001, "EURUSD", 1, wanted_points, 0))
    assert (intent.stop_points, intent.own_stop_points) == (sent_points, wanted_points)


def test_the_target_is_set_with_the_stop_unless_a_person_has_set_another():
    position, order = ours(), SetStops(1001, "EURUSD", 1, 109_960, 110_110)
    broker_levels.were_set(position, broker_levels.asked(position, order))
    assert broker_levels.moved(position, seen(stop_points=109_960, target_points=110_110)) is None
    back = msgspec.structs.replace(order, stop_points=109_660, target_points=0)
    assert broker_levels.asked(position, back).target_points == 0
    broker_levels.moved(position, seen(stop_points=109_960, target_points=110_060))
    assert broker_levels.asked(position, back).target_points == 110_060


def test_levels_that_nobody_touched_are_nothing_to_say():
    assert broker_levels.moved(ours(), seen()) is None
    assert broker_levels.moved(msgspec.convert(msgspec.to_builtins(ours()), Believed), seen()) is None
