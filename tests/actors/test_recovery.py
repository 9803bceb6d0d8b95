"""Re-entry chains: recovering a stopped trade, with the worked checks of trading_rules 8."""

import pytest
from sagas import START_UTC_MS, Sagas, hunting

from evenkeel.messages.market import Direction, Side
from evenkeel.messages.position import ExitReason, PositionPriced, StopTightened
from evenkeel.messages.recovery import (
    ChainStepped,
    FreeRecovery,
    ReserveRecovery,
)
from evenkeel.messages.risk_limit import RecoveryRefused

MINUTE_MS = 60_000
REFUSED = RecoveryRefused("", "", "recovery_attempts", 10, 10, "count")


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
    lineage = raised.signal.lineage
    assert (raised.volume_steps, lineage.order_kind, lineage.parent_ticket, lineage.slot) == (50, "sl_recovery", 100, 3)
    assert (199_720 - raised.stop_distance_points, 199_720 + raised.target_distance_points) == (199_220, 200_720)
    assert (world.state, world.chain.recovery_attempts, world.chain.level) == ("recovering", 1, 1)
    assert world.chain.tickets == (100, ticket)


def test_check_2_a_stopped_sell_is_recovered_on_the_ask():
    world = Sagas("EURUSD", Direction.SELL)
    world.bid, world.spread = 120_500, 2
    world.bars()
    world.stopped(entry=120_000, stop=120_500)
    world.wait(60)
    assert world.level() == (Side.ASK, 120_150)
    world.quote(120_149)
    assert world.asked() == []
    world.quote(120_148)
    assert world.kinds() == ["sl_recovery"]


def test_check_4_a_stop_while_the_bot_was_down_is_recovered_in_what_is_left_of_its_window():
    world = Sagas()
    world.bars()
    ticket = world.begin(200_000, 199_000)
    world.wait(15 * 60)
    world.close(ticket, ExitReason.STOP, 199_000, -1000, closed_utc_ms=START_UTC_MS + MINUTE_MS)
    assert (world.state, world.chain.began_utc_ms) == ("recovery_mode", START_UTC_MS + MINUTE_MS)
    assert world.timers["window/X-1"] == START_UTC_MS + 21 * MINUTE_MS
    assert world.level() == (Side.BID, 199_700)  # the minute after the stop is long over


def test_check_4_a_stop_while_the_bot_was_down_whose_window_is_over_ends_the_chain():
    world = Sagas()
    ticket = world.begin(200_000, 199_000)
    world.wait(25 * 60)
    world.close(ticket, ExitReason.STOP, 199_000, -1000, closed_utc_ms=START_UTC_MS + MINUTE_MS)
    assert world.ended() == ("stopped", "recovery window timeout")
    assert world.of(ReserveRecovery) == []


def test_check_6_d7_a_recovery_that_loses_stops_the_chain_and_is_not_recovered():
    """prevents: a recovery of a recovery, without end"""
    world = Sagas()
    ticket = world.recovering()
    world.close(ticket, ExitReason.STOP, 199_220, -500)
    assert world.ended() == ("stopped", "recovery failed")
    [lost] = [said for said in world.of(ChainStepped) if said.event == "lost"]
    assert (lost.net_cents, len(world.of(ReserveRecovery)), world.watches) == (-500, 1, {})
    assert world.of(FreeRecovery) == [FreeRecovery("X-1/100")]


def test_check_7_a_person_who_takes_the_profit_ends_the_chain():
    world = Sagas()
    world.bars()
    world.close(world.begin(200_000, 199_000), ExitReason.PERSON, 201_000, 1000)
    assert (world.ended(), world.watches) == (("stopped", "person"), {})


@pytest.mark.parametrize("net_cents", [0, 700])
def test_a_recovery_that_loses_nothing_is_a_level_of_the_chain_which_goes_on_as_after_a_target(net_cents):
    world = Sagas()
    world.close(world.recovering(), ExitReason.TARGET, 200_720, net_cents)
    assert (world.state, world.chain.level) == ("awaiting_tp", 2)
    world.quote(200_740)
    assert world.asked()[-1].signal.lineage.order_kind == "sl_recovery"  # a minute lies between two re-entries
    world.wait(60)
    world.quote()
    assert world.asked()[-1].signal.lineage.order_kind == "tp_continuation"


def test_a_recovered_chain_ends_there_when_it_is_not_to_go_on():
    world = Sagas(recovery__sl_hunt__resume=False)
    world.close(world.recovering(), ExitReason.TARGET, 200_720, 700)
    assert world.ended() == ("completed", "recovered")


def test_a_recovery_at_the_last_level_completes_the_chain():
    world = Sagas(recovery__levels_max_v3=1)
    world.close(world.recovering(), ExitReason.TARGET, 200_720, 700)
    assert world.ended() == ("completed", "the last level is recovered")


def test_a_second_stop_finds_no_attempt_left():
    world = Sagas()
    world.close(world.recovering(), ExitReason.TARGET, 200_720, 700)
    world.wait(60)
    world.quote(200_740)
    world.close(world.fill(world.asked()[-1]), ExitReason.STOP, 200_000, -700)
    assert world.ended() == ("stopped", "max recovery attempts")


def test_the_refusing_limit_is_the_reason_and_nothing_is_waited_for():
    world = Sagas()
    world.grants = REFUSED
    world.bars()
    world.stopped()
    assert world.ended() == ("stopped", "recovery_attempts")
    assert (world.watches, world.of(FreeRecovery)) == ({}, [])


def test_a_window_that_is_over_is_neither_attempt_nor_failure():
    world = hunting()
    world.wait(20 * 60)
    assert world.ended() == ("stopped", "recovery window timeout")
    assert (world.chain.recovery_attempts, world.of(FreeRecovery), world.watches) == (0, [FreeRecovery("X-1/100")], {})


def test_while_the_trend_does_not_lead_on_no_price_is_waited_for_and_a_bar_can_change_that():
    world = hunting()
    world.flat()
    assert world.level() is None
    world.quote(199_800)
    world.bars()
    assert world.level() == (Side.BID, 199_700)


def test_an_unknown_trend_is_not_aligned():
    world = Sagas()
    world.bars(count=19)
    world.stopped()
    world.wait(60)
    world.quote(199_800)
    assert (world.asked(), world.level()) == ([], None)


def test_late_bars_warm_up_and_move_nothing():
    world = Sagas()
    world.stopped()
    world.wait(60)
    assert world.bars(late=True) == []
    assert world.bars(count=1) != []


def test_a_volatility_out_of_the_ordinary_waits():
    world = hunting()
    world.bars(step=100, count=20)
    assert world.level() is None


def test_a_wide_spread_is_looked_at_again_a_second_later():
    world = hunting()
    world.quote(199_700, spread=61)
    assert (world.asked(), world.level()) == ([], None)
    world.wait(1)
    world.quote(spread=60)
    assert world.kinds() == ["sl_recovery"]


def test_the_profit_of_a_chain_is_not_risked_for_a_recovery():
    world = Sagas()
    world.bars()
    world.close(world.begin(200_000, 199_000), ExitReason.TARGET, 202_000, 200_000)
    world.wait(5)
    world.quote(202_020)
    world.close(world.fill(world.asked()[-1]), ExitReason.STOP, 201_300, -10_000)
    assert world.ended() == ("completed", "profit protected")


def test_a_stop_that_was_moved_to_the_entry_leaves_no_gap_to_recover():
    world = Sagas()
    world.bars()
    ticket = world.begin(200_000, 199_000)
    world.tell(StopTightened(ticket, "XAUUSD", 1, 200_000, 199_000))
    world.close(ticket, ExitReason.STOP, 200_000, 0)
    assert world.ended() == ("completed", "the stop was at the entry or beyond")


def test_a_stop_that_was_moved_nearer_leaves_its_own_smaller_gap():
    world = Sagas()
    world.bars()
    ticket = world.begin(200_000, 199_000)
    world.tell(StopTightened(ticket, "XAUUSD", 1, 199_500, 199_000))
    world.close(ticket, ExitReason.STOP, 199_500, -500)
    world.wait(60)
    assert world.level() == (Side.BID, 199_850)


def test_the_deals_price_is_the_entry_and_the_stops_distance_stays():
    world = Sagas()
    world.bars()
    ticket = world.begin(200_000, 199_000)
    world.tell(PositionPriced(ticket, "XAUUSD", 1, 200_010, 40, 0))
    world.close(ticket, ExitReason.STOP, 199_010, -1000)
    world.wait(60)
    world.quote(199_710)
    assert world.asked()[0].volume_steps == 40


@pytest.mark.parametrize(
    "reason",
    [
        *(ExitReason.CATASTROPHE, ExitReason.STOP_OUT, ExitReason.MARGIN, ExitReason.UNPROTECTED, ExitReason.FLATTEN),
        *(ExitReason.SHIELD, ExitReason.BREAKER, ExitReason.EMERGENCY, ExitReason.TIME, ExitReason.LATE_FILL, ExitReason.CHAIN),
        *(ExitReason.OPERATOR, ExitReason.SIGNAL, ExitReason.REVERSAL, ExitReason.PERSON),
    ],
)
@pytest.mark.parametrize("net_cents", [-1000, 1000])
def test_any_other_cause_ends_the_chain_whatever_it_brought(reason, net_cents):
    world = Sagas()
    world.bars()
    world.close(world.begin(200_000, 199_000), reason, 199_000, net_cents)
    assert world.ended() == ("stopped", reason.value)
    assert (world.of(ReserveRecovery), world.watches) == ([], {})


@pytest.mark.parametrize("reason", [ExitReason.NEVER_OPENED, ExitReason.UNEXPLAINED])
def test_a_trade_that_no_deal_explains_makes_the_chain_stale(reason):
    world = Sagas()
    world.close(world.begin(200_000, 199_000), reason, 0, 0)
    assert world.ended() == ("stale", reason.value)


def test_the_brokers_stop_out_of_a_flash_crash_is_never_recovered():
    """JPY 3 Jan 2019: forced close-outs at the worst price, then a bounce through every level."""
    world = Sagas()
    world.bars()
    world.close(world.begin(200_000, 199_000), ExitReason.STOP_OUT, 190_000, -10_000)
    world.wait(60)
    world.quote(205_000)
    assert world.asked() == []
