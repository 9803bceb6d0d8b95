import msgspec
import pytest

from evenkeel.config.schema import DEMO, PERSONAL, PLAIN, PROP, DrawdownConfig
from evenkeel.messages.entry import EntryProposed, Lineage
from evenkeel.messages.market import Direction, Quote
from evenkeel.rules.risk_limit import (
    DrawdownStep,
    EquityMarks,
    Fall,
    TradeCounts,
    at_day_start,
    day_counted,
    drawdown_reached,
    expiry_utc_ms,
    fall_reached,
    hour_end_utc_ms,
    needs_equity,
    rearmed,
    sampled,
    shifted,
    size_ppm,
    trade_counted,
    trades_in_hour,
)

HOUR_MS = 3_600_000


def marks_of(*equities_cents: int) -> EquityMarks:
    marks = EquityMarks()
    for equity_cents in equities_cents:
        marks = sampled(marks, equity_cents)
    return marks


def test_the_first_sample_is_base_and_peak():
    assert marks_of(100) == EquityMarks(100, 100, 100)


def test_the_peak_rises_and_the_base_stays():
    assert marks_of(100, 120, 90) == EquityMarks(90, 100, 120)


def test_capital_moves_every_mark_alike_and_so_no_fall():
    assert shifted(marks_of(100, 120, 90), 50) == EquityMarks(140, 150, 170)
    assert shifted(EquityMarks(), 50) == EquityMarks()


@pytest.mark.parametrize(
    "expiry_s, first_expires_utc_ms, expires_utc_ms", [(3.0, 0, 4_000), (3.0, 2_500, 2_500), (3.0, 9_000, 4_000), ("off", 0, 0)]
)
def test_another_try_lives_no_longer_than_the_first(expiry_s, first_expires_utc_ms, expires_utc_ms):
    limits = msgspec.structs.replace(PERSONAL, intent_expiry_s=expiry_s)
    proposal = EntryProposed(
        "p", "EURUSD", 1, Direction.BUY, Quote(0, 1, 2), 50, 0, 10, Lineage("", ""), expires_utc_ms=first_expires_utc_ms
    )
    assert expiry_utc_ms(limits, proposal, 1_000) == expires_utc_ms


def test_a_day_starts_at_the_last_sample_or_the_first_to_come():
    assert at_day_start(marks_of(100, 90)).day_base_cents == 90
    assert sampled(at_day_start(EquityMarks()), 80).day_base_cents == 80


def test_a_rearm_starts_everything_from_here():
    assert rearmed(marks_of(100, 120, 90)) == EquityMarks(90, 90, 90)


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
    assert size_ppm(PERSONAL, marks_of(1000, equity_cents)) == ppm


def test_only_the_plain_profile_needs_no_equity():
    assert [needs_equity(limits) for limits in (PLAIN, PERSONAL, PROP, DEMO)] == [False, True, True, True]


def test_an_hour_is_the_clocks():
    counts = trade_counted(TradeCounts(), HOUR_MS - 1)
    assert trades_in_hour(counts, HOUR_MS - 1) == 1
    assert trades_in_hour(counts, HOUR_MS) == 0
    assert hour_end_utc_ms(HOUR_MS) == 2 * HOUR_MS
    assert trade_counted(counts, HOUR_MS) == TradeCounts(today=2, hour=1, in_hour=1)


@pytest.mark.parametrize("today, limit, days", [(3, 3, 2), (2, 3, 0), (0, 3, 1), (3, "off", 0)])
def test_a_day_joins_the_row_ends_it_or_had_no_trade(today, limit, days):
    assert day_counted(TradeCounts(today=today, days_at_limit=1), limit) == TradeCounts(days_at_limit=days)
