"""What position/EURUSD opens for a strategy with chains: stop 50 points, target 2 R, the same signal ignored for 5 minutes."""

import pytest
from orders import QUOTE, closed
from position_builders import BUY, MINUTE_MS, SELL, Told, chained, denial, of_chain, trade

from evenkeel.config.schema import EntryConfig
from evenkeel.messages.broker_gateway import OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage, OrderDenied, OrderKind, ReentryRaised, SignalRaised
from evenkeel.messages.market import Quote
from evenkeel.messages.recovery import ChainWaitOver, ChainWaits, ReentrySignalled
from evenkeel.messages.risk_limit import BalanceTierReached


def reentry(kind: OrderKind = OrderKind.SL_RECOVERY, parent_ticket: int = 1001, number: int = 0, **signal) -> ReentryRaised:
    lineage = of_chain(kind, parent_ticket=parent_ticket, level=1, number=number)
    raised = SignalRaised("EURUSD", 1, BUY, signal.get("quote", QUOTE), 0, 10, lineage)
    return ReentryRaised("EURUSD", raised, stop_distance_points=25, target_distance_points=50, volume_steps=7)


def alone(said: list) -> EntryProposed | OrderDenied:
    (message,) = said
    return message


# What a signal opens


def test_a_signal_opens_order_a_with_a_chain_of_its_own_and_a_target_in_r():
    said = Told(chained()).signal()
    assert (said.lineage.order_kind, said.lineage.chain_id) == ("tp_trail", "EURUSD-rs-1")
    assert (said.stop_distance_points, said.target_distance_points, said.second) == (50, 100, None)


def test_a_signal_opens_order_b_alone_where_the_strategy_wants_a_pyramid():
    said = Told(chained("pyramid")).signal()
    assert (said.lineage.order_kind, said.lineage.chain_id) == ("profit_trail", "EURUSD-rs-1/b")
    assert said.target_distance_points == 0


def test_a_signal_opens_both_orders_in_slots_beside_each_other():
    told = Told(chained("dual"))
    said = told.signal()
    assert (said.proposal_id, said.lineage.order_kind, said.lineage.slot) == ("EURUSD-1", "tp_trail", 0)
    second = said.second
    assert (second.proposal_id, second.lineage.proposal_id, second.lineage.slot) == ("EURUSD-2", "EURUSD-2", 1)
    assert (second.lineage.order_kind, second.lineage.chain_id) == ("profit_trail", f"{said.lineage.chain_id}/b")
    assert told.actor.state.pending == {0: "EURUSD-1", 1: "EURUSD-2"}


def test_both_orders_of_a_signal_are_one_trade_and_the_refusal_of_one_leaves_the_other():
    told = Told(chained("dual"))
    said = told.signal()
    second = said.second.lineage
    told.hear(OrderDenied("EURUSD-2", "EURUSD", BUY, "risk_limit", DenialReason.STOP_TOO_NEAR, 0, 0, "", second))
    assert denial(told.signal()) == (DenialReason.SLOT_TAKEN, 1, 1, "count")
    told.hear(trade(lineage=said.lineage))
    assert denial(told.signal(SELL)) == (DenialReason.SLOT_TAKEN, 1, 1, "count")


def test_a_requoted_order_of_a_pair_is_tried_again_alone_with_the_volume_that_it_had():
    told = Told(chained("dual"))
    said = told.signal()
    told.hear(trade(lineage=said.second.lineage))
    lineage = said.lineage
    again = alone(told.hear(OrderRejected("EURUSD-1", "EURUSD", BUY, 1, 10004, "requote", lineage, QUOTE, 5)))
    assert (again.lineage.order_kind, again.lineage.chain_id) == ("tp_trail", lineage.chain_id)
    assert (again.volume_steps, again.target_distance_points, again.second) == (5, 100, None)
    assert (again.lineage.slot, again.proposal_id) == (0, "EURUSD-3")


def test_strategies_without_chains_open_what_they_always_did():
    told = Told(chained("dual"))
    raised = SignalRaised("EURUSD", 1, BUY, QUOTE, 0, 10, Lineage("strategy", "plain"))
    said = alone(told.hear(raised))
    assert (said.lineage.order_kind, said.lineage.chain_id, said.target_distance_points) == ("single", "EURUSD-1", 100)


@pytest.mark.parametrize("tier, pips", [(0, 150), (5_000, 150), (25_000, 50), (100_000, 40)])
def test_the_stop_comes_from_the_table_of_the_balance(tier, pips):
    told = Told(chained(entry=EntryConfig(stop_system="sl_1")))
    if tier:
        told.hear(BalanceTierReached(tier))
    assert told.signal().stop_distance_points == pips * 10


def test_a_logic_widens_the_stop():
    assert Told(chained(logic="logic3")).signal().stop_distance_points == 125


# Nothing twice


def test_opening_a_trade_registers_no_second_one():
    """A recovery was once registered at the opening, already satisfied: three seconds later there were two trades."""
    told = Told(chained())
    lineage = told.signal().lineage
    said = told.hear(trade(lineage=lineage))
    assert not [message for message in said if isinstance(message, EntryProposed | ReentryRaised)]
    assert denial(told.signal(after_ms=3_000)) == (DenialReason.SLOT_TAKEN, 1, 1, "count")
    assert [one.ticket for one in told.actor.state.positions.values()] == [1001]


def test_the_same_signal_is_ignored_for_minutes_after_it_opened_a_trade():
    told = Told(chained())
    lineage = told.signal().lineage
    told.hear(trade(lineage=lineage, opened_utc_ms=1_000))
    told.hear(closed(lineage=lineage))
    assert denial(told.signal(after_ms=MINUTE_MS)) == (DenialReason.DUPLICATE, MINUTE_MS, 5 * MINUTE_MS, "ms")
    assert isinstance(told.signal(after_ms=4 * MINUTE_MS), EntryProposed)


def test_the_same_signal_is_no_repeat_when_the_first_was_refused_or_went_the_other_way():
    told = Told(chained())
    said = told.signal()
    told.hear(OrderDenied("EURUSD-1", "EURUSD", BUY, "risk_limit", DenialReason.POSITIONS, 5, 5, "count", said.lineage))
    lineage = told.signal().lineage
    told.hear(trade(lineage=lineage))
    told.hear(closed(lineage=lineage))
    assert isinstance(told.signal(SELL), EntryProposed)


# The orders of a chain


def test_a_reentry_is_proposed_with_its_own_distances_and_at_most_its_volume():
    said = alone(Told(chained()).hear(reentry()))
    assert (said.stop_distance_points, said.target_distance_points, said.volume_steps) == (25, 50, 7)
    assert (said.lineage.chain_id, said.lineage.order_kind, said.lineage.parent_ticket) == ("X", "sl_recovery", 1001)


def test_a_reentry_heeds_no_cooldown_and_no_count_of_trades_but_the_spread():
    told = Told(chained(entry=EntryConfig(stop_pips=5.0, cooldown_minutes=15.0)))
    told.hear(trade(ticket=2002, kind=OrderKind.SINGLE))
    said = alone(told.hear(reentry()))
    assert (type(said), said.lineage.slot) == (EntryProposed, 1)
    wide = reentry(OrderKind.TP_CONTINUATION, quote=Quote(0, 110_000, 110_031))
    assert denial(alone(told.hear(wide)))[0] is DenialReason.SPREAD


def test_one_end_of_a_trade_is_answered_by_one_reentry_however_often_it_is_asked_for():
    told = Told(chained())
    lineage = alone(told.hear(reentry())).lineage
    assert denial(alone(told.hear(reentry()))) == (DenialReason.DUPLICATE, 1, 1, "count")
    told.hear(OrderOutcomeUnknown(lineage.proposal_id, "EURUSD", BUY, 1, "lost", lineage))
    assert denial(alone(told.hear(reentry())))[0] is DenialReason.DUPLICATE
    told.hear(trade(ticket=2002, lineage=lineage))
    told.hear(closed(2002, lineage=lineage))
    assert denial(alone(told.hear(reentry())))[0] is DenialReason.DUPLICATE


def test_a_refused_reentry_may_be_tried_again():
    told = Told(chained())
    lineage = alone(told.hear(reentry())).lineage
    told.hear(OrderDenied(lineage.proposal_id, "EURUSD", BUY, "risk_limit", DenialReason.POSITIONS, 5, 5, "count", lineage))
    assert isinstance(alone(told.hear(reentry())), EntryProposed)


def test_the_orders_of_a_level_are_told_apart_by_their_numbers():
    told = Told(chained("pyramid"))
    answers = [alone(told.hear(reentry(OrderKind.PROFIT_TRAIL, number=number))) for number in (2, 3, 3)]
    assert [type(answer) for answer in answers] == [EntryProposed, EntryProposed, OrderDenied]
    assert [answer.lineage.slot for answer in answers[:2]] == [0, 1]


def test_a_fresh_signal_waits_while_a_chain_has_something_open_in_any_slot():
    told = Told(chained())
    told.hear(trade(ticket=2002, lineage=of_chain(OrderKind.SL_RECOVERY, parent_ticket=1001, level=1, slot=3)))
    assert denial(told.signal()) == (DenialReason.SLOT_TAKEN, 1, 1, "count")


def test_a_signal_of_a_strategy_whose_chain_waits_for_it_becomes_that_chains_reentry():
    told = Told(chained())
    told.hear(ChainWaits("trend", "X", "EURUSD", BUY))
    raised = SignalRaised("EURUSD", 1, BUY, QUOTE, 0, 10, Lineage("strategy", "trend"))
    denied, passed_on = told.hear(raised)
    assert denial(denied)[0] is DenialReason.CHAIN_WAITS
    assert passed_on == ReentrySignalled("trend", "X", "EURUSD", QUOTE, 10)
    assert isinstance(told.signal(SELL), EntryProposed)


def test_a_chain_that_waits_no_more_takes_no_signal_and_never_one_of_another_strategy():
    told = Told(chained())
    told.hear(ChainWaits("other", "Y", "EURUSD", BUY))
    told.hear(ChainWaits("trend", "X", "EURUSD", BUY))
    told.hear(ChainWaitOver("trend", "X", "EURUSD"))
    assert isinstance(told.signal(), EntryProposed)
