"""The hedge after a stop, on the trade of trading_rules 1.12 B: bought at 2000, stopped at 1990 (in points of 0.01)."""

from typing import Any

import pytest
from risk_builders import EURUSD, proposal
from shield_builders import (
    BUY,
    CHAIN,
    CHAINS,
    GOLD,
    HEDGING,
    MINUTE_MS,
    SELL,
    SYMBOL,
    Post,
    leg,
    leg_ended,
    leg_lineage,
    wanted,
)

from evenkeel.config.chains import HedgeShieldConfig, ShieldConfig
from evenkeel.messages.broker_gateway import (
    AccountRead,
    Deal,
    DealDone,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
)
from evenkeel.messages.entry import DenialReason, OrderDenied, OrderKind, ReentryRaised
from evenkeel.messages.market import Direction, Quote, SymbolSpecified
from evenkeel.messages.position import ExitReason, ReducePosition
from evenkeel.messages.recovery import StopChain
from evenkeel.messages.shield import HedgeEnd, HedgeEnded
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.chain_risk import ChainRisk, chain_booked, chain_opened, chain_refusal
from evenkeel.rules.entries import Refusal
from evenkeel.rules.hedge import ANSWER_MS
from evenkeel.rules.sizing import Book, Holding

A, B = OrderKind.SHIELD_A, OrderKind.SHIELD_B
KILL = 199_700


@pytest.fixture
def post() -> Post:
    return Post(HEDGING)


@pytest.fixture
def asked(post: Post) -> Post:
    """Both legs are on their way."""
    post.hear(wanted())
    return post


@pytest.fixture
def hedged(asked: Post) -> Post:
    """Both legs, 11 and 12, are open."""
    assert asked.hear(leg(11, A)) == asked.hear(leg(12, B)) == []
    return asked


def denied(kind: OrderKind) -> OrderDenied:
    return OrderDenied("p", SYMBOL, SELL, "risk_limit", DenialReason.POSITIONS, 5, 5, "count", leg_lineage(kind))


def rejected(kind: OrderKind, code: int = 10019, quote: Quote | None = None) -> OrderRejected:
    return OrderRejected("p", SYMBOL, SELL, 1, code, "no money", leg_lineage(kind), quote)


def close(ticket: int) -> ReducePosition:
    return ReducePosition(ticket, SYMBOL, 0, ExitReason.SHIELD)


def ended(told: list[Any]) -> tuple[HedgeEnd, int]:
    [end] = told
    assert isinstance(end, HedgeEnded), end
    return end.end, end.net_cents


def why_not(post: Post, **changed: Any) -> str:
    """Why it is not even tried."""
    [end] = post.hear(wanted(**changed))
    assert end.end is HedgeEnd.REFUSED
    return str(end.detail)


# -- what is ordered ----------------------------------------------------------------------------------------------------------


def test_two_halves_are_sold_from_1990_with_their_stop_at_2000_and_the_target_of_a_at_1980(post):
    a, b = post.hear(wanted())
    assert [type(a), type(b)] == [ReentryRaised, ReentryRaised]
    assert (a.stop_distance_points, a.target_distance_points, a.volume_steps) == (1_000, 1_000, 5)
    assert (b.stop_distance_points, b.target_distance_points, b.volume_steps) == (1_000, 0, 5)
    assert [one.signal.direction for one in (a, b)] == [SELL, SELL]
    assert [one.signal.lineage for one in (a, b)] == [leg_lineage(A), leg_lineage(B)]


def test_a_sold_trade_is_hedged_the_other_way_round(post):
    a, _ = post.hear(wanted(SELL))
    assert (a.signal.direction, a.stop_distance_points, a.target_distance_points) == (BUY, 1_000, 1_000)


def test_target_and_stop_stay_where_they_belong_when_price_is_past_the_stop_already(post):
    a, _ = post.hear(wanted(quote=Quote(0, 198_900, 198_950)))
    assert (198_900 + a.stop_distance_points, 198_900 - a.target_distance_points) == (200_000, 198_000)


def test_the_volume_shrinks_until_enough_margin_stays_free(post):
    """10 steps of a notional of 110,000 cents each, at 1:100, in legs of half: 1,100 cents a step."""
    post.hear(AccountRead(1_000_000, 10_000, 1_400, "USD", 2, 100))
    a, b = post.hear(wanted())
    assert (a.volume_steps, b.volume_steps) == (3, 3)


@pytest.mark.parametrize("lost, steps", [(10_000, 2), (11_000, 2), (11_001, 1), (13_000, 1)])
def test_the_volume_shrinks_until_the_day_s_limit_keeps_its_buffer(post, lost, steps):
    """200 a day at a balance of 10,000, of which 50 are kept: a step of both legs loses 20 at the stop."""
    post.close(1, net_cents=-lost, lineage=leg_lineage(A))
    assert [one.volume_steps for one in post.hear(wanted())] == [steps, steps]


def test_what_was_lost_the_day_before_does_not_count(post):
    post.close(1, net_cents=-20_000, lineage=leg_lineage(A))
    assert why_not(post) == "volume of 0 steps a leg, the least is 1"
    post.hear(TradingDayStarted("2026-01-06", 0, 1))
    assert len(post.hear(wanted())) == 2


def test_the_legs_are_a_chain_of_their_own(asked):
    assert {one.signal.lineage.chain_id for one in asked.said} == {f"{CHAIN}/s7"}


# -- what is not even tried ---------------------------------------------------------------------------------------------------


def test_switched_off_nothing_is_hedged():
    assert why_not(Post(ShieldConfig())) == "shield.hedge is off"


def test_a_small_balance_is_not_hedged_and_every_deal_counts(post):
    post.hear(AccountRead(10_000, 10_000, 0, "USD", 2, 100))
    loss = {"profit_cents": -1, "commission_cents": 0, "swap_cents": 0}
    fields = dict.fromkeys(Deal.__struct_fields__, 0) | loss
    post.hear(DealDone(Deal(**fields)))
    assert why_not(post) == "balance of 99.99 USD, shield.hedge.balance_min is 100.00 USD"


def test_a_fourth_hedge_is_one_too_many(post):
    for number in range(3):
        post.hear(wanted(chain_id=f"GOLD-{number}-1", parent_ticket=100 + number))
    assert why_not(post) == "3 hedges stand, shield.hedge.sets_max is 3"


def test_a_chain_is_hedged_once_at_a_time(asked):
    assert why_not(asked) == "the chain is hedged already"


def test_half_of_the_least_volume_is_no_leg(post):
    assert why_not(post, volume_steps=1) == "volume of 0 steps a leg, the least is 1"


@pytest.mark.parametrize(
    "bid, why",
    [(198_000, "price of 198000 is beyond the target of leg A already"), (KILL, "price is back at 199700 already")],
)
def test_a_price_that_leaves_nothing_to_win_is_not_hedged(post, bid, why):
    assert why_not(post, quote=Quote(0, bid, bid + 10)) == why


def test_before_the_account_was_read_nothing_is_hedged():
    post = Post(HEDGING)
    post.shield.state.hedges.account = None
    assert why_not(post) == "the symbol's terms or the account are not known yet"


# -- one leg fails ------------------------------------------------------------------------------------------------------------


def test_when_leg_b_is_rejected_leg_a_is_closed_and_the_plain_recovery_may_start(asked):
    asked.hear(leg(11, A))
    assert asked.hear(rejected(B)) == [close(11)]
    assert ended(asked.hear(leg_ended(11, A, ExitReason.SHIELD, -40))) == (HedgeEnd.REFUSED, -40)


def test_a_leg_that_fills_after_the_other_was_denied_is_closed_at_once(asked):
    assert asked.hear(denied(A)) == []
    assert asked.hear(leg(12, B)) == [close(12)]
    assert ended(asked.hear(leg_ended(12, B, ExitReason.SHIELD))) == (HedgeEnd.REFUSED, 0)


def test_two_denials_are_the_end_of_it(asked):
    assert asked.hear(denied(A)) == []
    assert ended(asked.hear(denied(B))) == (HedgeEnd.REFUSED, 0)


def test_an_unknown_outcome_is_waited_for(asked):
    asked.hear(leg(11, A))
    assert asked.hear(OrderOutcomeUnknown("p", SYMBOL, SELL, 1, "", leg_lineage(B))) == []
    assert asked.wait(1) == []
    assert asked.hear(OrderOutcomeResolved("p", SYMBOL, SELL, 1, leg_lineage(B))) == [close(11)]


def test_a_price_that_moved_is_tried_again_before_the_leg_counts_as_refused(asked):
    asked.hear(leg(11, A))
    assert asked.hear(rejected(B, 10004, Quote(0, 1, 1))) == []
    assert asked.hear(leg(12, B)) == []
    assert asked.wait(ANSWER_MS / MINUTE_MS) == []


def test_a_rejected_leg_of_which_nothing_more_is_heard_is_refused(asked):
    asked.hear(leg(11, A))
    asked.hear(rejected(B, 10004, Quote(0, 1, 1)))
    assert asked.wait(ANSWER_MS / MINUTE_MS) == [close(11)]


def test_a_third_requote_is_a_refusal(asked):
    asked.hear(leg(11, A))
    moved = rejected(B, 10004, Quote(0, 1, 1))
    assert [asked.hear(moved) for _ in range(3)] == [[], [], [close(11)]]


@pytest.mark.parametrize("reason", [ExitReason.LATE_FILL, ExitReason.NEVER_OPENED])
def test_a_leg_that_was_not_kept_is_one_that_failed(hedged, reason):
    assert hedged.hear(leg_ended(12, B, reason, -10)) == [close(11)]
    assert ended(hedged.hear(leg_ended(11, A, ExitReason.SHIELD, -40))) == (HedgeEnd.REFUSED, -50)


def test_a_leg_that_nobody_waits_for_any_more_is_closed(post):
    assert post.hear(leg(11, A)) == [close(11)]


# -- the price comes back -----------------------------------------------------------------------------------------------------


def test_at_1997_both_legs_are_closed_and_the_recovery_waits_until_both_are(hedged):
    assert hedged.quote(KILL - 1) == []
    assert hedged.quote(KILL) == [close(11), close(12)]
    assert hedged.hear(leg_ended(11, A, ExitReason.SHIELD, -350)) == []
    assert ended(hedged.hear(leg_ended(12, B, ExitReason.SHIELD, -350))) == (HedgeEnd.KILLED, -700)


def test_a_bought_trade_is_back_by_the_bid_and_a_sold_one_by_the_ask(post):
    post.hear(wanted(SELL, kill_points=200_300))
    post.hear(leg(11, A, BUY))
    assert post.quote(200_300, 200_301) == []
    assert post.quote(200_299, 200_300) == [close(11)]


def test_a_leg_that_is_still_on_its_way_then_is_closed_when_it_opens(asked):
    asked.hear(leg(11, A))
    asked.quote(KILL)
    asked.hear(leg_ended(11, A, ExitReason.SHIELD))
    assert asked.hear(leg(12, B)) == [close(12)]
    assert ended(asked.hear(leg_ended(12, B, ExitReason.SHIELD))) == (HedgeEnd.KILLED, 0)


def test_leg_a_at_its_target_keeps_its_profit_and_the_watch_goes_on(hedged):
    assert hedged.hear(leg_ended(11, A, ExitReason.TARGET, 500)) == []
    assert hedged.hear(leg_ended(12, B, ExitReason.BOOKED, 700)) == []
    assert ended(hedged.quote(KILL)) == (HedgeEnd.KILLED, 1_200)


# -- other ends ---------------------------------------------------------------------------------------------------------------


def test_legs_that_were_stopped_end_it_as_lost(hedged):
    assert hedged.hear(leg_ended(11, A, ExitReason.STOP, -500)) == []
    assert ended(hedged.hear(leg_ended(12, B, ExitReason.STOP, -500))) == (HedgeEnd.STOPPED, -1_000)


def test_at_the_end_of_the_window_no_leg_is_left_open(hedged):
    assert hedged.wait(30) == [close(11), close(12)]
    hedged.hear(leg_ended(11, A, ExitReason.SHIELD, 10))
    assert ended(hedged.hear(leg_ended(12, B, ExitReason.SHIELD, 10))) == (HedgeEnd.EXPIRED, 20)


def test_the_first_end_is_the_one_that_counts(hedged):
    hedged.quote(KILL)
    hedged.wait(30)
    hedged.hear(leg_ended(11, A, ExitReason.SHIELD))
    assert ended(hedged.hear(leg_ended(12, B, ExitReason.SHIELD))) == (HedgeEnd.KILLED, 0)


def test_a_person_who_stops_the_chain_ends_its_hedge(hedged):
    assert hedged.hear(StopChain("stop-1", "me", "other", CHAIN)) == []
    assert hedged.hear(StopChain("stop-1", "me", "trend", CHAIN)) == [close(11), close(12)]


def test_nothing_is_left_of_a_hedge_that_is_over(hedged):
    hedged.quote(KILL)
    hedged.hear(leg_ended(11, A, ExitReason.SHIELD))
    hedged.hear(leg_ended(12, B, ExitReason.SHIELD))
    assert hedged.shield.state.hedges.hedges == {}
    assert (hedged.watches[SYMBOL].armed, hedged.timers) == ([], {})


def test_a_block_of_the_legs_direction_closes_them_and_one_of_the_trade_s_leaves_them():
    both = ShieldConfig(hedge=HedgeShieldConfig(enabled=True))
    post = Post(both)
    post.hear(wanted())
    post.hear(leg(11, A, entry_points=199_000, stop_points=200_000))
    [raised] = [one for one in post.quote(200_501) if not isinstance(one, ReducePosition)]
    assert (raised.direction, raised.tickets) == (SELL, (11,))
    post = Post(both)
    post.hear(wanted())
    post.hear(leg(11, A, entry_points=199_000, stop_points=200_000))
    post.open(5, entry_points=199_000, stop_points=198_900)
    [raised] = post.quote(198_799)
    assert (raised.direction, raised.tickets) == (Direction.BUY, (5,))


# -- what the chain may lose in all -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps, refusal", [(5, None), (6, Refusal(DenialReason.CHAIN_RISK_BUDGET, 22_700, 22_000, "cents"))])
def test_the_stopped_trade_two_legs_until_price_is_back_and_the_recovery_are_2_2_r(steps, refusal):
    """A trade of 10 steps has lost 1,000 points, R; leg A of 5 is open, and a recovery with half of the stop waits."""
    chains = {CHAIN: ChainRisk(r_cents=10_000, booked_cents=-10_000, is_hedged=True)}
    lineage = leg_lineage(B)
    leg_a = Holding("EURUSD", SELL, 5, 199_000, 200_000, 0, False, None, 5, chain_id=lineage.chain_id)
    book = Book(specs={"EURUSD": EURUSD}, holdings={11: leg_a})
    leg_b = proposal(stop_distance_points=1_000, direction=SELL, lineage=lineage)
    assert chain_refusal(CHAINS, chains, book, leg_b, steps, waiting=1) == refusal


def test_what_the_legs_bring_is_the_chain_s():
    chains = {CHAIN: ChainRisk(r_cents=10_000)}
    chain_opened(chains, leg(11, A), 0)
    chain_booked(chains, leg_ended(11, A, ExitReason.TARGET, 500))
    assert chains == {CHAIN: ChainRisk(10_000, booked_cents=500, is_hedged=True)}


def story(post: Post) -> list[Any]:
    post.hear(SymbolSpecified(GOLD))
    post.hear(wanted())
    post.hear(rejected(A, 10004, Quote(0, 1, 1)))
    post.hear(leg(11, A))
    post.hear(leg(12, B))
    post.hear(leg_ended(12, B, ExitReason.BOOKED, 700))
    post.quote(KILL)
    post.hear(leg_ended(11, A, ExitReason.SHIELD, -350))
    post.hear(wanted(parent_ticket=8, until_utc_ms=post.now_utc_ms + MINUTE_MS))
    post.hear(denied(A))
    post.wait(2)
    return post.said


def test_it_goes_on_where_it_was_after_a_restart_before_any_message():
    assert story(Post(HEDGING, restarts=True)) == story(Post(HEDGING))
