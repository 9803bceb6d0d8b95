"""Re-entry chains: after a target, after an exit, and after a hedge."""

import pytest
from sagas import CHAIN, PLUGIN, Sagas, hunting, shield, won

from evenkeel.messages.market import Direction, Quote, Side
from evenkeel.messages.position import ExitReason, ReducePosition
from evenkeel.messages.recovery import (
    ChainWaitOver,
    ChainWaits,
    FreeRecovery,
    ReentrySignalled,
)
from evenkeel.messages.shield import HedgeEnd, HedgeEnded, HedgeWanted

# -- after a target ------------------------------------------------------------------------------------------------------------


def test_after_a_target_the_next_level_has_a_reduced_stop_and_counts_once_it_is_filled():
    world = won()
    assert world.level() == (Side.BID, 202_002)  # two pips beyond
    world.quote(202_002)
    [raised] = world.asked()
    assert (raised.stop_distance_points, raised.target_distance_points, raised.volume_steps) == (700, 1400, 50)
    assert (raised.signal.lineage.order_kind, raised.signal.lineage.level, world.chain.level) == ("tp_continuation", 2, 1)
    world.fill(raised)
    assert (world.state, world.chain.level, world.chain.recovery_attempts) == ("active", 2, 0)


def test_d13_one_target_calls_for_one_order():
    """prevents: a continuation that arms itself again at the present price every five seconds"""
    world = won()
    world.quote(202_002)
    world.fill(world.asked()[0])
    world.wait(3600)
    world.quote(203_000)
    assert (len(world.asked()), world.watches) == (1, {})


def test_five_seconds_lie_after_a_target():
    world = Sagas()
    world.bars()
    world.won()
    world.wait(4.9)
    world.quote(202_100)
    assert world.asked() == []
    world.wait(0.1)
    world.quote()
    assert len(world.asked()) == 1


def test_a_target_at_the_last_level_completes_the_chain():
    world = Sagas(chain_type="v6", recovery__levels_max_v6=1)
    world.won()
    assert world.ended() == ("completed", "level 1 is the last")


def test_without_a_continuation_before_the_end_of_its_window_the_chain_is_complete():
    world = won()
    world.wait(30 * 60)
    assert world.ended() == ("completed", "window over")
    assert (world.of(ChainWaits)[0].direction, world.of(ChainWaitOver)) == (
        Direction.BUY,
        [ChainWaitOver(PLUGIN, CHAIN, "XAUUSD")],
    )


def test_a_signal_of_the_strategy_is_the_continuation_it_waits_for():
    world = won()
    world.tell(ReentrySignalled(PLUGIN, CHAIN, "XAUUSD", Quote(0, 201_000, 201_010), 7))
    [raised] = world.asked()
    assert (raised.signal.quote.bid_points, raised.signal.spread_median_points) == (201_000, 7)


@pytest.mark.parametrize(("begin", "end"), [(won, "completed"), (hunting, "stopped")])
def test_an_opposite_signal_of_the_strategy_cancels_a_wait_at_once(begin, end):
    world = begin()
    world.signal(Direction.SELL, plugin="other")
    world.signal(Direction.BUY)
    assert world.ended() is None
    world.signal(Direction.SELL)
    assert (world.ended(), world.watches) == ((end, "opposite signal"), {})


# -- after an exit -------------------------------------------------------------------------------------------------------------


def test_an_exit_may_be_reconsidered_when_price_goes_on_with_the_same_distances_and_level():
    world = Sagas(recovery__exit_continuation__enabled=True)
    world.bars()
    world.close(world.begin(200_000, 199_000), ExitReason.PERSON, 200_500, 500)
    assert world.level() == (Side.BID, 200_502)
    world.quote(200_502)
    [raised] = world.asked()
    assert (raised.stop_distance_points, raised.target_distance_points, raised.volume_steps) == (1000, 2000, 50)
    ticket = world.fill(raised)
    assert (world.state, world.chain.level, world.chain.tickets) == ("active", 1, (100, ticket))
    world.close(ticket, ExitReason.PERSON, 200_500, 0)
    assert world.ended() == ("stopped", "person")


def test_d14_a_return_is_a_trade_of_the_chain_and_needs_a_known_trend():
    """prevents: an order that nobody manages, and an error of the trend that counts as aligned"""
    world = Sagas(recovery__exit_continuation__enabled=True)
    world.close(world.begin(200_000, 199_000), ExitReason.SIGNAL, 200_500, 500)
    world.quote(201_000)
    assert world.asked() == []
    world.wait(15 * 60)
    assert world.ended() == ("stopped", "window over")


def test_only_the_exits_that_are_named_are_reconsidered():
    world = Sagas(recovery__exit_continuation__enabled=True, recovery__exit_continuation__after=["reversal"])
    world.close(world.begin(200_000, 199_000), ExitReason.OPERATOR, 200_500, 500)
    assert world.ended() == ("stopped", "operator")


def test_a_clear_trend_against_an_older_trade_ends_it():
    world = Sagas()
    ticket = world.begin(200_000, 199_000)
    world.wait(4 * 60)
    assert world.bars(step=-10) + world.flat() == []
    world.wait(60)
    assert world.flat() == []
    assert ReducePosition(ticket, "XAUUSD", 0, ExitReason.REVERSAL) in world.bars(step=-10)


def test_no_trend_ends_a_trade_where_that_is_off():
    world = Sagas(recovery__reversal_exit="off")
    world.begin(200_000, 199_000)
    world.wait(600)
    assert world.bars(step=-10) == []


# -- hedged --------------------------------------------------------------------------------------------------------------------


def hedged() -> Sagas:
    world = Sagas(shield__hedge__enabled=True)
    world.bars()
    world.stopped()
    world.quote(198_990)
    return world


def ended_hedge(end: HedgeEnd, net_cents: int = 0) -> HedgeEnded:
    return HedgeEnded(PLUGIN, CHAIN, "XAUUSD", end, net_cents, "")


def test_a_stopped_trade_is_handed_to_the_shield_with_the_next_quote():
    [wanted] = hedged().of(HedgeWanted)
    assert (wanted.entry_points, wanted.stop_points, wanted.kill_points) == (200_000, 199_000, 199_700)
    assert (wanted.quote.bid_points, wanted.volume_steps, wanted.parent_ticket) == (198_990, 50, 100)


@pytest.mark.parametrize("end", [HedgeEnd.REFUSED, HedgeEnd.KILLED])
def test_check_12_without_a_hedge_or_when_price_is_back_the_plain_hunt_goes_on(end):
    world = hedged()
    world.wait(60)
    world.tell(ended_hedge(end, -300))
    world.quote(199_700)
    assert (world.kinds(), world.chain.lost_cents) == (["sl_recovery"], 1300)


@pytest.mark.parametrize("end", [HedgeEnd.STOPPED, HedgeEnd.EXPIRED])
def test_a_hedge_that_lost_or_ran_out_ends_the_chain(end):
    world = hedged()
    world.tell(ended_hedge(end))
    assert (world.ended(), world.of(FreeRecovery)) == (("stopped", f"hedge {end.value}"), [FreeRecovery("X-1/100")])


def test_a_shield_over_a_hedged_chain_lets_no_recovery_follow():
    world = hedged()
    world.tell(shield())
    world.tell(ended_hedge(HedgeEnd.KILLED))
    assert (world.ended(), world.asked()) == (("stopped", "the direction is shielded"), [])
