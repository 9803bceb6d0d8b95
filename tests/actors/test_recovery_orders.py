"""Re-entry chains: what becomes of an order, and what the lineage of these rules did wrong (trading_rules 1.15)."""

import pytest
from builders import config_of
from sagas import PLUGIN, Sagas, hunting

from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.chain_store import SaveChain
from evenkeel.messages.entry import DenialReason, ReentryRaised
from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.position import ExitReason, ReducePosition
from evenkeel.messages.recovery import (
    FreeRecovery,
    ReserveRecovery,
)
from evenkeel.rules.recovery_sagas import CHAINS_MAX
from evenkeel.supervisor import actors, guard_names

# -- what becomes of an order --------------------------------------------------------------------------------------------------


def test_a_refused_order_is_asked_for_three_times_with_longer_and_longer_pauses():
    world = hunting()
    world.quote(199_700)
    for pause_s in (1, 2):
        world.deny()
        world.wait(pause_s - 0.1)
        world.quote()
        assert world.state == "recovery_mode"
        world.wait(0.1)
        world.quote()
    world.deny()
    assert len(world.asked()) == 3
    assert world.ended() == ("stopped", "not placed: denied by risk_limit: spread")
    assert world.of(FreeRecovery) == [FreeRecovery("X-1/100")]


def test_an_order_of_unknown_outcome_is_not_asked_for_again():
    world = hunting()
    world.quote(199_700)
    lineage = world.asked()[0].signal.lineage
    told = "p", "XAUUSD", Direction.BUY, 1
    world.tell(OrderOutcomeUnknown(*told, "time-out", lineage))
    world.wait(3600)
    world.quote(199_900)
    assert (world.state, len(world.asked())) == ("placing", 1)
    world.tell(OrderOutcomeResolved(*told, lineage))
    assert world.ended() == ("stopped", "not placed: never executed")


def test_a_late_fill_that_is_closed_again_ends_the_chain():
    world = hunting()
    world.quote(199_700)
    world.close(world.fill(world.asked()[0], late=True), ExitReason.LATE_FILL, 199_700, 0)
    assert world.ended() == ("stopped", "late_fill")


def test_a_price_that_had_moved_is_the_symbols_own_second_try():
    world = hunting()
    world.quote(199_700)
    lineage = world.asked()[0].signal.lineage
    world.tell(OrderRejected("p", "XAUUSD", Direction.BUY, 1, 10004, "requote", lineage, Quote(0, 1, 2)))
    assert world.state == "placing"
    world.fill(world.asked()[0])
    world.wait(10)
    assert (world.state, len(world.asked())) == ("recovering", 1)


def test_a_rejected_order_of_which_nothing_more_is_heard_is_given_up():
    world = hunting()
    world.quote(199_700)
    lineage = world.asked()[0].signal.lineage
    world.tell(OrderRejected("p", "XAUUSD", Direction.BUY, 1, 10004, "requote", lineage, Quote(0, 1, 2)))
    world.wait(5)
    assert world.state == "recovery_mode"


def test_a_fill_of_a_chain_that_has_ended_is_closed():
    world = hunting()
    world.quote(199_700)
    raised = world.asked()[0]
    for _ in range(3):
        world.deny()
        world.wait(4)
        world.quote()
    ticket = world.fill(raised)
    assert world.of(ReducePosition) == [ReducePosition(ticket, "XAUUSD", 0, ExitReason.CHAIN)]


def test_a_trade_of_a_chain_that_nobody_knows_any_more_is_left_alone_when_it_was_only_found():
    world = hunting()
    world.quote(199_700)
    raised = world.asked()[0]
    again = Sagas()
    again.fill(raised, adopted=True)
    assert again.of(ReducePosition) == []


def test_no_order_is_asked_for_before_the_chain_is_written():
    world = hunting()
    world.is_store_silent = True
    world.quote(199_700)
    assert (world.state, world.asked()) == ("placing", [])


def test_a_store_that_does_not_take_it_leaves_the_order_unasked_and_the_recovery_free():
    world = hunting()
    world.store_fails = True
    world.quote(199_700)
    world.wait(30)
    assert world.ended() == ("stopped", "not placed: not written down: unwritable full")
    assert (world.asked(), world.of(FreeRecovery)) == ([], [FreeRecovery("X-1/100")])
    assert world.actor.state.sagas == {}


def test_versions_follow_one_another():
    world = Sagas()
    world.close(world.recovering(), ExitReason.TARGET, 200_720, 700)
    versions = [said.chain.version for said in world.of(SaveChain)]
    assert versions == list(range(1, len(versions) + 1))


def test_every_step_is_saved():
    world = Sagas()
    world.close(world.recovering(), ExitReason.STOP, 199_220, -500)
    states = [said.chain.state.value for said in world.of(SaveChain)]
    assert states == ["active", "active", "recovery_mode", "placing", "recovering", "stopped"]


# -- what the lineage of these rules did wrong ---------------------------------------------------------------------------------


def test_d1_a_stopped_buy_is_not_recovered_when_price_falls_further():
    """prevents: directions compared as text, where every buy was taken for a sell"""
    world = hunting()
    world.quote(198_000)
    world.quote(190_000)
    assert world.asked() == []


def test_d4_while_the_trade_is_open_nothing_is_armed():
    """prevents: a recovery registered with the opening, whose level is reached at once"""
    world = Sagas()
    world.bars()
    world.begin(200_000, 199_000)
    world.wait(600)
    assert (world.watches, world.of(ReserveRecovery)) == ({}, [])


def test_d5_what_is_told_of_an_order_comes_after_it_was_asked_for_and_cannot_fail_it():
    """prevents: a recovery that a broken notification ended before it was placed"""
    world = hunting()
    world.quote(199_700)
    kinds = [type(said) for said in world.said]
    assert kinds.index(ReentryRaised) > max(place for place, kind in enumerate(kinds) if kind is SaveChain)


def test_d12_a_chain_comes_back_from_a_snapshot_with_its_wait_and_all_it_knows():
    """prevents: chains that live in memory alone, and trades without them after a restart"""
    world = hunting()
    world.refold()
    world.quote(199_700)
    world.refold()
    world.close(world.fill(world.asked()[0]), ExitReason.STOP, 199_220, -500)
    assert (world.ended(), world.chain.lost_cents) == (("stopped", "recovery failed"), 1500)


def test_d17_the_profit_of_a_chain_is_what_the_deals_say():
    """prevents: an absolute move times 10,000, which was never a loss"""
    world = Sagas()
    world.close(world.recovering(net_cents=-1234), ExitReason.TARGET, 200_720, 234)
    assert (world.chain.won_cents, world.chain.lost_cents) == (234, 1234)


def test_d19_a_chain_that_ends_beside_it_does_not_cut_off_an_order():
    """prevents: a clean-up that cancelled the very task which was about to place"""
    world = hunting()
    other = world.begin(200_000, 199_000, chain_id="X-2")
    world.is_store_silent = True
    world.quote(199_700)
    world.is_store_silent = False
    world.close(other, ExitReason.TIME, 199_900, -100)
    world.tell(world.saved())
    assert world.kinds() == ["sl_recovery"]


def test_a_reply_that_is_lost_while_the_order_was_filled_leaves_one_trade():
    """prevents: an order without a ticket taken for one that failed, and sent again"""
    world = hunting()
    world.quote(199_700)
    lineage = world.asked()[0].signal.lineage
    world.tell(OrderOutcomeUnknown("p", "XAUUSD", Direction.BUY, 1, "time-out", lineage))
    world.quote(199_800)
    world.wait(5)
    ticket = world.fill(world.asked()[0])
    assert (len(world.asked()), world.state, world.chain.tickets) == (1, "recovering", (100, ticket))


def test_a_month_of_chains_leaves_no_more_behind_than_a_day():
    """prevents: a table of recoveries from which nothing is ever taken"""
    world = Sagas()
    for _ in range(30):
        world.close(world.recovering(), ExitReason.STOP, 199_220, -500)
        world.wait(86_400)
    state = world.actor.state
    assert (state.sagas, state.trades, list(state.markets), world.timers) == ({}, {}, ["XAUUSD"], {})


def test_there_are_no_more_chains_than_are_counted():
    world = Sagas()
    for number in range(CHAINS_MAX + 1):
        world.begin(200_000, 199_000, chain_id=f"X-{number}")
    assert len(world.actor.state.sagas) == CHAINS_MAX


def test_several_chains_at_one_quote_go_by_profit_then_by_age_and_continuations_first():
    world = Sagas()
    world.bars()
    for chain_id, net_cents in (("X-1", -1000), ("X-2", -900), ("X-3", -900)):
        world.close(world.begin(200_000, 199_000, chain_id=chain_id), ExitReason.STOP, 199_000, net_cents)
        world.wait(1)
    world.close(world.begin(199_000, 198_000, chain_id="X-4"), ExitReason.TARGET, 199_500, -5000)
    world.wait(60)
    world.quote(199_700)
    assert [raised.signal.lineage.chain_id for raised in world.asked()] == ["X-4", "X-2", "X-3", "X-1"]


@pytest.mark.parametrize(("orders", "is_there"), [("trend", True), ("single", False)])
def test_it_is_a_child_and_a_guard_only_where_a_strategy_has_chains(orders, is_there):
    plugin = {"kind": "ma_cross", "symbols": ["EURUSD"], "orders": orders}
    config = config_of(strategy={PLUGIN: plugin})
    children = [spec.name for spec in actors(config, ("EURUSD",))]
    assert (("recovery" in children), ("recovery" in guard_names(config, ["EURUSD"]))) == (is_there, is_there)


def test_ended_chains_and_trades_leave_nothing_behind():
    world = Sagas()
    world.close(world.recovering(), ExitReason.STOP, 199_220, -500)
    assert (world.actor.state.sagas, world.actor.state.trades, world.watches, world.timers) == ({}, {}, {}, {})


@pytest.mark.parametrize("reason", [DenialReason.MODE, DenialReason.HOLD, DenialReason.SESSION])
def test_a_door_that_is_shut_for_a_while_takes_no_try_and_is_knocked_at_once_a_minute(reason):
    world = hunting()
    world.quote(199_700)
    for _ in range(5):
        world.deny(reason)
        world.wait(59.9)
        world.quote()
        assert world.state == "recovery_mode"
        world.wait(0.1)
        world.quote()
    assert len(world.asked()) == 6
    world.fill(world.asked()[-1])
    assert world.state == "recovering"


def test_a_pause_that_outlasts_the_window_ends_the_wait():
    world = hunting()
    world.quote(199_700)
    world.deny(DenialReason.MODE)
    world.wait(30 * 60)
    assert world.ended() == ("stopped", "recovery window timeout")


def test_a_price_that_is_old_when_the_store_has_answered_is_not_traded():
    world = hunting(limits__quote_age_others_s_max=15)
    world.is_store_silent = True
    world.quote(199_700)
    world.wait(15.1)
    world.is_store_silent = False
    world.tell(world.saved())
    assert (world.state, world.asked()) == ("recovery_mode", [])
    world.wait(1)
    world.quote()
    assert [raised.signal.quote.time_utc_ms for raised in world.asked()] == [world.now_utc_ms]
