import pytest

from evenkeel.config.schema import EntryConfig
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.market import Quote
from evenkeel.rules.entries import Refusal, cooldown_refusal, distance_points, may_try_again, spread_refusal


@pytest.mark.parametrize(
    "spread, median, refusal",
    [
        (30, 10, None),
        (31, 10, Refusal(DenialReason.SPREAD, 31, 30, "points")),
        (5, 1, None),  # at the floor
        (6, 1, Refusal(DenialReason.SPREAD, 6, 5, "points")),
        (1, 0, Refusal(DenialReason.SPREAD, 1, 0, "points")),  # no median at all
    ],
)
def test_a_spread_above_its_multiple_and_the_floor_is_refused_with_its_numbers(spread, median, refusal):
    config = EntryConfig(spread_multiple_max=3.0, spread_points_floor=5)
    assert spread_refusal(config, Quote(0, 1000, 1000 + spread), median) == refusal


def test_a_fraction_of_a_point_does_not_widen_the_limit():
    config = EntryConfig(spread_multiple_max=2.5, spread_points_floor=0)
    assert spread_refusal(config, Quote(0, 1000, 1007), 3) is None
    assert spread_refusal(config, Quote(0, 1000, 1008), 3) == Refusal(DenialReason.SPREAD, 8, 7, "points")


def test_the_spread_may_be_off_by_name():
    assert spread_refusal(EntryConfig(spread_multiple_max="off"), Quote(0, 1000, 9000), 0) is None


def test_a_cooldown_ends_at_its_instant():
    assert cooldown_refusal(999, 1000) == Refusal(DenialReason.COOLDOWN, 1, 0, "ms")
    assert cooldown_refusal(1000, 1000) is None


@pytest.mark.parametrize("pips, points_per_pip, points", [(5.0, 10, 50), (0.25, 10, 2), (0.01, 1, 1)])
def test_pips_become_whole_points_and_at_least_one(pips, points_per_pip, points):
    assert distance_points(pips, points_per_pip) == points


@pytest.mark.parametrize(
    "code, attempts, expires_utc_ms, again",
    [
        (10004, 1, 3_000, True),
        (10020, 2, 3_000, True),
        (10021, 1, 3_000, True),
        (10004, 3, 3_000, False),
        (10004, 1, 2_000, False),
        (10004, 1, 2_001, True),
        (10004, 1, 0, True),
        (10006, 1, 3_000, False),
        (10018, 1, 3_000, False),
        (10024, 1, 3_000, False),
    ],
)
def test_an_order_is_tried_anew_for_its_price_alone_three_times_within_the_first_one_s_time(
    code, attempts, expires_utc_ms, again
):
    assert may_try_again(code, attempts, expires_utc_ms, now_utc_ms=2_000) is again
