"""The arithmetic that an owner should see before switching levels on."""

import pytest

from evenkeel.config.chains import ProfitBookingConfig, ProfitHuntConfig
from evenkeel.rules.pyramid_odds import pyramid_odds

ALL = ProfitBookingConfig(levels_enabled=(0, 1, 2, 3, 4))


def test_the_usual_pyramid_in_full():
    odds = pyramid_odds(ALL, "off", 2)
    assert [level.orders for level in odds.levels] == [1, 2, 4, 8, 16]
    assert [level.target_cents for level in odds.levels] == [700, 1400, 2800, 5600, 11200]
    assert (odds.orders, odds.target_cents, odds.level_max) == (31, 21700, 4)
    top = odds.levels[4]
    assert (top.before_cents, top.stop_cents) == (10500, 16000)
    assert top.break_even_ratio == pytest.approx(10 / 17)
    assert top.sweep_ratio == pytest.approx(0.0033, abs=0.00004)


def test_the_worst_end_has_its_recoveries_lost_too_and_keeps_what_was_booked_before():
    assert pyramid_odds(ALL, "off", 2).worst_cents == 24000 - 10500
    without = ProfitBookingConfig(levels_enabled=(0, 1, 2, 3, 4), sl_hunt=ProfitHuntConfig(enabled=False))
    assert pyramid_odds(without, "off", 2).worst_cents == 16000 - 10500


def test_a_level_counts_while_all_below_it_are_enabled():
    odds = pyramid_odds(ProfitBookingConfig(levels_enabled=(0, 1, 3)), "off", 2)
    assert (odds.level_max, odds.orders, odds.target_cents) == (1, 3, 2100)
    assert [level.is_enabled for level in odds.levels] == [True, True, False, True, False]


def test_level_0_is_the_signal_s_own_order_whatever_is_enabled():
    assert pyramid_odds(ProfitBookingConfig(levels_enabled=()), "off", 2).orders == 1


def test_it_follows_the_configuration():
    config = ProfitBookingConfig(min_profit=20.0, stop_system="sl_1_1", multipliers=(1, 3), levels_enabled=(0, 1))
    odds = pyramid_odds(config, "logic2", 2)
    assert (odds.levels[1].target_cents, odds.levels[1].stop_cents) == (6000, 12000)
    assert odds.levels[1].break_even_ratio == pytest.approx(40 / 60)
