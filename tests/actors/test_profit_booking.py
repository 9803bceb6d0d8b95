"""Order B's pyramid: booked order by order, recovered once, up a level at a time; and every way in which it ends."""

import pytest
from pyramids import CHAIN, FIRST, Desk, booking_config

from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.chain_store import SaveChain
from evenkeel.messages.entry import DenialReason, EntryProposed, OrderDenied, OrderKind, ReentryRaised
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import CommandDone, CommandRefused
from evenkeel.messages.position import ExitReason, PositionPriced, PositionReduced, StopTightened
from evenkeel.messages.profit_booking import OrderStatus, PyramidState
from evenkeel.messages.recovery import ChainEnded, StopChain
from evenkeel.messages.shield import ShieldRaised, ShieldReason

BUY, SELL = Direction.BUY, Direction.SELL
STRICT = booking_config()
PARTIAL = booking_config(allow_partial=True)
TO_THE_TOP = booking_config(levels_enabled=[0, 1, 2, 3, 4])
NO_HUNT = {"sl_hunt.enabled": False}


def begun(config=STRICT, direction=BUY, **changed):
    desk = Desk(config, direction=direction)
    desk.bars()
    desk.begin(**changed)
    return desk


def at_level(level, config=STRICT):
    """A desk whose pyramid has just opened every order of that level, and their tickets."""
    desk, tickets = begun(config), [FIRST]
    for _ in range(level):
        desk.book(*tickets)
        tickets = desk.level()
    return desk, tickets


def denied(asked, reason=DenialReason.SPREAD, by="position/EURUSD"):
    return OrderDenied("p", "EURUSD", BUY, by, reason, 0, 0, "", asked.signal.lineage)


def statuses(desk):
    return [order.status for order in desk.pyramid.orders]


def test_an_order_is_booked_at_its_own_target_and_alone():
    desk, (first, second) = at_level(1)
    second_target = desk.target_points(second)
    desk.tell(PositionPriced(first, "EURUSD", 1, 109_990, 10, 0))
    assert (desk.target_points(first), second_target) == (110_060, 110_080)
    desk.quote(110_059)
    assert desk.reduced() == []
    desk.quote(110_060)
    assert desk.reduced() == [(first, ExitReason.BOOKED)]


def test_a_short_one_is_booked_at_the_ask():
    desk = begun(direction=SELL)
    assert desk.target_points(FIRST) == 110_000 - 70
    desk.quote(109_921)
    assert desk.reduced() == []
    desk.quote(109_920)
    assert desk.reduced() == [(FIRST, ExitReason.BOOKED)]


def test_commissions_and_what_was_closed_before_move_the_target():
    desk = begun()
    desk.tell(PositionPriced(FIRST, "EURUSD", 1, 110_010, 10, -40))
    assert desk.target_points(FIRST) == 110_084
    desk.tell(PositionReduced(FIRST, "EURUSD", 1, 5, 110_030, 100, ExitReason.PERSON))
    assert desk.target_points(FIRST) == 110_010 + 640 // 5


def test_a_booked_level_opens_the_next_one_and_not_before_it_is_written():
    desk = begun()
    desk.store = False
    desk.book(FIRST)
    desk.quote()
    assert desk.asked() == []
    desk.store = True
    desk.wait(1)
    desk.quote()
    asked = desk.asked()
    assert [order.signal.lineage.number for order in asked] == [2, 3]
    assert {(order.stop_distance_points, order.target_distance_points, order.volume_steps) for order in asked} == {(100, 0, 10)}
    lineage = asked[0].signal.lineage
    assert (lineage.origin, lineage.strategy, lineage.chain_id) == ("profit_booking", "trend", CHAIN)
    assert (lineage.parent_ticket, lineage.level, lineage.order_kind, lineage.confidence) == (FIRST, 1, "profit_trail", 0.9)


def test_a_store_that_never_writes_lets_the_chain_end_and_opens_nothing():
    desk = begun()
    desk.store = False
    desk.book(FIRST)
    for _ in range(20):
        desk.wait(4)
        desk.quote()
    assert desk.of(ReentryRaised) == []
    assert desk.ended() == ("stopped", "none of the level's orders was opened")
    assert desk.actor.state.bookings == {}


def test_orders_that_are_refused_three_times_leave_the_level_short():
    desk = begun()
    desk.book(FIRST)
    desk.quote()
    first, second = desk.asked()
    ticket = desk.fill(first)
    for pause in (1, 2):
        desk.tell(denied(second))
        desk.wait(pause)
        desk.quote()
    assert len(desk.of(ReentryRaised)) == 4
    desk.tell(denied(second, DenialReason.MODE, "broker_gateway"))
    desk.wait(10)
    desk.quote()
    assert (statuses(desk), desk.pyramid.is_short) == ([OrderStatus.OPEN, OrderStatus.REFUSED], True)
    desk.book(ticket)
    assert (desk.pyramid.level, len(desk.pyramid.orders)) == (2, 4)


def test_a_level_of_more_orders_than_a_second_may_have_comes_in_turns_and_whole():
    desk = begun()
    desk.book(FIRST)
    desk.quote()
    for _ in range(6):
        desk.tell(denied(desk.asked()[1], DenialReason.REQUESTS_PER_SECOND, "risk_limit"))
        desk.wait(1)
        desk.quote()
    first, second = desk.asked()
    desk.fill(first)
    desk.fill(second)
    assert (statuses(desk), desk.pyramid.is_short) == ([OrderStatus.OPEN, OrderStatus.OPEN], False)


def requoted():
    """A desk, and the first order of a level whose price had moved."""
    desk = begun()
    desk.book(FIRST)
    desk.quote()
    first, second = desk.asked()
    desk.fill(second)
    quote = first.signal.quote
    desk.tell(OrderRejected("p", "EURUSD", BUY, 5, 10004, "requote", first.signal.lineage, quote))
    return desk, first, quote


def test_what_the_symbol_proposes_again_after_a_requote_is_the_same_try():
    desk, first, quote = requoted()
    desk.tell(EntryProposed("p", "EURUSD", 1, BUY, quote, 100, 0, 10, first.signal.lineage))
    desk.wait(60)
    desk.quote()
    assert len(desk.of(ReentryRaised)) == 2
    ticket = desk.fill(first)
    assert (desk.pyramid.orders[0].ticket, desk.pyramid.orders[0].status) == (ticket, OrderStatus.OPEN)


def test_a_requote_after_which_nobody_proposes_it_again_was_a_try():
    desk, _, _ = requoted()
    desk.wait(1)
    desk.wait(1)
    desk.quote()
    assert len(desk.of(ReentryRaised)) == 3


def test_a_repetition_that_the_symbol_refuses_is_no_failure_of_the_order_on_its_way():
    desk, first, _ = requoted()
    desk.wait(2)
    desk.quote()
    desk.tell(denied(first, DenialReason.DUPLICATE))
    ticket = desk.fill(first)
    assert (desk.pyramid.orders[0].ticket, desk.pyramid.orders[0].status) == (ticket, OrderStatus.OPEN)


def test_an_order_of_unknown_outcome_is_never_asked_for_again():
    desk = begun()
    desk.book(FIRST)
    desk.quote()
    first, second = desk.asked()
    told = "p", "EURUSD", BUY, 5
    desk.tell(OrderOutcomeUnknown(*told, "lost", first.signal.lineage))
    desk.fill(second)
    desk.wait(600)
    desk.quote()
    assert statuses(desk) == [OrderStatus.PLACING, OrderStatus.OPEN]
    desk.tell(OrderOutcomeResolved(*told, first.signal.lineage))
    desk.wait(600)
    desk.quote()
    assert statuses(desk) == [OrderStatus.REFUSED, OrderStatus.OPEN]
    assert len(desk.of(ReentryRaised)) == 2
    late = desk.fill(first, late=True)
    assert desk.reduced()[-1] == (late, ExitReason.CHAIN)


def test_a_level_that_is_not_enabled_ends_the_chain_with_its_profit():
    desk, tickets = at_level(2)
    desk.book(*tickets)
    assert desk.ended() == ("stopped", "level 3 is not enabled")
    assert desk.of(ChainEnded)[-1].booked_cents == 7 * 700


def test_the_next_level_waits_for_nobody_when_the_trend_is_over():
    desk = begun()
    desk.bars(-10)
    desk.book(FIRST)
    assert desk.ended() == ("stopped", "the trend does not lead on")


def test_a_disabled_level_and_the_trend_are_asked_for_by_the_whole_level_only():
    desk, (first, _) = at_level(1)
    desk.book(first)
    assert (desk.pyramid.level, desk.ended()) == (1, None)


def test_every_change_is_written_with_the_version_after_the_last():
    desk, tickets = at_level(2)
    desk.book(*tickets)
    assert [saved.chain.version for saved in desk.of(SaveChain)] == list(range(1, len(desk.of(SaveChain)) + 1))
    assert desk.pyramid.state is PyramidState.STOPPED
    assert desk.pyramid.ended_utc_ms == desk.now_utc_ms


# the worked checks


@pytest.mark.parametrize(
    "config, reason",
    [
        (STRICT, "unrecovered loss: 1 of 2 orders won"),
        (PARTIAL, "1 of 2 orders won, 0.75 of them must"),
    ],
)
def test_check_8_one_of_two_lost_stops_the_chain_either_way(config, reason):
    desk, (first, second) = at_level(1, config)
    desk.book(first)
    desk.close(second, ExitReason.STOP)
    desk.wait(20 * 60)
    assert desk.ended() == ("stopped", reason)


def test_check_8_three_of_four_go_on_where_partial_progress_is_allowed():
    desk, tickets = at_level(2, booking_config(allow_partial=True, levels_enabled=[0, 1, 2, 3]))
    desk.close(tickets[0], ExitReason.STOP)
    desk.book(*tickets[1:])
    assert desk.pyramid.level == 2
    desk.wait(20 * 60)
    assert (desk.pyramid.level, len(desk.pyramid.orders)) == (3, 8)


def test_check_9_a_level_does_not_go_on_while_a_recovery_is_pending():
    desk, (first, second) = at_level(1)
    desk.close(first, ExitReason.STOP)
    desk.book(second)
    assert (desk.pyramid.level, desk.pyramid.state) == (1, PyramidState.SL_HUNT)
    assert statuses(desk) == [OrderStatus.WAITING, OrderStatus.BOOKED]
    desk.quote(110_080)
    recovery = desk.fill(desk.asked()[0])
    assert (desk.pyramid.level, statuses(desk)[0]) == (1, OrderStatus.RECOVERING)
    desk.book(recovery)
    assert (desk.pyramid.level, desk.pyramid.state) == (2, PyramidState.ACTIVE)


# what must not happen again (trading_rules 1.15)


def test_a_lost_order_does_not_double_the_orders_of_the_next_level():
    """D8."""
    desk, (first, second) = at_level(1)
    desk.limits = False
    desk.close(first, ExitReason.STOP)
    desk.book(second)
    assert (desk.pyramid.level, desk.ended()) == (1, ("stopped", "unrecovered loss: 1 of 2 orders won"))


def test_the_last_level_is_booked_like_any_other_and_completes_the_chain():
    """D9."""
    desk, tickets = at_level(4, TO_THE_TOP)
    assert len(tickets) == 16
    assert all(desk.target_points(ticket) == 110_080 for ticket in tickets)
    desk.quote(110_080)
    assert desk.reduced()[-16:] == [(ticket, ExitReason.BOOKED) for ticket in tickets]
    desk.book(*tickets)
    assert desk.ended() == ("completed", "level 4 was the last")
    assert desk.of(ChainEnded)[-1].booked_cents == 31 * 700


def test_a_stopped_order_is_looked_after_although_nothing_of_it_is_open():
    """D2: the price of its symbol is waited for."""
    desk = begun()
    desk.quote(109_910)
    desk.close(FIRST, ExitReason.STOP)
    assert desk.hunt_points(FIRST) == 109_910 + 70


# the recovery of a stopped order


def stopped(config=STRICT):
    desk = begun(config)
    desk.quote(109_910)
    desk.close(FIRST, ExitReason.STOP)
    return desk


def test_the_recovery_is_small_and_has_the_level_s_target():
    desk = stopped()
    assert desk.reserved == {f"{CHAIN}/{FIRST}"}
    desk.quote(109_979)
    assert desk.asked() == []
    desk.quote(109_980)
    (asked,) = desk.asked()
    assert (asked.stop_distance_points, asked.volume_steps, asked.signal.quote.bid_points) == (50, 10, 109_980)
    lineage = asked.signal.lineage
    assert (lineage.order_kind, lineage.parent_ticket, lineage.level) == ("profit_recovery", FIRST, 0)
    recovery = desk.fill(asked)
    assert desk.target_points(recovery) == 109_990 + 70


def test_a_recovery_that_is_booked_lets_the_level_go_on():
    desk = stopped()
    desk.quote(109_980)
    desk.book(desk.fill(desk.asked()[0]))
    assert (desk.pyramid.level, desk.reserved) == (1, set())


def test_a_recovery_that_fails_ends_the_chain_and_closes_its_orders():
    desk, (first, second) = at_level(1, PARTIAL)
    desk.close(first, ExitReason.STOP)
    desk.quote(110_080)
    recovery = desk.fill(desk.asked()[0])
    desk.close(recovery, ExitReason.STOP)
    assert desk.reduced()[-1] == (second, ExitReason.CHAIN)
    assert desk.ended() is None
    desk.close(second, ExitReason.CHAIN, -300)
    assert desk.ended() == ("stopped", "recovery failed")
    assert desk.of(ChainEnded)[-1].booked_cents == 700 - 1000 - 500 - 300
    assert desk.reserved == set()


def test_a_failed_recovery_is_one_lost_order_where_it_shall_not_end_the_chain():
    config = booking_config(allow_partial=True, partial_ratio=0.5, **{"sl_hunt.stop_chain_on_fail": False})
    desk, (first, second) = at_level(1, config)
    desk.close(first, ExitReason.STOP)
    desk.quote(110_080)
    desk.close(desk.fill(desk.asked()[0]), ExitReason.STOP)
    desk.book(second)
    assert desk.pyramid.level == 2


def test_a_recovery_starts_no_other():
    desk = stopped()
    desk.quote(109_980)
    desk.close(desk.fill(desk.asked()[0]), ExitReason.STOP)
    desk.quote(109_980)
    assert (desk.asked(), desk.ended()) == ([], ("stopped", "recovery failed"))


def test_the_window_ends_the_wait():
    desk = stopped()
    desk.wait(20 * 60 - 1)
    assert desk.ended() is None
    desk.wait(1)
    assert desk.ended() == ("stopped", "unrecovered loss: 0 of 1 orders won")
    assert (desk.watches, desk.reserved) == ({}, set())


def test_a_stop_that_is_heard_of_after_the_window_is_lost_at_once():
    desk = begun()
    stop_utc_ms = desk.now_utc_ms
    desk.now_utc_ms += 20 * 60_000
    heard_utc_ms, desk.now_utc_ms = desk.now_utc_ms, stop_utc_ms
    actor_handle = desk.actor.handle
    desk.actor.handle = lambda message, _: actor_handle(message, heard_utc_ms)
    desk.close(FIRST, ExitReason.STOP)
    assert desk.ended() == ("stopped", "unrecovered loss: 0 of 1 orders won")
    assert desk.timers == {}


def test_limits_that_refuse_make_it_lost():
    desk = begun()
    desk.limits = False
    desk.close(FIRST, ExitReason.STOP)
    assert desk.ended() == ("stopped", "unrecovered loss: 0 of 1 orders won")
    assert "recovery refused" in desk.events()


def test_it_waits_for_the_trend_by_bars_and_not_by_prices():
    desk = stopped()
    desk.bars(-10)
    desk.quote(109_985)
    assert (desk.asked(), desk.watches) == ([], {})
    desk.bars(10)
    desk.quote(109_985)
    assert len(desk.asked()) == 1


def test_it_waits_for_a_narrow_spread():
    desk = stopped()
    desk.quote(109_985, spread=31)
    assert desk.asked() == []
    desk.wait(1)
    desk.quote(109_985, spread=30)
    assert len(desk.asked()) == 1


def test_a_recovery_that_is_refused_is_tried_again_when_price_is_there():
    desk = stopped()
    desk.quote(109_980)
    desk.tell(denied(desk.asked()[0]))
    desk.quote(109_970)
    desk.wait(1)
    desk.quote(109_979)
    assert (desk.asked(), statuses(desk)) == ([], [OrderStatus.WAITING])
    desk.quote(109_981)
    assert len(desk.asked()) == 1


def test_a_stop_that_was_tightened_beyond_the_entry_leaves_nothing_to_come_back_to():
    desk = begun()
    desk.tell(StopTightened(FIRST, "EURUSD", 1, 110_015, 109_910))
    desk.close(FIRST, ExitReason.STOP, 50)
    assert desk.ended() == ("stopped", "unrecovered loss: 0 of 1 orders won")


def test_a_chain_that_has_earned_enough_is_not_risked_for_a_recovery():
    desk, tickets = at_level(3, TO_THE_TOP)
    desk.close(tickets[0], ExitReason.STOP)
    assert desk.pyramid.state is PyramidState.COMPLETED
    desk.book(*tickets[1:])
    assert desk.ended() == ("completed", "profit protected")


# how it ends


@pytest.mark.parametrize("reason", [ExitReason.PERSON, ExitReason.OPERATOR, ExitReason.SIGNAL, ExitReason.STOP_OUT])
def test_one_order_that_ends_by_another_cause_ends_the_chain_and_closes_the_rest(reason):
    desk, (first, second) = at_level(1)
    desk.close(first, reason, 500)
    assert desk.reduced() == [(second, ExitReason.CHAIN)]
    desk.close(second, ExitReason.CHAIN)
    assert desk.ended() == ("stopped", reason.value)


@pytest.mark.parametrize("reason", [ExitReason.NEVER_OPENED, ExitReason.UNEXPLAINED])
def test_an_order_that_no_deal_explains_makes_the_chain_stale(reason):
    desk, (first, second) = at_level(1)
    desk.close(first, reason, 0)
    desk.close(second, ExitReason.CHAIN)
    assert desk.ended() == ("stale", reason.value)


def test_a_shield_of_its_direction_ends_it_and_one_of_the_other_does_not():
    desk = stopped()
    for direction in (SELL, BUY):
        assert desk.ended() is None
        desk.tell(ShieldRaised("EURUSD", direction, ShieldReason.AWAY, 210, 200, 0, ()))
    assert desk.ended() == ("stopped", "shield")
    assert (desk.watches, desk.timers, desk.reserved) == ({}, {}, set())


def test_what_opens_after_the_end_is_closed():
    desk = begun()
    desk.book(FIRST)
    desk.quote()
    first, second = desk.asked()
    ticket = desk.fill(first)
    desk.close(ticket, ExitReason.PERSON)
    assert desk.ended() is None
    late = desk.fill(second)
    assert desk.reduced() == [(late, ExitReason.CHAIN)]
    desk.close(late, ExitReason.CHAIN)
    assert desk.ended() == ("stopped", "person")


def test_a_person_ends_a_chain_of_the_plugin_that_is_named():
    desk = begun()
    desk.tell(StopChain("c-1", "me", "other", CHAIN))
    assert isinstance(desk.said[-1], CommandRefused)
    desk.tell(StopChain("c-2", "me", "trend", CHAIN))
    assert [done.command_id for done in desk.of(CommandDone)] == ["c-2"]
    assert desk.reduced() == [(FIRST, ExitReason.CHAIN)]


def test_a_re_entry_chain_is_not_its_to_stop():
    desk = begun()
    before = len(desk.said)
    desk.tell(StopChain("c-1", "me", "trend", "EURUSD-k-1"))
    assert len(desk.said) == before


# the second order of a shield


def shielded():
    desk = Desk(direction=SELL)
    desk.bars()
    desk.begin(OrderKind.SHIELD_B, "EURUSD-k-1/s900")
    return desk


def test_a_shield_s_order_is_booked_and_is_all_of_its_pyramid():
    desk = shielded()
    desk.quote(109_920)
    assert desk.reduced() == [(FIRST, ExitReason.BOOKED)]
    desk.book(FIRST)
    assert desk.ended() == ("completed", "level 0 was the last")


def test_a_shield_s_order_is_never_recovered():
    desk = shielded()
    desk.close(FIRST, ExitReason.STOP)
    assert (desk.reserved, desk.ended()) == (set(), ("stopped", "unrecovered loss: 0 of 1 orders won"))


# restarts


def test_a_snapshot_at_any_moment_gives_the_same_answers():
    desk, (first, second) = at_level(1)
    desk.close(first, ExitReason.STOP)
    desk.quote(110_080)
    desk.book(desk.fill(desk.asked()[0]), second)
    desk.level()
    whole = []
    for count in range(len(desk.heard)):
        other = Desk(desk.config)
        answers = []
        for number, (message, now_utc_ms) in enumerate(desk.heard):
            if number == count:
                other.actor = other.refolded()
            answers += other.actor.handle(message, now_utc_ms)
        whole.append(answers)
    assert all(answers == whole[0] for answers in whole)
