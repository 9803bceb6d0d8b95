import msgspec
import pytest

from evenkeel.config.limits import PERSONAL, ConsecutiveLossesConfig, DrawdownConfig
from evenkeel.rules.losses import (
    DrawdownStep,
    EquityMarks,
    Fall,
    at_day_start,
    at_week_start,
    drawdown_reached,
    fall_reached,
    floor_cents,
    loses_too_often,
    rearmed,
    sampled,
    shifted,
    size_ppm,
    week_loss_reached,
)


def marks_of(*equities_cents: int) -> EquityMarks:
    marks = EquityMarks()
    for equity_cents in equities_cents:
        marks = sampled(marks, equity_cents)
    return marks


def test_the_first_sample_is_base_and_peak():
    assert marks_of(100) == EquityMarks(100, 100, 100, 100)


def test_the_peak_rises_and_the_base_stays():
    assert marks_of(100, 120, 90) == EquityMarks(90, 100, 120, 100)


def test_a_day_starts_at_the_last_sample_or_the_first_to_come():
    assert at_day_start(marks_of(100, 90)).day_base_cents == 90
    assert sampled(at_day_start(EquityMarks()), 80).day_base_cents == 80


def test_a_rearm_starts_everything_from_here():
    assert rearmed(marks_of(100, 120, 90)) == EquityMarks(90, 90, 90, 90)


@pytest.mark.parametrize(
    "equity_cents, limit_pct, fall",
    [(971, 3.0, None), (970, 3.0, Fall(30, 30)), (0, "off", None), (None, 3.0, None), (1100, 3.0, None)],
)
def test_a_fall_counts_from_the_limit_on(equity_cents, limit_pct, fall):
    assert fall_reached(1000, equity_cents, limit_pct) == fall


def test_an_account_with_nothing_left_is_at_every_limit():
    assert fall_reached(0, 0, 3.0) is not None


@pytest.mark.parametrize(
    "equity_cents, step",
    [
        (951, DrawdownStep.NONE),
        (950, DrawdownStep.REDUCE),
        (920, DrawdownStep.HALVE),
        (880, DrawdownStep.CLOSE_ONLY),
        (850, DrawdownStep.FLATTEN),
        (-50, DrawdownStep.FLATTEN),
    ],
)
def test_the_gravest_drawdown_step_counts(equity_cents, step):
    assert drawdown_reached(DrawdownConfig(), marks_of(1000, equity_cents))[0] is step


def test_a_drawdown_step_that_is_off_is_passed_over():
    config = DrawdownConfig(close_only_pct="off", flatten_pct="off")
    assert drawdown_reached(config, marks_of(1000, 100))[0] is DrawdownStep.HALVE


@pytest.mark.parametrize("equity_cents, ppm", [(981, 1_000_000), (980, 500_000), (950, 375_000), (920, 250_000)])
def test_cuts_of_day_and_drawdown_multiply(equity_cents, ppm):
    assert size_ppm(PERSONAL, marks_of(1000, equity_cents), 0) == ppm


@pytest.mark.parametrize("losses, ppm", [(2, 500_000), (3, 375_000), (9, 375_000)])
def test_losses_in_a_row_cut_on_top(losses, ppm):
    assert size_ppm(PERSONAL, marks_of(1000, 980), losses) == ppm


def test_a_week_starts_at_the_last_sample_and_leaves_the_day_alone():
    marks = at_week_start(marks_of(100, 90))
    assert (marks.week_base_cents, marks.day_base_cents) == (90, 100)


@pytest.mark.parametrize("limit_pct, start_cents, floor", [(50.0, 1001, 501), ("off", 1000, None), (50.0, None, None)])
def test_the_floor_is_a_share_of_the_start_rounded_up(limit_pct, start_cents, floor):
    assert floor_cents(limit_pct, start_cents) == floor


def test_so_many_losses_need_a_person():
    config = ConsecutiveLossesConfig()
    assert [loses_too_often(config, losses) for losses in (6, 7, 8)] == [False, True, True]
    assert not loses_too_often(ConsecutiveLossesConfig(close_only_after="off"), 100)


def test_money_that_comes_or_goes_moves_every_mark_alike():
    marks = EquityMarks(90, 100, 120, 110)
    assert shifted(marks, 7) == EquityMarks(97, 107, 127, 117)
    assert shifted(marks, -7) == EquityMarks(83, 93, 113, 103)
    assert shifted(EquityMarks(), 7) == EquityMarks()


@pytest.mark.parametrize("equity_cents, fall", [(951, None), (950, Fall(50, 50)), (940, Fall(60, 50))])
def test_the_week_is_measured_from_its_own_base(equity_cents, fall):
    assert week_loss_reached(5.0, EquityMarks(equity_cents, 2000, 3000, 1000)) == fall
    assert week_loss_reached("off", EquityMarks(equity_cents, 2000, 3000, 1000)) is None


def test_losses_in_a_row_that_reduce_nothing_by_name_leave_the_volume():
    off = ConsecutiveLossesConfig(reduce_after="off", close_only_after="off")
    limits = msgspec.structs.replace(PERSONAL, consecutive_losses=off)
    assert size_ppm(limits, marks_of(1000), 99) == 1_000_000
