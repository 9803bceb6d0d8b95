"""A stop in money: how far away an order of some volume loses it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some
from orders import SPEC

from evenkeel.config.chains import ProfitBookingConfig
from evenkeel.config.load import load
from evenkeel.messages.market import PointWorth
from evenkeel.rules.fixed_stop import fixed_stop_cents, fixed_stop_points
from evenkeel.rules.symbols import spec_for

TEN = ProfitBookingConfig()


@pytest.mark.parametrize(
    "changes, logic, level, cents",
    [
        ({}, "off", 0, 1000),
        ({}, "logic3", 0, 1000),
        ({"stop_system": "sl_1_1"}, "logic1", 0, 2000),
        ({"stop_system": "sl_1_1"}, "logic2", 0, 4000),
        ({"stop_system": "sl_1_1"}, "logic3", 0, 5000),
        ({"stop_system": "sl_1_1"}, "off", 0, 1000),
        ({"stop_reductions_pct": (0.0, 10.0, 25.0)}, "off", 2, 750),
        ({"stop_reductions_pct": (0.0, 10.0, 25.0)}, "off", 3, 1000),
        ({"fixed_stop": 9.999}, "off", 0, 999),
    ],
)
def test_the_sum_is_of_the_stop_system_and_the_level(changes, logic, level, cents):
    assert fixed_stop_cents(msgspec.structs.replace(TEN, **changes), logic, level, 2) == cents


def test_a_currency_without_cents_has_units():
    assert fixed_stop_cents(TEN, "off", 0, 0) == 10


def test_gold_is_measured_by_the_broker_s_worth_of_a_point_and_not_by_a_table_of_pips():
    """D16: with 10 dollars a pip assumed, this stop was 10 points away, and reached within seconds."""
    gold = spec_for("XAUUSD", load(None))
    assert (gold.worth, gold.steps_per_lot) == (PointWorth(100, 1), 100)
    assert fixed_stop_points(1000, 10, gold) == 100


def test_a_volume_of_which_one_point_is_worth_more_has_no_such_stop():
    assert fixed_stop_points(1000, 1001, SPEC) == 0


@given(some.integers(1, 10**7), some.integers(1, 10**5), some.integers(1, 10**6), some.integers(1, 10**4))
def test_it_loses_at_most_the_sum_and_one_point_more_would_lose_more(cents, steps, numerator, denominator):
    spec = msgspec.structs.replace(SPEC, worth=PointWorth(numerator, denominator))
    points = fixed_stop_points(cents, steps, spec)
    budget = cents * denominator * spec.steps_per_lot
    assert points * numerator * steps <= budget < (points + 1) * numerator * steps
