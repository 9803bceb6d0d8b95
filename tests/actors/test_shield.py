"""The block shield by itself, with a market that crosses what it arms (tests/shield_builders.py)."""

from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orders import order
from shield_builders import BUY, CHAINS, FALL, FLAT, GOLD, MINUTE_MS, RISE, SELL, SYMBOL, Post, ended

from evenkeel.actors.broker_gateway import BrokerGateway
from evenkeel.config.chains import ShieldConfig
from evenkeel.messages.broker_gateway import CallTerminal, Outcome, PositionsRead, TerminalAnswered
from evenkeel.messages.entry import Lineage, OpenPosition, OrderKind
from evenkeel.messages.market import Direction, SymbolSpecified
from evenkeel.messages.operator import CommandDone, CommandRefused, Mode, ModeChanged, TradingRearmed
from evenkeel.messages.position import ExitReason, PositionPriced, ReducePosition, StopTightened
from evenkeel.messages.shield import LowerShield, ShieldClosing, ShieldLowered, ShieldRaised, ShieldReason
from evenkeel.messages.system import RunStarted
from evenkeel.rules.shield import CLOSED_MAX, LOOK_MS
from evenkeel.runtime.actor import restore, snapshot_of

HOUR = 60 * MINUTE_MS
AWAY = ShieldRaised(SYMBOL, BUY, ShieldReason.AWAY, 201, 200, HOUR, ())
LOWER = LowerShield("lower-1", "me", SYMBOL, BUY)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def raised(post: Post) -> Post:
    """BUY is blocked for an hour; nothing of it is open."""
    post.open()
    post.close()
    assert post.quote(9_799) == [AWAY]
    return post


def lowered(by: str) -> ShieldLowered:
    return ShieldLowered(SYMBOL, BUY, by)


# -- it is too far away -------------------------------------------------------------------------------------------------------


def test_a_trade_bought_at_100_and_stopped_at_99_blocks_buying_for_an_hour_when_price_falls_to_97_99(post):
    post.open()
    post.close()
    post.wait(59)
    assert post.quote(9_800) == []
    [fired] = post.quote(9_799)
    assert (fired.direction, fired.reason, fired.measured_points, fired.bound_points) == (BUY, ShieldReason.AWAY, 201, 200)
    assert fired.until_utc_ms == post.now_utc_ms + HOUR


def test_a_trade_that_was_closed_an_hour_ago_is_no_witness_any_more(post):
    post.open()
    post.close()
    post.wait(60)
    assert post.quote(9_700) == []


def test_a_sold_trade_is_judged_at_the_ask(post):
    post.open(direction=SELL)
    post.close(direction=SELL, at=10_100)
    assert post.quote(10_190, 10_200) == []
    [fired] = post.quote(10_190, 10_201)
    assert fired.direction is SELL


def test_the_witness_is_the_entry_of_the_deal_and_the_risk_of_the_opening(post):
    post.open()
    post.hear(PositionPriced(1, SYMBOL, 1, 9_990, 10, 0))
    post.hear(StopTightened(1, SYMBOL, 1, 9_985, 9_890))
    post.close(at=9_985)
    assert post.quote(9_790) == []
    [fired] = post.quote(9_789)
    assert (fired.measured_points, fired.bound_points) == (201, 200)


def test_a_stop_trailed_past_the_entry_does_not_blind_it(post):
    """The distance from a stop beyond the entry is negative: nothing could ever be farther than twice that."""
    post.open()
    post.hear(StopTightened(1, SYMBOL, 1, 10_050, 9_900))
    post.close(at=10_050)
    assert [one.reason for one in post.quote(9_799)] == [ShieldReason.AWAY]


# -- a gap --------------------------------------------------------------------------------------------------------------------


def test_a_first_price_half_the_risk_beyond_the_stop_is_no_gap_and_one_point_more_is(post):
    post.open()
    assert post.quote(9_850) == []
    post.open(2)
    assert post.quote(9_849) == [ShieldRaised(SYMBOL, BUY, ShieldReason.GAP, 51, 50, HOUR, (1, 2))]


def test_a_price_that_came_to_the_stop_step_by_step_has_left_no_gap(post):
    post.open()
    assert [post.quote(bid) for bid in (9_900, 9_849, 9_801)] == [[], [], []]


def test_a_stop_that_was_filled_far_beyond_its_level_is_a_gap_although_no_price_was_seen(post):
    post.open()
    assert post.close(at=9_849) == [ShieldRaised(SYMBOL, BUY, ShieldReason.GAP, 51, 50, HOUR, ())]


@pytest.mark.parametrize(
    "reason, fires", [(ExitReason.CATASTROPHE, True), (ExitReason.EMERGENCY, True), (ExitReason.PERSON, False)]
)
def test_only_what_a_stop_closed_tells_of_a_gap(post, reason, fires):
    post.open()
    assert bool(post.close(at=9_700, reason=reason)) is fires


def test_a_gap_that_is_heard_of_after_an_hour_is_over(post):
    post.open()
    post.now_utc_ms = HOUR
    assert post.hear(ended(1, close_points=9_000, closed_utc_ms=0)) == []


def test_a_gap_is_measured_from_where_the_stop_was_trailed_to(post):
    post.open()
    post.hear(StopTightened(1, SYMBOL, 1, 10_040, 9_900))
    assert [(one.reason, one.measured_points) for one in post.quote(9_989)] == [(ShieldReason.GAP, 51)]


# -- bars ---------------------------------------------------------------------------------------------------------------------


def test_three_wide_bars_through_the_swing_fire_while_the_trade_is_far_from_its_stop(post):
    """A trigger at twice the distance of a stop that works can never come before the stop."""
    post.open()
    [fired] = post.bars(*FLAT, *FALL)
    assert (fired.reason, fired.tickets) == (ShieldReason.BARS, (1,))
    assert fired.measured_points >= fired.bound_points > 0


def test_bars_against_nobody_fire_nothing(post):
    post.open(direction=SELL)
    assert post.bars(*FLAT, *FALL) == []


def test_late_bars_are_history(post):
    post.open()
    assert post.bars(*FLAT, *FALL, late=True) == []


def test_bars_of_other_periods_are_nothing_to_it(post):
    post.open()
    before = snapshot_of(post.shield)
    assert post.bars(*FLAT, *FALL, timeframe="M1") == []
    assert snapshot_of(post.shield) == before


# -- what firing does ---------------------------------------------------------------------------------------------------------


def test_everything_open_of_the_direction_is_named_and_nothing_of_the_other(post):
    post.open(1)
    post.open(2, SELL)
    post.open(3, entry_points=9_950, stop_points=9_850)
    [fired] = post.quote(9_849)
    assert fired.tickets == (1, 3)


def test_one_quote_that_several_trades_witness_fires_once(post):
    for ticket in (1, 2, 3):
        post.open(ticket)
    assert len(post.quote(9_700)) == 1


def test_another_symbol_is_another_matter(post):
    post.open(1)
    post.open(2, symbol="SILVER")
    [fired] = post.quote(9_700)
    assert (fired.symbol, fired.tickets) == (SYMBOL, (1,))
    [other] = post.quote(9_700, symbol="SILVER")
    assert (other.symbol, other.tickets) == ("SILVER", (2,))


def test_a_close_that_fails_is_listed_and_asked_for_again_until_it_is_done(post):
    """A shield that is active already does not leave it at that."""
    post.open(1)
    post.open(2)
    post.quote(9_700)
    again = [ReducePosition(ticket, SYMBOL, 0, ExitReason.SHIELD) for ticket in (1, 2)]
    assert post.wait(LOOK_MS / MINUTE_MS) == [*again, ShieldClosing(SYMBOL, BUY, (1, 2))]
    assert post.wait(LOOK_MS / MINUTE_MS) == again
    post.close(1, at=9_700, reason=ExitReason.SHIELD)
    assert post.wait(LOOK_MS / MINUTE_MS) == [again[1], ShieldClosing(SYMBOL, BUY, (2,))]
    post.close(2, at=9_700, reason=ExitReason.SHIELD)
    assert post.wait(5) == []


def test_an_order_that_fills_into_the_blocked_direction_is_closed(raised):
    assert raised.open(9) == [ReducePosition(9, SYMBOL, 0, ExitReason.SHIELD)]
    assert raised.open(10, SELL) == []


# -- the end of it ------------------------------------------------------------------------------------------------------------


def test_it_is_lowered_after_an_hour(raised):
    assert raised.wait(59.9) == []
    assert raised.wait(0.1) == [lowered("time")]


def test_its_time_is_not_over_while_something_is_still_open(post):
    post.open()
    post.quote(9_700)
    assert not any(isinstance(one, ShieldLowered) for one in post.wait(70))
    post.close(reason=ExitReason.SHIELD)
    assert post.wait(1) == [lowered("time")]


def test_a_person_lowers_it_and_is_answered_after_it_is_lowered(raised):
    assert raised.hear(LOWER) == [lowered("me"), CommandDone("lower-1", "buy of GOLD is free again")]
    assert raised.hear(LOWER) == [CommandRefused("lower-1", "no shield blocks buy of GOLD")]
    assert raised.wait(120) == []


def test_a_trend_that_turns_back_lowers_it(post):
    post.bars(*FLAT, *FALL)
    post.open()
    post.close()
    post.quote(9_799)
    up = [(9_800 + 30 * n, 9_835 + 30 * n, 9_800 + 30 * n, 9_830 + 30 * n) for n in range(20)]
    assert lowered("trend") in post.bars(*up)
    assert post.wait(120) == []


def test_a_trend_that_never_turned_away_does_not_lower_it(post):
    """Right after a gap the last bars still lead up: that is no turn."""
    up = [(9_000 + 30 * n, 9_035 + 30 * n, 9_000 + 30 * n, 9_030 + 30 * n) for n in range(20)]
    post.bars(*up)
    post.open()
    post.close(at=9_700)
    assert post.bars((9_700, 9_800, 9_700, 9_790)) == []


def test_it_fires_again_only_for_a_trade_that_was_opened_after_it(raised):
    raised.hear(LOWER)
    assert raised.quote(9_700) == []
    raised.open(5, entry_points=9_700, stop_points=9_600)
    assert [type(one) for one in raised.quote(9_540)] == [ShieldRaised]


def test_both_directions_may_be_blocked_at_once(raised):
    raised.open(5, SELL, entry_points=9_700, stop_points=9_800)
    [fired] = raised.quote(9_950)
    assert fired.direction is SELL


# -- what it remembers --------------------------------------------------------------------------------------------------------


def test_it_watches_a_bounded_number_of_closed_trades(post):
    for ticket in range(1, CLOSED_MAX + 20):
        post.open(ticket)
        post.close(ticket)
    assert len(post.watches[SYMBOL].armed) == len(post.shield.state.blocks.exposures) == CLOSED_MAX


def test_nothing_is_left_of_a_trade_that_is_forgotten(post):
    before = snapshot_of(post.shield)
    post.open()
    post.close(net_cents=0)
    post.wait(60)
    assert snapshot_of(post.shield) == before
    assert (post.watches[SYMBOL].armed, post.timers) == ([], {})


def test_a_trade_without_a_stop_is_watched_by_bars_alone(post):
    post.open(stop_points=0)
    assert post.watches.get(SYMBOL) is None
    assert [one.reason for one in post.bars(*FLAT, *FALL)] == [ShieldReason.BARS]


def test_with_other_digits_what_was_closed_means_nothing_any_more(post):
    post.open()
    post.close()
    post.hear(SymbolSpecified(msgspec.structs.replace(GOLD, spec_id=2, digits=3)))
    assert post.quote(9_000) == []


def test_switched_off_it_watches_nothing():
    post = Post(ShieldConfig(enabled=False))
    post.open()
    assert (post.quote(9_000), post.bars(*FLAT, *RISE)) == ([], [])


def story(post: Post) -> list[Any]:
    post.bars(*FLAT)
    post.open(1)
    post.open(2)
    post.hear(PositionPriced(1, SYMBOL, 1, 10_005, 10, 0))
    post.close(2)
    post.quote(9_849)
    post.wait(1)
    post.open(3)
    post.close(1, at=9_849, reason=ExitReason.SHIELD)
    post.wait(61)
    post.close(3, at=9_840, reason=ExitReason.SHIELD)
    post.wait(61)
    post.open(4, SELL)
    post.bars(*RISE)
    return post.said


def test_it_goes_on_where_it_was_after_a_restart_before_any_message():
    said = story(Post())
    assert {ShieldRaised, ShieldClosing, ReducePosition, ShieldLowered} == {type(one) for one in said}
    assert story(Post(restarts=True)) == said


# -- no way around it ---------------------------------------------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("order"), st.sampled_from([BUY, SELL]), st.sampled_from(list(OrderKind))),
    st.tuples(st.just("trade"), st.sampled_from([BUY, SELL])),
    st.tuples(st.just("quote"), st.sampled_from([9_799, 9_849, 9_900, 10_000, 10_100, 10_151, 10_201])),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 61])),
    st.tuples(st.just("lower"), st.sampled_from([BUY, SELL])),
    st.tuples(st.just("person"), st.sampled_from([TradingRearmed("me", 1), ModeChanged(Mode.RUN, 1, "me", "again")])),
    st.tuples(st.just("restart")),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_no_order_of_any_kind_leaves_the_gateway_into_a_direction_between_raised_and_lowered(steps):
    post, gateway, blocked, told, tickets = Post(), open_gateway(), [], 0, count(1)
    for what, *how in steps:
        match what:
            case "order":
                direction, kind = how
                sent = [
                    one for one in gateway.handle(order_of(direction, kind), post.now_utc_ms) if isinstance(one, CallTerminal)
                ]
                assert bool(sent) is (direction not in blocked)
                for call in sent:
                    gateway.handle(TerminalAnswered(call.intent_id, Outcome.REJECTED, 0, 0, 0, 1, ""), post.now_utc_ms)
            case "trade":
                post.open(next(tickets), *how)
            case "quote":
                post.quote(*how)
            case "wait":
                post.wait(*how)
                for ticket, direction in list(post.open_now.items()):
                    post.close(ticket, direction, at=10_000)
            case "lower":
                post.hear(LowerShield("lower", "me", SYMBOL, *how))
            case "person":
                gateway.handle(*how, post.now_utc_ms)
            case "restart":
                gateway = again(gateway)
        for one in post.said[told:]:
            if isinstance(one, ShieldRaised):
                blocked.append(one.direction)
                gateway.handle(one, post.now_utc_ms)
            elif isinstance(one, ShieldLowered):
                blocked.remove(one.direction)
                gateway.handle(one, post.now_utc_ms)
        told = len(post.said)


def open_gateway() -> BrokerGateway:
    """Running, and agreed with an empty broker."""
    gateway = BrokerGateway(CHAINS, ())
    for at, message in enumerate(
        (
            RunStarted("build", "configuration", "test", 7, continued=True, crashed=False),
            ModeChanged(Mode.RUN, 1, "me", "start"),
            PositionsRead(1, (), 0),
            PositionsRead(2, (), 0),
        )
    ):
        gateway.handle(message, at * 10_000 - 40_000)
    return gateway


def again(gateway: BrokerGateway) -> BrokerGateway:
    after = BrokerGateway(CHAINS, ())
    restore(after, snapshot_of(gateway))
    return after


def order_of(direction: Direction, kind: OrderKind) -> OpenPosition:
    lineage = Lineage("any", "trend", chain_id="x", parent_ticket=3, level=1, order_kind=kind.value)
    return order(direction, symbol=SYMBOL, lineage=lineage)
