import pytest
from broken_strategies import BarByBar, LooksAhead, Rising, TooShort, TwoForms

from evenkeel.rules.ma_cross import MaCross
from evenkeel.rules.strategy import foreseen
from evenkeel.rules.strategy_check import Fault, first_difference, synthetic_bars

BARS = synthetic_bars(seed=4, count=1_500)


def test_a_strategy_whose_forms_agree_has_no_difference():
    assert foreseen(Rising(), BARS).any()
    assert first_difference(Rising, BARS, samples=200, seed=1) is None


def test_the_strategy_that_comes_with_us_has_none():
    assert first_difference(lambda: MaCross(5, 20), BARS, samples=200, seed=1) is None


@pytest.mark.parametrize(
    "broken, fault",
    [
        (LooksAhead, Fault.LOOK_AHEAD),
        (TooShort, Fault.WARM_UP),
        (TwoForms, Fault.FORMS),
        (BarByBar, Fault.WARM_UP),
    ],
)
def test_each_fault_is_named(broken, fault):
    found = first_difference(broken, BARS, samples=200, seed=1)
    assert found is not None
    assert found.fault is fault
    assert found.expected != found.found
    assert found.open_utc_ms == BARS.open_utc_ms[found.number]


def test_the_first_bar_that_differs_is_named():
    found = first_difference(TwoForms, BARS, samples=0, seed=1)
    sells = [number for number in range(3, BARS.size) if BARS.close_points[number] % 97 == 0]
    assert found is not None
    assert found.number == sells[0]


def test_synthetic_bars_are_the_same_for_a_seed_and_each_lies_within_its_range():
    again = synthetic_bars(seed=4, count=1_500)
    assert all((one == other).all() for one, other in zip(BARS, again, strict=True))
    assert (BARS.low_points <= BARS.close_points).all()
    assert (BARS.high_points >= BARS.open_points).all()
    assert (BARS.open_utc_ms[1:] > BARS.open_utc_ms[:-1]).all()
