from itertools import pairwise

import pytest

from evenkeel.config.circuit_breaker import CircuitBreakerConfig
from evenkeel.messages.circuit_breaker import BreakerLevel
from evenkeel.messages.market import BarClosed, Quote, SampleDue
from evenkeel.rules.circuit_breaker import (
    BASELINE_MIN,
    CORRELATIONS_MAX,
    CORRELATIONS_MIN,
    Market,
    Reading,
    correlations_after,
    errors_kept,
    errors_reading,
    known_pairs,
    market_after,
    market_reading,
    next_silence_ms,
    pair_reading,
    silence_reading,
    spread_reading,
)
from evenkeel.rules.correlation import HourCloses

CONFIG = CircuitBreakerConfig(atr_bars=2)
MINUTE_MS = 60_000
LEVELS = list(BreakerLevel)
CALM = (0, 20)
"""Change of the close, and range, of a quiet M1 bar in points."""


def sample(spread_points: int, *, median_points: int = 10, age_ms: int = 0) -> SampleDue:
    return SampleDue("circuit_breaker", "EURUSD", 1, Quote(0, 110_000, 110_000 + spread_points), age_ms, median_points)


def bars(*shapes: tuple[int, int], start: int = 100_000) -> list[BarClosed]:
    """One M1 bar a shape: how far its open lies from the close before, and its range, up from the open, where it closes at the
    open again. The last one is closed by a quote at its own close."""
    opens = [start]
    for gap, _ in shapes[1:]:
        opens.append(opens[-1] + gap)
    times = [number * MINUTE_MS for number in range(len(shapes) + 1)]
    return [
        BarClosed(
            "EURUSD", 1, "M1", at, price, price + reach, price, price, price + 10, 10, 10, 5, Quote(until, after, after + 10)
        )
        for (at, until), (price, after), (_, reach) in zip(pairwise(times), pairwise([*opens, opens[-1]]), shapes, strict=True)
    ]


def readings(shapes: list[tuple[int, int]], config: CircuitBreakerConfig = CONFIG) -> list[Reading | None]:
    market, found = Market(), []
    for bar in bars(*shapes):
        before, market = market, market_after(config, market, bar)
        found.append(market_reading(config, before, market, bar))
    return found


def last_level(shapes: list[tuple[int, int]], config: CircuitBreakerConfig = CONFIG) -> str:
    found = readings(shapes, config)[-1]
    return "normal" if found is None else found.level.value


def only(trigger: str, *steps: float) -> CircuitBreakerConfig:
    """Every trigger of prices is off but one."""
    off = dict.fromkeys(("atr_ratio", "move_atr", "gap_atr", "volatility_pct", "price_change_pct"), "off")
    return CircuitBreakerConfig(**off | {trigger: steps, "atr_bars": 2})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "spread_points, level",
    [(29, None), (30, "yellow"), (49, "yellow"), (50, "orange"), (99, "orange"), (100, "red"), (9_999, "red")],
)
def test_a_spread_is_measured_in_medians(spread_points, level):
    found = spread_reading(CONFIG, sample(spread_points))
    assert (found and found.level) == level


def test_a_spread_without_a_median_says_nothing():
    assert spread_reading(CONFIG, sample(500, median_points=0)) is None


def test_a_quote_older_than_a_quiet_period_says_nothing():
    assert spread_reading(CONFIG, sample(500, age_ms=15 * MINUTE_MS)) is None


def test_a_spread_brings_no_stop_nearer():
    assert spread_reading(CONFIG, sample(500)) == Reading(
        BreakerLevel.RED, "spread of 500 points is 10 times its median 10 or more", 0
    )


# Calm M5 bars have an average range of 20 points.
@pytest.mark.parametrize("reach, level", [(79, "normal"), (80, "yellow"), (120, "orange"), (199, "orange"), (200, "red")])
def test_a_move_within_five_minutes_is_measured_in_atrs_from_before_it(reach, level):
    assert last_level([CALM] * 20 + [(0, reach)]) == level


def test_a_move_is_that_of_five_minutes_together():
    config = only("move_atr", 4.0)
    climb = [CALM] * 20 + [(15, 20)] * 4  # 4 x 15 up, and 20 from there
    assert last_level(climb, config) == "yellow"
    assert last_level([*climb, *[CALM] * 4], config) == "normal"


def test_nothing_moves_far_before_there_is_an_atr():
    assert last_level([CALM] * 9 + [(0, 900)]) == "normal"
    assert last_level([CALM] * 10 + [(0, 900)]) == "red"


@pytest.mark.parametrize("gap, level", [(39, "normal"), (40, "yellow"), (-40, "yellow"), (100, "orange"), (200, "red")])
def test_a_gap_is_seen_by_the_quote_that_closes_the_bar_before_it(gap, level):
    found = readings([CALM] * 20 + [(gap, 0)], only("gap_atr", 2.0, 5.0, 10.0))[-2]
    assert ("normal" if found is None else found.level.value) == level


@pytest.mark.parametrize(
    "reach, level", [(2_999, "normal"), (3_000, "yellow"), (7_000, "orange"), (15_000, "red"), (30_000, "black")]
)
def test_the_absolute_table_needs_no_baseline(reach, level):
    assert last_level([(0, reach)]) == level


def test_a_gap_is_a_change_of_price_too():
    assert readings([CALM, (-30_000, 0)])[0].level is BreakerLevel.BLACK


# With two bars Wilder's average after 20, 20, r is (20 + r) / 2.
@pytest.mark.parametrize("reach, level", [(59, "normal"), (60, "yellow"), (100, "orange"), (180, "red"), (300, "black")])
def test_volatility_is_measured_in_its_own_median(reach, level):
    config = only("atr_ratio", 2.0, 3.0, 5.0, 8.0)
    assert last_level([CALM] * 15 * 14 + [(0, reach)] * 15, config) == level


def test_volatility_has_a_table_of_percent_too():
    config = only("volatility_pct", 5.0, 10.0, 20.0, 40.0)
    for reach, level in [(4_999, "normal"), (5_000, "yellow"), (10_000, "orange"), (20_000, "red"), (40_000, "black")]:
        assert last_level([(0, reach)] * 30, config) == level


def test_a_baseline_counts_from_twelve_values():
    config = only("atr_ratio", 2.0)
    for calm, level in [(BASELINE_MIN - 1, "normal"), (BASELINE_MIN, "yellow")]:  # the first has no average
        assert last_level([CALM] * 15 * calm + [(0, 500)] * 15, config) == level


def test_the_baseline_takes_one_value_an_hour_and_is_bounded():
    config = CircuitBreakerConfig(atr_bars=2, baseline_days=1)
    market, counts = Market(), []
    for bar in bars(*[CALM] * 60 * 30):
        market = market_after(config, market, bar)
        counts.append(len(market.usual.values))
    assert counts[15 * 13] == BASELINE_MIN
    assert counts[60 * 10] - counts[60 * 9] == 1
    assert max(counts) == 24
    assert len(market.minutes) == 15


def test_the_gravest_reading_counts():
    found = readings([CALM] * 20 + [(0, 3_000)])[-1]
    assert found is not None
    assert found.reason == "range of 5 minutes of 3000 points is 10 times the ATR 20 or more"


def test_stops_come_as_near_as_what_was_moved_or_the_average():
    moved = readings([CALM] * 40 + [(0, 300)])[-1]
    assert moved is not None
    assert moved.atr_points == 300
    far = readings([(0, 400)] * 45 + [(900, 0)])[-2]
    assert far is not None
    assert far.atr_points == 900
    volatile = readings([CALM] * 15 * 14 + [(0, 300)] * 15, only("atr_ratio", 2.0))[-1]
    assert volatile is not None
    assert volatile.atr_points == 300
    assert readings([(0, 30_000)], CircuitBreakerConfig(tighten_atr="off"))[0].atr_points == 0


def test_a_trigger_that_is_off_says_nothing():
    config = only("gap_atr", 2.0)
    assert readings([CALM] * 20 + [(0, 50_000)], config)[-1] is None
    assert spread_reading(CircuitBreakerConfig(spread_ratio="off"), sample(9_999)) is None
    assert silence_reading(CircuitBreakerConfig(silence_s="off"), 9_999_999) is None
    assert errors_reading(CircuitBreakerConfig(errors_per_hour="off"), 9_999) is None


@pytest.mark.parametrize("silent_ms, level", [(59_999, None), (60_000, "yellow"), (299_999, "yellow"), (300_000, "orange")])
def test_silence_is_measured_in_seconds(silent_ms, level):
    found = silence_reading(CONFIG, silent_ms)
    assert (found and found.level) == level


def test_after_the_last_step_of_silence_there_is_none():
    assert [next_silence_ms(CONFIG, silent_ms) for silent_ms in (5_000, 60_000, 300_000)] == [60_000, 300_000, None]


@pytest.mark.parametrize("count, level", [(4, None), (5, "yellow"), (10, "orange"), (20, "red")])
def test_errors_are_counted(count, level):
    found = errors_reading(CONFIG, count)
    assert (found and found.level) == level


def test_errors_older_than_an_hour_are_forgotten_and_no_more_are_kept_than_count():
    assert errors_kept(CONFIG, (1, 2, 3), 60 * MINUTE_MS + 2) == (3,)
    assert len(errors_kept(CONFIG, tuple(range(100)), 100)) == 20


@pytest.mark.parametrize("now, level", [(350_000, None), (300_000, "yellow"), (0, "orange"), (-300_000, "red")])
def test_a_pair_breaks_by_the_change_of_its_correlation(now, level):
    known = (900_000,) * (CORRELATIONS_MIN - 1)
    found = pair_reading(CONFIG, "EURUSD GBPUSD", (*known, now))
    assert (found and found.level) == level


def test_a_young_pair_says_nothing():
    assert pair_reading(CONFIG, "EURUSD GBPUSD", (900_000,) * (CORRELATIONS_MIN - 2) + (-900_000,)) is None


def test_correlations_are_kept_where_they_are_known():
    one = HourCloses(list(range(62)), [100 + hour * (-1) ** hour for hour in range(62)])
    hours = {"EURUSD": one, "GBPUSD": one}
    assert correlations_after((), ("EURUSD", "GBPUSD"), hours) == (1_000_000,)
    assert correlations_after((1, 2), ("EURUSD", "USDJPY"), hours) == (1, 2)
    assert len(correlations_after((0,) * CORRELATIONS_MAX, ("EURUSD", "GBPUSD"), hours)) == CORRELATIONS_MAX


def test_a_pair_needs_both_of_its_symbols():
    config = CircuitBreakerConfig(correlation_pairs=(("EURUSD", "GBPUSD"), ("EURUSD", "USDJPY")))
    assert known_pairs(config, ("EURUSD", "USDJPY")) == {"EURUSD USDJPY": ("EURUSD", "USDJPY")}
