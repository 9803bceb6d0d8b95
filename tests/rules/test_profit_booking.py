"""When a level of a pyramid is complete, and what follows."""

import msgspec
import pytest

from evenkeel.config.chains import ProfitBookingConfig, ProfitHuntConfig
from evenkeel.messages.market import Direction
from evenkeel.messages.position import ExitReason
from evenkeel.messages.profit_booking import OrderStatus, Pyramid, PyramidOrder, PyramidState
from evenkeel.rules.profit_booking import (
    Meaning,
    given_up,
    is_pyramid,
    may_hunt,
    meaning_of,
    next_level,
    target_cents,
    verdict,
    with_money,
    with_orders,
)
from evenkeel.rules.tries import back_off_ms

B, R, L, X, OPEN, W, P = (
    OrderStatus.BOOKED,
    OrderStatus.RECOVERED,
    OrderStatus.LOST,
    OrderStatus.REFUSED,
    OrderStatus.OPEN,
    OrderStatus.WAITING,
    OrderStatus.PLACING,
)
STRICT = ProfitBookingConfig(levels_enabled=(0, 1, 2, 3))
PARTIAL = ProfitBookingConfig(levels_enabled=(0, 1, 2, 3), allow_partial=True)
STOPPED, COMPLETED = PyramidState.STOPPED, PyramidState.COMPLETED


def pyramid(*statuses, level=1, level_max=4):
    orders = tuple(PyramidOrder(number, level, status) for number, status in enumerate(statuses, start=1))
    known = "EURUSD-k-1/b", "trend", "EURUSD", 1, Direction.BUY, PyramidState.ACTIVE, 1, level, level_max, 10, 0, 0
    return Pyramid(*known, orders)


def after(config, *statuses, **more):
    found = verdict(config, pyramid(*statuses, **more))
    return None if found is None else found.state or "next"


@pytest.mark.parametrize("status", [OPEN, W, P, OrderStatus.RECOVERING])
@pytest.mark.parametrize("config", [STRICT, PARTIAL])
def test_nothing_follows_while_one_order_is_not_at_its_end(config, status):
    assert after(config, B, B, B, status) is None


@pytest.mark.parametrize(
    "statuses, strict, partial",
    [
        ((B, B), "next", "next"),
        ((B, R), "next", "next"),
        ((B, L), STOPPED, STOPPED),
        ((B, R, B, L), STOPPED, "next"),
        ((B, L, B, L), STOPPED, STOPPED),
        ((B, X), "next", "next"),
        ((B, B, B, L, X), STOPPED, "next"),
        ((X, X), STOPPED, STOPPED),
        ((L,), STOPPED, STOPPED),
    ],
)
def test_progress(statuses, strict, partial):
    assert (after(STRICT, *statuses), after(PARTIAL, *statuses)) == (strict, partial)


def test_the_last_level_completes_and_one_that_is_off_stops():
    assert after(STRICT, B, level=4) is COMPLETED
    assert after(STRICT, B, level=3) is STOPPED


def test_a_level_has_so_many_orders_as_its_multiplier_with_the_chain_s_volume():
    up = next_level(STRICT, pyramid(B, B, level=1), 1003)
    assert (up.level, [order.number for order in up.orders]) == (2, [3, 4, 5, 6])
    assert {(order.status, order.volume_steps, order.parent_ticket, order.level) for order in up.orders} == {(P, 10, 1003, 2)}


def test_targets_are_by_level_where_they_are_given_and_never_rounded_down():
    config = ProfitBookingConfig(min_profit=6.991, min_profit_by_level=(10.0, 20.0))
    assert [target_cents(config, level, 2) for level in range(3)] == [1000, 2000, 700]


@pytest.mark.parametrize("reason", list(ExitReason))
def test_every_cause_of_a_close_has_its_meaning(reason):
    special = {
        ExitReason.BOOKED: Meaning.WON,
        ExitReason.TARGET: Meaning.WON,
        ExitReason.STOP: Meaning.STOPPED,
        ExitReason.UNEXPLAINED: Meaning.UNKNOWN,
        ExitReason.NEVER_OPENED: Meaning.UNKNOWN,
    }
    assert meaning_of(reason) is special.get(reason, Meaning.ENDS)


def test_a_recovery_is_allowed_once_and_only_with_a_gap():
    stopped = PyramidOrder(1, 0, OPEN, 1001, 110_010, 100)
    assert may_hunt(STRICT, stopped, "profit_trail")
    assert not may_hunt(STRICT, stopped, "shield_b")
    assert not may_hunt(STRICT, msgspec.structs.replace(stopped, recoveries=1), "profit_trail")
    assert not may_hunt(STRICT, msgspec.structs.replace(stopped, stop_distance_points=0), "profit_trail")
    assert not may_hunt(ProfitBookingConfig(sl_hunt=ProfitHuntConfig(enabled=False)), stopped, "profit_trail")


def test_what_is_given_up_is_refused_or_where_it_was_a_recovery_lost():
    fresh, hunt = PyramidOrder(1, 1, P), PyramidOrder(2, 1, P, ticket=1002)
    of = with_orders(pyramid(level=1), (fresh, hunt))
    assert of.state is PyramidState.SL_HUNT
    assert [order.status for order in given_up(of, fresh).orders] == [X, P]
    gone = given_up(of, hunt)
    assert ([order.status for order in gone.orders], gone.state) == ([P, L], PyramidState.ACTIVE)


def test_wins_and_losses_are_counted_apart():
    counted = with_money(with_money(pyramid(B), 700), -1000)
    assert (counted.booked_cents, counted.lost_cents) == (700, 1000)


def test_tries_are_one_two_and_four_seconds_apart():
    assert [back_off_ms(tries) for tries in (1, 2, 3)] == [1000, 2000, 4000]


@pytest.mark.parametrize("chain_id, is_one", [("EURUSD-k-1", False), ("EURUSD-k-1/b", True), ("EURUSD-k-1/s900", True)])
def test_the_id_of_a_pyramid_is_no_re_entry_chain_s(chain_id, is_one):
    assert is_pyramid(chain_id) is is_one
