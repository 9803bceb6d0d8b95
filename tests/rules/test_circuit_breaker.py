import pytest

from evenkeel.config.schema import CircuitBreakerConfig
from evenkeel.messages.market import BarClosed, Quote, SampleDue
from evenkeel.rules.circuit_breaker import Baseline, atr_trip, baseline_after, spread_trip

CONFIG = CircuitBreakerConfig(atr_bars=2, baseline_bars=100)


def sample(spread_points: int, *, median_points: int = 10, age_ms: int = 0) -> SampleDue:
    return SampleDue("circuit_breaker", "EURUSD", 1, Quote(0, 110_000, 110_000 + spread_points), age_ms, median_points)


def bar(range_points: int) -> BarClosed:
    high = 110_000 + range_points
    return BarClosed("EURUSD", 1, "M1", 0, 110_000, high, 110_000, 110_000, 110_010, 10, 10, 5, Quote(0, 1, 2))


def baseline_of(*ranges_points: int, config: CircuitBreakerConfig = CONFIG) -> Baseline:
    baseline = Baseline()
    for range_points in ranges_points:
        baseline = baseline_after(config, baseline, bar(range_points))
    return baseline


@pytest.mark.parametrize("spread_points, trips", [(29, False), (30, True), (31, True)])
def test_a_spread_trips_from_the_ratio_on(spread_points, trips):
    assert (spread_trip(CONFIG, sample(spread_points)) is not None) is trips


def test_a_spread_without_a_median_says_nothing():
    assert spread_trip(CONFIG, sample(500, median_points=0)) is None


def test_a_quote_older_than_a_hold_says_nothing():
    assert spread_trip(CONFIG, sample(500, age_ms=15 * 60_000)) is None


# With two bars Wilder's average after 20, 20, r is (20 + r) / 2.
@pytest.mark.parametrize("range_points, trips", [(59, False), (60, True)])
def test_an_atr_trips_from_the_ratio_on(range_points, trips):
    assert (atr_trip(CONFIG, baseline_of(*[20] * 61, range_points)) is not None) is trips


def test_an_atr_needs_sixty_values_before_it():
    assert atr_trip(CONFIG, baseline_of(*[20] * 60, 500)) is None
    assert atr_trip(CONFIG, baseline_of(*[20] * 61, 500)) is not None


def test_a_shorter_baseline_by_configuration_needs_no_more_than_it_holds():
    config = CircuitBreakerConfig(atr_bars=2, baseline_bars=10)
    assert atr_trip(config, baseline_of(*[20] * 11, 500, config=config)) is not None


def test_the_history_is_bounded():
    assert len(baseline_of(*[20] * 300).atrs_millipoints) == 100


def test_a_trip_names_its_numbers():
    assert spread_trip(CONFIG, sample(45)) == "spread of 45 points is 3 times its median 10 or more"
