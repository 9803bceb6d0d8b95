import pytest

from evenkeel.config.schema import CatastropheStopConfig
from evenkeel.messages.market import DailyRange, PointWorth, SymbolSpec
from evenkeel.rules.catastrophe_stop import (
    catastrophe_distance_points,
    catastrophe_distance_points_min,
    daily_atr_points,
)

EURUSD = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 50, PointWorth(100, 1), 11_000_000, 30)


@pytest.mark.parametrize(
    "stop_distance_points, spread_median_points, atr_points, distance_points",
    [
        (200, 10, 700, 400),  # twice the app stop
        (20, 60, 300, 230),  # stops level and three median spreads
        (20, 5, 100, 80),  # stops level and the typical spread
        (200, 10, 901, 451),  # half the daily ATR, rounded up
    ],
)
def test_the_widest_of_three_distances_counts(stop_distance_points, spread_median_points, atr_points, distance_points):
    assert distance_points == catastrophe_distance_points(
        CatastropheStopConfig(),
        EURUSD,
        stop_distance_points=stop_distance_points,
        spread_median_points=spread_median_points,
        daily_atr_points=atr_points,
    )


def test_the_nearest_distance_is_a_multiple_of_the_app_stop_rounded_up():
    assert catastrophe_distance_points_min(CatastropheStopConfig(), 201) == 252


def test_the_daily_atr_is_the_mean_true_range_with_gaps_rounded_up():
    days = [DailyRange(9999, 1, 1000), DailyRange(1300, 1100, 1200), DailyRange(1250, 1149, 1150)]
    assert daily_atr_points(days, 2) == 201  # (1300 - 1000, then 101) / 2


def test_the_daily_atr_is_unknown_without_a_close_before_the_first_day():
    days = [DailyRange(1300, 1100, 1200)] * 14
    assert daily_atr_points(days, 14) is None
    assert daily_atr_points([*days, days[0]], 14) == 200
