"""Re-entry chains: the worked checks of trading_rules 8, each step of 1.3, and the defects of 1.15 that must not come back."""

from collections.abc import Callable

import msgspec
import pytest

from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.chain_store import ChainSaved, SaveChain
from evenkeel.messages.entry import ReentryRaised
from evenkeel.messages.market import Direction, Quote, Side, SymbolSpecified
from evenkeel.messages.operator import CommandDone, CommandRefused, Mode, ModeChanged
from evenkeel.messages.position import ExitReason, PositionPriced, ReducePosition, StopTightened
from evenkeel.messages.recovery import (
    ChainStepped,
    ChainWaitOver,
    ChainWaits,
    FreeRecovery,
    ReentrySignalled,
    ReserveRecovery,
    StopChain,
)
from evenkeel.messages.risk_limit import RecoveryRefused, RecoveryReserved
from evenkeel.messages.shield import HedgeEnd, HedgeEnded, HedgeWanted, ShieldLowered, ShieldRaised, ShieldReason
from evenkeel.tests.sagas import CHAIN, PLUGIN, START_UTC_MS, Sagas

MINUTE_MS = 60_000
REFUSED = RecoveryRefused("", "", "recovery_attempts", 10, 10, "count")


def hunting(**overrides: object) -> Sagas:
    """A stopped trade (2000.00, stop 1990.00) waits for 1997.00, and all but the price is there."""
    world = Sagas(**overrides)
    world.bars()
    world.stopped()
    world.wait(60)
    return world


def won(**overrides: object) -> Sagas:
    """A trade reached its target at 2020.00, and all but the price is there."""
    world = Sagas(**overrides)
    world.bars()
    world.won()
    world.wait(5)
    return world


def shield(direction: Direction = Direction.BUY) -> ShieldRaised:
    return ShieldRaised("XAUUSD", direction, ShieldReason.AWAY, 1, 1, 0, ())


# -- recovery of a stopped trade ----------------------------------------------------------------------------------------------


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


# -- after a target -----------------------------------------------------------------------------------------------------------


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


# -- after an exit ------------------------------------------------------------------------------------------------------------


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


# -- what becomes of an order -------------------------------------------------------------------------------------------------


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


# -- who ends chains ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("begin", "end"), [(won, "completed"), (hunting, "stopped")])
def test_a_shield_cancels_what_waits_in_its_direction(begin, end):
    world = begin()
    world.tell(shield(Direction.SELL))
    assert world.ended() is None
    world.tell(shield())
    assert (world.ended(), world.watches) == ((end, "the direction is shielded"), {})


def test_a_stop_under_a_shield_is_not_recovered_and_one_after_it_is():
    world = Sagas()
    world.tell(shield())
    world.stopped()
    assert world.ended() == ("stopped", "the direction is shielded")
    world.tell(ShieldLowered("XAUUSD", Direction.BUY, "time"))
    world.stopped()
    assert world.state == "recovery_mode"


def test_a_target_under_a_shield_completes_the_chain():
    world = Sagas()
    world.tell(shield())
    world.won()
    assert world.ended() == ("completed", "the direction is shielded")


@pytest.mark.parametrize(
    "changed", [ModeChanged(Mode.CLOSE_ONLY, 1, "ann", "kill"), ModeChanged(Mode.FLATTEN, 0, "ann", "flatten")]
)
def test_a_kill_and_a_flattening_end_what_waits(changed):
    world = hunting()
    world.tell(changed)
    assert (world.ended(), world.watches) == (("stopped", f"{changed.reason} by ann"), {})


def test_a_pause_ends_nothing():
    world = hunting()
    world.tell(ModeChanged(Mode.CLOSE_ONLY, 0, "ann", "pause"))
    assert world.ended() is None


def test_a_killed_chain_with_an_open_trade_takes_no_step_after_it():
    world = Sagas()
    world.bars()
    ticket = world.begin(200_000, 199_000)
    world.tell(ModeChanged(Mode.CLOSE_ONLY, 1, "ann", "kill"))
    world.close(ticket, ExitReason.STOP, 199_000, -1000)
    assert (world.ended(), world.of(ReserveRecovery)) == (("stopped", "kill by ann"), [])


def test_a_person_stops_a_chain_and_its_trade_is_closed():
    world = Sagas()
    ticket = world.begin(200_000, 199_000)
    said = world.tell(StopChain("c1", "ann", PLUGIN, CHAIN))
    assert ReducePosition(ticket, "XAUUSD", 0, ExitReason.CHAIN) in said
    assert any(isinstance(one, CommandDone) and one.command_id == "c1" for one in said)
    world.close(ticket, ExitReason.CHAIN, 199_900, -100)
    assert world.ended() == ("stopped", "stopped by ann")


def test_a_chain_of_another_plugin_is_not_stopped():
    world = hunting()
    [refused] = world.tell(StopChain("c1", "ann", "other", CHAIN))
    assert isinstance(refused, CommandRefused)
    assert world.ended() is None


def test_an_order_that_is_on_its_way_when_its_chain_is_stopped_is_closed_once_it_is_there():
    world = hunting()
    world.quote(199_700)
    world.tell(StopChain("c1", "ann", PLUGIN, CHAIN))
    ticket = world.fill(world.asked()[0])
    assert world.of(ReducePosition) == [ReducePosition(ticket, "XAUUSD", 0, ExitReason.CHAIN)]
    world.close(ticket, ExitReason.CHAIN, 199_700, -10)
    assert world.ended() == ("stopped", "stopped by ann")


def test_prices_that_count_otherwise_than_before_end_what_waits():
    world = hunting()
    world.tell(SymbolSpecified(msgspec.structs.replace(world.spec, digits=3, spec_id=2)))
    assert world.ended() == ("stopped", "the symbol's terms are others")


# -- every wait, and everything that comes between ----------------------------------------------------------------------------


def asking() -> Sagas:
    """A recovery was asked for, and the limits have not answered."""
    world = Sagas()
    world.are_limits_silent = True
    world.stopped()
    return world


def returning() -> Sagas:
    world = Sagas(recovery__exit_continuation__enabled=True)
    world.bars()
    world.close(world.begin(200_000, 199_000), ExitReason.PERSON, 200_500, 500)
    return world


def to_be_hedged() -> Sagas:
    """Before the next quote, with which it goes to the shield."""
    world = Sagas(shield__hedge__enabled=True)
    world.bars()
    world.stopped()
    return world


def unwritten(begin: Callable[[], Sagas]) -> Callable[[], Sagas]:
    """Its order is to be asked for once the store has answered."""

    def begun() -> Sagas:
        world = begin()
        world.is_store_silent = True
        level = world.level()
        assert level is not None
        world.quote(level[1])
        assert (world.state, world.asked()) == ("placing", [])
        return world

    return begun


COMES_BETWEEN = {
    "opposite signal": lambda world: world.signal(Direction.SELL),
    "the direction is shielded": lambda world: world.tell(shield()),
    "kill by ann": lambda world: world.tell(ModeChanged(Mode.CLOSE_ONLY, 1, "ann", "kill")),
    "stopped by ann": lambda world: world.tell(StopChain("c1", "ann", PLUGIN, CHAIN)),
}
WAITS = {
    "active": asking,
    "awaiting_tp": won,
    "awaiting_exit": returning,
    "recovery_mode": hunting,
    "hedged": to_be_hedged,
    "placing_tp": unwritten(won),
    "placing_exit": unwritten(returning),
    "placing_hunt": unwritten(hunting),
}


@pytest.mark.parametrize("between", COMES_BETWEEN)
@pytest.mark.parametrize("wait", WAITS)
def test_whatever_comes_between_ends_a_wait_at_once(wait, between):
    world = WAITS[wait]()
    COMES_BETWEEN[between](world)
    is_complete = wait in ("awaiting_tp", "placing_tp") and between in ("opposite signal", "the direction is shielded")
    assert world.ended() == ("completed" if is_complete else "stopped", between)
    assert (world.watches, world.timers) == ({}, {})
    assert len(world.of(FreeRecovery)) == len(world.of(ReserveRecovery))
    assert len(world.of(ChainWaitOver)) == len(world.of(ChainWaits))


def test_an_answer_of_the_limits_that_comes_too_late_changes_nothing():
    world = asking()
    world.tell(StopChain("c1", "ann", PLUGIN, CHAIN))
    assert world.tell(RecoveryReserved("recovery", "X-1/100")) == []


def test_a_window_that_ends_before_the_limits_answer_ends_the_chain():
    world = asking()
    world.wait(20 * 60)
    world.tell(RecoveryReserved("recovery", "X-1/100"))
    assert (world.ended(), world.of(FreeRecovery)) == (("stopped", "recovery window timeout"), [FreeRecovery("X-1/100")])


@pytest.mark.parametrize(
    ("begin", "after", "opened"),
    [(won, "awaiting_tp", "active"), (returning, "awaiting_exit", "active"), (hunting, "recovery_mode", "recovering")],
)
def test_an_order_that_counted_as_refused_and_was_filled_is_a_trade_of_the_chain(begin, after, opened):
    world = begin()
    world.quote(world.level()[1])
    world.deny()
    assert world.state == after
    ticket = world.fill(world.asked()[0])
    assert (world.state, world.chain.tickets, world.watches) == (opened, (100, ticket), {})


def test_a_continuation_that_cannot_be_placed_completes_the_chain():
    world = won()
    for pause_s in (1, 2, 0):
        world.quote(202_100)
        world.deny()
        world.wait(pause_s)
    assert world.ended() == ("completed", "not placed: denied by risk_limit: spread")


def test_an_order_whose_window_ends_while_the_store_is_busy_is_not_asked_for():
    world = unwritten(won)()
    world.wait(30 * 60)
    world.is_store_silent = False
    world.tell(saved(world))
    assert (world.ended(), world.asked()) == (("completed", "not placed: the window is over"), [])


@pytest.mark.parametrize("reason", [ExitReason.PERSON, ExitReason.SHIELD, ExitReason.CATASTROPHE])
def test_a_recovery_that_something_else_ends_is_the_end_of_the_chain_though_it_won(reason):
    world = Sagas(recovery__exit_continuation__enabled=True)
    world.close(world.recovering(), reason, 200_500, 500)
    assert (world.ended(), world.of(FreeRecovery)) == (("stopped", reason.value), [FreeRecovery("X-1/100")])


def test_continuations_may_be_off():
    world = Sagas(recovery__tp_continuation__enabled=False)
    world.won()
    assert world.ended() == ("completed", "tp_continuation is off")


def test_recoveries_may_be_off():
    world = Sagas(recovery__sl_hunt__enabled=False)
    world.stopped()
    assert world.ended() == ("stopped", "sl_hunt is off")


# -- hedged -------------------------------------------------------------------------------------------------------------------


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


# -- what the lineage of these rules did wrong --------------------------------------------------------------------------------


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
    world.tell(saved(world))
    assert world.kinds() == ["sl_recovery"]


def saved(world: Sagas) -> ChainSaved:
    return ChainSaved("recovery", PLUGIN, CHAIN, world.actor.state.sagas[CHAIN].chain.version)


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


def test_ended_chains_and_trades_leave_nothing_behind():
    world = Sagas()
    world.close(world.recovering(), ExitReason.STOP, 199_220, -500)
    assert (world.actor.state.sagas, world.actor.state.trades, world.watches, world.timers) == ({}, {}, {}, {})
