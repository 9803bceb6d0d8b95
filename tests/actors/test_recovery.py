from typing import Any

import pytest

from evenkeel.messages.market import Direction, Side
from evenkeel.messages.position import ExitReason, StopTightened
from evenkeel.tests.sagas import Sagas


def test_check_1_a_stopped_buy_is_recovered_at_70_percent_of_its_own_gap_with_a_tight_stop():
    world = Sagas()
    world.bars()
    world.stopped(entry=200_000, stop=199_000)
    world.quote(199_700)
    assert world.asked() == []  # a minute lies after the stop
    world.wait(60)
    assert world.level() == (Side.BID, 199_700)
    world.quote(199_699)
    assert world.asked() == []
    world.quote(199_700)
    [raised] = world.asked()
    ticket = world.fill(raised, entry=199_720)
    saga = world.actor.state.sagas["X-1"]
    assert (raised.volume_steps, raised.signal.lineage.order_kind, raised.signal.lineage.parent_ticket) == (50, "sl_recovery", 100)
    assert (199_720 - raised.stop_distance_points, 199_720 + raised.target_distance_points) == (199_220, 200_720)
    assert (saga.ticket, world.state, saga.chain.recovery_attempts, saga.chain.level) == (ticket, "recovering", 1, 1)


def test_check_2_a_stopped_sell_is_recovered_on_the_ask():
    world = Sagas("EURUSD", Direction.SELL)
    world.bid, world.spread = 120_500, 2
    world.bars()
    world.stopped(entry=120_000, stop=120_500)
    world.wait(60)
    assert world.level() == (Side.ASK, 120_150)


