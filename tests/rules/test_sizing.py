import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.messages.broker_gateway import ForeignPositionSeen
from evenkeel.messages.market import Direction, PointWorth, SymbolSpec
from evenkeel.messages.position import ExitReason, PositionPriced, PositionReduced
from evenkeel.rules.sizing import (
    Book,
    Holding,
    cents_for,
    floating_cents,
    foreign_holding_of,
    loss_per_step,
    marked,
    notional_cents,
    open_risk_cents,
    ppm_of_pct,
    priced,
    realized,
    reduced,
    share_of,
    steps_of_lots,
    steps_within,
)

EURUSD = SymbolSpec(
    spec_id=1,
    symbol="EURUSD",
    digits=5,
    contract_size=100_000,
    steps_per_lot=100,
    volume_min_steps=1,
    volume_max_steps=10_000,
    stops_level_points=0,
    worth=PointWorth(100, 1),
    notional_cents_per_lot=11_000_000,
    typical_spread_points=10,
    commission_cents_per_lot=350,
)
USDJPY = SymbolSpec(
    spec_id=2,
    symbol="USDJPY",
    digits=3,
    contract_size=100_000,
    steps_per_lot=100,
    volume_min_steps=1,
    volume_max_steps=10_000,
    stops_level_points=0,
    worth=PointWorth(133, 2),
    notional_cents_per_lot=10_000_000,
    typical_spread_points=10,
)


def holding(direction: Direction = Direction.BUY, *, stop_points: int = 109_900, reserved_cents: int = 0) -> Holding:
    return Holding(
        symbol="EURUSD",
        direction=direction,
        volume_steps=10,
        entry_points=110_000,
        stop_points=stop_points,
        reserved_cents=reserved_cents,
        is_foreign=False,
        mark_points=None,
        marked_steps=10,
    )


@pytest.mark.parametrize(
    "distance_points, steps, spec, cents",
    [
        (200, 10, EURUSD, 2070),  # 20 pips of 0.10 lot are $20, both commissions 70 cents
        (1, 1, USDJPY, 1),  # 0.665 cents, rounded up
        (1000, 100, USDJPY, 66_500),
        (0, 3, EURUSD, 21),
    ],
)
def test_a_loss_has_both_commissions_and_is_rounded_up(distance_points, steps, spec, cents):
    assert cents_for(steps, loss_per_step(distance_points, spec)) == cents


@given(
    budget=st.integers(0, 10**9),
    points=st.integers(1, 100_000),
    numerator=st.integers(1, 10_000),
    denominator=st.integers(1, 1000),
)
def test_a_volume_for_a_budget_never_costs_more_and_one_step_more_would(budget, points, numerator, denominator):
    from_ratio = SymbolSpec(1, "X", 5, 1, 100, 1, 100, 0, PointWorth(numerator, denominator), 1, 1, 7)
    per_step = loss_per_step(points, from_ratio)
    steps = steps_within(budget, per_step)
    assert cents_for(steps, per_step) <= budget < cents_for(steps + 1, per_step)


def test_a_budget_that_is_overdrawn_allows_nothing():
    assert steps_within(-1, loss_per_step(100, EURUSD)) == 0


@pytest.mark.parametrize("lots, steps", [(0.10, 10), (0.29, 29), (0.57, 57), (1.0, 100), (0.019, 1), (0.009, 0)])
def test_lots_become_steps_in_spite_of_binary_floats(lots, steps):
    assert steps_of_lots(lots, EURUSD) == steps


def test_a_percentage_of_cents_is_exact():
    assert share_of(1_000_000, ppm_of_pct(0.3)) == 3000


@pytest.mark.parametrize("direction, cents", [(Direction.BUY, 100), (Direction.SELL, -120)])
def test_a_buy_floats_at_the_bid_and_a_sell_at_the_ask(direction, cents):
    book = Book(specs={"EURUSD": EURUSD}, holdings={1: marked(holding(direction), 110_010, 110_012)})
    assert floating_cents(book) == cents


def test_what_a_deal_realized_no_longer_floats():
    book = Book(specs={"EURUSD": EURUSD}, holdings={1: realized(marked(holding(), 110_010, 110_012), 4)})
    assert floating_cents(book) == 60


def test_open_risk_runs_from_entry_to_stop_with_slippage_and_commissions():
    book = Book(specs={"EURUSD": EURUSD}, holdings={1: holding()})
    assert open_risk_cents(book, slippage_points=20) == 1270


def test_a_reservation_is_kept_until_the_deal_is_known():
    book = Book(specs={"EURUSD": EURUSD}, holdings={1: holding(reserved_cents=5000)})
    assert open_risk_cents(book, slippage_points=20) == 5000


def test_a_stop_in_profit_still_risks_slippage_and_commissions():
    book = Book(specs={"EURUSD": EURUSD}, holdings={1: holding(stop_points=110_100)})
    assert open_risk_cents(book, slippage_points=20) == 270


def test_without_a_stop_everything_is_at_risk():
    book = Book(specs={"EURUSD": EURUSD}, holdings={1: holding(stop_points=0)})
    assert open_risk_cents(book, slippage_points=20) == notional_cents(book) == 1_100_000


def test_somebody_else_s_position_has_no_stop_of_ours_and_floats_from_its_own_price():
    seen = ForeignPositionSeen(7, "EURUSD", 1, Direction.SELL, 10, 110_000)
    assert foreign_holding_of(seen) == Holding("EURUSD", Direction.SELL, 10, 110_000, 0, 0, True, None, 10)


def test_a_deal_moves_the_stop_with_the_price_frees_the_reservation_and_invents_no_stop():
    deal = PositionPriced(7, "EURUSD", 1, 110_005, 8, 0)
    moved = priced(holding(reserved_cents=900), deal)
    assert (moved.entry_points, moved.stop_points, moved.volume_steps, moved.reserved_cents) == (110_005, 109_905, 8, 0)
    assert priced(holding(stop_points=0), deal).stop_points == 0


@pytest.mark.parametrize("marked_steps, floats", [(10, 4), (3, 3)])
def test_what_left_no_longer_floats(marked_steps, floats):
    held = msgspec.structs.replace(holding(), marked_steps=marked_steps)
    rest = reduced(held, PositionReduced(7, "EURUSD", 1, 4, 110_100, 0, ExitReason.STOP))
    assert (rest.volume_steps, rest.marked_steps) == (4, floats)


@pytest.mark.parametrize("unknown", [{"mark_points": None}, {"entry_points": 0}])
def test_without_an_entry_or_a_present_price_nothing_floats(unknown):
    held = msgspec.structs.replace(holding(), mark_points=110_100)
    assert floating_cents(Book({"EURUSD": EURUSD}, holdings={1: held})) != 0
    assert floating_cents(Book({"EURUSD": EURUSD}, holdings={1: msgspec.structs.replace(held, **unknown)})) == 0


def test_a_new_price_is_that_of_all_that_is_left():
    held = msgspec.structs.replace(holding(), marked_steps=3)
    assert marked(held, 110_100, 110_110).marked_steps == 10
